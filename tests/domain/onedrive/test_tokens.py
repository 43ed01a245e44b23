"""Access tokens: refreshing, failures, and sealed storage."""

import hashlib
import json
import logging
import multiprocessing
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from cryptography.fernet import Fernet
from sqlalchemy import create_engine, select, text, update
from sqlalchemy.orm import Session

from imagehub.config import Settings
from imagehub.database import Base, make_engine_options, now_utc
from imagehub.domain.onedrive import accounts, sign_in, status
from imagehub.domain.site import keys as site_keys
from imagehub.domain.vault import Vault
from imagehub.errors import (
    ConnectionLostError,
    ServiceBusyError,
    ServiceRefusedError,
)
from imagehub.models import DriveAccount, Lease, PendingSignIn
from imagehub.wiring import build_clients
from tests.fixtures.connection import DriveHub


def test_a_valid_token_is_used_without_calling_microsoft(hub: DriveHub) -> None:
    hub.connect()
    before = len(hub.onedrive.log())
    assert hub.get_token() == hub.get_token()
    assert len(hub.onedrive.log()) == before


def test_rotated_tokens_are_saved_before_use(hub: DriveHub) -> None:
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
    """Drop tokens refreshed for an old row if the account was reconnected meanwhile."""
    account = hub.connect_with_expired_token()
    grant = accounts._read_grant(hub.session, hub.clients, account.id)
    renewed = hub.connect()
    assert accounts._refresh(hub.session, hub.clients, grant, False) is None
    assert hub.look().token_version == renewed.token_version
    assert hub.look().token_cache == renewed.token_cache


def test_a_token_refused_by_graph_is_replaced(hub: DriveHub) -> None:
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
        token = accounts.get_access_token(session, clients, account_id, wait_seconds=60)
    results.put(hash_of(token.token))
    engine.dispose()


def hash_of(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def test_eight_processes_refresh_once(either_hub: DriveHub) -> None:
    account = either_hub.connect_with_expired_token()
    # A slow answer, so that all processes wait for the same refresh.
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


def test_the_wait_for_a_dead_refresher_is_limited(hub: DriveHub) -> None:
    account = hub.connect_with_expired_token()
    name = f"refresh-token:{account.id}"
    hub.session.add(Lease(name=name, owner="dead", held_until=now_utc() + timedelta(minutes=1)))
    hub.session.commit()
    with pytest.raises(ServiceBusyError):
        accounts.get_access_token(hub.session, hub.clients, account.id, wait_seconds=0.3)
    hub.session.execute(update(Lease).where(Lease.name == name).values(held_until=now_utc()))
    hub.session.commit()
    assert hub.get_token()


# --- Failures -------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [70008, 700082, 50173, 50076, 65001])
def test_a_revoked_grant_is_recorded_and_not_retried(hub: DriveHub, number: int) -> None:
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


def test_a_wrong_client_secret_does_not_disconnect(hub: DriveHub) -> None:
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


def test_a_failing_sign_in_service_does_not_disconnect(hub: DriveHub) -> None:
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


@pytest.mark.parametrize("number", [50196, 90033, 50089])
def test_a_passing_refusal_does_not_disconnect(hub: DriveHub, number: int) -> None:
    hub.connect_with_expired_token()
    fault = hub.onedrive.set_fault("aadsts", code=number, error="invalid_grant", http_status=400)
    for _ in range(3):
        with pytest.raises(ServiceBusyError) as caught:
            hub.get_token()
        assert (caught.value.retry_after_seconds > 60) == (number == 50196)
    assert hub.count_refreshes() == 1, "asked again at once"
    hub.let_minutes_pass(20)
    with pytest.raises(ServiceBusyError):
        hub.get_token()
    info = status.describe_connection(hub.session, hub.clients)
    assert (info.state, info.is_waiting) == ("connected", True)

    hub.onedrive.clear_faults(fault)
    hub.let_quiet_time_pass()
    assert hub.get_token()
    info = status.describe_connection(hub.session, hub.clients)
    assert (info.state, info.refused_at) == ("connected", None)


def test_an_unknown_refusal_is_believed_when_it_is_repeated(either_hub: DriveHub) -> None:
    hub = either_hub
    hub.connect_with_expired_token()
    hub.onedrive.set_fault("aadsts", code=99999)
    for minutes in (0, 2, 2):
        hub.let_minutes_pass(minutes)
        with pytest.raises(ServiceBusyError):
            hub.get_token()
        assert hub.look().state == "connected"
    assert hub.count_refreshes() == 3
    hub.let_minutes_pass(2)
    with pytest.raises(ConnectionLostError):
        hub.get_token()
    assert status.describe_connection(hub.session, hub.clients).state == "needs_reconnect"


def test_a_success_in_between_clears_a_doubt(hub: DriveHub) -> None:
    hub.connect_with_expired_token()
    fault = hub.onedrive.set_fault("aadsts", code=99999)
    with pytest.raises(ServiceBusyError):
        hub.get_token()
    hub.onedrive.clear_faults(fault)
    hub.let_minutes_pass(10)
    token = hub.get_token()
    hub.onedrive.set_fault("aadsts", code=99999)
    with pytest.raises(ServiceBusyError):
        hub.get_token(token)
    assert hub.look().state == "connected"


def test_a_passing_refusal_is_no_doubt(hub: DriveHub) -> None:
    hub.connect_with_expired_token()
    fault = hub.onedrive.set_fault("aadsts", code=50089)
    with pytest.raises(ServiceBusyError):
        hub.get_token()
    hub.onedrive.clear_faults(fault)
    hub.onedrive.set_fault("aadsts", code=99999)
    hub.let_minutes_pass(10)
    with pytest.raises(ServiceBusyError):
        hub.get_token()
    assert hub.look().state == "connected", "it is the first refusal for an unknown reason"


@pytest.mark.parametrize(
    ("number", "state"),
    [
        (53003, "needs_administrator"),
        (90094, "needs_administrator"),
        (50011, "wrong_registration"),
        (650057, "wrong_registration"),
    ],
)
def test_a_refusal_that_others_can_end_heals_by_itself(
    hub: DriveHub, number: int, state: str
) -> None:
    hub.connect_with_expired_token()
    fault = hub.onedrive.set_fault("aadsts", code=number)
    for _ in range(3):
        with pytest.raises(ServiceRefusedError) as caught:
            hub.get_token()
        assert caught.value.reason == state
    assert hub.count_refreshes() == 1, "asked again at once"
    info = status.describe_connection(hub.session, hub.clients)
    assert (info.state, info.reason, info.is_refused) == (state, str(caught.value), True)
    assert not status.is_connected(hub.session, hub.clients)

    hub.onedrive.clear_faults(fault)
    hub.let_quiet_time_pass()
    assert status.is_connected(hub.session, hub.clients)
    info = status.describe_connection(hub.session, hub.clients)
    assert (info.state, info.reason, info.code) == ("connected", "", "")


# --- Claims challenges ----------------------------------------------------------------------------

CLAIMS = {"access_token": {"polids": {"essential": True, "values": ["p1"]}}}


def test_a_refresh_satisfies_a_challenge_of_graph(hub: DriveHub) -> None:
    account = hub.connect()
    hub.onedrive.set_fault("claims_challenge", claims=CLAIMS)
    drive = hub.clients.open_drive(account.id)
    assert drive.get_root().id
    assert hub.count_refreshes() == 1
    assert drive.get_root().id
    assert hub.count_refreshes() == 1, "the new token is kept"
    assert hub.look().claims_challenge is None


@pytest.mark.parametrize("number", [50076, 53000, 53003, 99999])
def test_the_next_sign_in_satisfies_a_challenge(either_hub: DriveHub, number: int) -> None:
    hub = either_hub
    account = hub.connect()
    hub.onedrive.set_fault("aadsts", code=number, claims=CLAIMS, suberror="basic_action")
    hub.onedrive.set_fault("claims_challenge", claims=CLAIMS)
    drive = hub.clients.open_drive(account.id)
    with pytest.raises((ConnectionLostError, ServiceRefusedError)):
        drive.get_root()
    lost = hub.look()
    assert json.loads(lost.claims_challenge or "") == CLAIMS
    assert lost.state == ("connected" if number in (53000, 53003) else "needs_reconnect")

    url = hub.start()
    asked = json.loads(parse_qs(urlsplit(url).query)["claims"][0])["access_token"]
    assert asked["polids"] == CLAIMS["access_token"]["polids"]
    account = hub.finish(hub.consent(url))
    assert (account.state, account.state_code, account.claims_challenge) == ("connected", "", None)
    assert hub.clients.open_drive(account.id).get_root().id
    # The claims stay satisfied when the token is refreshed.
    assert hub.get_token(hub.get_token())
    assert "polids" not in unquote(hub.start(prompt="consent"))


def test_another_account_need_not_satisfy_the_challenge(hub: DriveHub) -> None:
    hub.connect()
    hub.onedrive.set_fault("aadsts", code=50076, claims=CLAIMS)
    with pytest.raises(ConnectionLostError):
        hub.get_token(hub.get_token())
    assert "polids" in unquote(hub.start())
    assert "polids" not in unquote(hub.start(prompt="select_account"))


def test_a_token_that_graph_challenges_again_needs_a_sign_in(hub: DriveHub) -> None:
    account = hub.connect()
    # A policy that changes between two calls.
    first = {"access_token": {"acrs": {"essential": True, "value": "c1"}}}
    hub.onedrive.set_fault("claims_challenge", claims=first, times=1)
    hub.onedrive.set_fault("claims_challenge", claims=CLAIMS)
    with pytest.raises(ConnectionLostError) as caught:
        hub.clients.open_drive(account.id).get_root()
    assert caught.value.code == "insufficient_claims"
    lost = hub.look()
    assert (lost.state, lost.state_code) == ("needs_reconnect", "insufficient_claims")
    assert "additional step" in lost.state_reason
    assert json.loads(lost.claims_challenge or "") == CLAIMS
    hub.connect()
    assert hub.open_drive().get_root().id


def test_a_late_challenge_does_not_lose_a_new_sign_in(hub: DriveHub) -> None:
    account = hub.connect()
    refused = hub.get_token()
    hub.connect()
    accounts.require_sign_in(hub.session, account.id, hub.clients, refused, json.dumps(CLAIMS))
    assert (hub.look().state, hub.look().claims_challenge) == ("connected", None)


def test_tokens_sealed_with_another_key_require_reconnecting(hub: DriveHub) -> None:
    hub.connect()
    others = replace(hub.clients, vault=Vault(Fernet.generate_key().decode()))
    account = hub.look()
    with pytest.raises(ConnectionLostError, match="must be reconnected") as caught:
        accounts.get_access_token(hub.session, others, account.id)
    assert caught.value.code == "unreadable_tokens"
    assert not status.is_connected(hub.session, others)
    info = status.describe_connection(hub.session, others)
    assert info.state == "needs_reconnect"
    assert status.is_connected(hub.session, hub.clients), "the right key still works"


def test_tokens_are_resealed_with_a_new_key_without_loss(hub: DriveHub) -> None:
    hub.connect()
    old, new = hub.settings.token_key, Fernet.generate_key().decode()
    both = replace(hub.clients, vault=Vault(f"{new}, {old}"))
    token = hub.get_token()
    account = hub.look()
    assert accounts.get_access_token(hub.session, both, account.id).token == token
    assert site_keys.reseal_all(hub.session, both.vault).count >= 1
    only_new = replace(hub.clients, vault=Vault(new))
    assert accounts.get_access_token(hub.session, only_new, account.id).token == token
    with pytest.raises(ValueError, match="sealed"):
        Vault(old).open(hub.look().token_cache)


def test_disconnecting_deletes_the_tokens(hub: DriveHub) -> None:
    account = hub.connect()
    sign_in.disconnect(hub.session, account)
    hub.session.commit()
    assert hub.look().token_cache == b""
    assert not status.is_connected(hub.session, hub.clients)
    with pytest.raises(ConnectionLostError):
        hub.get_token()
    assert status.describe_connection(hub.session, hub.clients).state == "disconnected"


def test_tokens_are_never_logged_or_stored_in_plain_text(
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
        assert secret not in repr(accounts._read_grant) + repr(hub.clients)


def list_secrets(hub: DriveHub, account: DriveAccount) -> set[str]:
    cache = json.loads(Vault(hub.settings.token_key).open(account.token_cache))
    return {
        entry["secret"]
        for kind in ("AccessToken", "RefreshToken")
        for entry in cache[kind].values()
    }
