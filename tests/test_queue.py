"""Wake-up calls, on SQLite and on Redis."""

import contextlib
import os
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from huey.serializer import Serializer
from sqlalchemy import create_engine, select
from sqlalchemy.orm import Session

from imagehub.config import Settings, load_settings
from imagehub.database import Base, db
from imagehub.domain.imports import claims, jobs
from imagehub.models import ImportJob
from imagehub.queue import TASK, JobQueue, check_queue, count_worker_threads, enqueue_job, make_huey
from imagehub.runtime.worker import Worker
from imagehub.wiring import get_settings
from tests.fixtures.importing import QUICK, ImportHub
from tests.fixtures.programs import wait_until
from tests.fixtures.site import Site


def make_settings(folder: Path, queue_url: str = "") -> Settings:
    return load_settings(
        {"IMAGEHUB_DATA_DIR": str(folder), "IMAGEHUB_QUEUE_URL": queue_url}, env_file=None
    )


@pytest.fixture(params=["", "redis_url"], ids=["sqlite", "redis"])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    """With an empty queue of each kind in turn."""
    url = request.getfixturevalue(request.param) if request.param else ""
    return make_settings(tmp_path, url)


def take_and_do(queue: JobQueue) -> None:
    task = queue.huey.dequeue()
    assert task is not None
    queue.huey.execute(task)


def test_a_call_reaches_whoever_works(settings: Settings) -> None:
    done: list[int] = []
    JobQueue(settings).wake(7, count=2)
    worker = JobQueue(settings, done.append)
    assert worker.count_calls() == {7: 2}
    take_and_do(worker)
    take_and_do(worker)
    assert done == [7, 7]
    assert worker.count_calls().total() == 0


def test_calls_are_answered_in_the_order_they_came(settings: Settings) -> None:
    done: list[int] = []
    queue = JobQueue(settings, done.append)
    for job_id in (3, 1, 2):
        queue.wake(job_id)
    for _ in range(3):
        take_and_do(queue)
    assert done == [3, 1, 2]


def test_a_job_gets_as_many_calls_as_there_are_hands_or_items(settings: Settings) -> None:
    settings = replace(settings, worker_processes=3)
    enqueue_job(settings, 1)
    enqueue_job(settings, 2, item_count=2)
    assert JobQueue(settings).count_calls() == {1: count_worker_threads(settings), 2: 2}


def test_workers_are_woken_by_the_commit_and_not_before(site: Site) -> None:
    with site.app.app_context():
        queue = JobQueue(get_settings(site.app))
        for job_id, end in ((7, "rollback"), (8, "commit"), (9, "commit")):
            db.session.execute(select(ImportJob))
            jobs.wake_after_commit(db.session(), job_id, 1)
            assert job_id not in queue.count_calls()
            getattr(db.session, end)()
        assert queue.count_calls() == {8: 1, 9: 1}


def test_a_message_of_a_stranger_is_not_read(settings: Settings) -> None:
    """Messages are pickles, which could hold any code; only signed ones may be opened."""
    queue = JobQueue(settings, lambda job_id: None)
    foreign = make_huey(settings)
    foreign.serializer = Serializer()
    foreign.task(name=TASK)(lambda job_id: None)(5)
    with pytest.raises(ValueError, match=r"[Ss]ignature|Separator"):
        queue.huey.dequeue()
    other_secret = replace(
        settings, secret_key="another secret of thirty-two letters", given=frozenset({"secret_key"})
    )
    JobQueue(other_secret).wake(5)
    with pytest.raises(ValueError, match=r"[Ss]ignature|Separator"):
        queue.huey.dequeue()


def test_a_queue_that_is_away_does_not_fail_the_request(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    enqueue_job(make_settings(tmp_path, "redis://127.0.0.1:9/0"), 4)
    assert "job 4" in caplog.text


def test_the_embedded_queue_survives_a_crash_unlocked(tmp_path: Path) -> None:
    settings = make_settings(tmp_path)
    JobQueue(settings).wake(1)
    with sqlite3.connect(tmp_path / "queue.db") as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert connection.execute("SELECT count(*) FROM task").fetchone() == (1,)


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    engine = create_engine(f"sqlite:///{tmp_path / 'hub.db'}")
    Base.metadata.create_all(engine)
    with Session(engine) as made:
        yield made
    engine.dispose()


def test_a_check_tells_whether_somebody_works(settings: Settings, session: Session) -> None:
    report = check_queue(settings, session)
    assert not report.is_ok
    assert "no worker" in report.sentence
    claims.note_worker(session, "me", 30)
    report = check_queue(settings, session)
    assert report.is_ok
    assert "workers: 1, " in report.sentence
    claims.forget_worker(session, "me")
    assert not check_queue(settings, session).is_ok


def test_a_check_tells_that_the_queue_is_away(tmp_path: Path, session: Session) -> None:
    report = check_queue(make_settings(tmp_path, "redis://127.0.0.1:9/0"), session)
    assert not report.is_ok
    assert "does not answer" in report.sentence
    assert "IMAGEHUB_QUEUE_URL" in report.advice


# --- A worker on the queue ------------------------------------------------------------------------


def test_jobs_are_served_in_turn(
    make_import_hub: Callable[..., ImportHub],
    sqlite_url: str,
    start_here: Callable[..., Worker],
) -> None:
    hub = make_import_hub(sqlite_url)
    large = hub.ask(hub.put_pictures("Large", 40))
    small = hub.ask(hub.put_pictures("Small", 3, first=100))
    start_here(hub)
    assert hub.finish_job(small).done_count == 3
    assert hub.finish_job(large).done_count == 40
    # By the books, since the large one goes on while somebody looks. The end of a job is noted
    # later than that of its last item, by the next worker that looks for one.
    end = max(item.finished_at for item in hub.list_items(small) if item.finished_at)
    late = [item for item in hub.list_items(large) if item.finished_at and item.finished_at > end]
    assert len(late) > 20


@pytest.mark.parametrize("queue", ["", "redis_url"], ids=["sqlite", "redis"])
def test_calls_alone_carry_a_job_to_its_end(
    make_import_hub: Callable[..., ImportHub],
    sqlite_url: str,
    start_here: Callable[..., Worker],
    request: pytest.FixtureRequest,
    queue: str,
) -> None:
    url = request.getfixturevalue(queue) if queue else ""
    hub = make_import_hub(sqlite_url, IMAGEHUB_QUEUE_URL=url)
    worker = start_here(hub, replace(QUICK, sweep_seconds=3600))
    while claims.count_workers(hub.session) == 0:
        hub.session.rollback()
        time.sleep(0.05)
    time.sleep(0.5)  # Its first sweep, which is also its last, is over.
    assert hub.finish_job(hub.ask(hub.put_pictures("Works", 9))).done_count == 9
    wait_until(lambda: worker.count_active_items() == 0)
    # The last calls find nothing to do, and send no others.
    deadline = time.monotonic() + 20
    while JobQueue(hub.settings).count_calls():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_without_any_call_the_sweep_finds_the_work(
    import_hub: ImportHub, start_here: Callable[..., Worker]
) -> None:
    job_id = import_hub.create(import_hub.put_pictures("Works", 5))
    start_here(import_hub)
    assert import_hub.finish_job(job_id).done_count == 5


def test_without_any_queue_the_sweep_does_the_work(
    make_import_hub: Callable[..., ImportHub],
    sqlite_url: str,
    start_here: Callable[..., Worker],
) -> None:
    hub = make_import_hub(sqlite_url, IMAGEHUB_QUEUE_URL="redis://127.0.0.1:9/0")
    jobs = [hub.create(hub.put_pictures(f"Works {n}", 3, first=n * 10)) for n in range(2)]
    start_here(hub)
    assert [hub.finish_job(job_id).done_count for job_id in jobs] == [3, 3]


def test_calls_are_not_piled_up_while_work_waits(
    import_hub: ImportHub, start_here: Callable[..., Worker]
) -> None:
    hub = import_hub
    selection = hub.put_pictures("Works", 30)
    hub.onedrive.set_fault("delay", seconds=0.3, path="/items/")
    job_id = hub.ask(selection)
    worker = start_here(hub, replace(QUICK, sweep_seconds=0.1))
    queue = JobQueue(hub.settings)
    most = 0
    while not hub.report(job_id).is_finished:
        most = max(most, queue.count_calls().total() + worker.count_active_items())
        time.sleep(0.1)
    hands = count_worker_threads(hub.settings)
    assert hands <= most <= 2 * hands


def test_a_worker_that_is_asked_to_stop_puts_its_items_back(import_hub: ImportHub) -> None:
    hub = import_hub
    selection = hub.put_pictures("Works", 6)
    hub.onedrive.set_fault("delay", seconds=20, path="/items/")
    program = hub.start_worker(replace(QUICK, lease_seconds=600, grace_seconds=0.2))
    job_id = hub.ask(selection)
    hub.wait_until(job_id, lambda report: report.running_count >= 2)
    assert program.stop() == 0
    assert hub.report(job_id).queued_count == 6
    assert {item.suspicion for item in hub.list_items(job_id)} == {0}
    assert claims.count_workers(hub.session) == 0
    assert list((hub.settings.data_dir / "scratch").iterdir()) == []
    hub.onedrive.clear_faults()
    assert hub.work(job_id) == ["done"] * 6


def test_a_worker_finishes_what_is_nearly_done(import_hub: ImportHub) -> None:
    hub = import_hub
    program = hub.start_worker(replace(QUICK, grace_seconds=60))
    selection = hub.put_pictures("Works", 60)
    # So that there is work left when it is asked to stop.
    delay = hub.onedrive.set_fault("delay", seconds=0.3, path="/items/")
    job_id = hub.ask(selection)
    hub.wait_until(job_id, lambda report: report.done_count >= 5)
    assert program.stop() == 0
    hub.onedrive.clear_faults(delay)
    report = hub.report(job_id)
    assert report.running_count == 0
    assert not report.is_finished
    assert report.done_count + report.queued_count == 60
    assert hub.work(job_id) == ["done"] * report.queued_count
    hub.check_stores_agree()


def test_leases_are_renewed_while_a_worker_lives(
    import_hub: ImportHub, start_here: Callable[..., Worker]
) -> None:
    hub = import_hub
    selection = hub.put_pictures("Works", 1)
    hub.onedrive.set_fault("delay", seconds=6, path="/items/", times=1)
    timing = replace(QUICK, lease_seconds=4, heartbeat_seconds=0.3, sweep_seconds=0.3)
    for _ in range(2):
        start_here(hub, timing)
    job_id = hub.ask(selection)
    assert hub.finish_job(job_id).done_count == 1
    [item] = hub.list_items(job_id)
    assert item.suspicion == 0


def test_what_a_killed_worker_left_on_disk_is_removed_at_the_next_start(
    import_hub: ImportHub, start_here: Callable[..., Worker]
) -> None:
    hub = import_hub
    selection = hub.put_files("Works", {"a.jpg": b"\xff\xd8" + bytes(3_000_000)})
    hub.onedrive.set_fault("slow_download", bytes_per_second=100_000)
    program = hub.start_worker()
    hub.ask(selection)
    scratch = hub.settings.data_dir / "scratch"
    deadline = time.monotonic() + 60
    while not list(scratch.rglob("tmp*")):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    program.kill()
    assert list(scratch.rglob("tmp*"))
    hub.onedrive.clear_faults()
    start_here(hub)
    assert len(list(scratch.iterdir())) == 1
    assert hub.finish_job(1).failed_count == 1


def list_children(parent: int) -> list[int]:
    """The processes that a process has started and that still run."""
    children = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, parent_id = path.read_text().rpartition(")")[2].split()[:2]
            if int(parent_id) == parent and state != "Z":
                children.append(int(path.parent.name))
    return children


def test_a_worker_gets_over_renderers_that_are_killed(import_hub: ImportHub) -> None:
    hub = import_hub
    program = hub.start_worker()
    job_id = hub.ask(hub.put_pictures("Works", 30))
    for done in (2, 4, 6, 8):
        hub.wait_until(job_id, lambda report, n=done: report.finished_count >= n)
        # Those of the last round may be gone and no others there yet.
        wait_until(lambda: list_children(program.pid))
        for child in list_children(program.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
    report = hub.finish_job(job_id)
    assert program.stop() == 0
    assert report.done_count + report.failed_count == 30
    # The kernel kills a renderer in the same way when memory runs out.
    reasons = {item.reason for item in report.failed}
    assert reasons <= {"Opening this image takes more memory than is available."}
    hub.reconcile()
    hub.check_stores_agree()
