"""The state of the connection and the facts of the drive."""

import pytest

from imagehub.database import now_utc
from imagehub.domain.onedrive import accounts, status
from imagehub.errors import (
    ConnectionLostError,
)
from tests.fixtures.connection import DriveHub


def test_connecting_again_replaces_a_revoked_grant(hub: DriveHub) -> None:
    hub.connect_with_expired_token()
    fault = hub.onedrive.set_fault("aadsts", code=50173)
    with pytest.raises(ConnectionLostError):
        hub.get_token()
    hub.onedrive.clear_faults(fault)
    assert not status.is_connected(hub.session, hub.clients)
    hub.connect()
    assert status.is_connected(hub.session, hub.clients)
    assert status.describe_connection(hub.session, hub.clients).reason == ""


def test_everything_reports_not_connected_before_connecting(hub: DriveHub) -> None:
    assert accounts.find_active_account(hub.session) is None
    with pytest.raises(ConnectionLostError, match="not connected yet"):
        accounts.open_active_drive(hub.session, hub.clients)
    info = status.describe_connection(hub.session, hub.clients)
    assert info.state == "not_connected"
    assert not info.is_usable


def test_drive_facts_are_stored(either_hub: DriveHub) -> None:
    account = either_hub.connect()
    told = status.refresh_drive_facts(either_hub.session, either_hub.clients, account.id)
    info = status.describe_connection(either_hub.session, either_hub.clients)
    either_hub.session.refresh(account)
    assert (account.drive_id, info.drive_kind) == (told.id, told.kind)
    assert info.quota.total_bytes == told.quota.total_bytes
    assert info.last_success_at is not None
    assert info.connected_by == "Anna"
    assert info.refreshed_at is not None
    assert 0 <= (now_utc() - info.refreshed_at).total_seconds() < 600


def test_a_new_drive_of_the_same_account_is_detected(hub: DriveHub) -> None:
    account = hub.connect()
    account.drive_id = "an-older-drive"
    hub.session.commit()
    told = status.refresh_drive_facts(hub.session, hub.clients, account.id)
    assert told.id != "an-older-drive"
    hub.session.refresh(account)
    assert account.drive_id == told.id
