"""Connected accounts: which one is active, earlier ones, and pauses."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from imagehub.database import now_utc
from imagehub.domain.onedrive import accounts, sign_in, status
from imagehub.errors import (
    ConnectionLostError,
    InvalidInputError,
)
from imagehub.models import DriveAccount, Group, Image, ImportPlan
from tests.fixtures.connection import DriveHub


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


def test_connecting_another_account_makes_it_active(hub: DriveHub) -> None:
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


def test_an_unreferenced_account_is_deleted(hub: DriveHub) -> None:
    other = make_other_account(hub)
    hub.session.add(ImportPlan(drive_account_id=other.id))
    hub.session.commit()
    account = hub.connect()
    assert hub.session.scalars(select(DriveAccount.id)).all() == [account.id]
    assert hub.session.scalars(select(ImportPlan.id)).all() == [], "what was chosen there goes too"


def retire(hub: DriveHub, account: DriveAccount) -> DriveAccount:
    """Make another account the active one, and let an image come from this one."""
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


def test_an_earlier_account_can_be_reconnected_beside_the_active_one(
    either_hub: DriveHub,
) -> None:
    hub = either_hub
    earlier = hub.connect_with_expired_token()
    active = retire(hub, earlier)
    hub.onedrive.revoke()
    with pytest.raises(ConnectionLostError):
        accounts.get_access_token(hub.session, hub.clients, earlier.id)
    [told] = status.describe_earlier(hub.session, hub.clients)
    assert (told.account_id, told.state) == (earlier.id, "needs_reconnect")

    answer = hub.consent(hub.start(renews=earlier.home_account_id))
    assert hub.finish(answer).id == earlier.id
    [told] = status.describe_earlier(hub.session, hub.clients)
    assert (told.account_id, told.state) == (earlier.id, "connected")
    assert accounts.get_access_token(hub.session, hub.clients, earlier.id).token
    assert accounts.get_active_account(hub.session).id == active.id
    sign_in.disconnect(hub.session, earlier)
    hub.session.commit()
    assert status.describe_earlier(hub.session, hub.clients) == []


def test_reconnecting_an_earlier_account_refuses_other_accounts(hub: DriveHub) -> None:
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


def test_a_longer_pause_is_not_shortened(either_hub: DriveHub) -> None:
    account = either_hub.connect()
    accounts.set_pause(either_hub.session, account.id, 100)
    accounts.set_pause(either_hub.session, account.id, 5)
    info = status.describe_connection(either_hub.session, either_hub.clients)
    assert info.paused_until is not None
    assert info.last_throttled_at is not None
    assert info.paused_until - now_utc() > timedelta(seconds=90)


def test_an_expired_pause_is_not_shown(hub: DriveHub) -> None:
    account = hub.connect()
    accounts.set_pause(hub.session, account.id, 0)
    assert status.describe_connection(hub.session, hub.clients).paused_until is None
