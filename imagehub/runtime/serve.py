"""The programs of a hub and how they are started, for ``imagehub serve`` and ``imagehub demo``."""

import fcntl
import ipaddress
import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from flask import Flask
from sqlalchemy import Dialect, Engine, event, func, select

from imagehub.config import Settings
from imagehub.database import CHARSET, db, init_migrations
from imagehub.domain.library.facet_index import fill_facets
from imagehub.domain.library.search_index import fill_search
from imagehub.runtime.charsets import convert_tables
from imagehub.runtime.supervisor import (
    Program,
    StartError,
    Supervisor,
    is_port_free,
    is_web_ready,
    make_url,
)

Say = Callable[[str], None]

# Together ten minutes, longer than a migration of a large hub takes. A single statement must end
# before the read timeout of a connection.
LOCK_ATTEMPTS = 30
LOCK_WAIT_SECONDS = 20

log = logging.getLogger(__name__)


def migrate_database(app: Flask) -> None:
    """Upgrade to the newest migration; create the folder of an SQLite file.

    Programs that do so at the same time wait for each other.

    :raise StartError: another one is still migrating after ten minutes.
    """
    from flask_migrate import upgrade

    init_migrations(app)
    url = app.config["SQLALCHEMY_DATABASE_URI"]
    if url.startswith("sqlite:///"):
        Path(url.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
    with app.app_context(), hold_migration_lock(db.engine), allow_long_statements(db.engine):
        logging.getLogger("alembic").setLevel(logging.WARNING)
        _convert_tables()
        upgrade()
        # Tables that were renamed by a migration, if there are any.
        _convert_tables()
        # Index groups that were created before these indexes existed.
        for fill in (fill_search, fill_facets):
            after = 0
            while after := fill(db.session(), after):
                db.session.commit()
            db.session.rollback()


@contextmanager
def hold_migration_lock(engine: Engine) -> Iterator[None]:
    """Hold the lock of this database's migrations; it ends with the process or connection.

    Source: MySQL 8.4 reference manual, "Locking Functions" (names of up to 64 characters, for the
    whole server).

    :raise StartError: the lock on the server was not free within ten minutes.
    """
    if engine.dialect.name == "sqlite":
        with Path(f"{engine.url.database}.migrate-lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield
        return
    with engine.connect() as connection:
        # With a long name, two databases of one server may share the lock and wait for each other.
        name = f"imagehub.migrate.{engine.url.database}"[:64]
        take_lock = select(func.get_lock(name, LOCK_WAIT_SECONDS))
        if not any(connection.scalar(take_lock) == 1 for _ in range(LOCK_ATTEMPTS)):
            raise StartError(
                "Another program has been migrating the database for ten minutes. Stop it, or wait "
                "until it has finished."
            )
        # Without a transaction, whose snapshot would stay open.
        connection.commit()
        try:
            yield
        finally:
            connection.execute(select(func.release_lock(name)))


@contextmanager
def allow_long_statements(engine: Engine) -> Iterator[None]:
    """Open connections to MySQL without a read timeout: changing a large table takes long."""
    if engine.dialect.name == "sqlite":
        yield
        return

    def connect(dialect: Dialect, _record: Any, values: Any, options: dict[str, Any]) -> Any:
        return dialect.connect(*values, **{**options, "read_timeout": None})

    event.listen(engine, "do_connect", connect)
    engine.dispose()
    try:
        yield
    finally:
        event.remove(engine, "do_connect", connect)
        engine.dispose()


def _convert_tables() -> None:
    with db.engine.connect() as connection:
        if names := convert_tables(connection):
            log.warning("Converted %d tables to %s: %s", len(names), CHARSET, ", ".join(names))


def check_port(host: str, port: int) -> None:
    """:raise StartError: the port is in use; the message says what to do."""
    if not is_port_free(host, port):
        other = port + 1 if port < 65535 else 8000
        raise StartError(
            f"Port {port} on {host} is in use. Stop the program that uses it, or choose another "
            f"port: --port {other}"
        )


def check_s3_port(settings: Settings, host: str) -> None:
    """Check that the embedded S3 server, if it is used, can have the port of the settings.

    Other commands and the proxy use that port.

    :raise StartError: the port is in use; the message says what to do.
    """
    if settings.uses_embedded_s3 and not is_port_free(choose_s3_host(host), settings.s3_port):
        raise StartError(
            f"Port {settings.s3_port} is in use, but the embedded S3 server needs it. Stop the "
            "program that uses it (another hub?), or set IMAGEHUB_S3_PORT to another port."
        )


def choose_s3_host(host: str) -> str:
    """Return the host where the S3 server listens: local only if the hub's is local.

    Browsers must reach it wherever they reach the hub; every request to it needs a signature.
    """
    try:
        is_local = ipaddress.ip_address(host).is_loopback
    except ValueError:
        is_local = host == "localhost"
    return "127.0.0.1" if is_local else "0.0.0.0"  # noqa: S104 - only if the hub does so


def make_s3_program(settings: Settings, host: str = "127.0.0.1") -> Program:
    """Return the embedded S3 server's program, for a hub that listens at ``host``."""
    # By path: with -m it would import all of ImageHub first, 1 second and 85 MB.
    command = [sys.executable, "-P", str(Path(__file__).with_name("s3_server.py"))]
    command += ["--root", str(settings.data_dir / "objects")]
    command += ["--host", choose_s3_host(host), "--port", str(settings.s3_port)]
    return Program("S3 server", command, settings.to_environment())


def make_worker_program(settings: Settings) -> Program:
    command = [sys.executable, "-m", "imagehub", "worker"]
    return Program("worker", command, settings.to_environment())


def make_web_program(settings: Settings, host: str, port: int) -> Program:
    return Program(
        "web server",
        make_gunicorn_command(settings, host, port),
        settings.to_environment(),
        is_ready=lambda: is_web_ready(host, port),
        start_seconds=180,
    )


def make_gunicorn_command(settings: Settings, host: str, port: int) -> list[str]:
    """Return the gunicorn command: a few processes with threads.

    Requests mostly wait for the database and Graph, so threads are cheaper than processes.
    """
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    options = {
        "config": "python:imagehub.runtime.web_hooks",
        "bind": address,
        "worker-class": "imagehub.runtime.web_worker.BufferingWorker",
        "workers": settings.web_workers,
        "threads": settings.web_threads,
        # Of each process; half of the open files that Linux usually allows.
        "worker-connections": 512,
        "timeout": 120,
        "graceful-timeout": 10,
        "keep-alive": 15,
        # Proxies such as Caddy would pass on SCRIPT_NAME from clients.
        "forwarder-headers": "",
        "backlog": 512,
        "worker-tmp-dir": "/dev/shm" if os.path.isdir("/dev/shm") else settings.data_dir,  # noqa: S108
        "logger-class": "imagehub.logs.GunicornLogger",
        "log-level": "warning",
    }
    command = [sys.executable, "-m", "gunicorn", "imagehub:create_app()"]
    # The worker sends files like other responses; sendfile would wait for the client.
    command += ["--no-control-socket", "--no-sendfile"]
    return command + [f"--{name}={value}" for name, value in options.items()]


def start_hub(supervisor: Supervisor, settings: Settings, host: str, port: int) -> None:
    """Start the web server, and the S3 server and worker if embedded, in parallel."""
    children = []
    if settings.uses_embedded_s3:
        children.append(supervisor.launch(make_s3_program(settings, host)))
    if not settings.queue_url:
        children.append(supervisor.launch(make_worker_program(settings)))
    children.append(supervisor.launch(make_web_program(settings, host, port)))
    for child in children:
        supervisor.wait_until_ready(child)


def serve(settings: Settings, host: str, port: int, say: Say) -> None:
    """Run the whole hub until Ctrl-C.

    :raise StartError: a program does not start, or keeps ending.
    """
    check_port(host, port)
    check_s3_port(settings, host)
    with Supervisor(say) as supervisor:
        supervisor.stop_on_signals()
        start_hub(supervisor, settings, host, port)
        public = f" for {settings.public_url}/" if settings.public_url else ""
        say(f"ready: {make_url(host, port)}{public}")
        supervisor.watch()
    say("Stopped.")
