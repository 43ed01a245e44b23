"""The queue between a process that asks for work and one that does it."""

from pathlib import Path

import pytest

from imagehub.config import load_settings
from imagehub.queue import JobQueue, enqueue_job


@pytest.fixture
def settings(tmp_path: Path):
    return load_settings({"IMAGEHUB_DATA_DIR": str(tmp_path)}, None)


def test_a_call_sent_by_one_process_is_understood_by_the_worker(settings) -> None:
    """A process that only sends knows no task; the worker must know what it meant all the same."""
    enqueue_job(settings, 7, item_count=1)
    done: list[int] = []
    worker = JobQueue(settings, work=done.append)
    task = worker.huey.dequeue()
    assert task is not None
    worker.huey.execute(task)
    assert done == [7]


def test_as_many_calls_go_out_as_there_are_items_but_no_more_than_hands(settings) -> None:
    enqueue_job(settings, 3, item_count=2)
    queue = JobQueue(settings)
    assert queue.count_calls() == {3: 2}
    enqueue_job(settings, 4, item_count=10_000)
    assert 0 < queue.count_calls()[4] < 200
