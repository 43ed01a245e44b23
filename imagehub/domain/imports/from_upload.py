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
from imagehub.domain.filetypes import check_is_picture
from imagehub.domain.imports import grouping as imports_grouping
from imagehub.domain.imports.jobs import OPEN_STATES, Selection, create_import
from imagehub.domain.imports.remakes import add_remakes
from imagehub.errors import PictureError
from imagehub.models import Group, Image, ImportItem, ImportJob

Grouping = Literal["one", "folder", "each"]


# --- Import when uploaded -------------------------------------------------------------------------


@dataclass(frozen=True)
class Uploaded:
    """A file that has arrived in OneDrive.

    ``folder_name``: "" for the root folder, whose name is no title. ``is_replaced``: it took the
    place of another file, whose id it has. ``mime_type`` and ``size_bytes`` as far as they are
    known: "" and None where they are not.
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
    """What became of the wish to import what was uploaded.

    ``job``: None where nothing was left to import. ``known_count``: files that are in the hub
    already, or on their way. ``refused``: a sentence why files are no pictures → how many.
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
    """Ask for the import of what was uploaded; the caller commits, then enqueues the job.

    What is certainly no picture is left out, and so are files that are in the hub already, or about
    to be: asking twice, as after a lost answer, is the same as asking once. Images of files that
    were replaced are made anew.

    :param grouping: a group of all, one a folder, or one a file; without meaning if ``group`` is
        a group's number. A group is called after its folder, or after the first file in the root.
    :raise InvalidInputError, NotFoundError: see ``importing.create_import``.
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
    anew_count = add_remakes(session, list(changed), jobs, user_id) if changed else 0
    if anew_count:
        job = session.get(ImportJob, jobs[account_id], populate_existing=True)
    known_count = len(pictures) - len(fresh)
    if anew_count:
        known_count -= len(set(changed.values()))
    return UploadImport(job, max(0, known_count), refused)


def _sort_out(files: Sequence[Uploaded]) -> tuple[list[Uploaded], Counter[str]]:
    """The files that may be pictures; and why the others are none, with how many of each."""
    pictures: list[Uploaded] = []
    refused: Counter[str] = Counter()
    for file in files:
        size_bytes = 1 if file.size_bytes is None else file.size_bytes
        item = DriveItem(
            file.file_id, file.name, False, size_bytes, "", "", mime_type=file.mime_type
        )
        try:
            check_is_picture(item)
        except PictureError as error:
            refused[str(error)] += 1
        else:
            pictures.append(file)
    return pictures, refused


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
        return imports_grouping.make_title(first.name)
    return first.folder_name or imports_grouping.begin_large(
        imports_grouping.split_stem(first.name)
    )


def _find_images(session: Session, account_id: int, file_ids: Sequence[str]) -> dict[int, str]:
    """Images outside the trash that came from these files: id → the file's id, folded."""
    found: dict[int, str] = {}
    for ids in make_batches(list_all_spellings(file_ids), 500):
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
    """Which of these files are in the hub or on their way; their ids, folded."""
    known = set(_find_images(session, account_id, file_ids).values())
    for ids in make_batches(list_all_spellings(file_ids), 500):
        on_their_way = session.scalars(
            select(ImportItem.drive_item_id)
            .join(ImportJob, ImportJob.id == ImportItem.job_id)
            .where(
                ImportJob.drive_account_id == account_id,
                ImportItem.drive_item_id.in_(ids),
                ImportItem.state.in_(OPEN_STATES),
            )
        )
        known.update(map(fold_id, on_their_way))
    return known
