"""Tokens and pauses of one account, shared by threads and processes."""

import os
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import update

from imagehub.clients.graph import GraphDrive
from imagehub.database import now_utc
from imagehub.domain.onedrive import accounts, sign_in, status
from imagehub.errors import ConnectionLostError, ServiceBusyError, ServiceRefusedError
from imagehub.models import DriveAccount
from imagehub.wiring import build_clients
from tests.fixtures.connection import DriveHub


def test_a_drive_is_opened_once_a_process(drive_hub: DriveHub) -> None:
    account = drive_hub.connect()
    assert drive_hub.clients.open_drive(account.id) is drive_hub.clients.open_drive(account.id)


def test_a_drive_connected_anew_forgets_what_it_knew(drive_hub: DriveHub) -> None:
    account = drive_hub.connect()
    before = drive_hub.clients.open_drive(account.id)
    drive_hub.connect()
    time.sleep(1.05)  # what is known of an account is believed for a second
    assert drive_hub.clients.open_drive(account.id) is not before


def test_a_fork_does_not_share_connections_with_its_parent(drive_hub: DriveHub) -> None:
    account = drive_hub.connect()
    before = drive_hub.clients.open_drive(account.id)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        is_new = drive_hub.clients.open_drive(account.id) is not before
        os.write(writer, b"new" if is_new else b"old")
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(reader, 10) == b"new"
    os.close(reader)
    os.close(writer)


def test_a_token_graph_refuses_is_refreshed_once_and_the_call_succeeds(
    drive_hub: DriveHub,
) -> None:
    drive_hub.connect()
    drive = drive_hub.open_drive()
    drive.get_root()
    drive_hub.onedrive.set_fault(
        "status", path="/v1.0/", status=401, code="InvalidAuthenticationToken", times=1
    )
    assert drive.get_root().id
    assert drive_hub.count_refreshes() == 1


def test_what_the_owner_allows_holds_at_once_in_every_process(either_drive_hub: DriveHub) -> None:
    hub = either_drive_hub
    account = hub.connect(scopes=sign_in.READ_ONLY_SCOPES)
    other = build_clients(hub.engine, hub.settings).open_drive(account.id)
    root = other.get_root().id
    hub.connect()
    assert other.create_folder(root, "New").name == "New"


def test_what_the_owner_does_not_allow_is_asked_once(drive_hub: DriveHub) -> None:
    drive_hub.connect(scopes=sign_in.READ_ONLY_SCOPES)
    drive = drive_hub.open_drive()
    root = drive.get_root().id
    drive_hub.onedrive.clear_log()
    with pytest.raises(ServiceRefusedError):
        drive.create_folder(root, "New")
    assert len(drive_hub.onedrive.log("POST", "/children")) == 1
    assert drive_hub.count_refreshes() == 0


def test_threads_whose_token_is_refused_at_once_refresh_once(either_drive_hub: DriveHub) -> None:
    hub = either_drive_hub
    hub.connect()
    drive = hub.open_drive()
    drive.get_root()
    hub.onedrive.expire_access_tokens()
    hub.onedrive.set_fault("delay", method="POST", path="/token", seconds=0.5)
    with ThreadPoolExecutor(8) as threads:
        ids = set(threads.map(lambda _: drive.get_root().id, range(8)))
    assert len(ids) == 1
    assert hub.count_refreshes() == 1


def test_access_that_was_withdrawn_is_noticed_at_the_next_call(drive_hub: DriveHub) -> None:
    account = drive_hub.connect()
    drive = drive_hub.open_drive()
    drive.get_root()
    drive_hub.onedrive.set_fault(
        "status", path="/v1.0/", status=401, code="InvalidAuthenticationToken"
    )
    drive_hub.onedrive.set_fault("aadsts", code=50173)
    with pytest.raises(ConnectionLostError):
        drive.get_root()
    info = status.describe_connection(drive_hub.session, drive_hub.clients)
    assert info.state == "needs_reconnect"
    asked = len(drive_hub.onedrive.log())
    with pytest.raises(ConnectionLostError):
        drive_hub.clients.open_drive(account.id).get_root()
    assert len(drive_hub.onedrive.log()) == asked, "neither Graph nor Microsoft is asked again"


def test_a_pause_reaches_other_processes(either_drive_hub: DriveHub) -> None:
    hub = either_drive_hub
    account = hub.connect()
    other = build_clients(hub.engine, hub.settings).open_drive(account.id)
    fault = hub.onedrive.set_fault("status", path="/v1.0/", status=429, retry_after=60)
    with pytest.raises(ServiceBusyError):
        hub.open_drive().get_root()
    hub.onedrive.clear_faults(fault)
    time.sleep(1.05)  # what is known of an account is believed for a second
    asked = len(hub.onedrive.log())
    with pytest.raises(ServiceBusyError) as caught:
        other.get_root()
    assert 50 < caught.value.retry_after_seconds <= 60
    assert len(hub.onedrive.log()) == asked
    info = status.describe_connection(hub.session, hub.clients)
    assert info.paused_until is not None
    assert info.last_throttled_at is not None


def test_a_pause_that_is_over_lets_calls_through(drive_hub: DriveHub) -> None:
    account = drive_hub.connect()
    accounts.set_pause(drive_hub.session, account.id, 60)
    drive_hub.session.execute(
        update(DriveAccount).values(paused_until=now_utc() - timedelta(seconds=1))
    )
    drive_hub.session.commit()
    assert drive_hub.open_drive().get_root().id


def test_a_worker_lets_others_go_first_after_a_pause(drive_hub: DriveHub) -> None:
    account = drive_hub.connect()
    clients = build_clients(drive_hub.engine, drive_hub.settings, head_start_seconds=3.0)
    began = time.monotonic()
    accounts.set_pause(drive_hub.session, account.id, 0)
    asked = len(drive_hub.onedrive.log())
    with ThreadPoolExecutor(1) as pool:
        work = pool.submit(lambda: clients.open_drive(account.id).get_root())
        assert drive_hub.open_drive().get_root().id
        assert len(drive_hub.onedrive.log()) > asked
        assert work.result().id
    assert time.monotonic() - began >= 3.0
    # A head start without a pause would only be a delay.
    drive = clients.open_drive(account.id)
    assert isinstance(drive, GraphDrive)
    assert drive._caller._access.get_pause() == 0.0


def test_a_call_that_worked_is_remembered(drive_hub: DriveHub) -> None:
    drive_hub.connect()
    info = status.describe_connection(drive_hub.session, drive_hub.clients)
    assert info.last_success_at is None
    drive_hub.open_drive().get_root()
    info = status.describe_connection(drive_hub.session, drive_hub.clients)
    assert info.last_success_at is not None


def test_an_account_disconnected_elsewhere_is_noticed_within_seconds(drive_hub: DriveHub) -> None:
    drive_hub.connect()
    drive = drive_hub.open_drive()
    drive.get_root()
    drive_hub.disconnect()
    time.sleep(1.05)
    with pytest.raises(ConnectionLostError):
        drive.get_root()
