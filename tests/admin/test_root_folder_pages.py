"""The page that selects the root folder."""

import re
import shutil
import time
from html import unescape
from urllib.parse import parse_qs, urlsplit

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from imagehub.database import db
from imagehub.models import Image
from tests.admin.pages import send
from tests.fixtures.importing import make_jpeg
from tests.fixtures.onedrive import OneDrive
from tests.fixtures.programs import wait_until
from tests.fixtures.site import ConnectedSite

PAGE = "/admin/connection"
ROOT = f"{PAGE}/root-folder"


@pytest.fixture
def client(connected_site: ConnectedSite) -> FlaskClient:
    return connected_site.signed_in_client()


def choose_root(site: ConnectedSite, client: FlaskClient, name: str) -> TestResponse:
    """Go into the folder by its link, and choose it."""
    page = client.get(ROOT).text
    found = re.search(
        r'href="(/admin/connection/root-folder\?folder=[^"]+)">(?:(?!</a>).)*' + name, page
    )
    assert found is not None, page
    inside = client.get(found.group(1))
    assert f'aria-current="location">{name}' in inside.text
    folder = parse_qs(urlsplit(found.group(1)).query)["folder"][0]
    return send(client, ROOT, ROOT, folder=folder)


def test_a_root_folder_that_is_gone_is_told_with_what_to_do(
    connected_site: ConnectedSite, client: FlaskClient
) -> None:
    connected_site.put_files("Kunst", {"front.png": b"123"})
    choose_root(connected_site, client, "Kunst")
    shutil.rmtree(connected_site.onedrive.root / "Kunst")

    def check() -> str:
        send(client, f"{PAGE}/check", PAGE)
        return client.get(PAGE).text

    # For a second after the choice the drive is still believed to be open at the top.
    wait_until(lambda: "OneDrive responds, but the root folder is gone." in check())
    assert "Select another one below" in check()


def test_the_drives_pages_lead_to_the_choice_where_the_root_folder_is_gone(
    connected_site: ConnectedSite, client: FlaskClient
) -> None:
    connected_site.put_files("Kunst/Boats", {"front.png": b"123"})
    choose_root(connected_site, client, "Kunst")
    wait_until(lambda: "Boats" in client.get("/admin/drive").text)
    items = client.get("/admin/drive", headers={"Accept": "application/json"}).json["items"]
    boats = next(item["id"] for item in items if item["name"] == "Boats")
    shutil.rmtree(connected_site.onedrive.root / "Kunst")
    for path in ("", f"/{boats}", "/path/Boats"):
        answer = client.get(f"/admin/drive{path}")
        assert answer.status_code == 404
        assert "The root folder is gone" in answer.text
        assert f'href="{ROOT}">Select another folder</a>' in answer.text
        assert f'href="/admin/drive{path}">Retry</a>' in answer.text
    assert "Boats" not in client.get(ROOT).text
    answer = client.get("/admin/drive", headers={"Accept": "application/json"})
    assert answer.status_code == 404
    assert answer.json == {"detail": "The root folder set for this hub does not exist in OneDrive."}
    answer = send(client, "/admin/drive/new-folder", PAGE, name="Ships")
    assert "The root folder is gone" in answer.text
    assert 'href="/admin/drive">Retry</a>' in answer.text


def test_the_folder_that_is_the_root_already_is_not_offered_again(
    connected_site: ConnectedSite, client: FlaskClient
) -> None:
    connected_site.put_files("Kunst/Wellen", {"front.png": b"123"})
    page = client.get(ROOT).text
    assert "This is the root folder." in page
    assert "Use all of OneDrive" not in page
    answer = choose_root(connected_site, client, "Kunst")
    assert answer.location == PAGE
    page = client.get(ROOT).text
    assert "Use all of OneDrive" in page
    assert re.search(r"Kunst</span> <span[^>]*>current root folder<", page)
    inside = re.search(r'href="(/admin/connection/root-folder\?folder=[^"]+)"', page)
    assert inside is not None
    page = client.get(inside.group(1)).text
    assert "This is the root folder." in page
    assert "Use this folder" not in page


def test_a_folder_behind_many_files_is_on_the_first_page(
    connected_site: ConnectedSite, client: FlaskClient
) -> None:
    connected_site.put_files("", {f"{number:03}.txt": b"" for number in range(450)})
    connected_site.put_files("Wellen", {})
    page = client.get(ROOT).text
    assert "Wellen" in page
    assert "No folders here" not in page


def test_a_chosen_folder_closes_the_drive(
    connected_site: ConnectedSite, client: FlaskClient
) -> None:
    connected_site.put_files("Private", {"diary.png": b"123"})
    connected_site.put_files("Kunst/Wellen", {"front.png": b"123"})
    private_id, files = connected_site.find_folder("Private")
    choose_root(connected_site, client, "Kunst")
    assert "/Kunst" in client.get(PAGE).text
    time.sleep(1.1)  # What was looked up before is believed for a second.
    folders = connected_site.call("/admin/onedrive/folders")["folders"]
    names = {f["folder_name"] for f in folders.values() if isinstance(f, dict)}
    assert names == {"Wellen"}
    for item_id in (private_id, files["diary.png"]):
        answer = connected_site.send(
            "/admin/onedrive/rename", {"item_id": item_id, "new_name": "taken.png"}
        )
        assert answer["code"] == 0
        assert "not inside the root folder" in answer["reason"]
    assert (connected_site.onedrive.root / "Private" / "diary.png").exists()

    send(client, ROOT, ROOT, folder="")
    assert "All of OneDrive" in client.get(PAGE).text


def bring_in(site: ConnectedSite, folder: str, *names: str) -> None:
    """Import pictures of a folder; a worker is there."""
    site.put_files(folder, {name: make_jpeg(ord(name[0])) for name in names})
    folder_id, ids = site.find_folder(folder)
    files = [{"file_name": name, "file_id": ids[name]} for name in names]
    wish = {"all_image_id": files, "group": -1, "folder_name": folder}
    answer = site.send("/admin/add/image", {"image_list": {folder_id: wish}})
    assert (answer["code"], answer["failed"]) == (1, [])


def read_states(site: ConnectedSite) -> dict[str, str]:
    with site.session() as session:
        rows = session.execute(select(Image.name, Image.drive_state))
        return {row.name: row.drive_state for row in rows}


def test_images_from_outside_a_folder_are_told_of_before_it_is_chosen(
    connected_site: ConnectedSite, client: FlaskClient
) -> None:
    """All the way: asked, chosen, looked at; and widened again, and looked at again."""
    site = connected_site
    with site.working():
        bring_in(site, "Art", "a.jpg")
        bring_in(site, "Kunst & Söhne", "k.jpg", "l.jpg")
        asked = choose_root(site, client, "Art")
        assert asked.status_code == 200
        words = unescape(re.sub("<[^>]+>", "", asked.text))
        assert "The originals of 2 images are outside “Art”." in words
        assert "All of OneDrive" in client.get(PAGE).text, "nothing is chosen yet"
        cancel = re.search(r'href="([^"]+)">Cancel', asked.text)
        assert cancel is not None
        assert client.get(unescape(cancel.group(1))).status_code == 200

        art, _ = site.find_folder("Art")
        assert send(client, ROOT, ROOT, folder=art, sure="yes").status_code == 302
        assert "/Art" in client.get(PAGE).text
        wait_until(lambda: read_states(site)["k.jpg"] == "outside", what="a look at the new folder")
        assert read_states(site) == {"a.jpg": "ok", "k.jpg": "outside", "l.jpg": "outside"}
        again = send(client, ROOT, ROOT, folder=art)
        assert again.status_code == 302, "what lies outside already is not told of again"

        assert send(client, ROOT, ROOT, folder="").status_code == 302
        wait_until(lambda: set(read_states(site).values()) == {"ok"}, what="a look at all of it")
        asked = choose_root(site, client, "Kunst")
        words = unescape(re.sub("<[^>]+>", "", asked.text))
        assert "The original of 1 image is outside “Kunst & Söhne”." in words


def test_a_folder_that_holds_all_images_is_chosen_at_once(
    connected_site: ConnectedSite, client: FlaskClient
) -> None:
    with connected_site.working():
        bring_in(connected_site, "Art", "a.jpg")
    assert choose_root(connected_site, client, "Art").status_code == 302
    assert "/Art" in client.get(PAGE).text


def test_where_it_is_not_known_where_images_come_from_one_is_asked(
    connected_site: ConnectedSite, client: FlaskClient
) -> None:
    connected_site.put_files("Art", {})
    connected_site.add_group(["a.jpg", "b.jpg"])
    asked = choose_root(connected_site, client, "Art")
    words = unescape(re.sub("<[^>]+>", "", asked.text))
    assert "For 2 images, it is not yet known whether the originals are inside “Art”" in words
    folder, _ = connected_site.find_folder("Art")
    assert send(client, ROOT, ROOT, folder=folder, sure="yes").status_code == 302
    assert "/Art" in client.get(PAGE).text


def test_a_folder_that_is_not_there_cannot_be_chosen(
    connected_site: ConnectedSite, client: FlaskClient
) -> None:
    (connected_site.onedrive.root / "file.png").write_bytes(b"1")
    for folder in ("nonsense", "../..", "1!2"):
        assert client.get(ROOT, query_string={"folder": folder}).status_code == 404
        assert send(client, ROOT, ROOT, folder=folder).status_code == 404
    assert "All of OneDrive" in client.get(PAGE).text


def test_where_the_environment_says_the_folder_the_page_does_not_offer_it(
    connected_site: ConnectedSite, client: FlaskClient, onedrive: OneDrive
) -> None:
    connected_site.put_files("Kunst", {})
    fixed = connected_site.restart(root_folder="/Kunst")
    browser = fixed.signed_in_client()
    page = browser.get(PAGE).text
    assert "IMAGEHUB_ROOT_FOLDER" in page
    assert "Select another folder" not in page
    assert "Let it see one folder only" not in browser.get("/admin/").text
    assert browser.get(ROOT).location == PAGE
    assert "The root folder is set by IMAGEHUB_ROOT_FOLDER on the server." in browser.get(PAGE).text
    assert send(browser, ROOT, PAGE, folder="").status_code == 403
    shutil.rmtree(connected_site.onedrive.root / "Kunst")
    gone = browser.get("/admin/drive")
    assert gone.status_code == 404
    assert "set IMAGEHUB_ROOT_FOLDER on the server to another folder" in gone.text
    assert "Select another folder" not in gone.text
    with fixed.app.app_context():
        db.engine.dispose()
