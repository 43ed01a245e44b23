"""Render pictures for a :class:`imagehub.imaging.pool.RenderPool`, in a process of its own.

The process imports :mod:`imagehub.imaging.render` and little else.
"""

import contextlib
import ctypes
import os
import resource
import select
import signal
import sys
import traceback
import warnings

from imagehub.errors import PictureError, PictureTooLargeError
from imagehub.imaging.pool import Frame, pack_picture, read_frame, write_frame
from imagehub.imaging.render import OpenedPicture, RenderOptions, RenditionSpec, forget_memory
from imagehub.messages import mark

# A picture that needs less does not reserve memory: every process may use that much.
_SMALL_BYTES = 100_000_000
_IDLE_SECONDS = 5.0
_PR_SET_PDEATHSIG = 1  # From <linux/prctl.h>.


def run_child(parent: int) -> None:
    """Receive paths and answer them until the parent closes the pipe or ends.

    :param parent: process id of the parent.
    """
    _die_with(parent)
    for stop in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # When the whole service stops, the parent decides whether a picture is finished.
        signal.signal(stop, signal.SIG_IGN)
    source = os.fdopen(os.dup(0), "rb")
    target = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)  # Output of a library must not get between the frames.
    warnings.simplefilter("ignore")  # About broken Exif and similar faults of a file.

    def receive() -> Frame:
        return read_frame(read)[0]

    def read(count: int) -> bytes:
        data = source.read(count)
        if len(data) < count:
            os._exit(0)
        return data

    start = receive()
    specs = tuple(RenditionSpec(**spec) for spec in start["options"].pop("specs"))
    options = RenderOptions(specs=specs, **start["options"])
    _limit_memory(start["memory_limit_bytes"])
    write_frame(target, {"kind": "ready"}, [])
    # From here on, libraries may only print about faults of a file: keep that out of the log.
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), 1)
        os.dup2(nowhere.fileno(), 2)
    while True:
        if not select.select([source], [], [], _IDLE_SECONDS)[0]:
            forget_memory()
        path = receive()["path"]
        blobs: list[bytes] = []
        try:
            with open(path, "rb") as file:
                opened = OpenedPicture(file, options)
                if opened.memory_bytes > _SMALL_BYTES:
                    write_frame(target, {"kind": "large", "memory_bytes": opened.memory_bytes}, [])
                    receive()
                answer, blobs = pack_picture(opened.render())
        except PictureError as error:
            answer = _pack_error(error)
        except MemoryError:
            answer = _pack_error(
                PictureTooLargeError("Opening this image takes more memory than is allowed.")
            )
        except Exception:
            answer = {
                "kind": "unexpected",
                "message": mark("This image cannot be read."),
                "trace": traceback.format_exc(limit=20)[-20_000:],
            }
        opened = None  # type: ignore[assignment] # Free the picture before the next wait.
        write_frame(target, {**answer, "peak_bytes": _read_status("VmHWM")}, blobs)


def _pack_error(error: PictureError) -> Frame:
    return {"kind": "error", "error": type(error).__name__, "message": str(error)}


def _die_with(parent: int) -> None:
    """Have the kernel kill this process when the parent ends.

    A closed pipe is not enough: a child does not read it during a picture. Source: prctl(2).
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(0)  # It ended before prctl was called.


def _limit_memory(limit_bytes: int) -> None:
    """Limit the memory that is allocated from here on.

    The limit is on data, not on addresses: a decoder may reserve more of those than it uses.
    """
    limit = limit_bytes + _read_status("VmData")
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _read_status(name: str) -> int:
    """Return a figure of /proc/self/status in bytes, 0 if it is missing.

    Not getrusage: its peak includes the parent's memory, which vfork shares briefly.
    Source: proc_pid_status(5).
    """
    with contextlib.suppress(OSError), open("/proc/self/status", encoding="ascii") as lines:
        for line in lines:
            if line.startswith(name + ":"):
                return int(line.split()[1]) * 1024
    return 0
