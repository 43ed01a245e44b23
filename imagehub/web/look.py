"""The look of the gallery in this request: as it is saved, or as an admin tries it out."""

from dataclasses import dataclass

from flask import current_app, g
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from imagehub.config import Settings
from imagehub.database import db
from imagehub.models import LogoPicture
from imagehub.wiring import get_clients, get_settings

_CACHE = "imagehub.logos"


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
    store = get_clients().store
    return [
        Logo(store.make_presigned_url(key), width, height, theme if len(found) > 1 else "")
        for theme, (key, width, height) in found.items()
    ]


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
