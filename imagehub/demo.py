"""The demo: a whole hub with a drive of its own, on this machine alone.

Everything is real but the drive: the pictures lie in a local folder that the OneDrive emulator
serves, and come in by sign-in, Graph, queue and renditions like anybody's.
"""

import hashlib
import os
import secrets
import shutil
import signal
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from flask import Flask
from sqlalchemy import func, select

from imagehub import create_app
from imagehub.cli import migrate_database
from imagehub.config import Settings, keep_secret, load_settings
from imagehub.database import db
from imagehub.domain import accounts, connection
from imagehub.models import Group, Image, User
from imagehub.processes import Family, Program, StartError, find_port
from imagehub.serve import (
    make_s3_program,
    make_web_program,
    make_worker_program,
    stop_on_signals,
    with_free_s3_port,
)
from imagehub.wiring import get_clients

Say = Callable[[str], None]

ADMIN_NAME = "admin"
CLIENT_ID = "3f6e4ad2-0000-4000-8000-64656d6f0001"
EMULATOR_PORT = 9400


def run_demo(
    *,
    photos: Path | None,
    host: str,
    port: int,
    data: Path | None,
    ephemeral: bool,
    works: int,
    say: Say,
) -> None:
    """Run the demo until Ctrl-C.

    :param photos: a folder to serve as the drive; None draws sample pictures.
    :param data: where the demo keeps its things; None: ``demo…`` in the data folder.
    :raise StartError: a part does not start; the sentence says which and why.
    """
    began = time.monotonic()
    folder = _choose_folder(photos, data, ephemeral)
    try:
        with Family(say) as family:
            stop_on_signals(family)
            _run(family, folder, photos, host, port, works, say, began)
    finally:
        if ephemeral:
            shutil.rmtree(folder, ignore_errors=True)
    say("Stopped.")


def _choose_folder(photos: Path | None, data: Path | None, ephemeral: bool) -> Path:
    if ephemeral:
        return Path(tempfile.mkdtemp(prefix="imagehub-demo-"))
    if data is None:
        base = Path(os.environ.get("IMAGEHUB_DATA_DIR", "instance"))
        mark = hashlib.sha256(str(photos.resolve()).encode()).hexdigest()[:8] if photos else ""
        data = base / (f"demo-{mark}" if photos else "demo")
    data = data.resolve()
    data.mkdir(parents=True, exist_ok=True)
    return data


def _run(
    family: Family,
    folder: Path,
    photos: Path | None,
    host: str,
    port: int,
    works: int,
    say: Say,
    began: float,
) -> None:
    drive_folder = photos.resolve() if photos else folder / "OneDrive"
    free_port = find_port(host, port)
    if free_port != port:
        say(f"Port {port} is busy; the hub takes {free_port}.")
        port = free_port

    if photos:
        say(f"1/5  The drive is {drive_folder}.")
        say("     Uploads, renames and deletes in the admin pages change that folder.")
    else:
        say(f"1/5  Drawing sample pictures into {drive_folder}")
        _draw_samples(drive_folder, works, say)

    say("2/5  Starting the OneDrive emulator and the S3 server")
    emulator_url = family.start(
        Program(
            "OneDrive emulator",
            [
                sys.executable,
                "-m",
                "imagehub.emulators.onedrive",
                "--root",
                str(drive_folder),
                "--port",
                str(find_port("127.0.0.1", EMULATOR_PORT)),
                "--state",
                str(folder / "onedrive-state"),
                "--auto-consent",
            ],
        )
    )
    settings = with_free_s3_port(_make_settings(folder, emulator_url, host, port), say)
    family.start(make_s3_program(settings))

    say("3/5  Preparing the database and the admin")
    app = create_app(settings)
    migrate_database(app)
    with app.app_context():
        password = _prepare_admin(folder)
        say("4/5  Starting the worker and the web server")
        family.start(make_worker_program(settings))
        family.start(make_web_program(settings, host, port))
        address = f"http://{'127.0.0.1' if host in ('0.0.0.0', '::') else host}:{port}"  # noqa: S104
        say("5/5  Connecting the drive and importing its pictures")
        _connect(app, f"{address}/admin/onedrive/callback")
        _import(app, photos is None, say)
        facts = _describe_library()
        db.session.remove()
        db.engine.dispose()

    _wait_until_it_answers(address)
    say("")
    say(f"  {facts}, {time.monotonic() - began:.0f} seconds after the start.")
    say(f"  Gallery   {address}/")
    say(f"  Admin     {address}/admin/")
    say(f"  Name      {ADMIN_NAME}")
    say(f"  Password  {password}")
    say("  Ctrl-C stops everything.")
    say("")
    say(f"ready: {address}")
    family.watch()


def _make_settings(folder: Path, emulator_url: str, host: str, port: int) -> Settings:
    """The demo's settings: its own folder and drive, whatever else the environment says."""
    environment = {
        "IMAGEHUB_DATA_DIR": str(folder),
        "IMAGEHUB_GRAPH_BASE_URL": f"{emulator_url}/v1.0",
        "IMAGEHUB_LOGIN_BASE_URL": emulator_url,
        "IMAGEHUB_MS_CLIENT_ID": CLIENT_ID,
        "IMAGEHUB_TITLE": os.environ.get("IMAGEHUB_TITLE", "Atelier Nordlicht"),
        "IMAGEHUB_TAGLINE": os.environ.get(
            "IMAGEHUB_TAGLINE",
            "Paintings, prints and paper works, drawn by a machine for this demo",
        ),
    }
    kept = (
        "ACCENT",
        "GROUND",
        "LANGUAGE",
        "CORS_ORIGINS",
        "S3_PORT",
        "WORKER_PROCESSES",
        "WEB_WORKERS",
        "WEB_THREADS",
        "AVIF",
        "DOWNLOADS",
        "ZIP_DOWNLOADS",
        "PUBLIC_URL",
    )
    for name in kept:
        if f"IMAGEHUB_{name}" in os.environ:
            environment[f"IMAGEHUB_{name}"] = os.environ[f"IMAGEHUB_{name}"]
    # A demo takes nothing else from outside: a real hub's database must not get sample pictures.
    for name in list(os.environ):
        if name.startswith("IMAGEHUB_") and not name.startswith("IMAGEHUB_DEMO"):
            del os.environ[name]
    return load_settings(environment, None)


def _draw_samples(folder: Path, works: int, say: Say) -> None:
    """Have the sample pictures drawn by their own program, and pass on its progress."""
    import subprocess

    command = [
        sys.executable,
        "-m",
        "imagehub.emulators.samples",
        "--out",
        str(folder),
        "--works",
        str(works),
    ]
    process = subprocess.Popen(  # noqa: S603 (our own command)
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    )
    assert process.stdout is not None
    is_terminal = sys.stdout.isatty()
    tail: list[str] = []
    for raw in process.stdout:
        line = raw.rstrip()
        tail = [*tail[-10:], line]
        if line.startswith("["):
            if is_terminal:
                print(f"\r     {line[:70]:<70}", end="", flush=True)
            else:
                say(f"     {line}")
    if is_terminal:
        print(f"\r{'':<76}\r", end="", flush=True)
    if process.wait() != 0:
        if process.returncode in (-signal.SIGINT, -signal.SIGTERM):
            raise StartError("Stopped.")
        raise StartError("The sample pictures could not be drawn:\n" + "\n".join(tail))


def _prepare_admin(folder: Path) -> str:
    """The admin of the demo; the password is made once, or set by IMAGEHUB_DEMO_PASSWORD."""
    session = db.session()
    wanted = os.environ.get("IMAGEHUB_DEMO_PASSWORD", "")
    password = wanted or keep_secret(folder, "demo_password", lambda: secrets.token_urlsafe(9))
    user = accounts.find_user(session, ADMIN_NAME)
    if user is None:
        accounts.create_admin(session, ADMIN_NAME, password)
    elif not accounts.check_password(user, password):
        accounts.change_password(session, user, password)
    session.commit()
    return password


class _StayHere(urllib.request.HTTPRedirectHandler):
    """Shows where a redirect goes instead of going there."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


def _connect(app: Flask, redirect_uri: str) -> None:
    """Sign in at the emulator as a person with a browser would, unless it is connected already."""
    session = db.session()
    clients = get_clients(app)
    if connection.is_connected(session, clients):
        return
    user = session.scalars(select(User).order_by(User.id).limit(1)).one()
    user_id = user.id
    url = connection.start_connection(session, clients, user_id, redirect_uri)
    session.commit()
    opener = urllib.request.build_opener(_StayHere)
    try:
        with opener.open(url, timeout=10) as answer:
            location = answer.headers.get("Location", "")
    except urllib.error.HTTPError as error:
        location = error.headers.get("Location", "")
    query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(location).query))
    connection.finish_connection(session, clients, user_id, query)
    session.commit()


def _import(app: Flask, has_samples: bool, say: Say) -> None:
    from imagehub.bulk_import import import_folders

    result = import_folders(app, "", say=lambda text: say(f"     {text}"), show_progress=True)
    say(f"     {result.sentence}")
    for failure in result.failed[:10]:
        say(f"     {failure.file_name}: {failure.reason}")


def _describe_library() -> str:
    session = db.session()
    groups = session.scalar(select(func.count()).select_from(Group).where(Group.image_count > 0))
    images = session.scalar(select(func.count()).select_from(Image))
    return f"{images} pictures in {groups} groups"


def _wait_until_it_answers(address: str) -> None:
    """:raise StartError: the front page does not come."""
    last = ""
    for _ in range(100):
        try:
            with urllib.request.urlopen(address + "/", timeout=10) as answer:  # noqa: S310 (http)
                if answer.status == 200:
                    return
        except (urllib.error.URLError, OSError) as error:
            last = str(error)
        time.sleep(0.1)
    raise StartError(f"The web server does not show the gallery: {last}")
