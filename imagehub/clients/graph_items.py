"""Convert Graph's JSON objects to our values."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from imagehub.clients import DriveInfo, DriveItem, Quota
from imagehub.clients.graph_errors import make_bad_answer_error
from imagehub.errors import NotFoundError

_MAX_ID_CHARS = 400


def read_drive(document: Mapping[str, Any], operation: str) -> DriveInfo:
    if not isinstance(document.get("id"), str):
        raise make_bad_answer_error(operation)
    quota = get_facet(document, "quota")
    total, used = find_number(quota, "total"), find_number(quota, "used")
    remaining = find_number(quota, "remaining")
    if used is None and total is not None and remaining is not None:
        used = max(0, total - remaining)  # "used" is missing in the documentation's sample
    owner = get_facet(document, "owner")
    person = get_facet(owner, "user") or get_facet(owner, "group")
    return DriveInfo(
        id=document["id"],
        kind=get_text(document, "driveType") or "business",
        owner_name=get_text(person, "displayName"),
        quota=Quota(total, used, remaining, get_text(quota, "state") or "normal"),
    )


def read_item(document: object, operation: str) -> DriveItem:
    """:raise ServiceRefusedError: ``bad_answer``, not the shape of an item."""
    if not isinstance(document, dict) or not isinstance(document.get("id"), str):
        raise make_bad_answer_error(operation)
    parent = get_facet(document, "parentReference")
    times = get_facet(document, "fileSystemInfo")
    file, folder = get_facet(document, "file"), get_facet(document, "folder")
    hashes, image = get_facet(file, "hashes"), get_facet(document, "image")
    is_remote = "remoteItem" in document
    is_folder = "folder" in document and not is_remote
    return DriveItem(
        id=document["id"],
        name=get_text(document, "name"),
        is_folder=is_folder,
        size_bytes=find_number(document, "size") or 0,
        created_time=get_text(document, "createdDateTime") or get_text(times, "createdDateTime"),
        modified_time=get_text(document, "lastModifiedDateTime")
        or get_text(times, "lastModifiedDateTime"),
        parent_id=get_text(parent, "id"),
        drive_id=get_text(parent, "driveId"),
        mime_type=get_text(file, "mimeType"),
        etag=get_text(document, "eTag"),
        ctag=get_text(document, "cTag"),
        quick_xor_hash=get_text(hashes, "quickXorHash"),
        child_count=find_number(folder, "childCount") or 0,
        width_px=find_number(image, "width") or 0,
        height_px=find_number(image, "height") or 0,
        # Notebooks, shortcuts into another drive, and everything else that is neither file nor
        # folder are shown but cannot be opened or downloaded.
        is_package="package" in document or is_remote or not (is_folder or "file" in document),
        is_deleted="deleted" in document,
        raw=_drop_secrets(document),
    )


def _drop_secrets(document: Mapping[str, Any]) -> dict[str, Any]:
    """Remove download addresses: whoever has one can download the file."""
    return {
        name: _drop_secrets(value) if isinstance(value, dict) else value
        for name, value in document.items()
        if not name.lower().endswith("downloadurl")
    }


def is_vault(document: Mapping[str, Any]) -> bool:
    return get_text(get_facet(document, "specialFolder"), "name").lower() == "vault"


def get_parent_id(item: Mapping[str, Any]) -> str:
    return get_text(get_facet(item, "parentReference"), "id")


def get_facet(document: object, name: str) -> dict[str, Any]:
    value = document.get(name) if isinstance(document, dict) else None
    return value if isinstance(value, dict) else {}


def get_text(document: Mapping[str, Any], name: str) -> str:
    value = document.get(name)
    return value if isinstance(value, str) else ""


def find_number(document: Mapping[str, Any], name: str) -> int | None:
    value = document.get(name)
    return int(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def find_time(value: object) -> datetime | None:
    try:
        moment = datetime.fromisoformat(value if isinstance(value, str) else "")
    except ValueError:
        return None
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


# --- Ids ------------------------------------------------------------------------------------------


def quote_id(item_id: str) -> str:
    """Quote an id as one segment of an address.

    :raise NotFoundError: it cannot be an id; dots would lead to the parent.
    """
    if not 0 < len(item_id) <= _MAX_ID_CHARS or item_id in (".", "..") or not item_id.isprintable():
        raise NotFoundError("drive item", item_id[:_MAX_ID_CHARS])
    return quote(item_id, safe="!")
