"""The board of a plan, as forms without a script and as JSON with one."""

import re

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from imagehub.domain.imports.board import proposals
from imagehub.domain.library import series_edit
from imagehub.models import AuditEntry, DriveAccount, Group, Series, SeriesGroup
from tests.admin.pages import read_toasts, send
from tests.admin.plans import (
    PAGE,
    PLAN,
    choose_folder,
    find_ids,
    list_titles,
    put_studio,
    read_fields,
)
from tests.fixtures.site import ConnectedSite, read_csrf_token


@pytest.fixture
def client(connected_site: ConnectedSite) -> FlaskClient:
    put_studio(connected_site)
    return connected_site.signed_in_client()


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


def test_a_refusal_is_shown_on_the_plan(connected_site: ConnectedSite, client: FlaskClient) -> None:
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


def test_a_large_folder_is_read_and_grouped_in_short_requests(
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
    assert len(find_ids(answer.json["html"], "bin")) == proposals.BINS_PER_PAGE
    started = client.post(f"{PAGE}/start", headers=headers)
    progress = client.get(f"/admin/import/{started.json['job']}/progress").json
    assert (progress["state"], progress["item_count"]) == ("running", 2_500)
    with connected_site.session() as session:
        assert session.query(Group).count() == 2_500


@pytest.mark.parametrize("path", ["groups", "board/show", "board/split", "board/rename", "start"])
def test_groups_stay_drafts_when_the_board_is_shown_again_before_the_start(
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


def test_an_outdated_board_overwrites_nothing(
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


def test_an_act_on_an_outdated_board_shows_the_present_one(
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


def test_a_plan_of_a_previous_account_is_not_started(
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


def test_a_large_group_is_shown_to_its_end_and_excluded_as_a_whole(
    connected_site: ConnectedSite, client: FlaskClient
) -> None:
    count = proposals.FILES_SHOWN + 3
    connected_site.put_files("Studio", {f"{n:05}.jpg": b"\xff\xd8 %d" % n for n in range(count)})
    page = choose_folder(connected_site, client)
    (group,) = find_ids(page, "bin")
    assert len(find_ids(page, "file")) == proposals.FILES_SHOWN
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
    extra = proposals.BINS_PER_PAGE
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


def test_the_groups_of_an_import_join_a_series(
    connected_site: ConnectedSite, client: FlaskClient
) -> None:
    choose_folder(connected_site, client)
    with connected_site.session() as session:
        sea = series_edit.create_series(session, "Sea").id
    send(client, f"{PAGE}/groups", PAGE, way="each", series=str(sea))
    page = client.get(PAGE).text
    assert f'<option value="{sea}" selected>Sea</option>' in page
    bins = find_ids(page, "bin")
    # The script sends only what it changes: the choice stays.
    send(client, f"{PAGE}/board/rename", PAGE, **{f"title-{bins[0]}": "Old mill"})
    was = {"was_series": str(sea)}
    send(client, f"{PAGE}/start", PAGE, series="new", series_title=" ", **was)
    assert "Enter a title for the new series." in read_toasts(client)
    send(client, f"{PAGE}/start", PAGE, series="new", series_title="Mills", **was)
    with connected_site.session() as session:
        made = session.scalars(select(Series).where(Series.title == "Mills")).one()
        members = select(SeriesGroup.group_id).where(SeriesGroup.series_id == made.id)
        titles = [
            session.get_one(Group, number).title
            for number in session.scalars(members.order_by(SeriesGroup.position))
        ]
        assert titles[0] == "Old mill" and len(titles) == 4
        assert session.scalars(select(AuditEntry.action)).all()[-2:] == [
            "create_series",
            "start_import",
        ]


def test_an_import_adds_to_a_series_that_exists(
    connected_site: ConnectedSite, client: FlaskClient
) -> None:
    choose_folder(connected_site, client)
    with connected_site.session() as session:
        sea = series_edit.create_series(session, "Sea").id
    send(client, f"{PAGE}/start", PAGE, series=str(sea + 1))
    with connected_site.session() as session:
        assert session.query(Group).count() == 0
    assert "No series" in client.get(PAGE).text
    send(client, f"{PAGE}/start", PAGE, series=str(sea), was_series="")
    with connected_site.session() as session:
        assert session.query(SeriesGroup).count() == session.query(Group).count() == 1
