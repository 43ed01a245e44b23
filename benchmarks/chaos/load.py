"""Visitors who look at pages and pictures, and an admin who imports one folder after the other."""

import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import urljoin

import requests
from sqlalchemy import select

from benchmarks.chaos.parts import Parts
from imagehub.models import ImportItem
from tests.fixtures.importing import make_jpeg

TIMEOUT_SECONDS = 20.0
# Words that no visitor should read.
_RAW = ("Traceback", "pymysql", "sqlalchemy", "OperationalError")


@dataclass
class Tally:
    """What visitors and the admin have seen, counted by all threads."""

    find_causes: Callable[[], str]
    request_count: int = 0
    retried_count: int = 0
    failures: Counter[tuple[str, str]] = field(default_factory=Counter)
    raw_answers: list[str] = field(default_factory=list)
    longest_outage_seconds: float = 0.0
    _last_success: float = field(default_factory=time.monotonic)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, failure: str = "", is_retried: bool = False) -> None:
        """Count a request; ``failure`` names its kind, "" for a success."""
        causes = self.find_causes() if failure else ""
        with self._lock:
            self.request_count += 1
            self.retried_count += is_retried
            now = time.monotonic()
            self.longest_outage_seconds = max(self.longest_outage_seconds, now - self._last_success)
            if failure:
                self.failures[failure, causes] += 1
            else:
                self._last_success = now

    def note_raw(self, words: str) -> None:
        with self._lock:
            self.raw_answers.append(words)


class Visitor:
    """A browser behind a proxy: where one web server refuses a connection, it asks the other."""

    def __init__(self, parts: Parts, tally: Tally, chance: random.Random) -> None:
        self._parts, self._tally, self._chance = parts, tally, chance
        self._session = requests.Session()

    def visit_until(self, is_over: threading.Event) -> None:
        """Open pages, JSON and pictures until it is over."""
        group_id = 1
        paths = (
            "/",
            "/image/page?page=1",
            "/search?q=works",
            "/search/suggest?q=w",
            "/feed.atom",
            f"/groups/{group_id}",
            f"/media/{group_id}/{{number}}/960",
            f"/media/{group_id}/{{number}}/480",
            f"/media/full/{group_id}/{{number}}",
        )
        while not is_over.wait(self._chance.uniform(0.05, 0.3)):
            path = self._chance.choice(paths).format(number=self._chance.randint(1, 8))
            self._open(path)

    def _open(self, path: str) -> None:
        is_picture = path.startswith("/media/")
        answer, turns = self._ask(path)
        is_retried = turns > 0
        if answer is None:
            self._tally.note("no web server answers" if turns else "no answer in time")
            return
        failure = self._judge(path, answer)
        if not failure and is_picture:
            failure = self._fetch(path, answer)
        self._tally.note(failure, is_retried)

    def _ask(self, path: str) -> tuple[requests.Response | None, int]:
        """Return the answer, and how many web servers had not answered."""
        urls = list(self._parts.web_urls)
        self._chance.shuffle(urls)
        for turn, url in enumerate(urls):
            try:
                answer = self._session.get(
                    url + path,
                    timeout=TIMEOUT_SECONDS,
                    # To the address with the title, but not to the pictures.
                    allow_redirects=not path.startswith("/media/"),
                    headers={"Accept": "text/html"},
                )
            except requests.Timeout:
                return None, 0
            except requests.RequestException:
                continue
            return answer, turn
        return None, len(urls)

    def _judge(self, path: str, answer: requests.Response) -> str:
        expected = 302 if path.startswith("/media/") else 200
        if answer.status_code == expected:
            return ""
        if answer.status_code == 500 or any(word in answer.text for word in _RAW):
            self._tally.note_raw(f"{path}: {answer.status_code} {answer.text[:300]}")
        return f"{answer.status_code} from the hub"

    def _fetch(self, path: str, answer: requests.Response) -> str:
        what = "original" if "/full/" in path else "picture"
        url = urljoin(answer.url, answer.headers["Location"])
        try:
            found = self._session.get(url, timeout=TIMEOUT_SECONDS)
        except requests.RequestException:
            return f"{what}: no connection"
        return "" if found.ok else f"{what}: {found.status_code}"


class Admin:
    """An admin who imports folders by the JSON API, and asks again where an answer was lost."""

    def __init__(self, parts: Parts, tally: Tally, chance: random.Random, files: int) -> None:
        self._parts, self._tally, self._chance = parts, tally, chance
        self._file_count = files
        self.folders: list[str] = []

    def import_until(self, is_over: threading.Event) -> None:
        """Put a folder into OneDrive and import it, again and again."""
        number = 0
        while not is_over.is_set():
            number += 1
            name = f"Works {number}"
            self._put(name, number * 1000)
            while not self._import(name) and not is_over.wait(1.0):
                pass
            is_over.wait(self._chance.uniform(2.0, 5.0))

    def _put(self, name: str, first: int) -> None:
        hub = self._parts.hub
        path = hub.onedrive.root / name
        path.mkdir()
        for number in range(first, first + self._file_count):
            (path / f"{number:06}.jpg").write_bytes(make_jpeg(number, (1200, 800)))

    def _import(self, name: str) -> bool:
        """Ask for an import; return whether it was accepted."""
        if self._is_asked(name):
            return True  # The hub had accepted it, and the answer was lost.
        url = self._chance.choice(self._parts.web_urls)
        bearer = {"Authorization": f"Bearer {self._parts.token}"}
        try:
            found = requests.get(
                f"{url}/admin/onedrive/folders", headers=bearer, timeout=TIMEOUT_SECONDS
            )
            folder_id, files = self._find(found, name)
            chosen = {
                "group": -1,
                "folder_name": name,
                "all_image_id": [{"file_id": key, "file_name": files[key]} for key in files],
            }
            answer = requests.post(
                f"{url}/admin/add/image",
                json={"image_list": {folder_id: chosen}},
                headers=bearer,
                timeout=TIMEOUT_SECONDS,
            )
        except (requests.RequestException, LookupError):
            self._tally.note("admin: asks again")
            return False
        if answer.status_code == 200:
            self._tally.note()
            self.folders.append(name)
            return True
        self._tally.note(f"admin: {answer.status_code}")
        return False

    def _find(self, answer: requests.Response, name: str) -> tuple[str, dict[str, str]]:
        """:raise LookupError: OneDrive or the hub does not show the whole folder at the moment."""
        if not answer.ok:
            raise LookupError(name)
        for folder_id, folder in answer.json().get("folders", {}).items():
            if isinstance(folder, dict) and folder["folder_name"] == name:
                files = {key: file["file_name"] for key, file in folder["files"].items()}
                if len(files) == self._file_count:
                    return folder_id, files
        raise LookupError(name)

    def _is_asked(self, name: str) -> bool:
        """Look into the database whether there is such an import."""
        if name in self.folders:
            return True
        session = self._parts.hub.session
        try:
            session.rollback()
            query = select(ImportItem.id).where(ImportItem.folder_name == name).limit(1)
            is_asked = session.scalar(query) is not None
            session.rollback()
        except Exception:  # The database is down: ask later.
            time.sleep(1.0)
            return self._is_asked(name)
        if is_asked:
            self.folders.append(name)
        return is_asked
