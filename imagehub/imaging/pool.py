"""Renders pictures in processes of their own, which may hang, crash or eat memory without harm.

A :class:`RenderPool` keeps a few child processes. Each imports :mod:`imagehub.imaging.render` and
little else, takes one path at a time, and answers with the finished renditions. What goes wrong
with a child is said about the one picture it had: the next picture gets another child.

Parent and child exchange frames over the child's standard input and output: the length of a JSON
object (four bytes, big endian), the object, then the blobs whose lengths it lists. Pickle is not
used on purpose: a picture that takes a child over still cannot make the parent run anything. For
the same reason a child is given no setting and no secret of the parent's environment.
"""

import contextlib
import ctypes
import json
import logging
import os
import queue
import resource
import selectors
import signal
import struct
import subprocess
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

from imagehub.errors import (
    PictureError,
    PictureTooLargeError,
    ServiceBusyError,
    UnreadablePictureError,
)
from imagehub.imaging.metadata import PictureMetadata
from imagehub.imaging.render import (
    EncodedPicture,
    OpenedPicture,
    RenderedPicture,
    RenderOptions,
    RenditionSpec,
    forget_memory,
)

logger = logging.getLogger(__name__)

# A picture that needs less is not worth a question, as every process may have that much.
_SMALL_BYTES = 100_000_000
_START_SECONDS = 30.0
_IDLE_SECONDS = 5.0
_PR_SET_PDEATHSIG = 1  # From <linux/prctl.h>.

# Run by a new interpreter. A bare package stands in for imagehub/__init__.py, so that the child
# does not load the web application, which would cost it more memory than the pictures do.
_BOOT = """
import sys, types
package = types.ModuleType("imagehub")
package.__path__ = [sys.argv[1]]
sys.modules["imagehub"] = package
from imagehub.imaging.pool import run_child
run_child(int(sys.argv[2]))
"""
_PACKAGE = str(Path(__file__).parent.parent)
_ENVIRONMENT = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "PYTHONPATH", "PYTHONHOME", "TMPDIR")

Message = dict[str, Any]


class RenderPool:
    """Implements :class:`imagehub.clients.Renderer`. Safe to share between threads.

    Children start when they are first needed, so a pool that is never used costs nothing, and end
    with the pool or with this process, however it ends.

    :param processes: how many pictures are worked on at once; the number of cores if None.
    :param timeout_seconds: for one picture, not counting the wait for a free child or for memory.
    :param memory_limit_bytes: what one child may take, and all of them together for pictures that
        need much; such pictures wait for each other.
    :param recycle_above_bytes: a child whose memory has once been larger is replaced afterwards.
    :param options: what to make of each picture.
    """

    def __init__(
        self,
        processes: int | None = None,
        timeout_seconds: float = 30.0,
        memory_limit_bytes: int = 2_000_000_000,
        recycle_above_bytes: int = 400_000_000,
        options: RenderOptions | None = None,
    ) -> None:
        options = options or RenderOptions()
        limit = min(options.max_memory_bytes, memory_limit_bytes)
        self._options = replace(options, max_memory_bytes=limit)
        self._processes = processes or _count_cores()
        self._timeout_seconds = timeout_seconds
        self._memory_limit_bytes = memory_limit_bytes
        self._recycle_above_bytes = recycle_above_bytes
        self._closed = threading.Event()
        self._begin()

    def _begin(self) -> None:
        """Start with no children: at first, and in a process forked with the pool in it."""
        self._owner = os.getpid()
        self._memory = _MemoryShare(self._memory_limit_bytes)
        self._children: set[_Child] = set()
        # Last in, first out: a warm child is taken again before another one is started.
        self._free: queue.LifoQueue[_Child | None] = queue.LifoQueue()
        for _ in range(self._processes):
            self._free.put(None)
        # A child asks the system to be killed with the thread that started it, so all are started
        # by one thread that lives as long as the pool.
        self._starter = ThreadPoolExecutor(1, thread_name_prefix="render-pool")

    def render(self, path: str | Path) -> RenderedPicture:
        """Make all renditions of the original in a file; wait for a free child first.

        :raise UnreadablePictureError: broken, cut short, no picture, or it crashes the decoder.
        :raise PictureTooLargeError: over the limit of pixels, bytes, memory or seconds.
        :raise ServiceBusyError: the pool is closing, or no process can be started just now.
        """
        if self._owner != os.getpid():
            self._begin()
        child = self._free.get()
        try:
            while True:
                fresh = child is None
                if child is None:
                    child = self._start()
                try:
                    child.send({"path": os.path.abspath(path)})
                    break
                except OSError:
                    # It died while it was idle, which no picture is to blame for.
                    self._drop(child)
                    child = None
                    if fresh:
                        raise _busy("The picture renderer stops as soon as it starts.") from None
            return self._receive(child)
        except BaseException as error:
            # After a PictureError the child is in order, unless _receive has dropped it.
            if child is not None and not isinstance(error, PictureError):
                self._drop(child)
            raise
        finally:
            if child is not None and child not in self._children:
                child = None
            if child is not None and child.peak_bytes > self._recycle_above_bytes:
                self._drop(child)
                child = None
            self._free.put(child)

    def _receive(self, child: "_Child") -> RenderedPicture:
        with contextlib.ExitStack() as held:
            try:
                answer, blobs = child.receive(self._timeout_seconds)
                if answer["kind"] == "large":
                    held.enter_context(self._memory.take(int(answer["memory_bytes"])))
                    child.send({"go": True})
                    answer, blobs = child.receive(self._timeout_seconds)
                child.peak_bytes = int(answer["peak_bytes"])
                if answer["kind"] == "picture":
                    return _unpack_picture(answer, blobs)
            except TimeoutError:
                self._drop(child)
                raise PictureTooLargeError(
                    f"This picture took longer than {self._timeout_seconds:g} seconds."
                ) from None
            except (OSError, EOFError, ValueError, KeyError, TypeError):
                status = self._drop(child)
                if self._closed.is_set():
                    raise _busy("The picture renderer is closing.") from None
                logger.warning("A renderer ended with status %s over a picture.", status)
                raise _blame_picture(status) from None
        if answer["kind"] == "unexpected":
            logger.error("Rendering failed unexpectedly:\n%s", answer["trace"])
        raise _ERRORS.get(answer.get("error", ""), UnreadablePictureError)(str(answer["message"]))

    def _start(self) -> "_Child":
        if self._closed.is_set():
            raise _busy("The picture renderer is closed.")
        try:
            child = self._starter.submit(_Child).result()
        except (OSError, RuntimeError) as error:
            raise _busy("The picture renderer cannot be started.") from error
        self._children.add(child)
        if self._closed.is_set():  # While it was starting, when close() could not see it yet.
            self._drop(child)
            raise _busy("The picture renderer is closed.")
        try:
            child.send(
                {
                    "options": asdict(self._options),
                    "memory_limit_bytes": self._memory_limit_bytes,
                }
            )
            child.receive(_START_SECONDS)
        except (OSError, EOFError, ValueError) as error:
            status = self._drop(child)
            logger.error("A renderer did not start: status %s.", status)
            raise _busy("The picture renderer cannot be started.") from error
        return child

    def _drop(self, child: "_Child") -> int:
        self._children.discard(child)
        return child.kill()

    def close(self) -> None:
        """End all children at once; pictures under way fail with ServiceBusyError."""
        self._closed.set()
        if self._owner != os.getpid():
            return
        # Those at work are only killed: whoever waits for their answer then collects them.
        for child in list(self._children):
            child.stop()
        slots: list[_Child | None] = []
        with contextlib.suppress(queue.Empty):
            while True:
                slots.append(self._free.get_nowait())
        for idle in slots:
            if idle is not None:
                self._drop(idle)
            self._free.put(None)
        self._starter.shutdown()

    def __enter__(self) -> "RenderPool":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _count_cores() -> int:
    """Those that this process may use, where the system can tell."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


_ERRORS: Mapping[str, type[PictureError]] = {
    kind.__name__: kind for kind in (PictureError, UnreadablePictureError, PictureTooLargeError)
}


def _busy(message: str) -> ServiceBusyError:
    return ServiceBusyError("renderer", "render a picture", message)


def _blame_picture(status: int) -> PictureError | ServiceBusyError:
    """What a child's end says of its picture. A negative status is the signal that ended it."""
    if status in (-signal.SIGTERM, -signal.SIGINT, -signal.SIGHUP):
        return _busy("The picture renderer was stopped.")
    if status == -signal.SIGKILL:
        # Not by us: the system does so where memory runs out.
        return PictureTooLargeError("Opening this picture takes more memory than there is.")
    return UnreadablePictureError("This picture cannot be read: it crashes the program's decoder.")


class _MemoryShare:
    """Lets pictures through while their needs together stay below a limit, in order of arrival."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._used_bytes = 0
        self._door = threading.Lock()
        self._changed = threading.Condition()

    @contextlib.contextmanager
    def take(self, needed_bytes: int) -> Iterator[None]:
        needed = min(needed_bytes, self._limit_bytes)
        # Whoever waits holds the door, so that small pictures cannot keep a large one waiting.
        with self._door, self._changed:
            self._changed.wait_for(lambda: self._used_bytes + needed <= self._limit_bytes)
            self._used_bytes += needed
        try:
            yield
        finally:
            with self._changed:
                self._used_bytes -= needed
                self._changed.notify_all()


# --- The parent's end of one child ----------------------------------------------------------------


class _Child:
    """One process and the two pipes to it. Used by one thread at a time, but for ``stop``."""

    def __init__(self) -> None:
        self.peak_bytes = 0
        environment = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
        # subprocess starts it by vfork: nothing of a large parent is copied, and threads are safe.
        # A session of its own keeps Ctrl-C in a terminal for the parent to deal with.
        self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and our own code
            [
                sys.executable,
                "-P",
                "-c",
                _BOOT,
                str(Path(__file__).parent.parent),
                str(os.getpid()),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            env={**environment, "MALLOC_ARENA_MAX": "1"},
            start_new_session=True,
        )
        assert self._process.stdin is not None and self._process.stdout is not None
        self._input, self._output = self._process.stdin, self._process.stdout
        self.process_id = self._process.pid

    def send(self, message: Message) -> None:
        """:raise OSError: the child is gone."""
        _write(self._input, message, [])

    def receive(self, timeout_seconds: float) -> tuple[Message, list[bytes]]:
        """:raise EOFError: the child is gone. :raise TimeoutError: no whole answer in time."""
        deadline = time.monotonic() + timeout_seconds
        with selectors.DefaultSelector() as selector:
            selector.register(self._output, selectors.EVENT_READ)

            def read(count: int) -> bytes:
                data = bytearray()
                while len(data) < count:
                    if not selector.select(max(0.0, deadline - time.monotonic())):
                        raise TimeoutError
                    part = os.read(self._output.fileno(), min(count - len(data), 1 << 20))
                    if not part:
                        raise EOFError
                    data += part
                return bytes(data)

            return _read(read)

    def stop(self) -> None:
        """End it, from any thread."""
        self._process.kill()

    def kill(self) -> int:
        """End it and collect it; the status says how it ended, also if it had before."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            # A child that crashed closes its pipe a moment before its status can be read.
            self._process.wait(0.2)
        self._process.kill()
        for pipe in (self._input, self._output):
            with contextlib.suppress(OSError):
                pipe.close()
        return self._process.wait()


def _write(target: BinaryIO | Any, message: Message, blobs: list[bytes]) -> None:
    header = json.dumps({**message, "blobs": [len(blob) for blob in blobs]}).encode()
    for part in (struct.pack(">I", len(header)), header, *blobs):
        view = memoryview(part)
        while view:
            view = view[target.write(view) :]


def _read(read: Callable[[int], bytes]) -> tuple[Message, list[bytes]]:
    (length,) = struct.unpack(">I", read(4))
    if length > 1_000_000:
        raise ValueError("no message of ours")
    message = json.loads(read(length))
    sizes = [int(size) for size in message.get("blobs", ())]
    if any(size < 0 for size in sizes) or sum(sizes) > 100_000_000:
        raise ValueError("no message of ours")
    return message, [read(size) for size in sizes]


def _pack_picture(picture: RenderedPicture) -> tuple[Message, list[bytes]]:
    metadata = asdict(picture.metadata)
    taken_at = picture.metadata.taken_at
    metadata["taken_at"] = taken_at.isoformat() if taken_at else None
    blobs: list[bytes] = []
    renditions = []
    for made in picture.renditions:
        # One picture may serve several labels; its bytes travel once.
        if made.data not in blobs:
            blobs.append(made.data)
        renditions.append(
            [made.label_px, made.width_px, made.height_px, made.mime, blobs.index(made.data)]
        )
    return {
        "kind": "picture",
        "format": picture.format,
        "mime": picture.mime,
        "size": [picture.width_px, picture.height_px],
        "thumbhash": picture.thumbhash.hex(),
        "dominant_color": picture.dominant_color,
        "metadata": metadata,
        "renditions": renditions,
    }, blobs


def _unpack_picture(message: Message, blobs: list[bytes]) -> RenderedPicture:
    metadata = dict(message["metadata"])
    if metadata["taken_at"]:
        metadata["taken_at"] = datetime.fromisoformat(metadata["taken_at"])
    if metadata["gps"]:
        metadata["gps"] = tuple(metadata["gps"])
    width, height = message["size"]
    return RenderedPicture(
        format=message["format"],
        mime=message["mime"],
        width_px=width,
        height_px=height,
        renditions=tuple(
            EncodedPicture(label, w, h, mime, blobs[index])
            for label, w, h, mime, index in message["renditions"]
        ),
        thumbhash=bytes.fromhex(message["thumbhash"]),
        dominant_color=message["dominant_color"],
        metadata=PictureMetadata(**metadata),
    )


# --- The child's side -----------------------------------------------------------------------------


def run_child(parent: int) -> None:
    """The whole life of a child: take a path, answer, until the parent closes the pipe or ends.

    :param parent: process id of the parent.
    """
    _die_with(parent)
    for stop in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # A stop of the whole service reaches the children too; the parent decides what is finished.
        signal.signal(stop, signal.SIG_IGN)
    source = os.fdopen(os.dup(0), "rb", buffering=0)
    target = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)  # Whatever a library prints must not get between the frames.
    warnings.simplefilter("ignore")  # About broken Exif and the like; nobody could act on them.

    def read(count: int) -> bytes:
        data = b""
        while len(data) < count:
            part = source.read(count - len(data))
            if not part:
                os._exit(0)
            data += part
        return data

    def receive(idle: bool = False) -> Message:
        if idle:
            with selectors.DefaultSelector() as selector:
                selector.register(source, selectors.EVENT_READ)
                if not selector.select(_IDLE_SECONDS):
                    forget_memory()
        return _read(read)[0]

    start = receive()
    specs = tuple(RenditionSpec(**spec) for spec in start["options"].pop("specs"))
    options = RenderOptions(specs=specs, **start["options"])
    _limit_memory(start["memory_limit_bytes"])
    _write(target, {"kind": "ready"}, [])
    # From here on, what libraries print about strangers' broken files is noise in the parent's log.
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), 1)
        os.dup2(nowhere.fileno(), 2)
    while True:
        path = receive(idle=True)["path"]
        blobs: list[bytes] = []
        try:
            with open(path, "rb") as file:
                opened = OpenedPicture(file, options)
                if opened.memory_bytes > _SMALL_BYTES:
                    _write(target, {"kind": "large", "memory_bytes": opened.memory_bytes}, [])
                    receive()
                answer, blobs = _pack_picture(opened.render())
        except PictureError as error:
            answer = {"kind": "error", "error": type(error).__name__, "message": str(error)}
        except MemoryError:
            answer = {
                "kind": "error",
                "error": PictureTooLargeError.__name__,
                "message": "Opening this picture takes more memory than is allowed.",
            }
        except Exception:
            answer = {
                "kind": "unexpected",
                "message": "This picture cannot be read.",
                "trace": traceback.format_exc(limit=20)[-20_000:],
            }
        opened = None  # type: ignore[assignment] # Let go of the picture before the next wait.
        _write(target, {**answer, "peak_bytes": _read_status("VmHWM")}, blobs)


def _die_with(parent: int) -> None:
    """Ask the system for a kill when the parent ends, however it ends; pipes alone are not enough,
    because a child at work does not look at them. Source: prctl(2), PR_SET_PDEATHSIG.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(0)  # It ended before we had asked.


def _limit_memory(limit_bytes: int) -> None:
    """Count from here: what the interpreter and the libraries take is not the picture's.

    The limit is on data, not on addresses, of which a decoder may reserve more than it uses.
    """
    limit = limit_bytes + _read_status("VmData")
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _read_status(name: str) -> int:
    """One figure of /proc/self/status, in bytes; 0 where there is none.

    Not getrusage: its peak starts with the parent's, whose memory a vfork shares for a moment.
    Source: proc_pid_status(5).
    """
    with contextlib.suppress(OSError), open("/proc/self/status", encoding="ascii") as lines:
        for line in lines:
            if line.startswith(name + ":"):
                return int(line.split()[1]) * 1024
    return 0
