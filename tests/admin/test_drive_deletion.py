"""Deleting in the drive: what is said before, what happens, and the way back."""

import re
from collections.abc import Iterator
from threading import Barrier
from typing import Any

import pytest

from imagehub.clients import Drive, DriveItem
from imagehub.clients.drive_ids import fold_id
from imagehub.database import db, now_utc
from imagehub.domain.onedrive import deletion
from imagehub.models import DriveAccount, DriveFolder, DriveWatch
from imagehub.wiring import get_clients
from tests.admin.drive import Browser, add_image, make_jpeg


def test_deleting_says_first_how_much_goes_and_which_images_come_from_there(
    browser: Browser,
) -> None:
    works = browser.find("Works")
    add_image(browser.site, browser.find("front.jpg", works))
    add_image(browser.site, browser.find("back.jpg", works), "draft", "Cliffs")
    plan = browser.send("/admin/drive/delete/plan", items=[works])
    words = " ".join(plan["sentences"])
    assert "3 folders with 3 files" in words
    assert "2 images were imported from there, in 2 groups. 1 of them is published" in words
    assert [group["title"] for group in plan["groups"]] == ["Boats", "Cliffs"]
    assert (browser.site.onedrive.root / "Works").exists()
    assert "Cliffs" in browser.form("/admin/drive/ask-delete", 200, item=works, folder="")
    browser.form("/admin/drive/delete", item=works, folder="", sure="yes")
    assert not (browser.site.onedrive.root / "Works").exists()
    assert "recycle bin" in browser.page()


def test_deleting_what_is_not_in_the_hub_says_so(browser: Browser) -> None:
    notes = browser.find("Notes")
    plan = browser.send("/admin/drive/delete/plan", items=[notes])
    assert "No image was imported from there." in plan["sentences"]


def test_thousands_of_chosen_files_are_counted_by_listing_their_folder(browser: Browser) -> None:
    browser.site.put_files("Many", {f"{n:05}.txt": b"x" for n in range(2100)})
    many = browser.find("Many")
    ids: list[str] = []
    mark = None
    while mark != "":
        page = browser.json(f"/admin/drive/{many}/items", next_page=mark or "")
        ids += [item["id"] for item in page["items"]]
        mark = page["next_page"]
    add_image(browser.site, ids[2050])
    before = len(browser.site.onedrive.log("GET", "/v1.0"))
    plan = browser.send("/admin/drive/delete/plan", folder=many, items=ids[50:])
    calls = len(browser.site.onedrive.log("GET", "/v1.0")) - before
    assert "bin: 2,050 files" in plan["sentences"][0]
    assert "1 image was imported from there" in plan["sentences"][1]
    assert calls < 10


@pytest.fixture
def few_are_counted(monkeypatch: pytest.MonkeyPatch) -> int:
    """So few that any folder is too large to be counted."""
    monkeypatch.setattr(deletion, "MAX_COUNTED", 2)
    return 2


def test_images_of_a_folder_too_large_to_be_counted_are_found_by_asking_for_their_folders(
    browser: Browser, few_are_counted: int
) -> None:
    works = browser.find("Works")
    details = browser.find("Details", works)
    corners = browser.find("Corners", details)
    notes = browser.find("Notes")
    add_image(browser.site, browser.find("a.jpg", corners), folder_id=corners)
    add_image(browser.site, browser.find("front.jpg", works), "draft", folder_id=works)
    add_image(browser.site, browser.find("list.txt", notes), title="Elsewhere", folder_id=notes)
    add_image(browser.site, "GONE!1", title="Gone", folder_id="GONE!2")
    plan = browser.send("/admin/drive/delete/plan", items=[works])
    assert "bin: more than 2 items" in plan["sentences"][0]
    assert "2 images were imported from there, in 2 groups. 1 of them" in plan["sentences"][1]


class _Together:
    """A drive in which the folders in one are listed all at once, or not at all."""

    def __init__(self, drive: Drive, above: str, count: int) -> None:
        self._drive, self._above = drive, above
        self._barrier = Barrier(count, timeout=60)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._drive, name)

    def iter_children(self, folder_id: str) -> Iterator[DriveItem]:
        if folder_id != self._above:
            self._barrier.wait()
        return self._drive.iter_children(folder_id)


def test_folders_are_counted_side_by_side(browser: Browser) -> None:
    for number in range(6):
        browser.site.put_files(f"Tree/{number}", {"a.txt": b"x"})
    tree = browser.find("Tree")
    with browser.site.app.app_context():
        drive: Any = _Together(get_clients().open_drive(1), tree, 6)
        plan = deletion.plan_deletion(db.session(), 1, drive, [tree])
    assert (plan.folder_count, plan.file_count, plan.is_complete) == (7, 6, True)


def test_counting_takes_no_longer_than_a_person_waits(
    browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    works = browser.find("Works")
    corners = browser.find("Corners", browser.find("Details", works))
    add_image(browser.site, browser.find("a.jpg", corners), folder_id=corners)
    monkeypatch.setattr(deletion, "MAX_SECONDS", 0)
    plan = browser.send("/admin/drive/delete/plan", items=[works])
    assert "bin: more than 1 item " in plan["sentences"][0]
    assert "No image was imported from there." not in plan["sentences"]


def test_where_the_drive_was_checked_its_folders_are_known_without_asking(
    browser: Browser, few_are_counted: int
) -> None:
    works = browser.find("Works")
    details = browser.find("Details", works)
    corners = browser.find("Corners", details)
    add_image(browser.site, browser.find("a.jpg", corners), folder_id=corners)
    with browser.site.session() as session:
        account = session.query(DriveAccount).one().id
        session.add(DriveWatch(drive_account_id=account, checked_at=now_utc()))
        for folder, parent in ((details, works), (corners, details)):
            session.add(
                DriveFolder(
                    drive_account_id=account, item_id=fold_id(folder), parent_id=fold_id(parent)
                )
            )
    before = len(browser.site.onedrive.log("GET", corners))
    plan = browser.send("/admin/drive/delete/plan", items=[works])
    assert "1 image was imported from there" in plan["sentences"][1]
    assert len(browser.site.onedrive.log("GET", corners)) == before


def test_what_was_deleted_comes_back_to_where_it_lay(browser: Browser) -> None:
    works = browser.find("Works")
    front, back = browser.find("front.jpg", works), browser.find("back.jpg", works)
    answer = browser.post("/admin/drive/delete", item=[front, back], folder=works, sure="yes")
    assert answer["bin"]["days"] == 30
    assert answer["bin"]["url"].startswith("https://onedrive.live.com/")
    place = browser.site.onedrive.root / "Works"
    assert not (place / "front.jpg").exists()
    # Its name was taken meanwhile: the other one comes back all the same.
    (place / "back.jpg").write_bytes(b"another")
    back_again = browser.post("/admin/drive/restore", deletion=answer["deletion"])
    assert [item["id"] for item in back_again["done"]] == [front]
    assert [one["id"] for one in back_again["failed"]] == [back]
    assert (place / "front.jpg").read_bytes() == make_jpeg()
    assert (place / "back.jpg").read_bytes() == b"another"
    again = browser.post("/admin/drive/restore", deletion=answer["deletion"])
    assert [item["id"] for item in again["done"]] == [front], "it is back already"


def test_nothing_comes_back_without_the_mark_of_its_deletion(browser: Browser) -> None:
    works = browser.find("Works")
    browser.post("/admin/drive/delete", item=works, sure="yes")
    for mark in ("", works, "WzEsW11d.aaaa.bbbb"):
        browser.post("/admin/drive/restore", 404, deletion=mark)
    assert not (browser.site.onedrive.root / "Works").exists()


def test_a_drive_that_cannot_restore_says_where_to_look(browser: Browser) -> None:
    """A mark may be older than the account's move to another kind, so the answer is tried, too."""
    works = browser.find("Works")
    answer = browser.post("/admin/drive/delete", item=works, sure="yes")
    browser.site.onedrive.set_fault("status", status=403, method="POST", path="restore")
    failed = browser.post("/admin/drive/restore", deletion=answer["deletion"])["failed"]
    assert failed == [{"id": works, "reason": "OneDrive does not permit this."}]


def test_undo_of_a_deletion_is_offered_without_a_script_too(browser: Browser) -> None:
    works = browser.find("Works")
    browser.form("/admin/drive/delete", item=works, folder="", sure="yes")
    page = browser.page()
    mark = re.search(r'name="deletion" value="([^"]+)"', page)
    assert mark is not None
    assert 'href="https://onedrive.live.com/?v=recyclebin"' in page
    browser.form("/admin/drive/restore", deletion=mark[1], folder="")
    assert (browser.site.onedrive.root / "Works" / "front.jpg").exists()
    assert "1 item was restored" in browser.page()


def test_what_lies_in_the_trash_of_the_hub_does_not_count(browser: Browser) -> None:
    works = browser.find("Works")
    front = browser.find("front.jpg", works)
    add_image(browser.site, front, "trash")
    items = {item["name"]: item for item in browser.json(f"/admin/drive/{works}")["items"]}
    assert items["front.jpg"]["marks"] == []
    plan = browser.send("/admin/drive/delete/plan", items=[front])
    assert plan["groups"] == []
