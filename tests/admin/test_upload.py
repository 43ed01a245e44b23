"""What the upload of the drive browser asks of the hub."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import requests

from imagehub import create_app
from imagehub.clients.graph_bytes import QuickXorHash
from imagehub.config import load_settings
from imagehub.database import db
from imagehub.models import Group, ImportItem, UploadSession
from imagehub.wiring import get_settings
from tests.admin.drive import Browser, add_image, list_log, make_jpeg


def test_names_that_onedrive_would_refuse_are_caught_and_repaired(browser: Browser) -> None:
    works = browser.find("Works")
    answer = browser.send(
        "/admin/drive/upload/paths",
        folder=works,
        paths=["good.jpg", "what?.jpg", "a:b/c.jpg", " spaces .jpg ", "CON"],
    )
    refused = {one["path"]: one for one in answer["refused"]}
    assert set(refused) == {"what?.jpg", "a:b/c.jpg", " spaces .jpg ", "CON"}
    assert refused["what?.jpg"]["repaired"] == "what_.jpg"
    assert refused["a:b/c.jpg"]["repaired"] == "a_b/c.jpg"
    assert "does not allow" in refused["what?.jpg"]["fault"]


def test_folders_on_the_way_are_made_once(browser: Browser) -> None:
    works = browser.find("Works")
    path = ["2026", "Spring"]
    first = browser.send("/admin/drive/upload/folder", folder=works, path=path)
    second = browser.send("/admin/drive/upload/folder", folder=works, path=path)
    assert first["id"] == second["id"]
    assert [p.name for p in (browser.site.onedrive.root / "Works" / "2026").iterdir()] == ["Spring"]
    browser.send("/admin/drive/upload/folder", 502, folder=works, path=["front.jpg", "in a file"])


def test_folders_that_an_upload_makes_are_in_the_log_and_those_that_were_there_are_not(
    browser: Browser,
) -> None:
    works = browser.find("Works")
    for name in ("Details", "2026", "2027", "2026"):
        browser.send("/admin/drive/upload/folder", folder=works, path=[name])
    first, second = list_log(browser)[:2]
    assert first == "Created 2 folders in OneDrive for uploads: “2026”, “2027”."
    assert not second.startswith("Created")


def make_hash(data: bytes) -> str:
    quick_xor = QuickXorHash()
    quick_xor.update(data)
    return quick_xor.base64()


def put_bytes(url: str, data: bytes) -> None:
    """Send a whole file as one fragment."""
    headers = {"Content-Range": f"bytes 0-{len(data) - 1}/{len(data)}"}
    requests.put(url, data=data, headers=headers, timeout=30).raise_for_status()


def upload(browser: Browser, folder: str, name: str, data: bytes, **options: Any) -> Any:
    call = {"folder": folder, "name": name, "size": len(data), **options}
    begun = browser.send("/admin/drive/upload/begin", **call)
    if "needs_hash" in begun:
        begun = browser.send("/admin/drive/upload/begin", hash=make_hash(data), **call)
    if "upload_url" in begun:
        put_bytes(begun["upload_url"], data)
    return begun


def test_an_address_takes_the_bytes_and_a_taken_name_is_asked_about(browser: Browser) -> None:
    works = browser.find("Works")
    place = browser.site.onedrive.root / "Works"
    upload(browser, works, "new.jpg", b"12345")
    assert (place / "new.jpg").read_bytes() == b"12345"
    taken = upload(browser, works, "new.jpg", b"other")
    assert taken["refused"] == "name_taken"
    upload(browser, works, "new.jpg", b"other", on_conflict="replace")
    assert (place / "new.jpg").read_bytes() == b"other"
    upload(browser, works, "new.jpg", b"third", on_conflict="rename")
    assert len(list(place.glob("new*.jpg"))) == 2


def test_a_name_that_the_organisation_forbids_is_refused_in_words(browser: Browser) -> None:
    browser.site.onedrive.set_fault("special_characters_forbidden")
    for data in (b"12345", b""):
        begun = upload(browser, browser.find("Works"), "50% #1.jpg", data)
        assert begun["refused"] == "forbidden_name"
        assert "may have forbidden # and % in names" in begun["message"]


def test_a_taken_name_is_looked_for_alone_and_not_among_thousands(browser: Browser) -> None:
    browser.site.put_files("Many", {f"{n:04}.txt": b"x" for n in range(1200)})
    many = browser.find("Many")
    browser.site.onedrive.clear_log()
    assert upload(browser, many, "1100.TXT", b"other")["refused"] == "name_taken"
    begun = upload(browser, many, "new #1 50%.txt", b"12345")
    facts = {"folder": many, "name": "new #1 50%.txt", "begun_at": begun["begun_at"]}
    item = browser.send("/admin/drive/upload/find", size=5, **facts)["item"]
    assert item["name"] == "new #1 50%.txt"
    assert browser.site.onedrive.log("GET", "children") == []


def test_uploads_are_in_the_log_and_so_is_what_they_replace(browser: Browser) -> None:
    works = browser.find("Works")
    for name in ("one.jpg", "two.jpg", "empty.txt"):
        upload(browser, works, name, b"" if name == "empty.txt" else b"12345")
    upload(browser, works, "one.jpg", b"other")
    for name in ("one.jpg", "two.jpg"):
        upload(browser, works, name, b"other", on_conflict="replace")
    assert list_log(browser)[:2] == [
        "Started replacing 2 files in OneDrive: “one.jpg”, “two.jpg”.",
        "Started uploading 3 files to OneDrive: “one.jpg”, “two.jpg”, “empty.txt”.",
    ]
    assert "Started replacing 2 files" in browser.page("/admin/activity")


def test_a_batch_of_any_size_is_one_line_of_the_log(browser: Browser) -> None:
    works = browser.find("Works")
    for number in range(40):
        upload(browser, works, f"a picture with a {'very ' * 12}long name {number}.txt", b"")
    first, second = list_log(browser)[:2]
    assert first.startswith("Started uploading 40 files to OneDrive: “a picture with a very")
    assert first.endswith(".txt”, ….")
    assert len(first) < 2200
    assert not second.startswith("Started")


def test_a_session_that_is_still_open_is_not_called_a_taken_name(browser: Browser) -> None:
    works = browser.find("Works")
    browser.send("/admin/drive/upload/begin", folder=works, name="slow.jpg", size=5)
    again = browser.send("/admin/drive/upload/begin", folder=works, name="slow.jpg", size=5)
    assert again["refused"] == "session_open"


def test_an_address_that_never_arrived_is_given_once_more_to_the_same_upload_alone(
    browser: Browser,
) -> None:
    works = browser.find("Works")
    call = {"folder": works, "name": "slow.jpg", "size": 5}
    url = "/admin/drive/upload/begin"
    first = browser.send(url, upload="mine", **call)
    again = browser.send(url, upload="mine", **call)
    assert again["upload_url"] == first["upload_url"]
    assert again["begun_at"] == first["begun_at"]
    assert (first["is_known"], again["is_known"]) == (False, True)
    assert browser.send(url, upload="another", **call)["refused"] == "session_open"
    with browser.site.session() as session:
        [kept] = session.query(UploadSession).all()
        assert b"tempauth" not in kept.address


def test_a_second_web_machine_resumes_the_upload_of_the_first(
    browser: Browser, tmp_path: Path
) -> None:
    """Two machines share the database and the keys, not the data folder."""
    settings = get_settings(browser.site.app)
    environment = settings.to_environment() | {
        "IMAGEHUB_DATA_DIR": str(tmp_path / "other"),
        "IMAGEHUB_DATABASE_URL": settings.sqlalchemy_url,
        "IMAGEHUB_SECRET_KEY": settings.secret_key,
        "IMAGEHUB_TOKEN_KEY": settings.token_key,
    }
    other = create_app(load_settings(environment, None))
    second = Browser(replace(browser.site, app=other))
    works = browser.find("Works")
    call = {"folder": works, "name": "slow.jpg", "size": 5, "upload": "mine"}
    first = browser.send("/admin/drive/upload/begin", **call)
    resumed = second.send("/admin/drive/upload/begin", **call)
    assert (resumed["upload_url"], resumed["is_known"]) == (first["upload_url"], True)
    assert resumed["begun_at"] == first["begun_at"]
    put_bytes(resumed["upload_url"], b"12345")
    done = upload(browser, works, "slow.jpg", b"12345", upload="mine")
    assert done["item"]["name"] == "slow.jpg"
    with other.app_context():
        db.engine.dispose()


@pytest.mark.parametrize("on_conflict", ["fail", "rename"])
def test_an_upload_that_arrived_while_its_page_went_is_given_its_file(
    browser: Browser, on_conflict: str
) -> None:
    works = browser.find("Works")
    if on_conflict == "rename":
        upload(browser, works, "gone.jpg", b"abcde")
    options = {"upload": "mine", "on_conflict": on_conflict}
    upload(browser, works, "gone.jpg", b"12345", **options)
    again = upload(browser, works, "gone.jpg", b"12345", **options)
    place = browser.site.onedrive.root / "Works"
    assert (place / again["item"]["name"]).read_bytes() == b"12345"
    assert len(list(place.glob("gone*.jpg"))) == (1 if on_conflict == "fail" else 2)


def test_an_address_that_was_given_up_is_not_given_again(browser: Browser) -> None:
    call = {"folder": browser.find("Works"), "name": "slow.jpg", "size": 5, "upload": "mine"}
    first = browser.send("/admin/drive/upload/begin", **call)
    again = browser.send("/admin/drive/upload/begin", given_up=first["begun_at"], **call)
    assert again["refused"] == "session_open"


@pytest.mark.parametrize("has_arrived", [True, False])
def test_a_replaced_file_is_told_from_the_one_before_by_its_bytes(
    browser: Browser, has_arrived: bool
) -> None:
    works = browser.find("Works")
    upload(browser, works, "twice.jpg", b"12345")
    begun = browser.send(
        "/admin/drive/upload/begin",
        **{"folder": works, "name": "twice.jpg", "size": 5, "upload": "mine"},
        on_conflict="replace",
    )
    if has_arrived:
        place = browser.site.onedrive.root / "Works" / "twice.jpg"
        place.write_bytes(b"54321")
    facts = {"folder": works, "name": "twice.jpg", "on_conflict": "replace", "size": 5}
    facts |= {"begun_at": begun["begun_at"], "hash": make_hash(b"54321")}
    item = browser.send("/admin/drive/upload/find", **facts)["item"]
    assert (item is not None) == has_arrived
    again = upload(browser, works, "twice.jpg", b"54321", upload="mine", on_conflict="replace")
    assert ("item" in again) == has_arrived


def test_another_file_of_the_same_size_is_not_taken_for_one_that_keeps_both(
    browser: Browser,
) -> None:
    works = browser.find("Works")
    upload(browser, works, "scan.jpg", b"the first")
    begun = upload(browser, works, "scan.jpg", b"old twin.", on_conflict="rename")
    facts = {"folder": works, "name": "scan.jpg", "size": 9, "begun_at": begun["begun_at"]}
    facts |= {"on_conflict": "rename"}
    find = "/admin/drive/upload/find"
    assert browser.send(find, **facts, hash=make_hash(b"new twin."))["item"] is None
    assert browser.send(find, **facts, hash=make_hash(b"old twin."))["item"]["name"] != "scan.jpg"


def test_a_container_that_onedrive_counts_anew_is_known_by_its_name(browser: Browser) -> None:
    works = browser.find("Works")
    browser.site.onedrive.set_fault("rewritten_size", item=r"\.heic$")
    options = {"upload": "mine"}
    upload(browser, works, "phone.heic", b"12345", **options)
    assert upload(browser, works, "phone.heic", b"12345", **options)["item"]["size"] > 5


def test_a_file_does_not_take_the_place_of_a_folder(browser: Browser) -> None:
    root = browser.json()["id"]
    for on_conflict in ("fail", "replace"):
        begun = upload(browser, root, "works", b"12345", on_conflict=on_conflict)
        assert begun["refused"] == "name_taken"
    assert begun["message"] == "A folder has this name. A file cannot replace it."


def test_an_empty_file_is_made_at_once(browser: Browser) -> None:
    works = browser.find("Works")
    begun = upload(browser, works, "empty.txt", b"")
    assert begun["item"]["name"] == "empty.txt"
    assert (browser.site.onedrive.root / "Works" / "empty.txt").read_bytes() == b""
    assert upload(browser, works, "empty.txt", b"")["refused"] == "name_taken"


@pytest.mark.parametrize("on_conflict", ["fail", "rename"])
def test_an_empty_file_whose_answer_was_lost_is_not_made_twice(
    browser: Browser, on_conflict: str
) -> None:
    works = browser.find("Works")
    if on_conflict == "rename":
        upload(browser, works, "empty.txt", b"")
    options = {"upload": "mine", "on_conflict": on_conflict}
    # OneDrive makes it and the hub does not hear of it.
    browser.site.onedrive.set_fault("lost_answer", method="PUT", path="content", times=1)
    browser.send(
        "/admin/drive/upload/begin",
        503,
        **{"folder": works, "name": "empty.txt", "size": 0, **options},
    )
    again = upload(browser, works, "empty.txt", b"", **options)
    place = browser.site.onedrive.root / "Works"
    names = {path.name for path in place.glob("empty*")}
    assert len(names) == (1 if on_conflict == "fail" else 2)
    assert again["item"]["name"] in names
    assert upload(browser, works, "empty.txt", b"", upload="another")["refused"] == "name_taken"


def test_a_full_drive_is_told(browser: Browser) -> None:
    browser.site.onedrive.set_fault("quota_full")
    works = browser.find("Works")
    begun = browser.send("/admin/drive/upload/begin", folder=works, name="big.jpg", size=5)
    assert begun["refused"] == "quota_full"


def test_an_upload_whose_last_answer_was_lost_is_found_again(browser: Browser) -> None:
    works = browser.find("Works")
    begun = upload(browser, works, "found.jpg", b"12345")
    facts = {"folder": works, "name": "found.jpg", "begun_at": begun["begun_at"]}
    item = browser.send("/admin/drive/upload/find", size=5, **facts)["item"]
    assert item["name"] == "found.jpg"
    assert browser.send("/admin/drive/upload/find", size=6, **facts)["item"] is None
    numbered = upload(browser, works, "found.jpg", b"54321", on_conflict="rename")
    facts |= {"begun_at": numbered["begun_at"], "on_conflict": "rename"}
    item = browser.send("/admin/drive/upload/find", size=5, **facts)["item"]
    place = browser.site.onedrive.root / "Works"
    assert (place / item["name"]).read_bytes() == b"54321"
    facts["others"] = ["found.jpg", item["name"].upper()]
    assert browser.send("/admin/drive/upload/find", size=5, **facts)["item"] is None


def test_a_name_that_only_begins_alike_is_not_taken_for_an_upload(browser: Browser) -> None:
    works = browser.find("Works")
    begun = upload(browser, works, "scan back.jpg", b"12345")
    upload(browser, works, "scan.jpg", b"67890")
    facts = {"folder": works, "name": "scan.jpg", "size": 5, "begun_at": begun["begun_at"]}
    facts |= {"on_conflict": "rename", "hash": make_hash(b"12345")}
    assert browser.send("/admin/drive/upload/find", **facts)["item"] is None


def test_an_old_file_of_the_same_size_is_not_taken_for_an_upload(browser: Browser) -> None:
    import os

    works = browser.find("Works")
    path = browser.site.onedrive.root / "Works" / "old.jpg"
    path.write_bytes(b"12345")
    os.utime(path, (1_500_000_000, 1_500_000_000))
    item = browser.send(
        "/admin/drive/upload/find",
        folder=works,
        name="old.jpg",
        size=5,
        begun_at="2999-01-01T00:00:00+00:00",
    )["item"]
    assert item is None


def test_what_was_uploaded_is_imported_once_however_often_it_is_asked(browser: Browser) -> None:
    works = browser.find("Works")
    files = [
        {"id": browser.find(name, works), "name": name, "folder": works, "folder_name": "Works"}
        for name in ("front.jpg", "back.jpg")
    ]
    answer = browser.send("/admin/drive/upload/import", files=files)
    assert answer["count"] == 2
    again = browser.send("/admin/drive/upload/import", files=files)
    assert again["job"] is None
    with browser.site.session() as session:
        items = session.query(ImportItem).all()
        assert len(items) == 2
        assert len({item.group_id for item in items}) == 1


def test_what_is_no_picture_is_left_out_and_told_and_all_else_is_tried(browser: Browser) -> None:
    works = browser.find("Works")
    types = {
        "notes.txt": "text/plain",
        "more.txt": "text/plain",
        "shot.NEF": "image/x-nikon-nef",
        "logo.svg": "image/svg+xml",
        "cover.psd": "image/vnd.adobe.photoshop",
        "film.mp4": "video/mp4",
        # The camera's two files of one shot.
        "IMG_1.jpg": "image/jpeg",
        "IMG_1.CR2": "image/x-canon-cr2",
        # What OneDrive does not know may be a picture all the same.
        "scan.pic": "application/octet-stream",
        "phone.heic": "",
    }
    files = [
        {"id": f"one!{name}", "name": name, "folder": works, "type": kind, "size": 5}
        for name, kind in types.items()
    ]
    files.append({"id": "one!empty", "name": "empty.jpg", "folder": works, "size": 0})
    answer = browser.send("/admin/drive/upload/import", files=files)
    assert answer["count"] == 6
    with browser.site.session() as session:
        names = [item.file_name for item in session.query(ImportItem).order_by(ImportItem.id)]
    assert names == ["shot.NEF", "cover.psd", "film.mp4", "IMG_1.jpg", "scan.pic", "phone.heic"]
    reasons = {one["reason"]: one["count"] for one in answer["refused"]}
    assert reasons["This is a text file, not an image."] == 2
    assert reasons["An image with the same name is imported instead."] == 1
    assert sum(reasons.values()) == 5
    again = browser.send("/admin/drive/upload/import", files=files)
    assert (again["job"], again["known"]) == (None, 6)


def test_each_uploaded_file_can_become_a_group_of_its_own(browser: Browser) -> None:
    works = browser.find("Works")
    files = [
        {"id": browser.find(name, works), "name": name, "folder": works, "folder_name": "Works"}
        for name in ("front.jpg", "back.jpg")
    ]
    browser.send("/admin/drive/upload/import", files=files, grouping="each")
    with browser.site.session() as session:
        titles = {group.title for group in session.query(Group).all()}
    assert titles == {"Front", "Back"}


def test_what_is_uploaded_into_the_root_folder_is_not_called_after_that(browser: Browser) -> None:
    browser.site.put_files("", {"Mill-2_front.jpg": make_jpeg(), "Mill-2_back.jpg": make_jpeg()})
    root = browser.json()["id"]
    files = [
        {"id": browser.find(name), "name": name, "folder": root, "folder_name": ""}
        for name in ("Mill-2_front.jpg", "Mill-2_back.jpg")
    ]
    browser.send("/admin/drive/upload/import", files=files)
    with browser.site.session() as session:
        assert [group.title for group in session.query(Group).all()] == ["Mill"]


def test_a_file_that_was_replaced_is_made_anew(browser: Browser) -> None:
    works = browser.find("Works")
    front, back = browser.find("front.jpg", works), browser.find("back.jpg", works)
    add_image(browser.site, front)
    replaced = {"id": front, "name": "front.jpg", "folder": works, "is_replaced": True}
    fresh = {"id": back, "name": "back.jpg", "folder": works, "folder_name": "Works"}
    answer = browser.send("/admin/drive/upload/import", files=[replaced, fresh])
    assert answer["count"] == 2
    assert answer["known"] == 0
    again = browser.send("/admin/drive/upload/import", files=[replaced, fresh])
    assert (again["job"], again["known"]) == (None, 2)
    with browser.site.session() as session:
        remade = session.query(ImportItem).filter(ImportItem.image_id.isnot(None)).one()
        assert remade.drive_item_id == front
        remade.state = "done"
    assert browser.send("/admin/drive/upload/import", files=[replaced])["count"] == 1


def test_uploads_go_into_an_existing_group(browser: Browser) -> None:
    works = browser.find("Works")
    front = browser.find("front.jpg", works)
    group = add_image(browser.site, front)
    files = [
        {"id": browser.find("back.jpg", works), "name": "back.jpg", "folder": works},
        {"id": front, "name": "front.jpg", "folder": works},
    ]
    assert browser.send("/admin/drive/upload/import", files=files, group=group)["count"] == 1
    browser.send(
        "/admin/drive/upload/import",
        404,
        files=files[:1] and [{"id": "another", "name": "x.jpg", "folder": works}],
        group=999_999,
    )


@pytest.mark.parametrize(
    ("call", "body"),
    [
        ("begin", {"name": "x.jpg", "size": 5}),
        ("begin", {"name": "x.jpg", "size": 0}),
        ("paths", {"paths": ["x.jpg"]}),
        ("folder", {"path": ["x"]}),
        ("find", {"name": "x.jpg", "size": 5, "begun_at": "2026-01-01T00:00:00Z"}),
    ],
)
def test_nothing_is_uploaded_to_a_folder_outside(
    browser: Browser, call: str, body: dict[str, Any]
) -> None:
    browser.send(f"/admin/drive/upload/{call}", 404, folder="NOTHING!1", **body)


def test_nonsense_is_refused_with_the_name_of_the_field(browser: Browser) -> None:
    answer = browser.send("/admin/drive/upload/begin", 422, folder="x", name="y", size=-1)
    assert answer["detail"][0]["loc"] == ["size"]
    refused = browser.client.post("/admin/drive/upload/begin", json={})
    assert refused.status_code == 400
