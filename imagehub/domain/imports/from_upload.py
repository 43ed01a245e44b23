"""Import files that have just been uploaded."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import select
from sqlalchemy.orm import Session

from imagehub.clients import DriveItem
from imagehub.clients.drive_ids import fold_id, list_all_spellings
from imagehub.database import make_batches
from imagehub.domain.file_names import (
    check_is_picture,
    find_drawn,
    make_companion_key,
    make_file_title,
    make_group_title,
    may_be_picture,
)
from imagehub.domain.imports.jobs import OPEN_STATES, Selection, add_remakes, create_import
from imagehub.errors import PictureError
from imagehub.messages import mark
from imagehub.models import Group, Image, ImportItem, ImportJob

Grouping = Literal["one", "folder", "each"]


@dataclass(frozen=True)
class Uploaded:
    """A file that was uploaded to OneDrive.

    ``folder_name``: "" for the root folder, whose name is no title. ``is_replaced``: it replaced
    another file and has its id. ``mime_type`` and ``size_bytes`` are "" and None if not known.
    """

    file_id: str
    name: str
    folder_id: str
    folder_name: str
    is_replaced: bool = False
    mime_type: str = ""
    size_bytes: int | None = None


@dataclass(frozen=True)
class UploadImport:
    """The result of :func:`import_uploaded`.

    ``job``: None if there was nothing to import. ``known_count``: files that are imported already
    or being imported. ``refused``: reason why files are not pictures → number of files.
    """

    job: ImportJob | None
    known_count: int
    refused: Mapping[str, int]


def import_uploaded(
    session: Session,
    account_id: int,
    user_id: int | None,
    files: Sequence[Uploaded],
    grouping: Grouping = "one",
    group: int | None = None,
) -> UploadImport:
    """Import uploaded files. Workers are woken after the commit.

    Files that cannot be pictures are left out, and so are files that are imported already or being
    imported, so that a repeated call imports nothing twice. Images of replaced files are rendered
    again.

    :param grouping: one group for all, for each folder, or for each file; ignored if ``group``
        (the id of a group to add to) is given. A group is titled after its folder, or after its
        first file in the root folder.
    :raise InvalidInputError, NotFoundError: see ``jobs.create_import``.
    """
    pictures, refused = _sort_out(files)
    known = _find_known(session, account_id, [file.file_id for file in pictures])
    fresh = [file for file in pictures if fold_id(file.file_id) not in known]
    job = None
    if fresh:
        selections = _make_selections(fresh, grouping, group)
        job = create_import(session, account_id, user_id, selections)
    replaced = [file.file_id for file in pictures if file.is_replaced]
    changed = _find_images(session, account_id, replaced)
    jobs = {account_id: job.id} if job else {}
    known_count = len(pictures) - len(fresh)
    if changed and add_remakes(session, list(changed), jobs, user_id):
        job = session.get(ImportJob, jobs[account_id], populate_existing=True)
        known_count -= len(set(changed.values()))
    return UploadImport(job, max(0, known_count), refused)


def _sort_out(files: Sequence[Uploaded]) -> tuple[list[Uploaded], Counter[str]]:
    """Return the files that are to become images, and count the others by the reason.

    A raw photo or working file beside a picture of the same name is not another shot.
    """
    items = [(file, _make_item(file)) for file in files]
    beside = {
        _make_companion_key(file)
        for file, item in items
        if may_be_picture(item) and not find_drawn(item)
    }
    pictures: list[Uploaded] = []
    refused: Counter[str] = Counter()
    for file, item in items:
        try:
            check_is_picture(item)
        except PictureError as error:
            refused[str(error)] += 1
            continue
        if find_drawn(item) and _make_companion_key(file) in beside:
            refused[mark("An image with the same name is imported instead.")] += 1
        else:
            pictures.append(file)
    return pictures, refused


def _make_item(file: Uploaded) -> DriveItem:
    size = 1 if file.size_bytes is None else file.size_bytes
    return DriveItem(file.file_id, file.name, False, size, "", "", mime_type=file.mime_type)


def _make_companion_key(file: Uploaded) -> tuple[str, str]:
    return fold_id(file.folder_id), make_companion_key(file.name)


def _make_selections(
    fresh: Sequence[Uploaded], grouping: Grouping, group: int | None
) -> list[Selection]:
    bundles: dict[str, list[Uploaded]] = {}
    for file in fresh:
        if group is not None or grouping == "one":
            key = ""
        else:
            key = fold_id(file.folder_id if grouping == "folder" else file.file_id)
        bundles.setdefault(key, []).append(file)
    return [
        Selection(
            folder_id=bundle[0].folder_id,
            folder_name=_make_title(bundle[0], grouping) if group is None else "",
            group=group,
            files=[(file.file_id, file.name) for file in bundle],
        )
        for bundle in bundles.values()
    ]


def _make_title(first: Uploaded, grouping: Grouping) -> str:
    if grouping == "each":
        return make_file_title(first.name)
    return make_group_title(first.folder_name, first.name)


def _find_images(session: Session, account_id: int, file_ids: Sequence[str]) -> dict[int, str]:
    """Map the images of these files to their folded file ids; without the trash."""
    found: dict[int, str] = {}
    for ids in make_batches(list_all_spellings(file_ids)):
        rows = session.execute(
            select(Image.id, Image.drive_item_id)
            .join(Group, Group.id == Image.group_id)
            .where(
                Image.drive_account_id == account_id,
                Image.drive_item_id.in_(ids),
                Group.state != "trash",
            )
        )
        found.update({row.id: fold_id(row.drive_item_id) for row in rows})
    return found


def _find_known(session: Session, account_id: int, file_ids: Sequence[str]) -> set[str]:
    """Return the folded ids of those files that are imported already or being imported."""
    known = set(_find_images(session, account_id, file_ids).values())
    for ids in make_batches(list_all_spellings(file_ids)):
        open_ids = session.scalars(
            select(ImportItem.drive_item_id)
            .join(ImportJob, ImportJob.id == ImportItem.job_id)
            .where(
                ImportJob.drive_account_id == account_id,
                ImportItem.drive_item_id.in_(ids),
                ImportItem.state.in_(OPEN_STATES),
            )
        )
        known.update(map(fold_id, open_ids))
    return known
