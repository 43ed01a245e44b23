"""Small helpers that several tests share."""

import os
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
    """A TCP port of the loopback address that nobody listens on at this moment."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
