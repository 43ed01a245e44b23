"""The look of the gallery in this request: as it is saved, or as an admin tries it out."""

from dataclasses import dataclass

from flask import current_app, g, url_for
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from imagehub.config import Settings
from imagehub.database import db
from imagehub.errors import NotFoundError
from imagehub.models import LogoPicture
from imagehub.web.public_path import leave_preview
from imagehub.wiring import get_clients, get_settings

_CACHE = "imagehub.logos"
_BYTES_CACHE = "imagehub.logo_bytes"
# Two themes, and as many that an admin tries out; each has at most 600 kB.
_MAX_KEPT = 4
# The part of the key's SHA-256 that an address contains.
_DIGEST_CHARS = 16


@dataclass(frozen=True)
class Logo:
    """A logo with its address. ``theme``: "light" or "dark", or "" if there is one for both."""

    url: str
    width: int
    height: int
    theme: str = ""


def get_look() -> Settings:
    """Return the settings whose look this request's page has."""
    found: Settings = g.get("look") or get_settings()
    return found


def try_look(settings: Settings) -> None:
    """Give this request's page another look."""
    g.look = settings


def list_logos() -> list[Logo]:
    """List the logos of this request's look: none, one, or one for each theme.

    Their rows never change, so each process reads one only once.
    """
    look = get_look()
    wanted = {"light": look.logo, "dark": look.logo_dark}
    if not look.logo:
        return []
    rows = {theme: _find_row(number) for theme, number in wanted.items() if number}
    found = {theme: row for theme, row in rows.items() if row is not None}
    if "light" not in found:
        return []
    return [
        Logo(make_logo_url(wanted[theme], key), width, height, theme if len(found) > 1 else "")
        for theme, (key, width, height) in found.items()
    ]


def make_logo_url(number: int, key: str) -> str:
    """Return the address of a logo, at this hub, which never expires and always has these bytes.

    Nobody can guess it, so logos that are only tried out are not public.
    """
    return leave_preview(url_for("gallery.show_logo", number=number, digest=make_digest(key)))


def make_digest(key: str) -> str:
    """Return the part of a logo's key that its address contains."""
    return key.rpartition("/")[2][:_DIGEST_CHARS]


def read_logo(number: int, digest: str) -> bytes:
    """Read the WebP file at an address of :func:`make_logo_url`; each process does so once.

    :raise NotFoundError: there is no such logo.
    :raise ServiceError: the object storage does not answer.
    """
    row = _find_row(number)
    if row is None or make_digest(row[0]) != digest:
        raise NotFoundError("logo", number)
    cache: dict[str, bytes] = current_app.extensions.setdefault(_BYTES_CACHE, {})
    data = cache.get(row[0]) or get_clients().store.get_object(row[0])
    if len(cache) >= _MAX_KEPT:
        cache.clear()
    cache[row[0]] = data
    return data


def _find_row(number: int) -> tuple[str, int, int] | None:
    """Return key, width and height of a logo; None if there is none, or the database is down."""
    cache: dict[int, tuple[str, int, int]] = current_app.extensions.setdefault(_CACHE, {})
    if number not in cache:
        columns = (LogoPicture.object_key, LogoPicture.width_px, LogoPicture.height_px)
        try:
            with Session(db.engine) as session:
                row = session.execute(select(*columns).where(LogoPicture.id == number)).first()
        except SQLAlchemyError:
            return None
        if row is None:
            return None
        cache[number] = (row.object_key, row.width_px, row.height_px)
    return cache[number]
