"""The supervisor starts, restarts and stops programs, and none outlives it."""

import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from imagehub.runtime import supervisor as supervisor_module
from imagehub.runtime.supervisor import (
    Child,
    Program,
    StartError,
    StopRequested,
    Supervisor,
    answers_http,
    find_port,
    is_port_free,
    make_url,
)
from tests.fixtures.programs import is_alive, wait_until
from tests.support import ROOT, get_free_port

# A program that records its start and end, and ends on SIGTERM.
RECORDING_PROGRAM = """
import signal, sys, time
name, book = sys.argv[1:3]
def note(what):
    with open(book, "a") as file:
        file.write(f"{name} {what}\\n")
def end(*_):
    note("ended")
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
note("started")
print("ready: here I am", flush=True)
while True:
    time.sleep(60)
"""


def make_program(name: str, code: str, *arguments: str, **options: object) -> Program:
    command = [sys.executable, "-S", "-c", textwrap.dedent(code), *arguments]
    return Program(name, command, **options)  # type: ignore[arg-type]


class Watched(Supervisor):
    """A supervisor whose programs can be found, and which can be stopped from a thread."""

    def start(self, program: Program) -> None:
        self.wait_until_ready(self.launch(program))

    def find(self, name: str) -> Child | None:
        """Return the running program of that name, or None."""
        running = (child for child in self._children if child.process.poll() is None)
        return next((child for child in running if child.program.name == name), None)

    def request_stop(self) -> None:
        """Make ``watch`` return."""
        self._is_stopping.set()


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def supervisor(said: list[str]) -> Iterator[Watched]:
    with Watched(said.append) as made:
        yield made


@pytest.fixture
def book(tmp_path: Path) -> Path:
    """Return the file in which the programs record their starts and ends."""
    return tmp_path / "book"


def watch(supervisor: Watched, errors: list[BaseException]) -> threading.Thread:
    """Run the supervisor's ``watch`` in a thread and collect its errors."""

    def run() -> None:
        try:
            supervisor.watch()
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    return thread


# --- Starting -------------------------------------------------------------------------------------


def test_a_program_is_ready_when_it_prints_ready(supervisor: Watched, book: Path) -> None:
    supervisor.start(make_program("first", RECORDING_PROGRAM, "first", str(book)))
    assert book.read_text() == "first started\n"
    assert supervisor.find("first") is not None
    assert supervisor.find("second") is None


def test_a_program_is_ready_when_its_check_passes(supervisor: Watched) -> None:
    port = get_free_port()
    code = """
        import socket, sys, time
        listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
        while True:
            listener.accept()[0].close()
    """
    program = make_program(
        "server", code, str(port), is_ready=lambda: answers_http("127.0.0.1", port)
    )
    supervisor.start(program)
    assert answers_http("127.0.0.1", port)


def test_secrets_are_passed_in_variables_not_arguments(supervisor: Watched, book: Path) -> None:
    code = """
        import os, time
        print(os.environ["THE_SECRET"])
        print("ready:", flush=True)
        time.sleep(60)
    """
    program = make_program("one", code, environment={"THE_SECRET": "geheim"})
    supervisor.start(program)
    assert "geheim" not in repr(program)
    child = supervisor.find("one")
    assert child is not None
    assert list(child.last_lines) == ["geheim"]
    assert b"geheim" not in Path(f"/proc/{child.process.pid}/cmdline").read_bytes()


def test_a_program_that_ends_at_once_is_reported_with_its_output(
    supervisor: Watched,
) -> None:
    code = "import sys; print('the disk is full', file=sys.stderr); sys.exit(3)"
    with pytest.raises(StartError, match=r"(?s)The sad one ended at once \(with status 3\).*full"):
        supervisor.start(make_program("sad one", code))


def test_a_program_that_is_never_ready_is_reported(supervisor: Watched) -> None:
    code = "import time; print('still thinking', flush=True); time.sleep(60)"
    child = supervisor.launch(make_program("slow one", code, start_seconds=1.0))
    wait_until(lambda: child.last_lines)
    with pytest.raises(StartError, match=r"(?s)was not ready within 1 seconds.*still thinking"):
        supervisor.wait_until_ready(child)


def test_a_program_with_much_output_is_not_blocked(supervisor: Watched, book: Path) -> None:
    code = """
        import sys
        print("ready:", flush=True)
        for n in range(20000):
            print("a line of words that fills every pipe", n)
        sys.stdout.flush()
        open(sys.argv[1], "w").write("done")
        sys.stdin.read()
        import time; time.sleep(60)
    """
    supervisor.start(make_program("talker", code, str(book)))
    wait_until(lambda: book.exists() and book.read_text() == "done")


# --- Stopping -------------------------------------------------------------------------------------


def test_programs_are_stopped_one_by_one_newest_first(said: list[str], book: Path) -> None:
    with Watched(said.append) as supervisor:
        for name in ("first", "second", "third"):
            supervisor.start(make_program(name, RECORDING_PROGRAM, name, str(book)))
        children = [supervisor.find(name) for name in ("first", "second", "third")]
    assert book.read_text().split("\n")[3:] == ["third ended", "second ended", "first ended", ""]
    assert not any(is_alive(child.process.pid) for child in children if child is not None)


def test_a_program_that_ignores_sigterm_is_killed(
    monkeypatch: pytest.MonkeyPatch, said: list[str]
) -> None:
    monkeypatch.setattr(supervisor_module, "STOP_SECONDS", 0.5)
    code = """
        import signal, time
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        print("ready:", flush=True)
        time.sleep(60)
    """
    with Watched(said.append) as supervisor:
        supervisor.start(make_program("deaf one", code))
        child = supervisor.find("deaf one")
    assert child is not None
    assert child.process.returncode == -signal.SIGKILL


# --- Restarting -----------------------------------------------------------------------------------


def test_a_program_that_dies_is_restarted_and_others_keep_running(
    supervisor: Watched, said: list[str], book: Path
) -> None:
    for name in ("first", "second"):
        supervisor.start(make_program(name, RECORDING_PROGRAM, name, str(book)))
    first, second = supervisor.find("first"), supervisor.find("second")
    assert first is not None and second is not None
    errors: list[BaseException] = []
    thread = watch(supervisor, errors)
    os.kill(first.process.pid, signal.SIGKILL)
    wait_until(lambda: book.read_text().count("first started") == 2)
    # Check while the watching thread runs: a program ends with the thread that started it.
    wait_until(lambda: supervisor.find("first") is not None)
    again = supervisor.find("first")
    assert again is not None and again.process.pid != first.process.pid
    assert supervisor.find("second") is second
    supervisor.request_stop()
    thread.join()
    assert errors == []
    assert said == ["The first ended (by SIGKILL) and will be restarted."]


def test_a_program_that_keeps_dying_is_given_up_with_a_message(
    supervisor: Watched, said: list[str], book: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor_module, "RESTART_DELAYS_SECONDS", (0.1, 0.2, 0.3))
    monkeypatch.setattr(supervisor_module, "WATCH_SECONDS", 0.02)
    code = """
        import sys, time
        with open(sys.argv[1], "a") as file:
            file.write(f"{time.monotonic()}\\n")
        print("ready:", flush=True)
        print("no more paint", flush=True)
        time.sleep(0.05)
        sys.exit(7)
    """
    # Launched without waiting, because it may end before it is found to be ready.
    supervisor.launch(make_program("painter", code, str(book)))
    with pytest.raises(StartError, match=r"(?s)painter keeps ending \(with status 7\).*no more"):
        supervisor.watch()
    starts = [float(line) for line in book.read_text().split()]
    assert len(starts) == 4
    assert len(said) == 3
    pauses = [later - earlier for earlier, later in pairwise(starts)]
    for pause, delay in zip(pauses, (0.1, 0.2, 0.3), strict=True):
        assert pause >= delay


def test_old_deaths_are_not_counted(
    supervisor: Watched, book: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor_module, "RESTART_DELAYS_SECONDS", (0.0,))
    monkeypatch.setattr(supervisor_module, "RESTART_MEMORY_SECONDS", 0.0)
    monkeypatch.setattr(supervisor_module, "WATCH_SECONDS", 0.02)
    supervisor.start(make_program("one", RECORDING_PROGRAM, "one", str(book)))
    errors: list[BaseException] = []
    thread = watch(supervisor, errors)
    for count in (2, 3, 4):
        # It records its start before the supervisor has registered it.
        wait_until(lambda: supervisor.find("one") is not None)
        child = supervisor.find("one")
        assert child is not None
        os.kill(child.process.pid, signal.SIGKILL)
        wait_until(lambda count=count: book.read_text().count("started") == count)
    supervisor.request_stop()
    thread.join()
    assert errors == []


# --- Signals: a supervisor in a process of its own ------------------------------------------------

SUPERVISOR = """
import sys
from imagehub.runtime.supervisor import Supervisor, Program

RECORDING_PROGRAM, book = sys.argv[1:3]
supervisor = Supervisor()
supervisor.stop_on_signals()
with supervisor:
    for name in ("first", "second"):
        command = [sys.executable, "-S", "-c", RECORDING_PROGRAM, name, book]
        child = supervisor.launch(Program(name, command))
        supervisor.wait_until_ready(child)
        print(child.process.pid, flush=True)
    print("all there", flush=True)
    if sys.argv[3] == "watch":
        supervisor.watch()
    else:
        import time; time.sleep(60)
print("good bye", flush=True)
"""


# Starts a supervisor; returns its process and the ids of its two programs.
Start = Callable[..., tuple[subprocess.Popen[str], list[int]]]


@pytest.fixture
def start_supervisor(book: Path) -> Iterator[Start]:
    started: list[subprocess.Popen[str]] = []

    def start(mode: str = "watch") -> tuple[subprocess.Popen[str], list[int]]:
        process = subprocess.Popen(
            [sys.executable, "-c", SUPERVISOR, RECORDING_PROGRAM, str(book), mode],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        assert process.stdout is not None
        pids = [int(process.stdout.readline()) for _ in range(2)]
        assert process.stdout.readline() == "all there\n"
        return process, pids

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("mode", ["watch", "busy"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_all_in_order_at_any_time(
    start_supervisor: Start,
    book: Path,
    number: signal.Signals,
    mode: str,
) -> None:
    process, pids = start_supervisor(mode)
    process.send_signal(number)
    process.send_signal(number)  # A second signal must not make it leave orphans.
    assert process.communicate(timeout=30)[0] == "good bye\n"
    assert process.returncode == 0
    assert book.read_text().split("\n")[2:] == ["second ended", "first ended", ""]
    assert not any(map(is_alive, pids))


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel of Linux alone sees to this")
def test_programs_end_when_the_supervisor_is_killed(start_supervisor: Start, book: Path) -> None:
    process, pids = start_supervisor()
    process.kill()
    wait_until(lambda: not any(map(is_alive, pids)))
    # They got SIGTERM, not SIGKILL, so they could record their end.
    assert book.read_text().count("ended") == 2


def test_nothing_is_started_after_a_stop_was_requested(supervisor: Watched, book: Path) -> None:
    supervisor.request_stop()
    with pytest.raises(StopRequested):
        supervisor.start(make_program("late", RECORDING_PROGRAM, "late", str(book)))


# --- Ports ----------------------------------------------------------------------------------------


@pytest.fixture
def busy_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def test_a_busy_port_is_detected_and_the_next_free_one_found(busy_port: int) -> None:
    assert not is_port_free("127.0.0.1", busy_port)
    assert not is_port_free("0.0.0.0", busy_port)
    found = find_port("127.0.0.1", busy_port)
    assert busy_port < found < busy_port + 50
    assert is_port_free("127.0.0.1", found)


def test_the_error_names_the_ports_tried_if_none_is_free(busy_port: int) -> None:
    with pytest.raises(StartError, match=f"No free port between {busy_port} and {busy_port}"):
        find_port("127.0.0.1", busy_port, tries=1)


def test_an_address_of_another_machine_is_reported() -> None:
    with pytest.raises(StartError, match="is not an address of this machine"):
        is_port_free("192.0.2.1", 8000)


def test_addresses_for_a_browser_on_this_machine() -> None:
    assert make_url("0.0.0.0", 8000) == "http://127.0.0.1:8000"
    assert make_url("::", 8000) == "http://[::1]:8000"
    assert make_url("localhost", 80) == "http://localhost:80"
