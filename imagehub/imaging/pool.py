"""Render pictures in separate processes, which may hang, crash or exhaust memory without harm.

A :class:`RenderPool` keeps a few child processes, which run ``imaging.pool_child``. Each receives
one path at a time, and answers with the finished renditions. A failure of a child affects only its
current picture: the next picture gets another child.

Parent and child exchange frames over the child's standard input and output: the length of a JSON
object (four bytes, big endian), the object, then the blobs whose lengths it lists. Pickle is not
used, so that a picture that takes over a child cannot run code in the parent. For the same reason a
child gets no settings and no secrets from the parent's environment.
"""

import contextlib
import json
import logging
import os
import queue
import selectors
import signal
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

from imagehub.errors import (
    IncompletePictureError,
    PictureError,
    PictureTooLargeError,
    ServiceBusyError,
    UnreadablePictureError,
)
from imagehub.imaging.marks import Mark
from imagehub.imaging.metadata import PictureMetadata
from imagehub.imaging.render import EncodedPicture, RenderedPicture, RenderOptions
from imagehub.messages import Message, mark

log = logging.getLogger(__name__)

_START_SECONDS = 30.0

# Run by a new interpreter. An empty package replaces imagehub/__init__.py, so that the child does
# not import the web application, which takes more memory than the pictures.
_BOOT = """
import importlib, sys, types
package = types.ModuleType("imagehub")
package.__path__ = [sys.argv[1]]
sys.modules["imagehub"] = package
importlib.import_module(sys.argv[3]).run_child(int(sys.argv[2]))
"""
_PACKAGE = str(Path(__file__).parent.parent)
_ENVIRONMENT = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "PYTHONPATH", "PYTHONHOME", "TMPDIR")

Frame = dict[str, Any]


class RenderPool:
    """Implements :class:`imagehub.clients.Renderer`. Safe to share between threads.

    Children are started when first needed, and end with the pool or with this process, however it
    ends.

    :param processes: number of pictures rendered at once.
    :param timeout_seconds: for one picture, without the wait for a free child or for memory.
    :param memory_limit_bytes: for each child, and for all large pictures together; these wait for
        each other.
    :param recycle_above_bytes: a child whose peak memory was higher is replaced afterwards.
    :param options: what to make of each picture.
    """

    def __init__(
        self,
        processes: int,
        timeout_seconds: float = 30.0,
        memory_limit_bytes: int = 2_000_000_000,
        recycle_above_bytes: int = 400_000_000,
        options: RenderOptions | None = None,
    ) -> None:
        options = options or RenderOptions()
        limit = min(options.max_memory_bytes, memory_limit_bytes)
        self._options = replace(options, max_memory_bytes=limit)
        self._processes = processes
        self._timeout_seconds = timeout_seconds
        self._memory_limit_bytes = memory_limit_bytes
        self._recycle_above_bytes = recycle_above_bytes
        self._closed = threading.Event()
        self._reset()

    def _reset(self) -> None:
        """Start without children, initially and after a fork."""
        self._owner = os.getpid()
        self._memory = _MemoryShare(self._memory_limit_bytes)
        self._children: set[Child] = set()
        # Last in, first out: a running child is used again before another one is started.
        self._free: queue.LifoQueue[Child | None] = queue.LifoQueue()
        for _ in range(self._processes):
            self._free.put(None)
        # The kernel kills a child when the thread that started it ends, so all are started by one
        # thread that lives as long as the pool.
        self._starter = ThreadPoolExecutor(1, thread_name_prefix="render-pool")

    def render(self, path: str | Path, mark: Mark | None = None) -> RenderedPicture:
        """Make all renditions of the original in a file; waits for a free child first.

        :param mark: a watermark, with which its sizes are made too.
        :raise UnreadablePictureError: broken, cut short, no picture, or it crashes the decoder.
        :raise PictureTooLargeError: over the limit of pixels, bytes, memory or seconds.
        :raise ServiceBusyError: the pool is closing, or no process can be started.
        """
        return unpack_picture(*self._ask({"act": "render", "path": os.path.abspath(path)}, mark))

    def mark(self, path: str | Path, mark: Mark, label_px: int) -> bytes:
        """Draw a watermark on the stored rendition in a file. Raises as :meth:`render`."""
        message = {"act": "mark", "path": os.path.abspath(path), "label_px": label_px}
        return self._ask(message, mark)[1][0]

    def make_mark_picture(self, path: str | Path) -> bytes:
        """Make the picture of a watermark of a file. Raises as :meth:`render`."""
        return self._ask({"act": "picture", "path": os.path.abspath(path)}, None)[1][0]

    def make_logo(self, path: str | Path) -> tuple[bytes, int, int]:
        """Make a logo from a file: WebP, width, height. Raises as :meth:`render`."""
        answer, blobs = self._ask({"act": "logo", "path": os.path.abspath(path)}, None)
        return blobs[0], int(answer["width_px"]), int(answer["height_px"])

    def _ask(self, message: Frame, mark: Mark | None) -> tuple[Frame, list[bytes]]:
        blobs = [mark.picture] if mark is not None else []
        message = message | ({"mark": mark.describe()} if mark is not None else {})
        if self._owner != os.getpid():
            self._reset()
        child = self._free.get()
        try:
            while True:
                fresh = child is None
                if child is None:
                    child = self._start()
                try:
                    child.send(message, blobs)
                    break
                except OSError:
                    # It died while idle, so this picture is not the cause.
                    self._drop(child)
                    child = None
                    if fresh:
                        raise _busy("The image renderer ends as soon as it starts.") from None
            return self._receive(child)
        except BaseException as error:
            # After a PictureError the child can be used again, unless _receive has dropped it.
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

    def _receive(self, child: "Child") -> tuple[Frame, list[bytes]]:
        with contextlib.ExitStack() as held:
            try:
                answer, blobs = child.receive(self._timeout_seconds)
                if answer["kind"] == "large":
                    held.enter_context(self._memory.take(int(answer["memory_bytes"])))
                    child.send({"go": True})
                    answer, blobs = child.receive(self._timeout_seconds)
                child.peak_bytes = int(answer["peak_bytes"])
                if answer["kind"] in ("picture", "file"):
                    return answer, blobs
            except TimeoutError:
                self._drop(child)
                sentence = mark("Rendering this image took longer than %(seconds)s seconds.")
                seconds = f"{self._timeout_seconds:g}"
                raise PictureTooLargeError(Message(sentence, seconds=seconds)) from None
            except (OSError, EOFError, ValueError, KeyError, TypeError):
                status = self._drop(child)
                if self._closed.is_set():
                    raise _busy("The image renderer was stopped.") from None
                log.warning("A render process ended with status %s during a picture", status)
                raise explain_end(status) from None
        if answer["kind"] == "unexpected":
            log.error("Rendering failed unexpectedly:\n%s", answer["trace"])
        kind = ERRORS.get(answer.get("error", ""), UnreadablePictureError)
        raise kind(str(answer["message"]))

    def _start(self) -> "Child":
        if self._closed.is_set():
            raise _busy("The image renderer was stopped.")
        try:
            child = self._starter.submit(Child).result()
        except (OSError, RuntimeError) as error:
            raise _busy("The image renderer cannot be started.") from error
        self._children.add(child)
        if self._closed.is_set():  # While it was starting, when close() did not see it yet.
            self._drop(child)
            raise _busy("The image renderer was stopped.")
        try:
            child.send(
                {"options": asdict(self._options), "memory_limit_bytes": self._memory_limit_bytes}
            )
            child.receive(_START_SECONDS)
        except (OSError, EOFError, ValueError) as error:
            status = self._drop(child)
            log.error("A render process did not start: status %s", status)
            raise _busy("The image renderer cannot be started.") from error
        return child

    def _drop(self, child: "Child") -> int:
        self._children.discard(child)
        return child.kill()

    def close(self) -> None:
        """End all children; pictures in progress fail with ServiceBusyError."""
        self._closed.set()
        if self._owner != os.getpid():
            return
        # Busy children are only killed: the thread that waits for their answer reaps them.
        for child in list(self._children):
            child.stop()
        slots: list[Child | None] = []
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

    def __exit__(self, *_error: object) -> None:
        self.close()


ERRORS: Mapping[str, type[PictureError]] = {
    kind.__name__: kind
    for kind in (
        PictureError,
        UnreadablePictureError,
        IncompletePictureError,
        PictureTooLargeError,
    )
}


def _busy(message: str) -> ServiceBusyError:
    return ServiceBusyError("renderer", "render a picture", message)


def explain_end(status: int) -> PictureError | ServiceBusyError:
    """Return the error for a picture whose child ended; statuses < 0 are signals."""
    if status in (-signal.SIGTERM, -signal.SIGINT, -signal.SIGHUP):
        return _busy("The image renderer was stopped.")
    if status == -signal.SIGKILL:
        # The kernel does this when memory runs out.
        return PictureTooLargeError("Opening this image takes more memory than is available.")
    return UnreadablePictureError("This image cannot be read: it crashes the decoder.")


class _MemoryShare:
    """Admit pictures in order of arrival while their total need stays below a limit."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._used_bytes = 0
        self._turn = threading.Lock()
        self._changed = threading.Condition()

    @contextlib.contextmanager
    def take(self, needed_bytes: int) -> Iterator[None]:
        needed = min(needed_bytes, self._limit_bytes)
        # The first one that waits keeps the turn, so that small pictures cannot overtake it.
        with self._turn, self._changed:
            self._changed.wait_for(lambda: self._used_bytes + needed <= self._limit_bytes)
            self._used_bytes += needed
        try:
            yield
        finally:
            with self._changed:
                self._used_bytes -= needed
                self._changed.notify_all()


class Child:
    """One process and the two pipes to it. Only ``stop`` may be called from any thread.

    :param module: whose ``run_child`` it runs.
    :param more: further variables of its environment.
    """

    def __init__(
        self, module: str = "imagehub.imaging.pool_child", more: Mapping[str, str] | None = None
    ) -> None:
        self.peak_bytes = 0
        environment = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
        # subprocess uses vfork: a large parent is not copied, and threads are safe. In a new
        # session, Ctrl-C in a terminal reaches only the parent.
        self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and our own code
            [sys.executable, "-P", "-c", _BOOT, _PACKAGE, str(os.getpid()), module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            env={**environment, "MALLOC_ARENA_MAX": "1", **(more or {})},
            start_new_session=True,
        )
        assert self._process.stdin is not None and self._process.stdout is not None
        self._input, self._output = self._process.stdin, self._process.stdout
        self.process_id = self._process.pid

    def send(self, message: Frame, blobs: Sequence[bytes] = ()) -> None:
        """:raise OSError: the child is gone."""
        write_frame(self._input, message, list(blobs))

    def receive(self, timeout_seconds: float) -> tuple[Frame, list[bytes]]:
        """Receive a frame.

        :raise EOFError: the child is gone.
        :raise TimeoutError: no complete answer in time.
        """
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

            return read_frame(read)

    def stop(self) -> None:
        """Kill the process without reaping it."""
        self._process.kill()

    def kill(self) -> int:
        """Kill and reap the process; returns its status, also if it had ended before."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            # The pipe of a crashed child closes shortly before its status can be read.
            self._process.wait(0.2)
        self._process.kill()
        for pipe in (self._input, self._output):
            with contextlib.suppress(OSError):
                pipe.close()
        return self._process.wait()


# --- Frames ---------------------------------------------------------------------------------------


def write_frame(target: BinaryIO | Any, message: Frame, blobs: list[bytes]) -> None:
    header = json.dumps({**message, "blobs": [len(blob) for blob in blobs]}).encode()
    for part in (struct.pack(">I", len(header)), header, *blobs):
        view = memoryview(part)
        while view:
            view = view[target.write(view) :]


def read_frame(read: Callable[[int], bytes]) -> tuple[Frame, list[bytes]]:
    (length,) = struct.unpack(">I", read(4))
    if length > 1_000_000:
        raise ValueError("not a valid frame")
    message = json.loads(read(length))
    sizes = [int(size) for size in message.get("blobs", ())]
    if any(size < 0 for size in sizes) or sum(sizes) > 100_000_000:
        raise ValueError("not a valid frame")
    return message, [read(size) for size in sizes]


def pack_picture(picture: RenderedPicture) -> tuple[Frame, list[bytes]]:
    message = asdict(picture)
    blobs: list[bytes] = []
    for made in message["renditions"]:
        # Several labels may share one picture; its bytes are sent once.
        for name in ("data", "marked"):
            if made[name] not in blobs:
                blobs.append(made[name])
            made[name] = blobs.index(made[name])
    taken_at = picture.metadata.taken_at
    message["metadata"]["taken_at"] = taken_at.isoformat() if taken_at else None
    message["thumbhash"] = picture.thumbhash.hex()
    return {"kind": "picture", "picture": message}, blobs


def unpack_picture(message: Frame, blobs: list[bytes]) -> RenderedPicture:
    facts = dict(message["picture"])
    metadata = dict(facts["metadata"])
    if metadata["taken_at"]:
        metadata["taken_at"] = datetime.fromisoformat(metadata["taken_at"])
    if metadata["gps"]:
        metadata["gps"] = tuple(metadata["gps"])
    facts["metadata"] = PictureMetadata(**metadata)
    facts["thumbhash"] = bytes.fromhex(facts["thumbhash"])
    facts["renditions"] = tuple(
        EncodedPicture(**made | {name: blobs[made[name]] for name in ("data", "marked")})
        for made in facts["renditions"]
    )
    return RenderedPicture(**facts)
