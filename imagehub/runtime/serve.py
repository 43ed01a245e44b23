"""How the programs of a hub are put together, for ``imagehub serve`` and ``imagehub demo``."""

import ipaddress
import os
import sys
from collections.abc import Callable
from pathlib import Path

from imagehub.config import Settings
from imagehub.runtime.supervisor import (
    Family,
    Program,
    StartError,
    is_port_free,
    is_web_ready,
    make_url,
)

Say = Callable[[str], None]


def check_port(host: str, port: int) -> None:
    """:raise StartError: somebody listens there; says what to do."""
    if not is_port_free(host, port):
        other = port + 1 if port < 65535 else 8000
        raise StartError(
            f"Port {port} on {host} is in use. Stop the program there, or choose another: "
            f"--port {other}"
        )


def check_s3_port(settings: Settings, host: str) -> None:
    """The embedded S3 server takes no other port by itself: commands beside the hub, and the
    proxy in front of it, look for it where the settings say.

    :raise StartError: somebody listens there; says what to do.
    """
    if settings.uses_embedded_s3 and not is_port_free(choose_s3_host(host), settings.s3_port):
        raise StartError(
            f"Port {settings.s3_port} is in use, and the embedded S3 server needs it. Stop the "
            "program there (another hub?), or set IMAGEHUB_S3_PORT to another one."
        )


def choose_s3_host(host: str) -> str:
    """Where the embedded S3 server listens: to this machine alone, as long as the hub does so too.

    Every request to it needs a signature, so it may be seen as far as the hub itself.
    """
    try:
        is_local = ipaddress.ip_address(host).is_loopback
    except ValueError:
        is_local = host == "localhost"
    return "127.0.0.1" if is_local else "0.0.0.0"  # noqa: S104 (only where the hub does)


def make_s3_program(settings: Settings, host: str = "127.0.0.1") -> Program:
    """The embedded S3 server on the data folder, for a hub that listens at ``host``."""
    return Program(
        "S3 server",
        [
            sys.executable,
            # By its path: as a module it would load all of ImageHub first, 1 second and 85 MB.
            "-P",
            str(Path(__file__).with_name("s3_server.py")),
            "--root",
            str(settings.data_dir / "objects"),
            "--host",
            choose_s3_host(host),
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
        is_ready=lambda: is_web_ready(host, port),
        start_seconds=180,
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


def start_hub(family: Family, settings: Settings, host: str, port: int) -> None:
    """Start what a hub needs beside its database, side by side: S3 and worker where embedded, and
    the web server."""
    members = []
    if settings.uses_embedded_s3:
        members.append(family.launch(make_s3_program(settings, host)))
    if not settings.queue_url:
        members.append(family.launch(make_worker_program(settings)))
    members.append(family.launch(make_web_program(settings, host, port)))
    for member in members:
        family.wait_until_ready(member)


def serve(settings: Settings, host: str, port: int, say: Say) -> None:
    """The whole hub until Ctrl-C.

    :raise StartError: a part does not start, or keeps ending.
    """
    check_port(host, port)
    check_s3_port(settings, host)
    with Family(say) as family:
        family.stop_on_signals()
        start_hub(family, settings, host, port)
        say(f"ready: {make_url(host, port)}")
        family.watch()
    say("Stopped.")
