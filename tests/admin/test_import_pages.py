"""Plan and board as forms without a script, and as JSON with one; starting and looking on."""

import re
from datetime import timedelta

import pytest
from flask.testing import FlaskClient

from imagehub.domain.imports.board import listing
from imagehub.models import DriveAccount, Group, ImportJob, ImportPlan
from tests.admin.pages import read_toasts, send
from tests.fixtures.importing import make_jpeg
from tests.fixtures.programs import wait_until
from tests.fixtures.site import ConnectedSite, Site, read_csrf_token

PLAN = "/admin/import/plan"
PAGE = "/admin/import/plans/1"


@pytest.fixture
def client(connected_site: ConnectedSite) -> FlaskClient:
    files = {f"{name}.jpg": make_jpeg(n) for n, name in enumerate(("mill-1", "mill-2", "sea"))}
    connected_site.put_files("Studio", files | {"bad.jpg": b"\xff\xd8\xff\xe0 cut"})
    return connected_site.signed_in_client()


def find_ids(page: str, name: str) -> list[str]:
    return re.findall(rf'data-{name}="(\d+)"', page)


def list_titles(page: str) -> list[str]:
    return re.findall(r'name="title-\d+" value="([^"]*)"', page)


def choose_folder(site: ConnectedSite, client: FlaskClient) -> str:
    folder_id, _ = site.find_folder("Studio")
    answer = send(client, PLAN, "/admin/account", item=folder_id)
    assert answer.location == PAGE
    return client.get(PAGE).text


def test_an_import_from_choosing_to_the_last_picture(
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
    assert "cut short" in page
    assert "Old mill" in page
    assert "from “Studio”</span>" in client.get("/admin/import").text
    send(client, "/admin/import/1/retry", "/admin/import/1")
    assert client.get("/admin/import/1/progress").json["state"] == "running"
    again = send(client, f"{PAGE}/start", "/admin/account")
    assert again.location == "/admin/import/1"
    assert "Started an import of 4 files." in client.get("/admin/activity").text


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


def test_what_came_in_as_drafts_is_published_from_the_imports_page(
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


def test_the_board_answers_its_script_with_the_board(
    connected_site: ConnectedSite, client: FlaskClient
) -> None:
    page = choose_folder(connected_site, client)
    files = find_ids(page, "file")
    headers = {"X-CSRFToken": read_csrf_token(client, PAGE), "Accept": "application/json"}
    data = {"to": "new", "file": files[:2]}
    answer = client.post(f"{PAGE}/board/move", data=data, headers=headers)
    assert answer.status_code == 200
    assert len(find_ids(answer.json["html"], "bin")) == 2
    bins = find_ids(answer.json["html"], "bin")
    for path, status in ((f"groups/{bins[0]}/join", 422), ("groups/999/join", 404)):
        wrong = client.post(f"{PAGE}/board/{path}", headers=headers)
        assert wrong.status_code == status
        assert wrong.json["detail"]


def test_a_refusal_is_told_on_the_plan(connected_site: ConnectedSite, client: FlaskClient) -> None:
    choose_folder(connected_site, client)
    (title,) = (f"title-{number}" for number in find_ids(client.get(PAGE).text, "bin"))
    answer = send(client, f"{PAGE}/board/split", PAGE, **{title: "Old mill"})
    assert answer.location == PAGE
    assert "Select files first." in read_toasts(client)
    # What was typed meanwhile is kept all the same.
    assert list_titles(client.get(PAGE).text) == ["Old mill"]
    files = find_ids(client.get(PAGE).text, "file")
    send(client, f"{PAGE}/board/exclude", PAGE, file=files)
    send(client, f"{PAGE}/start", PAGE, **{title: "New mill"})
    assert "No file is included in this import." in read_toasts(client)
    assert list_titles(client.get(PAGE).text) == ["New mill"]
    send(client, f"{PAGE}/groups", PAGE, way="existing")
    assert "Select the group to add to." in read_toasts(client)


def test_a_group_named_from_the_start_takes_all(
    connected_site: ConnectedSite, client: FlaskClient
) -> None:
    number = connected_site.add_group()
    folder_id, _ = connected_site.find_folder("Studio")
    send(client, PLAN, "/admin/account", folder=folder_id, group=f"{number} · Waves")
    page = client.get(PAGE).text
    assert "data-existing" in page
    assert len(find_ids(page, "bin")) == 1


def test_a_plan_that_is_forgotten_is_gone(
    connected_site: ConnectedSite, client: FlaskClient
) -> None:
    folder_id, _ = connected_site.find_folder("Studio")
    send(client, PLAN, "/admin/account", item=folder_id)
    for page in ("/admin/import", PAGE):
        assert f'action="{PAGE}/delete" data-ask="Discard this plan?"' in client.get(page).text
    send(client, f"{PAGE}/delete", PAGE)
    assert client.get(PAGE).status_code == 404
    assert "Plan discarded." in read_toasts(client)


def test_nothing_chosen_and_no_connection_are_told(site: Site) -> None:
    client = site.signed_in_client()
    assert "No imports yet" in client.get("/admin/import").text
    assert send(client, PLAN, "/admin/account", item="x").status_code in (404, 409)
    for path in ("/admin/import/7", "/admin/import/plans/7", "/admin/import/7/progress"):
        assert client.get(path).status_code == 404


def test_a_large_folder_becomes_a_group_a_picture_in_short_requests(
    connected_site: ConnectedSite, client: FlaskClient
) -> None:
    files = {f"{n:05}.jpg": b"\xff\xd8 %d" % n for n in range(2_500)}
    connected_site.put_files("Large", files)
    folder_id, _ = connected_site.find_folder("Large")
    send(client, PLAN, "/admin/account", item=folder_id)
    headers = {"X-CSRFToken": read_csrf_token(client, "/admin/account")}
    headers["Accept"] = "application/json"
    # A request reads for a moment only, however large the folder is.
    for _ in range(100):
        answer = client.post(f"{PAGE}/read", headers=headers).json
        assert not answer["fault"]
        if answer["is_read"]:
            break
    assert answer["words"] == "2,500 files found so far"
    answer = client.post(f"{PAGE}/groups", data={"way": "each"}, headers=headers)
    assert answer.status_code == 200
    assert len(find_ids(answer.json["html"], "bin")) == listing.BINS_PER_PAGE
    started = client.post(f"{PAGE}/start", headers=headers)
    progress = client.get(f"/admin/import/{started.json['job']}/progress").json
    assert (progress["state"], progress["item_count"]) == ("running", 2_500)
    with connected_site.session() as session:
        assert session.query(Group).count() == 2_500


def test_a_plan_of_several_folders_says_so(
    connected_site: ConnectedSite, client: FlaskClient
) -> None:
    connected_site.put_files("Attic", {"old.jpg": make_jpeg(9)})
    folders = [connected_site.find_folder(name)[0] for name in ("Studio", "Attic")]
    send(client, PLAN, "/admin/account", folder=folders)
    assert "from “Studio” and others</span>" in client.get("/admin/import").text


def read_fields(page: str) -> dict[str, str]:
    """The fields of a board as a browser without a script sends them, but for ticks and buttons."""
    board = page.split('id="board"', 1)[1]
    fields = dict(
        re.findall(
            r'<input (?:class="bin-title" id="[^"]*"|type="hidden") name="([^"]+)" value="([^"]*)"',
            board,
        )
    )
    (state,) = re.findall(r'name="state" value="(\w+)" checked', board)
    return fields | {"state": state, "way": "stem"}


@pytest.mark.parametrize("path", ["groups", "board/show", "board/split", "board/rename", "start"])
def test_groups_stay_drafts_though_the_board_is_shown_again_before_the_start(
    connected_site: ConnectedSite, client: FlaskClient, path: str
) -> None:
    fields = read_fields(choose_folder(connected_site, client))
    assert fields["state"] == "published"
    if path == "start":
        # Refused: the board was changed since.
        fields["version"] = "999"
    send(client, f"{PAGE}/{path}", PAGE, **fields | {"state": "draft"})
    fields = read_fields(client.get(PAGE).text)
    assert fields["state"] == "draft"
    send(client, f"{PAGE}/start", PAGE, **fields)
    with connected_site.session() as session:
        assert {group.state for group in session.query(Group)} == {"draft"}


def test_a_board_of_before_overwrites_nothing(
    connected_site: ConnectedSite, client: FlaskClient
) -> None:
    choose_folder(connected_site, client)
    send(client, f"{PAGE}/groups", PAGE, way="stem")
    old = client.get(PAGE).text
    bad, mill, sea = find_ids(old, "bin")
    fields = read_fields(old)
    # Another window.
    change = {"state": "draft", f"title-{mill}": "Old mill"}
    send(client, f"{PAGE}/board/groups/{sea}/join", PAGE, **change)
    send(client, f"{PAGE}/board/rename", PAGE, **fields | {f"title-{bad}": "Torn"})
    page = client.get(PAGE).text
    assert list_titles(page) == ["Torn", "Old mill"]
    assert read_fields(page)["state"] == "draft"
    send(client, f"{PAGE}/start", PAGE, **fields)
    assert "The plan was changed in the meantime" in read_toasts(client)
    assert send(client, f"{PAGE}/start", PAGE, **read_fields(page)).location == "/admin/import/1"


def test_who_acts_on_a_board_of_before_is_shown_the_board_of_now(
    connected_site: ConnectedSite, client: FlaskClient
) -> None:
    choose_folder(connected_site, client)
    send(client, f"{PAGE}/groups", PAGE, way="stem")
    page = client.get(PAGE).text
    bad, _, sea = find_ids(page, "bin")
    version = read_fields(page)["version"]
    headers = {"X-CSRFToken": read_csrf_token(client, PAGE), "Accept": "application/json"}
    send(client, f"{PAGE}/board/groups/{sea}/join", PAGE)
    data = {f"title-{bad}": "Torn", f"title-{sea}": "Sea at night"}
    join = f"board/groups/{sea}/join"
    for path, status in ((join, 404), ("start", 409)):
        answer = client.post(f"{PAGE}/{path}", data=data | {"version": version}, headers=headers)
        assert answer.status_code == status
        assert list_titles(answer.json["html"]) == ["Torn", "Mill"]
        assert answer.json["detail"]
    assert send(client, f"{PAGE}/start", PAGE).location == "/admin/import/1"
    answer = client.post(f"{PAGE}/{join}", data=data, headers=headers)
    assert (answer.status_code, answer.json["url"]) == (409, "/admin/import/1")


def test_a_group_to_add_to_is_called_by_its_number_or_its_title(
    connected_site: ConnectedSite, client: FlaskClient
) -> None:
    numbers = [connected_site.add_group() for _ in range(4)]
    titles = ("Harbour", str(numbers[3]), "Twin", "Twin")
    with connected_site.session() as session:
        for number, title in zip(numbers, titles, strict=True):
            session.get_one(Group, number).title = title
    choose_folder(connected_site, client)
    for words, found in (
        ("Harbour", numbers[0]),
        (" harbour ", numbers[0]),
        (f"#{numbers[1]}", numbers[1]),
        (f"{numbers[3]} · Twin", numbers[3]),
    ):
        send(client, f"{PAGE}/groups", PAGE, way="existing", group=words)
        assert f'value="{found} · ' in client.get(PAGE).text, words
        send(client, f"{PAGE}/groups", PAGE, way="one")
    for words, reason in (
        ("Twin", "Several groups match"),
        (str(numbers[3]), "Several groups match"),
        ("Lighthouse", "There is no group “Lighthouse”"),
        ("1984", "no such group"),
    ):
        send(client, f"{PAGE}/groups", PAGE, way="existing", group=words)
        assert reason in read_toasts(client), words


def test_a_plan_of_an_account_before_is_not_started(
    connected_site: ConnectedSite, client: FlaskClient
) -> None:
    choose_folder(connected_site, client)
    with connected_site.session() as session:
        session.query(DriveAccount).one().is_active = False
        session.add(DriveAccount(home_account_id="somebody.else", token_cache=b"", is_active=True))
    assert "no longer connected" in client.get(PAGE).text
    send(client, f"{PAGE}/start", PAGE)
    assert "no longer connected" in read_toasts(client)
    with connected_site.session() as session:
        assert session.query(Group).count() == 0


def test_a_large_group_is_shown_to_its_last_picture_and_left_out_as_a_whole(
    connected_site: ConnectedSite, client: FlaskClient
) -> None:
    count = listing.FILES_SHOWN + 3
    connected_site.put_files("Studio", {f"{n:05}.jpg": b"\xff\xd8 %d" % n for n in range(count)})
    page = choose_folder(connected_site, client)
    (group,) = find_ids(page, "bin")
    assert len(find_ids(page, "file")) == listing.FILES_SHOWN
    assert f"Show all {count + 4}<" in page
    answer = send(client, f"{PAGE}/board/show?whole={group}", PAGE, **{f"title-{group}": "Work"})
    assert answer.location == f"{PAGE}?whole={group}#bin-{group}"
    page = client.get(answer.location).text
    assert list_titles(page) == ["Work"]
    files = find_ids(page, "file")
    assert len(files) == count + 4
    # It stays open while it is arranged.
    fields = read_fields(page) | {"file": files[-1]}
    answer = send(client, f"{PAGE}/board/split", PAGE, **fields)
    assert len(find_ids(client.get(answer.location).text, "file")) == count + 4
    tail = find_ids(client.get(f"{PAGE}?whole={group}&from={count}").text, "file")
    assert tail == files[count:]
    send(client, f"{PAGE}/board/groups/{group}/exclude", PAGE)
    page = client.get(PAGE).text
    assert "Import 1 file<" in page
    assert f'/board/groups/{group}/include"' in page
    send(client, f"{PAGE}/board/groups/{group}/include", PAGE)
    assert f"Import {count + 4} files<" in client.get(PAGE).text


def test_groups_of_other_pages_are_joined_with_and_moved_to(
    connected_site: ConnectedSite, client: FlaskClient
) -> None:
    extra = listing.BINS_PER_PAGE
    connected_site.put_files("Studio", {f"w{n:03}.jpg": b"\xff\xd8 %d" % n for n in range(extra)})
    choose_folder(connected_site, client)
    send(client, f"{PAGE}/groups", PAGE, way="each")
    page = client.get(PAGE).text
    file = find_ids(page, "file")[0]
    after = re.findall(r'value="show\?after=(\d+)[^"]*" data-leaves data-more', page)[0]
    page = client.get(f"{PAGE}?after={after}").text
    assert len(find_ids(page, "bin")) == 4
    first = find_ids(page, "bin")[0]
    last_title = list_titles(page)[-1]
    send(client, f"{PAGE}/board/move", PAGE, file=file, to="new", **{"to-title": last_title})
    page = client.get(f"{PAGE}?after={after}").text
    assert [len(find_ids(one, "file")) for one in page.split('<li class="bin')[1:5]][-1] == 2
    assert f'/board/groups/{first}/join"' in page
    send(client, f"{PAGE}/board/groups/{first}/join", PAGE)
    assert len(find_ids(client.get(f"{PAGE}?after={after}").text, "bin")) == 3
    send(client, f"{PAGE}/board/move", PAGE, file=file, to="new", **{"to-title": "Nowhere"})
    assert "No group in this plan is called “Nowhere”." in read_toasts(client)


def test_too_much_by_hand_is_told_on_the_drive_and_a_folder_says_the_same_in_short(
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


def test_reading_that_leads_nowhere_ends_with_its_reason(
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


def test_an_import_that_nobody_works_on_says_so_on_its_own_page(
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
        for item in job.items:
            item.available_at -= timedelta(minutes=5)
    for number, stands in ((1, True), (2, False)):
        html = client.get(f"/admin/import/{number}/progress").json["html"]
        assert ("data-stalled" in html) is stands


def test_plans_and_groups_beyond_a_page_are_told(
    connected_site: ConnectedSite, client: FlaskClient
) -> None:
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
