"""Count views and downloads, without cookies and without storing addresses.

A view function tells with :func:`note` what its response shows; a cached page remembers it (see
``web.page_cache``). The outermost middleware then calls :meth:`Numbers.count`, which only counts in
memory. A thread adds the counts to the database every ``_FLUSH_SECONDS``, and once more when the
process ends. While the database is down they stay in memory.

A visitor is a hash of the address, the browser's name and what was seen, with a random key that is
deleted after the day. With Redis, all processes compare their hashes there, where they stay for two
days. Without it, each process counts its own visitors, so one visitor may count in several.

Robots, pages that a browser fetches in advance, and people who are signed in are not counted.
"""

import atexit
import hashlib
import logging
import re
import secrets
import threading
from collections.abc import Mapping
from contextlib import suppress
from datetime import date, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from flask import Flask, request
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from imagehub.config import Settings
from imagehub.database import db, describe_outage, now_utc
from imagehub.domain.people.throttle import simplify_address
from imagehub.domain.site.numbers import HUB, Counts, Thing, add_counts
from imagehub.queue import open_redis
from imagehub.web.cookies import REMEMBER, make_cookie_name
from imagehub.wiring import get_settings

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

log = logging.getLogger(__name__)

# Keys of the WSGI environment: what a response shows, and whether the person is signed in.
SEEN, IS_SIGNED_IN = "imagehub.seen", "imagehub.is_signed_in"
_VIEW, _DOWNLOAD, _FRAME = "view", "download", "frame"
# A thing, and what happens with it.
Seen = tuple[Thing, str]

_FLUSH_SECONDS = 20.0
# How often a process without visitors checks whether the day is over.
_FORGET_SECONDS = 3600.0
# How long a process that ends waits for the thread if it is saving.
_CLOSE_SECONDS = 5.0
# What a process keeps in memory at most: things with counts to save, about 300 bytes each, and
# marks of visitors, about 70. Beyond that it counts only the hub as a whole, and no more visitors.
_MAX_THINGS = 20_000
_MAX_MARKS = 100_000
_REDIS_NAME, _REDIS_SECONDS = "imagehub:visitors", 172_800

# Responses that show something: in full, from the browser's cache, or at another address.
_SHOWN = frozenset({200, 304, 302})
# The names of robots that otherwise look like browsers. Cubot is a brand of phones.
_ROBOT = re.compile(
    r"(?<!cu)bot\b|bot[/_-]|crawl|spider|slurp|preview|fetch|scan|monitor|archiv|headless"
    r"|lighthouse|inspect|validat|externalhit|embedly|http|python|java/|curl|scrap|phantom"
    r"|selenium|pingdom|uptime|mediapartners|google-|-google|googleother",
    re.IGNORECASE,
)


def note(kind: str, object_id: int, act: str = _VIEW) -> None:
    """Note what this response shows, or what is downloaded or shown in a frame.

    :param kind: as in ``models.DayCount``.
    """
    request.environ[SEEN] = Thing(kind, object_id), act


def note_page() -> None:
    """Note that this response is a public page, unless it shows a single thing."""
    request.environ.setdefault(SEEN, (HUB, _VIEW))


def note_download(kind: str, object_id: int) -> None:
    note(kind, object_id, _DOWNLOAD)


def note_frame(kind: str, object_id: int) -> None:
    note(kind, object_id, _FRAME)


@lru_cache(maxsize=1000)
def is_browser(name: str) -> bool:
    """Tell whether a User-Agent is that of a browser with a person in front of it.

    For historical reasons, the names of all browsers begin with Mozilla/5.0.
    """
    return name.startswith("Mozilla/5.0 (") and not _ROBOT.search(name)


def is_wanted(environ: Mapping[str, Any], act: str) -> bool:
    """Tell whether a person asked for this response and sees it now.

    Source: W3C, Fetch Metadata Request Headers; WICG, Speculation Rules (Sec-Purpose).
    """
    purposes = (environ.get(f"HTTP_{name}", "") for name in ("SEC_PURPOSE", "PURPOSE", "X_MOZ"))
    if any(purposes) or not environ.get("HTTP_ACCEPT_LANGUAGE"):
        return False
    if not is_browser(environ.get("HTTP_USER_AGENT", "")):
        return False
    # Browsers from before 2023 do not send a destination. "empty": a script on our pages fetches
    # the page of a work to open it in the viewer.
    wanted = {
        _VIEW: ("", "document", "empty"),
        _DOWNLOAD: ("", "document"),
        _FRAME: ("", "iframe", "frame"),
    }
    return environ.get("HTTP_SEC_FETCH_DEST", "") in wanted[act]


class Numbers:
    """The counts of this process that are not saved yet."""

    def __init__(self, app: Flask) -> None:
        self._app = app
        settings = get_settings(app)
        self._remember_cookie = f"{make_cookie_name(settings, REMEMBER)}="
        self._counts: dict[tuple[Thing, date], Counts] = {}
        self._marks = _Marks(settings)
        self._lock = threading.Lock()
        self._has_some = threading.Event()
        self._is_over = threading.Event()
        self._thread: threading.Thread | None = None
        self._flushing = threading.Lock()

    def count(self, environ: "WSGIEnvironment", status: int) -> None:
        """Count a response, if it shows something to a person, and numbers are on."""
        seen: Seen | None = environ.get(SEEN)
        if seen is None or status not in _SHOWN or environ["REQUEST_METHOD"] != "GET":
            return
        thing, act = seen
        if not get_settings(self._app).numbers or not is_wanted(environ, act):
            return
        if environ.get(IS_SIGNED_IN) or self._remember_cookie in environ.get("HTTP_COOKIE", ""):
            return
        if thing == HUB and environ.get("HTTP_SEC_FETCH_DEST") == "empty":
            return  # A script adds further pages to a wall.
        self._add(thing, act, environ)

    def _add(self, thing: Thing, act: str, environ: "WSGIEnvironment") -> None:
        today, visitor = now_utc().date(), _describe_visitor(environ)
        # Everything but share links also counts for the gallery as a whole.
        things = [thing] if thing == HUB or thing.kind == "share" else [thing, HUB]
        with self._lock:
            for one in things:
                counts = self._find_counts(one, today)
                if counts is None:
                    continue
                if act == _DOWNLOAD:
                    counts.downloads += 1
                elif act == _FRAME:
                    counts.frames += 1
                else:
                    counts.views += 1
                    if visitor and self._marks.add(one, today, visitor):
                        counts.visitors += 1
        self._has_some.set()
        if self._thread is None:
            self._start()

    def _find_counts(self, thing: Thing, today: date) -> Counts | None:
        key = thing, today
        found = self._counts.get(key)
        if found is None and (len(self._counts) < _MAX_THINGS or thing == HUB):
            found = self._counts[key] = Counts()
        return found

    # --- The thread ---

    def _start(self) -> None:
        with self._lock:
            if self._thread is not None:
                return
            self._thread = threading.Thread(target=self._run, name="numbers", daemon=True)
        self._thread.start()
        atexit.register(self.close)

    def _run(self) -> None:
        while not self._is_over.is_set():
            if not self._has_some.wait(_FORGET_SECONDS):
                with self._lock:
                    self._marks.forget(now_utc().date())
                continue
            self._marks.prepare(now_utc().date())
            self._is_over.wait(_FLUSH_SECONDS)
            self._has_some.clear()
            self.flush()

    def flush(self) -> None:
        """Save the counts; keep them in memory if the database is down."""
        with self._flushing:
            with self._lock:
                counted, self._counts = self._counts, {}
                marks = self._marks.take()
            for thing, day in self._marks.list_new(marks):
                counted.setdefault((thing, day), Counts()).visitors += 1
            if not counted:
                return
            try:
                with self._app.app_context(), Session(db.engine) as session:
                    add_counts(session, counted)
            except SQLAlchemyError as error:
                log.warning("Numbers are saved later: %s", describe_outage(error))
                with self._lock:
                    for key, counts in counted.items():
                        self._counts.setdefault(key, Counts()).add(counts)
                self._has_some.set()

    def close(self) -> None:
        """Save the counts and end the thread, because the process ends."""
        atexit.unregister(self.close)
        self._is_over.set()
        self._has_some.set()
        if self._thread is not None:
            self._thread.join(_CLOSE_SECONDS)
        self.flush()


def _describe_visitor(environ: "WSGIEnvironment") -> str:
    """Return what tells visitors apart; "" for one who asks not to be recognised."""
    if environ.get("HTTP_SEC_GPC") == "1" or environ.get("HTTP_DNT") == "1":
        return ""
    address = environ.get("REMOTE_ADDR", "")
    if ":" in address:
        address = simplify_address(address)
    return f"{address}\0{environ.get('HTTP_USER_AGENT', '')}"


class _Marks:
    """Marks of today's visitors, each for one thing that a visitor saw."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._keys: dict[date, bytes] = {}
        self._day = date.min
        self._known: set[bytes] = set()
        # With Redis: marks that are new in this process, and for what.
        self._new: dict[bytes, tuple[Thing, date]] = {}

    def add(self, thing: Thing, today: date, visitor: str) -> bool:
        """Return whether this is a visitor's first view of a thing today, as far as known here.

        Always False with Redis: :meth:`list_new` tells later.
        """
        self.forget(today)
        if not self._settings.queue_url:
            self._keys.setdefault(today, secrets.token_bytes(16))
        key = self._keys.get(today)
        if key is None or len(self._known) >= _MAX_MARKS:
            return False
        text = f"{visitor}\0{thing.kind}\0{thing.object_id}".encode("utf-8", "replace")
        mark = hashlib.blake2b(text, digest_size=8, key=key).digest()
        if mark in self._known:
            return False
        self._known.add(mark)
        if self._settings.queue_url:
            self._new[mark] = thing, today
            return False
        return True

    def forget(self, today: date) -> None:
        """Delete the keys and marks of earlier days."""
        if self._day == today:
            return
        self._day = today
        self._known.clear()
        # A copy, since the thread may add a key meanwhile.
        for day in [day for day in list(self._keys) if day < today]:
            del self._keys[day]

    def prepare(self, today: date) -> None:
        """Agree with the other processes on the keys of today and tomorrow."""
        if not self._settings.queue_url:
            return
        for day in (today, today + timedelta(days=1)):
            if day in self._keys:
                continue
            key = secrets.token_bytes(16)
            with suppress(Exception), open_redis(self._settings) as redis:
                name = f"{_REDIS_NAME}:key:{day}"
                redis.set(name, key, nx=True, ex=_REDIS_SECONDS)
                key = redis.get(name) or key
            self._keys[day] = key

    def take(self) -> dict[bytes, tuple[Thing, date]]:
        taken, self._new = self._new, {}
        return taken

    def list_new(self, marks: Mapping[bytes, tuple[Thing, date]]) -> list[tuple[Thing, date]]:
        """Return what the marks are for that no process has seen before; all if Redis fails."""
        if not marks:
            return []
        by_day: dict[date, list[bytes]] = {}
        for mark, (_, day) in marks.items():
            by_day.setdefault(day, []).append(mark)
        try:
            with open_redis(self._settings) as redis, redis.pipeline(transaction=False) as calls:
                for day, of_day in by_day.items():
                    for mark in of_day:
                        calls.sadd(f"{_REDIS_NAME}:{day}", mark)
                for day in by_day:
                    calls.expire(f"{_REDIS_NAME}:{day}", _REDIS_SECONDS)
                answers = calls.execute()
        except Exception as error:
            log.warning("Visitors are counted without Redis: %s", type(error).__name__)
            return list(marks.values())
        ordered = [mark for of_day in by_day.values() for mark in of_day]
        return [marks[mark] for mark, is_new in zip(ordered, answers, strict=False) if is_new]
