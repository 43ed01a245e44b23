"""The library's list and the order of the gallery, without a script."""

import re

import pytest
from flask.testing import FlaskClient

from imagehub.models import Group, Image
from tests.admin.library import LIST
from tests.admin.pages import send
from tests.fixtures.site import Site


@pytest.fixture
def client(site: Site) -> FlaskClient:
    return site.signed_in_client()


@pytest.fixture
def group_id(site: Site) -> int:
    return site.add_group(["a.jpg", "b.jpg", "c.jpg"])


def test_an_empty_library_shows_the_next_step(client: FlaskClient) -> None:
    assert "The library is empty" in client.get(LIST).text
    assert "The trash is empty" in client.get(f"{LIST}/trash").text


def test_the_list_shows_filters_and_finds(site: Site, client: FlaskClient, group_id: int) -> None:
    draft = site.add_group(["harbour.jpg"], state="draft")
    page = client.get(LIST).text
    assert f'data-group="{group_id}"' in page
    assert f'data-group="{draft}"' in page
    assert f'data-group="{group_id}"' not in client.get(f"{LIST}?filter=draft").text
    assert f'data-group="{group_id}"' not in client.get(f"{LIST}?q=harbour").text
    assert "No group matches your search." in client.get(f"{LIST}?q=nothing").text
    assert client.get(f"{LIST}?filter=x").status_code == 422
    assert client.get(f"{LIST}?after=x").status_code == 422


def test_groups_are_put_in_order_without_a_script(
    site: Site, client: FlaskClient, group_id: int
) -> None:
    other = site.add_group()
    answer = send(client, f"{LIST}/move-up", LIST, moved=group_id)
    assert answer.location == f"{LIST}#group-{group_id}"
    page = client.get(LIST).text
    assert page.index(f'data-group="{group_id}"') < page.index(f'data-group="{other}"')
    send(client, f"{LIST}/order", LIST, group=str(group_id), after=str(other))
    page = client.get(LIST).text
    assert page.index(f'data-group="{group_id}"') > page.index(f'data-group="{other}"')


def test_the_list_follows_a_group_to_another_page(site: Site, client: FlaskClient) -> None:
    numbers = [site.add_group() for _ in range(50)][::-1]

    def list_rows(page: str) -> list[int]:
        return [int(number) for number in re.findall('data-group="([0-9]+)"', page)]

    def step(way: str, number: int, **place: str) -> list[int]:
        answer = send(client, f"{LIST}/move-{way}", LIST, moved=number, **place)
        assert answer.location.endswith(f"#group-{number}")
        page = client.get(answer.location.partition("#")[0]).text
        rows = list_rows(page)
        assert ("was moved to another page" in page) == (rows[0] == number != numbers[0])
        return rows

    last, first = numbers[47], numbers[48]
    second = re.search(r'href="/admin/library\?after=([^"]+)" rel="next"', client.get(LIST).text)
    assert second is not None
    place = {"list-after": second[1]}
    assert step("up", first, **place) == [first, last, numbers[49]]
    assert step("down", first) == [first, numbers[49]]
    # Inside a page, and at the end of all, it stays where it is.
    assert step("up", numbers[2])[:3] == [numbers[0], numbers[2], numbers[1]]
    assert step("up", numbers[0])[0] == numbers[0]


def test_titles_are_escaped(site: Site, client: FlaskClient) -> None:
    number = site.add_group()
    with site.session() as session:
        session.get_one(Group, number).title = '<b>"Wave" & ليلة</b>'
    for path in (LIST, f"{LIST}/{number}"):
        page = client.get(path).text
        assert "<b>" not in page
        assert "&lt;b&gt;" in page


def list_rows(page: str) -> list[int]:
    return [int(number) for number in re.findall('data-group="([0-9]+)"', page)]


def test_the_library_is_sorted(site: Site, client: FlaskClient, group_id: int) -> None:
    other, third = site.add_group(), site.add_group(state="draft")
    with site.session() as session:
        titles = {group_id: "Mill", other: "harbour", third: "Wave"}
        for number, title in titles.items():
            session.get_one(Group, number).title = title
    page = client.get(f"{LIST}?sort=title").text
    assert list_rows(page) == [other, group_id, third]
    assert '<option value="title" selected>' in page
    # The order of the gallery cannot be changed where it is not shown.
    assert "data-order" not in page and "data-step" not in page
    assert list_rows(client.get(f"{LIST}?sort=newest").text) == [third, other, group_id]
    assert list_rows(client.get(f"{LIST}?sort=title&filter=draft").text) == [third]
    assert client.get(f"{LIST}?sort=size").status_code == 422
    # The lists of what is left to do have one order.
    assert 'name="sort"' not in client.get(f"{LIST}?filter=alt&sort=title").text


def test_a_group_moves_to_the_top_from_any_list(
    site: Site, client: FlaskClient, group_id: int
) -> None:
    other = site.add_group()
    answer = send(client, f"{LIST}/move-to-top", LIST, moved=group_id, **{"list-sort": "title"})
    assert answer.location == f"{LIST}?sort=title#group-{group_id}"
    page = client.get(LIST).text
    assert list_rows(page) == [group_id, other]
    assert "is now the first group." in page
    assert "Changed the position" in client.get("/admin/activity").text
    assert send(client, f"{LIST}/move-to-top", LIST, moved=4711).status_code == 303
    assert list_rows(client.get(LIST).text) == [group_id, other]


def test_each_row_shows_its_state(site: Site, client: FlaskClient, group_id: int) -> None:
    draft, empty = site.add_group(state="draft"), site.add_group([])
    page = client.get(LIST).text
    states = dict(re.findall(r'data-group="([0-9]+)".*?data-state="(\w+)"', page, re.DOTALL))
    wanted = {group_id: "published", draft: "draft", empty: "empty"}
    assert states == {str(number): state for number, state in wanted.items()}


def test_the_grid_is_remembered(site: Site, client: FlaskClient, group_id: int) -> None:
    assert 'class="rows is-list"' in client.get(LIST).text
    page = client.get(f"{LIST}?view=grid&q=a").text
    assert 'class="rows is-grid"' in page
    assert 'href="/admin/library?view=list&amp;q=a"' in page
    assert 'class="rows is-grid"' in client.get(LIST).text
    client.get(f"{LIST}?view=list")
    assert 'class="rows is-list"' in client.get(f"{LIST}?view=wall").text


def test_counts_say_what_they_count(site: Site, client: FlaskClient, group_id: int) -> None:
    number = site.add_group()
    with site.session() as session:
        for image in session.query(Image):
            image.drive_state = "missing"
            image.alt = "" if image.group_id == number else "A wave"

    def read_summary(query: str, language: str = "en") -> str:
        headers = {"Accept-Language": language}
        page = client.get(f"{LIST}?{query}", headers=headers).text
        return re.findall(r"data-summary>([^<]*)<", page)[0]

    assert read_summary("filter=missing") == "4 images in 2 groups"
    assert read_summary("filter=alt") == "1 image in 1 group"
    assert read_summary("") == "2 groups in the gallery"
    assert read_summary("q=jpg") == ""
