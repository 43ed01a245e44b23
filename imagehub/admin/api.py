"""The single-page app's calls for admins: OneDrive and the library. All ask for a bearer token."""

import logging
from collections.abc import Iterator
from typing import Annotated, Any, Literal, NotRequired, cast

from flask import Response, json, stream_with_context
from pydantic import BaseModel, Field
from sqlalchemy.orm import sessionmaker
from typing_extensions import TypedDict

from imagehub.admin import blueprint
from imagehub.admin.callback import finish_sign_in, make_callback_url
from imagehub.clients import Drive
from imagehub.database import db
from imagehub.domain.imports import jobs, reports
from imagehub.domain.library import images as library_images
from imagehub.domain.library import spa
from imagehub.domain.objects import bookkeeping
from imagehub.domain.onedrive import accounts, sign_in, status
from imagehub.domain.onedrive import folders as onedrive_folders
from imagehub.domain.sync import schedule
from imagehub.errors import (
    ConnectionLostError,
    ImageHubError,
    NotFoundError,
    ServiceBusyError,
    ServiceError,
    ServiceRefusedError,
)
from imagehub.web import note_action
from imagehub.web.openapi import (
    MAX_LIST_ITEMS,
    Api,
    LongText,
    Number,
    Text,
    answers_failure,
    get_api_token,
    get_caller,
)
from imagehub.wiring import get_clients, get_settings

log = logging.getLogger(__name__)

onedrive = Api(blueprint, "OneDrive")
images = Api(blueprint, "Library")

# As long as the columns that take them.
ItemId = Annotated[Text, Field(min_length=1, max_length=255)]
ItemName = Annotated[Text, Field(max_length=400)]


# --- OneDrive: parameters and answers -------------------------------------------------------------


class CodeFields(BaseModel):
    auth_code: Annotated[LongText, Field(min_length=1)]
    state: Text | None = None


class FolderNameFields(BaseModel):
    folder_name: Text


class RenameFields(BaseModel):
    item_id: ItemId
    new_name: Text


class FolderFields(BaseModel):
    folder_id: ItemId


class UploadFields(BaseModel):
    folder_id: ItemId
    file_name: Text


class ConnectedAnswer(TypedDict):
    code: Literal[1]
    hint: Literal["connection_successful"]


class NotConnectedAnswer(TypedDict):
    """``url`` is Microsoft's sign-in; ``reason`` says why there is none where it is empty."""

    code: Literal[0]
    hint: Literal["connection_failed"]
    url: str
    reason: NotRequired[str]


class FoundTokensAnswer(TypedDict):
    code: Literal[1]
    hint: Literal["found_tokens"]


class NoTokensAnswer(TypedDict):
    code: Literal[0]
    hint: Literal["found_tokens_failed"]
    url: str
    reason: str


class DriveFile(TypedDict):
    file_name: str
    file_size: int
    creation_time: str
    modification_time: str
    is_folder: Literal[False]


class DriveFolder(TypedDict):
    """Sizes in bytes, times ISO 8601; ``files`` by their ids."""

    folder_name: str
    folder_size: int
    creation_time: str
    modification_time: str
    is_folder: Literal[True]
    files: dict[str, DriveFile]


class FoldersAnswer(TypedDict):
    """``used_storage`` and ``total_storage`` in GiB; every other key is a folder's id."""

    code: Literal[1]
    folders: dict[str, float | DriveFolder]


class ReconnectAnswer(TypedDict):
    """``url`` is Microsoft's sign-in; empty for a token that may only read."""

    code: Literal[0]
    hint: Literal["refresh_token_expired_need_manual_authorization"]
    url: str
    reason: str


class UnreadableAnswer(TypedDict):
    code: Literal[99]
    hint: Literal["data_extraction_failed_from_json"]
    reason: str


class FolderAddedAnswer(TypedDict):
    """The folder as it was made: a taken name got a number."""

    code: Literal[1]
    hint: Literal["folder_creation_operation_successful"]
    folder_id: str
    folder_name: str


class FolderNotAddedAnswer(TypedDict):
    code: Literal[0]
    hint: Literal["folder_creation_operation_failed"]
    reason: str


class RenamedAnswer(TypedDict):
    code: Literal[1]
    hint: Literal["rename_operation_successful"]


class NotRenamedAnswer(TypedDict):
    code: Literal[0]
    hint: Literal["rename_operation_failed"]
    reason: str


class FolderDeletedAnswer(TypedDict):
    code: Literal[1]
    hint: Literal["folder_deletion_operation_successful"]


class FolderNotDeletedAnswer(TypedDict):
    code: Literal[0]
    hint: Literal["folder_deletion_operation_failed"]
    reason: str


class UploadAnswer(TypedDict):
    code: Literal[1]
    sessionUrl: str
    hint: Literal["got_session"]


class NoUploadAnswer(TypedDict):
    code: Literal[0]
    hint: Literal["couldn't_get_session"]
    reason: str


# --- OneDrive: calls ------------------------------------------------------------------------------


@onedrive.call(
    "GET /admin/onedrive/connect",
    answer=ConnectedAnswer | NotConnectedAnswer,
    access="token",
    # The sign-in that it may begin asks Microsoft for leave to change files.
    changes=True,
)
def api_connect() -> ConnectedAnswer | NotConnectedAnswer:
    """Ask whether OneDrive is connected; where it is not, begin a sign-in at Microsoft."""
    user_id = get_caller().id
    db.session.rollback()
    if status.is_connected(db.session(), get_clients()):
        return {"code": 1, "hint": "connection_successful"}
    url, reason = _begin_sign_in(user_id)
    answer: NotConnectedAnswer = {"code": 0, "hint": "connection_failed", "url": url}
    if reason:
        answer["reason"] = reason
    return answer


@onedrive.call(
    "POST /admin/auth/code",
    takes=CodeFields,
    answer=FoundTokensAnswer | NoTokensAnswer,
    access="token",
)
def api_send_code(fields: CodeFields) -> FoundTokensAnswer | NoTokensAnswer:
    """Hand over the code that Microsoft's sign-in came back with.

    The sign-in must have been begun with a token of the same user.
    """
    user_id = get_caller().id
    db.session.rollback()
    answer = {"code": fields.auth_code}
    if fields.state:
        answer["state"] = fields.state
    try:
        finish_sign_in(user_id, answer)
    except ServiceBusyError:
        raise
    except ImageHubError as error:
        db.session.rollback()
        url, _ = _begin_sign_in(user_id)
        return {"code": 0, "hint": "found_tokens_failed", "url": url, "reason": str(error)}
    return {"code": 1, "hint": "found_tokens"}


@onedrive.call(
    "GET /admin/onedrive/folders",
    answer=FoldersAnswer | ReconnectAnswer | UnreadableAnswer,
    access="token",
)
def api_folders() -> FoldersAnswer | ReconnectAnswer | UnreadableAnswer:
    """List the folders right in the root folder, and the files in each of them."""
    user_id = get_caller().id
    try:
        folders = onedrive_folders.list_folders_with_files(_open_drive())
    except (ConnectionLostError, ServiceRefusedError) as error:
        if isinstance(error, ServiceRefusedError) and error.reason != "wrong_client_secret":
            return _make_unreadable(error)
        url, _ = _begin_sign_in(user_id)
        return {
            "code": 0,
            "hint": "refresh_token_expired_need_manual_authorization",
            "url": url,
            "reason": str(error),
        }
    except (ServiceError, NotFoundError) as error:
        return _make_unreadable(error)
    return {"code": 1, "folders": folders}


@onedrive.call(
    "GET POST /admin/onedrive/add-folder",
    takes=FolderNameFields,
    answer=FolderAddedAnswer | FolderNotAddedAnswer,
    access="token",
)
@answers_failure(ImageHubError, tells_reason=True, code=0, hint="folder_creation_operation_failed")
def api_add_folder(fields: FolderNameFields) -> FolderAddedAnswer:
    """Make a folder in the root folder; a taken name gets a number."""
    folder = onedrive_folders.create_folder(_open_drive(), fields.folder_name)
    _log("create_folder", folder.id, folder.name)
    return {
        "code": 1,
        "hint": "folder_creation_operation_successful",
        "folder_id": folder.id,
        "folder_name": folder.name,
    }


@onedrive.call(
    "GET POST /admin/onedrive/rename",
    takes=RenameFields,
    answer=RenamedAnswer | NotRenamedAnswer,
    access="token",
)
@answers_failure(ImageHubError, tells_reason=True, code=0, hint="rename_operation_failed")
def api_rename(fields: RenameFields) -> RenamedAnswer:
    """Give a file or folder another name."""
    onedrive_folders.rename_item(_open_drive(), fields.item_id, fields.new_name)
    _log("rename_item_to", fields.item_id, fields.new_name)
    _look_again(fields.item_id)
    return {"code": 1, "hint": "rename_operation_successful"}


@onedrive.call(
    "GET POST /admin/onedrive/delete-folder",
    takes=FolderFields,
    answer=FolderDeletedAnswer | FolderNotDeletedAnswer,
    access="token",
)
@answers_failure(ImageHubError, tells_reason=True, code=0, hint="folder_deletion_operation_failed")
def api_delete_folder(fields: FolderFields) -> FolderDeletedAnswer:
    """Put a folder or file into OneDrive's recycle bin."""
    onedrive_folders.delete_item(_open_drive(), fields.folder_id)
    _log("delete_item", fields.folder_id)
    _look_again(fields.folder_id, with_all_below=True)
    return {"code": 1, "hint": "folder_deletion_operation_successful"}


@onedrive.call(
    "GET POST /admin/onedrive/upload-session",
    takes=UploadFields,
    answer=UploadAnswer | NoUploadAnswer,
    access="token",
)
@answers_failure(ImageHubError, tells_reason=True, code=0, hint="couldn't_get_session")
def api_upload_session(fields: UploadFields) -> UploadAnswer:
    """Get an address to which the browser sends the fragments of one new file.

    Fragments of 3,276,800 bytes, each with its Content-Range, by PUT.
    """
    upload = onedrive_folders.create_upload_session(
        _open_drive(), fields.folder_id, fields.file_name
    )
    _log("upload_files", fields.folder_id, fields.file_name)
    return {"code": 1, "sessionUrl": upload.upload_url, "hint": "got_session"}


def _log(action: str, key: str, name: str = "") -> None:
    """Commit the entry of what was done in OneDrive, which stays done whatever follows."""
    note_action(action, key, names=[name] if name else [])
    db.session.commit()


def _open_drive() -> Drive:
    """The connected drive, with the database let go: OneDrive may take its time."""
    opened = accounts.open_active_drive(db.session(), get_clients())
    db.session.rollback()
    return opened


def _look_again(item_id: str, with_all_below: bool = False) -> None:
    """Have the images that come from what was changed follow soon."""
    account_id = accounts.get_active_account(db.session()).id
    db.session.rollback()
    schedule.note_changes(db.session(), account_id, [item_id], with_all_below)


def _begin_sign_in(user_id: int) -> tuple[str, str]:
    """An address at Microsoft to sign in at, or "" and the reason why there is none."""
    made = get_api_token()
    if made is not None and made.scope != "write":
        return "", "A token that may only read begins no sign-in at Microsoft."
    redirect_uri = get_settings().ms_spa_redirect_uri or make_callback_url()
    db.session.rollback()
    try:
        url = sign_in.start_connection(db.session(), get_clients(), user_id, redirect_uri)
    except ServiceRefusedError as error:
        return "", str(error)
    db.session.commit()
    return url, ""


def _make_unreadable(error: ImageHubError) -> UnreadableAnswer:
    log.warning("the folders of OneDrive could not be read: %s", error)
    return {"code": 99, "hint": "data_extraction_failed_from_json", "reason": str(error)}


# --- Library: parameters and answers --------------------------------------------------------------


class GroupImageFields(BaseModel):
    group_id: Number
    image_id: Number | None = None


class ChosenFile(BaseModel):
    file_name: ItemName
    file_id: ItemId


class ChosenFolder(BaseModel):
    """Files of one folder; ``group`` is a group's number, or -1 for one new group of all."""

    all_image_id: Annotated[list[ChosenFile], Field(max_length=MAX_LIST_ITEMS)]
    group: Number
    folder_name: ItemName


class AddFields(BaseModel):
    """Chosen files by the id of their folder."""

    image_list: dict[ItemId, ChosenFolder]


class DoomedImage(BaseModel):
    folder_name: ItemName = ""
    image_id: Number
    image_name: ItemName = ""


class DeleteFields(BaseModel):
    """Images by the number of their group."""

    image_list: Annotated[
        dict[Number, Annotated[list[DoomedImage], Field(max_length=MAX_LIST_ITEMS)]],
        Field(json_schema_extra={"propertyNames": {"pattern": "^[0-9]{1,18}$"}}),
    ]


class GroupNumbersAnswer(TypedDict):
    data: list[int]


class ListedImage(TypedDict):
    folder_name: str
    image_id: int
    image_name: str


class ListedGroup(TypedDict):
    images: list[ListedImage]


class AllImagesAnswer(TypedDict):
    code: Literal[1]
    data: dict[str, ListedGroup]


class NoImagesAnswer(TypedDict):
    code: Literal[0]
    hint: Literal["empty_database"]


class GotImageAnswer(TypedDict):
    code: Literal[1]
    image: str
    hint: Literal["got_image"]
    width: int
    height: int
    alt: str


class NoImageAnswer(TypedDict):
    code: Literal[0]
    hint: Literal["couldn't_get_image"]


class FailedFile(TypedDict):
    file_id: str
    file_name: str
    reason: str


class AddedAnswer(TypedDict):
    """``job`` is the import's number; ``failed`` what is known to have failed by now."""

    code: Literal[1]
    hint: Literal["image_added_in_database"]
    job: int
    failed: list[FailedFile]


class NotAddedAnswer(TypedDict):
    """``job`` is null where the list was refused before anything began."""

    code: Literal[2]
    hint: Literal["invalid image list"]
    job: int | None
    failed: list[FailedFile]
    reason: NotRequired[str]


class DeletedAnswer(TypedDict):
    code: Literal[1]
    hint: Literal["image_deleted_from_database"]


# --- Library: calls -------------------------------------------------------------------------------


@images.call("GET /admin/groups", answer=GroupNumbersAnswer, access="token")
def api_groups() -> GroupNumbersAnswer:
    """List the numbers of all groups that have images."""
    return {"data": spa.list_group_numbers(db.session())}


@images.call("GET /admin/groups/images", answer=AllImagesAnswer | NoImagesAnswer, access="token")
def api_all_images() -> Response | NoImagesAnswer:
    """List all images by the number of their group.

    The answer is written while it is read, so that a library of any size passes.
    """
    groups = spa.iter_groups(db.session())
    first = next(groups, None)
    if first is None:
        return {"code": 0, "hint": "empty_database"}
    return Response(stream_with_context(_write_groups(first, groups)), mimetype="application/json")


@images.call(
    "GET /admin/image",
    takes=GroupImageFields,
    answer=GotImageAnswer | NoImageAnswer,
    access="token",
)
@answers_failure(NotFoundError, code=0, hint="couldn't_get_image")
def api_admin_image(fields: GroupImageFields) -> GotImageAnswer:
    """Find one image, or the first of its group; its rendition is of 480 pixels."""
    image = spa.get_image(db.session(), fields.group_id, fields.image_id)
    rendition = library_images.pick_rendition(image, library_images.LOW_RESOLUTION_PX)
    return {
        "code": 1,
        "image": get_clients().store.make_presigned_url(rendition.object_key),
        "hint": "got_image",
        "width": rendition.width_px,
        "height": rendition.height_px,
        "alt": image.alt,
    }


@images.call(
    "POST /admin/add/image",
    takes=AddFields,
    answer=AddedAnswer | NotAddedAnswer,
    access="token",
    takes_forms=False,
)
def api_add_images(fields: AddFields) -> AddedAnswer | NotAddedAnswer:
    """Import chosen files of OneDrive, and wait a little for the result.

    The import goes on after this call has answered.
    """
    user_id = get_caller().id
    selections = [
        jobs.Selection(
            folder_id=folder_id,
            folder_name=folder.folder_name,
            group=None if folder.group == -1 else folder.group,
            files=[(file.file_id, file.file_name) for file in folder.all_image_id],
        )
        for folder_id, folder in fields.image_list.items()
        if folder.all_image_id
    ]
    try:
        account = accounts.get_active_account(db.session())
        job = jobs.create_import(db.session(), account.id, user_id, selections)
    except ImageHubError as error:
        db.session.rollback()
        failed = [
            FailedFile(file_id=file_id, file_name=name, reason=str(error))
            for selection in selections
            for file_id, name in selection.files
        ]
        return {"code": 2, "hint": "invalid image list", "job": None, "failed": failed}
    job_id, count = job.id, job.item_count
    note_action("start_import", job_id, count=count)
    db.session.commit()
    report = reports.wait_for_job(
        sessionmaker(db.engine), job_id, get_settings().import_wait_seconds
    )
    failures = [
        FailedFile(file_id=item.file_id, file_name=item.file_name, reason=item.reason)
        for item in (*report.failed, *report.dismissed)
    ]
    if report.is_finished and not report.done_count + report.skipped_count:
        return {"code": 2, "hint": "invalid image list", "job": job_id, "failed": failures}
    return {"code": 1, "hint": "image_added_in_database", "job": job_id, "failed": failures}


@images.call(
    "POST /admin/delete/image",
    takes=DeleteFields,
    answer=DeletedAnswer,
    access="token",
    takes_forms=False,
)
def api_delete_images(fields: DeleteFields) -> DeletedAnswer:
    """Take images out of the hub; OneDrive keeps the originals."""
    session = db.session()
    chosen = {
        group: [image.image_id for image in doomed] for group, doomed in fields.image_list.items()
    }
    ids = list(spa.list_image_ids(session, chosen))
    keys = library_images.delete_images(session, ids)
    if ids:
        note_action("delete_images", min(chosen), count=len(ids))
    # The worker's next sweep deletes the renditions.
    bookkeeping.leave_unused(session, keys)
    session.commit()
    return {"code": 1, "hint": "image_deleted_from_database"}


def _write_groups(first: spa.ListedGroup, others: Iterator[spa.ListedGroup]) -> Iterator[str]:
    yield '{"code":1,"data":{' + _write_group(first)
    for group in others:
        yield "," + _write_group(group)
    yield "}}\n"


def _write_group(group: spa.ListedGroup) -> str:
    listed: ListedGroup = {
        "images": [
            {"folder_name": image.folder_name, "image_id": image.number, "image_name": image.name}
            for image in group.images
        ]
    }
    return f'"{group.number}":' + json.dumps(cast(Any, listed), separators=(",", ":"))
