"""The drive browser, looked at as a browser does, with an emulator and a database behind it."""

import json
import re
from typing import Any

from tests.admin.drive import JSON, ODD_NAMES, Browser, add_image, make_jpeg


def test_the_root_folder_shows_its_folders_and_the_quota(browser: Browser) -> None:
    page = browser.page()
    assert "Works" in page
    assert "Notes" in page
    assert "available" in browser.json()["quota"]["words"]


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
    boats = add_image(browser.site, front, drive_hash=now.quick_xor_hash, ctag="an older one")
    draft = add_image(browser.site, front, "draft", "Harbour", ctag=now.ctag)
    add_image(browser.site, back, title="Cliffs", drive_hash="AAAA")
    items = {item["name"]: item for item in browser.json(f"/admin/drive/{works}")["items"]}
    assert items["front.jpg"]["state"] == "inside"
    assert [(m["group"], m["title"]) for m in items["front.jpg"]["marks"]] == [
        (boats, "Boats"),
        (draft, "Harbour"),
    ]
    assert items["back.jpg"]["state"] == "changed"
    assert items["Details"]["marks"] == []
    page = browser.page(f"/admin/drive/{works}")
    assert "Changed since import" in page
    assert "Harbour" in page


def test_an_image_is_known_however_onedrive_spells_the_id_of_its_file(browser: Browser) -> None:
    works = browser.find("Works")
    front = browser.find("front.jpg", works)
    drive_id, mark, rest = front.partition("!")
    spelt = f"{drive_id.swapcase()}{mark}{rest}"
    assert spelt != front
    add_image(browser.site, spelt)
    items = {item["name"]: item for item in browser.json(f"/admin/drive/{works}")["items"]}
    assert items["front.jpg"]["state"] == "inside"
    plan = browser.send("/admin/drive/delete/plan", items=[works])
    assert "1 image was imported from there" in plan["sentences"][1]
    file = {"id": front, "name": "front.jpg", "folder": works}
    assert browser.send("/admin/drive/upload/import", files=[file])["job"] is None


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
    following = re.search(r'<a href="([^"]+)">Next page', html)
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


def test_a_view_that_is_chosen_without_a_script_keeps_the_arrangement_and_holds_on(
    browser: Browser,
) -> None:
    works = browser.find("Works")
    page = browser.page(f"/admin/drive/{works}", sort="largest", q="jpg")
    assert 'class="items is-list"' in page
    grid = re.search(r'href="([^"]+)" data-view="grid"', page)
    assert grid is not None
    page = browser.page(grid[1].replace("&amp;", "&"))
    assert 'class="items is-grid"' in page
    assert 'value="largest" selected' in page
    assert 'value="jpg"' in page
    assert 'class="items is-grid"' in browser.page()
    browser.page(view="list")
    assert 'class="items is-list"' in browser.page()


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


def test_no_page_and_no_answer_holds_an_address_of_bytes_or_a_token(browser: Browser) -> None:
    works = browser.find("Works")
    page = browser.page(f"/admin/drive/{works}")
    data = json.dumps(browser.json(f"/admin/drive/{works}"))
    for text in (page, data):
        assert "tempauth" not in text
        assert "downloadUrl" not in text
        assert "Bearer" not in text
