"""A web server with scripted answers that a correct service would not give."""

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any

from imagehub.clients.graph_http import GraphCaller

TOKEN = "EwB-opaque-secret"


@dataclass
class Asked:
    """One received request; header names are in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass
class Answer:
    """``hang_up``: read the request, then close the connection without an answer."""

    status: int = 200
    body: Any = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    hang_up: bool = False


class ScriptedServer:
    """Answers by path without query: each is given once, the last one repeatedly."""

    def __init__(self) -> None:
        self.answers: dict[str, list[Answer | Callable[[Asked], Answer]]] = {}
        self.asked: list[Asked] = []
        self.url = ""
        self._lock = threading.Lock()

    def say(self, path: str, *answers: Answer | Callable[[Asked], Answer]) -> None:
        self.answers[path] = list(answers)

    def list_asked(self, path: str) -> list[Asked]:
        return [asked for asked in self.asked if asked.path.partition("?")[0] == path]

    def answer(self, asked: Asked) -> Answer:
        with self._lock:
            self.asked.append(asked)
            left = self.answers.get(asked.path.partition("?")[0])
            if left is None:
                return Answer(404, {"error": {"code": "itemNotFound", "message": "?"}})
            found = left.pop(0) if len(left) > 1 else left[0]
        return found(asked) if callable(found) else found


@contextmanager
def run_scripted_server() -> Iterator[ScriptedServer]:
    script = ScriptedServer()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # Head and body are sent in two packets; the second would wait for an acknowledgement.
        disable_nagle_algorithm = True

        def handle_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            answer = script.answer(Asked(self.command, self.path, headers, body))
            if answer.hang_up:
                self.close_connection = True
                return
            content = answer.body
            if not isinstance(content, bytes):
                content = json.dumps(content).encode()
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            if "Content-Length" not in answer.headers:
                self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)
            if int(answer.headers.get("Content-Length", len(content))) != len(content):
                self.close_connection = True

        do_GET = do_POST = do_PATCH = do_DELETE = do_PUT = handle_any

        def log_message(self, format: str, *args: Any) -> None:
            """Log nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    script.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield script
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class Pause:
    """A pause of all calls for an account."""

    def __init__(self) -> None:
        self._until = 0.0

    def get(self) -> float:
        return max(0.0, self._until - time.monotonic())

    def set(self, seconds: float) -> None:
        self._until = max(self._until, time.monotonic() + seconds)


def make_access(
    get_token: Callable[..., str] = lambda refused_token="", claims="": TOKEN,
    get_pause: Callable[[], float] | None = None,
    set_pause: Callable[[float], None] | None = None,
    require_sign_in: Callable[[str, str], None] = lambda refused_token, claims: None,
) -> Any:
    """Return tokens and pauses of an account that no other caller shares unless told."""
    pause = Pause()
    return SimpleNamespace(
        get_token=get_token,
        require_sign_in=require_sign_in,
        look_again=lambda: None,
        get_pause=get_pause or pause.get,
        set_pause=set_pause or pause.set,
        note_success=lambda: None,
    )


def open_graph(url: str, **options: Any) -> GraphCaller:
    """Call Graph with short waits; options are those of :func:`make_access` and the caller."""
    names = ("get_token", "get_pause", "set_pause", "require_sign_in")
    access = make_access(**{name: options.pop(name) for name in names if name in options})
    defaults: dict[str, Any] = {
        "max_wait_seconds": 3.0,
        "backoff_seconds": 0.01,
        "timeouts": (2.0, 5.0),
    }
    return GraphCaller(url, access, **{**defaults, **options})


def make_caller(server: ScriptedServer, **options: Any) -> GraphCaller:
    """Call the server as Graph; options as of :func:`open_graph`."""
    return open_graph(server.url + "/v1.0", **options)
