"""The demo: a complete hub on this machine, with an emulated OneDrive.

Only the drive is emulated: the OneDrive emulator serves a local folder. The pictures are imported
through sign-in, Graph, queue and renditions as in any other hub. This is the only module of the
hub that knows the emulators; it runs them as separate programs.
"""

import hashlib
import json
import os
import secrets
import shutil
import signal
import socket
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

from sqlalchemy import select

from imagehub import create_app
from imagehub.config import SETTING_NAMES, Settings, load_settings
from imagehub.config_secrets import keep_secret
from imagehub.database import db
from imagehub.domain.library import edit as library_edit
from imagehub.domain.library import images as library_images
from imagehub.domain.library import series_edit
from imagehub.domain.library.edit import Edit
from imagehub.domain.onedrive import sign_in
from imagehub.domain.onedrive import status as onedrive_status
from imagehub.domain.people import passwords, users
from imagehub.domain.site import settings as site_settings
from imagehub.errors import InvalidInputError
from imagehub.models import Group, GroupTag, Image, Series, Tag, User
from imagehub.runtime.demo_enquiries import add_enquiries
from imagehub.runtime.demo_numbers import add_numbers
from imagehub.runtime.demo_pages import add_pages
from imagehub.runtime.demo_translations import (
    LANGUAGES,
    SITE_TEXTS,
    add_translations,
)
from imagehub.runtime.folder_import import import_folders
from imagehub.runtime.private_files import close_data_dir
from imagehub.runtime.serve import (
    choose_s3_host,
    make_s3_program,
    make_web_program,
    make_worker_program,
    migrate_database,
)
from imagehub.runtime.supervisor import (
    Program,
    StartError,
    Supervisor,
    find_port,
    is_port_free,
    make_url,
    spawn,
)
from imagehub.wiring import get_clients, get_given_settings, get_settings

Say = Callable[[str], None]

ADMIN_NAME = "admin"
S3_TRIES = 5
CLIENT_ID = "3f6e4ad2-0000-4000-8000-64656d6f0001"
# Title, text and alt texts of the sample works, in the demo's folder.
RECORDS = "records.json"
EMULATORS = Path(__file__).parent.with_name("emulators")
# Settings that the demo takes from the environment. All others belong to a real hub, whose database
# must not get sample pictures.
KEPT_SETTINGS = (
    "TITLE", "TAGLINE", "ACCENT", "GROUND", "LANGUAGE", "CORS_ORIGINS", "S3_PORT", "AVIF",
    "WORKER_PROCESSES", "WEB_WORKERS", "WEB_THREADS", "DOWNLOADS", "ZIP_DOWNLOADS", "FEEDS",
)  # fmt: skip


@dataclass(frozen=True)
class DemoOptions:
    """The options of ``imagehub demo``.

    ``photos``: a folder to serve as the drive; None draws ``works`` sample works, small ones if
    ``quick``. ``data``: the folder for the demo's own files; None: ``demo…`` in the data folder.
    ``ephemeral``: use a temporary folder instead and remove it at the end.
    """

    host: str
    port: int
    photos: Path | None
    data: Path | None
    ephemeral: bool
    works: int
    quick: bool


def run_demo(options: DemoOptions, say: Say) -> None:
    """Run the demo until Ctrl-C.

    :raise StartError: a program does not start; the message says which and why.
    """
    started = time.monotonic()
    supervisor = Supervisor(say)
    supervisor.stop_on_signals()
    folder: Path | None = None
    try:
        with supervisor:
            folder = _choose_folder(options)
            _run(supervisor, folder, options, say, started)
    finally:
        if options.ephemeral and folder is not None:
            shutil.rmtree(folder, ignore_errors=True)
    say("Stopped.")


def _choose_folder(options: DemoOptions) -> Path:
    """Return the demo's data folder, which is created if missing."""
    if options.ephemeral:
        return Path(tempfile.mkdtemp(prefix="imagehub-demo-"))
    data, photos = options.data, options.photos
    if data is None:
        base = Path(os.environ.get("IMAGEHUB_DATA_DIR") or "instance")
        mark = hashlib.sha256(str(photos.resolve()).encode()).hexdigest()[:8] if photos else ""
        data = base / (f"demo-{mark}" if photos else "demo")
    data = data.expanduser().resolve()
    if photos and data.is_relative_to(photos.resolve()):
        raise StartError("The demo's own folder (--data) must not be inside the photos folder.")
    try:
        data.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise StartError(f"The folder {data} cannot be created ({error.strerror}).") from None
    close_data_dir(data)
    return data


def _run(
    supervisor: Supervisor, folder: Path, options: DemoOptions, say: Say, started: float
) -> None:
    photos, host = options.photos, options.host
    drive_folder = photos.resolve() if photos else folder / "OneDrive"
    drive_folder.mkdir(parents=True, exist_ok=True)
    port = _find_free_port("hub", host, options.port, say)
    emulator_port = find_port("127.0.0.1", _pick_port())
    settings = _make_settings(folder, f"http://127.0.0.1:{emulator_port}")
    wanted = os.environ.get("IMAGEHUB_DEMO_PASSWORD", "")
    if wanted:
        try:
            passwords.check_new_password(wanted, ADMIN_NAME, settings.title)
        except InvalidInputError as error:
            raise StartError(f"IMAGEHUB_DEMO_PASSWORD: {error}") from None

    if photos:
        say(f"1/5  The drive is {drive_folder}.")
        say("     Uploads, renames and deletions in the admin pages change this folder.")
    else:
        say(f"1/5  Drawing sample pictures into {drive_folder}")
        _draw_samples(drive_folder, folder / RECORDS, options, say)

    say("2/5  Starting the OneDrive emulator and the S3 server")
    arguments = ["--root", str(drive_folder), "--port", str(emulator_port)]
    arguments += ["--state", str(folder / "onedrive-state"), "--auto-consent"]
    emulator = supervisor.launch(Program("OneDrive emulator", make_emulator_command(arguments)))
    settings = start_s3(supervisor, settings, host, say)
    say("3/5  Preparing the database and the admin")
    app = create_app(settings)
    migrate_database(app)
    with app.app_context():
        password = _prepare_admin(folder)
        say("4/5  Starting the worker and the web server")
        worker = supervisor.launch(make_worker_program(settings))
        web = supervisor.launch(make_web_program(settings, host, port))
        supervisor.wait_until_ready(emulator)
        supervisor.wait_until_ready(worker)
        address = make_url(host, port)
        say("5/5  Connecting the drive and importing its pictures")
        _connect(f"{address}/admin/onedrive/callback")
        _import(say)
        if not photos:
            _label_works(folder / RECORDS)
            add_enquiries(db.session(), get_given_settings())
            add_pages(db.session(), settings.title)
            site_settings.save_site(
                db.session(),
                get_given_settings(),
                {
                    "text_languages": LANGUAGES,
                    "site_texts": SITE_TEXTS,
                    "creator": "Ida Sommerfeld",
                    "copyright_notice": "Public domain (CC0)",
                    "license_url": "https://creativecommons.org/publicdomain/zero/1.0/",
                    "license_page_url": f"{address}/contact",
                },
            )
            db.session.commit()
            _make_series()
            add_translations(db.session())
            db.session.commit()
            add_numbers(db.session())
        groups = db.session.query(Group).where(Group.image_count > 0).count()
        images = db.session.query(Image).count()
        db.session.remove()
        db.engine.dispose()
    supervisor.wait_until_ready(web)
    _check_front_page(address)

    say("")
    seconds = time.monotonic() - started
    say(f"  {images} pictures in {groups} groups, {seconds:.0f} seconds after the start.")
    say(f"  Gallery   {address}/")
    say(f"  Admin     {address}/admin/")
    say(f"  Name      {ADMIN_NAME}")
    say(f"  Password  {password}")
    say("  Ctrl-C stops everything.")
    say("")
    say(f"ready: {address}")
    supervisor.watch()


def start_s3(supervisor: Supervisor, settings: Settings, host: str, say: Say) -> Settings:
    """Start the S3 server on the configured port or the next free one; wait for it.

    Tries the next port if another program takes one between the check and the start.

    :param host: where the hub listens.
    :return: the settings with the port that is used.
    :raise StartError: it does not start, or lost its port ``S3_TRIES`` times.
    """
    s3_host = choose_s3_host(host)
    for tries_left in reversed(range(S3_TRIES)):
        port = _find_free_port("S3 server", s3_host, settings.s3_port, say)
        settings = replace(settings, s3_port=port)
        child = supervisor.launch(make_s3_program(settings, host))
        try:
            supervisor.wait_until_ready(child)
            break
        except StartError:
            if not tries_left or not supervisor.forget(child) or is_port_free(s3_host, port):
                raise
    return settings


def _find_free_port(what: str, host: str, wanted: int, say: Say) -> int:
    port = find_port(host, wanted)
    if port != wanted:
        say(f"Port {wanted} is in use; the {what} uses {port}.")
    return port


def _pick_port() -> int:
    """Return a free port for the emulator, which keeps it across restarts."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def make_emulator_command(arguments: Sequence[str]) -> list[str]:
    """Return the command line of the OneDrive emulator.

    It is run by path: with -m it would import all of ImageHub first.
    """
    return [sys.executable, "-P", str(EMULATORS / "onedrive"), *arguments]


def _make_settings(folder: Path, emulator_url: str) -> Settings:
    """Return the demo's settings: its own folder and drive, and ``KEPT_SETTINGS``."""
    environment = {
        "IMAGEHUB_TITLE": "Atelier Nordlicht",
        "IMAGEHUB_TAGLINE": "Paintings, prints and paper works, drawn by a machine for this demo",
    }
    kept = {f"IMAGEHUB_{name}": os.environ.get(f"IMAGEHUB_{name}") for name in KEPT_SETTINGS}
    environment |= {name: text for name, text in kept.items() if text}
    environment |= {
        "IMAGEHUB_DATA_DIR": str(folder),
        "IMAGEHUB_GRAPH_BASE_URL": f"{emulator_url}/v1.0",
        "IMAGEHUB_LOGIN_BASE_URL": emulator_url,
        "IMAGEHUB_MS_CLIENT_ID": CLIENT_ID,
    }
    assert set(environment) <= set(SETTING_NAMES)
    # None: the demo's programs must not read the `.env` file of a real hub.
    return load_settings(environment, None)


def _draw_samples(folder: Path, records: Path, options: DemoOptions, say: Say) -> None:
    """Draw the sample pictures in a separate program and show its progress."""
    command = [sys.executable, "-m", "imagehub.emulators.samples", "--out", str(folder)]
    command += ["--records", str(records)]
    command += ["--works", str(options.works)]
    command += ["--quick"] if options.quick else ["--large", "--film"]
    is_terminal = sys.stdout.isatty()
    tail: deque[str] = deque(maxlen=11)
    with spawn(command, {}) as process:
        assert process.stdout is not None
        try:
            for raw in process.stdout:
                line = raw.rstrip()
                tail.append(line)
                if line.startswith("[") and is_terminal:
                    print(f"\r     {line[:70]:<70}", end="", flush=True)
                elif line.startswith("["):
                    say(f"     {line}")
            process.wait()
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)
            if is_terminal:
                print(f"\r{'':<76}\r", end="", flush=True)
    if process.returncode:
        raise StartError("The sample pictures could not be drawn:\n" + "\n".join(tail))


def _prepare_admin(folder: Path) -> str:
    """Create the admin of the demo and return the password.

    It is IMAGEHUB_DEMO_PASSWORD, or generated at the first start and kept.
    """
    session = db.session()
    wanted = os.environ.get("IMAGEHUB_DEMO_PASSWORD", "")
    password = wanted or keep_secret(folder, "demo_password", lambda: secrets.token_urlsafe(9))
    user = users.find_user(session, ADMIN_NAME)
    if user is None:
        users.create_admin(session, ADMIN_NAME, password, get_settings().title)
        # The demo shows deep zoom wherever a work is large enough, works on other sites, numbers.
        shown = {"tiles": "on", "embed_sites": "*", "numbers": "on"}
        site_settings.save_site(session, get_given_settings(), shown)
    elif not users.check_password(user, password):
        users.change_password(session, user, password, get_settings().title)
    session.commit()
    return password


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


def _connect(redirect_uri: str) -> None:
    """Sign in at the emulator as a browser would, unless already connected."""
    session = db.session()
    clients = get_clients()
    if onedrive_status.is_connected(session, clients):
        return
    user_id = session.scalars(select(User.id).order_by(User.id).limit(1)).one()
    url = sign_in.start_connection(session, clients, user_id, redirect_uri)
    session.commit()
    opener = urllib.request.build_opener(_NoRedirect)
    try:
        with opener.open(url, timeout=10) as answer:
            location = answer.headers.get("Location", "")
    except urllib.error.HTTPError as error:
        location = error.headers.get("Location", "")
    query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(location).query))
    sign_in.finish_connection(session, clients, user_id, query)
    session.commit()


def _import(say: Say) -> None:
    result = import_folders("", say=lambda text: say(f"     {text}"))
    say(f"     {result.sentence}")
    for failure in result.failed[:10]:
        say(f"     {failure.file_name}: {failure.reason}")


def _label_works(records: Path) -> None:
    """Fill in title, text and alt texts of the sample works, but keep manual edits."""
    session = db.session()
    for record in json.loads(records.read_text(encoding="utf-8")):
        alts = record.pop("alts")
        groups = session.scalars(
            select(Group).where(Group.folder_name == record["title"], Group.version == 1)
        )
        for group in groups.all():
            for image in library_images.list_images(session, group.id):
                if alts.get(image.name) and not image.alt:
                    edit = Edit(group.version, {"alt": alts[image.name]}, {})
                    library_edit.save_image(session, group.id, image.number, edit)
            library_edit.save_group(session, group.id, Edit(group.version, record, {}))
    session.commit()


# Title, dates, place, text, the series that it is a part of, and the tags of its works.
_SERIES = (
    (
        "What the light left",
        "",
        "Kunsthalle am Fluss, Bremen",
        "Paintings and photographs of the hour after the sun has gone, hung in one long room whose "
        "only window faces north.\n\nThe show was built around a single decision: no lamps. "
        "Visitors came earlier every week.",
        "",
        ("colour", "mountains", "sea"),
    ),
    (
        "Paper years",
        "2019–2024",
        "",
        "Five years of work on paper, made at a kitchen table.",
        "",
        (),
    ),
    ("Prints", "", "", "Blocks, plates and stones.", "Paper years", ("print",)),
    ("Textiles", "", "", "", "Paper years", ("textile",)),
    (
        "Small things, seen slowly",
        "Ongoing",
        "",
        "Plants, bowls, stones: what fits in two hands.",
        "",
        ("still life", "plants", "object"),
    ),
)
# The exhibition has days in place of a text.
_SERIES_DAYS = {"What the light left": (date(2026, 3, 12), date(2026, 4, 30))}
_MAX_IN_SERIES = 14


def _make_series() -> None:
    """Make the sample series of the works with some tags, unless there are any series."""
    session = db.session()
    if session.scalar(select(Series.id).limit(1)) is not None:
        return
    made: dict[str, int] = {}
    for title, dates, place, text, parent, tag_names in _SERIES:
        tagged = select(GroupTag.group_id).join(Tag).where(Tag.name.in_(tag_names))
        works = select(Group.id).where(Group.id.in_(tagged)).order_by(Group.sort_key.desc())
        ids = session.scalars(works.limit(_MAX_IN_SERIES)).all()
        series = series_edit.create_series(session, title, ids, made.get(parent))
        series.dates, series.place, series.text = dates, place, text
        series.first_day, series.last_day = _SERIES_DAYS.get(title, (None, None))
        series.state = "published"
        made[title] = series.id
    session.commit()


def _check_front_page(address: str) -> None:
    """:raise StartError: the gallery's front page cannot be loaded."""
    try:
        urllib.request.urlopen(address + "/", timeout=60).close()  # noqa: S310 - http, our own
    except OSError as error:
        raise StartError(f"The front page of the gallery cannot be loaded: {error}") from None
