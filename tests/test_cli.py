"""The commands for accounts, keys, settings and stores."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from cryptography.fernet import Fernet
from sqlalchemy import create_engine, select, text
from sqlalchemy.orm import Session

from imagehub.cli import main
from imagehub.config import SETTING_NAMES, Settings, load_settings
from imagehub.database import now_utc
from imagehub.domain.onedrive import uploads
from imagehub.domain.people import api_tokens, audit, second_factor, sessions
from imagehub.domain.sync import schedule
from imagehub.models import (
    ApiToken,
    HubSetting,
    Image,
    RecoveryCode,
    SecondFactor,
    SignInSession,
    User,
)
from tests.fixtures.connection import DriveHub
from tests.fixtures.importing import ImportHub, make_jpeg
from tests.fixtures.legacy import FirstVersion, make_picture
from tests.fixtures.programs import Command, run_command, wait_until
from tests.fixtures.s3 import S3Server
from tests.support import get_free_port

PASSWORD = "correct horse battery"
# Where a hub is, as environment variables; and how a command runs there.
Run = Callable[..., Result]


@pytest.fixture(autouse=True)
def _no_other_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith("IMAGEHUB_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="session")
def migrated_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder whose tables the command `migrate` has made."""
    folder = tmp_path_factory.mktemp("migrated")
    result = run_command(folder, "migrate")
    assert result.returncode == 0, result.stderr
    assert result.stdout == "The database is up to date.\n"
    return folder / "instance"


@pytest.fixture
def run(migrated_folder: Path, tmp_path: Path) -> Run:
    """Runs a command in this process, on a migrated database of its own."""
    shutil.copytree(migrated_folder, tmp_path / "data")

    def run_here(*arguments: str, text: str = "", **environment: str) -> Result:
        variables = {"IMAGEHUB_DATA_DIR": str(tmp_path / "data"), **environment}
        return CliRunner().invoke(main, list(arguments), input=text, env=variables)

    return run_here


def test_the_version_is_that_of_the_package(tmp_path: Path) -> None:
    result = run_command(tmp_path, "--version")
    assert result.returncode == 0
    assert result.stdout == f"imagehub {version('imagehub')}\n"


def count_users(tmp_path: Path) -> int:
    engine = create_engine(f"sqlite:///{tmp_path}/data/imagehub.db")
    with engine.connect() as database:
        count = int(database.execute(text('SELECT count(*) FROM "user"')).scalar() or 0)
    engine.dispose()
    return count


# --- People ---------------------------------------------------------------------------------------


def test_an_admin_is_made_once(run: Run, tmp_path: Path) -> None:
    made = run("create-admin", "Ada", "--password-stdin", text=f"{PASSWORD}\n")
    assert (made.exit_code, made.output) == (0, "Ada can sign in now.\n")
    again = run("create-admin", "ada", "--password-stdin", text=f"{PASSWORD}\n")
    assert again.exit_code == 1
    assert "This name is taken." in again.output
    assert count_users(tmp_path) == 1


@pytest.mark.parametrize("password", ["", "\n", "short\n", "x" * 2000 + "\n"])
def test_weak_and_endless_passwords_are_refused_in_words(
    run: Run, tmp_path: Path, password: str
) -> None:
    result = run("create-admin", "Ada", "--password-stdin", text=password)
    assert result.exit_code == 1
    assert result.output.startswith("Error: A password ")
    assert "Traceback" not in result.output
    assert count_users(tmp_path) == 0


def test_an_empty_name_is_refused(run: Run) -> None:
    result = run("create-admin", "  ", "--password-stdin", text=PASSWORD)
    assert (result.exit_code, "Enter a name." in result.output) == (1, True)


def test_without_a_terminal_there_is_nobody_to_ask(run: Run) -> None:
    result = run("create-admin", "Ada")
    assert result.exit_code == 1
    assert "--password-stdin" in result.output


def test_a_forgotten_password_is_replaced(run: Run) -> None:
    run("create-admin", "Ada", "--password-stdin", text=PASSWORD)
    changed = run("set-password", "Ada", "--password-stdin", text="another long password")
    assert (changed.exit_code, changed.output) == (0, "Ada has a new password.\n")
    weak = run("set-password", "Ada", "--password-stdin", text="short")
    assert (weak.exit_code, "A password must have" in weak.output) == (1, True)
    nobody = run("set-password", "Bob", "--password-stdin", text=PASSWORD)
    assert (nobody.exit_code, "There is no admin called Bob." in nobody.output) == (1, True)


@pytest.mark.parametrize(
    ("password", "fault"),
    [
        ("iloveyou1", "one of the most common ones"),
        ("Ada Lovelace!", "little more than the account’s name"),
        ("nordlicht2026", "little more than the title of this site"),
    ],
)
def test_passwords_that_are_guessed_first_are_refused(
    run: Run, tmp_path: Path, password: str, fault: str
) -> None:
    """The title may be set by the environment or in the admin pages."""
    run("create-admin", "Ada Lovelace", "--password-stdin", text=PASSWORD)
    engine = create_engine(f"sqlite:///{tmp_path}/data/imagehub.db")
    with Session(engine) as session:
        session.add(HubSetting(name="title", value='"Atelier Nordlicht"'))
        session.commit()
    engine.dispose()
    made = run("create-admin", "Lovelace, Ada", "--password-stdin", text=password)
    changed = run("set-password", "Ada Lovelace", "--password-stdin", text=password)
    for result in (made, changed):
        assert result.exit_code == 1
        assert fault in result.output
    assert count_users(tmp_path) == 1


def test_an_account_is_disabled_and_enabled_by_command(run: Run, tmp_path: Path) -> None:
    run("create-admin", "Ada", "--password-stdin", text=PASSWORD)
    only = run("disable-admin", "Ada")
    assert (only.exit_code, "only account that can sign in" in only.output) == (1, True)
    run("create-admin", "Grace", "--password-stdin", text=PASSWORD)
    engine = create_engine(f"sqlite:///{tmp_path}/data/imagehub.db")
    with Session(engine) as session:
        user = session.query(User).filter_by(name="Ada").one()
        api_tokens.create_token(session, user, "Backup", "write", None)
        sessions.open_session(session, user, "192.0.2.1", "", True)
        session.commit()

    disabled = run("disable-admin", "ADA")
    assert (disabled.exit_code, disabled.output) == (0, "Ada cannot sign in any more.\n")
    assert run("disable-admin", "Ada").output == "Ada is disabled already.\n"
    with Session(engine) as session:
        assert session.query(User).filter_by(name="Ada").one().disabled_at is not None
        for model in (ApiToken, SignInSession):
            assert session.query(model).count() == 0
    changed = run("set-password", "Ada", "--password-stdin", text="another long password")
    assert "The account is still disabled" in changed.output

    enabled = run("enable-admin", "Ada")
    assert (enabled.exit_code, enabled.output) == (0, "Ada can sign in again.\n")
    assert run("enable-admin", "Ada").output == "Ada is not disabled.\n"
    assert run("disable-admin", "Bob").exit_code == run("enable-admin", "Bob").exit_code == 1
    with Session(engine) as session:
        assert session.query(User).filter_by(name="Ada").one().disabled_at is None
        log = [(one.action, one.subject) for one in audit.list_entries(session).entries]
    assert log[0] == ("enable_account", "Ada")
    assert log[2] == ("disable_account", "Ada")
    assert len(log) == 5, "what changed nothing is not logged"
    engine.dispose()


def test_a_lost_second_step_is_switched_off_by_command(run: Run, tmp_path: Path) -> None:
    run("create-admin", "Ada", "--password-stdin", text=PASSWORD)
    engine = create_engine(f"sqlite:///{tmp_path}/data/imagehub.db")
    with Session(engine) as session:
        user = session.query(User).one()
        now = now_utc()
        session.add(SecondFactor(user_id=user.id, secret=b"sealed", confirmed_at=now))
        second_factor.make_recovery_codes(session, user)
        api_tokens.create_token(session, user, "Backup", "write", None)
        sessions.open_session(session, user, "192.0.2.1", "", True)
        session.commit()

    kept = run("set-password", "Ada", "--password-stdin", text="another long password")
    assert "Two-factor authentication is still on" in kept.output
    with Session(engine) as session:
        assert second_factor.is_on(session, session.query(User).one().id)
        for model in (ApiToken, SignInSession):
            assert session.query(model).count() == 0

    command = ["set-password", "Ada", "--password-stdin", "--reset-second-factor"]
    reset = run(*command, text="a third long password")
    assert reset.output == "Ada has a new password.\nTwo-factor authentication is off.\n"
    with Session(engine) as session:
        for model in (SecondFactor, RecoveryCode):
            assert session.query(model).count() == 0
        last, _, _, first = audit.list_entries(session).entries
        assert (last.action, last.subject) == ("reset_two_factor", "Ada")
        assert (first.action, first.subject) == ("create_account", "Ada")
    engine.dispose()


# --- Settings and keys ----------------------------------------------------------------------------


def test_settings_prints_every_setting_and_masks_the_secrets(run: Run, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/geheim1.db"
    result = run(
        "settings",
        IMAGEHUB_DATABASE_URL=url,
        IMAGEHUB_MS_CLIENT_SECRET="geheim2",
        IMAGEHUB_SECRET_KEY="geheim3" * 9,
        IMAGEHUB_TITLE="Ännchens Haus",
    )
    assert result.exit_code == 0
    for name in SETTING_NAMES:
        assert f"\n{name} = " in f"\n{result.output}"
    assert "IMAGEHUB_TITLE = Ännchens Haus" in result.output
    assert "IMAGEHUB_MS_CLIENT_SECRET = (set)" in result.output
    assert "IMAGEHUB_QUEUE_URL = (not set)" in result.output
    assert "IMAGEHUB_PRESIGN_WINDOW_SECONDS = 86400 seconds" in result.output
    assert "geheim" not in result.output


def test_faults_of_the_settings_come_as_one_message(run: Run) -> None:
    result = run("settings", IMAGEHUB_ACCENT="red", IMAGEHUB_WEB_WORKERS="0")
    assert result.exit_code == 1
    assert "IMAGEHUB_ACCENT: must be a colour like #a1b2c3" in result.output
    assert "IMAGEHUB_WEB_WORKERS: must be between 1 and 64" in result.output


def test_made_keys_are_what_production_asks_for(run: Run, tmp_path: Path) -> None:
    lines = run("make-key").output.split()
    keys = dict(line.split("=", 1) for line in lines)
    settings = load_settings(
        {
            **keys,
            "IMAGEHUB_DATA_DIR": str(tmp_path),
            "IMAGEHUB_ENV": "production",
            "IMAGEHUB_PUBLIC_URL": "https://hub.example.org",
        },
        None,
    )
    assert settings.secret_key == keys["IMAGEHUB_SECRET_KEY"]
    assert run("make-key").output.split() != lines


def test_the_key_of_the_tokens_is_changed_without_connecting_again(drive_hub: DriveHub) -> None:
    account_id = drive_hub.connect().id
    old = drive_hub.settings.token_key
    new = Fernet.generate_key().decode()
    opened = uploads.OpenUpload("https://upload.example.org/1", now_utc())
    vault = drive_hub.clients.vault
    uploads.remember_session(drive_hub.session, vault, account_id, "a", opened)

    def run_with(key: str) -> Result:
        settings: Settings = replace(
            drive_hub.settings, token_key=key, given=frozenset({"token_key"})
        )
        return CliRunner().invoke(main, ["reseal-tokens"], env=settings.to_environment())

    too_early = run_with(new)
    assert too_early.exit_code == 1
    assert "0 encrypted values were re-encrypted" in too_early.output
    assert "2 cannot be decrypted" in too_early.output
    assert "IMAGEHUB_TOKEN_KEY_PREVIOUS" in too_early.output
    resealed = run_with(f"{new},{old}")
    assert (resealed.exit_code, resealed.output) == (
        0,
        "2 encrypted values were re-encrypted.\n",
    )
    later = drive_hub.with_settings(token_key=new, given=frozenset({"token_key"}))
    later.session.expire_all()
    assert later.get_token()
    assert uploads.find_session(later.session, later.clients.vault, "a") == opened
    assert old not in resealed.output and new not in resealed.output


# --- The drive ------------------------------------------------------------------------------------


def test_the_drive_is_checked_and_what_is_amiss_is_counted(import_hub: ImportHub) -> None:
    hub = import_hub
    environment = hub.settings.to_environment()

    def check(*arguments: str) -> Result:
        return CliRunner().invoke(main, ["check-drive", *arguments], env=environment)

    nothing = check()
    assert nothing.exit_code == 1
    assert "no images were imported from it" in nothing.output
    hub.work(hub.create(hub.put_pictures("Works", 3)))
    assert check().output == "0 changed, 0 missing in OneDrive.\n"
    (hub.onedrive.root / "Works" / "0000.jpg").unlink()
    (hub.onedrive.root / "Works" / "0001.jpg").write_bytes(make_jpeg(9))
    assert check().output == "1 changed, 1 missing in OneDrive.\n"
    assert "within seconds" in check("--no-wait").output
    assert schedule.describe_watch(hub.session, hub.account_id).is_asked
    hub.onedrive.set_fault("gone")
    failed = check()
    assert failed.exit_code == 1
    assert "cannot be reached" in failed.output


# --- Stores ---------------------------------------------------------------------------------------


def test_reconcile_only_tells_when_asked_to_and_mends_otherwise(import_hub: ImportHub) -> None:
    key = f"renditions/ab/cd/{'ab' * 32}.webp"
    import_hub.clients.store.put_object(key, b"left over", "image/webp")

    def run_reconcile(*arguments: str) -> Result:
        return CliRunner().invoke(
            main, ["reconcile", *arguments], env=import_hub.settings.to_environment()
        )

    told = run_reconcile("--dry-run")
    assert told.exit_code == 0, told.output
    assert "Nothing was changed" in told.output
    assert import_hub.clients.store.find_object(key) is not None
    mended = run_reconcile()
    assert "1  objects without a row, deleted" in mended.output
    assert import_hub.clients.store.find_object(key) is None
    assert "No problems found." in run_reconcile().output


def test_reconcile_says_when_the_storage_is_away(import_hub: ImportHub) -> None:
    settings = replace(import_hub.settings, s3_endpoint_url=f"http://127.0.0.1:{get_free_port()}")
    result = CliRunner().invoke(main, ["reconcile"], env=settings.to_environment())
    assert result.exit_code == 1
    assert result.output.startswith("Error: ")
    assert "Traceback" not in result.output


# --- The program itself ---------------------------------------------------------------------------


def test_the_emulator_is_a_command_too(
    start_command: Callable[..., Command], tmp_path: Path
) -> None:
    (tmp_path / "drive" / "Works").mkdir(parents=True)
    port = get_free_port()
    arguments = ("--root", str(tmp_path / "drive"), "--port", str(port), "--kind", "business")
    command = start_command(tmp_path, "emulate-onedrive", *arguments)
    try:
        assert command.wait_until_ready() == f"http://127.0.0.1:{port}"
    finally:
        assert command.end() == 0


def test_every_command_is_listed_with_its_help() -> None:
    result = CliRunner().invoke(main, ["--help"])
    assert result.exit_code == 0
    for name in ("create-admin", "demo", "serve", "web", "worker", "import", "reconcile"):
        assert f"\n  {name} " in result.output


def test_flask_reaches_the_same_commands(tmp_path: Path) -> None:
    root = Path(__file__).resolve().parent.parent
    result = subprocess.run(
        [sys.executable, "-m", "flask", "--app", str(root / "wsgi.py"), "hub", "doctor", "--json"],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert result.returncode == 1
    found = {finding["name"]: finding["state"] for finding in json.loads(result.stdout)}
    assert found["database"] == "ok"
    assert found["migrations"] == "fault"


# --- The first version ----------------------------------------------------------------------------


@pytest.fixture
def storage(s3_server: S3Server, tmp_path: Path) -> dict[str, str]:
    """The settings of a bucket of its own."""
    return {
        "IMAGEHUB_S3_ENDPOINT_URL": s3_server.endpoint_url,
        "IMAGEHUB_S3_ACCESS_KEY_ID": s3_server.access_key_id,
        "IMAGEHUB_S3_SECRET_ACCESS_KEY": s3_server.secret_access_key,
        "IMAGEHUB_S3_BUCKET": f"legacy-{os.getpid()}-{time.monotonic_ns()}",
    }


def list_images(tmp_path: Path) -> list[tuple[int, int]]:
    engine = create_engine(f"sqlite:///{tmp_path / 'data/imagehub.db'}")
    with Session(engine) as session:
        rows = session.execute(
            select(Image.group_id, Image.number).order_by(Image.group_id, Image.number)
        ).all()
    engine.dispose()
    return [(row[0], row[1]) for row in rows]


def test_a_first_version_is_brought_over_without_showing_its_password(
    run: Run, storage: dict[str, str], first_version: FirstVersion, tmp_path: Path
) -> None:
    first_version.add(17, 1, "front.jpg", make_picture(1))
    first_version.add(17, 2, "broken.jpg", "data:image/png;base64,AAAA")
    first_version.add_person("Berta", "sea water")
    empty = run("migrate-legacy", "--dry-run", **storage)
    assert empty.exit_code == 2
    assert "IMAGEHUB_LEGACY_URL" in empty.output
    user = f"{first_version.url.replace('root@', 'reader:wrong-pass@')}"
    refused = run("migrate-legacy", "--from", user, **storage)
    assert refused.exit_code == 1
    assert "Cannot open the old database" in refused.output
    assert "wrong-pass" not in refused.output
    first_version.execute("CREATE USER IF NOT EXISTS reader@localhost IDENTIFIED BY 'right-pass'")
    first_version.execute("GRANT SELECT ON *.* TO reader@localhost")
    done = run(
        "migrate-legacy", "--from", first_version.url.replace("root@", "reader@"),
        "--password-stdin", text="right-pass\n", **storage,
    )  # fmt: skip
    assert done.exit_code == 1, "one picture has failed"
    assert "right-pass" not in done.output
    assert "row 2 (broken.jpg, group 17)" in done.output
    assert re.search(r"pictures +2 +1 +0 +0 +0 +1 +1\n", done.output)
    assert re.search(r"accounts +1 +1 ", done.output)
    assert list_images(tmp_path) == [(17, 1)]
    first_version.execute("DELETE FROM imagedb WHERE `index` = 2")
    again = run("migrate-legacy", IMAGEHUB_LEGACY_URL=first_version.url, **storage)
    assert (again.exit_code, again.exception) == (0, None)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_a_migration_that_is_stopped_goes_on_and_does_nothing_twice(
    run: Run,
    storage: dict[str, str],
    first_version: FirstVersion,
    start_command: Callable[..., Command],
    tmp_path: Path,
    number: signal.Signals,
) -> None:
    for image in range(1, 5):
        first_version.add(1, image, f"{image}.jpg", make_picture(image))
    # The third picture cannot be read before the program is stopped.
    first_version.execute("RENAME TABLE imagedb TO pictures")
    first_version.execute(
        "CREATE VIEW imagedb AS SELECT `index`, image_group, image_id, image_folder, image_name,"
        " title, IF(`index` = 3, IF(SLEEP(600), NULL, full_image), full_image) AS full_image"
        " FROM pictures"
    )
    assert run("migrate").exit_code == 0
    command = start_command(
        tmp_path / "program",
        "migrate-legacy",
        IMAGEHUB_DATA_DIR=str(tmp_path / "data"),
        IMAGEHUB_LEGACY_URL=first_version.url,
        **storage,
    )
    wait_until(lambda: len(list_images(tmp_path)) == 2 or command.process.poll() is not None)
    second = run("migrate-legacy", IMAGEHUB_LEGACY_URL=first_version.url, **storage)
    assert "Another migrate-legacy is running." in second.output
    status = command.end(number)
    if number != signal.SIGKILL:
        assert status == 130, command.said
        assert re.search(r"pictures +3 +2 +0 ", command.said)
        assert "Run the same command again" in command.said
    first_version.execute("DROP VIEW imagedb")
    first_version.execute("RENAME TABLE pictures TO imagedb")
    done = run("migrate-legacy", IMAGEHUB_LEGACY_URL=first_version.url, **storage)
    assert done.exit_code == 0, done.output
    assert re.search(r"pictures +4 +2 +2 ", done.output)
    assert list_images(tmp_path) == [(1, 1), (1, 2), (1, 3), (1, 4)]
