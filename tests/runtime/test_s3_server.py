"""The program that runs the embedded S3 server."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
import requests

from imagehub.clients.s3 import S3Store
from imagehub.runtime.s3_server import (
    LaunchError,
    find_rclone,
    is_answering,
    listen,
    read_keys,
    remove_leftovers,
)
from tests.fixtures.s3 import ACCESS_KEY_ID, SECRET_ACCESS_KEY, S3Server
from tests.support import ROOT

PROGRAM = str(ROOT / "imagehub" / "runtime" / "s3_server.py")

StartS3 = Callable[..., AbstractContextManager[tuple[subprocess.Popen[str], str]]]

KEYS = {
    "IMAGEHUB_S3_ACCESS_KEY_ID": ACCESS_KEY_ID,
    "IMAGEHUB_S3_SECRET_ACCESS_KEY": SECRET_ACCESS_KEY,
}


@pytest.fixture
def launched(start_s3: StartS3, tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    with start_s3(tmp_path / "objects") as started:
        yield started


def make_store(address: str, bucket: str = "pictures") -> S3Store:
    store = S3Server(address).make_store(bucket=bucket)
    store.create_bucket()
    return store


def find_children(process_id: int) -> list[int]:
    """Return the ids of child processes (proc(5), /proc/pid/task/tid/children)."""
    path = Path(f"/proc/{process_id}/task/{process_id}/children")
    return [int(child) for child in path.read_text().split()]


def wait_until(condition: object, seconds: float = 20.0) -> None:
    """Wait for something in another process."""
    until = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < until, "it did not happen"
        time.sleep(0.02)


def is_running(process_id: int) -> bool:
    try:
        state = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def launch(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run the program, which is expected to end at once."""
    return subprocess.run(
        [sys.executable, "-P", PROGRAM, *arguments],
        cwd=ROOT,
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_ready_is_printed_when_it_answers(launched: tuple[subprocess.Popen[str], str]) -> None:
    _, address = launched
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+", address)
    assert requests.get(address, timeout=10).status_code in (400, 403)


def test_objects_are_files_of_the_folder(
    launched: tuple[subprocess.Popen[str], str], tmp_path: Path
) -> None:
    make_store(launched[1]).put_object("renditions/ab/one.webp", b"bytes", "image/webp")
    stored = tmp_path / "objects" / "pictures" / "renditions" / "ab" / "one.webp"
    assert stored.read_bytes() == b"bytes"


def test_objects_and_their_types_survive_a_restart(start_s3: StartS3, tmp_path: Path) -> None:
    types = {"one.webp": "image/webp", "one.avif": "image/avif", "one.jpg": "image/jpeg"}
    with start_s3(tmp_path) as (_, address):
        for key, content_type in types.items():
            make_store(address).put_object(key, key.encode(), content_type)
    with start_s3(tmp_path) as (_, address):
        store = make_store(address)
        for key, content_type in types.items():
            answer = requests.get(store.make_presigned_url(key), timeout=10)
            assert answer.content == key.encode()
            assert answer.headers["Content-Type"] == content_type
            assert answer.headers["Cache-Control"] == "public, max-age=86400, immutable"


def test_the_keys_are_not_in_the_arguments(launched: tuple[subprocess.Popen[str], str]) -> None:
    process, _ = launched
    family = [process.pid, *find_children(process.pid)]
    assert len(family) == 2
    for member in family:
        arguments = Path(f"/proc/{member}/cmdline").read_bytes()
        assert ACCESS_KEY_ID.encode() not in arguments
        assert SECRET_ACCESS_KEY.encode() not in arguments


def test_rclone_gets_no_other_secret_of_the_hub(start_s3: StartS3, tmp_path: Path) -> None:
    with start_s3(
        tmp_path, IMAGEHUB_MS_CLIENT_SECRET="not-for-rclone", RCLONE_READ_ONLY="true"
    ) as (process, address):
        (child,) = find_children(process.pid)
        environ = Path(f"/proc/{child}/environ").read_bytes()
        assert b"not-for-rclone" not in environ
        # A setting for other uses of rclone would forbid this.
        make_store(address).put_object("one", b"1", "image/webp")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_server_and_program(
    start_s3: StartS3, tmp_path: Path, number: signal.Signals
) -> None:
    with start_s3(tmp_path) as (process, address):
        (child,) = find_children(process.pid)
        process.send_signal(number)
        assert process.wait(timeout=20) == 0
        assert not is_running(child)
    with pytest.raises(requests.ConnectionError):
        requests.get(address, timeout=10)


def test_the_server_ends_even_when_the_program_is_killed(start_s3: StartS3, tmp_path: Path) -> None:
    with start_s3(tmp_path) as (process, _):
        (child,) = find_children(process.pid)
        process.kill()
        process.wait(timeout=20)
        wait_until(lambda: not is_running(child))


def test_the_program_ends_with_its_parent_when_asked_to(
    start_program: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    """An intermediate parent process starts the program and is killed."""
    command = [sys.executable, "-P", PROGRAM, "--root", str(tmp_path)]
    command += ["--port", "0", "--end-with-parent"]
    parent = start_program(
        [sys.executable, "-c", f"import subprocess; subprocess.run({command!r})"],
        cwd=ROOT,
        env={**os.environ, **KEYS},
        stdout=subprocess.PIPE,
    )
    assert parent.stdout is not None
    assert parent.stdout.readline().startswith("ready: ")
    (launcher,) = find_children(parent.pid)
    (rclone,) = find_children(launcher)
    parent.kill()
    wait_until(lambda: not is_running(launcher) and not is_running(rclone))


def test_a_crashed_server_is_restarted_without_refused_connections(
    launched: tuple[subprocess.Popen[str], str],
) -> None:
    process, address = launched
    store = make_store(address)
    store.put_object("one", b"bytes", "image/webp")
    (child,) = find_children(process.pid)
    os.kill(child, signal.SIGKILL)
    wait_until(lambda: not is_running(child))
    # The socket is the program's own, so this waits for the new server.
    assert requests.get(store.make_presigned_url("one"), timeout=20).content == b"bytes"
    assert store.get_object("one") == b"bytes"
    assert find_children(process.pid) != [child]


def test_manually_restored_files_are_seen_after_sighup(
    launched: tuple[subprocess.Popen[str], str], tmp_path: Path
) -> None:
    process, address = launched
    store = make_store(address)
    store.put_object("renditions/one", b"1", "image/webp")
    (tmp_path / "objects" / "pictures" / "renditions" / "two").write_bytes(b"2")
    process.send_signal(signal.SIGHUP)
    wait_until(lambda: store.find_object("renditions/two") is not None)
    assert store.get_object("renditions/two") == b"2"


def test_a_busy_port_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = launch("--root", str(tmp_path), "--port", str(port), **KEYS)
    assert ended.returncode == 1
    assert ended.stderr.startswith(f"Port {port} on 127.0.0.1 cannot be used")
    assert "choose another port" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_port_is_free_again_at_once(start_s3: StartS3, tmp_path: Path) -> None:
    with start_s3(tmp_path) as (_, address):
        make_store(address).put_object("one", b"1", "image/webp")
    port = address.rpartition(":")[2]
    with start_s3(tmp_path, "--port", port) as (_, again):
        assert again == address


@pytest.mark.parametrize(
    ("environ", "name"),
    [
        ({}, "IMAGEHUB_S3_ACCESS_KEY_ID"),
        ({"IMAGEHUB_S3_ACCESS_KEY_ID": "abc"}, "IMAGEHUB_S3_SECRET_ACCESS_KEY"),
        (KEYS | {"IMAGEHUB_S3_SECRET_ACCESS_KEY": "with,comma"}, "IMAGEHUB_S3_SECRET_ACCESS_KEY"),
        (KEYS | {"IMAGEHUB_S3_SECRET_ACCESS_KEY": 'with"quote'}, "IMAGEHUB_S3_SECRET_ACCESS_KEY"),
    ],
)
def test_keys_that_rclone_cannot_parse_are_refused(environ: dict[str, str], name: str) -> None:
    with pytest.raises(LaunchError, match=name) as caught:
        read_keys(environ)
    assert "with" not in str(caught.value)


def test_it_can_be_run_as_a_module() -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "imagehub.runtime.s3_server", "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ended.returncode == 0
    assert "--root" in ended.stdout


def test_without_keys_nothing_is_served(tmp_path: Path) -> None:
    empty = {"IMAGEHUB_S3_ACCESS_KEY_ID": "", "IMAGEHUB_S3_SECRET_ACCESS_KEY": ""}
    ended = launch("--root", str(tmp_path), "--port", "0", **empty)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "IMAGEHUB_S3_ACCESS_KEY_ID must be set" in ended.stderr


def test_a_folder_that_cannot_be_created_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    ended = launch("--root", str(tmp_path / "file" / "objects"), "--port", "0", **KEYS)
    assert ended.returncode == 1
    assert str(tmp_path / "file" / "objects") in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_host_of_another_machine_is_refused() -> None:
    with pytest.raises(LaunchError):
        listen("192.0.2.1", 0)
    with pytest.raises(LaunchError, match=r"no\.such\.host\.invalid"):
        listen("no.such.host.invalid", 0)


def test_rclone_of_this_environment_is_used() -> None:
    assert find_rclone().parent == Path(sys.executable).parent


def test_unfinished_uploads_of_a_killed_server_are_removed(tmp_path: Path) -> None:
    folder = tmp_path / "pictures" / "renditions"
    folder.mkdir(parents=True)
    old, young, object_ = (
        folder / name for name in (".rclone_temp_put_1", ".rclone_temp_put_2", "one.webp")
    )
    for path in (old, young, object_):
        path.write_bytes(b"1")
    os.utime(old, (1, 1))
    os.utime(object_, (1, 1))
    assert remove_leftovers(tmp_path, older_than=time.time() - 60) == 1
    assert sorted(folder.iterdir()) == [young, object_]


def test_an_aborted_upload_leaves_no_object(
    launched: tuple[subprocess.Popen[str], str],
) -> None:
    _, address = launched
    store = make_store(address)
    host, port = address.removeprefix("http://").split(":")
    url = store._get_client().generate_presigned_url(
        "put_object", Params={"Bucket": "pictures", "Key": "one"}
    )
    path = url.removeprefix(address)
    with socket.create_connection((host, int(port)), timeout=10) as peer:
        peer.sendall(
            f"PUT {path} HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Length: 9\r\n\r\nhalf".encode()
        )
        peer.shutdown(socket.SHUT_WR)
        with contextlib.suppress(OSError):
            while peer.recv(1000):
                pass
    assert store.find_object("one") is None
    assert list(store.iter_objects()) == []


def test_long_cookies_of_the_same_host_are_accepted(
    launched: tuple[subprocess.Popen[str], str],
) -> None:
    """Browsers send cookies to every port of a host."""
    store = make_store(launched[1])
    store.put_object("one", b"1", "image/webp")
    answer = requests.get(
        store.make_presigned_url("one"), headers={"Cookie": "session=" + "x" * 20_000}, timeout=10
    )
    assert answer.content == b"1"


def test_a_silent_or_missing_server_is_not_answering() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert not is_answering(silent.getsockname()[:2], 0.1)
        port = silent.getsockname()[1]
    assert not is_answering(("127.0.0.1", port), 0.1)
