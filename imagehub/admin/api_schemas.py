"""Parameters and answers of the admin calls of the JSON API."""

from typing import Annotated, Literal, NotRequired

from pydantic import BaseModel, Field
from typing_extensions import TypedDict

from imagehub.web.openapi import MAX_LIST_ITEMS, LongText, Number, Text

# As long as the columns that store them.
ItemId = Annotated[Text, Field(min_length=1, max_length=255)]
ItemName = Annotated[Text, Field(max_length=400)]


# --- OneDrive -------------------------------------------------------------------------------------


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


# --- Library --------------------------------------------------------------------------------------


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
