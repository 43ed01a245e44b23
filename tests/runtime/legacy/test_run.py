"""``migrate-legacy``: pictures, accounts and the sign-in of the first version."""

import io
import json
import random
from collections.abc import Callable

import pytest
from PIL import Image as Picture
from sqlalchemy import func, select, text
from sqlalchemy.exc import OperationalError

from imagehub.clients.graph_upload import FRAGMENT_BYTES
from imagehub.domain.onedrive import accounts
from imagehub.models import (
    AuditEntry,
    DriveAccount,
    Group,
    Image,
    LegacyRow,
    PrivateData,
    Rendition,
    UploadSession,
    User,
)
from imagehub.runtime.legacy.source import OldDatabase, SourceError, read_url
from imagehub.runtime.legacy.work import MigrationError
from tests.fixtures.importing import ImportHub
from tests.fixtures.legacy import FirstVersion, make_picture, make_text
from tests.fixtures.programs import wait_until


def list_numbers(hub: ImportHub) -> list[tuple[int, int, str, str]]:
    return [(i.group_id, i.number, i.name, i.drive_state) for i in hub.list_images()]


def count(hub: ImportHub, model: type) -> int:
    hub.session.rollback()
    return hub.session.scalar(select(func.count()).select_from(model)) or 0


# --- Pictures -------------------------------------------------------------------------------------


def test_groups_and_images_keep_their_numbers_and_get_new_renditions(
    either_import_hub: ImportHub, first_version: FirstVersion
) -> None:
    hub, old = either_import_hub, first_version
    front, back, other = make_picture(1), make_picture(2, "PNG"), make_picture(3, "GIF")
    hub.put_files("System", {"front.jpg": front, "back.png": back})
    old.add(17, 1, "front.jpg", front, title="Sun")
    old.add(17, 3, "back.png", back, title="Sun")
    old.add(4, 2, "other.gif", other, folder="Elsewhere", title="Moon")
    before = old.take_checksum()

    report = old.migrate(hub)

    assert report.pictures == {
        "read": 3, "made": 3, "matched": 2, "not in OneDrive": 1,
    }  # fmt: skip
    assert not report.has_failed
    assert list_numbers(hub) == [
        (4, 2, "other.gif", "absent"),
        (17, 1, "front.jpg", "ok"),
        (17, 3, "back.png", "ok"),
    ]
    kinds = [image.mime_type for image in hub.list_images()]
    assert kinds == ["image/gif", "image/jpeg", "image/png"]
    assert count(hub, Rendition) == 12
    groups = hub.session.scalars(select(Group).order_by(Group.sort_key.desc())).all()
    assert [(group.id, group.title, group.is_shown) for group in groups] == [
        (17, "Sun", True),
        (4, "Moon", True),
    ]
    assert groups[0].next_image_number == 4
    matched = hub.list_images(17)[0]
    listed = hub.open_drive().find_item_by_path("System/front.jpg")
    assert listed is not None
    assert (matched.drive_account_id, matched.drive_item_id) == (hub.account_id, listed.id)
    assert matched.drive_hash == listed.quick_xor_hash == matched.quick_xor_hash
    assert matched.private_state == "none"
    assert matched.folder_name == "System"
    absent = hub.list_images(4)[0]
    assert (absent.drive_account_id, absent.drive_item_id) == (None, "")
    assert absent.private_state == ""
    assert old.take_checksum() == before
    hub.check_stores_agree()


def test_a_second_run_does_nothing_again(
    import_hub: ImportHub, first_version: FirstVersion
) -> None:
    hub, old = import_hub, first_version
    hub.put_files("System", {"front.jpg": make_picture(1)})
    old.add(1, 1, "front.jpg", make_picture(1))
    old.add(1, 2, "back.jpg", make_picture(2))
    old.add_person("Berta", "sea water")
    old.migrate(hub)
    images = [(image.id, image.updated_at) for image in hub.list_images()]

    report = old.migrate(hub)

    assert report.pictures == {"read": 2, "already here": 2, "not in OneDrive": 1}
    assert report.people == {"read": 1, "already here": 1}
    assert [(image.id, image.updated_at) for image in hub.list_images()] == images
    assert count(hub, User) == 2
    hub.check_stores_agree()


def test_rows_that_were_added_later_come_into_their_groups(
    import_hub: ImportHub, first_version: FirstVersion
) -> None:
    hub, old = import_hub, first_version
    old.add(5, 1, "a.jpg", make_picture(1))
    old.migrate(hub)
    old.add(5, 2, "b.jpg", make_picture(2))
    old.add(3, 1, "c.jpg", make_picture(3))
    report = old.migrate(hub)
    assert (report.pictures["made"], report.pictures["already here"]) == (2, 1)
    assert [row[:2] for row in list_numbers(hub)] == [(3, 1), (5, 1), (5, 2)]
    newest = select(Group.id).order_by(Group.sort_key.desc())
    assert hub.session.scalars(newest).all() == [5, 3]


def test_broken_rows_fail_with_a_reason_and_the_others_come(
    either_import_hub: ImportHub, first_version: FirstVersion
) -> None:
    hub, old = either_import_hub, first_version
    whole = make_picture(9, size=(600, 400))
    old.add(1, 1, "null.jpg", None)
    old.add(1, 2, "empty.jpg", "data:image/png;base64,")
    old.add(1, 3, "no-base64.jpg", "data:image/png;base64,###")
    old.add(1, 4, "plain.jpg", "data:image/png,hello")
    old.add(1, 5, "words.jpg", b"this is no picture")
    old.add(1, 6, "cut.jpg", whole[: len(whole) // 2])
    old.add(1, 7, "twice.jpg", make_text(whole) + "QUJD" + "QQ==QQ==")
    old.add(None, 1, "no-group.jpg", whole)
    old.add(-2, 1, "negative.jpg", whole)
    old.add(1, 0, "zero.jpg", whole)
    old.add(1, 8, "good.jpg", whole)
    old.add(1, 8, "same-number.jpg", whole)
    old.add(1, None, None, make_picture(3))

    report = old.migrate(hub)

    assert (report.pictures["read"], report.pictures["made"]) == (13, 2)
    assert report.pictures["failed"] == 11 == sum(report.reasons.values())
    # A row without a number gets the next one, and without a name the numbers are its name.
    assert list_numbers(hub) == [(1, 8, "good.jpg", "absent"), (1, 9, "1-9", "absent")]
    assert report.reasons["The row has no full picture."] == 2
    assert report.reasons["The row has no usable group number."] == 2
    assert report.reasons["Group 1 has another image 8 in the hub."] == 1
    assert any("row 6 (cut.jpg, group 1)" in line for line in old.said)
    hub.check_stores_agree()
    # Repaired rows come with the next run.
    old.execute(
        "UPDATE imagedb SET full_image = :full WHERE `index` = 6", {"full": make_text(whole)}
    )
    assert old.migrate(hub).pictures["made"] == 1
    assert [row[:2] for row in list_numbers(hub)] == [(1, 6), (1, 8), (1, 9)]


def test_what_the_hub_has_already_stays_and_is_reported(
    import_hub: ImportHub, first_version: FirstVersion
) -> None:
    hub, old = import_hub, first_version
    hub.session.add(Group(id=2, title="Of the hub", sort_key=5))
    hub.session.commit()
    old.add(2, 1, "a.jpg", make_picture(1))
    old.add(3, 1, "b.jpg", make_picture(2))
    report = old.migrate(hub)
    assert report.reasons == {"The hub has another work with the number 2.": 1}
    assert [row[:2] for row in list_numbers(hub)] == [(3, 1)]
    kept = hub.session.get_one(Group, 2)
    assert (kept.title, kept.sort_key, kept.image_count) == ("Of the hub", 5, 0)


def test_what_was_deleted_in_the_hub_does_not_come_back(
    import_hub: ImportHub, first_version: FirstVersion
) -> None:
    hub, old = import_hub, first_version
    old.add(2, 1, "a.jpg", make_picture(1))
    old.migrate(hub)
    hub.session.delete(hub.session.get_one(Group, 2))
    hub.session.commit()
    old.add(2, 2, "b.jpg", make_picture(2))
    report = old.migrate(hub)
    assert report.pictures["already here"] == 1
    assert report.reasons == {"Group 2 was deleted in the hub.": 1}
    assert list_numbers(hub) == []


def test_a_row_that_is_another_picture_now_is_reported(
    import_hub: ImportHub, first_version: FirstVersion
) -> None:
    hub, old = import_hub, first_version
    old.add(2, 1, "a.jpg", make_picture(1))
    old.migrate(hub)
    old.execute("UPDATE imagedb SET image_name = 'b.jpg'")
    assert old.migrate(hub).reasons == {"This row was brought over as a.jpg before.": 1}


# --- OneDrive -------------------------------------------------------------------------------------


def test_files_are_found_by_id_by_name_and_by_their_bytes(
    import_hub: ImportHub, first_version: FirstVersion
) -> None:
    hub, old = import_hub, first_version
    one, two, three, four = (make_picture(n) for n in range(1, 5))
    hub.put_files("System", {"one.jpg": one, "changed.jpg": make_picture(7)})
    hub.put_files("Other", {"one.jpg": three, "renamed.jpg": two})
    by_id = hub.put_files("Third", {"by-id.jpg": four}).files[0][0]
    old.execute("ALTER TABLE imagedb MODIFY image_id VARCHAR(255)")
    old.add(1, "1", "ONE.jpg", one, folder="system")
    old.add(1, "2", "was-two.jpg", two, folder="Gone")
    old.add(1, by_id, "whatever.jpg", four, folder="Gone")
    old.add(1, "5", "changed.jpg", make_picture(5), folder="System")
    old.add(1, "6", "one.jpg", make_picture(6), folder="Nowhere")
    report = old.migrate(hub)
    assert report.pictures["matched"] == 4
    assert list_numbers(hub) == [
        (1, 1, "one.jpg", "ok"),
        (1, 2, "renamed.jpg", "ok"),
        (1, 3, "by-id.jpg", "ok"),
        (1, 5, "changed.jpg", "changed"),
        (1, 6, "one.jpg", "absent"),
    ]
    folders = [image.folder_name for image in hub.list_images()]
    assert folders == ["System", "Other", "Third", "System", "Nowhere"]
    assert any("Not in OneDrive: row 5 (one.jpg, group 1)" in line for line in old.said)
    told = "Changed in OneDrive: row 4 (changed.jpg, group 1), now System/changed.jpg"
    assert old.said.count(told) == 1
    # A check of OneDrive agrees.
    changed = hub.list_images()[3]
    assert changed.drive_hash == changed.quick_xor_hash != ""


def test_without_a_hash_nothing_is_known_about_what_onedrive_sends(
    import_hub: ImportHub, first_version: FirstVersion
) -> None:
    hub, old = import_hub, first_version
    hub.put_files("System", {"a.jpg": make_picture(1)})
    old.add(1, 1, "a.jpg", make_picture(1))
    fault = hub.onedrive.set_fault("hashes_missing")
    report = old.migrate(hub)
    hub.onedrive.clear_faults(fault)
    assert report.pictures["matched"] == 1
    assert list_numbers(hub) == [(1, 1, "a.jpg", "ok")]
    assert hub.list_images()[0].private_state == ""
    assert count(hub, PrivateData) == 0


def test_two_images_of_a_group_do_not_share_a_file(
    import_hub: ImportHub, first_version: FirstVersion
) -> None:
    hub, old = import_hub, first_version
    hub.put_files("System", {"a.jpg": make_picture(1)})
    old.add(1, 1, "a.jpg", make_picture(1))
    old.add(1, 2, "a.jpg", make_picture(1))
    old.add(2, 1, "a.jpg", make_picture(1))
    report = old.migrate(hub)
    assert (report.pictures["matched"], report.pictures["not in OneDrive"]) == (2, 1)
    states = [row[3] for row in list_numbers(hub)]
    assert states == ["ok", "absent", "ok"]
    hub.put_files("Copies", {"copy of a.jpg": make_picture(1)})
    assert old.migrate(hub).pictures["matched"] == 1
    assert [row[3] for row in list_numbers(hub)] == ["ok", "ok", "ok"]
    hub.check_stores_agree()


def test_missing_pictures_are_uploaded_once_and_under_free_names(
    import_hub: ImportHub, first_version: FirstVersion
) -> None:
    hub, old = import_hub, first_version
    first, second = make_picture(1), make_picture(2)
    old.add(1, 1, "a.jpg", first)
    old.add(1, 2, "a.jpg", second)
    old.add(2, 1, "what?", make_picture(3, "PNG"), folder="")
    old.migrate(hub)
    assert [row[3] for row in list_numbers(hub)] == ["absent"] * 3

    report = old.migrate(hub, upload_missing=True)

    assert (report.pictures["uploaded"], report.pictures["already here"]) == (3, 3)
    top = hub.onedrive.root / "ImageHub version 1"
    assert sorted(path.name for path in (top / "System").iterdir()) == ["a 1.jpg", "a.jpg"]
    assert (top / "System/a.jpg").read_bytes() == first
    assert (top / "System/a 1.jpg").read_bytes() == second
    assert (top / "what_.png").read_bytes() == make_picture(3, "PNG")
    assert list_numbers(hub) == [
        (1, 1, "a.jpg", "ok"),
        (1, 2, "a 1.jpg", "ok"),
        (2, 1, "what_.png", "ok"),
    ]
    again = old.migrate(hub, upload_missing=True)
    assert again.pictures == {"read": 3, "already here": 3}
    assert len(list(top.rglob("*.*"))) == 3
    hub.check_stores_agree()


def test_an_upload_whose_row_was_not_written_is_found_again(
    import_hub: ImportHub, first_version: FirstVersion
) -> None:
    """As after a SIGKILL between the two stores."""
    hub, old = import_hub, first_version
    old.add(1, 1, "a.jpg", make_picture(1))
    old.migrate(hub, upload_missing=True)
    for model in (Image, Group, LegacyRow):
        hub.session.query(model).delete()
    hub.session.commit()
    report = old.migrate(hub, upload_missing=True)
    assert (report.pictures["matched"], report.pictures["uploaded"]) == (1, 0)
    assert len(list((hub.onedrive.root / "ImageHub version 1").rglob("*.jpg"))) == 1


def test_an_upload_that_was_killed_half_way_goes_on_where_it_was(
    import_hub: ImportHub, first_version: FirstVersion
) -> None:
    hub, old = import_hub, first_version
    pixels = random.Random(6).randbytes(1100 * 1100 * 3)
    buffer = io.BytesIO()
    Picture.frombytes("RGB", (1100, 1100), pixels).save(buffer, "PNG", compress_level=0)
    data = buffer.getvalue()
    assert FRAGMENT_BYTES < len(data) < 2 * FRAGMENT_BYTES
    old.add(1, 1, "a.png", data)
    fault = hub.onedrive.set_fault("drop", method="PUT", path="uploadSession", skip=1)
    program = old.start_migration(hub, upload_missing=True)
    wait_until(lambda: hub.onedrive.list_faults()[0]["fired"] or not program.is_alive())
    assert program.is_alive()
    program.kill()
    program.join()
    hub.onedrive.clear_faults(fault)
    hub.onedrive.clear_log()

    report = old.migrate(hub, upload_missing=True)

    assert (report.pictures["uploaded"], report.has_failed) == (1, False)
    assert not hub.onedrive.log("POST", "createUploadSession")
    assert len(hub.onedrive.log("PUT", "uploadSession")) == 1, "the rest is one fragment"
    (path,) = (hub.onedrive.root / "ImageHub version 1").rglob("*.png")
    assert (path.name, path.read_bytes()) == ("a.png", data)
    assert list_numbers(hub) == [(1, 1, "a.png", "ok")]
    assert count(hub, UploadSession) == 0
    hub.reconcile()
    hub.check_stores_agree()


def test_a_full_onedrive_fails_the_uploads_and_not_the_pictures(
    import_hub: ImportHub, first_version: FirstVersion
) -> None:
    hub, old = import_hub, first_version
    old.add(1, 1, "a.jpg", make_picture(1))
    old.add(1, 2, "b.jpg", make_picture(2))
    fault = hub.onedrive.set_fault("quota_full")
    report = old.migrate(hub, upload_missing=True)
    hub.onedrive.clear_faults(fault)
    assert (report.pictures["made"], report.pictures["not in OneDrive"]) == (2, 2)
    assert sum(report.reasons.values()) == 1, "the second is not tried"
    assert old.migrate(hub, upload_missing=True).pictures["uploaded"] == 2


def test_without_a_connection_pictures_come_and_are_matched_later(
    import_hub: ImportHub, first_version: FirstVersion
) -> None:
    hub, old = import_hub, first_version
    hub.put_files("System", {"a.jpg": make_picture(1)})
    old.add(1, 1, "a.jpg", make_picture(1))
    hub.disconnect()
    assert old.migrate(hub).pictures["not in OneDrive"] == 1
    with pytest.raises(MigrationError, match="Connect it first"):
        old.migrate(hub, upload_missing=True)
    hub.connect()
    report = old.migrate(hub)
    assert report.pictures == {"read": 1, "already here": 1, "matched": 1}
    assert list_numbers(hub) == [(1, 1, "a.jpg", "ok")]


# --- The sign-in at Microsoft ---------------------------------------------------------------------


def take_refresh_token(hub: ImportHub) -> str:
    """Return the hub's refresh token, and forget the account."""
    account = hub.look()
    cache = json.loads(hub.clients.vault.open(account.token_cache))
    (entry,) = cache["RefreshToken"].values()
    hub.session.delete(account)
    hub.session.commit()
    return str(entry["secret"])


def test_a_living_sign_in_is_taken_over(import_hub: ImportHub, first_version: FirstVersion) -> None:
    hub, old = import_hub, first_version
    hub.put_files("System", {"a.jpg": make_picture(1)})
    old.add(1, 1, "a.jpg", make_picture(1))
    token = take_refresh_token(hub)
    old.add_token(token)
    report = old.migrate(hub)
    assert report.sign_in == "taken over"
    assert report.pictures["matched"] == 1
    account = hub.look()
    assert (account.state, account.is_active) == (accounts.CONNECTED, True)
    assert accounts.may_write(account)
    assert token.encode() not in account.token_cache
    assert token not in "".join([*old.said, report.describe()])
    assert old.migrate(hub).sign_in == "not needed, OneDrive is connected"


def test_a_dead_sign_in_is_tried_once_and_reported(
    import_hub: ImportHub, first_version: FirstVersion
) -> None:
    hub, old = import_hub, first_version
    take_refresh_token(hub)
    old.add(1, 1, "a.jpg", make_picture(1))
    old.add_token("M.C507_BL2.0.U.-of-long-ago")
    report = old.migrate(hub)
    assert (report.sign_in, report.has_failed) == ("refused", True)
    assert report.pictures["made"] == 1
    tried = hub.count_refreshes()
    assert old.migrate(hub).sign_in == "refused"
    assert hub.count_refreshes() == tried == 1
    assert count(hub, DriveAccount) == 0


def test_a_connection_that_an_admin_ended_is_not_renewed(
    import_hub: ImportHub, first_version: FirstVersion
) -> None:
    hub, old = import_hub, first_version
    hub.disconnect()
    old.add_token("a token")
    report = old.migrate(hub)
    assert report.sign_in == "not tried; reconnect OneDrive in the admin pages"
    assert hub.count_refreshes() == 0
    assert hub.look().state == accounts.DISCONNECTED


# --- Accounts -------------------------------------------------------------------------------------


def test_accounts_come_unless_the_name_is_taken_or_the_hash_unknown(
    import_hub: ImportHub, first_version: FirstVersion
) -> None:
    hub, old = import_hub, first_version
    old.add_person("Berta", "sea water")
    old.add_person("ANNA", "not the hub’s Anna")
    old.execute("INSERT INTO userdb (username, password) VALUES ('Carl', 'plain'), (NULL, NULL)")
    report = old.migrate(hub)
    assert report.people == {"read": 4, "made": 1, "already here": 1, "failed": 2}
    hub.session.rollback()
    people = {user.name: user.password_hash for user in hub.session.scalars(select(User))}
    assert people.keys() == {"Anna", "Berta"}
    assert people["Anna"] == "-"
    assert people["Berta"].startswith("$2b$")
    assert people["Berta"] not in "".join([*old.said, report.describe()])


# --- Dry runs, and what cannot begin --------------------------------------------------------------


def test_a_dry_run_reports_the_same_and_changes_nothing(
    import_hub: ImportHub, first_version: FirstVersion
) -> None:
    hub, old = import_hub, first_version
    hub.put_files("System", {"a.jpg": make_picture(1)})
    old.add(1, 1, "a.jpg", make_picture(1))
    old.add(1, 2, "b.jpg", make_picture(2))
    old.add(1, 3, "c.jpg", make_picture(3)[:200])
    old.add_person("Berta", "sea water")
    old.add_token("a token")
    keys, notes = hub.list_keys(), count(hub, AuditEntry)
    report = old.migrate(hub, dry_run=True, upload_missing=True)
    assert report.pictures == {"read": 3, "made": 2, "matched": 1, "uploaded": 1, "failed": 1}
    assert report.people == {"read": 1, "made": 1}
    assert "nothing was changed" in report.describe()
    for model in (Image, Group, LegacyRow):
        assert count(hub, model) == 0
    assert (count(hub, User), count(hub, AuditEntry), hub.list_keys()) == (1, notes, keys)
    assert not (hub.onedrive.root / "ImageHub version 1").exists()
    real = old.migrate(hub, upload_missing=True)
    assert real.pictures == report.pictures


def test_a_dry_run_counts_pictures_that_are_there_twice_as_the_real_run_does(
    import_hub: ImportHub, first_version: FirstVersion
) -> None:
    hub, old = import_hub, first_version
    hub.put_files("System", {"a.jpg": make_picture(1)})
    for group, number in ((1, 1), (1, 2), (2, 1)):
        old.add(group, number, "a.jpg", make_picture(1))
    for group, number in ((3, 1), (3, 2), (4, 1)):
        old.add(group, number, "b.jpg", make_picture(2))
    old.add(4, 1, "same number.jpg", make_picture(3))
    dry = old.migrate(hub, dry_run=True, upload_missing=True)
    real = old.migrate(hub, upload_missing=True)
    assert dry.pictures == real.pictures
    assert dry.reasons == real.reasons == {"Group 4 has another image 1 in the hub.": 1}


def test_pictures_in_the_trash_are_not_uploaded(
    import_hub: ImportHub, first_version: FirstVersion
) -> None:
    hub, old = import_hub, first_version
    old.add(1, 1, "a.jpg", make_picture(1))
    old.add(2, 1, "b.jpg", make_picture(2))
    old.migrate(hub)
    hub.session.rollback()
    hub.session.get_one(Group, 1).state = "trash"
    hub.session.commit()
    report = old.migrate(hub, upload_missing=True)
    assert (report.pictures["uploaded"], report.pictures["not in OneDrive"]) == (1, 1)
    names = [path.name for path in (hub.onedrive.root / "ImageHub version 1").rglob("*.jpg")]
    assert names == ["b.jpg"]


def test_empty_tables_are_no_failure(import_hub: ImportHub, first_version: FirstVersion) -> None:
    report = first_version.migrate(import_hub)
    assert (report.pictures, report.people, report.has_failed) == ({}, {}, False)


def test_missing_tables_are_named(import_hub: ImportHub, first_version: FirstVersion) -> None:
    old = first_version
    old.add(1, 1, "a.jpg", make_picture(1))
    old.execute("DROP TABLE userdb")
    old.execute("ALTER TABLE onedrive DROP COLUMN refresh_token")
    report = old.migrate(import_hub)
    assert report.reasons == {
        "The table userdb is missing.": 1,
        "The table onedrive has no column refresh_token.": 1,
    }
    assert report.pictures["made"] == 1
    old.execute("DROP TABLE imagedb")
    with pytest.raises(SourceError, match=r"The table imagedb is missing\. This is not"):
        old.migrate(import_hub)


def test_the_old_database_cannot_be_changed(first_version: FirstVersion) -> None:
    first_version.add(1, 1, "a.jpg", make_picture(1))
    old = OldDatabase(read_url(first_version.url))
    with (
        old._open("try to change it") as connection,
        pytest.raises(OperationalError, match="READ ONLY"),
    ):
        connection.execute(text("DELETE FROM imagedb"))
    old.close()


def test_a_text_longer_than_a_piece_is_read_whole(
    make_first_version: Callable[[], FirstVersion],
) -> None:
    old = make_first_version()
    data = bytes(range(256)) * 40_000
    old.add(1, 1, "a.jpg", data)
    source = OldDatabase(read_url(old.url))
    source.check()
    source._piece_chars = 1_000_003
    pieces = list(source.iter_pieces(1))
    source.close()
    assert len(pieces) == 14
    assert b"".join(pieces).decode() == make_text(data)


@pytest.mark.parametrize(
    "address", ["", "mysql", "sqlite:///old.db", "mysql+pymysql://anna:secret@host", "mysql://[x"]
)
def test_an_address_that_cannot_be_used_is_refused_without_its_password(address: str) -> None:
    with pytest.raises(SourceError) as caught:
        read_url(address)
    assert "secret" not in str(caught.value)
