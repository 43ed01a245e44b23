"""Comparing the two stores: what is found, what is mended, and what is left alone."""

import io
from datetime import datetime, timedelta

import pytest
from sqlalchemy import func, select, update

from imagehub.database import now_utc
from imagehub.domain.library import groups, images, search
from imagehub.domain.objects import bookkeeping
from imagehub.domain.site import comparison
from imagehub.domain.site import reconcile as site_reconcile
from imagehub.models import (
    AuditEntry,
    GalleryBucket,
    Group,
    Image,
    ImportItem,
    Lease,
    PendingSignIn,
    Rendition,
    RevokedToken,
    SignInFailure,
    SignInSession,
    StoredObject,
    UploadSession,
    User,
)
from tests.fixtures.importing import ImportHub, make_jpeg
from tests.fixtures.programs import wait_until

ORPHAN = "renditions/ff/ff/" + "ff" * 32 + ".webp"


@pytest.fixture
def hub(import_hub: ImportHub) -> ImportHub:
    """With one group of three images, and everything in order."""
    assert import_hub.work(import_hub.create(import_hub.put_pictures("Works", 3))) == ["done"] * 3
    assert import_hub.reconcile().is_clean
    return import_hub


def put(hub: ImportHub, key: str, data: bytes = b"left over") -> None:
    hub.clients.store.put_object(key, data, "image/webp")


def test_a_dry_run_finds_everything_and_changes_nothing(hub: ImportHub) -> None:
    put(hub, ORPHAN)
    before = hub.list_keys()
    report = hub.reconcile(fix=False)
    assert (report.object_count, report.orphan_count, report.freed_bytes) == (4, 1, 9)
    assert not report.is_clean
    assert "dry run" in report.describe()
    assert hub.list_keys() == before


def test_objects_without_a_row_are_deleted_whatever_their_names(hub: ImportHub) -> None:
    names = [ORPHAN, "renditions/a b.webp", "renditions/AA/ü.txt", "renditions/00/00/0.webp"]
    for name in names:
        put(hub, name)
    put(hub, "somebody-elses/file.txt")
    assert hub.reconcile().orphan_count == 4
    assert hub.list_keys() & set(names) == set()
    assert "somebody-elses/file.txt" in hub.list_keys()
    hub.clients.store.delete_objects(["somebody-elses/file.txt"])
    hub.check_stores_agree()


def test_a_row_saves_an_object_of_any_name(hub: ImportHub) -> None:
    """Where rows were made by another version with other names, they are compared all the same."""
    [image, *_] = hub.list_images()
    odd, lost = "renditions/odd name.webp", "renditions/0000.jpg"
    put(hub, odd)
    sizes = {odd: 9, lost: 5}
    until, _ = bookkeeping.pin_keys(hub.session, sizes)
    bookkeeping.use_keys(hub.session, sizes, until)
    for key, size_px in ((odd, 100), (lost, 200)):
        hub.session.add(
            Rendition(
                image_id=image.id,
                size_px=size_px,
                width_px=1,
                height_px=1,
                size_bytes=9,
                object_key=key,
            )
        )
    hub.session.commit()
    report = hub.reconcile(fix=False)
    assert (report.orphan_count, report.unused_count, report.missing_count) == (0, 0, 1)
    assert hub.reconcile().orphan_count == 0
    assert odd in hub.list_keys()


def test_objects_that_no_image_uses_are_deleted(hub: ImportHub) -> None:
    keys = images.delete_images(hub.session, [hub.list_images()[0].id])
    hub.session.commit()
    report = hub.reconcile()
    assert report.unused_count == len(keys)
    assert report.freed_bytes > 0
    hub.check_stores_agree()


def test_keys_that_a_working_import_has_in_hand_are_left_alone(hub: ImportHub) -> None:
    job_id = hub.create(hub.put_pictures("More", 1, first=9))
    hub.claim(job_id)
    bookkeeping.pin_keys(hub.session, [ORPHAN])
    put(hub, ORPHAN)
    assert hub.reconcile().is_clean
    assert ORPHAN in hub.list_keys()
    # Once nobody works any more, the pin of whoever was killed protects nothing.
    hub.end_leases(job_id)
    assert hub.reconcile().unused_count == 1
    assert ORPHAN not in hub.list_keys()


def test_pins_left_on_objects_in_use_are_taken_off(hub: ImportHub) -> None:
    [key, *_] = hub.list_keys()
    bookkeeping.pin_keys(hub.session, [key])
    assert hub.reconcile().expired_pin_count == 1
    hub.check_stores_agree()


def test_lost_and_damaged_objects_are_made_again(hub: ImportHub) -> None:
    first, second, third = (image.renditions[0].object_key for image in hub.list_images())
    good = hub.clients.store.get_object(second)
    hub.clients.store.delete_objects([first])
    put(hub, second, good[:20])
    report = hub.reconcile()
    assert (report.missing_count, report.repair_count) == (2, 2)
    assert hub.work(report.repair_job_ids[0]) == ["done", "done"]
    assert hub.clients.store.get_object(second) == good
    assert hub.list_keys() == {first, second, third}
    assert hub.reconcile().is_clean


def test_old_objects_that_are_lost_are_believed_from_the_listing(hub: ImportHub) -> None:
    hub.session.execute(update(StoredObject).values(created_at=now_utc() - timedelta(days=9)))
    hub.session.commit()
    hub.clients.store.delete_objects(hub.list_keys())
    assert hub.reconcile(fix=False).missing_count == 3


def test_an_image_without_renditions_is_made_again(hub: ImportHub) -> None:
    [image, *_] = hub.list_images()
    hub.session.query(Rendition).filter_by(image_id=image.id).delete()
    hub.session.commit()
    report = hub.reconcile()
    assert report.repair_count == 1
    hub.work(report.repair_job_ids[0])
    assert hub.reconcile().is_clean
    hub.check_stores_agree()


def test_a_repair_whose_original_is_gone_says_so(hub: ImportHub) -> None:
    [image, *_] = hub.list_images()
    (hub.onedrive.root / "Works" / image.name).unlink()
    hub.clients.store.delete_objects([image.renditions[0].object_key])
    [job_id] = hub.reconcile().repair_job_ids
    assert hub.work(job_id) == ["failed"]
    assert "OneDrive" in hub.report(job_id).failed[0].reason


def test_deletions_that_stopped_half_way_are_finished(hub: ImportHub) -> None:
    keys = images.delete_images(hub.session, [hub.list_images()[0].id])
    hub.session.commit()
    bookkeeping.mark_unused(hub.session, keys)
    assert hub.reconcile().unfinished_count == 0, "its deleter may be alive"
    hub.session.execute(
        update(StoredObject)
        .where(StoredObject.is_deleting.is_(True))
        .values(pinned_until=now_utc() - timedelta(seconds=1))
    )
    hub.session.commit()
    assert hub.reconcile().unfinished_count == len(keys)
    hub.check_stores_agree()


def test_wrong_counts_are_set_right(hub: ImportHub) -> None:
    group_id = hub.get_only_group().id
    hub.session.execute(update(Group).values(image_count=7, cover_id=None, is_shown=False))
    hub.session.execute(update(GalleryBucket).values(shown_count=12))
    hub.session.commit()
    report = hub.reconcile()
    assert report.wrong_group_count == 1
    group = hub.get_only_group()
    assert (group.image_count, group.is_shown) == (3, True)
    assert group.cover_id == hub.list_images(group_id)[0].id
    assert groups.count_shown_groups(hub.session) == 1
    assert hub.reconcile().is_clean


def test_words_for_the_search_are_brought_up_to_date(hub: ImportHub) -> None:
    hub.session.execute(update(Group).values(title="Fishermen at dawn"))
    hub.session.commit()
    assert hub.reconcile(fix=False).stale_search_count == 1
    assert hub.reconcile().stale_search_count == 1
    assert search.list_group_ids(hub.session, "fishermen") == [hub.get_only_group().id]
    assert hub.reconcile().is_clean


def make_empty_group(hub: ImportHub, created_at: datetime, **facts: object) -> int:
    group = Group(title="Empty", created_at=created_at, **facts)
    hub.session.add(group)
    hub.session.commit()
    return group.id


def test_only_forgotten_empty_groups_are_deleted(hub: ImportHub) -> None:
    old = now_utc() - timedelta(days=2)
    forgotten = make_empty_group(hub, old)
    kept = {
        make_empty_group(hub, now_utc()),
        make_empty_group(hub, old, text="Words of a person"),
        make_empty_group(hub, old, version=2),
        make_empty_group(hub, old, state="trash"),
    }
    in_work = make_empty_group(hub, old)
    hub.create(hub.put_pictures("More", 1, first=9))
    hub.session.execute(
        update(ImportItem).where(ImportItem.state == "queued").values(group_id=in_work)
    )
    hub.session.commit()
    assert hub.reconcile(fix=False).empty_group_count == 1
    assert hub.reconcile().empty_group_count == 1
    left = set(hub.session.scalars(select(Group.id)))
    assert forgotten not in left
    assert kept | {in_work} <= left


def test_what_has_run_out_is_deleted(hub: ImportHub) -> None:
    now, old = now_utc(), now_utc() - timedelta(days=30)
    hub.session.add_all(
        [
            PendingSignIn(
                state="old", user_id=hub.user_id, redirect_uri="", flow=b"", created_at=old
            ),
            PendingSignIn(
                state="new", user_id=hub.user_id, redirect_uri="", flow=b"", created_at=now
            ),
            RevokedToken(jti="old", expires_at=old),
            RevokedToken(jti="new", expires_at=now + timedelta(hours=1)),
            SignInFailure(key="old", failed_count=3, last_failed_at=old),
            SignInFailure(key="new", failed_count=3, last_failed_at=now),
            SignInFailure(
                key="blocked", last_failed_at=old, blocked_until=now + timedelta(minutes=1)
            ),
            Lease(name="old", held_until=old),
            Lease(name="held", owner="x", held_until=now + timedelta(minutes=1)),
            UploadSession(key="old", drive_account_id=hub.account_id, address=b"", begun_at=old),
            UploadSession(key="new", drive_account_id=hub.account_id, address=b"", begun_at=now),
        ]
    )
    hub.session.commit()
    leases = hub.session.scalar(select(func.count()).select_from(Lease))
    report = hub.reconcile()
    assert (report.sign_in_count, report.token_count, report.failure_count) == (1, 1, 1)
    assert (report.lease_count, report.upload_count) == (1, 1)
    assert hub.session.scalar(select(func.count()).select_from(Lease)) == (leases or 0) - 1
    assert set(hub.session.scalars(select(RevokedToken.jti))) == {"new"}
    assert set(hub.session.scalars(select(UploadSession.key))) == {"new"}
    assert set(hub.session.scalars(select(SignInFailure.key))) == {"new", "blocked"}


def test_more_rows_than_a_page_are_walked(hub: ImportHub, monkeypatch: pytest.MonkeyPatch) -> None:
    # The size of a page is a bound on memory alone; a small one shows the seams.
    monkeypatch.setattr(comparison, "PAGE", 2)
    monkeypatch.setattr(bookkeeping, "BATCH", 2)
    hub.work(hub.create(hub.put_pictures("More", 5, first=20)))
    lost = [image.renditions[0].object_key for image in hub.list_images()][1:6]
    hub.clients.store.delete_objects(lost)
    orphans = [ORPHAN.replace("ff/ff", f"ff/f{n}") for n in range(5)]
    for name in orphans:
        put(hub, name)
    doomed = images.delete_images(hub.session, [hub.list_images()[-1].id])
    hub.session.commit()
    report = hub.reconcile()
    assert (report.missing_count, report.repair_count) == (5, 5)
    assert (report.orphan_count, report.unused_count) == (5, len(doomed))
    [job_id] = report.repair_job_ids
    assert hub.work(job_id) == ["done"] * 5
    assert hub.report(job_id).is_finished
    hub.check_stores_agree()
    assert hub.reconcile().is_clean


def test_it_works_on_mariadb_too(either_import_hub: ImportHub) -> None:
    hub = either_import_hub
    hub.work(hub.create(hub.put_pictures("Works", 3)))
    put(hub, ORPHAN)
    hub.clients.store.delete_objects([hub.list_images()[1].renditions[0].object_key])
    images.delete_images(hub.session, [hub.list_images()[0].id])
    hub.session.execute(update(Group).values(image_count=7))
    hub.session.commit()
    report = hub.reconcile()
    assert (report.orphan_count, report.unused_count) == (1, 1)
    assert (report.missing_count, report.wrong_group_count) == (1, 1)
    hub.work(report.repair_job_ids[0])
    assert hub.reconcile().is_clean
    hub.check_stores_agree()


def test_a_picture_with_four_sizes_has_four_objects(import_hub: ImportHub) -> None:
    hub = import_hub
    hub.work(hub.create(hub.put_files("Works", {"large.jpg": make_jpeg(4, (2400, 1600))})))
    assert len(hub.list_keys()) == 4
    assert hub.session.scalars(select(Image.width_px)).one() == 2400
    report = hub.reconcile()
    assert report.is_clean
    assert report.object_count == 4
    stream = io.StringIO(report.describe())
    assert "No problems found." in stream.read()


@pytest.mark.parametrize("by", ["command", "worker"])
def test_the_log_is_kept_for_a_year_and_sessions_while_somebody_comes_back(
    import_hub: ImportHub, by: str
) -> None:
    session, now = import_hub.session, now_utc()
    user = User(name="Ada", name_key="ada", password_hash="-")
    session.add(user)
    session.flush()

    def add_session(word: str, days: float, is_remembered: bool, age_days: float = 40) -> None:
        session.add(
            SignInSession(
                user_id=user.id,
                word_hash=word,
                created_at=now - timedelta(days=age_days),
                last_seen_at=now - timedelta(days=days),
                is_remembered=is_remembered,
            )
        )

    add_session("live", 0.5, False)
    add_session("closed", 1.5, False)
    add_session("remembered", 20, True)
    add_session("forgotten", 31, True)
    add_session("used for 89 days", 0.01, True, 89)
    add_session("used for 91 days", 0.01, True, 91)
    for days in (1, 364, 366, 800):
        at = now - timedelta(days=days)
        session.add(AuditEntry(at=at, verb="change", kind="group", words=f"{days} days ago"))
    session.commit()
    if by == "command":
        report = import_hub.reconcile()
        assert (report.session_count, report.audit_count) == (3, 2)
    else:
        import_hub.start_worker()
        old = select(AuditEntry.id).where(AuditEntry.words == "800 days ago")

        def is_done() -> bool:
            session.rollback()
            return session.scalar(old) is None

        wait_until(is_done, what="the worker has looked")
        assert not site_reconcile.drop_expired_daily(session), "once a day"
        session.execute(update(Lease).values(held_until=now - timedelta(minutes=1)))
        session.commit()
        assert site_reconcile.drop_expired_daily(session)
    kept_words = set(session.scalars(select(SignInSession.word_hash)))
    assert kept_words == {"live", "remembered", "used for 89 days"}
    kept = set(session.scalars(select(AuditEntry.words)))
    assert {"1 days ago", "364 days ago"} <= kept
    assert not kept & {"366 days ago", "800 days ago"}
