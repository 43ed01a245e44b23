"""Making and editing series in the admin pages, without scripts."""

import re
from datetime import date

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from imagehub.domain.library import search_index
from imagehub.models import AuditEntry, Group, Series, SeriesGroup
from tests.fixtures.database import count_statements
from tests.fixtures.site import Site, read_csrf_token


@pytest.fixture
def client(site: Site) -> FlaskClient:
    return site.signed_in_client()


def post(client: FlaskClient, path: str, **fields: object) -> TestResponse:
    token = read_csrf_token(client, "/admin/series")
    return client.post(path, data={"csrf_token": token, **fields})


def create(client: FlaskClient, title: str) -> int:
    answer = post(client, "/admin/series", title=title)
    assert answer.status_code == 303, answer.text
    return int(answer.headers["Location"].rpartition("/")[2])


def test_the_list_costs_the_same_few_queries_however_many_series_there_are(
    site: Site, client: FlaskClient
) -> None:
    def add(count: int) -> None:
        with site.session() as session:
            for number in range(count):
                parent = Series(title=f"Series {number}")
                session.add(parent)
                session.flush()
                for position in (2, 1):
                    part = Series(title=f"Part {position}", parent_id=parent.id, position=position)
                    session.add(part)

    def count() -> int:
        # What a page asks for once in a while, as the settings, is not counted.
        counts = []
        for _ in range(3):
            with site.app.app_context(), count_statements() as statements:
                page = client.get("/admin/series")
            assert list(dict.fromkeys(re.findall("Part [12]", page.text))) == ["Part 1", "Part 2"]
            counts.append(len(statements))
        return min(counts)

    add(1)
    few = count()
    add(6)
    assert count() == few


def list_numbers(client: FlaskClient, number: int) -> list[int]:
    page = client.get(f"/admin/series/{number}").text
    return [int(found) for found in re.findall(r'class="row" id="group-([0-9]+)"', page)]


def test_a_series_is_made_edited_published_and_deleted(site: Site, client: FlaskClient) -> None:
    assert "No series yet" in client.get("/admin/series").text
    number = create(client, "Sea")
    path = f"/admin/series/{number}"
    fields = {
        "title": "Sea pieces",
        "dates": "2026",
        "place": "Bremen",
        "text": "Calm.",
        "parent": "",
    }
    assert post(client, path, version=1, **fields).status_code == 303
    assert "Sea pieces" in client.get(path).text and "Calm." in client.get(path).text
    assert post(client, f"{path}/publish").status_code == 303
    with site.session() as session:
        assert session.get_one(Series, number).state == "published"
    # Someone else has saved it since.
    again = post(client, path, version=1, **fields | {"title": "Mine"})
    assert again.status_code == 409 and 'value="Mine"' in again.text
    wrong = post(client, path, version=2, **fields | {"title": ""})
    assert wrong.status_code == 422 and "Enter a title." in wrong.text
    assert post(client, f"{path}/unpublish").status_code == 303
    assert post(client, f"{path}/delete").status_code == 303
    assert 'action="/admin/series/restore"' in client.get("/admin/series").text, "the undo"
    assert client.get(path).status_code == 404
    assert "Sea pieces" in client.get("/admin/library/trash").text
    assert post(client, "/admin/series/restore", series=number).headers["Location"] == path
    assert "Sea pieces" in client.get(path).text
    assert post(client, "/admin/series/restore", series=number).status_code == 404
    with site.session() as session:
        actions = [row.action for row in session.query(AuditEntry).order_by(AuditEntry.id)]
    expected = ["create_series", "edit_series", "publish_series", "unpublish_series"]
    assert [name for name in actions if "series" in name] == [
        *expected,
        "delete_series",
        "restore_series",
    ]


def test_a_series_without_a_title_is_refused(client: FlaskClient) -> None:
    answer = post(client, "/admin/series", title="  ")
    assert answer.status_code == 422 and "Enter a title." in answer.text
    assert 'aria-invalid="true"' in answer.text


def test_selected_groups_of_the_library_are_added(site: Site, client: FlaskClient) -> None:
    groups = [site.add_group() for _ in range(3)]
    made = post(client, "/admin/library/series", group=groups[:2], series_title="Sea")
    assert made.status_code == 303
    number = int(made.headers["Location"].rpartition("/")[2])
    assert list_numbers(client, number) == groups[:2]
    added = post(client, "/admin/library/series", group=groups, series=number)
    assert added.status_code == 303 and list_numbers(client, number) == groups
    assert f'<option value="{number}">Sea</option>' in client.get("/admin/library").text
    assert f'href="/admin/series/{number}"' in client.get(f"/admin/library/{groups[0]}").text
    whole = post(client, "/admin/library/series", series=number, group=groups, all="1")
    assert whole.status_code == 422 and "select one by one" in whole.text
    nothing = post(client, "/admin/library/series", series=number)
    assert nothing.status_code == 422 and "Select groups first." in nothing.text
    untitled = post(client, "/admin/library/series", group=groups, series_title=" ")
    assert untitled.status_code == 422 and "Enter a title." in untitled.text
    assert untitled.text.count(" checked") >= 3
    assert post(client, "/admin/library/series", group=groups, series=number + 1).status_code == 404


def test_groups_of_a_series_are_moved_and_removed(site: Site, client: FlaskClient) -> None:
    first, second, third = groups = [site.add_group() for _ in range(3)]
    made = post(client, "/admin/library/series", group=groups, series_title="Sea")
    path = made.headers["Location"]
    number = int(path.rpartition("/")[2])
    for act, group, expected in (
        ("top", third, [third, first, second]),
        ("later", third, [first, third, second]),
        ("later", second, [first, third, second]),
        ("earlier", second, [first, second, third]),
        ("earlier", first, [first, second, third]),
        ("cover", second, [first, second, third]),
        ("remove", second, [first, third]),
    ):
        assert post(client, f"{path}/{act}", group=group).status_code == 303
        assert list_numbers(client, number) == expected, (act, group)
    fields = {"series": number, "group": second, "before": third}
    assert post(client, "/admin/series/put-back", **fields).status_code == 303
    assert list_numbers(client, number) == [first, second, third]
    assert post(client, f"{path}/top", group=10**12).status_code == 404
    with site.session() as session:
        assert session.query(SeriesGroup).count() == 3
        assert session.get_one(Series, number).chosen_cover_id == second


def list_order(client: FlaskClient, page: str = "") -> list[int]:
    found = re.findall(r'id="series-([0-9]+)"', page or client.get("/admin/series").text)
    return [int(number) for number in found]


def test_series_are_put_in_order_and_nested(site: Site, client: FlaskClient) -> None:
    numbers = [create(client, title) for title in ("A", "B", "C")]
    assert post(client, f"/admin/series/{numbers[2]}/up").status_code == 303
    assert list_order(client) == [numbers[0], numbers[2], numbers[1]]
    assert post(client, f"/admin/series/{numbers[0]}/down").status_code == 303
    page = client.get("/admin/series").text
    assert list_order(client, page) == [numbers[2], numbers[0], numbers[1]]
    # The toast of the last move undoes it, and a script moves by the same call.
    [undo] = re.findall(r'<form method="post" action="(/admin/series/order)">', page)
    before = re.search(r'name="before" value="([0-9]+)"', page)
    assert before and int(before[1]) == numbers[2]
    post(client, undo, series=numbers[0], before=before[1])
    assert list_order(client) == [numbers[0], numbers[2], numbers[1]]
    script = {"Accept": "application/json"}
    token = read_csrf_token(client, "/admin/series")
    data = {"csrf_token": token, "series": numbers[1], "before": numbers[2]}
    assert client.post(undo, data=data, headers=script).status_code == 204
    assert list_order(client) == [numbers[0], numbers[1], numbers[2]]
    assert post(client, undo, series=numbers[0], before="").status_code == 303
    assert post(client, undo, series=numbers[2], before=numbers[1]).status_code == 303
    assert list_order(client) == [numbers[2], numbers[1], numbers[0]]
    assert post(client, undo, series=numbers[1], before="").status_code == 303
    assert list_order(client) == [numbers[2], numbers[0], numbers[1]]
    assert post(client, undo, series=numbers[1], before=10**9).status_code == 404
    fields = {"title": "B", "dates": "", "place": "", "text": "", "parent": numbers[0]}
    assert post(client, f"/admin/series/{numbers[1]}", version=1, **fields).status_code == 303
    fields |= {"title": "C", "parent": numbers[1]}
    refused = post(client, f"/admin/series/{numbers[2]}", version=1, **fields)
    assert refused.status_code == 422 and "not part of another series" in refused.text
    assert 'id="parts-head"' in client.get(f"/admin/series/{numbers[0]}").text
    # A part is in a list of its own, and cannot be placed among others than its neighbours.
    assert list_order(client) == [numbers[2], numbers[0], numbers[1]]
    assert post(client, undo, series=numbers[1], before=numbers[2]).status_code == 404


def test_series_in_the_trash_are_deleted_permanently(site: Site, client: FlaskClient) -> None:
    group = site.add_group()
    made = post(client, "/admin/library/series", group=group, series_title="Sea")
    numbers = [int(made.location.rpartition("/")[2]), *(create(client, one) for one in "ABC")]
    for number in numbers[:3]:
        assert post(client, f"/admin/series/{number}/delete").status_code == 303
    trash = "/admin/library/trash"
    page = client.get(trash).text
    assert page.count('action="/admin/series/purge"') == 3
    assert post(client, "/admin/series/purge", series=numbers[0]).location == trash
    page = client.get(trash).text
    assert "Its works are still in the library." in page
    assert 'action="/admin/series/purge-all"' in page
    # One that is not in the trash stays.
    post(client, "/admin/series/purge", series=numbers[3])
    assert "This entry was already deleted." in client.get(trash).text
    assert post(client, "/admin/series/purge-all").location == trash
    page = client.get(trash).text
    assert "Permanently deleted 2 series." in page and "/admin/series/purge" not in page
    assert post(client, "/admin/series/restore", series=numbers[1]).status_code == 404
    with site.session() as session:
        assert [one.id for one in session.query(Series)] == numbers[3:]
        assert session.get(Group, group) is not None
        acts = [row for row in session.query(AuditEntry) if row.action == "purge_series"]
        assert sum(row.count for row in acts) == 3


def test_a_script_moves_a_group_before_another(site: Site, client: FlaskClient) -> None:
    first, second, third = groups = [site.add_group() for _ in range(3)]
    made = post(client, "/admin/library/series", group=groups, series_title="Sea")
    path = made.headers["Location"]
    number = int(path.rpartition("/")[2])
    assert f'data-order="{path}/order" data-following=""' in client.get(path).text
    for group, before, expected in (
        (third, first, [third, first, second]),
        (third, "", [first, second, third]),
    ):
        assert post(client, f"{path}/order", group=group, before=before).status_code == 204
        assert list_numbers(client, number) == expected
    assert post(client, f"{path}/order", group=first, before=10**12).status_code == 404


def test_works_are_picked_from_the_library(site: Site, client: FlaskClient) -> None:
    number = create(client, "Sea")
    path = f"/admin/series/{number}"
    assert f'href="{path}/add"' in client.get(path).text
    assert "No works yet" in client.get(f"{path}/add").text
    first, second = site.add_group(), site.add_group(state="draft")
    with site.session() as session:
        session.get_one(Group, first).title = "Harbour"
        search_index.refresh_search(session, [first])
    page = client.get(f"{path}/add").text
    assert site.find_key(first, 1, 480) in page
    assert page.count('type="checkbox" name="group"') == 2
    found = client.get(f"{path}/add?q=harb").text
    assert re.findall(r'name="group" value="([0-9]+)"', found) == [str(first)]
    assert "No works found" in client.get(f"{path}/add?q=nothing").text
    added = post(client, f"{path}/add", group=[second, first], q="harb")
    assert added.headers["Location"] == f"{path}/add?q=harb"
    assert list_numbers(client, number) == [second, first]
    assert client.get(f"{path}/add").text.count("checked disabled") == 2
    nothing = post(client, f"{path}/add")
    assert nothing.headers["Location"] == f"{path}/add"
    assert "Select groups first." in client.get(f"{path}/add").text
    assert client.get(f"/admin/series/{number + 1}/add").status_code == 404


def test_days_of_an_exhibition_are_checked_and_kept(client: FlaskClient, site: Site) -> None:
    number = create(client, "Sea")
    path = f"/admin/series/{number}"
    fields = {"title": "Sea", "dates": "", "place": "", "text": "", "parent": ""}
    for first, last, words in (
        ("2026-06-04", "2026-03-12", "The last day is before the first."),
        ("soon", "", "Enter a date like 2027-05-31."),
    ):
        wrong = post(client, path, version=1, first_day=first, last_day=last, **fields)
        assert wrong.status_code == 422 and words in wrong.text
        assert f'value="{first}"' in wrong.text
    days = {"first_day": "2026-03-12", "last_day": "2026-06-04"}
    assert post(client, path, version=1, **days, **fields).status_code == 303
    page = client.get(path).text
    assert 'value="2026-03-12"' in page and 'value="2026-06-04"' in page
    assert "12 March – 4 June 2026" in client.get("/admin/series").text
    with site.session() as session:
        assert session.get_one(Series, number).last_day == date(2026, 6, 4)
