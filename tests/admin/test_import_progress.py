"""The page of an import: progress, retries, publishing."""

from datetime import timedelta

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select, update

from imagehub.database import now_utc
from imagehub.domain.imports.jobs import MISMATCH_REASON
from imagehub.models import Group, ImportItem, ImportJob
from tests.admin.pages import read_toasts, send
from tests.admin.plans import (
    PAGE,
    PLAN,
    choose_folder,
    find_ids,
    list_titles,
    put_studio,
)
from tests.fixtures.importing import make_jpeg
from tests.fixtures.programs import wait_until
from tests.fixtures.site import ConnectedSite


@pytest.fixture
def client(connected_site: ConnectedSite) -> FlaskClient:
    put_studio(connected_site)
    return connected_site.signed_in_client()


def import_as_drafts(
    site: ConnectedSite, client: FlaskClient, number: int, item: str, way: str = "", group: str = ""
) -> str:
    """Import files as drafts from beginning to end; answers the import's page."""
    plan = f"/admin/import/plans/{number}"
    send(client, PLAN, "/admin/account", item=item, group=group)
    if way:
        send(client, f"{plan}/groups", plan, way=way)
    send(client, f"{plan}/start", plan, state="draft")
    page = f"/admin/import/{number}"
    assert f"{page}/publish" not in client.get(page).text
    with site.working():
        wait_until(lambda: client.get(f"{page}/progress").json["state"] != "running")
    return client.get(page).text


def test_an_import_from_the_selection_to_the_last_image(
    connected_site: ConnectedSite, client: FlaskClient
) -> None:
    page = choose_folder(connected_site, client)
    assert 'data-files="4" data-included="4"' in page
    send(client, f"{PAGE}/groups", PAGE, way="stem")
    page = client.get(PAGE).text
    assert list_titles(page) == ["Bad", "Mill", "Sea"]
    mill = find_ids(page, "bin")[1]
    send(client, f"{PAGE}/board/rename", PAGE, **{f"title-{mill}": "Old mill"})
    assert list_titles(client.get(PAGE).text) == ["Bad", "Old mill", "Sea"]
    listed = client.get("/admin/import").text
    assert "Ready to start" in listed
    assert "from “Studio”</span>" in listed
    with connected_site.working():
        answer = send(client, f"{PAGE}/start", PAGE, state="draft")
        assert answer.location == "/admin/import/1"
        state = {"state": "running"}
        while state["state"] == "running":
            state = client.get("/admin/import/1/progress").json
    assert (state["done_count"], state["failed_count"]) == (3, 1)
    page = client.get("/admin/import/1").text
    assert "bad.jpg" in page
    assert "incomplete" in page
    assert "Old mill" in page
    assert "from “Studio”</span>" in client.get("/admin/import").text
    send(client, "/admin/import/1/retry", "/admin/import/1")
    assert client.get("/admin/import/1/progress").json["state"] == "running"
    again = send(client, f"{PAGE}/start", "/admin/account")
    assert again.location == "/admin/import/1"
    assert "Started an import of 4 files." in client.get("/admin/activity").text


def test_a_wait_is_told_and_a_file_unlike_its_listing_is_imported_anyway(
    connected_site: ConnectedSite, client: FlaskClient
) -> None:
    choose_folder(connected_site, client)
    send(client, f"{PAGE}/start", PAGE, state="draft")
    page = "/admin/import/1"

    def change(**values: object) -> None:
        with connected_site.session() as session:
            session.execute(update(ImportItem).values(**values))

    due_at = now_utc() + timedelta(seconds=200)
    change(attempt_count=6, reason="OneDrive is busy.", available_at=due_at)
    progress = client.get(f"{page}/progress").json
    assert progress["seconds_left"] is None
    assert progress["next_try_seconds"] > 100
    assert "next try in about 3 minutes" in progress["html"]
    assert " left" not in progress["html"]
    change(state="failed", reason="This file is empty.")
    assert "import-anyway" not in client.get(page).text
    change(reason=MISMATCH_REASON)
    shown = client.get(page).text
    assert f'formaction="{page}/import-anyway"' in shown
    with connected_site.session() as session:
        item_id = session.scalars(select(ImportItem.id).limit(1)).one()
    assert send(client, f"{page}/import-anyway", page, item=item_id).location == page
    with connected_site.session() as session:
        rows = session.scalars(select(ImportItem.state).where(ImportItem.accepts_mismatch))
        assert rows.all() == ["queued"]
    log = client.get("/admin/activity").text
    assert "Imported 1 file although it is not as OneDrive lists it." in log


def test_drafts_are_published_from_the_page_of_their_import(
    connected_site: ConnectedSite, client: FlaskClient
) -> None:
    folder_id, _ = connected_site.find_folder("Studio")
    page = import_as_drafts(connected_site, client, 1, folder_id, way="stem")
    # The third group has no image: its only file is broken.
    assert "Publish 2 groups" in page
    with connected_site.session() as session:
        mill = session.query(Group).filter_by(title="Mill").one().id
    connected_site.put_files("More", {"mill-3.jpg": make_jpeg(7)})
    more_id, _ = connected_site.find_folder("More")
    page = import_as_drafts(connected_site, client, 2, more_id, group=str(mill))
    # The group was a draft before this import, which therefore leaves it one.
    assert "1 image imported." in page
    assert "/admin/import/2/publish" not in page
    send(client, "/admin/import/2/publish", "/admin/import/2")
    assert "Nothing left to publish." in read_toasts(client)
    assert "Mill" not in client.get("/").text
    answer = send(client, "/admin/import/1/publish", "/admin/import/1")
    assert (answer.status_code, answer.location) == (303, "/admin/import/1")
    assert "2 groups published." in read_toasts(client)
    front = client.get("/").text
    assert "Mill" in front
    assert "Sea" in front
    with connected_site.session() as session:
        states = {group.title: group.state for group in session.query(Group)}
    assert states == {"Bad": "draft", "Mill": "published", "Sea": "published"}
    assert "Published 2 groups of an import." in client.get("/admin/activity").text
    assert "/admin/import/1/publish" not in client.get("/admin/import/1").text
    assert send(client, "/admin/import/9/publish").status_code == 404
    assert client.post("/admin/import/1/publish").status_code == 400


def test_an_import_without_a_worker_says_so_on_its_page(
    connected_site: ConnectedSite, client: FlaskClient
) -> None:
    for number in (1, 2):
        choose = f"/admin/import/plans/{number}"
        folder_id, _ = connected_site.find_folder("Studio")
        send(client, PLAN, "/admin/account", item=folder_id)
        send(client, f"{choose}/start", choose)
    assert "data-stalled" not in client.get("/admin/import/1").text
    with connected_site.session() as session:
        job = session.get_one(ImportJob, 1)
        job.last_activity_at -= timedelta(minutes=5)
        for item in session.scalars(select(ImportItem).where(ImportItem.job_id == 1)):
            item.available_at -= timedelta(minutes=5)
    for number, stands in ((1, True), (2, False)):
        html = client.get(f"/admin/import/{number}/progress").json["html"]
        assert ("data-stalled" in html) is stands
