"""What breaks: programs are killed, services stop for seconds, OneDrive answers with errors."""

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import requests

from benchmarks.chaos.parts import Parts, Program

# A failure has these causes for so long after their end: programs need to notice.
_ECHO_SECONDS = 5.0
# Faults of the OneDrive emulator, on calls of Graph and on downloads.
FAULTS: dict[str, dict[str, object]] = {
    "Graph 429": {"kind": "status", "status": 429, "retry_after": 3, "path": "/v1.0/"},
    "Graph 503": {"kind": "status", "status": 503, "path": "/v1.0/"},
    "Graph garbage": {"kind": "garbage", "body": "<h1>Maintenance</h1>", "path": "/v1.0/"},
    "Graph gone": {"kind": "gone"},
    "half a file": {"kind": "truncated_download"},
    "wrong bytes": {"kind": "corrupted_download"},
    "lost answers": {"kind": "lost_answer", "path": "/v1.0/"},
}


class Trouble:
    """Breaks one thing of each kind at a time, and knows what is broken now."""

    def __init__(self, parts: Parts, seed: int) -> None:
        self._parts, self._seed = parts, seed
        self._active: dict[str, float] = {}
        self._lock = threading.Lock()
        self.counts: Counter[str] = Counter()
        self.errors: list[Exception] = []

    def find_causes(self) -> str:
        """Name what is broken, or was a moment ago."""
        now = time.monotonic()
        with self._lock:
            names = sorted(name for name, end in self._active.items() if end > now)
        return " + ".join(names) or "no known cause"

    @contextmanager
    def _broken(self, name: str) -> Iterator[None]:
        with self._lock:
            self._active[name] = float("inf")
            self.counts[name] += 1
        try:
            yield
        finally:
            with self._lock:
                self._active[name] = time.monotonic() + _ECHO_SECONDS

    def start(self, is_over: threading.Event) -> list[threading.Thread]:
        """Break things until it is over; everything runs again when the threads have ended."""
        kinds = (self._kill_web, self._kill_worker, self._stop_service, self._spoil_onedrive)
        threads = [
            threading.Thread(
                target=self._go_on, args=(kind, random.Random(f"{self._seed} {number}"), is_over)
            )
            for number, kind in enumerate(kinds)
        ]
        for thread in threads:
            thread.start()
        return threads

    def _go_on(
        self,
        break_one: Callable[[random.Random], None],
        chance: random.Random,
        is_over: threading.Event,
    ) -> None:
        while not is_over.wait(chance.uniform(3.0, 8.0)):
            try:
                break_one(chance)
            except Exception as error:
                self.errors.append(error)
                raise

    def _kill_web(self, chance: random.Random) -> None:
        self._kill("web server killed", chance.choice(self._parts.webs))

    def _kill_worker(self, chance: random.Random) -> None:
        self._kill("worker killed", chance.choice(self._parts.workers))

    def _kill(self, name: str, program: Program) -> None:
        with self._broken(name):
            program.kill()
            program.start()

    def _stop_service(self, chance: random.Random) -> None:
        name = chance.choice(("MariaDB", "Redis", "S3", "OneDrive"))
        parts = self._parts
        kill, start = {
            "MariaDB": (parts.database.kill, parts.database.start),
            "Redis": (parts.redis.kill, parts.redis.start),
            "S3": (parts.storage.kill, parts.storage.start),
            "OneDrive": (parts.onedrive.kill, parts.onedrive.start),
        }[name]
        with self._broken(f"{name} stopped"):
            kill()
            try:
                time.sleep(chance.uniform(2.0, 6.0))
            finally:
                start()

    def _spoil_onedrive(self, chance: random.Random) -> None:
        name = chance.choice(list(FAULTS))
        with self._broken(name):
            number = None
            try:
                number = self._parts.onedrive.set_fault(**FAULTS[name])  # type: ignore[arg-type]
                time.sleep(chance.uniform(3.0, 8.0))
            except requests.RequestException:
                pass  # The emulator is stopped at the moment.
            finally:
                self._clear(number)

    def _clear(self, number: int | None) -> None:
        while number is not None:
            try:
                self._parts.onedrive.clear_faults(number)
                return
            except (requests.RequestException, AssertionError):
                time.sleep(0.5)
