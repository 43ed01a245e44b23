"""The drive browser, spoken to as a browser does, with an emulator and a database behind it."""

import json
import re
from collections.abc import Iterator
from io import BytesIO
from typing import Any

import pytest
from flask.testing import FlaskClient
from PIL import Image as Picture
from werkzeug.test import TestResponse

from imagehub.admin.drive_pages import RecycleBin, find_recycle_bin
from imagehub.clients import DriveItem
from imagehub.clients.drive_ids import fold_id
from imagehub.clients.quick_xor import QuickXorHash
from imagehub.database import now_utc
from imagehub.domain import drive_browser, gallery
from imagehub.models import (
    AuditEntry,
    DriveAccount,
    DriveFolder,
    DriveWatch,
    Group,
    Image,
    ImportItem,
)
from imagehub.wiring import make_clients
from tests.fixtures.site import ConnectedSite, Site, read_csrf_token

JSON = {"Accept": "application/json"}


class Browser:
    """A signed-in admin's browser with a token for forms."""

    def __init__(self, site: ConnectedSite) -> None:
        self.site = site
        self.client: FlaskClient = site.signed_in_client()
        self.token = read_csrf_token(self.client, "/admin/drive")

    def page(self, path: str = "/admin/drive", status: int = 200, **query: Any) -> str:
        answer = self.client.get(path, query_string=query or None)
        assert answer.status_code == status, answer.text
        return answer.text

    def json(self, path: str = "/admin/drive", status: int = 200, **query: Any) -> Any:
        answer = self.client.get(path, query_string=query, headers=JSON)
        assert answer.status_code == status, answer.text
        return answer.json

    def post(self, path: str, status: int = 200, **fields: Any) -> Any:
        """A form sent by a script."""
        answer = self.client.post(path, data=fields, headers=JSON | {"X-CSRFToken": self.token})
        assert answer.status_code == status, answer.text
        return answer.json

    def form(self, path: str, status: int = 302, **fields: Any) -> str:
        """A form sent by a person without a script."""
        answer = self.client.post(path, data=fields | {"csrf_token": self.token})
        assert answer.status_code == status, answer.text
        return answer.text

    def send(self, url: str, status: int = 200, **body: Any) -> Any:
        answer = self.client.post(url, json=body, headers=JSON | {"X-CSRFToken": self.token})
        assert answer.status_code == status, answer.text
        return answer.json

    def find(self, name: str, folder: str = "") -> str:
        """The id of an item."""
        path = f"/admin/drive/{folder}" if folder else "/admin/drive"
        return next(i["id"] for i in self.json(path)["items"] if i["name"] == name)


def make_jpeg(colour: str = "teal", size: tuple[int, int] = (300, 200)) -> bytes:
    buffer = BytesIO()
    Picture.new("RGB", size, colour).save(buffer, "JPEG")
    return buffer.getvalue()


@pytest.fixture
def browser(connected_site: ConnectedSite) -> Iterator[Browser]:
    connected_site.put_files("Works", {"front.jpg": make_jpeg(), "back.jpg": make_jpeg("maroon")})
    connected_site.put_files("Works/Details/Corners", {"a.jpg": make_jpeg("gold")})
    connected_site.put_files("Notes", {"list.txt": b"one, two"})
    yield Browser(connected_site)


def add_image(
    site: Site, item_id: str, state: str = "published", title: str = "Boats", **facts: Any
) -> int:
    """An image of the hub that came from a file; returns its group's number."""
    with site.session() as session:
        account = session.query(DriveAccount).one()
        group = Group(
            title=title,
            state=state,
            sort_key=gallery.make_first_sort_key(session),
            next_image_number=2,
        )
        session.add(group)
        session.flush()
        session.add(
            Image(
                group_id=group.id,
                number=1,
                position=1,
                name="front.jpg",
                drive_account_id=account.id,
                drive_item_id=item_id,
                **facts,
            )
        )
        session.flush()
        gallery.refresh_group(session, group.id)
        return group.id


# --- Looking --------------------------------------------------------------------------------------


def test_the_root_folder_shows_its_folders_and_the_quota(browser: Browser) -> None:
    page = browser.page()
    assert "Works" in page
    assert "Notes" in page
    assert "left" in browser.json()["quota"]["words"]


def test_a_folder_of_any_depth_shows_the_way_up(browser: Browser) -> None:
    works = browser.find("Works")
    details = browser.find("Details", works)
    corners = browser.find("Corners", details)
    data = browser.json(f"/admin/drive/{corners}")
    assert [crumb["name"] for crumb in data["crumbs"]] == [
        "OneDrive",
        "Works",
        "Details",
        "Corners",
    ]
    assert [item["name"] for item in data["items"]] == ["a.jpg"]
    answer = browser.client.get(data["crumbs"][2]["url"])
    assert answer.status_code == 302
    assert answer.location == f"/admin/drive/{details}"


def test_a_path_that_leads_nowhere_is_not_found(browser: Browser) -> None:
    browser.page("/admin/drive/path/Works/Nowhere", 404)
    browser.page("/admin/drive/path/Works/../..", 404)
    browser.page("/admin/drive/path/Works/front.jpg", 404)


def test_a_file_and_an_unknown_id_are_no_folder(browser: Browser) -> None:
    works = browser.find("Works")
    browser.page(f"/admin/drive/{browser.find('front.jpg', works)}", 422)
    browser.page("/admin/drive/NOTHING!1", 404)


def test_a_file_tells_in_which_groups_it_is_and_whether_it_changed(browser: Browser) -> None:
    works = browser.find("Works")
    front, back = browser.find("front.jpg", works), browser.find("back.jpg", works)
    with browser.site.app.app_context():
        from imagehub.wiring import get_clients

        opened = get_clients().open_drive(1)
        now = opened.get_item(front)
    boats = add_image(browser.site, front, quick_xor_hash=now.quick_xor_hash, ctag="an older one")
    draft = add_image(browser.site, front, "draft", "Harbour", ctag=now.ctag)
    add_image(browser.site, back, title="Cliffs", quick_xor_hash="AAAA")
    items = {item["name"]: item for item in browser.json(f"/admin/drive/{works}")["items"]}
    assert items["front.jpg"]["state"] == "inside"
    assert [(m["group"], m["title"]) for m in items["front.jpg"]["marks"]] == [
        (boats, "Boats"),
        (draft, "Harbour"),
    ]
    assert items["back.jpg"]["state"] == "changed"
    assert items["Details"]["marks"] == []
    page = browser.page(f"/admin/drive/{works}")
    assert "Changed since" in page
    assert "Harbour" in page


def test_pages_follow_each_other_by_an_opaque_mark(browser: Browser) -> None:
    browser.site.put_files("Many", {f"{n:04}.txt": b"x" for n in range(250)})
    many = browser.find("Many")
    first = browser.json(f"/admin/drive/{many}")
    assert len(first["items"]) == 100
    seen = [item["name"] for item in first["items"]]
    mark = first["next_page"]
    while mark:
        page = browser.json(f"/admin/drive/{many}/items", next_page=mark)
        seen += [item["name"] for item in page["items"]]
        mark = page["next_page"]
    assert seen == [f"{n:04}.txt" for n in range(250)]
    html = browser.page(f"/admin/drive/{many}")
    following = re.search(r'<a href="([^"]+)">More of this folder', html)
    assert following is not None
    assert "0100.txt" in browser.page(following[1].replace("&amp;", "&"))


def test_a_mark_that_leads_elsewhere_is_refused(browser: Browser) -> None:
    works = browser.find("Works")
    for mark in ("https://evil.example.org/v1.0/me/drive/items/x/children", "nonsense"):
        answer = browser.client.get(
            f"/admin/drive/{works}/items", query_string={"next_page": mark}, headers=JSON
        )
        assert answer.status_code in (404, 422, 502), answer.text


def test_a_folder_is_sorted_and_filtered_without_a_script(browser: Browser) -> None:
    browser.site.put_files(
        "Shots",
        {"shot 10.jpg": make_jpeg(size=(600, 600)), "shot 2.jpg": make_jpeg(), "a.txt": b"x"},
    )
    browser.site.put_files("Shots/Zoo", {"x.txt": b"x"})
    shots = browser.find("Shots")

    def names(**query: str) -> list[str]:
        return [i["name"] for i in browser.json(f"/admin/drive/{shots}", **query)["items"]]

    assert names(sort="name-down") == ["Zoo", "shot 10.jpg", "shot 2.jpg", "a.txt"]
    assert names(sort="largest") == ["Zoo", "shot 10.jpg", "shot 2.jpg", "a.txt"]
    assert names(sort="smallest")[1] == "a.txt"
    assert names(q="SHOT", sort="name") == ["shot 2.jpg", "shot 10.jpg"]
    assert names(show="pictures") == ["Zoo", "shot 2.jpg", "shot 10.jpg"]
    add_image(browser.site, browser.find("shot 2.jpg", shots))
    assert names(show="inside") == ["Zoo", "shot 2.jpg"]
    assert names(show="outside") == ["Zoo", "shot 10.jpg"]
    assert names(show="changed") == []


# In the order that people expect, whatever OneDrive's own is.
ODD_NAMES = (
    "_last.txt",
    "😀 moon.txt",
    "2 boats.txt",
    "010 boats.txt",
    "Æther.txt",
    "Äpfel.txt",
    "apple.txt",
    "apricot.txt",
    "Łódź.txt",
    "Lofoten.txt",
    "shot.txt",
    "shot 2.txt",
    "shot 10.txt",
    "shot-2.txt",
    "Zebra.txt",
    "Ярмарка.txt",
    "あ.txt",
    "𠮷野.txt",
)


def test_odd_names_stand_where_people_look_for_them(browser: Browser) -> None:
    browser.site.put_files("Odd", {name: b"x" * 9 for name in ODD_NAMES})
    odd = browser.find("Odd")

    def names(**query: str) -> list[str]:
        return [i["name"] for i in browser.json(f"/admin/drive/{odd}", **query)["items"]]

    assert names() == list(ODD_NAMES)
    assert names(sort="name-down") == list(ODD_NAMES)[::-1]
    # What is equal in size stands by name.
    assert names(sort="largest") == list(ODD_NAMES)
    items = browser.json(f"/admin/drive/{odd}")["items"]
    keys = [item["name_key"].encode("utf-16-be") for item in items]
    assert keys == sorted(set(keys))


def test_one_page_asks_the_database_once_for_all_its_files(browser: Browser) -> None:
    from sqlalchemy import event

    from imagehub.database import db

    browser.site.put_files("Many", {f"{n:04}.txt": b"x" for n in range(90)})
    many = browser.find("Many")
    seen: list[str] = []
    with browser.site.app.app_context():
        engine = db.engine

        def note(_c: Any, _cur: Any, statement: str, *_: Any) -> None:
            seen.append(statement)

        event.listen(engine, "before_cursor_execute", note)
        try:
            browser.json(f"/admin/drive/{many}")
        finally:
            event.remove(engine, "before_cursor_execute", note)
    assert sum("FROM image JOIN image_group" in statement for statement in seen) == 1


def test_a_thumbnail_is_fetched_once_for_each_state_of_a_file(browser: Browser) -> None:
    works = browser.find("Works")
    front = next(
        i for i in browser.json(f"/admin/drive/{works}")["items"] if i["name"] == "front.jpg"
    )
    answer = browser.client.get(front["thumb"])
    assert answer.status_code == 200
    assert "private" in answer.headers["Cache-Control"]
    assert "immutable" in answer.headers["Cache-Control"]
    assert max(Picture.open(BytesIO(answer.data)).size) <= 176
    browser.site.onedrive.clear_log()
    again = browser.client.get(front["thumb"])
    assert again.data == answer.data
    assert browser.site.onedrive.log(path="thumbnail|items") == []
    (browser.site.onedrive.root / "Works" / "front.jpg").write_bytes(make_jpeg("black", (400, 300)))
    items = browser.json(f"/admin/drive/{works}")["items"]
    changed = next(i for i in items if i["name"] == "front.jpg")
    assert changed["thumb"] != front["thumb"]
    assert browser.client.get(changed["thumb"]).data != answer.data


def test_what_has_no_thumbnail_is_empty_and_what_is_not_there_not_found(browser: Browser) -> None:
    notes = browser.find("Notes")
    text = browser.find("list.txt", notes)
    assert browser.page(f"/admin/drive/thumbnail/{text}", 204) == ""
    browser.page("/admin/drive/thumbnail/NOTHING!1", 404)
    works = browser.find("Works")
    browser.page(f"/admin/drive/thumbnail/{browser.find('front.jpg', works)}", 404, size="huge")


def test_an_img_gets_the_sign_of_a_file_where_there_is_no_thumbnail(browser: Browser) -> None:
    def get(item_id: str, accept: str) -> TestResponse:
        path = f"/admin/drive/thumbnail/{item_id}"
        return browser.client.get(path, headers={"Accept": accept})

    img = "image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8"
    front = browser.find("front.jpg", browser.find("Works"))
    text = browser.find("list.txt", browser.find("Notes"))
    assert get(front, img).mimetype == "image/jpeg"
    none = get(text, img)
    assert (none.status_code, none.mimetype) == (200, "image/svg+xml")
    assert none.headers["Cache-Control"] == "private, max-age=30"
    # A browser that kept this must not show it to whoever follows the link, and the reverse.
    assert "Accept" in none.headers["Vary"]
    assert "Accept" in get(text, "*/*").headers["Vary"]
    for accept in ("*/*", "application/json", "text/html,image/avif,*/*;q=0.8"):
        assert get(text, accept).status_code == 204
        assert get("NOTHING!1", accept).mimetype != "image/svg+xml"
    missing = get("NOTHING!1", img)
    assert (missing.status_code, missing.mimetype) == (404, "image/svg+xml")
    assert missing.headers["Cache-Control"] == "no-store"
    assert missing.data == none.data
    assert get("NOTHING!1", "application/json").json["detail"]


def test_no_page_and_no_answer_holds_an_address_of_bytes_or_a_token(browser: Browser) -> None:
    works = browser.find("Works")
    page = browser.page(f"/admin/drive/{works}")
    data = json.dumps(browser.json(f"/admin/drive/{works}"))
    for text in (page, data):
        assert "tempauth" not in text
        assert "downloadUrl" not in text
        assert "Bearer" not in text


def test_a_hub_without_onedrive_says_what_to_do(site: Site) -> None:
    answer = site.signed_in_client().get("/admin/drive")
    assert answer.status_code == 409
    assert "not connected" in answer.text


def test_a_busy_onedrive_is_told_in_words(browser: Browser) -> None:
    browser.site.onedrive.set_fault("status", status=503, retry_after=600, path="/v1.0/")
    page = browser.page(status=503)
    assert "cannot be shown just now" in page
    browser.json(status=503)


# --- Changing -------------------------------------------------------------------------------------


def test_a_folder_is_made_and_a_taken_name_gets_a_number(browser: Browser) -> None:
    works = browser.find("Works")
    made = browser.post("/admin/drive/new-folder", folder=works, name="Sketches")
    assert made["done"][0]["name"] == "Sketches"
    assert browser.post("/admin/drive/new-folder", folder=works, name="Sketches")["done"][0][
        "name"
    ].startswith("Sketches ")
    browser.form("/admin/drive/new-folder", folder="", name="On top")
    assert (browser.site.onedrive.root / "On top").is_dir()


def test_a_name_that_onedrive_refuses_is_told(browser: Browser) -> None:
    answer = browser.post("/admin/drive/new-folder", 422, folder="", name='So "what"?')
    assert "does not allow" in answer["detail"][0]["msg"]
    browser.form("/admin/drive/new-folder", folder="", name="a:b")
    assert "does not allow" in browser.page()


def test_an_item_is_renamed_and_the_page_offers_undo(browser: Browser) -> None:
    works = browser.find("Works")
    front = browser.find("front.jpg", works)
    assert "New name" in browser.form("/admin/drive/rename", 200, item=front, folder=works)
    browser.form("/admin/drive/rename", item=front, folder=works, name="Front view.jpg")
    assert (browser.site.onedrive.root / "Works" / "Front view.jpg").exists()
    page = browser.page(f"/admin/drive/{works}")
    assert "is called" in page
    assert "Undo" in page
    taken = browser.form("/admin/drive/rename", 502, item=front, folder=works, name="back.jpg")
    assert "already" in taken


def list_log(browser: Browser) -> list[str]:
    """The sentences of the log, from new to old."""
    with browser.site.session() as session:
        entries = session.query(AuditEntry).order_by(AuditEntry.id.desc())
        return [entry.words for entry in entries]


def forget_pause(browser: Browser) -> None:
    """As if the time had passed for which OneDrive is let alone after its failures."""
    with browser.site.session() as session:
        session.query(DriveAccount).one().paused_until = None
    hub = browser.site.app.extensions["imagehub"]
    hub.clients = make_clients(browser.site.app, hub.settings)


def test_a_new_name_is_kept_while_onedrive_is_away_and_it_is_asked_once(browser: Browser) -> None:
    works = browser.find("Works")
    front = browser.find("front.jpg", works)
    onedrive = browser.site.onedrive
    page = browser.form("/admin/drive/rename", 200, item=front, folder=works)
    assert 'name="was" value="front.jpg"' in page
    fields = {"item": front, "folder": works, "name": "Front & back.jpg", "was": "front.jpg"}
    onedrive.set_fault("status", status=503, method="PATCH")
    onedrive.clear_log()
    page = browser.form("/admin/drive/rename", 503, **fields)
    forget_pause(browser)
    asked = [one["method"] for one in onedrive.log(path="/items/")]
    assert "GET" not in asked[asked.index("PATCH") :], "the failed change is the last thing asked"
    assert 'value="Front &amp; back.jpg"' in page
    assert "Rename “<bdi>front.jpg</bdi>”" in page
    # The same where it is away from the start, so that not even its name can be asked.
    onedrive.clear_faults()
    onedrive.set_fault("gone", path="/v1.0/")
    onedrive.clear_log()
    page = browser.form("/admin/drive/rename", 503, **fields)
    assert 'value="Front &amp; back.jpg"' in page
    assert "Rename “<bdi>front.jpg</bdi>”" in page
    onedrive.clear_faults()
    forget_pause(browser)
    browser.form("/admin/drive/rename", **fields)
    assert (onedrive.root / "Works" / "Front & back.jpg").exists()


@pytest.mark.parametrize("way", ["move", "delete"])
def test_what_was_done_before_onedrive_was_lost_is_told_and_in_the_log(
    browser: Browser, way: str
) -> None:
    works, notes = browser.find("Works"), browser.find("Notes")
    ids = [browser.find(name, works) for name in ("front.jpg", "back.jpg")]
    fields = {"target": notes} if way == "move" else {"sure": "yes"}
    method = "PATCH" if way == "move" else "DELETE"
    browser.site.onedrive.set_fault("status", status=401, method=method, skip=1)
    answer = browser.post(f"/admin/drive/{way}", item=ids, folder=works, **fields)
    assert [one["name"] for one in answer["done"]] == ["front.jpg"]
    assert [one["id"] for one in answer["failed"]] == ids[1:]
    assert "connected again" in answer["failed"][0]["reason"]
    assert "“front.jpg”" in list_log(browser)[0]
    # With nothing done there is nothing to tell but that.
    browser.post(f"/admin/drive/{way}", 409, item=ids[1:], folder=works, **fields)


def test_items_move_into_another_folder(browser: Browser) -> None:
    works, notes = browser.find("Works"), browser.find("Notes")
    front, back = browser.find("front.jpg", works), browser.find("back.jpg", works)
    page = browser.form("/admin/drive/move", 200, item=[front, back], folder=works)
    assert "Move 2 items" in page
    assert "Details" in page
    done = browser.post("/admin/drive/move", item=[front, back], folder=works, target=notes)
    assert len(done["done"]) == 2
    assert (browser.site.onedrive.root / "Notes" / "front.jpg").exists()


def test_a_folder_that_cannot_move_into_itself_does_not_hold_up_the_others(
    browser: Browser,
) -> None:
    works = browser.find("Works")
    details = browser.find("Details", works)
    front = browser.find("front.jpg", works)
    answer = browser.post("/admin/drive/move", item=[details, front], folder=works, target=details)
    assert [item["name"] for item in answer["done"]] == ["front.jpg"]
    assert answer["failed"] == [{"id": details, "reason": "A folder cannot be moved into itself."}]


def test_deleting_says_first_how_much_goes_and_which_images_come_from_there(
    browser: Browser,
) -> None:
    works = browser.find("Works")
    add_image(browser.site, browser.find("front.jpg", works))
    add_image(browser.site, browser.find("back.jpg", works), "draft", "Cliffs")
    plan = browser.send("/admin/drive/delete/plan", items=[works])
    words = " ".join(plan["sentences"])
    assert "3 folders with 3 files" in words
    assert "2 images of the hub come from there: in 2 groups, 1 of them published" in words
    assert [group["title"] for group in plan["groups"]] == ["Boats", "Cliffs"]
    assert (browser.site.onedrive.root / "Works").exists()
    assert "Cliffs" in browser.form("/admin/drive/delete", 200, item=works, folder="")
    browser.form("/admin/drive/delete", item=works, folder="", sure="yes")
    assert not (browser.site.onedrive.root / "Works").exists()
    assert "recycle bin" in browser.page()


def test_deleting_what_is_not_in_the_hub_says_so(browser: Browser) -> None:
    notes = browser.find("Notes")
    plan = browser.send("/admin/drive/delete/plan", items=[notes])
    assert "No image of the hub comes from there." in plan["sentences"]


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
    assert plan["sentences"][0].startswith("2,050 files")
    assert "1 image of the hub comes from there" in plan["sentences"][1]
    assert calls < 10


@pytest.fixture
def few_are_counted(monkeypatch: pytest.MonkeyPatch) -> int:
    """So few that any folder is too large to be counted."""
    monkeypatch.setattr(drive_browser, "MAX_COUNTED", 2)
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
    assert plan["sentences"][0].startswith("More than 2 items")
    assert "2 images of the hub come from there: in 2 groups, 1 of them" in plan["sentences"][1]


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
    assert "1 image of the hub comes from there" in plan["sentences"][1]
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
    assert "1 item is back" in browser.page()


@pytest.mark.parametrize(
    ("web_url", "address"),
    [
        (
            "https://contoso-my.sharepoint.com/personal/ada_example_org/Documents/Works/a.jpg",
            "https://contoso-my.sharepoint.com/personal/ada_example_org/_layouts/15/RecycleBin.aspx",
        ),
        (
            "https://contoso.sharepoint.com/sites/studio/Shared%20Documents/a.jpg",
            "https://contoso.sharepoint.com/sites/studio/_layouts/15/RecycleBin.aspx",
        ),
        ("https://contoso.sharepoint.com/", ""),
        ("javascript:alert(1)//personal/x", ""),
    ],
)
def test_the_recycle_bin_of_a_work_account_is_a_page_of_its_site(
    web_url: str, address: str
) -> None:
    item = DriveItem("1", "a.jpg", False, 1, "", "", raw={"webUrl": web_url})
    assert find_recycle_bin("business", [item]) == RecycleBin(address, 93, can_restore=False)


def test_nothing_chosen_is_told(browser: Browser) -> None:
    browser.post("/admin/drive/delete", 422)
    browser.send("/admin/drive/delete/plan", 422, items=[])
    browser.send("/admin/drive/delete/plan", 422)
    browser.post("/admin/drive/move", 422, target="x")


def test_what_lies_in_the_trash_of_the_hub_does_not_count(browser: Browser) -> None:
    works = browser.find("Works")
    front = browser.find("front.jpg", works)
    add_image(browser.site, front, "trash")
    items = {item["name"]: item for item in browser.json(f"/admin/drive/{works}")["items"]}
    assert items["front.jpg"]["marks"] == []
    plan = browser.send("/admin/drive/delete/plan", items=[front])
    assert plan["groups"] == []


def test_each_change_stands_in_the_log(browser: Browser) -> None:
    works, notes = browser.find("Works"), browser.find("Notes")
    front, back = browser.find("front.jpg", works), browser.find("back.jpg", works)
    browser.post("/admin/drive/new-folder", folder=works, name="Sketches")
    browser.post("/admin/drive/rename", item=front, name="First.jpg")
    browser.post("/admin/drive/move", item=[front, back], target=notes)
    browser.post("/admin/drive/delete", item=back, sure="yes")
    with browser.site.session() as session:
        entries = [
            (entry.actor_name, entry.verb, entry.words)
            for entry in session.query(AuditEntry).filter_by(kind="drive").order_by(AuditEntry.id)
        ]
    assert entries == [
        ("Ada", "create", "Made the folder “Sketches” in OneDrive."),
        ("Ada", "change", "Renamed “front.jpg” to “First.jpg” in OneDrive."),
        ("Ada", "change", "Moved “First.jpg” and 1 more item to “Notes” in OneDrive."),
        ("Ada", "delete", "Put “back.jpg” into OneDrive’s recycle bin."),
    ]


CHANGES = ("new-folder", "rename", "move", "delete", "delete/plan", "restore")


@pytest.mark.parametrize("change", CHANGES)
def test_a_form_without_its_token_changes_nothing(browser: Browser, change: str) -> None:
    works = browser.find("Works")
    answer = browser.client.post(
        f"/admin/drive/{change}", data={"item": works, "name": "x", "sure": "yes"}
    )
    assert answer.status_code == 400
    assert (browser.site.onedrive.root / "Works").exists()


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("rename", {"name": "x"}),
        ("move", {"target": "x"}),
        ("delete", {"sure": "yes"}),
    ],
)
def test_an_unknown_item_is_never_changed(
    browser: Browser, path: str, fields: dict[str, str]
) -> None:
    answer = browser.client.post(
        f"/admin/drive/{path}",
        data={"item": "NOTHING!1", **fields},
        headers=JSON | {"X-CSRFToken": browser.token},
    )
    assert answer.status_code == 404 or answer.json["done"] == []


# --- Upload ---------------------------------------------------------------------------------------


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


def make_hash(data: bytes) -> str:
    quick_xor = QuickXorHash()
    quick_xor.update(data)
    return quick_xor.base64()


def upload(browser: Browser, folder: str, name: str, data: bytes, **options: Any) -> Any:
    import requests

    call = {"folder": folder, "name": name, "size": len(data), **options}
    begun = browser.send("/admin/drive/upload/begin", **call)
    if "needs_hash" in begun:
        begun = browser.send("/admin/drive/upload/begin", hash=make_hash(data), **call)
    if "upload_url" in begun:
        requests.put(
            begun["upload_url"],
            data=data,
            headers={"Content-Range": f"bytes 0-{len(data) - 1}/{len(data)}"},
            timeout=30,
        ).raise_for_status()
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


def test_no_name_can_pretend_to_another_ending(browser: Browser) -> None:
    works = browser.find("Works")
    spoof = "photo\N{RIGHT-TO-LEFT OVERRIDE}gpj.exe"
    for path, fields in (("new-folder", {"folder": works}), ("rename", {"item": works})):
        answer = browser.post(f"/admin/drive/{path}", 422, name=spoof, **fields)
        assert "cannot be shown" in answer["detail"][0]["msg"]
    begun = browser.send("/admin/drive/upload/paths", folder=works, paths=[spoof])
    assert begun["refused"][0]["repaired"] == "photo_gpj.exe"
    # What is in OneDrive already is shown as what it is.
    (browser.site.onedrive.root / "Works" / spoof).mkdir()
    shown = "photo\N{REPLACEMENT CHARACTER}gpj.exe"
    folder = browser.find(shown, works)
    texts = [browser.page(f"/admin/drive/{works}"), browser.page(f"/admin/drive/{folder}")]
    for act in ("rename", "move", "delete"):
        texts.append(browser.form(f"/admin/drive/{act}", 200, item=folder, folder=works))
    browser.post("/admin/drive/move", item=folder, target=browser.find("Notes"))
    texts += list_log(browser)[:1]
    for text in texts:
        assert shown in text
        assert spoof not in text.replace(f'value="{spoof}"', "")


def test_uploads_are_in_the_log_and_so_is_what_they_replace(browser: Browser) -> None:
    works = browser.find("Works")
    for name in ("one.jpg", "two.jpg", "empty.txt"):
        upload(browser, works, name, b"" if name == "empty.txt" else b"12345")
    upload(browser, works, "one.jpg", b"other")
    for name in ("one.jpg", "two.jpg"):
        upload(browser, works, name, b"other", on_conflict="replace")
    assert list_log(browser)[:2] == [
        "Began to replace 2 files in OneDrive: “one.jpg”, “two.jpg”.",
        "Began to upload 3 files to OneDrive: “one.jpg”, “two.jpg”, “empty.txt”.",
    ]
    assert "Began to replace 2 files" in browser.page("/admin/activity")


def test_a_batch_of_any_size_is_one_line_of_the_log(browser: Browser) -> None:
    works = browser.find("Works")
    for number in range(40):
        upload(browser, works, f"a picture with a long name {number}.txt", b"")
    first, second = list_log(browser)[:2]
    assert first.startswith("Began to upload 40 files to OneDrive: “a picture with a long name 0.")
    assert (len(first), first[-1]) == (500, "…")
    assert not second.startswith("Began")


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
    kept = b"".join(p.read_bytes() for p in (browser.site.folder / "site" / "uploads").iterdir())
    assert b"tempauth" not in kept


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
    assert begun["message"] == "A folder has this name, and a file cannot take its place."


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
    again = browser.send("/admin/drive/upload/import", files=[replaced, fresh])
    assert again["job"] is None
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


def test_a_hub_that_may_only_read_says_so_before_it_asks_onedrive(browser: Browser) -> None:
    folder = browser.json()["id"]
    with browser.site.session() as session:
        session.query(DriveAccount).one().scopes = "User.Read Files.Read"
        session.commit()
    assert "ImageHub may only look so far" in browser.page()
    changes: list[tuple[str, dict[str, str]]] = [
        ("new-folder", {"folder": folder, "name": "Neu"}),
        ("rename", {"item": folder, "name": "Neu"}),
        ("move", {"item": folder, "target": folder}),
        ("delete", {"item": folder, "sure": "yes"}),
        ("restore", {"deletion": "x"}),
    ]
    for path, fields in changes:
        answer = browser.post(f"/admin/drive/{path}", status=403, **fields)
        assert answer["detail"].startswith("ImageHub may only read in OneDrive so far.")
        browser.form(f"/admin/drive/{path}", status=302, **fields)
    upload: dict[str, Any] = {"folder": folder, "name": "a.jpg", "size": 10}
    browser.send("/admin/drive/upload/begin", status=403, **upload)
