"""The requests of an upload in the drive browser: names, folders, addresses, the import.

All answer JSON. The bytes go from the browser to OneDrive; see ``static/js/admin/upload-send.js``.
"""

from typing import Annotated, Any, Literal

from flask import Response, jsonify, url_for
from flask_login import current_user
from pydantic import AwareDatetime, BaseModel, Field

from imagehub.admin import blueprint
from imagehub.admin.drive import describe_items, open_drive, show_name
from imagehub.clients import ConflictBehavior, DriveItem
from imagehub.database import db
from imagehub.domain.imports import from_upload
from imagehub.domain.onedrive import uploads
from imagehub.domain.sync import schedule
from imagehub.web import commit_action, count_action
from imagehub.web.forms import read_json
from imagehub.web.i18n import translate
from imagehub.wiring import get_clients

ItemId = Annotated[str, Field(min_length=1, max_length=255)]
Name = Annotated[str, Field(max_length=1000)]

_MAX_PATHS = 2000


class PathsFields(BaseModel):
    """``paths``: names, or "/"-separated paths below the folder."""

    folder: ItemId
    paths: Annotated[list[Annotated[str, Field(max_length=4000)]], Field(max_length=_MAX_PATHS)]


class FolderPathFields(BaseModel):
    """``path``: the names of folders below ``folder``, from the top down."""

    folder: ItemId
    path: Annotated[list[Name], Field(max_length=uploads.MAX_DEPTH)]


class FileFields(BaseModel):
    """The file to upload, see :class:`imagehub.domain.onedrive.uploads.Upload`."""

    folder: ItemId
    name: Name
    size: Annotated[int, Field(ge=0)]
    on_conflict: ConflictBehavior = "fail"
    others: Annotated[list[Name], Field(max_length=_MAX_PATHS)] = []
    hash: Annotated[str, Field(max_length=80)] = ""

    def get_facts(self) -> tuple[str, str, int, ConflictBehavior, list[str], str]:
        return self.folder, self.name, self.size, self.on_conflict, self.others, self.hash


class BeginFields(FileFields):
    """See :class:`imagehub.domain.onedrive.uploads.Upload`. ``upload`` is its ``word``."""

    upload: Annotated[str, Field(max_length=80)] = ""
    given_up: AwareDatetime | Literal[""] = ""


class FindFields(FileFields):
    begun_at: AwareDatetime


class ItemFields(BaseModel):
    """A file or folder by its id."""

    id: ItemId


class UploadedFields(ItemFields):
    """See :class:`imagehub.domain.imports.from_upload.Uploaded`."""

    name: Name
    folder: ItemId
    folder_name: Name = ""
    is_replaced: bool = False
    type: Annotated[str, Field(max_length=255)] = ""
    size: Annotated[int, Field(ge=0)] | None = None


class ReplacedFields(BaseModel):
    """``items``: ids of files that were replaced."""

    items: Annotated[list[ItemId], Field(min_length=1, max_length=5000)]


class ImportFields(BaseModel):
    """``group``: the id of an existing group; otherwise ``grouping`` says how groups are made."""

    files: Annotated[list[UploadedFields], Field(min_length=1, max_length=5000)]
    grouping: from_upload.Grouping = "one"
    group: int | None = None


@blueprint.post("/admin/drive/upload/paths")
def check_upload_paths() -> Response:
    """Tell which names OneDrive would refuse, why, and how to correct them."""
    fields = read_json(PathsFields)
    _, opened = open_drive()
    refused = [
        {"path": check.path, "fault": translate(check.fault), "repaired": check.repaired}
        for check in uploads.check_paths(opened, fields.folder, fields.paths)
        if check.fault
    ]
    return _answer(refused=refused)


@blueprint.post("/admin/drive/upload/folder")
def ensure_upload_folder() -> Response:
    """Give the folder at a path; create it if it is missing."""
    fields = read_json(FolderPathFields)
    _, opened = open_drive(for_change=True)
    folder, created = uploads.ensure_folder(opened, fields.folder, fields.path)
    for one in created:
        count_action("create_folders", one.parent_id or fields.folder, show_name(one.name))
    return _answer(id=folder.id, name=folder.name)


@blueprint.post("/admin/drive/upload/begin")
def begin_upload() -> Response:
    """Give an address for the bytes of one file; see :class:`uploads.Begun`."""
    fields = read_json(BeginFields)
    account_id, opened = open_drive(for_change=True)
    upload = uploads.Upload(*fields.get_facts(), fields.upload, fields.given_up or None)
    begun = uploads.begin_upload(db.session(), get_clients().vault, account_id, opened, upload)
    if begun.is_new:
        # One entry for a folder and hour. OneDrive does not report the end of an upload.
        action = "replace_files" if fields.on_conflict == "replace" else "upload_files"
        count_action(action, fields.folder, show_name(fields.name))
    if begun.needs_hash:
        return _answer(needs_hash=True)
    if begun.refused:
        return _answer(refused=begun.refused, message=translate(begun.message))
    if begun.item is not None:
        return _answer(item=_describe(account_id, begun.item))
    return _answer(
        upload_url=begun.address,
        expires_at=begun.expires_at.isoformat() if begun.expires_at else "",
        begun_at=begun.begun_at.isoformat() if begun.begun_at else "",
        is_known=begun.is_known,
    )


@blueprint.post("/admin/drive/upload/find")
def find_uploaded_file() -> Response:
    """Find the file that an upload became, if the last answer was lost; ``item`` may be null."""
    fields = read_json(FindFields)
    account_id, opened = open_drive()
    item = uploads.find_uploaded(opened, uploads.Upload(*fields.get_facts()), fields.begun_at)
    return _answer(item=_describe(account_id, item) if item else None)


@blueprint.post("/admin/drive/upload/item")
def show_uploaded_item() -> Response:
    """Give an uploaded file as the drive browser shows it."""
    fields = read_json(ItemFields)
    account_id, opened = open_drive()
    return _answer(item=_describe(account_id, opened.get_item(fields.id)))


@blueprint.post("/admin/drive/upload/replaced")
def note_replaced_files() -> Response:
    """Have a worker check the images of files that were replaced."""
    fields = read_json(ReplacedFields)
    account_id, _ = open_drive()
    schedule.note_changes(db.session(), account_id, fields.items)
    return _answer()


@blueprint.post("/admin/drive/upload/import")
def import_uploaded_files() -> Response:
    """Import uploaded files; repeating the request changes nothing.

    ``job`` is null if nothing is left to import. ``known``: how many files are imported already, or
    waiting. ``refused``: how many files are not pictures, and why. The images of replaced files are
    imported again.
    """
    fields = read_json(ImportFields)
    # A worker makes sure that each file is inside the root folder before it opens it.
    account_id, _ = open_drive()
    files = [
        from_upload.Uploaded(f.id, f.name, f.folder, f.folder_name, f.is_replaced, f.type, f.size)
        for f in fields.files
    ]
    begun = from_upload.import_uploaded(
        db.session(), account_id, current_user.id, files, fields.grouping, fields.group
    )
    refused = [{"reason": translate(why), "count": count} for why, count in begun.refused.items()]
    if begun.job is None:
        return _answer(job=None, count=0, url="", known=begun.known_count, refused=refused)
    job_id, count = begun.job.id, begun.job.item_count
    commit_action("import_uploads", job_id, count=count)
    url = url_for(".show_import", number=job_id)
    return _answer(job=job_id, count=count, url=url, known=begun.known_count, refused=refused)


def _answer(**facts: Any) -> Response:
    response = jsonify(facts)
    # Whoever has an upload address can write the file.
    response.headers["Cache-Control"] = "no-store"
    return response


def _describe(account_id: int, item: DriveItem) -> dict[str, Any]:
    return describe_items(account_id, [item])[0]
