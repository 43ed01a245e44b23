"""Report the progress of an import job."""

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from imagehub.domain.imports.jobs import LEFT_OUT, get_job
from imagehub.models import ImportItem, ImportJob

# --- Looking on -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class FailedItem:
    """A file that did not come in. ``reason`` is one plain sentence; ``id`` is the item's."""

    file_id: str
    file_name: str
    reason: str
    id: int = 0


@dataclass(frozen=True)
class JobReport:
    """How far an import is.

    ``state`` is ``running`` or ``finished``; the counts are of items. ``waiting_reason`` says what
    the queued items wait for, where a service made them wait. ``failed`` lists at most 1,000, and
    so does ``left_out``: failed items that a person lets be.
    """

    id: int
    state: str
    item_count: int
    queued_count: int
    running_count: int
    done_count: int
    skipped_count: int
    failed_count: int
    waiting_reason: str = ""
    failed: Sequence[FailedItem] = field(default=())
    created_at: datetime | None = None
    left_out_count: int = 0
    left_out: Sequence[FailedItem] = field(default=())

    @property
    def is_finished(self) -> bool:
        return self.state == "finished"

    @property
    def finished_count(self) -> int:
        """Items that have come to an end, whichever."""
        return self.done_count + self.skipped_count + self.failed_count + self.left_out_count

    @property
    def progress(self) -> float:
        """From 0 to 1: the part of the items that has come to an end."""
        return self.finished_count / self.item_count if self.item_count else 1.0


def describe_job(session: Session, job_id: int) -> JobReport:
    """:raise NotFoundError: no such job."""
    job = get_job(session, job_id)
    counts = {
        state: count
        for state, count in session.execute(
            select(ImportItem.state, func.count())
            .where(ImportItem.job_id == job_id)
            .group_by(ImportItem.state)
        )
    }
    waiting = session.scalars(
        select(ImportItem.reason)
        .where(ImportItem.job_id == job_id, ImportItem.state == "queued", ImportItem.reason != "")
        .limit(1)
    ).first()
    return JobReport(
        id=job.id,
        state=job.state,
        item_count=job.item_count,
        queued_count=counts.get("queued", 0),
        running_count=counts.get("running", 0),
        done_count=counts.get("done", 0),
        skipped_count=counts.get("skipped", 0),
        failed_count=counts.get("failed", 0),
        waiting_reason=waiting or "",
        failed=_list_failed(session, job_id, "failed"),
        created_at=job.created_at,
        left_out_count=counts.get(LEFT_OUT, 0),
        left_out=_list_failed(session, job_id, LEFT_OUT) if LEFT_OUT in counts else (),
    )


def _list_failed(session: Session, job_id: int, state: str) -> tuple[FailedItem, ...]:
    rows = session.execute(
        select(ImportItem.drive_item_id, ImportItem.file_name, ImportItem.reason, ImportItem.id)
        .where(ImportItem.job_id == job_id, ImportItem.state == state)
        .order_by(ImportItem.id)
        .limit(1000)
    )
    return tuple(FailedItem(*row) for row in rows)


def wait_for_job(
    open_session: Callable[[], AbstractContextManager[Session]], job_id: int, seconds: float
) -> JobReport:
    """Wait until a job has finished, but not longer than ``seconds``.

    :param open_session: called for every look, so that no transaction stays open between.
    :raise NotFoundError: no such job.
    """
    deadline = time.monotonic() + seconds
    pause = 0.05
    while True:
        with open_session() as session:
            state = session.scalar(select(ImportJob.state).where(ImportJob.id == job_id))
            left = deadline - time.monotonic()
            if state != "running" or left <= 0:
                return describe_job(session, job_id)
        time.sleep(min(pause, left))
        pause = min(pause * 1.5, 0.5)
