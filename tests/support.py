"""Small helpers that several tests share."""

import contextlib
import fcntl
import os
import random
import shutil
import socket
import tempfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def is_required(what: str) -> bool:
    """Whether a missing part fails the tests: ``IMAGEHUB_TEST_REQUIRE`` is "all" or names it."""
    wanted = os.environ.get("IMAGEHUB_TEST_REQUIRE", "").split(",")
    return "all" in wanted or what in wanted


def require(program: str) -> str:
    """The path of a program on this machine.

    Where it is missing the test is skipped with a reason, or fails if it is required.
    """
    path = shutil.which(program)
    if path is None and Path(f"/usr/sbin/{program}").exists():
        path = f"/usr/sbin/{program}"
    if path is None:
        if is_required(program):
            pytest.fail(f"{program} is not installed, and IMAGEHUB_TEST_REQUIRE asks for it")
        pytest.skip(f"{program} is not installed")
    return path


def find_photos() -> Path | None:
    """The folder of real photographs, if it is on this machine (never needed)."""
    folder = Path(os.environ.get("IMAGEHUB_TEST_PHOTOS", ROOT.parent / "shared" / "photos"))
    return folder if folder.is_dir() else None


def get_free_port() -> int:
    """Reserve a TCP port of the loopback address for a program that a test starts a little later.

    The port is none that the system gives out by itself, and no other process of a test run gets it
    as long as this one lives: each holds the locks of its ports. Browsers open all of them: their
    highest blocked port is 10080.

    Source: Linux kernel documentation, ip-sysctl, ip_local_port_range (default 32768 to 60999);
    WHATWG Fetch, port blocking.
    """
    folder = Path(tempfile.gettempdir()) / f"imagehub-test-ports-{os.getuid()}"
    folder.mkdir(exist_ok=True)
    for _ in range(1000):
        port = random.randrange(10_100, 32_000)
        lock = os.open(folder / str(port), os.O_RDWR | os.O_CREAT, 0o600)
        with contextlib.suppress(OSError), socket.socket() as listener:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(("127.0.0.1", port))
            return port
        os.close(lock)
    raise AssertionError("no port is free")
