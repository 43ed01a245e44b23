"""What the upload of the drive browser asks of the hub: names, folders, addresses, the import.

All answer JSON. The bytes go from the browser to OneDrive; see ``static/js/admin/upload-send.js``.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import wraps
from typing import Annotated, Any, Literal, TypeVar

from flask import Response, jsonify, request, url_for
from flask_login import current_user
from pydantic import BaseModel, Field, ValidationError

from imagehub.admin import blueprint
from imagehub.admin.drive_access import open_drive
from imagehub.admin.drive_words import describe_entry
from imagehub.admin.open_uploads import OpenUploads
from imagehub.admin.words import describe_count
from imagehub.clients import Drive, DriveItem
from imagehub.database import db, now_utc
from imagehub.domain.imports import from_upload
from imagehub.domain.onedrive import entries, uploads
from imagehub.domain.people import audit
from imagehub.domain.sync import schedule
from imagehub.errors import InvalidInputError, ServiceRefusedError
from imagehub.queue import enqueue_job
from imagehub.web import note_action
from imagehub.wiring import get_clients, get_settings

ItemId = Annotated[str, Field(min_length=1, max_length=255)]
Name = Annotated[str, Field(max_length=1000)]
Conflict = Literal["fail", "replace", "rename"]
Fields = TypeVar("Fields", bound=BaseModel)

_MAX_PATHS = 2000


class PathsFields(BaseModel):
    """``paths``: names, or "/"-separated paths below the folder."""

    folder: ItemId
    paths: Annotated[list[Annotated[str, Field(max_length=4000)]], Field(max_length=_MAX_PATHS)]


class FolderPathFields(BaseModel):
    folder: ItemId
    path: Annotated[list[Name], Field(max_length=uploads.MAX_DEPTH)]


class BeginFields(BaseModel):
    """``size`` in bytes: an empty file is made at once, for any other an address is given.

    ``upload``: a word of the browser's own for this one upload. With it an address that never
    arrived there is given once more, unless it is the one of ``given_up``: when that was begun.
    ``others``: names in the folder that its other uploads have or ask for. ``hash``: quickXorHash
    of the file in base64, for the calls that look whether it has arrived.
    """

    folder: ItemId
    name: Name
    size: Annotated[int, Field(ge=0)]
    on_conflict: Conflict = "fail"
    upload: Annotated[str, Field(max_length=80)] = ""
    given_up: Annotated[str, Field(max_length=80)] = ""
    others: Annotated[list[Name], Field(max_length=_MAX_PATHS)] = []
    hash: Annotated[str, Field(max_length=80)] = ""


class CheckFields(BeginFields):
    """``begun_at``: what :func:`begin_upload` answered."""

    begun_at: datetime


class UploadedFields(BaseModel):
    """``folder_name``: "" for the root folder. ``is_replaced``: in the place of another file.

    ``type``: the media type, "" where it is not known; ``size`` in bytes.
    """

    id: ItemId
    name: Name
    folder: ItemId
    folder_name: Annotated[str, Field(max_length=1000)] = ""
    is_replaced: bool = False
    type: Annotated[str, Field(max_length=255)] = ""
    size: Annotated[int, Field(ge=0)] | None = None


class ReplacedFields(BaseModel):
    """``items``: files that took the place of others, whose ids they have."""

    items: Annotated[list[ItemId], Field(min_length=1, max_length=5000)]


class ImportFields(BaseModel):
    """``group``: a group's number; else ``grouping`` says how new groups are made."""

    files: Annotated[list[UploadedFields], Field(min_length=1, max_length=5000)]
    grouping: from_upload.Grouping = "one"
    group: int | None = None


def _takes(kind: type[Fields]) -> Callable[[Callable[[Fields], Any]], Callable[[], Response]]:
    """Read the JSON body as ``kind`` and answer the view's value as JSON."""

    def decorate(view: Callable[[Fields], Any]) -> Callable[[], Response]:
        @wraps(view)
        def answer() -> Response:
            try:
                fields = kind.model_validate(request.get_json(silent=True))
            except ValidationError as error:
                wrong = {".".join(map(str, e["loc"])): e["msg"] for e in error.errors()}
                raise InvalidInputError("This cannot be understood.", wrong) from error
            response = jsonify(view(fields))
            # An upload address lets anybody write who reads it.
            response.headers["Cache-Control"] = "no-store"
            return response

        return answer

    return decorate


@blueprint.post("/admin/drive/upload/paths")
@_takes(PathsFields)
def check_upload_paths(fields: PathsFields) -> dict[str, Any]:
    """Which names OneDrive would refuse, why, and what to call them instead."""
    _, opened = open_drive()
    checks = uploads.check_paths(opened, fields.folder, fields.paths)
    return {
        "refused": [
            {"path": check.path, "fault": check.fault, "repaired": check.repaired}
            for check in checks
            if check.fault
        ]
    }


@blueprint.post("/admin/drive/upload/folder")
@_takes(FolderPathFields)
def ensure_upload_folder(fields: FolderPathFields) -> dict[str, Any]:
    """The folder at a path, made where it is missing."""
    _, opened = open_drive(for_change=True)
    folder, made = uploads.ensure_folder(opened, fields.folder, fields.path)
    for one in made:
        _count_in_log(
            "make",
            one.parent_id or fields.folder,
            one.name,
            lambda count: f"Made {describe_count(count, 'folder')} for uploads to OneDrive",
        )
    return {"id": folder.id, "name": folder.name}


@blueprint.post("/admin/drive/upload/begin")
@_takes(BeginFields)
def begin_upload(fields: BeginFields) -> dict[str, Any]:
    """An address for the fragments of one file; an empty file is made here and now.

    ``refused``: ``name_taken``, and somebody has to say what shall become of that;
    ``session_open``, an earlier upload of this name is not over; ``quota_full``. ``is_known``: the
    address was given before, and some of the bytes may be there. ``item``: all of them are there;
    the page went before it could keep the address or hear the end. ``needs_hash``: to tell that,
    the call must be sent once more with the file's hash.
    """
    account_id, opened = open_drive(for_change=True)
    begun_at = now_utc()
    vault = get_clients().vault
    assert vault is not None
    memory = OpenUploads(get_settings().data_dir / "uploads", vault)
    key = f"{account_id}\n{fields.folder}\n{fields.name}\n{fields.upload}"
    known = memory.find(key) if fields.upload else None
    if known is not None:
        arrived = _find_arrived(opened, fields, datetime.fromisoformat(known[1]))
        if arrived is not None and fields.size and not fields.hash and arrived.quick_xor_hash:
            return {"needs_hash": True}
        if arrived is not None:
            return {"item": _describe(account_id, arrived)}
    try:
        if not fields.size:
            if fields.upload:
                # It has no session, so that it was asked for is all that can be known of it.
                memory.keep(key, "", begun_at.isoformat())
            item = opened.create_empty_file(fields.folder, fields.name, fields.on_conflict)
            _note_upload(fields)
            return {"item": _describe(account_id, item)}
        session = uploads.start_upload(opened, fields.folder, fields.name, fields.on_conflict)
    except ServiceRefusedError as error:
        if error.reason not in ("name_taken", "session_open", "quota_full"):
            raise
        if not fields.size:
            memory.forget(key)
        elif error.reason == "session_open" and fields.upload:
            # Its page may have asked twice, and the first answer may have come since.
            known = memory.find(key)
            if known is not None and known[0] and known[1] != fields.given_up:
                return {"upload_url": known[0], "begun_at": known[1], "is_known": True}
        return {"refused": error.reason, "message": str(error)}
    if fields.upload:
        memory.keep(key, session.upload_url, begun_at.isoformat())
    _note_upload(fields)
    return {
        "upload_url": session.upload_url,
        "expires_at": session.expires_at.isoformat() if session.expires_at else "",
        "begun_at": begun_at.isoformat(),
        "is_known": False,
    }


def _note_upload(fields: BeginFields) -> None:
    """Write down that a file is on its way to OneDrive, or takes the place of another one there.

    The hub is not asked when the last byte has come, so what it lets begin is what is written: one
    line for a folder and hour, with the names as far as it has room.
    """
    is_replaced = fields.on_conflict == "replace"

    def begin(count: int) -> str:
        files = describe_count(count, "file")
        verb = f"replace {files} in" if is_replaced else f"upload {files} to"
        return f"Began to {verb} OneDrive"

    _count_in_log("replace" if is_replaced else "upload", fields.folder, fields.name, begin)


def _count_in_log(verb: str, folder_id: str, name: str, begin: Callable[[int], str]) -> None:
    """Add a name to the line of its folder and hour, which says how many there are."""

    def describe(count: int, before: str) -> str:
        # No name in OneDrive has a colon.
        names, quoted = before.partition(": ")[2].removesuffix("."), f"“{name}”"
        if quoted in names:
            return before
        return f"{begin(count)}: {names}, {quoted}." if names else f"{begin(count)}: {quoted}."

    actor = current_user._get_current_object()
    address = request.remote_addr or ""
    audit.count_up(db.session(), actor, verb, "drive", folder_id, describe, address)


@blueprint.post("/admin/drive/upload/find")
@_takes(CheckFields)
def find_uploaded_file(fields: CheckFields) -> dict[str, Any]:
    """The file that an upload became, where its last answer was lost; ``item`` is null if none."""
    begun_at = fields.begun_at
    if begun_at.tzinfo is None:
        begun_at = begun_at.replace(tzinfo=UTC)
    begun_at = max(begun_at, now_utc() - timedelta(days=30))
    account_id, opened = open_drive()
    item = _find_arrived(opened, fields, begun_at)
    return {"item": _describe(account_id, item) if item else None}


def _find_arrived(opened: Drive, fields: BeginFields, begun_at: datetime) -> DriveItem | None:
    return uploads.find_uploaded(
        opened,
        fields.folder,
        fields.name,
        fields.size,
        begun_at,
        fields.on_conflict,
        fields.others,
        fields.hash,
    )


@blueprint.post("/admin/drive/upload/item")
@_takes(UploadedFields)
def show_uploaded_item(fields: UploadedFields) -> dict[str, Any]:
    """An uploaded file as the drive browser shows it, asked for at OneDrive."""
    account_id, opened = open_drive()
    return {"item": _describe(account_id, opened.get_item(fields.id))}


@blueprint.post("/admin/drive/upload/replaced")
@_takes(ReplacedFields)
def note_replaced_files(fields: ReplacedFields) -> dict[str, Any]:
    """Have a worker look soon whether images come from these files, and so have changed."""
    account_id, _ = open_drive()
    schedule.note_changes(db.session(), account_id, fields.items)
    return {}


@blueprint.post("/admin/drive/upload/import")
@_takes(ImportFields)
def import_uploaded_files(fields: ImportFields) -> dict[str, Any]:
    """Import what was uploaded; asking twice is the same as asking once.

    ``job`` is null where nothing of it is left to import: ``known`` files are in the hub already,
    or on their way, and ``refused`` says how many are no pictures, and why. Of a file that took the
    place of another, the image is made anew.
    """
    # Each file is held against the root folder when a worker opens it.
    account_id, _ = open_drive()
    files = [
        from_upload.Uploaded(
            file.id,
            file.name,
            file.folder,
            file.folder_name,
            file.is_replaced,
            file.type,
            file.size,
        )
        for file in fields.files
    ]
    begun = from_upload.import_uploaded(
        db.session(), account_id, current_user.id, files, fields.grouping, fields.group
    )
    answer = {
        "job": None,
        "count": 0,
        "url": "",
        "known": begun.known_count,
        "refused": [{"reason": why, "count": count} for why, count in begun.refused.items()],
    }
    if begun.job is None:
        db.session.rollback()
        return answer
    job_id, count = begun.job.id, begun.job.item_count
    words = f"Uploaded {describe_count(count, 'picture')} to OneDrive and began to import them."
    note_action("create", "import", job_id, words)
    db.session.commit()
    enqueue_job(get_settings(), job_id, count)
    url = url_for(".show_import", number=job_id)
    return answer | {"job": job_id, "count": count, "url": url}


def _describe(account_id: int, item: DriveItem) -> dict[str, Any]:
    (entry,) = entries.mark_items(db.session(), account_id, [item])
    return describe_entry(entry)
