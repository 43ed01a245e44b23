"""How the programs of a hub are put together, for ``imagehub serve`` and ``imagehub demo``."""

import dataclasses
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType

from imagehub.config import Settings
from imagehub.processes import Family, Program, StartError, answers_http, find_port, is_port_free

Say = Callable[[str], None]


def with_free_s3_port(settings: Settings, say: Say) -> Settings:
    """The settings with a port for the embedded S3 server that is free now."""
    if not settings.uses_embedded_s3:
        return settings
    port = find_port("127.0.0.1", settings.s3_port or 9710)
    if port != settings.s3_port:
        say(f"Port {settings.s3_port} is busy; the embedded S3 server takes {port}.")
    return dataclasses.replace(settings, s3_port=port)


def check_port(host: str, port: int) -> None:
    """:raise StartError: somebody listens there; says what to do."""
    if not is_port_free(host, port):
        raise StartError(
            f"Port {port} on {host} is in use. Stop the program there, or choose another: "
            f"--port {port + 1}"
        )


def make_s3_program(settings: Settings) -> Program:
    """The embedded S3 server on the data folder."""
    return Program(
        "S3 server",
        [
            sys.executable,
            # By its path: as a module it would load all of ImageHub first, 1 second and 85 MB.
            "-P",
            str(Path(__file__).with_name("emulators") / "s3.py"),
            "--root",
            str(settings.data_dir / "objects"),
            "--host",
            "127.0.0.1",
            "--port",
            str(settings.s3_port),
        ],
        settings.to_environment(),
    )


def make_worker_program(settings: Settings) -> Program:
    """A worker on the queue."""
    return Program(
        "worker", [sys.executable, "-m", "imagehub", "worker"], settings.to_environment()
    )


def make_web_program(settings: Settings, host: str, port: int) -> Program:
    """The web server."""
    return Program(
        "web server",
        make_gunicorn_command(settings, host, port),
        settings.to_environment(),
        is_ready=lambda: answers_http(host, port),
    )


def make_gunicorn_command(settings: Settings, host: str, port: int) -> list[str]:
    """gunicorn with a few processes of threads: pages wait for the database and for Graph, and
    threads wait well."""
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return [
        sys.executable,
        "-m",
        "gunicorn",
        "imagehub:create_app()",
        "--bind",
        address,
        "--worker-class",
        "gthread",
        "--workers",
        str(settings.web_workers),
        "--threads",
        str(settings.web_threads),
        "--timeout",
        "120",
        "--graceful-timeout",
        "10",
        "--keep-alive",
        "15",
        "--backlog",
        "512",
        "--worker-tmp-dir",
        "/dev/shm" if os.path.isdir("/dev/shm") else str(settings.data_dir),  # noqa: S108
        "--logger-class",
        "imagehub.logs.GunicornLogger",
        "--log-level",
        "warning",
        "--no-control-socket",
    ]


def stop_on_signals(family: Family) -> None:
    """Ctrl-C and SIGTERM end the whole family; a second Ctrl-C does not interrupt that."""

    def handle(_number: int, _frame: FrameType | None) -> None:
        family.request_stop()

    signal.signal(signal.SIGINT, handle)
    signal.signal(signal.SIGTERM, handle)


def start_hub(family: Family, settings: Settings, host: str, port: int) -> None:
    """Start what a hub needs beside its database: S3 and worker where embedded, then the web."""
    if settings.uses_embedded_s3:
        family.start(make_s3_program(settings))
    if not settings.queue_url:
        family.start(make_worker_program(settings))
    family.start(make_web_program(settings, host, port))


def serve(settings: Settings, host: str, port: int, say: Say) -> None:
    """The whole hub until Ctrl-C.

    :raise StartError: a part does not start, or keeps ending.
    """
    check_port(host, port)
    settings = with_free_s3_port(settings, say)
    with Family(say) as family:
        stop_on_signals(family)
        start_hub(family, settings, host, port)
        say(f"ready: http://{'127.0.0.1' if host in ('0.0.0.0', '::') else host}:{port}")  # noqa: S104
        family.watch()
