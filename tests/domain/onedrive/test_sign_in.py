"""Signing in at Microsoft, against the emulator over real HTTP."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from urllib.parse import quote_plus

import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from imagehub.database import get_database_time, now_utc
from imagehub.domain.onedrive import accounts, sign_in, status
from imagehub.errors import (
    InvalidInputError,
    ServiceRefusedError,
)
from imagehub.models import PendingSignIn, User
from tests.fixtures.connection import REDIRECT_URI, DriveHub
from tests.fixtures.onedrive import OneDrive


def test_consent_connects_the_account(either_hub: DriveHub) -> None:
    assert not status.is_connected(either_hub.session, either_hub.clients)
    account = either_hub.connect()
    assert account.state == "connected"
    assert account.is_active
    assert account.username
    assert {"files.readwrite", "user.read"} <= set(account.scopes.lower().split())
    assert status.is_connected(either_hub.session, either_hub.clients)
    drive = accounts.open_active_drive(either_hub.session, either_hub.clients)
    assert drive.get_drive().id


def test_a_business_account_can_be_connected(
    make_drive_hub: Callable[[str, OneDrive], DriveHub],
    sqlite_url: str,
    onedrive_business: OneDrive,
) -> None:
    hub = make_drive_hub(sqlite_url, onedrive_business)
    account = hub.connect_with_expired_token()
    info = status.refresh_drive_facts(hub.session, hub.clients, account.id)
    assert info.kind == "business"
    assert hub.count_refreshes() == 1


def test_the_user_who_started_may_finish_with_the_code_alone(hub: DriveHub) -> None:
    answer = hub.consent(hub.start())
    assert hub.finish({"code": answer["code"]}).state == "connected"


def test_read_only_scopes_are_requested_and_stored(hub: DriveHub) -> None:
    account = hub.connect(scopes=sign_in.READ_ONLY_SCOPES)
    assert "files.read" in account.scopes.lower().split()
    assert not status.describe_connection(hub.session, hub.clients).may_write
    hub.connect()
    assert status.describe_connection(hub.session, hub.clients).may_write


def test_a_fresh_sign_in_address_is_reused(hub: DriveHub) -> None:
    first = hub.start()
    assert hub.start() == first
    assert hub.start(scopes=sign_in.READ_ONLY_SCOPES) != first


@pytest.mark.parametrize(
    "changes",
    [
        {"ms_client_id": "22222222-2222-3333-4444-555555555555"},
        {"ms_tenant": "consumers"},
        {"login_base_url": "http://localhost:{port}"},
    ],
    ids=["client id", "tenant", "server"],
)
def test_a_corrected_registration_applies_at_once(hub: DriveHub, changes: dict[str, str]) -> None:
    first = hub.start()
    port = hub.onedrive.url.rpartition(":")[2]
    corrected = hub.with_settings(
        **{name: value.format(port=port) for name, value in changes.items()}
    )
    second = corrected.start()
    assert second != first
    assert corrected.finish(corrected.consent(second)).state == "connected"


def test_a_new_sign_in_replaces_an_older_one_of_the_same_user(hub: DriveHub) -> None:
    old = hub.consent(hub.start())
    hub.start(scopes=sign_in.READ_ONLY_SCOPES)
    assert len(hub.session.scalars(select(PendingSignIn)).all()) == 1
    with pytest.raises(InvalidInputError):
        hub.finish(old)


def test_a_sign_in_can_be_finished_only_once(hub: DriveHub) -> None:
    answer = hub.consent(hub.start())
    hub.finish(answer)
    with pytest.raises(InvalidInputError, match="already complete"):
        hub.finish(answer)


def test_a_failed_sign_in_cannot_be_finished_again(hub: DriveHub) -> None:
    answer = hub.consent(hub.start())
    with pytest.raises(ServiceRefusedError) as caught:
        hub.finish({**answer, "code": "not-a-code"})
    assert caught.value.reason == "bad_code"
    hub.session.rollback()
    with pytest.raises(InvalidInputError):
        hub.finish(answer)
    assert accounts.find_active_account(hub.session) is None


def test_only_one_of_concurrent_finishes_succeeds(either_hub: DriveHub) -> None:
    answer = either_hub.consent(either_hub.start())
    barrier = threading.Barrier(4)

    def finish(_: int) -> str:
        with Session(either_hub.engine) as session:
            barrier.wait()
            try:
                sign_in.finish_connection(session, either_hub.clients, either_hub.user_id, answer)
                session.commit()
            except InvalidInputError:
                return "refused"
            return "connected"

    with ThreadPoolExecutor(4) as threads:
        outcomes = sorted(threads.map(finish, range(4)))
    assert outcomes == ["connected", "refused", "refused", "refused"]


def test_a_sign_in_expires_after_fifteen_minutes(hub: DriveHub) -> None:
    answer = hub.consent(hub.start())
    hub.session.execute(update(PendingSignIn).values(created_at=now_utc() - timedelta(minutes=16)))
    hub.session.commit()
    with pytest.raises(InvalidInputError, match="15 minutes"):
        hub.finish(answer)


def test_old_sign_ins_of_all_users_are_deleted(hub: DriveHub) -> None:
    other = User(name="Bert", name_key="bert", password_hash="-")
    hub.session.add(other)
    hub.session.commit()
    sign_in.start_connection(hub.session, hub.clients, other.id, REDIRECT_URI)
    hub.session.execute(update(PendingSignIn).values(created_at=now_utc() - timedelta(hours=1)))
    hub.session.commit()
    hub.start()
    users = hub.session.scalars(select(PendingSignIn.user_id)).all()
    assert users == [hub.user_id]


def test_another_users_sign_in_is_refused(hub: DriveHub) -> None:
    other = User(name="Bert", name_key="bert", password_hash="-")
    hub.session.add(other)
    hub.session.commit()
    answer = hub.consent(hub.start())
    for stolen in (answer, {"code": answer["code"]}):
        with pytest.raises(InvalidInputError):
            hub.finish(stolen, user_id=other.id)
    assert hub.finish(answer).state == "connected"


@pytest.mark.parametrize("state", ["wrong", "ü", "\udcff", "x" * 10_000])
def test_a_wrong_state_is_refused_and_keeps_the_sign_in(hub: DriveHub, state: str) -> None:
    answer = hub.consent(hub.start())
    with pytest.raises(InvalidInputError):
        hub.finish({**answer, "state": state})
    assert hub.finish(answer).state == "connected"


def test_declining_consent_is_reported(hub: DriveHub) -> None:
    answer = hub.consent(hub.start(), "cancel")
    assert "code" not in answer
    with pytest.raises(InvalidInputError, match="declined"):
        hub.finish(answer)


def test_connecting_again_reuses_the_account(hub: DriveHub) -> None:
    first = hub.connect()
    number, version = first.id, first.token_version
    sign_in.disconnect(hub.session, first)
    hub.session.commit()
    again = hub.connect()
    assert again.id == number
    assert again.token_version > version
    assert status.is_connected(hub.session, hub.clients)


# --- Clocks that differ ---------------------------------------------------------------------------


@pytest.mark.parametrize("hours", [-2, 2])
def test_a_sign_in_may_be_begun_and_finished_on_machines_whose_clocks_differ(
    make_drive_hub: Callable[[str], DriveHub],
    mariadb_url: str,
    monkeypatch: pytest.MonkeyPatch,
    hours: int,
) -> None:
    """Its age is told by the clock of the database, which they share."""
    moved = quote_plus(f"SET timestamp = UNIX_TIMESTAMP() + {hours * 3600}")
    hub = make_drive_hub(f"{mariadb_url}&init_command={moved}")
    url = hub.start()
    begun_at = hub.session.scalars(select(PendingSignIn.created_at)).one()
    assert abs(begun_at - get_database_time(hub.session)) < timedelta(minutes=5)
    assert hub.start() == url, "it is still fresh"
    answer = hub.consent(url)
    real = time.time
    # To MSAL, the answer comes from the future, or from the past.
    monkeypatch.setattr(time, "time", lambda: real() + hours * 3600)
    account = hub.finish(answer)
    monkeypatch.undo()
    assert account.state == "connected"
    assert abs(account.connected_at - get_database_time(hub.session)) < timedelta(minutes=5)
    assert hub.get_token()
    answer = hub.consent(hub.start())
    late = get_database_time(hub.session) - timedelta(minutes=16)
    hub.session.execute(update(PendingSignIn).values(created_at=late))
    hub.session.commit()
    with pytest.raises(InvalidInputError, match="15 minutes"):
        hub.finish(answer)
