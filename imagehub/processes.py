"""The programs that make up a running hub, started, watched and stopped together.

``imagehub serve`` is a small family: the web server (gunicorn) and, where embedded defaults are in
use, the S3 server and a worker. ``imagehub demo`` adds the OneDrive emulator. Each is a program of
its own; this module knows nothing of what they do.
"""

import contextlib
import ctypes
import logging
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

log = logging.getLogger("imagehub.processes")

STOP_SECONDS = 15.0
# A program that dies is started again after this many seconds, five times within ten minutes.
RESTART_DELAYS_SECONDS = (0.5, 1.0, 2.0, 4.0, 8.0)
RESTART_MEMORY_SECONDS = 600.0
_PR_SET_PDEATHSIG = 1
# Loaded here, since little may be done between fork and exec in a program with threads.
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


class StartError(Exception):
    """A program did not start; ``str()`` is a sentence for the person at the terminal."""


@dataclass
class Program:
    """One program of the family.

    :param name: as people call it: "web server", "worker".
    :param command: program and arguments; no secret belongs here, `ps` shows it to everybody.
    :param environment: variables beside the inherited ones; secrets go here.
    :param is_ready: asked until it says True; None: ready when it prints ``ready:``.
    """

    name: str
    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    is_ready: Callable[[], bool] | None = None
    start_seconds: float = 60.0


class Family:
    """Programs that start in order and end together. Use as a context manager."""

    def __init__(self, say: Callable[[str], None] = print, quiet: bool = False) -> None:
        self._say = say
        self._quiet = quiet
        self._members: list[tuple[Program, subprocess.Popen[str], queue.Queue[str]]] = []
        self._deaths: dict[str, list[float]] = {}
        self._is_stopping = threading.Event()

    def __enter__(self) -> "Family":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self, program: Program) -> str:
        """Start one program and wait until it is ready.

        :return: what it printed after ``ready:`` ("" where ``is_ready`` was asked instead).
        :raise StartError: it ended, or was not ready in time.
        """
        process, lines = self._spawn(program)
        self._members.append((program, process, lines))
        return self._wait_until_ready(program, process, lines)

    def watch(self) -> None:
        """Keep the programs running until :meth:`stop` or a signal; start again what dies.

        :raise StartError: one of them keeps dying.
        """
        while not self._is_stopping.wait(0.5):
            for index, (program, process, _) in enumerate(self._members):
                if process.poll() is None or self._is_stopping.is_set():
                    continue
                self._restart(index, program, process.returncode)

    def stop(self) -> None:
        """End all programs, the newest first: politely, then for good after 15 seconds."""
        self._is_stopping.set()
        for _, process, _ in reversed(self._members):
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
        deadline = time.monotonic() + STOP_SECONDS
        for program, process, _ in reversed(self._members):
            try:
                process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                log.warning("the %s did not end in time and was killed", program.name)
                process.kill()
                process.wait()
        self._members.clear()

    def request_stop(self) -> None:
        """Make :meth:`watch` return; safe in a signal handler."""
        self._is_stopping.set()

    def is_running(self, name: str) -> bool:
        return any(p.name == name and process.poll() is None for p, process, _ in self._members)

    def _spawn(self, program: Program) -> tuple[subprocess.Popen[str], "queue.Queue[str]"]:
        process = subprocess.Popen(  # noqa: S603 (our own commands)
            list(program.command),
            env={**os.environ, **program.environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            # Ctrl-C reaches this process alone, which then stops the others in order.
            start_new_session=True,
            preexec_fn=_die_with_parent,
        )
        lines: queue.Queue[str] = queue.Queue(maxsize=200)
        threading.Thread(
            target=self._read_output, args=(program, process, lines), daemon=True
        ).start()
        return process, lines

    def _read_output(
        self, program: Program, process: subprocess.Popen[str], lines: "queue.Queue[str]"
    ) -> None:
        assert process.stdout is not None
        for raw in process.stdout:
            line = raw.rstrip()
            with contextlib.suppress(queue.Full):
                lines.put_nowait(line)
            if line and not line.startswith("ready:") and not self._quiet:
                print(f"[{program.name}] {line}", file=sys.stderr, flush=True)

    def _wait_until_ready(
        self, program: Program, process: subprocess.Popen[str], lines: "queue.Queue[str]"
    ) -> str:
        deadline = time.monotonic() + program.start_seconds
        seen: list[str] = []
        while time.monotonic() < deadline and not self._is_stopping.is_set():
            with contextlib.suppress(queue.Empty):
                line = lines.get(timeout=0.05)
                seen.append(line)
                if program.is_ready is None and line.startswith("ready:"):
                    return line.removeprefix("ready:").strip()
                continue
            if process.poll() is not None:
                break
            if program.is_ready is not None and program.is_ready():
                return ""
        if self._is_stopping.is_set():
            raise StartError("Stopped.")
        last = "\n".join(seen[-12:])
        how = "ended at once" if process.poll() is not None else "did not answer in time"
        raise StartError(f"The {program.name} {how}. It said:\n{last or '(nothing)'}")

    def _restart(self, index: int, program: Program, status: int | None) -> None:
        now = time.monotonic()
        deaths = [t for t in self._deaths.get(program.name, []) if now - t < RESTART_MEMORY_SECONDS]
        if len(deaths) >= len(RESTART_DELAYS_SECONDS):
            raise StartError(f"The {program.name} keeps ending (status {status}); giving up.")
        self._deaths[program.name] = [*deaths, now]
        self._say(f"The {program.name} ended (status {status}); starting it again.")
        if self._is_stopping.wait(RESTART_DELAYS_SECONDS[len(deaths)]):
            return
        process, lines = self._spawn(program)
        self._members[index] = (program, process, lines)
        self._wait_until_ready(program, process, lines)


def _die_with_parent() -> None:
    """Linux: have the kernel end this child when its parent dies, however that comes."""
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def is_port_free(host: str, port: int) -> bool:
    """Whether a server could listen there at this moment."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True


def find_port(host: str, wanted: int, tries: int = 50) -> int:
    """The wanted port, or the next free one after it.

    :raise StartError: none of the next ``tries`` is free.
    """
    for port in range(wanted, min(wanted + tries, 65536)):
        if is_port_free(host, port):
            return port
    raise StartError(f"No free port between {wanted} and {wanted + tries - 1} on {host}.")


def answers_http(host: str, port: int) -> bool:
    """Whether something accepts connections there."""
    target = "127.0.0.1" if host in ("", "0.0.0.0", "::") else host  # noqa: S104 (compared only)
    try:
        with socket.create_connection((target, port), timeout=1):
            return True
    except OSError:
        return False
