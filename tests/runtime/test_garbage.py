"""Unused cycles are found, but on Python 3.11 never inside an allocation."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import requests

from imagehub.config import load_settings
from imagehub.runtime.serve import make_gunicorn_command
from imagehub.runtime.supervisor import is_port_free
from tests.fixtures.programs import wait_until
from tests.support import ROOT, get_free_port

MAKE_CYCLES = """
import gc, sys, threading, time, weakref
from imagehub.runtime.garbage import collect_at_rest

class Node:
    pass

collect_at_rest()
alive = weakref.WeakSet()
threads, kept = set(), []

def note(_reference):
    threads.add(threading.current_thread().name)

for count in range(400_000):
    one = Node()
    one.me = one
    if count % 1000 == 0:
        alive.add(one)
        kept.append(weakref.ref(one, note))
deadline = time.monotonic() + 30
while len(alive) > 1 and time.monotonic() < deadline:
    # The number of new objects decides.
    kept += [[] for _ in range(30_000)]
    time.sleep(0.06)
print(len(alive), gc.isenabled(), sorted(threads))
"""


def test_cycles_are_collected_by_a_thread_of_its_own_on_python_3_11() -> None:
    done = subprocess.run(
        [sys.executable, "-c", MAKE_CYCLES], cwd=ROOT, capture_output=True, text=True, check=True
    )
    alive, is_enabled, threads = done.stdout.strip().split(" ", 2)
    assert int(alive) <= 1
    if sys.version_info >= (3, 12):
        assert is_enabled == "True"
    else:
        assert (is_enabled, threads) == ("False", "['garbage']")


PROBE = """
import gc, threading

def app(environ, start_response):
    names = [thread.name for thread in threading.enumerate()]
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"{gc.get_threshold()[0] if gc.isenabled() else names.count('garbage')}".encode()]
"""


def test_web_servers_are_set_up(
    start_program: Callable[..., "subprocess.Popen[str]"], tmp_path: Path
) -> None:
    settings = load_settings({"IMAGEHUB_DATA_DIR": str(tmp_path)}, None)
    (tmp_path / "probe.py").write_text(PROBE)
    port = get_free_port()
    command = make_gunicorn_command(settings, "127.0.0.1", port)
    command[command.index("imagehub:create_app()")] = "probe:app"
    server = start_program(command, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(tmp_path)})
    try:
        wait_until(lambda: not is_port_free("127.0.0.1", port), 60, "it does not listen")
        answer = requests.get(f"http://127.0.0.1:{port}/", timeout=30).text
    finally:
        server.terminate()
        server.wait(30)
    assert answer == ("20000" if sys.version_info >= (3, 12) else "1")
