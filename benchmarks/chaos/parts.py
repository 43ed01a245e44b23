"""The programs of a whole hub, each of which can be killed and started again."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import requests
from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from imagehub.config import Settings
from imagehub.database import Base, make_engine_options
from imagehub.domain.people import tokens, users
from imagehub.domain.vault import SigningKeys
from imagehub.runtime.serve import make_gunicorn_command
from imagehub.wiring import build_clients
from tests.fixtures.connection import make_settings
from tests.fixtures.database import MariaDB, run_mariadb
from tests.fixtures.importing import ImportHub
from tests.fixtures.onedrive import OneDrive
from tests.fixtures.s3 import ACCESS_KEY_ID, SECRET_ACCESS_KEY
from tests.support import ROOT, get_free_port, require

READY_SECONDS = 240.0


class Program:
    """A program in a process group of its own, with its output in a file.

    :param is_ready: tells whether it is ready; by default it prints a line that begins with
        ``ready:``.
    """

    def __init__(
        self,
        name: str,
        command: list[str],
        folder: Path,
        is_ready: Callable[[], bool] | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self.log = folder / f"{name}.log"
        self._command, self._folder = command, folder
        self._is_ready = is_ready or self._says_ready
        self._log_start = 0
        self._environment = {**os.environ, "PYTHONPATH": str(ROOT), **(environment or {})}
        self._process: subprocess.Popen[bytes] | None = None

    def launch(self) -> None:
        """Start it without waiting."""
        with self.log.open("ab") as log:
            self._log_start = log.tell()
            self._process = subprocess.Popen(
                self._command,
                cwd=self._folder,
                env=self._environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def start(self) -> None:
        """Start it, and wait until it is ready."""
        self.launch()
        self.wait_until_ready()

    def wait_until_ready(self) -> None:
        """Wait until it is ready; start it again if it ends, as a supervisor does."""
        deadline = time.monotonic() + READY_SECONDS
        while not self._is_ready():
            if time.monotonic() > deadline:
                end = self.log.read_text(errors="replace")[-2000:]
                raise RuntimeError(f"{self.name} did not get ready:\n{end}")
            if self._process is not None and self._process.poll() is not None:
                self.launch()  # It may end while the database is down.
            time.sleep(0.2)

    def _says_ready(self) -> bool:
        with self.log.open("rb") as log:
            log.seek(self._log_start)
            return any(line.startswith(b"ready:") for line in log)

    def kill(self) -> None:
        """Kill it and all that it has started."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def count_traces(self) -> int:
        """Count the stack traces in its output."""
        return self.log.read_text(errors="replace").count("Traceback (most recent call last)")


def is_listening(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def is_healthy(port: int) -> bool:
    """Return whether a web server answers, not only its first process."""
    try:
        return requests.get(f"http://127.0.0.1:{port}/health", timeout=10).ok
    except requests.RequestException:
        return False


@dataclass
class Parts:
    """Everything that runs. ``hub`` looks at its database and drive from outside."""

    hub: ImportHub
    database: MariaDB
    onedrive: OneDrive
    redis: Program
    storage: Program
    webs: list[Program]
    workers: list[Program]
    web_urls: list[str]
    token: str

    @property
    def own(self) -> list[Program]:
        return [*self.webs, *self.workers]


@contextmanager
def run_parts(folder: Path) -> Iterator[Parts]:
    """Run MariaDB, Redis, S3 and OneDrive, two web servers and two workers, until the end."""
    with ExitStack() as stack:
        database = stack.enter_context(run_mariadb("256M", keep_all=True))
        onedrive = OneDrive(folder / "onedrive")
        stack.callback(onedrive.stop)
        redis_port, storage_port = get_free_port(), get_free_port()
        redis = Program(
            "redis",
            [
                require("redis-server"),
                "--port",
                str(redis_port),
                "--save",
                "",
                "--dir",
                str(folder),
            ],
            folder,
            lambda: is_listening(redis_port),
        )
        script = str(ROOT / "imagehub/runtime/s3_server.py")
        storage = Program(
            "storage",
            [
                *(sys.executable, "-P", script),
                *("--root", str(folder / "objects"), "--port", str(storage_port)),
            ],
            folder,
            lambda: is_listening(storage_port),
            {
                "IMAGEHUB_S3_ACCESS_KEY_ID": ACCESS_KEY_ID,
                "IMAGEHUB_S3_SECRET_ACCESS_KEY": SECRET_ACCESS_KEY,
            },
        )
        for program in (redis, storage):
            stack.callback(program.kill)
            program.start()
        settings = make_settings(
            folder / "data",
            database.create_database(),
            onedrive.url,
            IMAGEHUB_QUEUE_URL=f"redis://127.0.0.1:{redis_port}/0",
            IMAGEHUB_S3_ENDPOINT_URL=f"http://127.0.0.1:{storage_port}",
            IMAGEHUB_S3_ACCESS_KEY_ID=ACCESS_KEY_ID,
            IMAGEHUB_S3_SECRET_ACCESS_KEY=SECRET_ACCESS_KEY,
            IMAGEHUB_WORKER_PROCESSES="1",
            IMAGEHUB_WEB_WORKERS="1",
            IMAGEHUB_IMPORT_WAIT_SECONDS="1",
            # All visitors come from this machine.
            IMAGEHUB_CONNECTIONS_PER_ADDRESS="0",
        )
        hub, token = _make_hub(folder, settings, onedrive)
        stack.callback(hub.engine.dispose)
        stack.callback(hub.session.close)
        ports = [get_free_port() for _ in range(2)]
        environment = settings.to_environment()
        webs = [
            Program(
                f"web-{number}",
                make_gunicorn_command(settings, "127.0.0.1", port),
                folder,
                partial(is_healthy, port),
                environment,
            )
            for number, port in enumerate(ports, 1)
        ]
        workers = [
            Program(
                f"worker-{number}",
                [sys.executable, "-m", "imagehub", "worker"],
                folder,
                environment=environment,
            )
            for number in (1, 2)
        ]
        for program in (*webs, *workers):
            stack.callback(program.kill)
            program.launch()
        for program in (*webs, *workers):
            program.wait_until_ready()
        urls = [f"http://127.0.0.1:{port}" for port in ports]
        yield Parts(hub, database, onedrive, redis, storage, webs, workers, urls, token)


def _make_hub(folder: Path, settings: Settings, onedrive: OneDrive) -> tuple[ImportHub, str]:
    """Create tables, bucket, an admin and the connection; return it with a token of the admin."""
    engine = create_engine(settings.sqlalchemy_url, **make_engine_options(settings.sqlalchemy_url))
    Base.metadata.create_all(engine)
    session = Session(engine, expire_on_commit=False)
    user = users.create_admin(session, "Ada", "correct horse battery")
    session.commit()
    clients = build_clients(engine, settings)
    clients.store.create_bucket()
    hub = ImportHub(engine, session, settings, clients, user.id, onedrive, folder=folder)
    hub.account_id = hub.connect().id
    return hub, tokens.make_token(SigningKeys(settings.secret_key), user)
