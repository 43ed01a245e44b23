"""What the hub counts: in many processes, with few labels, and only when asked to."""

import ast
import signal
import subprocess
import sys
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from imagehub import metrics
from imagehub.errors import NotFoundError, ServiceBusyError, ServiceRefusedError
from imagehub.metrics import GRAPH, GRAPH_OPERATIONS, HTTP, ITEMS, RUNNING, S3, S3_OPERATIONS, TILES
from tests.fixtures.workers import FORKS
from tests.support import ROOT

COUNT = f"{HTTP}_count"


@pytest.fixture(autouse=True)
def _stop() -> Iterator[None]:
    yield
    metrics.stop()


def count_until_killed(folder: Path, name: str, ready: Connection) -> None:
    """Count a request and begin another in a program of that name."""
    metrics.start(folder, name)
    metrics.begin_request()
    metrics.begin_request()
    metrics.end_request("gallery.show_front", "GET", 200, 0.02)
    ready.send("counted")
    signal.pause()


def read(folder: Path, sample_name: str, label: str = "program") -> dict[str, float]:
    """Return the values of a metric by one of its labels, added up."""
    found: dict[str, float] = {}
    for family in text_string_to_metric_families(metrics.render(folder, ()).decode()):
        for sample in family.samples:
            if sample.name == sample_name:
                key = sample.labels[label]
                found[key] = found.get(key, 0.0) + sample.value
    return found


def test_nothing_is_counted_and_no_folder_made_until_it_is_started(tmp_path: Path) -> None:
    metrics.begin_request()
    metrics.end_request("gallery.show_front", "GET", 200, 0.01)
    metrics.count_import_item("done")
    metrics.count_graph_wait("pause", 1)
    with metrics.measure_phase("render"), metrics.measure_s3("list objects"):
        pass
    with metrics.measure_tiles():
        pass
    metrics.forget_process(1)
    assert list(tmp_path.iterdir()) == []
    assert metrics.render(tmp_path, ()) == b""


def test_a_program_that_needs_no_metrics_does_not_load_the_library() -> None:
    code = "import sys, imagehub; sys.exit('prometheus_client' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_requests_are_counted_by_endpoint_method_and_class_of_status(tmp_path: Path) -> None:
    metrics.start(tmp_path, "web")
    for status in (200, 204, 503):
        metrics.begin_request()
        metrics.end_request("gallery.show_front", "GET", status, 0.02)
    metrics.begin_request()
    metrics.end_request("", "BREW", 404, 0.001)
    assert read(tmp_path, COUNT, "status") == {"2xx": 2, "5xx": 1, "4xx": 1}
    assert read(tmp_path, COUNT, "endpoint") == {"gallery.show_front": 3, "none": 1}
    assert read(tmp_path, COUNT, "method") == {"GET": 3, "other": 1}
    assert read(tmp_path, RUNNING) == {"web": 0}


def test_outcomes_of_calls_are_counted(tmp_path: Path) -> None:
    metrics.start(tmp_path, "worker")
    errors = (
        NotFoundError("object", "x"),
        ServiceBusyError("object storage", "list objects"),
        ServiceRefusedError("object storage", "list objects", "access_denied"),
        ValueError(),
    )
    with metrics.measure_s3("list objects"):
        pass
    for error in errors:
        with pytest.raises(type(error)), metrics.measure_s3("list objects"):
            raise error
    counts = read(tmp_path, f"{S3}_count", "outcome")
    assert counts == dict.fromkeys(("ok", "missing", "busy", "refused", "error"), 1)
    with metrics.measure_graph("list a folder") as call:
        call.status = 429
    with pytest.raises(OSError), metrics.measure_graph("an operation nobody has listed"):
        raise OSError
    assert read(tmp_path, f"{GRAPH}_count", "status") == {"429": 1, "none": 1}
    assert read(tmp_path, f"{GRAPH}_count", "operation") == {"list a folder": 1, "other": 1}
    for outcome in ("done", "queued"):
        metrics.count_import_item(outcome)
    assert read(tmp_path, f"{ITEMS}_total", "outcome") == {"done": 1, "retried": 1}


def test_attempts_to_make_tiles_are_counted_by_outcome(tmp_path: Path) -> None:
    metrics.start(tmp_path, "worker")
    for outcome in metrics.TILE_OUTCOMES:
        with metrics.measure_tiles() as attempt:
            attempt.outcome = outcome
    with pytest.raises(ValueError), metrics.measure_tiles():
        raise ValueError
    counts = read(tmp_path, f"{TILES}_count", "outcome")
    assert counts == {"made": 1, "failed": 2, "postponed": 1, "stopped": 1}


def test_the_counts_of_all_programs_are_added_up_until_another_one_starts(tmp_path: Path) -> None:
    programs = []
    try:
        for name in ("web", "web", "worker"):
            counted, ready = FORKS.Pipe(duplex=False)
            program = FORKS.Process(target=count_until_killed, args=(tmp_path, name, ready))
            program.start()
            programs.append(program)
            ready.close()
            assert counted.recv() == "counted"
            counted.close()
        assert read(tmp_path, COUNT) == {"web": 2, "worker": 1}
        assert read(tmp_path, RUNNING) == {"web": 2, "worker": 1}
        folders = list((tmp_path / "metrics").iterdir())
        assert all(path.stat().st_mode & 0o077 == 0 for path in folders)
        programs[0].kill()
        programs[0].join(60)
        assert read(tmp_path, COUNT) == {"web": 2, "worker": 1}
        metrics.start(tmp_path, "web")
        assert read(tmp_path, COUNT) == {"web": 1, "worker": 1}
    finally:
        for program in programs:
            program.kill()
            program.join(60)


def test_a_fork_counts_for_itself_and_is_forgotten_when_it_ends(tmp_path: Path) -> None:
    code = """
import os, sys
from pathlib import Path
from imagehub import metrics
folder = Path(sys.argv[1])
metrics.start(folder, "web")
metrics.begin_request()
child = os.fork()
if not child:
    metrics.begin_request()
    metrics.end_request("gallery.show_front", "GET", 200, 0.02)
    metrics.begin_request()
    os._exit(0)
os.waitpid(child, 0)
sys.stdout.write(metrics.render(folder, ()).decode())
metrics.forget_process(child)
sys.stdout.write("---" + metrics.render(folder, ()).decode())
"""
    command = [sys.executable, "-c", code, str(tmp_path)]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    for text, in_progress in zip(run.stdout.split("---"), (2, 1), strict=True):
        samples = {
            sample.name: sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if "le" not in sample.labels
        }
        assert samples[RUNNING] == in_progress
        assert samples[COUNT] == 1


def find_operations(*names: str) -> set[str]:
    """Return the texts that name an operation in the clients, wherever they are given."""
    found = set()
    for name in names:
        for path in (ROOT / "imagehub/clients").glob(name):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                    if node.targets[0].id.lower() in ("operation", "_operation"):
                        found.add(node.value)
                elif isinstance(node, ast.Call):
                    name = getattr(node.func, "attr", "") or getattr(node.func, "id", "")
                    if name in ("_translated", "fetch_inside", "get_json", "_fetch_first"):
                        found.update(node.args)
    texts = {one.value for one in found if isinstance(one, ast.Constant)}
    return {text for text in texts if isinstance(text, str) and " " in text}


def test_the_lists_of_operations_are_complete() -> None:
    """An operation that is not listed would be counted as "other"."""
    assert find_operations("graph*.py", "identity.py") == GRAPH_OPERATIONS
    public = {"read an object through the public endpoint"}
    assert find_operations("s3*.py") - public == S3_OPERATIONS
