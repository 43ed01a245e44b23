"""Import of whole folders of the drive from the command line, with a progress bar."""

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import click
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from imagehub.clients import Drive, DriveItem
from imagehub.database import db
from imagehub.domain import connection, importing
from imagehub.domain.import_reading import find_title
from imagehub.domain.import_ways import begin_large, make_shot_key, split_stem
from imagehub.domain.name_order import make_sort_key
from imagehub.errors import NotFoundError
from imagehub.models import Group, ImportItem, ImportJob
from imagehub.queue import check_queue, enqueue_job
from imagehub.wiring import get_clients

Say = Callable[[str], None]

# After so long without a picture the queue is looked at.
NO_PROGRESS_SECONDS = 15.0


@dataclass(frozen=True)
class BulkResult:
    """What came of a bulk import. ``failed`` holds file_name and reason."""

    sentence: str
    job_id: int | None = None
    done_count: int = 0
    failed: Sequence[importing.FailedItem] = field(default_factory=tuple)


def import_folders(
    app: Flask,
    path: str,
    *,
    one_group: bool = False,
    again: bool = False,
    wait: bool = True,
    say: Say = click.echo,
    show_progress: bool = False,
) -> BulkResult:
    """Import a folder of the drive and all folders in it; each folder with pictures is one group.

    Of a folder that was imported before only new files are taken. They join the group that holds
    all the others of that folder, or make one of their own where there is no such group any more.

    :param path: below the root folder, "/"-separated; "" is the root folder itself.
    :param one_group: all pictures into one group.
    :param again: also files that were imported before; every folder makes a new group.
    :raise NotFoundError: no such folder.
    :raise ConnectionLostError: OneDrive is not connected.
    """
    session = db.session()
    clients = get_clients(app)
    account = connection.get_active_account(session)
    account_id = account.id
    drive = clients.open_drive(account_id)
    top = drive.find_item_by_path(path.strip("/"))
    if top is None or not top.is_folder:
        raise NotFoundError("folder", path)
    known = {} if again else _find_known_folders(session, account_id)
    session.rollback()

    selections = []
    for folder, items in iter_folders(drive, top):
        before = known.get(folder.id, _Known())
        files = [(item.id, item.name) for item in items if item.id not in before.files]
        if files:
            group = None
            if len(before.groups) == 1 and not one_group:
                group = _find_group(session, next(iter(before.groups)))
            title = find_title(folder) or begin_large(split_stem(files[0][1]))
            selections.append(importing.Selection(folder.id, title, group, files))
    if not selections:
        return BulkResult("Nothing new to import there.")
    if one_group:
        selections = [
            importing.Selection(
                folder_id=top.id,
                folder_name=find_title(top) or "New group",
                group=None,
                files=[file for selection in selections for file in selection.files],
            )
        ]
    job = importing.create_import(session, account_id, None, selections)
    job_id = job.id
    session.commit()
    enqueue_job(app, job_id)
    count = sum(len(selection.files) for selection in selections)
    say(f"{_count(count, 'picture')} in {_count(len(selections), 'group')} on the queue.")
    if not wait:
        return BulkResult(f"Job {job_id} is on the queue.", job_id)
    return _watch(app, job_id, count, show_progress, say)


@dataclass(frozen=True)
class _Known:
    """What imports have taken of one folder, and into which groups."""

    files: set[str] = field(default_factory=set)
    groups: set[int] = field(default_factory=set)


def _find_known_folders(session: Session, account_id: int) -> dict[str, _Known]:
    """Folder id → what was imported of it, whatever came of it."""
    found: dict[str, _Known] = {}
    rows = session.execute(
        select(ImportItem.folder_id, ImportItem.drive_item_id, ImportItem.group_id)
        .join(ImportJob)
        .where(ImportJob.drive_account_id == account_id)
    )
    for folder_id, file_id, group_id in rows:
        known = found.setdefault(folder_id, _Known())
        known.files.add(file_id)
        if group_id is not None:
            known.groups.add(group_id)
    return found


def _find_group(session: Session, group_id: int) -> int | None:
    """The number of a group that takes more pictures; None if it is gone or in the trash."""
    found = session.scalar(
        select(Group.id).where(Group.id == group_id, Group.state != "trash", Group.image_count > 0)
    )
    session.rollback()
    return found


def iter_folders(drive: Drive, top: DriveItem) -> Iterator[tuple[DriveItem, list[DriveItem]]]:
    """Each folder from ``top`` down, by name, with the pictures right in it as shots of works."""
    waiting = [top]
    while waiting:
        folder = waiting.pop(0)
        children = sorted(drive.iter_children(folder.id), key=lambda item: make_sort_key(item.name))
        files = [item for item in children if not item.is_folder and importing.may_be_picture(item)]
        yield folder, sorted(files, key=lambda item: make_shot_key(item.name))
        waiting.extend(item for item in children if item.is_folder and not item.is_package)


def _watch(app: Flask, job_id: int, count: int, show_progress: bool, say: Say) -> BulkResult:
    session = db.session()
    is_terminal = show_progress and sys.stdout.isatty()
    ask_at = time.monotonic() + NO_PROGRESS_SECONDS
    with click.progressbar(
        length=count, label="Importing", show_pos=True, hidden=not is_terminal
    ) as bar:
        shown = tenths = 0
        while True:
            report = importing.describe_job(session, job_id)
            session.rollback()
            bar.update(report.finished_count - shown)
            if report.finished_count > shown:
                ask_at = time.monotonic() + NO_PROGRESS_SECONDS
            shown = report.finished_count
            if show_progress and not is_terminal and shown * 10 // count > tenths:
                tenths = shown * 10 // count
                say(f"{shown} of {count} imported")
            if report.is_finished:
                break
            if time.monotonic() > ask_at:
                _say_why_nothing_happens(app, say)
                ask_at = time.monotonic() + 4 * NO_PROGRESS_SECONDS
            try:
                time.sleep(0.25)
            except KeyboardInterrupt:
                return BulkResult(
                    f"Job {job_id} goes on without this command.", job_id, report.done_count
                )
    failed = [*report.failed, *report.left_out]
    words = f"{_count(report.done_count, 'picture')} imported"
    if report.skipped_count:
        words += f", {report.skipped_count} already there"
    if failed:
        words += f", {len(failed)} failed"
    return BulkResult(words + ".", job_id, report.done_count, failed)


def _say_why_nothing_happens(app: Flask, say: Say) -> None:
    queue = check_queue(app, db.session())
    db.session.rollback()
    if not queue.is_ok:
        say(f"{queue.sentence} {queue.advice}".strip())


def _count(number: int, word: str) -> str:
    return f"{number:,} {word}{'' if number == 1 else 's'}"
