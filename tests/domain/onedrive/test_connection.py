"""The connection to OneDrive, against the emulator over real HTTP and real databases."""

import hashlib
import json
import logging
import multiprocessing
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from cryptography.fernet import Fernet
from sqlalchemy import create_engine, select, text, update
from sqlalchemy.orm import Session

from imagehub.config import Settings
from imagehub.database import Base, make_engine_options, now_utc
from imagehub.domain.onedrive import accounts, sign_in, status
from imagehub.domain.onedrive import tokens as onedrive_tokens
from imagehub.domain.vault import UnreadableSecretError, Vault
from imagehub.errors import (
    ConnectionLostError,
    InvalidInputError,
    ServiceBusyError,
    ServiceRefusedError,
)
from imagehub.models import DriveAccount, Group, Image, ImportPlan, Lease, PendingSignIn, User
from imagehub.wiring import build_clients
from tests.fixtures.connection import REDIRECT_URI, DriveHub
from tests.fixtures.onedrive import OneDrive


@pytest.fixture
def hub(drive_hub: DriveHub) -> DriveHub:
    return drive_hub


@pytest.fixture
def either_hub(either_drive_hub: DriveHub) -> DriveHub:
    return either_drive_hub


# --- Signing in -----------------------------------------------------------------------------------


def test_a_person_who_agrees_is_connected(either_hub: DriveHub) -> None:
    assert not status.is_connected(either_hub.session, either_hub.clients)
    account = either_hub.connect()
    assert account.state == "connected"
    assert account.is_active
    assert account.username
    assert {"files.readwrite", "user.read"} <= set(account.scopes.lower().split())
    assert status.is_connected(either_hub.session, either_hub.clients)
    drive = accounts.open_active_drive(either_hub.session, either_hub.clients)
    assert drive.get_drive().id


def test_a_business_account_is_connected_too(
    make_drive_hub: Callable[[str, OneDrive], DriveHub],
    sqlite_url: str,
    onedrive_business: OneDrive,
) -> None:
    hub = make_drive_hub(sqlite_url, onedrive_business)
    account = hub.connect_with_expired_token()
    info = status.refresh_drive_facts(hub.session, hub.clients, account.id)
    assert info.kind == "business"
    assert hub.count_refreshes() == 1


def test_the_code_alone_is_enough_for_the_user_who_began(hub: DriveHub) -> None:
    answer = hub.consent(hub.start())
    assert hub.finish({"code": answer["code"]}).state == "connected"


def test_read_only_is_what_was_asked_and_is_remembered(hub: DriveHub) -> None:
    account = hub.connect(scopes=sign_in.READ_ONLY_SCOPES)
    assert "files.read" in account.scopes.lower().split()
    assert not status.describe_connection(hub.session, hub.clients).may_write
    hub.connect()
    assert status.describe_connection(hub.session, hub.clients).may_write


def test_an_address_asked_for_twice_is_the_same_while_it_is_fresh(hub: DriveHub) -> None:
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
def test_a_corrected_registration_counts_at_once(hub: DriveHub, changes: dict[str, str]) -> None:
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


def test_a_sign_in_is_used_once(hub: DriveHub) -> None:
    answer = hub.consent(hub.start())
    hub.finish(answer)
    with pytest.raises(InvalidInputError, match="already complete"):
        hub.finish(answer)


def test_a_sign_in_that_failed_is_used_up_too(hub: DriveHub) -> None:
    answer = hub.consent(hub.start())
    with pytest.raises(ServiceRefusedError) as caught:
        hub.finish({**answer, "code": "not-a-code"})
    assert caught.value.reason == "bad_code"
    hub.session.rollback()
    with pytest.raises(InvalidInputError):
        hub.finish(answer)
    assert accounts.find_active_account(hub.session) is None


def test_of_two_that_finish_the_same_sign_in_at_once_one_succeeds(either_hub: DriveHub) -> None:
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


def test_a_sign_in_ends_after_fifteen_minutes(hub: DriveHub) -> None:
    answer = hub.consent(hub.start())
    hub.session.execute(update(PendingSignIn).values(created_at=now_utc() - timedelta(minutes=16)))
    hub.session.commit()
    with pytest.raises(InvalidInputError, match="15 minutes"):
        hub.finish(answer)


def test_old_sign_ins_of_everybody_are_cleared_away(hub: DriveHub) -> None:
    other = User(name="Bert", name_key="bert", password_hash="-")
    hub.session.add(other)
    hub.session.commit()
    sign_in.start_connection(hub.session, hub.clients, other.id, REDIRECT_URI)
    hub.session.execute(update(PendingSignIn).values(created_at=now_utc() - timedelta(hours=1)))
    hub.session.commit()
    hub.start()
    users = hub.session.scalars(select(PendingSignIn.user_id)).all()
    assert users == [hub.user_id]


def test_a_sign_in_of_somebody_else_is_refused(hub: DriveHub) -> None:
    other = User(name="Bert", name_key="bert", password_hash="-")
    hub.session.add(other)
    hub.session.commit()
    answer = hub.consent(hub.start())
    for stolen in (answer, {"code": answer["code"]}):
        with pytest.raises(InvalidInputError):
            hub.finish(stolen, user_id=other.id)
    assert hub.finish(answer).state == "connected"


@pytest.mark.parametrize("state", ["wrong", "ü", "\udcff", "x" * 10_000])
def test_a_wrong_state_is_refused_and_uses_nothing_up(hub: DriveHub, state: str) -> None:
    answer = hub.consent(hub.start())
    with pytest.raises(InvalidInputError):
        hub.finish({**answer, "state": state})
    assert hub.finish(answer).state == "connected"


def test_a_person_who_declines_is_told_so(hub: DriveHub) -> None:
    answer = hub.consent(hub.start(), "cancel")
    assert "code" not in answer
    with pytest.raises(InvalidInputError, match="declined"):
        hub.finish(answer)


def test_connecting_again_revives_the_same_account(hub: DriveHub) -> None:
    first = hub.connect()
    number, version = first.id, first.token_version
    sign_in.disconnect(hub.session, first)
    hub.session.commit()
    again = hub.connect()
    assert again.id == number
    assert again.token_version > version
    assert status.is_connected(hub.session, hub.clients)


def make_other_account(hub: DriveHub) -> DriveAccount:
    other = DriveAccount(
        home_account_id="somebody.else",
        username="else@example.org",
        token_cache=b"",
        state="needs_reconnect",
    )
    hub.session.add(other)
    hub.session.commit()
    return other


def test_connecting_another_account_makes_it_the_active_one(hub: DriveHub) -> None:
    other = make_other_account(hub)
    group = Group()
    hub.session.add(group)
    hub.session.flush()
    hub.session.add(
        Image(
            group_id=group.id,
            number=1,
            position=1,
            name="front.jpg",
            drive_account_id=other.id,
            drive_item_id="A!1",
        )
    )
    hub.session.commit()
    account = hub.connect()
    assert accounts.get_active_account(hub.session).id == account.id
    hub.session.refresh(other)
    assert not other.is_active


def test_an_account_that_nothing_refers_to_is_forgotten(hub: DriveHub) -> None:
    other = make_other_account(hub)
    hub.session.add(ImportPlan(drive_account_id=other.id))
    hub.session.commit()
    account = hub.connect()
    assert hub.session.scalars(select(DriveAccount.id)).all() == [account.id]
    assert hub.session.scalars(select(ImportPlan.id)).all() == [], "what was chosen there goes too"


def retire(hub: DriveHub, account: DriveAccount) -> DriveAccount:
    """Have another account become the active one; an image came from this one."""
    hub.session.add(Group(id=1))
    hub.session.flush()
    hub.session.add(
        Image(
            group_id=1,
            number=1,
            position=1,
            name="front.jpg",
            drive_account_id=account.id,
            drive_item_id="A!1",
        )
    )
    account.is_active = False
    hub.session.commit()
    return make_other_account(hub)


def test_an_earlier_account_is_connected_again_beside_the_active_one(
    either_hub: DriveHub,
) -> None:
    hub = either_hub
    earlier = hub.connect_with_expired_token()
    active = retire(hub, earlier)
    hub.onedrive.revoke()
    with pytest.raises(ConnectionLostError):
        onedrive_tokens.get_access_token(hub.session, hub.clients, earlier.id)
    [told] = status.describe_earlier(hub.session, hub.clients)
    assert (told.account_id, told.state) == (earlier.id, "needs_reconnect")

    answer = hub.consent(hub.start(renews=earlier.home_account_id))
    assert hub.finish(answer).id == earlier.id
    [told] = status.describe_earlier(hub.session, hub.clients)
    assert (told.account_id, told.state) == (earlier.id, "connected")
    assert onedrive_tokens.get_access_token(hub.session, hub.clients, earlier.id).token
    assert accounts.get_active_account(hub.session).id == active.id
    sign_in.disconnect(hub.session, earlier)
    hub.session.commit()
    assert status.describe_earlier(hub.session, hub.clients) == []


def test_nobody_else_may_sign_in_in_place_of_an_earlier_account(hub: DriveHub) -> None:
    active = hub.connect()
    other = make_other_account(hub)
    other.is_active = False
    hub.session.commit()
    before = active.token_version
    answer = hub.consent(hub.start(renews=other.home_account_id))
    with pytest.raises(InvalidInputError, match="a different account"):
        hub.finish(answer)
    assert accounts.get_active_account(hub.session).token_version == before
    assert hub.session.get_one(DriveAccount, other.id).token_cache == other.token_cache


# --- Tokens ---------------------------------------------------------------------------------------


def test_a_good_token_is_used_without_asking_microsoft(hub: DriveHub) -> None:
    hub.connect()
    before = len(hub.onedrive.log())
    assert hub.get_token() == hub.get_token()
    assert len(hub.onedrive.log()) == before


def test_a_rotation_is_saved_before_its_token_is_used(hub: DriveHub) -> None:
    account = hub.connect_with_expired_token()
    version, old = account.token_version, account.token_cache
    token = hub.get_token()
    saved = hub.look()
    assert saved.token_version == version + 1
    assert saved.token_cache != old
    vault = Vault(hub.settings.token_key)
    assert token in vault.open(saved.token_cache)
    tokens = [
        [entry["secret"] for entry in json.loads(vault.open(cache))["RefreshToken"].values()]
        for cache in (old, saved.token_cache)
    ]
    assert tokens[0] != tokens[1]
    assert hub.get_token() == token
    assert hub.count_refreshes() == 1


def test_a_token_that_cannot_be_saved_is_not_used(hub: DriveHub) -> None:
    """Somebody connects anew while Microsoft is asked: what was got for the old row is dropped."""
    account = hub.connect_with_expired_token()
    grant = onedrive_tokens._read_grant(hub.session, hub.clients, account.id)
    renewed = hub.connect()
    assert onedrive_tokens._refresh(hub.session, hub.clients, grant, False) is None
    assert hub.look().token_version == renewed.token_version
    assert hub.look().token_cache == renewed.token_cache


def test_a_token_that_graph_refused_is_replaced(hub: DriveHub) -> None:
    hub.connect()
    refused = hub.get_token()
    other = hub.get_token(refused)
    assert other != refused
    assert hub.get_token(refused) == other, "what somebody else got meanwhile will do"
    assert hub.count_refreshes() == 1


def refresh_in_process(settings: Settings, account_id: int, barrier: Any, results: Any) -> None:
    url = settings.database_url
    engine = create_engine(url, **make_engine_options(url))
    clients = build_clients(engine, settings)
    with Session(engine) as session:
        barrier.wait(60)
        token = onedrive_tokens.get_access_token(session, clients, account_id, wait_seconds=60)
    results.put(hash_of(token.token))
    engine.dispose()


def hash_of(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def test_eight_processes_refresh_once(either_hub: DriveHub) -> None:
    account = either_hub.connect_with_expired_token()
    # A slow answer, so that all of them are waiting while it is under way.
    either_hub.onedrive.set_fault("delay", method="POST", path="/token", seconds=1.0)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["imagehub.domain.onedrive.sign_in", "imagehub.wiring"])
    barrier, results = context.Barrier(8), context.Queue()
    processes = [
        context.Process(
            target=refresh_in_process, args=(either_hub.settings, account.id, barrier, results)
        )
        for _ in range(8)
    ]
    for process in processes:
        process.start()
    hashes = [results.get(timeout=300) for _ in processes]
    for process in processes:
        process.join(30)
    assert [process.exitcode for process in processes] == [0] * 8
    assert either_hub.count_refreshes() == 1
    assert set(hashes) == {hash_of(either_hub.get_token())}
    assert either_hub.look().token_version == account.token_version


def test_threads_that_share_a_drive_refresh_once(either_hub: DriveHub) -> None:
    account = either_hub.connect_with_expired_token()
    either_hub.onedrive.set_fault("delay", method="POST", path="/token", seconds=0.5)
    drive = either_hub.clients.open_drive(account.id)
    with ThreadPoolExecutor(8) as threads:
        ids = set(threads.map(lambda _: drive.get_drive().id, range(8)))
    assert len(ids) == 1
    assert either_hub.count_refreshes() == 1


def test_a_refresher_that_died_is_not_waited_for_for_ever(hub: DriveHub) -> None:
    account = hub.connect_with_expired_token()
    name = f"refresh-token:{account.id}"
    hub.session.add(Lease(name=name, owner="dead", held_until=now_utc() + timedelta(minutes=1)))
    hub.session.commit()
    with pytest.raises(ServiceBusyError):
        onedrive_tokens.get_access_token(hub.session, hub.clients, account.id, wait_seconds=0.3)
    hub.session.execute(update(Lease).where(Lease.name == name).values(held_until=now_utc()))
    hub.session.commit()
    assert hub.get_token()


# --- When it goes wrong ---------------------------------------------------------------------------


@pytest.mark.parametrize("number", [70008, 700082, 50173, 50076, 65001])
def test_a_dead_grant_is_remembered_and_microsoft_is_left_alone(hub: DriveHub, number: int) -> None:
    account = hub.connect_with_expired_token()
    hub.onedrive.set_fault("aadsts", code=number)
    with pytest.raises(ConnectionLostError) as caught:
        hub.get_token()
    assert caught.value.account == account.username
    asked = hub.count_refreshes()
    for _ in range(3):
        with pytest.raises(ConnectionLostError) as again:
            hub.get_token()
        assert str(again.value) == str(caught.value)
        assert again.value.code == caught.value.code
        assert not status.is_connected(hub.session, hub.clients)
    assert hub.count_refreshes() == asked
    info = status.describe_connection(hub.session, hub.clients)
    assert (info.state, info.code) == ("needs_reconnect", caught.value.code)
    assert info.reason == str(caught.value)
    with pytest.raises(ConnectionLostError):
        hub.clients.open_drive(account.id).get_root()


def test_connecting_again_mends_a_dead_grant(hub: DriveHub) -> None:
    hub.connect_with_expired_token()
    fault = hub.onedrive.set_fault("aadsts", code=50173)
    with pytest.raises(ConnectionLostError):
        hub.get_token()
    hub.onedrive.clear_faults(fault)
    assert not status.is_connected(hub.session, hub.clients)
    hub.connect()
    assert status.is_connected(hub.session, hub.clients)
    assert status.describe_connection(hub.session, hub.clients).reason == ""


def test_a_wrong_client_secret_is_no_dead_grant(hub: DriveHub) -> None:
    hub.connect_with_expired_token()
    fault = hub.onedrive.set_fault("client_secret_expired")
    for _ in range(3):
        with pytest.raises(ServiceRefusedError) as caught:
            hub.get_token()
        assert caught.value.reason == "wrong_client_secret"
    assert hub.count_refreshes() == 1, "asked again at once"
    assert hub.look().state == "connected"
    info = status.describe_connection(hub.session, hub.clients)
    assert (info.state, info.code) == ("wrong_client_secret", "wrong_client_secret")
    assert "secret" in info.reason
    assert not status.is_connected(hub.session, hub.clients)

    hub.onedrive.clear_faults(fault)
    hub.let_quiet_time_pass()
    assert status.is_connected(hub.session, hub.clients)
    info = status.describe_connection(hub.session, hub.clients)
    assert (info.state, info.reason, info.code) == ("connected", "", "")


def test_a_sign_in_service_in_trouble_is_no_dead_grant(hub: DriveHub) -> None:
    hub.connect_with_expired_token()
    fault = hub.onedrive.set_fault("status", method="POST", path="/token", status=503)
    for _ in range(3):
        with pytest.raises(ServiceBusyError):
            hub.get_token()
    assert hub.count_refreshes() <= 1, "asked again at once"
    assert status.describe_connection(hub.session, hub.clients).state == "connected"
    hub.onedrive.clear_faults(fault)
    hub.let_quiet_time_pass()
    assert hub.get_token()


def test_tokens_sealed_with_another_key_must_be_had_anew(hub: DriveHub) -> None:
    hub.connect()
    others = replace(hub.clients, vault=Vault(Fernet.generate_key().decode()))
    account = hub.look()
    with pytest.raises(ConnectionLostError, match="must be reconnected") as caught:
        onedrive_tokens.get_access_token(hub.session, others, account.id)
    assert caught.value.code == "unreadable_tokens"
    assert not status.is_connected(hub.session, others)
    info = status.describe_connection(hub.session, others)
    assert info.state == "needs_reconnect"
    assert status.is_connected(hub.session, hub.clients), "the right key still works"


def test_a_new_key_in_front_of_the_old_one_loses_nothing(hub: DriveHub) -> None:
    hub.connect()
    old, new = hub.settings.token_key, Fernet.generate_key().decode()
    both = replace(hub.clients, vault=Vault(f"{new}, {old}"))
    token = hub.get_token()
    account = hub.look()
    assert onedrive_tokens.get_access_token(hub.session, both, account.id).token == token
    assert onedrive_tokens.reseal_tokens(hub.session, both) == 1
    hub.session.commit()
    only_new = replace(hub.clients, vault=Vault(new))
    assert onedrive_tokens.get_access_token(hub.session, only_new, account.id).token == token
    with pytest.raises(UnreadableSecretError):
        Vault(old).open(hub.look().token_cache)


def test_a_disconnected_account_holds_no_token(hub: DriveHub) -> None:
    account = hub.connect()
    sign_in.disconnect(hub.session, account)
    hub.session.commit()
    assert hub.look().token_cache == b""
    assert not status.is_connected(hub.session, hub.clients)
    with pytest.raises(ConnectionLostError):
        hub.get_token()
    assert status.describe_connection(hub.session, hub.clients).state == "disconnected"


def test_before_the_first_connection_everything_says_so(hub: DriveHub) -> None:
    assert accounts.find_active_account(hub.session) is None
    with pytest.raises(ConnectionLostError, match="not connected yet"):
        accounts.open_active_drive(hub.session, hub.clients)
    info = status.describe_connection(hub.session, hub.clients)
    assert info.state == "not_connected"
    assert not info.is_usable


def test_no_token_is_ever_logged_or_stored_in_clear(
    hub: DriveHub, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    account = hub.connect_with_expired_token()
    secrets = list_secrets(hub, account)
    hub.get_token()
    secrets |= list_secrets(hub, hub.look())
    hub.clients.open_drive(account.id).get_root()
    hub.start(prompt="select_account")
    pending = hub.session.scalars(select(PendingSignIn)).one()
    flow = json.loads(Vault(hub.settings.token_key).open(pending.flow))["flow"]
    secrets |= {flow["code_verifier"], flow["nonce"]}
    fault = hub.onedrive.set_fault("aadsts", code=50173)
    with pytest.raises(ConnectionLostError):
        hub.get_token(hub.get_token())
    hub.onedrive.clear_faults(fault)

    assert len(secrets) >= 6
    rows = ""
    for table in Base.metadata.sorted_tables:
        for row in hub.session.execute(text(f'SELECT * FROM "{table.name}"')):
            rows += repr(tuple(row))
    for secret in secrets:
        assert secret not in caplog.text
        assert secret not in rows
        assert secret not in repr(onedrive_tokens._read_grant) + repr(hub.clients)


def list_secrets(hub: DriveHub, account: DriveAccount) -> set[str]:
    cache = json.loads(Vault(hub.settings.token_key).open(account.token_cache))
    return {
        entry["secret"]
        for kind in ("AccessToken", "RefreshToken")
        for entry in cache[kind].values()
    }


# --- Pauses and facts -----------------------------------------------------------------------------


def test_a_longer_pause_is_not_shortened(either_hub: DriveHub) -> None:
    account = either_hub.connect()
    accounts.set_pause(either_hub.session, account.id, 100)
    accounts.set_pause(either_hub.session, account.id, 5)
    info = status.describe_connection(either_hub.session, either_hub.clients)
    assert info.paused_until is not None
    assert info.last_throttled_at is not None
    assert info.paused_until - now_utc() > timedelta(seconds=90)


def test_a_pause_that_is_over_is_not_shown(hub: DriveHub) -> None:
    account = hub.connect()
    accounts.set_pause(hub.session, account.id, 0)
    assert status.describe_connection(hub.session, hub.clients).paused_until is None


def test_the_facts_of_the_drive_are_remembered(either_hub: DriveHub) -> None:
    account = either_hub.connect()
    told = status.refresh_drive_facts(either_hub.session, either_hub.clients, account.id)
    info = status.describe_connection(either_hub.session, either_hub.clients)
    assert (info.drive_id, info.drive_kind) == (told.id, told.kind)
    assert info.quota.total_bytes == told.quota.total_bytes
    assert info.last_success_at is not None
    assert info.connected_by == "Anna"
    assert info.token_age_seconds is not None
    assert 0 <= info.token_age_seconds < 600


def test_another_drive_behind_the_same_account_is_noticed(hub: DriveHub) -> None:
    account = hub.connect()
    account.drive_id = "an-older-drive"
    hub.session.commit()
    told = status.refresh_drive_facts(hub.session, hub.clients, account.id)
    assert told.id != "an-older-drive"
    assert status.describe_connection(hub.session, hub.clients).drive_id == told.id
