"""Dismissing failed files, as a browser without scripts does it, with a worker and OneDrive."""

import re
import threading
import time

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select, update

from imagehub.models import Group, HubSetting, Image, ImportItem, ImportJob
from tests.admin.pages import read_toasts, send
from tests.fixtures.importing import make_jpeg
from tests.fixtures.site import ConnectedSite

JOB = "/admin/import/1"


@pytest.fixture
def client(connected_site: ConnectedSite) -> FlaskClient:
    """Signed in, after an import of a picture and of two broken files, each in its own group."""
    broken = {f"{name}.jpg": b"\xff\xd8\xff\xe0" + name.encode() for name in ("dune", "wave")}
    connected_site.put_files("Studio", {"mill.jpg": make_jpeg(1)} | broken)
    client = connected_site.signed_in_client()
    folder_id, _ = connected_site.find_folder("Studio")
    plan = send(client, "/admin/import/plan", item=folder_id).location
    send(client, f"{plan}/groups", plan, way="stem")
    send(client, f"{plan}/start", plan)
    work(connected_site, client)
    with connected_site.session() as session:
        session.execute(update(Image).values(alt="A mill", has_alt=True))
    return client


def work(site: ConnectedSite, client: FlaskClient) -> None:
    """Run a worker until the import is finished."""
    with site.working():
        until = time.monotonic() + 120
        while client.get(f"{JOB}/progress").json["state"] == "running":
            assert time.monotonic() < until, "the worker does not finish the import"
            time.sleep(0.05)


def find_form(page: str, button: str) -> tuple[str, dict[str, str]]:
    """Find the form with such a button: its address and its hidden fields."""
    for form in re.findall(r"<form.*?</form>", page, re.DOTALL):
        if re.search(rf"<button[^>]*>(<svg.*?</svg>\s*)?\s*{button}\s*</button>", form, re.DOTALL):
            hidden = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', form)
            address = re.search(r'action="([^"]+)"', form)
            assert address is not None
            return address[1], {name: value for name, value in hidden if name != "csrf_token"}
    raise AssertionError(f"there is no button {button!r}")


def list_gallery(client: FlaskClient) -> list[int]:
    return [row["group"] for row in client.get("/image/page?page=1").json["data"]]


def test_a_broken_file_is_dismissed_on_the_first_page_and_retried(
    connected_site: ConnectedSite, client: FlaskClient
) -> None:
    with connected_site.session() as session:
        # Home would ask for it.
        session.add(HubSetting(name="client_secret_end", value='"2999-01-31"'))
        dune, mill, wave = session.scalars(select(Group.id).order_by(Group.title))
    # An empty group was never anything for visitors.
    assert list_gallery(client) == [mill]
    assert client.get(f"/groups/{wave}").status_code == 404
    assert "Wave" not in client.get("/").text
    home = client.get("/admin/").text
    assert "2 files could not be imported" in home

    _, fields = find_form(home, "Dismiss")
    address = f"{JOB}/dismiss"
    assert f'formaction="{address}"' in home
    assert client.post(address, data=fields).status_code == 400, "without its token"
    assert send(client, address, "/admin/", **fields).location == "/admin/"
    home = client.get("/admin/").text
    assert "Nothing needs attention." in home
    assert "2 files dismissed." in home
    assert "2 empty groups moved to the trash." in home
    assert "Dismissed 2 failed files of an import." in home
    assert send(client, address, "/admin/", **fields).location == "/admin/"
    assert "Nothing left to dismiss." in read_toasts(client)
    library = client.get("/admin/library").text
    assert "Mill" in library
    assert "Wave" not in library
    assert "Wave" in client.get("/admin/library/trash").text

    page = client.get(JOB).text
    assert "1 image imported; 2 failed files dismissed." in page
    assert page.index('data-part="dismissed"') < page.index("wave.jpg") < page.rindex("incomplete")
    assert 'data-part="failed"' not in page
    assert "2 dismissed" in client.get("/admin/import").text
    [item] = re.findall(r'name="item" value="(\d+)">Retry<span class="unseen">: wave.jpg', page)
    connected_site.put_files("Studio", {"wave.jpg": make_jpeg(2)})
    send(client, f"{JOB}/retry-dismissed", JOB, item=item)
    work(connected_site, client)
    assert sorted(list_gallery(client)) == [mill, wave]
    assert "Dune" not in client.get("/admin/library").text

    address, fields = find_form(client.get(JOB).text, "Retry")
    send(client, address, JOB, **fields)
    work(connected_site, client)
    assert "1 file could not be imported" in client.get("/admin/").text
    assert "Dune" in client.get("/admin/library").text
    assert client.get(f"/groups/{dune}").status_code == 404


def test_one_file_is_dismissed_on_the_page_of_its_import(
    connected_site: ConnectedSite, client: FlaskClient
) -> None:
    page = client.get(JOB).text
    address, fields = find_form(page, "Dismiss all")
    [item] = re.findall(r'name="item" value="(\d+)">Dismiss<span class="unseen">: wave.jpg', page)
    assert send(client, address, JOB, item=item, **fields).location == JOB
    page = client.get(JOB).text
    assert page.index("dune.jpg") < page.index('data-part="dismissed"') < page.index("wave.jpg")
    assert "1 file dismissed." in page
    assert "1 empty group moved to the trash." in page
    assert "1 file could not be imported" in client.get("/admin/").text
    send(client, f"{JOB}/retry", JOB)
    with connected_site.session() as session:
        states = dict(session.execute(select(ImportItem.file_name, ImportItem.state)).all())
    assert states == {"mill.jpg": "done", "dune.jpg": "queued", "wave.jpg": "left_out"}
    for wrong in ("x", "0", "9" * 5000):
        assert send(client, f"{JOB}/dismiss", JOB, item=wrong).status_code == 404
    assert send(client, "/admin/import/77/dismiss", JOB).status_code == 404


def test_the_single_page_app_is_told_of_a_dismissed_file_as_of_a_failed_one(
    connected_site: ConnectedSite,
) -> None:
    connected_site.put_files("Studio", {"wave.jpg": b"cut"})
    folder_id, files = connected_site.find_folder("Studio")
    file = {"file_name": "wave.jpg", "file_id": files["wave.jpg"]}
    chosen = {"all_image_id": [file], "group": -1, "folder_name": "Studio"}
    body = {"image_list": {folder_id: chosen}}
    answers = []
    asking = threading.Thread(
        target=lambda: answers.append(connected_site.send("/admin/add/image", body))
    )
    asking.start()
    is_ended = False
    while not is_ended and asking.is_alive():
        time.sleep(0.05)
        with connected_site.session() as session:
            # A person dismisses it while the call still waits for the import.
            values = {"state": "left_out", "reason": "This file is cut short."}
            is_ended = session.scalar(select(ImportItem.id)) is not None
            if is_ended:
                session.execute(update(ImportItem).values(**values))
                session.execute(update(ImportJob).values(state="finished"))
    asking.join()
    [answer] = answers
    assert (answer["code"], answer["hint"]) == (2, "invalid image list")
    assert answer["failed"] == [
        {
            "file_id": files["wave.jpg"],
            "file_name": "wave.jpg",
            "reason": "This file is cut short.",
        }
    ]
