"""Small helpers that several tests share."""

import os
import random
import re
import shutil
import socket
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
    """A TCP port of the loopback address for a program that a test starts a little later.

    It is none that the system gives to connections and listeners by itself, so that nobody takes it
    in between: another process of the same run has ports of its own.

    Source: Linux kernel documentation, ip-sysctl, ip_local_port_range (default 32768 to 60999).
    """
    number = int(re.sub(r"\D", "", os.environ.get("PYTEST_XDIST_WORKER", "")) or 0)
    for _ in range(1000):
        port = 10_000 + random.randrange(11_000) * 2 + number % 2
        if port in _HANDED_OUT:
            continue
        with socket.socket() as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listener.bind(("127.0.0.1", port))
            except OSError:
                continue
        _HANDED_OUT.add(port)
        return port
    raise AssertionError("no port is free")


_HANDED_OUT: set[int] = set()
