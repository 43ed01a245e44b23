"""Import folders from a command: create the job, wake the workers, show the progress."""

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import click

from imagehub.database import db, end_read
from imagehub.domain.imports.folders import create_folder_import
from imagehub.domain.imports.reports import FailedItem, describe_job
from imagehub.queue import check_queue
from imagehub.wiring import get_clients, get_settings

Say = Callable[[str], None]

# Check the queue when no picture has been finished for this long.
NO_PROGRESS_SECONDS = 15.0


@dataclass(frozen=True)
class ImportResult:
    """The outcome of an import. ``failed`` holds file names and reasons."""

    sentence: str
    done_count: int = 0
    failed: Sequence[FailedItem] = ()


def import_folders(
    path: str,
    *,
    one_group: bool = False,
    again: bool = False,
    wait: bool = True,
    say: Say = click.echo,
) -> ImportResult:
    """Import a folder of the drive and its subfolders.

    See :func:`imagehub.domain.imports.folders.create_folder_import` for parameters and errors.

    :param wait: return when the job is finished, not when it is queued.
    """
    session = db.session()
    created = create_folder_import(session, get_clients(), path, one_group, again)
    if created is None:
        return ImportResult("Nothing new to import there.")
    job, group_count = created
    job_id, count = job.id, job.item_count
    session.commit()
    say(f"Queued {_count(count, 'picture')} in {_count(group_count, 'group')}.")
    if not wait:
        return ImportResult(f"Queued as import {job_id}.")
    return _watch(job_id, count, say)


def _watch(job_id: int, count: int, say: Say) -> ImportResult:
    session = db.session()
    is_terminal = sys.stdout.isatty()
    ask_at = time.monotonic() + NO_PROGRESS_SECONDS
    with click.progressbar(
        length=count, label="Importing", show_pos=True, hidden=not is_terminal
    ) as bar:
        shown = tenths = 0
        while True:
            report = describe_job(session, job_id)
            end_read(session)
            bar.update(report.finished_count - shown)
            if report.finished_count > shown:
                ask_at = time.monotonic() + NO_PROGRESS_SECONDS
            shown = report.finished_count
            if not is_terminal and shown * 10 // count > tenths:
                tenths = shown * 10 // count
                say(f"{shown} of {count} imported")
            if report.is_finished:
                break
            if time.monotonic() > ask_at:
                _explain_delay(say)
                ask_at = time.monotonic() + 4 * NO_PROGRESS_SECONDS
            try:
                time.sleep(0.25)
            except KeyboardInterrupt:
                words = f"Import {job_id} continues in the background."
                return ImportResult(words, report.done_count)
    failed = [*report.failed, *report.dismissed]
    words = f"{_count(report.done_count, 'picture')} imported"
    if report.skipped_count:
        words += f", {report.skipped_count} skipped"
    if failed:
        words += f", {len(failed)} failed"
    return ImportResult(words + ".", report.done_count, failed)


def _explain_delay(say: Say) -> None:
    queue = check_queue(get_settings(), db.session())
    db.session.rollback()
    if not queue.is_ok:
        say(f"{queue.sentence} {queue.advice}".strip())


def _count(number: int, word: str) -> str:
    return f"{number:,} {word}{'' if number == 1 else 's'}"
