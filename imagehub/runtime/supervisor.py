"""Start, watch, restart and stop the programs that make up a running hub.

``imagehub serve`` runs the web server (gunicorn) and, where the embedded defaults are used, the S3
server and a worker; ``imagehub demo`` adds the OneDrive emulator. This module knows nothing about
what the programs do.
"""

import contextlib
import ctypes
import errno
import functools
import http.client
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import FrameType

log = logging.getLogger(__name__)

# A program that takes longer to stop is killed. gunicorn gives running requests 10 seconds.
STOP_SECONDS = 15.0
# Delays before the restarts of a program that ended: at most five restarts within ten minutes.
RESTART_DELAYS_SECONDS = (0.5, 1.0, 2.0, 4.0, 8.0)
RESTART_MEMORY_SECONDS = 600.0
WATCH_SECONDS = 0.25
# Lines of output that are shown when a program does not start.
LAST_LINES = 12
# Linux: prctl(2), PR_SET_PDEATHSIG in linux/prctl.h.
_PR_SET_PDEATHSIG = 1
# Loaded here because a threaded process may do little between fork and exec.
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


class StartError(Exception):
    """A program did not start; ``str()`` is a message for the terminal."""


class StopRequested(BaseException):
    """Raised in the main thread on Ctrl-C or SIGTERM; the supervisor catches it.

    Not an Exception, so that ``except Exception`` does not swallow it.
    """


@dataclass
class Program:
    """A program to run.

    :param name: for messages: "web server", "worker".
    :param command: program and arguments; put no secret here, `ps` shows it to every user.
    :param environment: variables added to the inherited ones; secrets go here.
    :param is_ready: polled until it returns True; None: ready when it prints ``ready:``.
    """

    name: str
    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    is_ready: Callable[[], bool] | None = None
    start_seconds: float = 60.0


class Child:
    """A running program and what the supervisor knows about it."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.process = spawn(program.command, program.environment)
        self.last_lines: deque[str] = deque(maxlen=LAST_LINES)
        self.said_ready = threading.Event()
        # When it ended before, and when to restart it (monotonic clock).
        self.deaths: list[float] = []
        self.restart_at: float | None = None
        self.reader = threading.Thread(target=self._read_output, daemon=True)
        self.reader.start()

    def _read_output(self) -> None:
        assert self.process.stdout is not None
        for raw in self.process.stdout:
            line = raw.rstrip()
            if line.startswith("ready:"):
                self.said_ready.set()
            elif line:
                self.last_lines.append(line)
                # A line of JSON names its program itself.
                text = line if line.startswith("{") else f"[{self.program.name}] {line}"
                print(text, file=sys.stderr, flush=True)
        self.process.stdout.close()

    def describe_end(self) -> str:
        """Say how the program ended: "by SIGKILL", "with status 3"."""
        status = self.process.returncode
        if status is not None and status < 0:
            try:
                return f"by {signal.Signals(-status).name}"
            except ValueError:
                return f"by signal {-status}"
        return f"with status {status}"

    def make_error(self, fault: str) -> StartError:
        # The last output of a program that ended may still be in the pipe.
        if self.process.poll() is not None:
            self.reader.join(2)
        output = "\n".join(self.last_lines) or "(none)"
        return StartError(f"The {self.program.name} {fault}. Its output:\n{output}")


class Supervisor:
    """Start programs in order and stop them together, newest first. Use as a context manager.

    Start programs from the main thread only: on Linux the kernel ends them when the thread that
    started them ends, so none outlives this process.
    """

    def __init__(self, say: Callable[[str], None] = print) -> None:
        self._say = say
        self._children: list[Child] = []
        self._is_stopping = threading.Event()
        self._is_spawning = False

    def __enter__(self) -> "Supervisor":
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> bool:
        self.stop()
        return isinstance(error, StopRequested)

    def launch(self, program: Program) -> Child:
        """Start one program without waiting for it, so that several can start in parallel."""
        child = self._spawn(program, len(self._children))
        self._raise_if_stopping()
        return child

    def wait_until_ready(self, child: Child) -> None:
        """:raise StartError: the program ended, or was not ready in time."""
        program = child.program
        deadline = time.monotonic() + program.start_seconds
        while time.monotonic() < deadline:
            self._raise_if_stopping()
            if child.said_ready.wait(0.05) and program.is_ready is None:
                return
            if child.process.poll() is not None:
                raise child.make_error(f"ended at once ({child.describe_end()})")
            if program.is_ready is not None and program.is_ready():
                return
        raise child.make_error(f"was not ready within {program.start_seconds:.0f} seconds")

    def forget(self, child: Child) -> bool:
        """Do not restart a program that has ended; returns False if it still runs."""
        if child.process.poll() is None:
            return False
        self._children.remove(child)
        return True

    def watch(self) -> None:
        """Restart programs that end, until a signal to stop.

        :raise StartError: one of them keeps ending.
        """
        while not self._is_stopping.wait(WATCH_SECONDS):
            for child in list(self._children):
                self._restart_if_ended(child)

    def stop(self) -> None:
        """Terminate all programs, newest first; kill those still running after 15 seconds.

        One after the other, because newer programs use older ones: a worker that finishes an item
        still needs the object storage.
        """
        self._is_stopping.set()
        while self._children:
            child = self._children[-1]
            with contextlib.suppress(ProcessLookupError):
                child.process.terminate()
            try:
                child.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                log.warning("Killed the %s: it did not stop in time", child.program.name)
                child.process.kill()
                child.process.wait()
            child.reader.join(1)
            self._children.pop()

    def stop_on_signals(self) -> None:
        """Stop all programs on Ctrl-C and SIGTERM; further signals do not interrupt that."""

        def handle(_number: int, _frame: FrameType | None) -> None:
            if self._is_stopping.is_set():
                return
            self._is_stopping.set()
            # A program that is being started must be registered first, or stop() would miss it.
            if not self._is_spawning:
                raise StopRequested

        signal.signal(signal.SIGINT, handle)
        signal.signal(signal.SIGTERM, handle)

    def _raise_if_stopping(self) -> None:
        if self._is_stopping.is_set():
            raise StopRequested

    def _spawn(self, program: Program, place: int) -> Child:
        """Start a program and register it at a place in the order of starts."""
        self._is_spawning = True
        try:
            child = Child(program)
            self._children[place : place + 1] = [child]
        finally:
            self._is_spawning = False
        return child

    def _restart_if_ended(self, child: Child) -> None:
        """Schedule the restart of a child that ended, or restart it if its delay is over."""
        if child.process.poll() is None:
            return
        now = time.monotonic()
        if child.restart_at is None:
            recent = [at for at in child.deaths if now - at < RESTART_MEMORY_SECONDS]
            how = child.describe_end()
            if len(recent) >= len(RESTART_DELAYS_SECONDS):
                raise child.make_error(f"keeps ending ({how}) and is not restarted again")
            child.deaths = [*recent, now]
            child.restart_at = now + RESTART_DELAYS_SECONDS[len(recent)]
            self._say(f"The {child.program.name} ended ({how}) and will be restarted.")
        elif now >= child.restart_at:
            fresh = self._spawn(child.program, self._children.index(child))
            fresh.deaths = child.deaths


def spawn(command: Sequence[str], environment: Mapping[str, str]) -> "subprocess.Popen[str]":
    """Start a program that ends with this one; its output and errors can be read together."""
    return subprocess.Popen(  # noqa: S603 - our own commands
        list(command),
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        # Ctrl-C must reach only this process, which then ends the others in order.
        start_new_session=True,
        preexec_fn=functools.partial(_die_with_parent, os.getpid()),
    )


def _die_with_parent(parent: int) -> None:
    """Have the kernel terminate this child when its parent ends (Linux); call after fork."""
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:
            os._exit(1)  # The parent ended before prctl was called.


def is_port_free(host: str, port: int) -> bool:
    """Return whether a server could listen there now.

    :raise StartError: the host is not an address of this machine.
    """
    try:
        found = socket.getaddrinfo(
            host or "0.0.0.0",  # noqa: S104 - what an empty host means
            port,
            type=socket.SOCK_STREAM,
            flags=socket.AI_PASSIVE,
        )
    except OSError:
        raise StartError(f"{host} is not an address of this machine.") from None
    family, kind, protocol, _, address = found[0]
    with socket.socket(family, kind, protocol) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
            # Another server may already be bound to the port but not listen yet.
            probe.listen(1)
        except PermissionError:
            raise StartError(
                f"This user may not listen on port {port}. Use a port from 1024 on, and have a "
                "reverse proxy forward requests to it."
            ) from None
        except OverflowError:
            return False
        except OSError as error:
            if error.errno == errno.EADDRNOTAVAIL:
                raise StartError(f"{host} is not an address of this machine.") from None
            return False
        return True


def find_port(host: str, wanted: int, tries: int = 50) -> int:
    """Return the wanted port, or the next free one after it.

    :raise StartError: none of the next ``tries`` ports is free.
    """
    for port in range(wanted, min(wanted + tries, 65536)):
        if is_port_free(host, port):
            return port
    raise StartError(f"No free port between {wanted} and {wanted + tries - 1} on {host}.")


def answers_http(host: str, port: int) -> bool:
    """Return whether something accepts connections there."""
    try:
        with socket.create_connection((get_local_host(host), port), timeout=1):
            return True
    except OSError:
        return False


def is_web_ready(host: str, port: int) -> bool:
    """Return whether the web server answers requests; gunicorn listens before the app is loaded."""
    peer = http.client.HTTPConnection(get_local_host(host), port, timeout=2)
    try:
        peer.request("GET", "/health")
        return peer.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        peer.close()


def get_local_host(host: str) -> str:
    """Return the host by which this machine reaches a server that listens at ``host``."""
    return {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104


def make_url(host: str, port: int) -> str:
    """Return the address of a server at ``host`` for a browser on this machine."""
    local = get_local_host(host)
    return f"http://[{local}]:{port}" if ":" in local else f"http://{local}:{port}"
