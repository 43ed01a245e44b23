"""What child processes that work on files of strangers share: pipes, limits and failures."""

import contextlib
import ctypes
import os
import resource
import signal
import sys
import traceback
import warnings
from io import FileIO
from typing import BinaryIO

from imagehub.errors import PictureError, PictureTooLargeError
from imagehub.imaging.pool import Frame
from imagehub.messages import mark

_NICE = 10
_PR_SET_PDEATHSIG = 1  # From <linux/prctl.h>.
_TOO_MUCH = mark("Opening this image takes more memory than is allowed.")


def open_pipes(parent: int) -> tuple[BinaryIO, FileIO]:
    """Begin as a child that gives way to everything else; return where frames come from and go to.

    :param parent: process id of the parent.
    """
    die_with(parent)
    os.nice(_NICE)
    pipes = os.fdopen(os.dup(0), "rb"), FileIO(os.dup(1), "wb")
    warnings.simplefilter("ignore")  # About broken Exif and similar faults of a file.
    silence()
    return pipes


def silence() -> None:
    """Drop what is printed from here on: libraries may only print about faults of a file."""
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), 1)
        os.dup2(nowhere.fileno(), 2)


def describe_failure(error: Exception, too_much: str = _TOO_MUCH) -> Frame:
    """Describe what went wrong with a picture to the parent; called where it was caught.

    :param too_much: what is said if the memory does not suffice.
    """
    if isinstance(error, MemoryError):
        error = PictureTooLargeError(too_much)
    if isinstance(error, PictureError):
        return {"kind": "error", "error": type(error).__name__, "message": str(error)}
    return {
        "kind": "unexpected",
        "message": mark("This image cannot be read."),
        "trace": traceback.format_exc(limit=20)[-20_000:],
    }


def die_with(parent: int) -> None:
    """Have the kernel kill this process when the parent ends.

    A closed pipe is not enough: a child does not read it during a picture. Source: prctl(2).
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(0)  # It ended before prctl was called.


def limit_memory(limit_bytes: int) -> None:
    """Limit the memory that is allocated from here on.

    The limit is on data, not on addresses: a decoder may reserve more of those than it uses.
    """
    limit = limit_bytes + read_status("VmData")
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def read_status(name: str) -> int:
    """Return a figure of /proc/self/status in bytes, 0 if it is missing.

    Not getrusage: its peak includes the parent's memory, which vfork shares briefly.
    Source: proc_pid_status(5).
    """
    with contextlib.suppress(OSError), open("/proc/self/status", encoding="ascii") as lines:
        for line in lines:
            if line.startswith(name + ":"):
                return int(line.split()[1]) * 1024
    return 0
