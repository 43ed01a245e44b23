"""Calls of the JSON API for OneDrive. All ask for a bearer token."""

import logging
from collections.abc import Callable
from typing import Annotated, Any, Literal, NotRequired

from pydantic import BaseModel, Field
from typing_extensions import TypedDict

from imagehub.admin import blueprint
from imagehub.admin.connection_pages import finish_sign_in, make_callback_url
from imagehub.admin.drive import open_drive
from imagehub.database import db, end_read
from imagehub.domain.onedrive import accounts, sign_in, status
from imagehub.domain.onedrive import folders as onedrive_folders
from imagehub.domain.sync import schedule
from imagehub.errors import (
    SIGN_IN,
    ConnectionLostError,
    ImageHubError,
    NotFoundError,
    ServiceBusyError,
    ServiceError,
    ServiceRefusedError,
)
from imagehub.web import commit_action
from imagehub.web.errors import on_refusal
from imagehub.web.openapi import Api, LongText, Text, get_api_token, get_caller
from imagehub.wiring import get_clients, get_settings

log = logging.getLogger(__name__)

onedrive = Api(blueprint, "OneDrive")


# --- Parameters and answers -----------------------------------------------------------------------

ItemId = Annotated[Text, Field(min_length=1, max_length=255)]


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
    """``url`` is Microsoft's sign-in; ``reason`` says why it is needed, or why ``url`` is empty."""

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


# --- Helpers --------------------------------------------------------------------------------------


def _begin_sign_in(user_id: int) -> tuple[str, str]:
    """Start a sign-in; its address at Microsoft, or "" and the reason why there is none."""
    made = get_api_token()
    if made is not None and made.scope != "write":
        return "", "A token for reading cannot start a sign-in at Microsoft."
    redirect_uri = get_settings().ms_spa_redirect_uri or make_callback_url()
    account = accounts.find_active_account(db.session())
    scopes = sign_in.keep_wide(account, sign_in.DEFAULT_SCOPES)
    end_read(db.session())
    try:
        url = sign_in.start_connection(db.session(), get_clients(), user_id, redirect_uri, scopes)
    except ServiceRefusedError as error:
        return "", str(error)
    db.session.commit()
    return url, ""


def _answer_failed_sign_in(error: ImageHubError, _fields: CodeFields) -> NoTokensAnswer:
    if isinstance(error, ServiceBusyError):
        raise error
    url, _ = _begin_sign_in(get_caller().id)
    return {"code": 0, "hint": "found_tokens_failed", "url": url, "reason": str(error)}


def _answer_unread_folders(error: ImageHubError) -> ReconnectAnswer | UnreadableAnswer:
    is_refused = isinstance(error, ServiceRefusedError) and error.service == SIGN_IN
    if not isinstance(error, ConnectionLostError) and not is_refused:
        log.warning("could not list the folders in OneDrive: %s", error)
        return {"code": 99, "hint": "data_extraction_failed_from_json", "reason": str(error)}
    url, _ = _begin_sign_in(get_caller().id)
    return {
        "code": 0,
        "hint": "refresh_token_expired_need_manual_authorization",
        "url": url,
        "reason": str(error),
    }


def _fails_with(hint: str) -> Callable[[Any], Any]:
    return on_refusal(lambda error, *_: {"code": 0, "hint": hint, "reason": str(error)})


# --- Calls ----------------------------------------------------------------------------------------


@onedrive.call(
    "GET /admin/onedrive/connect",
    answer=ConnectedAnswer | NotConnectedAnswer,
    # The sign-in that it may start asks Microsoft for the right to change files.
    changes=True,
)
def api_connect() -> ConnectedAnswer | NotConnectedAnswer:
    """Check whether OneDrive is connected; if not, start a sign-in at Microsoft."""
    user_id = get_caller().id
    end_read(db.session())
    if status.is_connected(db.session(), get_clients()):
        return {"code": 1, "hint": "connection_successful"}
    info = status.describe_connection(db.session(), get_clients())
    end_read(db.session())
    url, reason = _begin_sign_in(user_id)
    if info.is_refused or info.state == accounts.NEEDS_RECONNECT:
        reason = reason or info.reason
    answer: NotConnectedAnswer = {"code": 0, "hint": "connection_failed", "url": url}
    return {**answer, "reason": reason} if reason else answer


@onedrive.call("POST /admin/auth/code", takes=CodeFields, answer=FoundTokensAnswer | NoTokensAnswer)
@on_refusal(_answer_failed_sign_in)
def api_send_code(fields: CodeFields) -> FoundTokensAnswer:
    """Finish a sign-in with the code that Microsoft returned.

    The sign-in must have been started with a token of the same user.
    """
    user_id = get_caller().id
    end_read(db.session())
    answer = {"code": fields.auth_code} | ({"state": fields.state} if fields.state else {})
    finish_sign_in(user_id, answer)
    return {"code": 1, "hint": "found_tokens"}


@onedrive.call(
    "GET /admin/onedrive/folders", answer=FoldersAnswer | ReconnectAnswer | UnreadableAnswer
)
@on_refusal(_answer_unread_folders, ConnectionLostError, ServiceError, NotFoundError)
def api_folders() -> FoldersAnswer:
    """List the folders directly in the root folder, and the files in each of them."""
    _, opened = open_drive()
    return {"code": 1, "folders": onedrive_folders.list_folders_with_files(opened)}


@onedrive.call(
    "GET POST /admin/onedrive/add-folder",
    takes=FolderNameFields,
    answer=FolderAddedAnswer | FolderNotAddedAnswer,
)
@_fails_with("folder_creation_operation_failed")
def api_add_folder(fields: FolderNameFields) -> FolderAddedAnswer:
    """Create a folder in the root folder; a taken name gets a number."""
    _, opened = open_drive()
    folder = onedrive_folders.create_folder(opened, fields.folder_name)
    commit_action("create_folder", folder.id, names=[folder.name])
    return {
        "code": 1,
        "hint": "folder_creation_operation_successful",
        "folder_id": folder.id,
        "folder_name": folder.name,
    }


@onedrive.call(
    "GET POST /admin/onedrive/rename", takes=RenameFields, answer=RenamedAnswer | NotRenamedAnswer
)
@_fails_with("rename_operation_failed")
def api_rename(fields: RenameFields) -> RenamedAnswer:
    """Rename a file or folder."""
    account_id, opened = open_drive()
    onedrive_folders.rename_item(opened, fields.item_id, fields.new_name)
    commit_action("rename_item_to", fields.item_id, names=[fields.new_name])
    schedule.note_changes(db.session(), account_id, [fields.item_id])
    return {"code": 1, "hint": "rename_operation_successful"}


@onedrive.call(
    "GET POST /admin/onedrive/delete-folder",
    takes=FolderFields,
    answer=FolderDeletedAnswer | FolderNotDeletedAnswer,
)
@_fails_with("folder_deletion_operation_failed")
def api_delete_folder(fields: FolderFields) -> FolderDeletedAnswer:
    """Delete a folder or file: it moves to the OneDrive recycle bin."""
    account_id, opened = open_drive()
    onedrive_folders.delete_item(opened, fields.folder_id)
    commit_action("delete_item", fields.folder_id)
    schedule.note_changes(db.session(), account_id, [fields.folder_id], with_all_below=True)
    return {"code": 1, "hint": "folder_deletion_operation_successful"}


@onedrive.call(
    "GET POST /admin/onedrive/upload-session",
    takes=UploadFields,
    answer=UploadAnswer | NoUploadAnswer,
)
@_fails_with("couldn't_get_session")
def api_upload_session(fields: UploadFields) -> UploadAnswer:
    """Create an upload session for one new file.

    The browser sends fragments of 3,276,800 bytes to its address, each by PUT with Content-Range.
    """
    _, opened = open_drive()
    upload = onedrive_folders.create_upload_session(opened, fields.folder_id, fields.file_name)
    commit_action("upload_files", fields.folder_id, names=[fields.file_name])
    return {"code": 1, "sessionUrl": upload.upload_url, "hint": "got_session"}
