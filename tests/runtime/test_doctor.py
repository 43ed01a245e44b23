"""``imagehub doctor``: its report on a healthy hub and on each fault."""

import json
import os
import shutil
import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from click.testing import CliRunner, Result
from cryptography.fernet import Fernet
from flask import Flask
from flask_migrate import stamp
from sqlalchemy import select, text, update
from sqlalchemy.orm import Session
from werkzeug.serving import make_server

from imagehub import create_app
from imagehub.cli import main
from imagehub.config import Settings, load_settings
from imagehub.database import db, init_migrations, now_utc
from imagehub.domain.onedrive import accounts
from imagehub.domain.site import settings as site_settings
from imagehub.domain.sync import notifications
from imagehub.models import DriveAccount, DriveSubscription
from imagehub.runtime.doctor import run_checks
from imagehub.runtime.doctor.findings import Finding
from imagehub.runtime.doctor.machine import check_public_address, judge_plain_http
from imagehub.runtime.doctor.outside import check_notifications
from imagehub.wiring import get_given_settings
from tests.fixtures.connection import CLIENT_SECRET
from tests.fixtures.importing import QUICK, ImportHub
from tests.fixtures.s3 import SECRET_ACCESS_KEY
from tests.fixtures.site import make_site
from tests.fixtures.tls import make_certificate
from tests.support import get_free_port

NAMES = ["settings", "data folder", "database", "migrations", "admins", "object storage"]
NAMES += ["queue", "OneDrive", "notifications", "expiry dates", "deep zoom"]


@pytest.fixture
def hub(import_hub: ImportHub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ImportHub:
    """Return a healthy hub, except that no worker runs."""
    for name in [name for name in os.environ if name.startswith("IMAGEHUB_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    set_version(import_hub.settings)
    end = now_utc().date() + timedelta(days=300)
    import_hub.settings = replace(import_hub.settings, ms_client_secret_expires=end)
    return import_hub


def set_version(settings: Settings, revision: str = "head") -> None:
    """Set the migration version in the database."""
    app = create_app(settings)
    init_migrations(app)
    with app.app_context():
        stamp(revision=revision)
        db.engine.dispose()


def examine(settings: Settings) -> dict[str, Finding]:
    findings = run_checks(settings)
    return {finding.name: finding for finding in findings}


def ask(settings: Settings, *arguments: str) -> Result:
    """Run the command in this process."""
    return CliRunner().invoke(main, ["doctor", *arguments], env=settings.to_environment())


# --- A healthy hub --------------------------------------------------------------------------------


def test_a_healthy_hub_gets_a_line_for_each_part_and_status_0(hub: ImportHub) -> None:
    # On a busy machine a heartbeat every half second may come late.
    with hub.working(replace(QUICK, heartbeat_seconds=30.0)):
        result = ask(hub.settings)
        as_json = ask(hub.settings, "--json")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert [line[:4] for line in lines] == ["ok  "] * len(NAMES)
    assert "Client secret: 20" in lines[-2]
    assert "personal drive of demo.artist@outlook.com" in lines[-4]
    assert "workers: 1, " in lines[-5]
    assert as_json.exit_code == 0
    found = json.loads(as_json.stdout)
    assert [finding["name"] for finding in found] == NAMES
    assert {finding["state"] for finding in found} == {"ok"}


def test_clocks_are_compared_on_mariadb(
    make_import_hub: Callable[..., ImportHub], mariadb_url: str
) -> None:
    hub = make_import_hub(mariadb_url)
    set_version(hub.settings)
    found = examine(hub.settings)
    assert found["database"].state == "ok"
    assert "mysql" in found["database"].sentence
    assert found["clock"] == Finding(
        "clock", "ok", "The clocks of this machine and the database agree."
    )


# --- Faults ---------------------------------------------------------------------------------------


def test_a_missing_worker_is_a_note_not_a_fault(hub: ImportHub) -> None:
    result = ask(hub.settings)
    assert result.exit_code == 0
    assert "note  queue" in result.stdout
    assert "no worker runs" in result.stdout
    assert "imagehub worker" in result.stdout


def test_what_expires_soon_is_a_note(hub: ImportHub) -> None:
    soon = now_utc().date() + timedelta(days=5)
    found = examine(replace(hub.settings, ms_client_secret_expires=soon))["expiry dates"]
    assert found.state == "warning"
    assert found.sentence.startswith(f"Client secret: It expires on {soon}. Before then,")
    found = examine(replace(hub.settings, ms_client_secret_expires=None))["expiry dates"]
    assert found.state == "warning"
    assert "IMAGEHUB_MS_CLIENT_SECRET_EXPIRES" in found.advice


def test_a_database_that_is_down_is_reported_once(hub: ImportHub) -> None:
    url = f"mysql+pymysql://hub:geheim@127.0.0.1:{get_free_port()}/hub"
    settings = replace(hub.settings, database_url=url)
    result = ask(settings, "--json")
    assert result.exit_code == 1
    found = {finding["name"]: finding for finding in json.loads(result.stdout)}
    assert found["database"]["state"] == "fault"
    assert "does not answer" in found["database"]["sentence"]
    assert "IMAGEHUB_DATABASE_URL" in found["database"]["advice"]
    for name in ("migrations", "admins", "clock", "queue", "OneDrive"):
        assert found[name]["state"] == "warning"
        assert "fix the database first" in found[name]["sentence"]
    assert found["object storage"]["state"] == "ok"
    assert "geheim" not in result.output
    assert "Traceback" not in result.output


def test_an_empty_database_needs_its_migrations(hub: ImportHub, tmp_path: Path) -> None:
    found = examine(replace(hub.settings, database_url=f"sqlite:///{tmp_path}/new.db"))
    assert found["migrations"].state == "fault"
    assert "The tables are at no version" in found["migrations"].sentence
    assert found["migrations"].advice == "Run `imagehub migrate`."
    assert "fix the migrations first" in found["admins"].sentence


def test_tables_of_an_older_version_are_reported(hub: ImportHub) -> None:
    set_version(hub.settings, "0001")
    found = examine(hub.settings)["migrations"]
    assert (found.state, "The tables are at 0001" in found.sentence) == ("fault", True)


def test_a_hub_without_admins_explains_how_to_create_one(hub: ImportHub) -> None:
    with hub.engine.begin() as database:
        database.execute(text("UPDATE drive_account SET connected_by_id = NULL"))
        database.execute(text('DELETE FROM "user"'))
    found = examine(hub.settings)["admins"]
    assert found.state == "warning"
    assert "imagehub create-admin" in found.advice


def test_a_data_folder_that_is_a_file_is_reported(hub: ImportHub, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    found = examine(replace(hub.settings, data_dir=tmp_path / "file" / "data"))["data folder"]
    assert (found.state, "is not writable" in found.sentence) == ("fault", True)


def test_an_open_data_folder_is_closed_and_reported(hub: ImportHub, tmp_path: Path) -> None:
    folder = tmp_path / "new"
    folder.mkdir()
    (folder / "queue.db").touch(0o644)
    settings = replace(hub.settings, data_dir=folder)
    for mode, state, left in (
        (0o755, "warning", 0o700),
        (0o700, "ok", 0o700),
        (0o750, "ok", 0o750),
    ):
        folder.chmod(mode)
        found = examine(settings)["data folder"]
        assert found.state == state, oct(mode)
        assert ("had access to 2 files and folders" in found.sentence) == (state == "warning")
        assert folder.stat().st_mode & 0o777 == left


def test_an_env_file_that_others_can_read_is_reported(hub: ImportHub, tmp_path: Path) -> None:
    for mode, state in ((0o644, "warning"), (0o600, "ok")):
        Path(".env").touch()
        Path(".env").chmod(mode)
        found = examine(hub.settings)["data folder"]
        assert found.state == state
        assert state == "ok" or found.advice == f"Run `chmod 600 {tmp_path / '.env'}`."


def test_wrong_keys_of_the_object_storage_are_reported(hub: ImportHub) -> None:
    settings = replace(hub.settings, s3_secret_access_key="geheim-and-wrong")
    result = ask(settings)
    assert result.exit_code == 1
    assert "FAIL  object storage" in result.stdout
    assert "IMAGEHUB_S3_SECRET_ACCESS_KEY" in result.stdout
    assert "geheim" not in result.output


def test_an_unreachable_object_storage_is_reported(hub: ImportHub) -> None:
    settings = replace(hub.settings, s3_endpoint_url=f"http://127.0.0.1:{get_free_port()}")
    found = examine(settings)["object storage"]
    assert found.state == "fault"
    assert "IMAGEHUB_S3_ENDPOINT_URL" in found.advice


def test_an_unreachable_public_endpoint_is_reported_as_such(hub: ImportHub) -> None:
    public = f"http://127.0.0.1:{get_free_port()}"
    found = examine(replace(hub.settings, s3_public_endpoint_url=public))["object storage"]
    assert found.state == "fault"
    assert public in found.sentence
    assert "IMAGEHUB_S3_PUBLIC_ENDPOINT_URL" in found.advice
    assert "X-Amz" not in found.sentence


def test_an_embedded_storage_that_does_not_run_is_not_a_fault(hub: ImportHub) -> None:
    settings = replace(hub.settings, s3_endpoint_url="", s3_port=get_free_port())
    found = examine(settings)["object storage"]
    assert (found.state, "not running" in found.sentence) == ("warning", True)
    assert "imagehub serve" in found.advice


def test_a_missing_bucket_is_created(hub: ImportHub) -> None:
    settings = replace(hub.settings, s3_bucket=f"new-{hub.settings.s3_bucket}")
    assert examine(settings)["object storage"].state == "ok"


def test_an_unreachable_redis_is_reported(hub: ImportHub) -> None:
    url = f"redis://:geheim@127.0.0.1:{get_free_port()}/0"
    result = ask(replace(hub.settings, queue_url=url))
    assert "Redis does not answer" in result.stdout
    assert "IMAGEHUB_QUEUE_URL" in result.stdout
    assert "geheim" not in result.output


def test_a_hub_without_app_registration_or_drive_names_the_next_step(hub: ImportHub) -> None:
    found = examine(replace(hub.settings, ms_client_id=""))["OneDrive"]
    assert (found.state, "IMAGEHUB_MS_CLIENT_ID" in found.advice) == ("warning", True)
    hub.disconnect()
    found = examine(hub.settings)["OneDrive"]
    assert found.state == "warning"
    assert "disconnected" in found.sentence
    with hub.engine.begin() as database:
        database.execute(text("DELETE FROM drive_account"))
    found = examine(hub.settings)["OneDrive"]
    assert (found.state, found.advice) == ("warning", "Connect it at /admin/.")
    found = examine(replace(hub.settings, public_url="https://x.example/art"))["OneDrive"]
    assert found.advice == "Connect it at https://x.example/art/admin/."


def test_a_revoked_grant_is_reported_with_advice(hub: ImportHub) -> None:
    hub.onedrive.revoke(access_tokens=True)
    result = ask(hub.settings)
    assert result.exit_code == 1
    assert "FAIL  OneDrive" in result.stdout
    assert "→ Reconnect it at /admin/." in result.stdout


def test_a_wrong_client_secret_is_distinguished_from_a_revoked_grant(hub: ImportHub) -> None:
    hub.onedrive.set_fault("client_secret_expired")
    hub.onedrive.expire_access_tokens()
    result = ask(hub.settings)
    assert result.exit_code == 1
    assert "set IMAGEHUB_MS_CLIENT_SECRET; no new sign-in is needed" in result.stdout


@pytest.mark.parametrize(
    ("number", "reason", "advice"),
    [
        (53003, "blocks ImageHub", "Ask the administrator of the account's organisation"),
        (50194, "IMAGEHUB_MS_TENANT", "Correct the app registration"),
        (50196, "sign-in is busy", "check again in a few minutes"),
    ],
)
def test_a_refusal_is_reported_with_who_can_end_it(
    hub: ImportHub, number: int, reason: str, advice: str
) -> None:
    hub.onedrive.set_fault("aadsts", code=number)
    hub.onedrive.expire_access_tokens()
    found = examine(hub.settings)["OneDrive"]
    assert found.state == "fault"
    assert reason in found.sentence
    assert advice in found.advice


def test_a_changed_token_key_is_reported(hub: ImportHub) -> None:
    other = load_settings({"IMAGEHUB_DATA_DIR": str(hub.folder / "other")}, None).token_key
    found = examine(replace(hub.settings, token_key=other, given=frozenset({"token_key"})))[
        "OneDrive"
    ]
    assert found.state == "fault"
    assert "IMAGEHUB_TOKEN_KEY" in found.sentence


def test_an_unreachable_onedrive_is_not_a_lost_connection(hub: ImportHub) -> None:
    hub.onedrive.kill()
    try:
        found = examine(hub.settings)["OneDrive"]
    finally:
        hub.onedrive.start()
    assert (found.state, "status.cloud.microsoft" in found.advice) == ("fault", True)
    hub.session.rollback()
    assert hub.session.scalars(select(DriveAccount)).one().state == accounts.CONNECTED


def test_a_missing_root_folder_is_reported(hub: ImportHub) -> None:
    settings = replace(hub.settings, root_folder="/Not/Here", given=frozenset({"root_folder"}))
    found = examine(settings)["OneDrive"]
    assert found.state == "fault"
    assert "/Not/Here" in found.sentence
    assert "IMAGEHUB_ROOT_FOLDER" in found.advice


def test_a_missing_chosen_root_folder_is_reported_with_its_path(hub: ImportHub) -> None:
    site_settings.set_root_folder(
        hub.session, hub.settings, hub.account_id, "NOTHING!1", "/Kunst/Wellen"
    )
    hub.session.commit()
    found = examine(hub.settings)["OneDrive"]
    assert found.state == "fault"
    assert "The root folder /Kunst/Wellen is not in this OneDrive." in found.sentence


def test_an_account_without_a_onedrive_is_reported(hub: ImportHub) -> None:
    hub.onedrive.set_fault("status", status=404, code="itemNotFound", path=r"/v1\.0/me/drive$")
    found = examine(hub.settings)["OneDrive"]
    assert found.state == "fault"
    assert "This Microsoft account has no OneDrive yet." in found.sentence
    assert "connection" in found.advice


def test_misspelt_settings_and_public_development_hubs_get_a_note(
    hub: ImportHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IMAGEHUB_S3_BUKET", "x")
    result = ask(replace(hub.settings, public_url="https://hub.example.org"))
    assert "IMAGEHUB_S3_BUKET" in result.stdout
    assert "IMAGEHUB_ENV=production" in result.stdout


def test_its_output_contains_no_secret(hub: ImportHub) -> None:
    said = ask(hub.settings).output + ask(hub.settings, "--json").output
    for secret in (
        CLIENT_SECRET,
        SECRET_ACCESS_KEY,
        hub.settings.secret_key,
        hub.settings.token_key,
        hub.get_token(),
    ):
        assert secret not in said


# --- The public address ---------------------------------------------------------------------------


Served = Callable[..., Settings]


@pytest.fixture
def serve_publicly(
    tmp_path: Path, site_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Served]:
    """Return a function that serves a hub in production by https at localhost.

    Without ``tells_https`` what serves it hides from the hub that visitors use https, as a proxy
    does that sets no header.
    """
    pem = make_certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(pem))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    with ExitStack() as running:

        def serve(
            tells_https: bool = True, headers: dict[str, str] | None = None, **settings: str
        ) -> Settings:
            server = make_server("127.0.0.1", 0, Flask("none"), ssl_context=context)
            shutil.copytree(site_folder, tmp_path / "site")
            made = make_site(
                tmp_path / "site",
                env="production",
                public_url=f"https://localhost:{server.server_port}",
                secret_key="s" * 40,
                token_key=Fernet.generate_key().decode(),
                **settings,
            )

            def pass_on(environ: dict[str, Any], start_response: Any) -> Any:
                environ["wsgi.url_scheme"] = "https" if tells_https else "http"
                return made.app.wsgi_app(environ | (headers or {}), start_response)

            server.app = pass_on
            thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
            thread.start()
            running.callback(server.server_close)
            running.callback(thread.join)
            running.callback(server.shutdown)
            return get_given_settings(made.app)

        yield serve


def test_https_that_reaches_the_hub_is_fine(serve_publicly: Served) -> None:
    [(state, sentence)] = check_public_address(serve_publicly())
    assert state == "ok"
    assert sentence.startswith("https works; plain http is ")


@pytest.mark.parametrize(
    ("headers", "status"), [({}, 308), ({"HTTP_X_FORWARDED_PROTO": "https"}, 403)]
)
def test_a_hub_that_is_not_told_of_https_is_reported(
    serve_publicly: Served, headers: dict[str, str], status: int
) -> None:
    settings = serve_publicly(tells_https=False, headers=headers)
    [(state, sentence, advice)] = check_public_address(settings)
    assert state == "fault"
    assert f"as plain http, and refuses them (status {status})" in sentence
    assert "X-Forwarded-Proto" in advice
    assert "IMAGEHUB_PROXY_COUNT" in advice


def test_a_certificate_that_is_not_valid_is_reported(
    serve_publicly: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = serve_publicly()
    monkeypatch.delenv("SSL_CERT_FILE")
    [(state, sentence, advice)] = check_public_address(settings)
    assert (state, "certificate" in sentence) == ("warning", True)
    assert "certificate" in advice


def test_a_public_address_where_nothing_answers_is_reported(serve_publicly: Served) -> None:
    settings = replace(serve_publicly(), public_url=f"https://localhost:{get_free_port()}")
    [(state, sentence, _advice)] = check_public_address(settings)
    assert (state, "does not answer this machine" in sentence) == ("warning", True)


@pytest.mark.parametrize(
    ("status", "location", "state", "words"),
    [
        (301, "https://hub.example.org/sign-in", "ok", "is redirected"),
        (404, "", "ok", "is refused (status 404)"),
        (200, "", "fault", "answers over plain http (status 200)"),
    ],
)
def test_what_plain_http_leads_to_is_told(
    status: int, location: str, state: str, words: str
) -> None:
    def answer(_environ: Any, start_response: Any) -> list[bytes]:
        start_response(f"{status} X", [("Location", location)] if location else [])
        return [b""]

    server = make_server("127.0.0.1", 0, answer)
    thread = Thread(target=server.handle_request)
    thread.start()
    found = judge_plain_http(f"http://127.0.0.1:{server.server_port}/sign-in")
    thread.join()
    server.server_close()
    assert found[0] == state
    assert words in found[1]
    closed = judge_plain_http(f"http://127.0.0.1:{get_free_port()}/sign-in")
    assert closed == ("ok", "https works; plain http is closed.")


def test_a_hub_in_development_has_no_public_address_to_check(tmp_path: Path) -> None:
    environment = {"IMAGEHUB_DATA_DIR": str(tmp_path), "IMAGEHUB_PUBLIC_URL": "https://x.invalid"}
    assert list(check_public_address(load_settings(environment, None))) == []


# --- Notifications --------------------------------------------------------------------------------


def find_notifications(hub: ImportHub, **changes: Any) -> tuple[str, str]:
    """Return the state and the sentence of the check, in a hub with changed settings."""
    settings = replace(hub.settings, **changes)
    with create_app(settings).app_context():
        [facts] = check_notifications(settings)
        db.engine.dispose()
    return facts[0], facts[1]


def test_it_is_said_whether_onedrive_notifies_the_hub(hub: ImportHub) -> None:
    url = "http://127.0.0.1:9"
    assert "request only" in find_notifications(hub)[1]
    off = find_notifications(hub, drive_notifications=False, drive_check_minutes=30)
    assert off == (
        "ok",
        "Switched off by IMAGEHUB_DRIVE_NOTIFICATIONS; OneDrive is checked every 30 minutes.",
    )
    assert find_notifications(hub, public_url=url)[1].startswith("Not on yet")
    notifications.keep_subscriptions(hub.session, hub.clients, url)
    state, sentence = find_notifications(hub, public_url=url)
    assert state == "warning" and "no valid response" in sentence
    with Session(hub.engine) as session:
        end = now_utc() + timedelta(days=2)
        values = {"subscription_id": "s", "expires_at": end, "problem": ""}
        session.execute(update(DriveSubscription).values(**values))
        session.commit()
    state, sentence = find_notifications(hub, public_url=url)
    assert state == "ok" and f"On until {end:%Y-%m-%d %H:%M} UTC" in sentence
