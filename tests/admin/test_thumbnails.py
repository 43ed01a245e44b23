"""Thumbnails of OneDrive's files."""

import os
import time
from io import BytesIO

from PIL import Image as Picture
from werkzeug.test import TestResponse

from tests.admin.drive import Browser, make_jpeg


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


def choose_root(browser: Browser, folder: str) -> None:
    """Close the drive at a folder, and wait until every part of the hub knows."""
    page = "/admin/connection/root-folder"
    browser.form(page, folder=folder, sure="yes")
    for _ in range(200):
        if browser.json()["id"] == folder:
            return
        time.sleep(0.05)
    raise AssertionError("the root folder was not changed")


def test_a_thumbnail_that_is_kept_goes_with_the_root_folder_and_with_its_file(
    browser: Browser,
) -> None:
    works = browser.find("Works")
    details = browser.find("Details", works)
    front = next(
        i for i in browser.json(f"/admin/drive/{works}")["items"] if i["name"] == "front.jpg"
    )
    corners = browser.find("Corners", details)
    (corner,) = browser.json(f"/admin/drive/{corners}")["items"]
    kept = [browser.client.get(one["thumb"]) for one in (front, corner)]
    assert [answer.status_code for answer in kept] == [200, 200]
    choose_root(browser, details)
    assert browser.client.get(front["thumb"]).status_code == 404, "it lies outside now"
    assert browser.client.get(corner["thumb"]).status_code == 200
    # Somebody moves it out, and some time passes.
    place = browser.site.onedrive.root / "Works"
    (place / "Details" / "Corners" / "a.jpg").rename(place / "a.jpg")
    for path in (browser.site.folder / "site" / "thumbnails").glob("*/*"):
        os.utime(path, (1, 1))
    assert browser.client.get(corner["thumb"]).status_code == 404


def test_an_old_thumbnail_of_a_file_inside_is_not_fetched_anew(browser: Browser) -> None:
    choose_root(browser, browser.find("Works"))
    front = next(i for i in browser.json()["items"] if i["name"] == "front.jpg")
    first = browser.client.get(front["thumb"])
    for path in (browser.site.folder / "site" / "thumbnails").glob("*/*"):
        os.utime(path, (1, 1))
    browser.site.onedrive.clear_log()
    for _ in range(2):
        assert browser.client.get(front["thumb"]).data == first.data
    assert browser.site.onedrive.log(path="thumbnail") == []
    assert len(browser.site.onedrive.log(path="items")) == 1, "it was seen inside a moment ago"


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
