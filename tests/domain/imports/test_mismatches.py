"""Files that OneDrive sends with other content than it lists; and honest words about waiting."""

from datetime import timedelta

import pytest
from sqlalchemy import update
from sqlalchemy.orm import Session

from imagehub.database import get_database_time
from imagehub.domain.imports import jobs, reports
from imagehub.domain.imports.jobs import MISMATCH_REASON
from imagehub.domain.imports.process import MAX_MISMATCHES
from imagehub.models import ImportItem, ImportJob
from tests.fixtures.checking import check, states
from tests.fixtures.import_rows import create, list_items, select_files
from tests.fixtures.importing import ImportHub, make_jpeg


def try_until_it_ends(hub: ImportHub, job_id: int) -> float:
    """Try the only item of a job until it ends; return the longest time that its waits take."""
    seconds = 0.0
    for _ in range(MAX_MISMATCHES):
        [state] = hub.work(job_id)
        [item] = hub.list_items(job_id)
        assert item.reason == MISMATCH_REASON
        if state == "failed":
            return seconds
        assert state == "queued"
        seconds += (item.available_at - get_database_time(hub.session)).total_seconds()
        hub.make_due(job_id)
    raise AssertionError("it did not end")


def test_a_file_unlike_its_listing_ends_within_minutes_and_is_imported_on_request(
    either_import_hub: ImportHub,
) -> None:
    hub = either_import_hub
    hub.onedrive.set_fault("rewritten_size", extra_bytes=12, item=r"\.jpg$")
    job_id = hub.create(hub.put_files("Works", {"a.jpg": make_jpeg(1)}))
    assert try_until_it_ends(hub, job_id) < 180
    [failed] = hub.report(job_id).failed
    assert failed.is_mismatch
    assert failed.reason.startswith("OneDrive sends a different file from the one it lists.")
    # An ordinary retry fails again.
    assert jobs.retry_items(hub.session, job_id) == 1
    hub.session.commit()
    try_until_it_ends(hub, job_id)
    assert jobs.retry_items(hub.session, job_id, accepts_mismatch=True) == 1
    hub.session.commit()
    assert hub.work(job_id) == ["done"]
    [image] = hub.list_images()
    assert (image.width_px, image.size_bytes) == (300, len(make_jpeg(1)))
    # It counts as unchanged, and its renditions can be made again.
    assert check(hub).is_done
    assert states(hub) == {"a.jpg": "ok"}
    made: dict[int, int] = {}
    jobs.add_remakes(hub.session, [image.id], made)
    hub.session.commit()
    assert hub.work(made[hub.account_id]) == ["done"]


def test_only_files_unlike_their_listing_are_imported_anyway(import_hub: ImportHub) -> None:
    hub = import_hub
    job_id = hub.create(hub.put_files("Works", {"a.jpg": b"no picture", "b.jpg": make_jpeg(1)}))
    assert sorted(hub.work(job_id)) == ["done", "failed"]
    [failed] = hub.report(job_id).failed
    assert not failed.is_mismatch
    assert jobs.retry_items(hub.session, job_id, accepts_mismatch=True) == 0


@pytest.fixture
def waiting(either_import_session: Session) -> ImportJob:
    """Return a job of ten files, four seconds each, of which the last is left."""
    session = either_import_session
    job = create(session, select_files(*(str(n) for n in range(10))))
    for n, item in enumerate(list_items(session, job), start=1):
        if n < 10:
            item.state, item.finished_at = "done", job.created_at + timedelta(seconds=4 * n)
    session.commit()
    return job


def set_last(session: Session, job: ImportJob, seconds: float, **values: object) -> None:
    """Change the item that is left; it is due after ``seconds``."""
    due_at = get_database_time(session) + timedelta(seconds=seconds)
    left = update(ImportItem).where(ImportItem.job_id == job.id, ImportItem.state != "done")
    session.execute(left.values(available_at=due_at, **values))
    session.commit()


def test_no_time_is_promised_for_files_that_failed_before(
    either_import_session: Session, waiting: ImportJob
) -> None:
    session = either_import_session
    assert reports.estimate_seconds_left(session, waiting.id) == pytest.approx(4)
    assert reports.find_next_try(session, waiting.id) is None
    set_last(session, waiting, 200, attempt_count=7, reason="OneDrive is busy.")
    assert reports.estimate_seconds_left(session, waiting.id) is None
    assert reports.find_next_try(session, waiting.id) == pytest.approx(200, abs=60)
    # While it is tried again nobody knows whether it will wait once more.
    set_last(session, waiting, -1, state="running")
    assert reports.estimate_seconds_left(session, waiting.id) is None
    assert reports.find_next_try(session, waiting.id) is None


def test_a_wait_is_part_of_the_time_left(
    either_import_session: Session, waiting: ImportJob
) -> None:
    session = either_import_session
    set_last(session, waiting, 200, reason="OneDrive is busy.")
    waiting.item_count += 1
    session.add(ImportItem(job_id=waiting.id, drive_item_id="new"))
    session.commit()
    left = reports.estimate_seconds_left(session, waiting.id)
    assert left == pytest.approx(200, abs=60)
