"""Thumbnails of OneDrive's files: their addresses, and the cache in the data folder behind them.

Losing the cache costs nothing but time, and it never grows beyond a bound.
"""

import hashlib
import os
import secrets
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from flask import Response, request, url_for
from flask.typing import ResponseReturnValue

from imagehub.admin import blueprint
from imagehub.admin.drive_access import open_drive
from imagehub.clients import DriveItem
from imagehub.database import db
from imagehub.errors import ConnectionLostError, NotFoundError, ServiceError
from imagehub.web.errors import get_error_status
from imagehub.wiring import get_settings

_SIZES = ("small", "medium", "large")
_YEAR_SECONDS = 365 * 86_400
# Ways to write a root folder outside of which nothing lies.
_WHOLE_DRIVE = ("root", "/")
# How long an item that was seen inside the root folder counts as inside.
_INSIDE_SECONDS = 600
# Kinds of files of which OneDrive makes thumbnails.
_SHOWN_KINDS = ("image/", "video/", "application/pdf")

# What stands for a picture that there is none of, in a grey that shows on light and on dark ground.
# Without a size of its own it fills any frame it is put in, and the sign in its middle stays small.
_PLACEHOLDER = """\
<svg xmlns="http://www.w3.org/2000/svg"><svg x="50%" y="50%" overflow="visible"><g
 transform="translate(-12 -12)" fill="none" stroke="#85827c" stroke-width="1.5"
 stroke-linecap="round" stroke-linejoin="round"><path d="M6 22a2 2 0 0 1-2-2V4a2 2 0 0 1 2-2h8a2.4
 2.4 0 0 1 1.704.706l3.588 3.588A2.4 2.4 0 0 1 20 8v12a2 2 0 0 1-2 2z"/><path
 d="M14 2v5a1 1 0 0 0 1 1h5"/><circle cx="10" cy="12" r="2"/><path
 d="m20 17-1.296-1.296a2.41 2.41 0 0 0-3.408 0L9 22"/></g></svg></svg>
"""

_SUFFIXES = {"image/jpeg": ".jpg", "image/png": ".png", "image/webp": ".webp", "image/gif": ".gif"}
_KINDS = {suffix: kind for kind, suffix in _SUFFIXES.items()}
# 256 folders of this many: some 20,000 thumbnails, of 5 to 80 kB each.
_FILES_A_FOLDER = 80


def make_thumbnail_url(item: DriveItem) -> str:
    """The address of a file's thumbnail; "" where OneDrive makes none."""
    if item.is_folder or item.is_package or not item.size_bytes:
        return ""
    if not item.mime_type.lower().startswith(_SHOWN_KINDS):
        return ""
    return url_for(".show_drive_thumbnail", item_id=item.id, v=_make_version(item))


def _make_version(item: DriveItem) -> str:
    """A short word for the state of a file's bytes."""
    return hashlib.sha256((item.ctag or item.etag).encode()).hexdigest()[:16]


@blueprint.get("/admin/drive/thumbnail/<item_id>")
def show_drive_thumbnail(item_id: str) -> ResponseReturnValue:
    """A small picture of a file: fetched from OneDrive once for each state of the file.

    Empty where OneDrive has none. ``v`` stands for the state (see :func:`_make_version`): with it a
    browser keeps the picture. Where there is none, or none can be had, an ``<img>`` gets the sign
    of a file, with the error's status if there is one.
    """
    try:
        return _fetch_thumbnail(item_id)
    except (NotFoundError, ConnectionLostError, ServiceError) as error:
        if not _wants_picture():
            raise
        db.session.rollback()
        return _show_placeholder(get_error_status(error), "no-store")


def _fetch_thumbnail(item_id: str) -> ResponseReturnValue:
    size = request.args.get("size", "medium")
    if size not in _SIZES:
        raise NotFoundError("thumbnail", size)
    version = request.args.get("v", "")[:64]
    cache = _ThumbnailCache(get_settings().data_dir / "thumbnails")
    account_id, opened = open_drive()
    # Another root folder is another boundary: what was seen inside the old one is not shown.
    key = f"{account_id}\n{opened.root_folder}\n{item_id}\n{version}\n{size}"
    kept = cache.find(key) if version else None
    if kept is not None and kept.age_seconds > _INSIDE_SECONDS:
        if opened.root_folder not in _WHOLE_DRIVE:
            opened.get_item(item_id)  # It may have been moved out of the root folder since.
        cache.touch(kept)
    if kept is not None:
        data, kind = kept.data, kept.content_type
    else:
        found = opened.fetch_thumbnail(item_id, size)
        if found is None or not cache.takes(found[1]):
            # OneDrive makes them some seconds after an upload, and of some files never.
            keeping = "private, max-age=30"
            if _wants_picture():
                return _show_placeholder(200, keeping)
            return "", 204, {"Cache-Control": keeping, "Vary": "Accept"}
        data, kind = found
        if version:
            cache.keep(key, data, kind)
    response = Response(data, mimetype=kind)
    response.headers["Cache-Control"] = (
        f"private, max-age={_YEAR_SECONDS}, immutable" if version else "private, no-cache"
    )
    return response


def _wants_picture() -> bool:
    """Whether an ``<img>`` asks: it names kinds of pictures first, and a script or a person not.

    Source: Fetch, 4 (Fetching): the Accept of a request whose destination is "image".
    """
    return request.headers.get("Accept", "").startswith("image/")


def _show_placeholder(status: int, keeping: str) -> Response:
    # A browser shows a picture whatever its status is, and without it a sign of breakage.
    response = Response(_PLACEHOLDER, status, mimetype="image/svg+xml")
    response.headers["Cache-Control"] = keeping
    response.vary.add("Accept")
    return response


@dataclass(frozen=True)
class _Kept:
    """A picture of the cache. ``age_seconds``: since it was kept or touched."""

    data: bytes
    content_type: str
    path: Path
    age_seconds: float


class _ThumbnailCache:
    """Small pictures by a key of any text."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def takes(self, content_type: str) -> bool:
        """Whether this is a picture that a browser shows and that cannot hold a script."""
        return _clean(content_type) in _SUFFIXES

    def find(self, key: str) -> _Kept | None:
        place = self._place(key)
        for suffix, kind in _KINDS.items():
            path = place.with_suffix(suffix)
            with suppress(FileNotFoundError):
                age_seconds = time.time() - path.stat().st_mtime
                return _Kept(path.read_bytes(), kind, path, age_seconds)
        return None

    def touch(self, kept: _Kept) -> None:
        """Make it young again: what is looked at stays longest."""
        with suppress(OSError):
            os.utime(kept.path)

    def keep(self, key: str, data: bytes, content_type: str) -> None:
        """Write it, or leave it: a full disk must not keep a page from its pictures."""
        path = self._place(key).with_suffix(_SUFFIXES[_clean(content_type)])
        with suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            draft = path.with_name(f".{secrets.token_hex(6)}")
            draft.write_bytes(data)
            draft.replace(path)
            self._thin_out(path.parent)

    def _place(self, key: str) -> Path:
        name = hashlib.sha256(key.encode()).hexdigest()
        return self._folder / name[:2] / name[2:]

    def _thin_out(self, folder: Path) -> None:
        files = [entry for entry in os.scandir(folder) if entry.is_file()]
        if len(files) > _FILES_A_FOLDER:
            files.sort(key=lambda entry: entry.stat().st_mtime)
            for entry in files[: len(files) - _FILES_A_FOLDER // 2]:
                with suppress(FileNotFoundError):
                    Path(entry.path).unlink()


def _clean(content_type: str) -> str:
    return content_type.partition(";")[0].strip().lower()
