"""The filters above a wall: links, a form, the timeline, and JSON."""

import html
import re

import pytest

from imagehub.domain.library import groups, series_edit, tags
from imagehub.models import Group, Image
from tests.fixtures.site import Site, make_site
from tests.gallery.test_pages import count_statements

COLORS = {"red": "#c8352b", "blue": "#3a68b0"}


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """Return a site with thirty works, red ones and blue ones in turn."""
    site = make_site(tmp_path_factory.mktemp("filtered"))
    for _ in range(30):
        site.add_group()
    with site.session() as session:
        for number in range(1, 31):
            group = session.get_one(Group, number)
            group.title = f"Harbour {number}"
            group.year = str(1900 + number)
            group.medium = "Oil on canvas" if number % 3 else "oil on Canvas."
            group.availability = "sold" if number == 7 else "available"
            session.get_one(Image, number).dominant_color = COLORS["red" if number % 2 else "blue"]
            tags.set_tags(session, group, [f"Tag {at}" for at in range(number)])
        groups.refresh_groups(session, range(1, 31))
        made = series_edit.create_series(session, "Coast", range(30, 10, -1), None)
        series_edit.set_series_state(session, made.id, "published")
    return site


def list_works(page: str) -> list[int]:
    return [int(number) for number in re.findall(r'<li class="tile" id="g(\d+)"', page)]


def list_links(page: str, attributes: str) -> dict[str, str]:
    """Return the addresses of links to filters by their words."""
    found = re.findall(rf'<a [^>]*href="([^"]*)"[^>]*{attributes}[^>]*>(.*?)</a>', page, re.S)
    return {
        " ".join(re.sub("<[^>]*>", " ", words).replace(" : ", ": ").split()): html.unescape(url)
        for url, words in found
    }


def follow(site: Site, page: str, rel: str) -> str:
    [url] = re.findall(rf'<a class="[^"]*" href="([^"]*)" rel="{rel}"', page)
    return site.get(html.unescape(url)).text


def test_filters_are_links_that_keep_what_is_chosen(filled: Site) -> None:
    links = list_links(filled.get("/").text, "data-filter")
    assert links["Red, 15 works"] == "/?colour=red" and links["Sold 1"] == "/?availability=sold"
    page = filled.get("/?colour=red").text
    assert list_works(page) == list(range(29, 5, -2))
    links = list_links(page, "data-filter")
    assert links["Sold 1"] == "/?colour=red&availability=sold"
    assert links["Red, 15 works"] == "/" == links["Remove filter: Red"] == links["Show all works"]
    assert 'aria-current="true"' in page and "15 works" in page
    # The next page, and back.
    following = follow(filled, page, "next")
    assert list_works(following) == [5, 3, 1] and 'rel="next"' not in following
    assert list_works(follow(filled, following, "prev")) == list_works(page)
    # Search engines get only the list itself.
    assert '<meta name="robots" content="noindex, follow">' in page
    assert '<link rel="canonical" href="http://localhost/">' in page
    assert 'name="robots"' not in filled.get("/").text
    assert "Disallow: /*?colour=\n" in filled.get("/robots.txt").text


def test_a_combination_without_works_shows_a_way_out(filled: Site) -> None:
    page = filled.get("/?colour=blue").text
    # The only sold work is red.
    assert "Sold" not in list_links(page, "data-filter")
    assert '<span class="option  is-empty"><span dir="auto">Sold</span>' in page
    page = filled.get("/?colour=blue&availability=sold")
    assert page.status_code == 200 and "No works match these filters" in page.text
    assert '<a class="button" href="/" data-filter>Show all works</a>' in page.text
    for unknown in ("colour=mauve", "tag=nothing&year=1911", "year=0", "medium=%F0%9F%90%88"):
        page = filled.get(f"/?{unknown}").text
        assert "No works match these filters" in page and list_works(page) == []
    for bad in ("after=x", "after=1.99999999999999999999", "before=-1"):
        assert filled.get(f"/?colour=red&{bad}").status_code == 404
    assert filled.get("/?colour=%00").status_code == 422


def test_spellings_of_a_medium_are_one(filled: Site) -> None:
    page = filled.get("/?medium=oil-on-canvas").text
    assert len(list_works(page)) == 12 and "30 works" in page
    assert "Oil on canvas" in page and "oil on Canvas" not in page


def test_many_values_are_in_a_form_that_keeps_the_others(filled: Site) -> None:
    page = filled.get("/?colour=red").text
    [form] = re.findall(r'<form class="more-values".*?</form>', page, re.S)
    assert 'action="/"' in form and '<input type="hidden" name="colour" value="red">' in form
    assert re.findall(r'<option value="(tag-[^"]*)">', form)
    # As the form sends it.
    assert list_works(filled.get("/?colour=red&tag=tag-27").text) == [29]


def test_the_timeline_shows_each_year(filled: Site) -> None:
    page = filled.get("/").text
    links = list_links(page, "data-filter")
    assert links["1911 1911, 1 work"] == "/?year=1911"
    assert len(re.findall(r'<span class="column is-\d+">', page)) == 30
    # The choice counts without itself: all years can still be reached.
    chosen = filled.get("/?year=1911").text
    assert list_works(chosen) == [11]
    assert list_links(chosen, "data-filter")["1912 1912, 1 work"] == "/?year=1912"
    with filled.session() as session:
        session.get_one(Group, 30).year = "1640"
        groups.refresh_group(session, 30)
    links = list_links(filled.get("/").text, "data-filter")
    assert links["1910s 1910s, 10 works"] == "/?year=1910s"
    assert "1911 1911, 1 work" not in links
    page = filled.get("/?year=1910s").text
    assert list_works(page) == list(range(19, 9, -1))
    assert list_links(page, "data-filter")["1911 1911, 1 work"] == "/?year=1911"
    with filled.session() as session:
        session.get_one(Group, 30).year = "1930"
        groups.refresh_group(session, 30)


def test_series_and_search_are_filtered(filled: Site) -> None:
    page = filled.get("/series/1/coast?colour=red").text
    assert list_works(page) == list(range(29, 10, -2))
    assert 'href="/groups/29/harbour-29?series=1"' in page
    assert list_links(page, "data-filter")["Show all works"] == "/series/1/coast"
    assert filled.get("/series/1/coast?colour=mauve").status_code == 200
    page = filled.get("/search?q=harbour&colour=blue").text
    assert len(list_works(page)) == 12 and "15 works" in page
    assert list_links(page, "data-filter")["Show all works"] == "/search?q=harbour"
    assert len(list_works(follow(filled, page, "next"))) == 3
    page = filled.get("/search?q=nothing&colour=blue").text
    assert "No works match these filters" in page


def test_a_filtered_page_runs_few_statements(filled: Site) -> None:
    def count(path: str) -> int:
        return min(count_statements(filled, path) for _ in range(2))

    assert count("/") <= 9
    assert count("/?colour=red") <= 14
    query = "colour=red&medium=oil-on-canvas&shape=landscape&tag=tag-1&availability=available"
    assert count(f"/?{query}&year=1920s") <= 36
    assert count(f"/series/1/coast?{query}") <= 36


def test_apps_filter_too(filled: Site) -> None:
    answer = filled.get("/site/filters?colour=red").json
    assert answer["groups"] == 15
    rows = {(row["filter"], row["value"]): row for row in answer["data"]}
    assert rows["colour", "blue"]["groups"] == 15 and rows["availability", "sold"]["groups"] == 1
    assert rows["medium", "oil-on-canvas"]["label"] == "Oil on canvas"
    answer = filled.get("/site/works?colour=red").json
    numbers = [row["group"] for row in answer["data"]]
    assert numbers == list(range(29, 5, -2))
    answer = filled.get(f"/site/works?colour=red&after={answer['next']}").json
    assert [row["group"] for row in answer["data"]] == [5, 3, 1] and answer["next"] is None
    answer = filled.get("/site/works").json
    assert len(answer["data"]) == 12 and answer["next"]
    answer = filled.get("/site/works?series=1&colour=blue").json
    assert [row["group"] for row in answer["data"]] == list(range(30, 11, -2))
    assert filled.get("/site/filters?series=99").json == {"code": 0, "hint": "series_not_found"}
    assert filled.get("/site/works?after=0.9999999999999999999").json["data"] == []
    for bad in ("after=x", "after=1.99999999999999999999", "series=x"):
        assert filled.get(f"/site/works?{bad}").status_code == 422
