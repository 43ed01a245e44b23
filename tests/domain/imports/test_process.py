"""What a worker does with an item, with a real drive, real storage and a real renderer."""

import io
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, BinaryIO, cast

import pytest
from PIL import Image as Picture
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from imagehub.database import now_utc
from imagehub.domain.imports import claims as imports_claims
from imagehub.domain.imports import jobs, looks, process
from imagehub.domain.imports.previews import WAITING_REASON
from imagehub.domain.imports.scratch import Scratch
from imagehub.domain.library import bulk, groups, private_data
from imagehub.domain.library import images as library_images
from imagehub.domain.objects import bookkeeping
from imagehub.domain.onedrive import status
from imagehub.errors import ConnectionLostError
from imagehub.imaging.pool import RenderPool
from imagehub.imaging.private_data import FileSource, PrivateData, look
from imagehub.imaging.private_data.blanks import apply_blanks
from imagehub.models import DriveAccount, Group, Image, ImportItem, ImportJob, StoredObject
from tests.fixtures.importing import ImportHub, make_jpeg
from tests.fixtures.s3 import run_embedded_s3
from tests.imaging.private_data import files
from tests.support import get_free_port


def test_a_worker_makes_a_folder_a_group_in_its_order(either_import_hub: ImportHub) -> None:
    hub = either_import_hub
    selection = hub.put_pictures("Harbour", 6)
    with hub.working():
        report = hub.finish_job(hub.ask(selection))
    assert (report.done_count, report.failed_count) == (6, 0)
    group = hub.get_only_group()
    assert (group.title, group.is_shown, group.image_count) == ("Harbour", True, 6)
    images = hub.list_images()
    assert [image.name for image in images] == [f"{n:04}.jpg" for n in range(6)]
    assert [image.number for image in images] == [1, 2, 3, 4, 5, 6]
    assert group.cover_id == images[0].id
    hub.check_stores_agree()
    assert hub.reconcile().is_clean


def test_an_import_notes_what_is_private(import_hub: ImportHub) -> None:
    hub = import_hub
    private = files.make_jpeg()
    contents = {"a.jpg": private, "b.jpg": make_jpeg(2), "c.jpg": private + bytes(9)}
    # Nothing in the first picture says that a second one follows.
    contents["d.jpg"] = make_jpeg(4) + private
    job_id = hub.create(hub.put_files("Works", contents))
    assert hub.work(job_id) == ["done"] * 4
    images = hub.list_images()
    states = [image.private_state for image in images]
    assert states == ["removable", "none", "removable", "removable"]
    assert private_data.count_found(hub.session, job_id) == private_data.Counts(3, 3, 0)
    rows = private_data.find_rows(hub.session, [image.id for image in images])
    row = rows[images[0].id]
    assert (row.drive_hash, row.size_bytes) == (images[0].drive_hash, len(private))
    assert row.kinds == "place person device"
    cleaned = b"".join(apply_blanks([private], private_data.read_found(row).blanks))
    assert not [secret for secret in files.SECRETS if secret in cleaned]
    assert looks.find_progress(hub.session) is None, "nothing is left to look into"
    # Renditions carry no metadata at all.
    for rendition in images[0].renditions:
        data = hub.clients.store.get_object(rendition.object_key)
        assert look(FileSource(io.BytesIO(data))) == PrivateData()
        with Picture.open(io.BytesIO(data)) as picture:
            assert not picture.info.keys() & {"exif", "xmp", "icc_profile"}
    # A new version is looked into anew.
    hub.put_files("Works", {"a.jpg": make_jpeg(7)})
    newer: dict[int, int] = {}
    jobs.add_remakes(hub.session, [images[0].id], newer)
    hub.session.commit()
    assert hub.work(newer[hub.account_id]) == ["done"]
    assert hub.list_images()[0].private_state == "none"


def test_an_image_keeps_the_facts_of_its_original(import_hub: ImportHub) -> None:
    hub = import_hub
    data = make_jpeg(1)
    job_id = hub.create(hub.put_files("Works", {"front.jpg": data}))
    assert hub.work(job_id) == ["done"]
    [image] = hub.list_images()
    item = hub.open_drive().get_item(image.drive_item_id)
    assert (image.etag, image.ctag) == (item.etag, item.ctag)
    assert (image.size_bytes, image.quick_xor_hash) == (len(data), item.quick_xor_hash)
    assert (image.width_px, image.height_px, image.mime_type) == (300, 200, "image/jpeg")
    assert (image.folder_name, image.role) == ("Works", "front")
    assert image.thumbhash
    assert image.dominant_color.startswith("#")
    rendition = library_images.pick_rendition(image, 480)
    assert (rendition.width_px, rendition.height_px) == (300, 200)
    stored = hub.clients.store.get_object(rendition.object_key)
    assert stored[:4] == b"RIFF"
    assert len(stored) == rendition.size_bytes
    [entry] = hub.list_items(job_id)
    assert (entry.image_id, entry.size_bytes, entry.lease_owner) == (image.id, len(data), "")


def test_an_image_keeps_which_colour_profile_was_assumed(import_hub: ImportHub) -> None:
    hub = import_hub
    print_file = io.BytesIO()
    Picture.new("CMYK", (64, 64), (255, 0, 0, 0)).save(print_file, "TIFF")
    files = {"1-print.tif": print_file.getvalue(), "2-photo.jpg": make_jpeg(1)}
    assert hub.work(hub.create(hub.put_files("Works", files))) == ["done", "done"]
    assert [image.assumed_profile for image in hub.list_images()] == ["FOGRA39", ""]


def test_broken_files_fail_alone_and_say_why(import_hub: ImportHub) -> None:
    hub = import_hub
    good = make_jpeg(2, (900, 600))
    files = {
        "1-good.jpg": good,
        "2-cut.jpg": good[: len(good) // 2],
        "3-words.jpg": b"These are words and no picture at all. " * 30,
        "4-empty.jpg": b"",
        "5-song.mp3": b"ID3\4" + b"\0" * 200,
        "6-good.jpg": make_jpeg(3),
    }
    job_id = hub.create(hub.put_files("Mixed", files))
    hub.work(job_id)
    report = hub.report(job_id)
    assert report.is_finished
    assert report.done_count == 2
    assert [item.file_name for item in report.failed] == sorted(files)[1:5]
    assert all(item.reason.endswith(".") for item in report.failed)
    assert "audio" in report.failed[3].reason
    assert [image.name for image in hub.list_images()] == ["1-good.jpg", "6-good.jpg"]
    hub.check_stores_agree()


def test_files_that_are_not_there_or_not_to_be_seen_fail(import_hub: ImportHub) -> None:
    hub = import_hub
    selection = hub.put_pictures("Works", 2)
    job_id = hub.create(selection)
    (hub.onedrive.root / "Works" / "0000.jpg").unlink()
    assert sorted(hub.work(job_id)) == ["done", "failed"]
    [failed] = hub.report(job_id).failed
    assert failed.reason == "This file is no longer in OneDrive, or not inside the root folder."


def test_files_outside_the_root_folder_are_not_imported(
    make_import_hub: Callable[..., ImportHub], sqlite_url: str, onedrive: object
) -> None:
    hub = make_import_hub(sqlite_url)
    outside = hub.put_pictures("Private", 1)
    hub.put_pictures("Public", 1)
    bounded = hub.with_settings(root_folder="/Public")
    job_id = hub.create(outside)
    hub.process(hub.claim(job_id), open_drive=bounded.clients.open_drive)
    [failed] = hub.report(job_id).failed
    assert "not inside the root folder" in failed.reason
    assert hub.list_images() == []


def test_a_file_of_two_jobs_is_imported_once(either_import_hub: ImportHub) -> None:
    hub = either_import_hub
    first = hub.create(hub.put_pictures("Works", 1))
    [item] = hub.list_items(first)
    second = hub.create(hub.select_folder("Works", group=item.group_id))
    assert hub.work(first) == ["done"]
    assert hub.work(second) == ["skipped"]
    [image] = hub.list_images()
    assert [i.image_id for i in hub.list_items(second)] == [image.id]
    assert hub.report(second).is_finished
    # The pins of the one that came too late are no danger, and go.
    hub.reconcile()
    hub.check_stores_agree()


def test_a_file_may_be_in_two_groups_with_one_set_of_objects(import_hub: ImportHub) -> None:
    hub = import_hub
    hub.work(hub.create(hub.put_pictures("Works", 1)))
    keys = hub.list_keys()
    hub.work(hub.create(hub.select_folder("Works")))
    assert len(hub.list_images()) == 2
    assert hub.list_keys() == keys
    hub.check_stores_agree()


def test_concurrent_claims_get_different_items(either_import_hub: ImportHub) -> None:
    hub = either_import_hub
    job_id = hub.create(hub.put_pictures("Works", 12))
    claimed: list[int] = []

    def claim_all(owner: str) -> None:
        with Session(hub.engine) as session:
            while claim := imports_claims.claim_item(session, job_id, owner):
                claimed.append(claim.item.id)

    threads = [threading.Thread(target=claim_all, args=(f"w{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(claimed) == [item.id for item in hub.list_items(job_id)]


def test_work_after_a_lost_lease_is_discarded(either_import_hub: ImportHub) -> None:
    hub = either_import_hub
    job_id = hub.create(hub.put_pictures("Works", 1))
    slow = hub.claim(job_id, "slow")
    hub.end_leases(job_id)
    assert hub.sweep().returned_count == 1
    quick = hub.claim(job_id, "quick")
    assert hub.process(slow) == "lost"
    assert hub.list_images() == []
    assert hub.process(quick) == "done"
    assert hub.process(slow) == "lost"
    assert len(hub.list_images()) == 1


def test_a_heartbeat_keeps_items_and_only_their_owners(import_hub: ImportHub) -> None:
    hub = import_hub
    job_id = hub.create(hub.put_pictures("Works", 2))
    mine, theirs = hub.claim(job_id, "me"), hub.claim(job_id, "them")
    hub.end_leases(job_id)
    both = [mine.item.id, theirs.item.id]
    assert imports_claims.renew_claims(hub.session, "me", both) == 1
    assert hub.sweep().returned_count == 1
    assert [item.state for item in hub.list_items(job_id)] == ["running", "queued"]


def test_a_stopping_worker_queues_its_items_again(import_hub: ImportHub) -> None:
    hub = import_hub
    job_id = hub.create(hub.put_pictures("Works", 2))
    claim = hub.claim(job_id, "me")
    assert imports_claims.release_claims(hub.session, "me") == 1
    assert hub.process(claim) == "lost"
    assert hub.work(job_id) == ["done", "done"]
    assert [item.suspicion for item in hub.list_items(job_id)] == [0, 0]


def test_a_file_that_crashes_workers_fails(import_hub: ImportHub) -> None:
    hub = import_hub
    job_id = hub.create(hub.put_pictures("Works", 1))
    for _ in range(3):
        hub.make_due(job_id)
        hub.claim(job_id, "doomed")
        hub.end_leases(job_id)
        found = hub.sweep()
    assert found.failed_count == 1
    report = hub.report(job_id)
    assert report.is_finished
    assert report.failed[0].reason == imports_claims.STOPPED_REASON


def test_files_claimed_beside_it_return_one_by_one_and_are_less_suspect(
    import_hub: ImportHub,
) -> None:
    hub = import_hub
    job_id = hub.create(hub.put_pictures("Works", 4))
    for _ in range(3):
        hub.make_due(job_id)
        for _ in range(4):
            hub.claim(job_id, "doomed")
        hub.end_leases(job_id)
        assert hub.sweep().returned_count == 4
    items = hub.list_items(job_id)
    assert [item.suspicion for item in items] == [3, 3, 3, 3]
    assert len({item.available_at for item in items}) == 4
    hub.make_due(job_id)
    assert hub.work(job_id) == ["done"] * 4


def test_throttling_only_costs_time(import_hub: ImportHub) -> None:
    hub = import_hub
    selection = hub.put_pictures("Works", 3)
    job_id = hub.create(selection)
    hub.onedrive.set_fault("status", status=429, retry_after=60, path="/items/")
    assert hub.process(hub.claim(job_id)) == "queued"
    first = hub.list_items(job_id)[0]
    assert first.attempt_count == 0, "a pause that OneDrive asked for is no fault of the file"
    assert first.available_at > now_utc() + timedelta(seconds=50)
    assert "busy" in hub.report(job_id).waiting_reason
    hub.onedrive.clear_faults()
    account = hub.look()
    account.paused_until = None
    hub.session.commit()
    hub.make_due(job_id)
    fresh = hub.with_settings()
    while claim := imports_claims.claim_item(hub.session, job_id, "here"):
        assert hub.process(claim, open_drive=fresh.clients.open_drive) == "done"
    assert hub.report(job_id).waiting_reason == ""


def test_a_worker_waits_through_short_throttling(import_hub: ImportHub) -> None:
    hub = import_hub
    selection = hub.put_pictures("Works", 8)
    hub.onedrive.set_fault("status", status=429, retry_after=0.5, path="/items/", skip=4, times=4)
    with hub.working():
        report = hub.finish_job(hub.ask(selection))
    assert (report.done_count, report.failed_count) == (8, 0)
    assert sum(entry["status"] == 429 for entry in hub.onedrive.log()) == 4
    hub.check_stores_agree()


def test_a_file_that_is_not_sent_is_retried_and_fails_at_last(import_hub: ImportHub) -> None:
    hub = import_hub
    job_id = hub.create(hub.put_pictures("Works", 1))
    hub.onedrive.set_fault("download_url_expired")
    states = []
    while not states or states[-1] == "queued":
        states.append(hub.process(hub.claim(job_id)))
        hub.make_due(job_id)
    assert states == ["queued"] * (process.MAX_ATTEMPTS - 1) + ["failed"]
    assert hub.list_keys() == set()
    hub.onedrive.clear_faults()
    assert jobs.retry_items(hub.session, job_id) == 1
    hub.session.commit()
    assert hub.work(job_id) == ["done"]


def test_a_retry_waits_through_an_outage_however_old_its_import_is(
    either_import_hub: ImportHub,
) -> None:
    hub = either_import_hub
    job_id = hub.create(hub.put_pictures("Works", 2))
    hub.onedrive.set_fault("corrupted_download")
    old = now_utc() - process.MAX_WAIT - timedelta(hours=1)
    first, second = hub.list_items(job_id)
    jobs.get_job(hub.session, job_id).created_at = old
    first.asked_at, second.asked_at = old, None
    hub.session.commit()
    assert [hub.process(hub.claim(job_id)) for _ in range(2)] == ["failed", "failed"]
    assert jobs.retry_items(hub.session, job_id) == 2
    hub.session.commit()
    assert [hub.process(hub.claim(job_id)) for _ in range(2)] == ["queued", "queued"]


def test_delays_grow_up_to_five_minutes(import_hub: ImportHub) -> None:
    hub = import_hub
    job_id = hub.create(hub.put_pictures("Works", 1))
    hub.onedrive.set_fault("download_url_expired")
    for attempts, least, most in ((0, 1, 2), (3, 8, 16), (10, 150, 300)):
        [item] = hub.list_items(job_id)
        item.attempt_count = attempts
        hub.session.commit()
        hub.make_due(job_id)
        began_at = now_utc()
        assert hub.process(hub.claim(job_id)) == "queued"
        [item] = hub.list_items(job_id)
        delay = (item.available_at - began_at).total_seconds()
        # The work itself takes a moment too, before the delay begins.
        assert least <= delay <= most + 60


def test_an_expired_token_is_refreshed_on_the_way(import_hub: ImportHub) -> None:
    hub = import_hub
    job_id = hub.create(hub.put_pictures("Works", 4))
    assert hub.process(hub.claim(job_id)) == "done"
    hub.onedrive.expire_access_tokens()
    assert hub.work(job_id) == ["done"] * 3
    assert hub.count_refreshes() == 1


def test_an_import_waits_for_a_lost_connection_and_goes_on_after_a_sign_in(
    import_hub: ImportHub,
) -> None:
    hub = import_hub
    job_id = hub.create(hub.put_pictures("Works", 4))
    assert hub.process(hub.claim(job_id)) == "done"
    hub.onedrive.revoke(access_tokens=True)
    assert hub.work(job_id) == ["queued"], "one attempt is enough for all"
    report = hub.report(job_id)
    assert (report.queued_count, report.failed_count, report.is_finished) == (3, 0, False)
    assert "connect" in report.waiting_reason or "sign" in report.waiting_reason
    assert [item.attempt_count for item in hub.list_items(job_id)] == [0] * 4
    with pytest.raises(ConnectionLostError):
        hub.get_token()
    hub.connect()
    other = hub.create(hub.put_pictures("Others", 1))
    late = {"available_at": now_utc() + timedelta(hours=3), "reason": WAITING_REASON}
    hub.session.execute(update(ImportItem).where(ImportItem.job_id == other).values(late))
    jobs.take_jobs_to_wake(hub.session)
    assert jobs.resume_waiting(hub.session, hub.account_id) == 3
    assert dict(jobs.take_jobs_to_wake(hub.session)) == {job_id: 3}
    hub.session.commit()
    assert hub.report(other).waiting_reason == WAITING_REASON, "it waits for a preview"
    assert hub.report(job_id).waiting_reason == ""
    fresh = hub.with_settings()
    while claim := imports_claims.claim_item(hub.session, job_id, "here"):
        assert hub.process(claim, open_drive=fresh.clients.open_drive) == "done"
    assert len(hub.list_images()) == 4


@pytest.mark.parametrize("code", [53003, 90094, 50011, 7000215])
def test_an_import_waits_for_an_administrator_and_goes_on_by_itself(
    import_hub: ImportHub, code: int
) -> None:
    hub = import_hub
    job_id = hub.create(hub.put_pictures("Works", 3))
    hub.onedrive.expire_access_tokens()
    fault = hub.onedrive.set_fault("aadsts", code=code)
    for _ in range(13):
        assert hub.work(job_id) == ["queued"]
        hub.make_due(job_id)
    report = hub.report(job_id)
    assert (report.queued_count, report.failed_count) == (3, 0)
    assert report.waiting_reason == status.describe_connection(hub.session, hub.clients).reason
    hub.onedrive.clear_faults(fault)
    hub.let_quiet_time_pass()
    assert hub.work(job_id) == ["done"] * 3


def test_an_import_waits_a_month_and_not_for_an_account_that_was_disconnected(
    import_hub: ImportHub,
) -> None:
    hub = import_hub
    job_id = hub.create(hub.put_pictures("Works", 2))
    hub.onedrive.revoke(access_tokens=True)
    hub.session.execute(update(ImportJob).values(created_at=now_utc() - timedelta(days=31)))
    hub.session.execute(update(ImportItem).values(asked_at=None))
    hub.session.commit()
    assert hub.work(job_id) == ["failed"]
    hub.session.execute(update(DriveAccount).values(state="disconnected", state_code=""))
    hub.session.commit()
    hub.make_due(job_id)
    assert hub.work(job_id) == ["failed"]
    assert hub.report(job_id).is_finished


def test_storage_that_is_away_for_a_while_costs_only_time(
    make_import_hub: Callable[..., ImportHub], sqlite_url: str, tmp_path: Path
) -> None:
    port = str(get_free_port())
    folder = tmp_path / "objects"
    with run_embedded_s3(folder, "--port", port) as (_, address):
        hub = make_import_hub(sqlite_url, IMAGEHUB_S3_ENDPOINT_URL=address)
        selection = hub.put_pictures("Works", 10)
        program = hub.start_worker()
        job_id = hub.ask(selection)
        hub.wait_until(job_id, lambda report: report.done_count >= 2)
    hub.wait_until(job_id, lambda report: report.waiting_reason != "")
    assert hub.report(job_id).failed_count == 0
    with run_embedded_s3(folder, "--port", port):
        report = hub.finish_job(job_id)
        assert program.stop() == 0
        assert (report.done_count, report.failed_count) == (10, 0)
        hub.reconcile()
        hub.check_stores_agree()


def test_a_deleted_bucket_is_created_again(
    make_import_hub: Callable[..., ImportHub], sqlite_url: str
) -> None:
    hub = make_import_hub(sqlite_url)
    job_id = hub.create(hub.put_pictures("Works", 1))
    other = hub.with_settings(s3_bucket=hub.settings.s3_bucket + "-new")
    assert hub.process(hub.claim(job_id), store=other.clients.store) == "done"
    assert len(list(other.clients.store.iter_objects())) == 1


def test_a_picture_that_takes_too_long_fails_alone(import_hub: ImportHub) -> None:
    hub = import_hub
    job_id = hub.create(hub.put_files("Works", {"large.jpg": make_jpeg(1, (6000, 4000))}))
    with RenderPool(processes=1, timeout_seconds=0.01) as hasty:
        assert hub.process(hub.claim(job_id), renderer=hasty) == "failed"
    assert "seconds" in hub.report(job_id).failed[0].reason


def test_an_unexpected_error_is_retried_and_has_a_reference_number(
    import_hub: ImportHub, caplog: pytest.LogCaptureFixture
) -> None:
    hub = import_hub
    job_id = hub.create(hub.put_pictures("Works", 1))

    def open_no_drive(account_id: int) -> None:
        raise ZeroDivisionError("secret details")

    for expected in ("queued", "queued", "failed"):
        hub.make_due(job_id)
        assert hub.process(hub.claim(job_id), open_drive=open_no_drive) == expected
    reason = hub.report(job_id).failed[0].reason
    assert "secret" not in reason
    reference = reason.split("reference number ")[1].removesuffix(").")
    assert reference in caplog.text


def test_a_full_disk_costs_only_time(import_hub: ImportHub) -> None:
    hub = import_hub
    job_id = hub.create(hub.put_pictures("Works", 1))

    class FullFile(io.FileIO):
        """A file on a disk without room: each write gets what the system's full device answers."""

        def write(self, data: Any) -> int:
            with Path("/dev/full").open("wb", buffering=0) as full:
                return full.write(data)

    class FullScratch(Scratch):
        @contextmanager
        def open_file(self) -> Iterator[tuple[BinaryIO, str]]:
            with super().open_file() as (_, path), FullFile(path, "w+b") as file:
                yield cast("BinaryIO", file), path

    scratch = FullScratch(hub.settings.data_dir)
    claim = hub.claim(job_id)
    clients = replace(hub.clients, renderer=hub.renderer)
    assert process.process_item(hub.session, clients, scratch, claim, 10**9) == "queued"
    assert hub.report(job_id).waiting_reason == process.DISK_FULL_REASON
    scratch.close()
    hub.make_due(job_id)
    assert hub.work(job_id) == ["done"]


def test_items_fail_if_their_group_was_deleted_meanwhile(import_hub: ImportHub) -> None:
    hub = import_hub
    job_id = hub.create(hub.put_pictures("Works", 2))
    claim = hub.claim(job_id)
    groups.delete_group(hub.session, hub.get_only_group())
    hub.session.commit()
    assert hub.process(claim) == "failed"
    assert hub.work(job_id) == ["failed"]
    assert {item.reason for item in hub.report(job_id).failed} == {
        "The group was deleted in the meantime."
    }
    hub.reconcile()
    hub.check_stores_agree()


def test_imports_into_a_joined_group_go_to_the_remaining_one(
    either_import_hub: ImportHub,
) -> None:
    """Also what a worker has in hand at that moment, and what has failed before."""
    hub = either_import_hub
    hub.work(hub.create(hub.put_pictures("Works", 1)))
    target = hub.get_only_group().id
    chosen = hub.put_pictures("Later", 2, first=1)
    broken = chosen.files[0][1]
    path = hub.onedrive.root / "Later" / broken
    whole = path.read_bytes()
    path.write_bytes(b"no picture")
    job_id = hub.create(chosen)
    assert hub.process(hub.claim(job_id)) == "failed"
    claim = hub.claim(job_id)
    assert claim.item.group_id is not None
    bulk.join_groups(hub.session, [target, claim.item.group_id], None)
    hub.session.commit()
    assert hub.process(claim) == "done"
    path.write_bytes(whole)
    assert jobs.retry_items(hub.session, job_id) == 1
    hub.session.commit()
    assert hub.work(job_id) == ["done"]
    names = {image.name for image in hub.list_images(target)}
    assert names == {"0000.jpg", *(name for _, name in chosen.files)}


def test_object_keys_deleted_during_an_import_restart_it(import_hub: ImportHub) -> None:
    hub = import_hub
    job_id = hub.create(hub.put_pictures("Works", 1))
    claim = hub.claim(job_id)
    store = hub.clients.store

    class Meddler:
        """The real store, with somebody who clears away what was just written."""

        def __getattr__(self, name: str) -> object:
            return getattr(store, name)

        def put_object(self, key: str, data: bytes, content_type: str) -> None:
            store.put_object(key, data, content_type)
            with Session(hub.engine) as session:
                late = now_utc() + timedelta(hours=2)
                marked, deadline = bookkeeping.mark_unused(session, [key], late)
                bookkeeping.delete_marked(session, hub.clients, marked, deadline)

    assert hub.process(claim, store=Meddler()) == "queued"
    assert hub.list_images() == []
    hub.make_due(job_id)
    assert hub.work(job_id) == ["done"]
    hub.check_stores_agree()


def test_images_can_be_imported_and_deleted_at_once(either_import_hub: ImportHub) -> None:
    """The same picture is imported into one group and deleted from another, again and again."""
    hub = either_import_hub
    hub.put_pictures("Works", 1)
    selection = hub.select_folder("Works")
    for _ in range(4):
        job_id = hub.create(selection, selection)
        claims = [hub.claim(job_id), hub.claim(job_id)]
        doomed = [image.id for image in hub.list_images()]
        threads = [threading.Thread(target=_process, args=(hub, claim)) for claim in claims]
        threads.append(threading.Thread(target=_delete, args=(hub, doomed)))
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        hub.make_due(job_id)
        hub.work(job_id)
        assert hub.report(job_id).done_count == 2
        assert hub.list_keys() >= {
            rendition.object_key for image in hub.list_images() for rendition in image.renditions
        }
    assert hub.reconcile().missing_count == 0
    hub.check_stores_agree()


def _process(hub: ImportHub, claim: imports_claims.Claim) -> None:
    with Session(hub.engine) as session:
        hub.for_thread(session).process(claim)


def _delete(hub: ImportHub, image_ids: list[int]) -> None:
    with Session(hub.engine) as session:
        keys = library_images.delete_images(session, image_ids)
        session.commit()
        bookkeeping.delete_unused(session, hub.clients, keys)


def test_a_repair_makes_renditions_again_in_place(import_hub: ImportHub) -> None:
    hub = import_hub
    hub.work(hub.create(hub.put_pictures("Works", 2)))
    before = hub.list_images()
    [lost, kept] = [image.renditions[0].object_key for image in before]
    hub.clients.store.delete_objects([lost])
    report = hub.reconcile()
    assert (report.missing_count, report.repair_count) == (1, 1)
    # A second run before the repair is done asks for nothing twice.
    assert hub.reconcile().repair_count == 0
    [job_id] = report.repair_job_ids
    assert hub.work(job_id) == ["done"]
    assert [image.id for image in hub.list_images()] == [image.id for image in before]
    assert hub.list_keys() == {lost, kept}
    hub.check_stores_agree()
    assert hub.reconcile().is_clean


def test_a_repair_of_a_changed_original_uses_the_new_version(import_hub: ImportHub) -> None:
    hub = import_hub
    hub.work(hub.create(hub.put_pictures("Works", 1)))
    [image] = hub.list_images()
    old = image.renditions[0].object_key
    (hub.onedrive.root / "Works" / "0000.jpg").write_bytes(make_jpeg(77))
    hub.clients.store.delete_objects([old])
    hub.work(hub.reconcile().repair_job_ids[0])
    [image] = hub.list_images()
    assert image.renditions[0].object_key != old
    assert hub.session.scalars(select(StoredObject.key)).all() == list(hub.list_keys())
    assert hub.session.scalars(select(Image.number)).all() == [1]
    assert hub.session.scalars(select(Group.image_count)).all() == [1]
    hub.check_stores_agree()
