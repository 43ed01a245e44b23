"""What an admin does about originals that were changed, are missing, or lie outside; no script."""

import re
from dataclasses import replace
from datetime import timedelta

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select, update

from imagehub.database import now_utc
from imagehub.domain.people import audit
from imagehub.domain.sync import schedule
from imagehub.models import DriveAccount, DriveWatch, Image, ImportItem, ImportJob
from imagehub.wiring import get_settings
from tests.admin.pages import read_toasts, send
from tests.fixtures.importing import make_jpeg
from tests.fixtures.programs import wait_until
from tests.fixtures.site import ConnectedSite, Site, read_csrf_token

LIST = "/admin/library"
PAGE = "/admin/connection"
LOOK = f"{PAGE}/check-originals"


@pytest.fixture
def client(site: Site) -> FlaskClient:
    return site.signed_in_client()


@pytest.fixture
def group_id(site: Site) -> int:
    """A group of four, of which the second is changed and the third missing."""
    number = site.add_group(["a.jpg", "b.jpg", "c.jpg", "d.jpg"])
    with site.session() as session:
        for shot, state in ((2, "changed"), (3, "missing")):
            session.execute(
                update(Image)
                .where(Image.group_id == number, Image.number == shot)
                .values(drive_state=state)
            )
    return number


def list_items(site: Site) -> list[tuple[str, str]]:
    """File and state of what is asked of the import's queue."""
    with site.session() as session:
        rows = session.execute(select(ImportItem.file_name, ImportItem.state))
        return [(row.file_name, row.state) for row in rows]


def is_offered(page: str, act: str, shot: int) -> bool:
    """Whether the page has a button for this act on a shot."""
    return re.search(rf'name="this" value="{shot}" data-act="{act}"', page) is not None


def is_asked(site: Site) -> bool:
    """Whether a look was asked for."""
    with site.session() as session:
        return session.scalar(select(DriveWatch.asked_at)) is not None


def list_log(site: Site) -> list[str]:
    with site.session() as session:
        return [audit.describe(entry) for entry in audit.list_entries(session).entries]


def test_changed_originals_can_be_imported_again(
    site: Site, client: FlaskClient, group_id: int
) -> None:
    page = client.get(f"{LIST}?filter=changed").text
    assert 'data-act="use-new-versions"' in page
    assert "OneDrive has not been checked yet." in page
    assert "1 changed" in page
    assert 'data-act="use-new-versions"' not in client.get(LIST).text
    answer = send(
        client, f"{LIST}/use-new-versions", LIST, group=group_id, **{"list-filter": "changed"}
    )
    assert (answer.status_code, answer.location) == (303, f"{LIST}?filter=changed")
    assert "1 new version is being imported." in read_toasts(client)
    assert list_items(site) == [("b.jpg", "queued")]
    assert list_log(site)[0] == "Used the new version of 1 image from OneDrive."
    with site.session() as session:
        job = session.scalars(select(ImportJob)).one()
        assert (job.item_count, job.user_id) == (1, 1)
    send(client, f"{LIST}/use-new-versions", LIST, group=group_id)
    assert "already being imported" in read_toasts(client)
    assert len(list_items(site)) == 1


def test_missing_originals_can_be_checked_again(
    site: Site, client: FlaskClient, group_id: int
) -> None:
    assert 'data-act="check-again"' in client.get(f"{LIST}?filter=missing").text
    send(client, f"{LIST}/check-again", LIST, group=group_id)
    assert "1 original is being checked again." in read_toasts(client)
    assert is_asked(site)
    with site.session() as session:
        doubtful = session.scalars(select(Image.name).where(Image.drive_doubt != 0)).all()
        assert doubtful == ["c.jpg"]


def test_originals_outside_the_root_folder_are_explained(
    site: Site, client: FlaskClient, group_id: int
) -> None:
    words = "An original outside the root folder is still in OneDrive"
    missing = client.get(f"{LIST}/{group_id}").text
    assert "Missing in OneDrive" in missing
    assert words not in missing
    assert words not in client.get(f"{LIST}?filter=missing").text
    with site.session() as session:
        session.execute(
            update(Image).where(Image.drive_state == "missing").values(drive_state="outside")
        )
    page = client.get(f"{LIST}?filter=outside").text
    assert words in page and "1 outside" in page
    assert f'href="{PAGE}#root-head"' in page
    assert 'id="root-head"' in client.get(PAGE).text
    group = client.get(f"{LIST}/{group_id}").text
    assert words in group and "Outside the root folder" in group
    assert "Missing in OneDrive" not in group
    assert is_offered(group, "check-again", 3)
    send(client, f"{LIST}/check-again", LIST, group=group_id)
    assert "1 original is being checked again." in read_toasts(client)
    assert is_asked(site)


def test_images_without_an_original_in_onedrive_are_listed_and_explained(
    site: Site, client: FlaskClient, group_id: int
) -> None:
    absent = {"drive_state": "absent", "drive_account_id": None, "drive_item_id": ""}
    with site.session() as session:
        shots = (Image.group_id == group_id, Image.number.in_([3, 4]))
        session.execute(update(Image).where(*shots).values(absent))
    assert "2 without an original in OneDrive" in client.get(f"{LIST}?filter=absent").text
    assert 'data-note="absent"' in client.get("/admin/").text
    group = client.get(f"{LIST}/{group_id}").text
    assert group.count("data-absent") == 2
    assert not is_offered(group, "check-again", 3)
    assert "/shots/3/original" in group
    # What visitors may still ask for is answered in words.
    answer = client.get(f"/media/full/{group_id}/3")
    assert answer.status_code == 404
    assert "The original is not in OneDrive." in answer.text
    # Two of them are not the same file.
    other = site.add_group(["e.jpg"])
    send(client, f"{LIST}/{group_id}/shots/move", f"{LIST}/{group_id}", shot="3", to=str(other))
    send(client, f"{LIST}/{group_id}/shots/move", f"{LIST}/{group_id}", shot="4", to=str(other))
    with site.session() as session:
        moved = session.scalars(select(Image.name).where(Image.group_id == other)).all()
        assert sorted(moved) == ["c.jpg", "d.jpg", "e.jpg"]


@pytest.mark.parametrize(
    ("state", "is_there"),
    [("ok", True), ("missing", False), ("outside", False), ("absent", False)],
)
def test_there_is_no_link_to_a_missing_original(
    site: Site, client: FlaskClient, group_id: int, state: str, is_there: bool
) -> None:
    with site.session() as session:
        session.execute(update(Image).where(Image.number == 4).values(drive_state=state))
    page = client.get(f"/groups/{group_id}/4", follow_redirects=True).text
    assert (f"/media/full/{group_id}/4" in page) is is_there


def test_a_shot_is_imported_again_and_typed_alt_texts_are_saved(
    site: Site, client: FlaskClient, group_id: int
) -> None:
    path = f"{LIST}/{group_id}"
    page = client.get(path).text
    assert is_offered(page, "use-new-version", 2)
    assert is_offered(page, "check-again", 3)
    assert not is_offered(page, "use-new-version", 1)
    fields = {"alt-1": "A harbour", "was-alt-1": "What a.jpg shows"}
    answer = send(client, f"{path}/shots/use-new-version", path, this="2", **fields)
    assert answer.location == f"{path}#shot-2"
    assert list_items(site) == [("b.jpg", "queued")]
    send(client, f"{path}/shots/check-again", path, this="3", **fields)
    with site.session() as session:
        image = session.scalars(
            select(Image).where(Image.group_id == group_id, Image.number == 1)
        ).one()
        assert image.alt == "A harbour"
        assert session.scalar(select(Image.drive_doubt).where(Image.name == "c.jpg")) == 2


@pytest.mark.parametrize(
    ("act", "shot_act"),
    [("use-new-versions", "use-new-version"), ("check-again", "check-again")],
)
def test_unchanged_originals_are_refused(
    site: Site, client: FlaskClient, act: str, shot_act: str
) -> None:
    number = site.add_group()
    answer = send(client, f"{LIST}/{act}", LIST, group=number)
    assert "None of these" in answer.text
    path = f"{LIST}/{number}"
    send(client, f"{path}/shots/{shot_act}", path, this="1")
    assert "None of these" in read_toasts(client)
    assert "Select groups first." in send(client, f"{LIST}/{act}", LIST).text
    assert list_items(site) == []


def test_a_check_is_started_and_shown(site: Site, client: FlaskClient, group_id: int) -> None:
    answer = send(client, LOOK, PAGE, next=f"{LIST}?filter=missing")
    assert answer.location == f"{LIST}?filter=missing"
    assert "OneDrive is being checked." in read_toasts(client)
    page = client.get(PAGE).text
    assert "OneDrive will be checked in a moment." in page
    assert list_log(site)[0] == "Started a check of the originals in OneDrive."
    with site.session() as session:
        session.execute(
            update(DriveWatch).values(asked_at=None, checked_at=now_utc() - timedelta(minutes=12))
        )
    assert "Checked <time" in client.get(PAGE).text
    assert ">12 minutes ago</time>" in client.get(PAGE).text
    with site.session() as session:
        session.execute(update(DriveWatch).values(problem="OneDrive cannot be reached."))
    assert "The last check failed" in client.get(PAGE).text
    assert "OneDrive cannot be reached." in client.get(PAGE).text


def test_home_shows_repeatedly_failing_checks(
    site: Site, client: FlaskClient, group_id: int
) -> None:
    send(client, LOOK, PAGE)
    words = 'data-note="check"'
    with site.session() as session:
        session.execute(update(DriveWatch).values(problem="It is away.", failure_count=2))
    assert words not in client.get("/admin/").text
    with site.session() as session:
        session.execute(update(DriveWatch).values(failure_count=3))
    page = client.get("/admin/").text
    assert words in page
    assert "It is away." in page
    assert f"{LIST}?filter=missing" in page
    assert f"{LIST}?filter=changed" in page


def test_a_check_redirects_only_within_the_site(client: FlaskClient, group_id: int) -> None:
    assert send(client, LOOK, PAGE, next="//evil.example/x").location == PAGE
    assert client.post(LOOK, data={}).status_code == 400, "it needs the form's token"


def test_without_images_nothing_is_checked(connected_site: ConnectedSite) -> None:
    client = connected_site.signed_in_client()
    assert "Check originals now" in client.get(PAGE).text
    send(client, LOOK, PAGE)
    assert "nothing to check" in read_toasts(client)
    assert not is_asked(connected_site)


def test_a_disconnected_drive_is_not_checked(
    site: Site, client: FlaskClient, group_id: int
) -> None:
    with site.session() as session:
        session.execute(update(DriveAccount).values(state="disconnected"))
    assert "Check originals now" not in client.get(PAGE).text
    send(client, LOOK, LIST)
    assert "nothing to check" in read_toasts(client)


def test_disabled_regular_checks_are_shown(site: Site, client: FlaskClient, group_id: int) -> None:
    hub = site.app.extensions["imagehub"]
    assert "30 minutes" in client.get(PAGE).text
    hub.settings = hub.given = replace(hub.given, drive_check_minutes=0)
    page = client.get(PAGE).text
    assert "only checked when you start a check" in page
    assert "every" not in page.split('id="originals-head"', 1)[1].split("</section>", 1)[0]


def test_a_new_root_folder_is_checked_at_once(connected_site: ConnectedSite) -> None:
    site, client = connected_site, connected_site.signed_in_client()
    site.put_files("Art", {"a.txt": b"x"})
    folder_id, _ = site.find_folder("Art")
    send(client, f"{PAGE}/root-folder", f"{PAGE}/root-folder", folder=folder_id)
    with site.session() as session:
        account = session.scalars(select(DriveAccount)).one()
        assert schedule.describe_watch(session, account.id).is_asked


def test_changes_in_the_drive_browser_are_noticed_within_seconds(
    connected_site: ConnectedSite,
) -> None:
    """Renamed, deleted, brought back, moved, and by the API; this hub never looks of itself."""
    site, client = connected_site, connected_site.signed_in_client()
    site.put_files("Art", {"a.jpg": make_jpeg(1), "b.jpg": make_jpeg(2)})
    site.put_files("Empty", {})
    assert get_settings(site.app).drive_check_minutes == 0
    art, ids = site.find_folder("Art")
    token = read_csrf_token(client, "/admin/drive")

    def act(what: str, **fields: str) -> dict[str, str]:
        answer = client.post(
            f"/admin/drive/{what}",
            data=fields,
            headers={"Accept": "application/json", "X-CSRFToken": token},
        )
        assert answer.status_code == 200, answer.text
        found: dict[str, str] = answer.json
        return found

    def wait_for(states: dict[str, str]) -> None:
        wait_until(lambda: read_states(site) == states, what=f"{states}")

    with site.working():
        files = [{"file_name": name, "file_id": ids[name]} for name in ("a.jpg", "b.jpg")]
        wish = {"all_image_id": files, "group": -1, "folder_name": "Art"}
        site.send("/admin/add/image", {"image_list": {art: wish}})
        wait_for({"a.jpg": "ok", "b.jpg": "ok"})
        act("rename", item=ids["a.jpg"], name="z.jpg")
        wait_for({"z.jpg": "ok", "b.jpg": "ok"})
        mark = act("delete", item=art, sure="yes")["deletion"]
        wait_for({"z.jpg": "missing", "b.jpg": "missing"})
        act("restore", deletion=mark)
        wait_for({"z.jpg": "ok", "b.jpg": "ok"})
        act("move", item=ids["b.jpg"], target=find_item(client, "Empty"))
        wait_until(lambda: read_folder(site, "b.jpg") == "Empty", what="the new folder")
        site.send("/admin/onedrive/delete-folder", {"folder_id": ids["b.jpg"]})
        wait_for({"z.jpg": "ok", "b.jpg": "missing"})
        wait_until(lambda: not is_asked(site), what="the end of the look")
        act("new-folder", name="Another", folder="")
        act("rename", item=find_item(client, "Another"), name="One more")
        assert not is_asked(site), "no images were imported from it"


def find_item(client: FlaskClient, name: str) -> str:
    """The id of a folder in the root folder."""
    items = client.get("/admin/drive", headers={"Accept": "application/json"}).json["items"]
    return next(item["id"] for item in items if item["name"] == name)


def read_states(site: Site) -> dict[str, str]:
    with site.session() as session:
        rows = session.execute(select(Image.name, Image.drive_state))
        return {row.name: row.drive_state for row in rows}


def read_folder(site: Site, name: str) -> str:
    with site.session() as session:
        return session.scalars(select(Image.folder_name).where(Image.name == name)).one()


def test_a_check_updates_the_storage_space(connected_site: ConnectedSite) -> None:
    site, client = connected_site, connected_site.signed_in_client()
    site.put_files("Art", {"a.txt": b"x" * 1000})
    site.add_group(["a.jpg"])
    with site.session() as session:
        session.execute(update(DriveAccount).values(quota_total_bytes=None, quota_used_bytes=None))
    assert "<dd>—</dd>" in client.get("/admin/").text

    def is_told() -> bool:
        return "<dd>—</dd>" not in client.get("/admin/").text

    with site.working():
        send(client, LOOK, PAGE)
        wait_until(is_told, what="the quota")
    with site.session() as session:
        account = session.scalars(select(DriveAccount)).one()
        assert (account.quota_used_bytes or 0) >= 1000
        assert account.quota_total_bytes
