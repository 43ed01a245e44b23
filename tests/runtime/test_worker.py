"""A worker while what it depends on fails: nothing is lost, and its log stays readable."""

import os
import shutil
import subprocess
from collections.abc import Callable
from datetime import timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

import pytest

from imagehub.database import get_database_time, now_utc
from imagehub.domain.imports import claims
from imagehub.domain.onedrive import accounts, status
from imagehub.errors import ServiceBusyError, ServiceError
from imagehub.queue import JobQueue, check_queue
from imagehub.runtime.timing import Timing
from imagehub.runtime.worker import Worker
from tests.clients.s3_relay import refuse, run_relay
from tests.fixtures.database import MariaDB
from tests.fixtures.importing import ImportHub
from tests.fixtures.programs import wait_until
from tests.fixtures.redis import run_redis
from tests.fixtures.s3 import run_embedded_s3
from tests.support import get_free_port

# Leases that no test outlives: only what is returned on purpose is imported again.
PATIENT = Timing(lease_seconds=600.0, heartbeat_seconds=0.3, sweep_seconds=0.3, grace_seconds=1.0)


def assert_readable(caplog: pytest.LogCaptureFixture, *words: str) -> None:
    """Assert that the log has these words and no stack trace."""
    traces = [record.getMessage() for record in caplog.records if record.exc_info]
    assert traces == []
    for word in words:
        assert word in caplog.text


def assert_complete(hub: ImportHub, job_id: int, count: int) -> None:
    """Assert that a job imported each file once and left nothing over."""
    report = hub.finish_job(job_id)
    assert (report.done_count, report.failed_count) == (count, 0)
    assert len(hub.list_images()) == count
    assert {item.suspicion for item in hub.list_items(job_id)} == {0}, "no file is to blame"


def test_a_database_that_is_killed_costs_an_import_only_time(
    make_import_hub: Callable[..., ImportHub],
    mortal_mariadb: MariaDB,
    start_here: Callable[..., Worker],
    caplog: pytest.LogCaptureFixture,
) -> None:
    hub = make_import_hub(mortal_mariadb.create_database())
    job_id = hub.create(hub.put_pictures("Works", 6))
    slow = hub.onedrive.set_fault("delay", seconds=1.0, path="/items/")
    worker = start_here(hub, PATIENT)
    wait_until(lambda: worker.count_active_items() == 4)
    caplog.clear()
    with mortal_mariadb.power_cut():
        wait_until(lambda: worker.count_active_items() == 0)
        hub.onedrive.clear_faults(slow)
        wait_until(lambda: "Could not renew leases" in caplog.text)
        wait_until(lambda: "Could not sweep" in caplog.text)
    assert_complete(hub, job_id, 6)
    assert_readable(caplog, "the database did not answer")
    hub.check_stores_agree()


def test_after_an_outage_of_the_database_expired_leases_do_not_count(
    import_hub: ImportHub,
) -> None:
    """Their workers could not renew them, and do so within one heartbeat."""
    hub = import_hub
    job_id = hub.create(hub.put_pictures("Works", 1))
    claim = hub.claim(job_id, "me")
    hub.end_leases(job_id)
    assert claims.sweep(hub.session, recovers=False).returned_count == 0
    assert claims.renew_claims(hub.session, "me", [claim.item.id]) == 1
    assert hub.sweep().returned_count == 0


def test_a_redis_that_dies_and_returns_costs_an_import_only_time(
    make_import_hub: Callable[..., ImportHub],
    sqlite_url: str,
    start_here: Callable[..., Worker],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    port = get_free_port()
    with run_redis(tmp_path, port) as url:
        hub = make_import_hub(sqlite_url, IMAGEHUB_QUEUE_URL=url)
        first = hub.put_pictures("First", 6)
        second = hub.put_pictures("Second", 3, first=10)
        hub.onedrive.set_fault("delay", seconds=0.3, path="/items/", times=8)
        start_here(hub)
        job_id = hub.ask(first)
        hub.wait_until(job_id, lambda report: report.done_count > 0)
    report = check_queue(hub.settings, hub.session)
    assert not report.is_ok
    assert "imports continue, but slower" in report.sentence
    later = hub.ask(second)  # An admin's request does not fail either.
    assert hub.finish_job(job_id).done_count == 6
    assert hub.finish_job(later).done_count == 3
    wait_until(lambda: "Error reading from queue" in caplog.text)
    assert_readable(caplog, "The queue does not answer; processing items without it")
    with run_redis(tmp_path, port):
        wait_until(lambda: check_queue(hub.settings, hub.session).is_ok)
        third = hub.ask(hub.put_pictures("Third", 2, first=20))
        assert hub.finish_job(third).done_count == 2
        wait_until(lambda: not JobQueue(hub.settings).count_calls())
    assert_readable(caplog)
    hub.check_stores_agree()


def test_a_full_disk_of_the_embedded_storage_costs_an_import_only_time(
    make_import_hub: Callable[..., ImportHub], sqlite_url: str, tmp_path: Path
) -> None:
    """The storage has a file system of its own, of a megabyte, which ends with the server."""
    folder = tmp_path / "objects"
    folder.mkdir()
    mount = f'mount -t tmpfs -o size=1m tmpfs "{folder}" && exec "$@"'
    within = ("unshare", "--user", "--map-root-user", "--mount", "sh", "-c", mount, "sh")
    if shutil.which("unshare") is None or subprocess.run([*within, "true"], check=False).returncode:
        pytest.skip("this machine permits no namespaces of users")
    with run_embedded_s3(folder, within=within) as (_, address):
        hub = make_import_hub(sqlite_url, IMAGEHUB_S3_ENDPOINT_URL=address)
        store = hub.clients.store
        job_id = hub.create(hub.put_pictures("Works", 1))
        with pytest.raises(ServiceError) as caught:
            for number in range(20):
                size = 4_096 if number else 1_000_000
                store.put_object(f"filler/{number}", os.urandom(size), "text/plain")
        assert hub.work(job_id) == ["queued"]
        assert hub.report(job_id).waiting_reason == str(caught.value)
        assert "disk may be full" in str(caught.value)
        store.delete_objects(f"filler/{n}" for n in range(20))
        hub.make_due(job_id)
        assert hub.work(job_id) == ["done"]
        hub.reconcile()
        hub.check_stores_agree()


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ({"kind": "status", "status": 429, "retry_after": 600}, "busy"),
        ({"kind": "status", "status": 503, "retry_after": 600}, "busy"),
        ({"kind": "garbage", "body": "<h1>Down for maintenance</h1>"}, "could not be read"),
        ({"kind": "garbage", "body": '{"id": "A1", "name": "00'}, "could not be read"),
    ],
    ids=["429", "503", "garbage", "half an answer"],
)
def test_an_import_waits_until_onedrive_answers_properly(
    import_hub: ImportHub, fault: dict[str, Any], words: str
) -> None:
    hub = import_hub
    job_id = hub.create(hub.put_pictures("Works", 1))
    hub.onedrive.set_fault(**fault, path="/v1.0/")
    assert hub.work(job_id) == ["queued"]
    assert words in hub.report(job_id).waiting_reason
    assert hub.list_images() == []
    hub.onedrive.clear_faults()
    if fault.get("retry_after"):
        account = hub.look()
        assert account.paused_until is not None
        # As if ten minutes had passed, for a process that starts now.
        account.paused_until = None
        hub.session.commit()
        hub.clients = hub.with_settings().clients
    hub.make_due(job_id)
    assert hub.work(job_id) == ["done"]
    hub.check_stores_agree()


# --- A wrong clock --------------------------------------------------------------------------------


@pytest.mark.parametrize("hours", [-2, 2])
def test_work_goes_on_where_this_machine_and_the_database_differ_by_hours(
    make_import_hub: Callable[..., ImportHub], mariadb_url: str, hours: int
) -> None:
    """Leases, delays and pauses are counted by the database's clock alone."""
    moved = quote_plus(f"SET timestamp = UNIX_TIMESTAMP() + {hours * 3600}")
    hub = make_import_hub(f"{mariadb_url}&init_command={moved}")
    away = get_database_time(hub.session) - now_utc()
    assert abs(away - timedelta(hours=hours)) < timedelta(minutes=5)
    job_id = hub.create(hub.put_pictures("Works", 2))
    fault = hub.onedrive.set_fault("status", status=429, retry_after=60, path="/items/")
    assert hub.process(hub.claim(job_id)) == "queued"
    hub.onedrive.clear_faults(fault)
    waiting, due = hub.list_items(job_id)
    assert 50 < (waiting.available_at - due.available_at).total_seconds() < 90
    assert status.describe_connection(hub.session, hub.clients).paused_until is not None
    with pytest.raises(ServiceBusyError) as caught:
        hub.with_settings().clients.open_drive(hub.account_id).get_root()
    assert 50 < caught.value.retry_after_seconds <= 60
    accounts.set_pause(hub.session, hub.account_id, 0)
    hub.look().paused_until = None
    hub.session.commit()
    hub.clients = hub.with_settings().clients
    assert hub.work(job_id) == ["done"], "the other file is due"


@pytest.mark.parametrize(("hours", "words"), [(-2, "behind"), (2, "ahead of")])
def test_an_import_waits_for_the_clock_that_the_storage_refuses(
    import_hub: ImportHub, hours: int, words: str
) -> None:
    hub = import_hub
    job_id = hub.create(hub.put_pictures("Works", 1))
    with run_relay(hub.settings.s3_url) as relay:
        # To a server whose clock is right, a request of this machine looks like this.
        minutes = hours * 60
        date = format_datetime(now_utc() - timedelta(minutes=minutes), usegmt=True)
        relay.decide = lambda request: refuse("RequestTimeTooSkewed", 403, Date=date)
        far = hub.with_settings(s3_endpoint_url=relay.url).clients.store
        assert hub.process(hub.claim(job_id), store=far) == "queued"
    reason = hub.report(job_id).waiting_reason
    assert f"about 120 minutes {words}" in reason
    hub.make_due(job_id)
    assert hub.work(job_id) == ["done"]
