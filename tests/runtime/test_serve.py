"""``imagehub serve``: a whole hub from an empty folder, and its parts as separate programs."""

import json
import os
import signal
import socket
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import Engine, event, text

from imagehub.database import make_engine_options
from imagehub.metrics import PHASE_NAMES
from imagehub.runtime import serve
from imagehub.runtime.serve import hold_migration_lock
from imagehub.runtime.supervisor import StartError
from tests.fixtures.database import open_engine
from tests.fixtures.importing import ImportHub, make_jpeg
from tests.fixtures.programs import (
    Command,
    choose_ports,
    is_alive,
    list_descendants,
    read_command_line,
    run_command,
    sign_in,
    wait_until,
)
from tests.support import get_free_port

PASSWORD = "correct horse battery"
METRICS_TOKEN = "token-of-prometheus-1234"
Start = Callable[..., Command]


def test_a_hub_starts_in_an_empty_folder_and_restarts_its_parts(
    start_command: Start, tmp_path: Path
) -> None:
    ports = choose_ports()
    port = get_free_port()
    hub = start_command(tmp_path, "serve", "--port", str(port), IMAGEHUB_WEB_WORKERS="2", **ports)
    address = hub.wait_until_ready()
    assert address == f"http://127.0.0.1:{port}"
    assert "Nobody can sign in yet: run `imagehub create-admin NAME`.\n" in hub.said
    assert "imagehub create-admin NAME" in requests.get(f"{address}/sign-in", timeout=30).text
    made = run_command(tmp_path, "create-admin", "ada", "--password-stdin", text=PASSWORD, **ports)
    assert made.returncode == 0, made.stderr
    assert requests.get(f"{address}/health", timeout=30).status_code == 200
    assert requests.get(address, timeout=30).status_code == 200
    assert sign_in(address, "ada", PASSWORD)["code"] == 2
    assert {path.name for path in (tmp_path / "instance").iterdir()} >= {
        "imagehub.db",
        "objects",
        "queue.db",
        "secrets",
    }

    # The process that started it creates files that everybody can read; the hub does not.
    assert list_open_files(tmp_path / "instance") == []

    # The doctor, a separate program, finds no faults.
    doctor = run_command(tmp_path, "doctor", **ports)
    assert doctor.returncode == 0, doctor.stdout
    assert "workers: 1, " in doctor.stdout
    assert f"Writing to http://127.0.0.1:{ports['IMAGEHUB_S3_PORT']} " in doctor.stdout

    # A second hub does not disturb the first.
    second = run_command(tmp_path, "serve", "--port", str(port), **ports)
    assert second.returncode == 1
    assert f"Port {port} on 127.0.0.1 is in use." in second.stderr
    third = run_command(tmp_path, "serve", "--port", str(get_free_port()), **ports)
    assert third.returncode == 1
    assert "IMAGEHUB_S3_PORT" in third.stderr

    # A worker, a web server and an S3 server that end are restarted.
    for words, name in (("imagehub worker", "worker"), ("gunicorn", "web server")):
        pid = hub.find_program(words)
        os.kill(pid, signal.SIGKILL)
        hub.wait_for(f"The {name} ended \\(by SIGKILL\\) and will be restarted")
        wait_until(lambda words=words, pid=pid: find_other(hub, words, pid))
    os.kill(hub.find_program("runtime/s3_server.py"), signal.SIGKILL)
    hub.wait_for(r"The S3 server ended")
    wait_until(lambda: answers(f"{address}/health"))
    wait_until(lambda: answers(f"http://127.0.0.1:{ports['IMAGEHUB_S3_PORT']}/"))
    assert sign_in(address, "ada", PASSWORD)["code"] == 2

    assert hub.end(signal.SIGTERM) == 0
    assert hub.said.endswith("Stopped.\n")
    assert "Traceback" not in hub.said
    assert PASSWORD not in hub.said


def list_open_files(folder: Path) -> list[Path]:
    """Return the folder and what is in it, as far as other users have any permission."""
    return [path for path in (folder, *folder.rglob("*")) if path.stat().st_mode & 0o077]


def find_other(hub: Command, words: str, pid: int) -> bool:
    try:
        return hub.find_program(words) != pid
    except (AssertionError, OSError):
        return False


def answers(address: str) -> bool:
    try:
        return requests.get(address, timeout=5).status_code > 0
    except requests.RequestException:
        return False


@pytest.mark.parametrize("command", ["serve", "web", "worker"])
def test_invalid_settings_stop_the_start_and_are_all_listed(tmp_path: Path, command: str) -> None:
    result = run_command(
        tmp_path, command, IMAGEHUB_ENV="production", IMAGEHUB_ACCENT="red", IMAGEHUB_AVIF="maybe"
    )
    assert result.returncode == 1
    for name in ("SECRET_KEY", "TOKEN_KEY", "PUBLIC_URL", "ACCENT", "AVIF"):
        assert f"IMAGEHUB_{name}: " in result.stderr
    assert "Traceback" not in result.stderr


def test_a_database_that_is_down_is_explained_in_one_sentence(tmp_path: Path) -> None:
    url = f"mysql+pymysql://hub:geheim@127.0.0.1:{get_free_port()}/hub"
    result = run_command(tmp_path, "serve", IMAGEHUB_DATABASE_URL=url, **choose_ports())
    assert result.returncode == 1
    assert "The database cannot be used" in result.stderr
    assert "Traceback" not in result.stderr
    assert "geheim" not in result.stderr


def test_with_mariadb_and_redis_web_and_worker_run_separately(
    start_command: Start,
    make_import_hub: Callable[..., ImportHub],
    mariadb_url: str,
    redis_url: str,
    tmp_path: Path,
) -> None:
    hub = make_import_hub(
        mariadb_url,
        IMAGEHUB_QUEUE_URL=redis_url,
        IMAGEHUB_METRICS_TOKEN=METRICS_TOKEN,
        IMAGEHUB_LOG_FORMAT="json",
    )
    environment = hub.settings.to_environment()
    run = run_command(tmp_path, "settings", **environment)
    assert "IMAGEHUB_QUEUE_URL = (set)" in run.stdout

    port = get_free_port()
    web = start_command(tmp_path, "web", "--port", str(port), **environment)
    wait_until(lambda: answers(f"http://127.0.0.1:{port}/health"))
    workers = [start_command(tmp_path, "worker", **environment) for _ in range(2)]
    for worker in workers:
        worker.wait_until_ready()

    for number in range(4):
        folder = hub.onedrive.root / f"Work {number}"
        folder.mkdir()
        (folder / "front.jpg").write_bytes(make_jpeg(number))
        (folder / "back.jpg").write_bytes(make_jpeg(number + 10))
    imported = run_command(tmp_path, "import", **environment)
    assert imported.returncode == 0, imported.stderr
    assert "8 pictures imported." in imported.stdout

    page = requests.get(f"http://127.0.0.1:{port}/image/page?page=1", timeout=30).json()
    assert len(page["data"]) == 4
    picture = requests.get(page["data"][0]["image"], timeout=30)
    assert picture.headers["Content-Type"] == "image/webp"

    # Any web server knows what all processes of the data folder have counted.
    assert count(port, "imagehub_import_items_total", outcome="done", program="worker") == 8
    for phase in PHASE_NAMES:
        assert count(port, "imagehub_import_phase_seconds_count", phase=phase) == 8
    stored = count(port, "imagehub_s3_request_seconds_count", operation="store an object")
    assert stored >= 8
    downloads = {"operation": "download a file", "status": "200", "program": "worker"}
    assert count(port, "imagehub_graph_request_seconds_count", **downloads) >= 8
    assert count(port, "imagehub_workers") == 2
    pages = {"endpoint": "gallery.api_page", "status": "2xx", "program": "web"}
    requests_name = "imagehub_http_request_seconds_count"
    assert count(port, requests_name, **pages) == 1
    # What an ended process has counted stays.
    web_process = next(pid for pid in list_descendants(web.process.pid))
    os.kill(web_process, signal.SIGKILL)
    web.wait_for("SIGKILL")
    wait_until(lambda: answers(f"http://127.0.0.1:{port}/health"))
    assert count(port, requests_name, **pages) == 1
    # Lines of the log are JSON.
    line = next(line for line in web.said.splitlines() if "SIGKILL" in line)
    assert json.loads(line)["program"] == "web"
    assert METRICS_TOKEN not in web.said

    for command in (web, *workers):
        assert command.end(signal.SIGTERM) == 0
    assert list((hub.settings.data_dir / "metrics").iterdir()) == []


def count(port: int, name: str, **labels: str) -> float:
    """Return the sum of a metric's series with these labels."""
    answer = requests.get(
        f"http://127.0.0.1:{port}/metrics",
        headers={"Authorization": f"Bearer {METRICS_TOKEN}"},
        timeout=30,
    )
    assert answer.status_code == 200
    return sum(
        sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    )


def test_with_a_queue_on_redis_serve_starts_no_worker(
    start_command: Start, redis_url: str, tmp_path: Path
) -> None:
    ports = choose_ports()
    hub = start_command(
        tmp_path, "serve", "--port", str(get_free_port()), IMAGEHUB_QUEUE_URL=redis_url, **ports
    )
    hub.wait_until_ready()
    lines = [read_command_line(pid) for pid in hub.list_programs()]
    assert any("gunicorn" in line for line in lines)
    assert any("s3_server.py" in line for line in lines)
    assert not any("imagehub worker" in line for line in lines)
    pids = hub.list_programs()
    hub.process.kill()
    wait_until(lambda: not any(map(is_alive, pids)))


def test_web_reports_a_busy_port(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as somebody:
        port = somebody.getsockname()[1]
        result: subprocess.CompletedProcess[str] = run_command(
            tmp_path, "web", "--port", str(port), **choose_ports()
        )
    assert result.returncode == 1
    assert f"Port {port} on 127.0.0.1 is in use" in result.stderr


def test_two_programs_do_not_migrate_at_the_same_time(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second waits until the first has finished, or gives up."""
    events: list[str] = []
    with open_engine(database_url) as first, open_engine(database_url) as second:
        is_sqlite = first.dialect.name == "sqlite"

        def migrate_too() -> None:
            with hold_migration_lock(second):
                events.append("second")

        thread = threading.Thread(target=migrate_too)
        with hold_migration_lock(first):
            if not is_sqlite:
                monkeypatch.setattr(serve, "LOCK_ATTEMPTS", 1)
                monkeypatch.setattr(serve, "LOCK_WAIT_SECONDS", 0)
                with pytest.raises(StartError, match="Another program has been migrating"):
                    migrate_too()
                monkeypatch.undo()
            thread.start()
            wait_until(lambda: is_sqlite_waiting() if is_sqlite else is_waiting(first))
            events.append("first")
        thread.join()
    assert events == ["first", "second"]


def test_no_statement_waits_for_the_lock_until_its_connection_times_out(
    mariadb_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = make_engine_options(mariadb_url)["connect_args"]
    assert options["read_timeout"] >= 2 * serve.LOCK_WAIT_SECONDS
    assert serve.LOCK_ATTEMPTS * serve.LOCK_WAIT_SECONDS == 600
    monkeypatch.setattr(serve, "LOCK_ATTEMPTS", 3)
    monkeypatch.setattr(serve, "LOCK_WAIT_SECONDS", 0)
    asked: list[str] = []
    with open_engine(mariadb_url) as first, open_engine(mariadb_url) as second:
        event.listen(second, "before_cursor_execute", lambda *call: asked.append(call[2]))
        with (
            hold_migration_lock(first),
            pytest.raises(StartError, match="Another program has been migrating"),
            hold_migration_lock(second),
        ):
            pass
    assert sum("get_lock(" in statement.lower() for statement in asked) == 3


def is_waiting(engine: Engine) -> bool:
    """Return whether a connection to the database waits for a lock by name."""
    query = "SELECT info FROM information_schema.processlist WHERE db = database()"
    with engine.connect() as connection:
        listed = connection.execute(text(query))
        return any("get_lock(" in (info or "").lower() for info in listed.scalars())


def is_sqlite_waiting() -> bool:
    """Return whether a thread of this process waits for a file's lock."""
    locks = Path("/proc/locks").read_text().splitlines()
    return any("-> FLOCK" in line and str(os.getpid()) in line.split() for line in locks)
