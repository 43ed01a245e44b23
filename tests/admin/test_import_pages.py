"""Plan and board as forms without a script, and as JSON with one; starting and looking on."""

import re
from datetime import timedelta

import pytest
from flask.testing import FlaskClient

from imagehub.domain.imports import board as imports_board
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
    assert "<strong>4 pictures</strong> of 4 files" in page
    send(client, f"{PAGE}/groups", PAGE, way="stem")
    page = client.get(PAGE).text
    assert list_titles(page) == ["Bad", "Mill", "Sea"]
    mill = find_ids(page, "bin")[1]
    send(client, f"{PAGE}/board", PAGE, act="rename", **{f"title-{mill}": "Old mill"})
    assert list_titles(client.get(PAGE).text) == ["Bad", "Old mill", "Sea"]
    listed = client.get("/admin/import").text
    assert "Ready to start" in listed
    assert "from “<bdi>Studio</bdi>”</span>" in listed
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
    assert "from “<bdi>Studio</bdi>”</span>" in client.get("/admin/import").text
    send(client, "/admin/import/1/retry", "/admin/import/1")
    assert client.get("/admin/import/1/progress").json["state"] == "running"
    again = send(client, f"{PAGE}/start", "/admin/account")
    assert again.location == "/admin/import/1"
    assert "Began an import of 4 files." in client.get("/admin/activity").text


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
    # Nothing came into the third one, whose only file is broken.
    assert "2 groups of this import are drafts" in page
    assert "Publish all 2" in page
    with connected_site.session() as session:
        mill = session.query(Group).filter_by(title="Mill").one().id
    connected_site.put_files("More", {"mill-3.jpg": make_jpeg(7)})
    more_id, _ = connected_site.find_folder("More")
    page = import_as_drafts(connected_site, client, 2, more_id, group=str(mill))
    # The group was a draft before this import, which therefore leaves it one.
    assert "The picture is in." in page
    assert "/admin/import/2/publish" not in page
    send(client, "/admin/import/2/publish", "/admin/import/2")
    assert "There was nothing left to publish." in read_toasts(client)
    assert "Mill" not in client.get("/").text
    answer = send(client, "/admin/import/1/publish", "/admin/import/1")
    assert (answer.status_code, answer.location) == (303, "/admin/import/1")
    assert "2 groups are published." in read_toasts(client)
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
    data = {"act": "move", "to": "new", "file": files[:2]}
    answer = client.post(f"{PAGE}/board", data=data, headers=headers)
    assert answer.status_code == 200
    assert len(find_ids(answer.json["html"], "bin")) == 2
    wrong = client.post(f"{PAGE}/board", data={"act": "join:1"}, headers=headers)
    assert wrong.status_code in (404, 422)
    assert wrong.json["detail"]


def test_a_refusal_is_told_on_the_plan(connected_site: ConnectedSite, client: FlaskClient) -> None:
    choose_folder(connected_site, client)
    (title,) = (f"title-{number}" for number in find_ids(client.get(PAGE).text, "bin"))
    answer = send(client, f"{PAGE}/board", PAGE, act="split", **{title: "Old mill"})
    assert answer.location == PAGE
    assert "Choose pictures first." in read_toasts(client)
    # What was typed meanwhile is kept all the same.
    assert list_titles(client.get(PAGE).text) == ["Old mill"]
    files = find_ids(client.get(PAGE).text, "file")
    send(client, f"{PAGE}/board", PAGE, act="leave", file=files)
    send(client, f"{PAGE}/start", PAGE, **{title: "New mill"})
    assert "No picture is chosen for this import." in read_toasts(client)
    assert list_titles(client.get(PAGE).text) == ["New mill"]
    send(client, f"{PAGE}/groups", PAGE, way="existing")
    assert "Choose the group to add to." in read_toasts(client)


def test_a_group_named_from_the_start_takes_all(
    connected_site: ConnectedSite, client: FlaskClient
) -> None:
    number = connected_site.add_group()
    folder_id, _ = connected_site.find_folder("Studio")
    send(client, PLAN, "/admin/account", folder=folder_id, group=f"{number} · Waves")
    page = client.get(PAGE).text
    assert "Adds to" in page
    assert len(find_ids(page, "bin")) == 1


def test_a_plan_that_is_forgotten_is_gone(
    connected_site: ConnectedSite, client: FlaskClient
) -> None:
    folder_id, _ = connected_site.find_folder("Studio")
    send(client, PLAN, "/admin/account", item=folder_id)
    for page in ("/admin/import", PAGE):
        assert f'action="{PAGE}/delete" data-ask="Forget this plan?"' in client.get(page).text
    send(client, f"{PAGE}/delete", PAGE)
    assert client.get(PAGE).status_code == 404
    assert "The plan is gone" in read_toasts(client)


def test_nothing_chosen_and_no_connection_are_told(site: Site) -> None:
    client = site.signed_in_client()
    assert "Nothing was imported yet" in client.get("/admin/import").text
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
    assert len(find_ids(answer.json["html"], "bin")) == imports_board.BINS_PER_PAGE
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
    assert "from “<bdi>Studio</bdi>” and others</span>" in client.get("/admin/import").text


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


@pytest.mark.parametrize(
    ("path", "act"),
    [("groups", ""), ("board", "page:"), ("board", "split"), ("board", "rename"), ("start", "")],
)
def test_groups_stay_drafts_though_the_board_is_shown_again_before_the_start(
    connected_site: ConnectedSite, client: FlaskClient, path: str, act: str
) -> None:
    fields = read_fields(choose_folder(connected_site, client))
    assert fields["state"] == "published"
    if path == "start":
        # Refused: the board was changed since.
        fields["version"] = "999"
    send(client, f"{PAGE}/{path}", PAGE, **fields | {"state": "draft", "act": act})
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
    send(
        client,
        f"{PAGE}/board",
        PAGE,
        act=f"join:{sea}",
        state="draft",
        **{f"title-{mill}": "Old mill"},
    )
    send(client, f"{PAGE}/board", PAGE, **fields | {f"title-{bad}": "Torn", "act": "rename"})
    page = client.get(PAGE).text
    assert list_titles(page) == ["Torn", "Old mill"]
    assert read_fields(page)["state"] == "draft"
    send(client, f"{PAGE}/start", PAGE, **fields)
    assert "The board was changed meanwhile" in read_toasts(client)
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
    send(client, f"{PAGE}/board", PAGE, act=f"join:{sea}")
    data = {"act": f"join:{sea}", f"title-{bad}": "Torn", f"title-{sea}": "Sea at night"}
    for path, status in (("board", 404), ("start", 409)):
        answer = client.post(f"{PAGE}/{path}", data=data | {"version": version}, headers=headers)
        assert answer.status_code == status
        assert list_titles(answer.json["html"]) == ["Torn", "Mill"]
        assert answer.json["detail"]
    assert send(client, f"{PAGE}/start", PAGE).location == "/admin/import/1"
    answer = client.post(f"{PAGE}/board", data=data, headers=headers)
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
        ("Twin", "More than one group"),
        (str(numbers[3]), "More than one group"),
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
    count = imports_board.FILES_SHOWN + 3
    connected_site.put_files("Studio", {f"{n:05}.jpg": b"\xff\xd8 %d" % n for n in range(count)})
    page = choose_folder(connected_site, client)
    (group,) = find_ids(page, "bin")
    assert len(find_ids(page, "file")) == imports_board.FILES_SHOWN
    assert f"Show all {count + 4}" in page
    answer = send(client, f"{PAGE}/board", PAGE, act=f"whole:{group}", **{f"title-{group}": "Work"})
    assert answer.location == f"{PAGE}?whole={group}#bin-{group}"
    page = client.get(answer.location).text
    assert list_titles(page) == ["Work"]
    files = find_ids(page, "file")
    assert len(files) == count + 4
    # It stays open while it is arranged.
    act = read_fields(page) | {"act": "split", "file": files[-1]}
    answer = send(client, f"{PAGE}/board", PAGE, **act)
    assert len(find_ids(client.get(answer.location).text, "file")) == count + 4
    tail = find_ids(client.get(f"{PAGE}?whole={group}&from={count}").text, "file")
    assert tail == files[count:]
    send(client, f"{PAGE}/board", PAGE, act=f"leave-group:{group}")
    page = client.get(PAGE).text
    assert "Import 1 picture<" in page
    assert f'value="take-group:{group}"' in page
    send(client, f"{PAGE}/board", PAGE, act=f"take-group:{group}")
    assert f"Import {count + 4} pictures<" in client.get(PAGE).text


def test_groups_of_other_pages_are_joined_with_and_moved_to(
    connected_site: ConnectedSite, client: FlaskClient
) -> None:
    extra = imports_board.BINS_PER_PAGE
    connected_site.put_files("Studio", {f"w{n:03}.jpg": b"\xff\xd8 %d" % n for n in range(extra)})
    choose_folder(connected_site, client)
    send(client, f"{PAGE}/groups", PAGE, way="each")
    page = client.get(PAGE).text
    file = find_ids(page, "file")[0]
    after = re.findall(r'value="page:(\d+)"', page)[0]
    page = client.get(f"{PAGE}?after={after}").text
    assert len(find_ids(page, "bin")) == 4
    first = find_ids(page, "bin")[0]
    last_title = list_titles(page)[-1]
    send(client, f"{PAGE}/board", PAGE, act="move", file=file, to="new", **{"to-title": last_title})
    page = client.get(f"{PAGE}?after={after}").text
    assert [len(find_ids(one, "file")) for one in page.split('<li class="bin')[1:5]][-1] == 2
    assert f'value="join:{first}"' in page
    send(client, f"{PAGE}/board", PAGE, act=f"join:{first}")
    assert len(find_ids(client.get(f"{PAGE}?after={after}").text, "bin")) == 3
    send(client, f"{PAGE}/board", PAGE, act="move", file=file, to="new", **{"to-title": "Nowhere"})
    assert "No group on the board is called “Nowhere”." in read_toasts(client)


def test_too_much_by_hand_is_told_on_the_drive_and_a_folder_says_the_same_in_short(
    connected_site: ConnectedSite, client: FlaskClient
) -> None:
    folder_id, _ = connected_site.find_folder("Studio")
    # Longer than a form that Flask takes by itself.
    items = [f"{n:0250}" for n in range(2_100)]
    answer = send(client, PLAN, "/admin/account", item=items, folder=folder_id)
    assert answer.location == f"/admin/drive/{folder_id}"
    assert "choose their folder instead" in read_toasts(client, answer.location)
    assert send(client, PLAN, "/admin/account", item=items, folder=folder_id, all="yes").location
    assert "of 4 files" in client.get(PAGE).text


def test_reading_that_leads_nowhere_ends_with_its_reason(
    connected_site: ConnectedSite, client: FlaskClient
) -> None:
    folder_id, _ = connected_site.find_folder("Studio")
    connected_site.onedrive.set_fault("status", status=503, retry_after=600, path="/children")
    send(client, PLAN, "/admin/account", item=folder_id)
    assert "Not read to its end yet" in client.get(PAGE).text
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
    assert "the import goes on" in client.get("/admin/import/1").text
    with connected_site.session() as session:
        job = session.get_one(ImportJob, 1)
        job.last_activity_at -= timedelta(minutes=5)
        for item in job.items:
            item.available_at -= timedelta(minutes=5)
    for number, stands in ((1, True), (2, False)):
        html = client.get(f"/admin/import/{number}/progress").json["html"]
        assert ("no worker takes them up" in html) is stands
        assert ("the import goes on" in html) is not stands


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
    assert page.count("Still being read") == 20
    (older,) = re.findall(r'href="(/admin/import\?plan_before=\d+)"', page)
    assert client.get(older).text.count("Still being read") == 1
