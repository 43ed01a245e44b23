"""Calls of the JSON API for the library. All ask for a bearer token."""

from collections.abc import Iterator
from typing import Annotated, Any, Literal, NotRequired, cast

from flask import Response, json, stream_with_context
from pydantic import AfterValidator, BaseModel, Field
from pydantic_core import PydanticCustomError
from sqlalchemy.orm import sessionmaker
from typing_extensions import TypedDict

from imagehub.admin import blueprint
from imagehub.database import db, make_batches
from imagehub.domain.imports import jobs, reports
from imagehub.domain.library import images as library_images
from imagehub.domain.library import spa
from imagehub.domain.objects import bookkeeping
from imagehub.domain.onedrive import accounts
from imagehub.errors import ImageHubError, NotFoundError
from imagehub.web import commit_action
from imagehub.web.errors import on_refusal
from imagehub.web.openapi import MAX_LIST_ITEMS, Api, Number, Text, answers_failure, get_caller
from imagehub.wiring import get_clients, get_settings

images = Api(blueprint, "Library")
_DELETED_AT_ONCE = 200


# --- Parameters and answers -----------------------------------------------------------------------

# As long as the columns that store them.
ItemId = Annotated[Text, Field(min_length=1, max_length=255)]
ItemName = Annotated[Text, Field(max_length=400)]


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


def _refuse_too_many(chosen: dict[int, list[DoomedImage]]) -> dict[int, list[DoomedImage]]:
    if sum(map(len, chosen.values())) > MAX_LIST_ITEMS:
        raise PydanticCustomError("too_long", f"At most {MAX_LIST_ITEMS:,} images can be deleted")
    return chosen


class DeleteFields(BaseModel):
    """Images by the number of their group; at most 10,000 groups and 10,000 images."""

    image_list: Annotated[
        dict[Number, Annotated[list[DoomedImage], Field(max_length=MAX_LIST_ITEMS)]],
        Field(
            max_length=MAX_LIST_ITEMS,
            json_schema_extra={"propertyNames": {"pattern": "^[0-9]{1,18}$"}},
        ),
        AfterValidator(_refuse_too_many),
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


# --- Calls ----------------------------------------------------------------------------------------


@images.call("GET /admin/groups", answer=GroupNumbersAnswer)
def api_groups() -> GroupNumbersAnswer:
    """List the numbers of all groups that have images."""
    return {"data": spa.list_group_numbers(db.session())}


@images.call("GET /admin/groups/images", answer=AllImagesAnswer | NoImagesAnswer)
def api_all_images() -> Response | NoImagesAnswer:
    """List all images by the number of their group.

    The answer is streamed, so that a library may have any size.
    """
    groups = spa.iter_groups(db.session())
    first = next(groups, None)
    if first is None:
        return {"code": 0, "hint": "empty_database"}
    return Response(stream_with_context(_write_groups(first, groups)), mimetype="application/json")


@images.call("GET /admin/image", takes=GroupImageFields, answer=GotImageAnswer | NoImageAnswer)
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


def _answer_refused_import(error: ImageHubError, fields: AddFields) -> NotAddedAnswer:
    failed = [
        FailedFile(file_id=file.file_id, file_name=file.file_name, reason=str(error))
        for folder in fields.image_list.values()
        for file in folder.all_image_id
    ]
    return {"code": 2, "hint": "invalid image list", "job": None, "failed": failed}


@images.call(
    "POST /admin/add/image", takes=AddFields, answer=AddedAnswer | NotAddedAnswer, takes_forms=False
)
@on_refusal(_answer_refused_import)
def api_add_images(fields: AddFields) -> AddedAnswer | NotAddedAnswer:
    """Import selected files of OneDrive, and wait a little for the result.

    The import continues after this call has answered.
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
    account = accounts.get_active_account(db.session())
    job = jobs.create_import(db.session(), account.id, user_id, selections)
    job_id, count = job.id, job.item_count
    commit_action("start_import", job_id, count=count)
    wait_seconds = get_settings().import_wait_seconds
    report = reports.wait_for_job(sessionmaker(db.engine), job_id, wait_seconds)
    failures = [
        FailedFile(file_id=item.file_id, file_name=item.file_name, reason=item.reason)
        for item in (*report.failed, *report.dismissed)
    ]
    if report.is_finished and not report.done_count + report.skipped_count:
        return {"code": 2, "hint": "invalid image list", "job": job_id, "failed": failures}
    return {"code": 1, "hint": "image_added_in_database", "job": job_id, "failed": failures}


@images.call(
    "POST /admin/delete/image", takes=DeleteFields, answer=DeletedAnswer, takes_forms=False
)
def api_delete_images(fields: DeleteFields) -> DeletedAnswer:
    """Delete images; the originals stay in OneDrive.

    Many are deleted in steps. After an interruption, send the same list again.
    """
    session = db.session()
    chosen = {
        group: [image.image_id for image in doomed] for group, doomed in fields.image_list.items()
    }
    for ids in make_batches(spa.list_image_ids(session, chosen), _DELETED_AT_ONCE):
        # The worker's next sweep deletes the renditions.
        bookkeeping.leave_unused(session, library_images.delete_images(session, ids))
        # Others wait while the groups are locked, so each step is committed and logged.
        commit_action("delete_images", min(chosen), count=len(ids))
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
