"""Thumbnails of files in OneDrive, with a cache in the data folder.

The cache has a maximum size and can be deleted at any time.
"""

import hashlib
import os
import secrets
import time
from contextlib import suppress
from pathlib import Path

from flask import Response, request
from flask.typing import ResponseReturnValue

from imagehub.admin import blueprint
from imagehub.admin.drive import open_drive
from imagehub.errors import ConnectionLostError, ImageHubError, NotFoundError, ServiceError
from imagehub.web.errors import get_error_status, on_refusal
from imagehub.web.forms import Form, FormText, read_query
from imagehub.wiring import get_settings

_SIZES = ("small", "medium", "large")
_YEAR_SECONDS = 365 * 86_400
# Values of the root folder without a boundary.
_WHOLE_DRIVE = ("root", "/")
# How long an item counts as inside the root folder without another request.
_INSIDE_SECONDS = 600

# Shown if there is no thumbnail, in a grey that is visible on light and dark backgrounds. It has no
# size, so it fills any frame, and the icon in its middle stays small.
_PLACEHOLDER = """\
<svg xmlns="http://www.w3.org/2000/svg"><svg x="50%" y="50%" overflow="visible"><g
 transform="translate(-12 -12)" fill="none" stroke="#85827c" stroke-width="1.5"
 stroke-linecap="round" stroke-linejoin="round"><path d="M6 22a2 2 0 0 1-2-2V4a2 2 0 0 1 2-2h8a2.4
 2.4 0 0 1 1.704.706l3.588 3.588A2.4 2.4 0 0 1 20 8v12a2 2 0 0 1-2 2z"/><path
 d="M14 2v5a1 1 0 0 0 1 1h5"/><circle cx="10" cy="12" r="2"/><path
 d="m20 17-1.296-1.296a2.41 2.41 0 0 0-3.408 0L9 22"/></g></svg></svg>
"""

# The image types that browsers show and that cannot hold a script.
_SUFFIXES = {"image/jpeg": ".jpg", "image/png": ".png", "image/webp": ".webp", "image/gif": ".gif"}
_KINDS = {suffix: kind for kind, suffix in _SUFFIXES.items()}
# 256 folders of this many: some 20,000 thumbnails, of 5 to 80 kB each.
_FILES_A_FOLDER = 80


class ThumbnailQuery(Form):
    """``v`` changes with the content of the file; with it the browser may keep the thumbnail."""

    size: FormText = "medium"
    v: FormText = ""


def _show_placeholder_for(error: ImageHubError, **_view: str) -> ResponseReturnValue:
    if not _wants_picture():
        raise error
    return _show_placeholder(get_error_status(error), "no-store")


@blueprint.get("/admin/drive/thumbnail/<item_id>")
@on_refusal(_show_placeholder_for, NotFoundError, ConnectionLostError, ServiceError)
def show_drive_thumbnail(item_id: str) -> ResponseReturnValue:
    """Send the thumbnail of a file, fetched from OneDrive once for each version of the file.

    The answer is empty if there is none. An ``<img>`` gets an icon instead, also with an error.
    """
    query = read_query(ThumbnailQuery)
    size, version = query.size, query.v[:64]
    if size not in _SIZES:
        raise NotFoundError("thumbnail", size)
    account_id, opened = open_drive()
    # With another root folder the boundary has changed, so earlier entries do not count.
    key = f"{account_id}\n{opened.root_folder}\n{item_id}\n{version}\n{size}"
    name = hashlib.sha256(key.encode()).hexdigest()
    place = get_settings().data_dir / "thumbnails" / name[:2] / name[2:]
    kept = _find_kept(place) if version else None
    if kept is not None:
        data, path, age_seconds = kept
        kind = _KINDS[path.suffix]
        if age_seconds > _INSIDE_SECONDS:
            if opened.root_folder not in _WHOLE_DRIVE:
                opened.get_item(item_id)  # It may have been moved out of the root folder.
            with suppress(OSError):
                os.utime(path)
    else:
        data, kind = opened.fetch_thumbnail(item_id, size) or (b"", "")
        kind = kind.partition(";")[0].strip().lower()
        if kind not in _SUFFIXES:
            # OneDrive makes them some seconds after an upload, and for some files never.
            keeping = "private, max-age=30"
            if _wants_picture():
                return _show_placeholder(200, keeping)
            return "", 204, {"Cache-Control": keeping, "Vary": "Accept"}
        if version:
            _keep(place, data, kind)
    keeping = f"private, max-age={_YEAR_SECONDS}, immutable" if version else "private, no-cache"
    return Response(data, headers={"Cache-Control": keeping}, mimetype=kind)


def _wants_picture() -> bool:
    """Tell whether an ``<img>`` sent the request: only then the Accept begins with an image type.

    Source: Fetch, 4 (Fetching): the Accept of a request whose destination is "image".
    """
    return request.headers.get("Accept", "").startswith("image/")


def _show_placeholder(status: int, keeping: str) -> Response:
    # A browser shows an image with any status, and a broken image without one.
    headers = {"Cache-Control": keeping, "Vary": "Accept"}
    return Response(_PLACEHOLDER, status, headers, mimetype="image/svg+xml")


# --- The cache ------------------------------------------------------------------------------------


def _find_kept(place: Path) -> tuple[bytes, Path, float] | None:
    """Find a thumbnail: its bytes, its file, and the seconds since it was stored or last used."""
    for suffix in _KINDS:
        path = place.with_suffix(suffix)
        with suppress(FileNotFoundError):
            return path.read_bytes(), path, time.time() - path.stat().st_mtime
    return None


def _keep(place: Path, data: bytes, kind: str) -> None:
    """Store a thumbnail; a failure is ignored, since the cache is optional."""
    with suppress(OSError):
        place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft = place.with_name(f".{secrets.token_hex(6)}")
        draft.write_bytes(data)
        draft.replace(place.with_suffix(_SUFFIXES[kind]))
        _thin_out(place.parent)


def _thin_out(folder: Path) -> None:
    """Delete the least recently used thumbnails of a full folder."""
    files = [entry for entry in os.scandir(folder) if entry.is_file()]
    if len(files) > _FILES_A_FOLDER:
        files.sort(key=lambda entry: entry.stat().st_mtime)
        for entry in files[: len(files) - _FILES_A_FOLDER // 2]:
            with suppress(FileNotFoundError):
                Path(entry.path).unlink()
