"""The programs that make up a running hub, started, watched and stopped together.

``imagehub serve`` is a small family: the web server (gunicorn) and, where embedded defaults are in
use, the S3 server and a worker. ``imagehub demo`` adds the OneDrive emulator. Each is a program of
its own; this module knows nothing of what they do.
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
from types import FrameType, TracebackType

log = logging.getLogger(__name__)

# Each program may take so long to end; then it is killed. gunicorn gives requests 10 seconds.
STOP_SECONDS = 15.0
# A program that dies is started again after so many seconds, five times within ten minutes.
RESTART_DELAYS_SECONDS = (0.5, 1.0, 2.0, 4.0, 8.0)
RESTART_MEMORY_SECONDS = 600.0
WATCH_SECONDS = 0.25
# How many lines of a program's last words are told when it does not start.
LAST_LINES = 12
# Linux: prctl(2), PR_SET_PDEATHSIG in linux/prctl.h.
_PR_SET_PDEATHSIG = 1
# Loaded here, since little may be done between fork and exec in a program with threads.
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


class StartError(Exception):
    """A program did not start; ``str()`` is a sentence for the person at the terminal."""


class StopRequested(BaseException):
    """Ctrl-C or SIGTERM came; raised wherever the main thread is, and caught by the family.

    Not an Exception, so that no code that survives errors of all kinds goes on in spite of it.
    """


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


class Member:
    """A program of the family as it runs now."""

    def __init__(self, program: Program, process: "subprocess.Popen[str]") -> None:
        self.program = program
        self.process = process
        self.last_lines: deque[str] = deque(maxlen=LAST_LINES)
        self.said_ready = threading.Event()
        self.ready_text = ""
        self.reader: threading.Thread | None = None
        # When it ended, and when it is to be started again (both on the monotonic clock).
        self.deaths: list[float] = []
        self.restart_at: float | None = None

    @property
    def pid(self) -> int:
        return self.process.pid


class Family:
    """Programs that start in order and end together, newest first. Use as a context manager.

    Start programs from the main thread alone: on Linux the kernel ends them with the thread that
    started them, and by that with this process, whatever it dies of.
    """

    def __init__(self, say: Callable[[str], None] = print, quiet: bool = False) -> None:
        self._say = say
        self._quiet = quiet
        self._members: list[Member] = []
        self._is_stopping = threading.Event()
        self._is_spawning = False

    def __enter__(self) -> "Family":
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        error: BaseException | None,
        _trace: TracebackType | None,
    ) -> bool:
        self.stop()
        return isinstance(error, StopRequested)

    def start(self, program: Program) -> str:
        """Start one program and wait until it is ready.

        :return: what it printed after ``ready:`` ("" where ``is_ready`` was asked instead).
        :raise StartError: it ended, or was not ready in time.
        """
        return self.wait_until_ready(self.launch(program))

    def launch(self, program: Program) -> Member:
        """Start one program without waiting: several get ready side by side."""
        self._is_spawning = True
        try:
            member = self._spawn(program)
            self._members.append(member)
        finally:
            self._is_spawning = False
        self._raise_if_stopping()
        return member

    def wait_until_ready(self, member: Member) -> str:
        """As :meth:`start`, for a program that was launched."""
        program = member.program
        deadline = time.monotonic() + program.start_seconds
        while time.monotonic() < deadline:
            self._raise_if_stopping()
            if member.said_ready.wait(0.05) and program.is_ready is None:
                return member.ready_text
            if member.process.poll() is not None:
                raise StartError(
                    f"The {program.name} ended at once ({describe_status(member.process)}). "
                    f"It said:\n{_read_last_words(member)}"
                )
            if program.is_ready is not None and program.is_ready():
                return ""
        raise StartError(
            f"The {program.name} was not ready within {program.start_seconds:.0f} seconds. "
            f"It said:\n{_read_last_words(member)}"
        )

    def forget(self, member: Member) -> bool:
        """Start a program that has ended no more; False if it still runs."""
        if member.process.poll() is None:
            return False
        self._members.remove(member)
        return True

    def watch(self) -> None:
        """Keep the programs running until :meth:`request_stop` or a signal; restart what dies.

        :raise StartError: one of them keeps dying.
        """
        while not self._is_stopping.wait(WATCH_SECONDS):
            for member in list(self._members):
                self._look_after(member)

    def stop(self) -> None:
        """End all programs, the newest first: politely, then for good after 15 seconds.

        One after the other, since the newer work with the older: a worker that puts its things
        down still needs the object storage.
        """
        self._is_stopping.set()
        while self._members:
            member = self._members[-1]
            with contextlib.suppress(ProcessLookupError):
                member.process.terminate()
            try:
                member.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                log.warning("the %s did not end in time and was killed", member.program.name)
                member.process.kill()
                member.process.wait()
            if member.reader is not None:
                member.reader.join(1)
            self._members.pop()

    def request_stop(self) -> None:
        """Make :meth:`watch` return."""
        self._is_stopping.set()

    def stop_on_signals(self) -> None:
        """Ctrl-C and SIGTERM end the whole family; a second one does not interrupt that."""

        def handle(_number: int, _frame: FrameType | None) -> None:
            if self._is_stopping.is_set():
                return
            self._is_stopping.set()
            # A program that is being started must first be known to the family.
            if not self._is_spawning:
                raise StopRequested

        signal.signal(signal.SIGINT, handle)
        signal.signal(signal.SIGTERM, handle)

    def find(self, name: str) -> Member | None:
        """The running program of that name."""
        for member in self._members:
            if member.program.name == name and member.process.poll() is None:
                return member
        return None

    def _raise_if_stopping(self) -> None:
        if self._is_stopping.is_set():
            raise StopRequested

    def _spawn(self, program: Program) -> Member:
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
            preexec_fn=functools.partial(die_with_parent, os.getpid()),
        )
        member = Member(program, process)
        member.reader = threading.Thread(target=self._read_output, args=(member,), daemon=True)
        member.reader.start()
        return member

    def _read_output(self, member: Member) -> None:
        assert member.process.stdout is not None
        for raw in member.process.stdout:
            line = raw.rstrip()
            if line.startswith("ready:"):
                member.ready_text = line.removeprefix("ready:").strip()
                member.said_ready.set()
            elif line:
                member.last_lines.append(line)
                if not self._quiet:
                    print(f"[{member.program.name}] {line}", file=sys.stderr, flush=True)
        member.process.stdout.close()

    def _look_after(self, member: Member) -> None:
        """Start a member again that has died, after a pause; the others are watched meanwhile."""
        if member.process.poll() is None:
            return
        now = time.monotonic()
        name = member.program.name
        if member.restart_at is None:
            recent = [at for at in member.deaths if now - at < RESTART_MEMORY_SECONDS]
            how = describe_status(member.process)
            if len(recent) >= len(RESTART_DELAYS_SECONDS):
                raise StartError(
                    f"The {name} keeps ending ({how}), so the hub gives up. "
                    f"It said:\n{_read_last_words(member)}"
                )
            member.deaths = [*recent, now]
            member.restart_at = now + RESTART_DELAYS_SECONDS[len(recent)]
            self._say(f"The {name} ended ({how}); it is started again.")
        elif now >= member.restart_at:
            self._is_spawning = True
            try:
                fresh = self._spawn(member.program)
                fresh.deaths = member.deaths
                self._members[self._members.index(member)] = fresh
            finally:
                self._is_spawning = False


def _read_last_words(member: Member) -> str:
    # What a dead program wrote last may still be on its way through the pipe.
    if member.process.poll() is not None and member.reader is not None:
        member.reader.join(2)
    return "\n".join(member.last_lines) or "(nothing)"


def describe_status(process: "subprocess.Popen[str]") -> str:
    """How a program ended, in words."""
    status = process.returncode
    if status is not None and status < 0:
        try:
            return f"by {signal.Signals(-status).name}"
        except ValueError:
            return f"by signal {-status}"
    return f"with status {status}"


def die_with_parent(parent: int) -> None:
    """Between fork and exec: have the kernel end this child when its parent dies, on Linux."""
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:
            os._exit(1)  # The parent died before the kernel knew of our wish.


def is_port_free(host: str, port: int) -> bool:
    """Whether a server could listen there at this moment.

    :raise StartError: the host is not an address of this machine.
    """
    try:
        found = socket.getaddrinfo(
            host or "0.0.0.0",  # noqa: S104 (what an empty host means)
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
            # Another server may be bound to the port already and not listen yet.
            probe.listen(1)
        except PermissionError:
            raise StartError(
                f"Port {port} needs more rights than this user has. Take one from 1024 on, and "
                "let a reverse proxy pass requests on to it."
            ) from None
        except OverflowError:
            return False
        except OSError as error:
            if error.errno == errno.EADDRNOTAVAIL:
                raise StartError(f"{host} is not an address of this machine.") from None
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
    target = get_local_host(host)
    try:
        with socket.create_connection((target, port), timeout=1):
            return True
    except OSError:
        return False


def is_web_ready(host: str, port: int) -> bool:
    """Whether a hub's web server answers there: gunicorn listens well before it has loaded us."""
    peer = http.client.HTTPConnection(get_local_host(host), port, timeout=2)
    try:
        peer.request("GET", "/health")
        return peer.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        peer.close()


def get_local_host(host: str) -> str:
    """The address by which this machine reaches a server that listens at ``host``."""
    return {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104


def make_url(host: str, port: int) -> str:
    """The address of a server at ``host``, for a browser on this machine."""
    local = get_local_host(host)
    return f"http://[{local}]:{port}" if ":" in local else f"http://{local}:{port}"
