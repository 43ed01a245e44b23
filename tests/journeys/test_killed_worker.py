"""Workers are killed repeatedly during imports, and nothing is lost or duplicated."""

import random
import time
from collections.abc import Callable

import pytest

from imagehub.domain.imports import claims, jobs
from imagehub.models import Rendition
from tests.fixtures.importing import ImportHub

PICTURE_COUNT = 50
KILL_COUNT = 10


@pytest.mark.parametrize("worker_count", [1, 2])
def test_ten_kills_leave_exactly_the_fifty_images(
    make_import_hub: Callable[..., ImportHub],
    request: pytest.FixtureRequest,
    worker_count: int,
) -> None:
    kind = "sqlite" if worker_count == 1 else "mariadb"
    hub = make_import_hub(request.getfixturevalue(f"{kind}_url"))
    kill_workers_during_import(hub, worker_count, random.Random(20_240_501 + worker_count))


def test_killed_workers_with_the_queue_on_redis(
    make_import_hub: Callable[..., ImportHub], sqlite_url: str, redis_url: str
) -> None:
    hub = make_import_hub(sqlite_url, IMAGEHUB_QUEUE_URL=redis_url)
    kill_workers_during_import(hub, 1, random.Random(7), picture_count=30, kill_count=4)


def kill_workers_during_import(
    hub: ImportHub,
    worker_count: int,
    chance: random.Random,
    picture_count: int = PICTURE_COUNT,
    kill_count: int = KILL_COUNT,
) -> None:
    selection = hub.put_pictures("Works", picture_count)
    workers = [hub.start_worker() for _ in range(worker_count)]
    starting: set[int] = set()
    job_id = hub.ask(selection)
    # A few pictures are finished between two kills: a file that a worker did not survive several
    # times in a row is failed on purpose.
    gap = picture_count // kill_count
    moments = [gap * turn + chance.randrange(gap - 2) for turn in range(kill_count)]
    for moment in moments:
        hub.wait_until(job_id, lambda report, m=moment: report.finished_count >= m)
        # Any time between a claim and its end: a picture takes about this long.
        time.sleep(chance.uniform(0, 0.2))
        slot = chance.randrange(worker_count)
        workers[slot].kill()
        workers[slot] = hub.start_worker(wait=False)
        starting.add(slot)
    for slot in starting:
        workers[slot].wait_until_ready()
    report = hub.finish_job(job_id)
    if report.failed:
        # A file that several workers did not survive fails on purpose; a person retries it.
        assert {item.reason for item in report.failed} == {claims.STOPPED_REASON}
        assert jobs.retry_items(hub.session, job_id) == len(report.failed)
        hub.session.commit()
        report = hub.finish_job(job_id)
    for worker in workers:
        assert worker.stop() == 0

    assert (report.done_count, report.failed, report.skipped_count) == (picture_count, (), 0)
    images = hub.list_images()
    assert [image.name for image in images] == [f"{n:04}.jpg" for n in range(picture_count)]
    assert [image.number for image in images] == list(range(1, picture_count + 1))
    assert hub.get_only_group().image_count == picture_count
    sizes = {item.key: item.size_bytes for item in hub.clients.store.iter_objects()}
    for image in images:
        assert [r.size_px for r in image.renditions] == [480, 720, 960, 1920]
        assert all(sizes[r.object_key] == r.size_bytes for r in image.renditions)

    assert hub.reconcile().missing_count == 0
    hub.check_stores_agree()
    assert hub.reconcile(fix=False).is_clean
    assert hub.session.query(Rendition).count() == 4 * picture_count
