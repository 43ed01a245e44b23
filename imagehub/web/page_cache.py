"""Keep the public pages and calls that are the same for all visitors, in front of Flask.

A response is kept until something that visitors see changes (see ``models.revision``) or the
presigned addresses in it are renewed. Each request checks the revision, so a change shows at once,
on every machine; requests that wait at the same time share one check. Requests for the same page
that is not kept yet share one rendering.
"""

import sys
import threading
import time
from collections import OrderedDict
from collections.abc import Container, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING

from flask import Flask, Response, request
from sqlalchemy import Connection, Engine, event
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.exceptions import HTTPException
from werkzeug.http import parse_cookie, parse_etags

from imagehub.database import db
from imagehub.translator import LANGUAGES
from imagehub.web.access import KEPT_ENDPOINTS
from imagehub.web.cookies import make_cookie_name
from imagehub.web.headers import accepts_gzip
from imagehub.web.i18n import COOKIE as LANGUAGE_COOKIE
from imagehub.web.i18n import find_accepted
from imagehub.web.numbers import SEEN, Seen
from imagehub.web.observed import ENDPOINT, REQUEST_ID
from imagehub.web.replica import Replica
from imagehub.web.templating import THEME_COOKIE, pick_theme
from imagehub.wiring import get_settings, refresh_settings

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_KEY, _REVISION = "imagehub.page_key", "imagehub.page_revision"
_MAX_BYTES = 2**21
# What the objects of an entry need besides their texts, roughly.
_ENTRY_BYTES = 2000
# A request waits this long for another's rendering, and for this many, before it renders by itself.
_MAX_WAIT_SECONDS = 30.0
_MAX_WAITS = 4
# Each response has its own.
_OWN_HEADERS = frozenset({"Content-Length", "Set-Cookie", "X-Request-Id"})
_ENTITY_HEADERS = frozenset({"Content-Encoding", "Content-Length", "Content-Type"})

Key = tuple[object, ...]


@dataclass
class _Entry:
    """A kept response. ``size_bytes`` is what it and its key take in memory.

    ``seen``: what it shows, see ``web.numbers``.
    """

    revision: int
    endpoint: str
    headers: list[tuple[str, str]]
    tag: str
    body: bytes
    size_bytes: int
    seen: Seen | None

    def send(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        environ[ENDPOINT] = self.endpoint
        environ[SEEN] = self.seen
        headers = [*self.headers, ("X-Request-Id", environ.get(REQUEST_ID, ""))]
        known = environ.get("HTTP_IF_NONE_MATCH")
        if known and self.tag and parse_etags(known).contains_weak(self.tag):
            headers = [pair for pair in headers if pair[0] not in _ENTITY_HEADERS]
            start_response(_describe(HTTPStatus.NOT_MODIFIED), headers)
            return ()
        start_response(_describe(HTTPStatus.OK), headers)
        return () if environ["REQUEST_METHOD"] == "HEAD" else (self.body,)


def _make_entry(key: Key, revision: int, response: Response) -> _Entry:
    body = response.get_data()
    headers = [pair for pair in response.headers if pair[0] not in _OWN_HEADERS]
    headers.append(("Content-Length", str(len(body))))
    tag, _ = response.get_etag()
    texts = [*key, *(text for pair in headers for text in pair), body]
    size_bytes = _ENTRY_BYTES + sum(map(sys.getsizeof, texts))
    seen = request.environ.get(SEEN)
    return _Entry(revision, request.endpoint or "", headers, tag or "", body, size_bytes, seen)


@dataclass
class _Rendering:
    """A response that one request renders while others wait; ``is_kept`` once it is an entry."""

    is_over: threading.Event = field(default_factory=threading.Event)
    is_kept: bool = False


def _describe(status: HTTPStatus) -> str:
    return f"{status.value} {status.phrase}"


class RevisionReader:
    """Reads the revision from the database, once for all requests that wait at the same time."""

    def __init__(self, app: Flask) -> None:
        self._app = app
        self._count = threading.Lock()
        self._turn = threading.Lock()
        self._begun = self._ended = 0
        self._revision: int | None = None
        self._connection: Connection | None = None

    def read(self) -> int | None:
        """Return the revision as it was at some time after this call; None if it is unknown."""
        with self._count:
            needed = self._begun + 1
        with self._turn:
            if self._ended < needed:
                with self._count:
                    self._begun += 1
                self._revision = self._ask()
                self._ended = self._begun
            return self._revision

    def _ask(self) -> int | None:
        for _ in range(2):  # The database may have closed the connection.
            with suppress(SQLAlchemyError):
                if self._connection is None:
                    self._connection = self._open()
                found = self._connection.exec_driver_sql("SELECT mark FROM gallery_revision")
                row = found.first()
                return None if row is None else int(row[0])
            self.close()
        return None

    def _open(self) -> Connection:
        with self._app.app_context():
            engine = db.engine
        # An outage of the database leads here with every request.
        if not event.contains(engine, "engine_disposed", self._on_disposed):
            event.listen(engine, "engine_disposed", self._on_disposed)
        return engine.connect().execution_options(isolation_level="AUTOCOMMIT")

    def _on_disposed(self, _engine: Engine) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; the next call opens another."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(SQLAlchemyError):
                connection.close()


class PageCache:
    """Kept responses, and the WSGI middleware that answers from them.

    :param max_bytes: of all kept responses; the least recently used are dropped first.
    """

    def __init__(self, app: Flask, wsgi_app: "WSGIApplication", max_bytes: int) -> None:
        settings = get_settings(app)
        self.revisions = RevisionReader(app)
        self.replica = Replica(app)
        self._app = app
        self._wsgi_app = wsgi_app
        self._max_bytes = max_bytes
        self._has_public_url = bool(settings.public_url)
        self._origins = frozenset(settings.cors_origins)
        self._window_seconds = settings.presign_window_seconds
        self._session_cookies = (
            app.config["SESSION_COOKIE_NAME"],
            app.config["REMEMBER_COOKIE_NAME"],
        )
        self._language_cookie = make_cookie_name(settings, LANGUAGE_COOKIE)
        self._theme_cookie = make_cookie_name(settings, THEME_COOKIE)
        self._entries: OrderedDict[Key, _Entry] = OrderedDict()
        self._bytes = 0
        self._renderings: dict[Key, _Rendering] = {}
        self._lock = threading.Lock()
        self._settings_revision: int | None = None
        self._settings_lock = threading.Lock()

    # --- In front of Flask ---

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        key = environ[_KEY] = self._make_key(environ)
        if key is None:
            return self._wsgi_app(environ, start_response)
        for _ in range(_MAX_WAITS):
            entry = self._find(key)
            if entry is not None:
                revision = self.revisions.read()
                if entry.revision == revision:
                    return entry.send(environ, start_response)
                if revision is None:
                    break
            elif not self._is_kept_endpoint(environ):
                break
            if environ["REQUEST_METHOD"] != "GET":
                break
            # One request renders, and those that come meanwhile wait. No session of the database
            # is open yet.
            rendering, is_own = self._join(key, entry)
            if is_own:
                try:
                    return self._wsgi_app(environ, start_response)
                finally:
                    self._finish(key, rendering)
            if not rendering.is_over.wait(_MAX_WAIT_SECONDS) or not rendering.is_kept:
                break
        return self._wsgi_app(environ, start_response)

    def _is_kept_endpoint(self, environ: "WSGIEnvironment") -> bool:
        with suppress(HTTPException):
            endpoint, _ = self._app.url_map.bind_to_environ(environ).match()
            return endpoint in KEPT_ENDPOINTS
        return False

    def _join(self, key: Key, seen: _Entry | None) -> tuple[_Rendering, bool]:
        """Return the rendering to wait for, or begin one; the flag tells which.

        :param seen: the entry that was missing or outdated. If there is another one by now, the
            rendering returned is over.
        """
        with self._lock:
            if key in self._renderings:
                return self._renderings[key], False
            rendering = _Rendering()
            if self._entries.get(key) is not seen:
                rendering.is_kept = True
                rendering.is_over.set()
                return rendering, False
            self._renderings[key] = rendering
            return rendering, True

    def _finish(self, key: Key, rendering: _Rendering) -> None:
        with self._lock:
            del self._renderings[key]
        rendering.is_over.set()

    def _make_key(self, environ: "WSGIEnvironment") -> Key | None:
        """Return what a response depends on; None if it may depend on the person."""
        if not self._max_bytes:
            return None
        cookies = parse_cookie(environ.get("HTTP_COOKIE"))
        if not self._is_for_anybody(environ, cookies):
            return None
        language = cookies.get(self._language_cookie, "")
        if language not in LANGUAGES:
            language = find_accepted(environ.get("HTTP_ACCEPT_LANGUAGE", ""))
        origin = environ.get("HTTP_ORIGIN", "")
        return (
            environ["wsgi.url_scheme"],
            "" if self._has_public_url else environ.get("HTTP_HOST", ""),
            environ.get("SCRIPT_NAME", ""),
            environ.get("PATH_INFO", ""),
            environ.get("QUERY_STRING", ""),
            language,
            pick_theme(cookies.get(self._theme_cookie, "")),
            origin if origin in self._origins else "",
            accepts_gzip(environ.get("HTTP_ACCEPT_ENCODING", "")),
            int(time.time() // self._window_seconds),
        )

    def _is_for_anybody(self, environ: "WSGIEnvironment", cookies: Container[str]) -> bool:
        """Tell whether a request only reads, and says nothing about a person."""
        if environ["REQUEST_METHOD"] not in ("GET", "HEAD") or "HTTP_AUTHORIZATION" in environ:
            return False
        return not any(name in cookies for name in self._session_cookies)

    def _find(self, key: Key) -> _Entry | None:
        with self._lock:
            if key not in self._entries:
                return None
            self._entries.move_to_end(key)
            return self._entries[key]

    # --- Inside of a request ---

    def begin_request(self) -> None:
        """Read the revision before anything else that this response depends on.

        Then select the database that the response is read from.
        """
        is_kept = request.endpoint in KEPT_ENDPOINTS and bool(request.environ.get(_KEY))
        may_use_replica = self.replica.may_serve() and self._is_for_anybody(
            request.environ, request.cookies
        )
        if not is_kept and not may_use_replica:
            refresh_settings()
            return
        revision = self.revisions.read()
        if is_kept:
            self._note_revision(revision)
        else:
            refresh_settings()
        if may_use_replica:
            self.replica.use(revision)

    def _note_revision(self, revision: int | None) -> None:
        with self._settings_lock:
            if revision is None or revision != self._settings_revision:
                is_read = refresh_settings(older_than_seconds=0)
                self._settings_revision = revision if is_read else None
            else:
                refresh_settings()
            if self._settings_revision is not None:
                request.environ[_REVISION] = revision

    def keep_response(self, response: Response) -> Response:
        """Keep the final response of this request if all visitors would get the same."""
        if request.endpoint not in KEPT_ENDPOINTS:
            return response
        key: Key | None = request.environ.get(_KEY)
        revision = request.environ.get(_REVISION)
        is_same = response.status_code == 200 and not response.cache_control.no_store
        if key is not None and request.method == "GET":
            entry = None
            if is_same and revision is not None:
                entry = _make_entry(key, revision, response)
            self._put(key, entry)
        if is_same:
            response.make_conditional(request)
        return response

    def _put(self, key: Key, entry: _Entry | None) -> None:
        with self._lock:
            self._drop(key)
            if entry is None or entry.size_bytes > min(_MAX_BYTES, self._max_bytes):
                return
            self._entries[key] = entry
            self._bytes += entry.size_bytes
            while self._bytes > self._max_bytes:
                self._drop(next(iter(self._entries)))
            if key in self._renderings:
                self._renderings[key].is_kept = True

    def _drop(self, key: Key) -> None:
        before = self._entries.pop(key, None)
        self._bytes -= before.size_bytes if before else 0
