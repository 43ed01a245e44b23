"""Sign-ins that are idle are used, by one worker, before Microsoft drops them."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from imagehub.database import now_utc
from imagehub.domain.onedrive import keep_alive
from imagehub.domain.vault import Vault
from imagehub.models import DriveAccount, Lease
from imagehub.runtime.timing import Timing
from imagehub.runtime.worker import Worker
from tests.fixtures.connection import DriveHub
from tests.fixtures.importing import ImportHub
from tests.fixtures.programs import wait_until

LONG_AGO = timedelta(days=76)


def let_idle(hub: DriveHub, age: timedelta = LONG_AGO) -> DriveAccount:
    """Set back the last use of all sign-ins, and forget earlier tries."""
    values = {"refreshed_at": now_utc() - age}
    hub.session.execute(update(DriveAccount).values(**values))
    hub.session.execute(update(Lease).values(held_until=now_utc() - timedelta(seconds=1)))
    hub.session.commit()
    return hub.look()


def test_an_idle_sign_in_is_used_and_its_new_tokens_are_saved(hub: DriveHub) -> None:
    hub.connect()
    before = let_idle(hub)
    version, cache = before.token_version, before.token_cache
    assert keep_alive.use_idle_grants(hub.session, hub.clients) == 1
    assert hub.count_refreshes() == 1, "although the access token was still valid"
    after = hub.look()
    assert after.refreshed_at is not None
    assert now_utc() - after.refreshed_at < timedelta(minutes=10)
    assert after.token_version == version + 1
    vault = Vault(hub.settings.token_key)
    assert '"RefreshToken"' in vault.open(after.token_cache)
    assert vault.open(after.token_cache) != vault.open(cache)
    assert keep_alive.use_idle_grants(hub.session, hub.clients) == 0
    assert hub.count_refreshes() == 1


def test_a_sign_in_that_is_used_anyway_is_left_alone(hub: DriveHub) -> None:
    hub.connect()
    let_idle(hub, timedelta(hours=23))
    assert keep_alive.use_idle_grants(hub.session, hub.clients) == 0
    assert hub.count_refreshes() == 0


def test_an_account_that_was_active_before_is_kept_too(hub: DriveHub) -> None:
    hub.connect()
    let_idle(hub)
    hub.session.execute(update(DriveAccount).values(is_active=False, refreshed_at=None))
    hub.session.execute(update(DriveAccount).values(connected_at=now_utc() - LONG_AGO))
    hub.session.commit()
    assert keep_alive.use_idle_grants(hub.session, hub.clients) == 1


@pytest.mark.parametrize("state", ["needs_reconnect", "disconnected"])
def test_an_account_without_a_sign_in_is_not_asked_for(hub: DriveHub, state: str) -> None:
    hub.connect()
    let_idle(hub)
    hub.session.execute(update(DriveAccount).values(state=state))
    hub.session.commit()
    assert keep_alive.use_idle_grants(hub.session, hub.clients) == 0
    assert hub.count_refreshes() == 0


def test_of_several_workers_one_uses_it(either_hub: DriveHub) -> None:
    either_hub.connect()
    let_idle(either_hub)
    either_hub.onedrive.set_fault("delay", method="POST", path="/token", seconds=0.3)

    def work(_number: int) -> int:
        with Session(either_hub.engine) as session:
            return keep_alive.use_idle_grants(session, either_hub.clients)

    with ThreadPoolExecutor(4) as threads:
        assert sum(threads.map(work, range(4))) == 1
    assert either_hub.count_refreshes() == 1


def test_a_failure_is_tried_again_after_an_hour_not_at_once(hub: DriveHub) -> None:
    hub.connect()
    let_idle(hub)
    fault = hub.onedrive.set_fault("status", status=503, path="/token", times=100)
    assert keep_alive.use_idle_grants(hub.session, hub.clients) == 0
    assert hub.look().refused_at is not None
    hub.onedrive.clear_faults(fault)
    hub.let_quiet_time_pass()
    assert keep_alive.use_idle_grants(hub.session, hub.clients) == 0, "the hour is not over"
    let_idle(hub)
    assert keep_alive.use_idle_grants(hub.session, hub.clients) == 1
    assert hub.look().refused_at is None


def test_a_revoked_sign_in_is_noticed_although_nothing_else_uses_it(hub: DriveHub) -> None:
    hub.connect()
    let_idle(hub)
    hub.onedrive.set_fault("aadsts", code=50173)
    assert keep_alive.use_idle_grants(hub.session, hub.clients) == 0
    assert hub.look().state == "needs_reconnect"


def test_a_worker_does_it_by_itself(import_hub: ImportHub) -> None:
    let_idle(import_hub)

    def is_renewed() -> bool:
        import_hub.session.rollback()
        used_at = import_hub.session.scalar(select(DriveAccount.refreshed_at))
        return used_at is not None and now_utc() - used_at < timedelta(minutes=10)

    worker = Worker(
        import_hub.settings, import_hub.engine, import_hub.clients, Timing(grace_seconds=0.1)
    )
    worker.start()
    try:
        wait_until(is_renewed)
    finally:
        worker.stop()
