"""The list of imports, and plans: created, read and discarded."""

import re

import pytest
from flask.testing import FlaskClient

from imagehub.models import DriveAccount, ImportPlan
from tests.admin.pages import read_toasts, send
from tests.admin.plans import (
    PAGE,
    PLAN,
    find_ids,
    put_studio,
)
from tests.fixtures.importing import make_jpeg
from tests.fixtures.site import ConnectedSite, Site, read_csrf_token


@pytest.fixture
def client(connected_site: ConnectedSite) -> FlaskClient:
    put_studio(connected_site)
    return connected_site.signed_in_client()


def test_a_group_that_is_named_at_the_start_gets_all_files(
    connected_site: ConnectedSite, client: FlaskClient
) -> None:
    number = connected_site.add_group()
    folder_id, _ = connected_site.find_folder("Studio")
    send(client, PLAN, "/admin/account", folder=folder_id, group=f"{number} · Waves")
    page = client.get(PAGE).text
    assert "data-existing" in page
    assert len(find_ids(page, "bin")) == 1


def test_a_discarded_plan_is_gone(connected_site: ConnectedSite, client: FlaskClient) -> None:
    folder_id, _ = connected_site.find_folder("Studio")
    send(client, PLAN, "/admin/account", item=folder_id)
    for page in ("/admin/import", PAGE):
        assert f'action="{PAGE}/delete" data-ask="Discard this plan?"' in client.get(page).text
    send(client, f"{PAGE}/delete", PAGE)
    assert "Plan discarded." in read_toasts(client)
    assert client.get(PAGE).status_code == 404


def test_pages_without_imports_or_connection(site: Site) -> None:
    client = site.signed_in_client()
    assert "No imports yet" in client.get("/admin/import").text
    assert send(client, PLAN, "/admin/account", item="x").status_code in (404, 409)
    for path in ("/admin/import/7", "/admin/import/plans/7", "/admin/import/7/progress"):
        assert client.get(path).status_code == 404


def test_a_plan_of_several_folders_names_the_first(
    connected_site: ConnectedSite, client: FlaskClient
) -> None:
    connected_site.put_files("Attic", {"old.jpg": make_jpeg(9)})
    folders = [connected_site.find_folder(name)[0] for name in ("Studio", "Attic")]
    send(client, PLAN, "/admin/account", folder=folders)
    assert "from “Studio” and others</span>" in client.get("/admin/import").text


def test_too_many_selected_items_are_refused_and_their_folder_is_not(
    connected_site: ConnectedSite, client: FlaskClient
) -> None:
    folder_id, _ = connected_site.find_folder("Studio")
    # Longer than a form that Flask takes by itself.
    items = [f"{n:0250}" for n in range(2_100)]
    answer = send(client, PLAN, "/admin/account", item=items, folder=folder_id)
    assert answer.location == f"/admin/drive/{folder_id}"
    assert "Select their folder instead." in read_toasts(client, answer.location)
    assert send(client, PLAN, "/admin/account", item=items, folder=folder_id, all="yes").location
    assert 'data-files="4"' in client.get(PAGE).text


def test_reading_that_cannot_go_on_ends_with_the_reason(
    connected_site: ConnectedSite, client: FlaskClient
) -> None:
    folder_id, _ = connected_site.find_folder("Studio")
    connected_site.onedrive.set_fault("status", status=503, retry_after=600, path="/children")
    send(client, PLAN, "/admin/account", item=folder_id)
    assert "data-reading" in client.get(PAGE).text
    headers = {"X-CSRFToken": read_csrf_token(client, PAGE), "Accept": "application/json"}
    assert client.post(f"{PAGE}/read", headers=headers).json["fault"]
    with connected_site.session() as session:
        session.query(DriveAccount).one().is_active = False
        session.add(DriveAccount(home_account_id="somebody.else", token_cache=b"", is_active=True))
    answer = client.post(f"{PAGE}/read", headers=headers)
    assert answer.status_code == 409
    assert "no longer connected" in answer.json["detail"]
    send(client, f"{PAGE}/read", PAGE)
    assert "no longer connected" in read_toasts(client)


def test_plans_and_groups_beyond_a_page(connected_site: ConnectedSite, client: FlaskClient) -> None:
    files = {f"{n:03}.jpg": b"\xff\xd8 %d" % n for n in range(201)}
    connected_site.put_files("Studio", files)
    folder_id, _ = connected_site.find_folder("Studio")
    send(client, PLAN, "/admin/account", item=folder_id)
    send(client, f"{PAGE}/groups", PAGE, way="each")
    send(client, f"{PAGE}/start", PAGE)
    page = client.get("/admin/import/1").text
    assert "and 5 more" in page
    numbers = [int(one) for one in re.findall(r'href="/admin/library/(\d+)"', page)]
    assert numbers == list(range(1, 201))
    with connected_site.session() as session:
        account = session.query(DriveAccount).one()
        session.add_all(ImportPlan(drive_account_id=account.id) for _ in range(21))
    page = client.get("/admin/import").text
    assert page.count('data-state="reading"') == 20
    (older,) = re.findall(r'href="(/admin/import\?plan_before=\d+)"', page)
    assert client.get(older).text.count('data-state="reading"') == 1
