"""The search page, suggestions and tags, over HTTP on both databases."""

import html
import re

import pytest

from imagehub.domain.library import groups, search, tags
from imagehub.errors import InvalidInputError
from imagehub.models import Group, Tag
from tests.fixtures.site import Site


def add_work(site: Site, title: str, names: tuple[str, ...] = ("front.jpg",), **facts: str) -> int:
    number = site.add_group(names)
    with site.session() as session:
        group = session.get(Group, number)
        assert group is not None
        group.title = title
        for name, value in facts.items():
            setattr(group, name, value)
        groups.refresh_group(session, number)
    return number


def tag_work(site: Site, number: int, *names: str) -> list[str]:
    with site.session() as session:
        group = session.get(Group, number)
        assert group is not None
        return [tag.name for tag in tags.set_tags(session, group, names)]


def list_works(page: str) -> list[int]:
    return [int(number) for number in re.findall(r'<li class="tile" id="g(\d+)"', page)]


# --- Searching ------------------------------------------------------------------------------------


def test_a_search_shows_the_works_it_found(either_site: Site) -> None:
    work = add_work(either_site, "Harbour at dawn")
    add_work(either_site, "Forest")
    answer = either_site.get("/search?q=harb")
    assert answer.status_code == 200
    assert list_works(answer.text) == [work]
    assert "Harbour at dawn" in answer.text
    assert "1 work" in answer.text
    assert 'name="robots" content="noindex' in answer.text


def test_what_was_typed_comes_back_escaped(either_site: Site) -> None:
    typed = '"><script>alert(1)</script>'
    page = either_site.get("/search", query_string={"q": typed}).text
    assert "<script>alert" not in page
    assert html.escape("<script>alert(1)</script>") in page


def test_an_empty_search_is_a_form_with_tags(either_site: Site) -> None:
    work = add_work(either_site, "Harbour")
    tag_work(either_site, work, "sea")
    page = either_site.get("/search").text
    assert list_works(page) == []
    assert 'action="/search"' in page
    assert "/tags/sea" in page


def test_nothing_found_says_so(either_site: Site) -> None:
    add_work(either_site, "Harbour")
    answer = either_site.get("/search?q=zebra")
    assert answer.status_code == 200
    assert list_works(answer.text) == []
    assert "No works found" in answer.text


def test_results_have_pages_with_addresses(either_site: Site) -> None:
    works = [add_work(either_site, f"Study {i}") for i in range(14)]
    first = either_site.get("/search?q=study").text
    second = either_site.get("/search?q=study&page=2").text
    assert len(list_works(first)) == 12
    assert sorted(list_works(first) + list_works(second)) == works
    assert 'href="/search?q=study&amp;page=2"' in first
    assert 'href="/search?q=study"' in second
    for page in ("3", "0", "-1", "x", "99999999999", "1.5"):
        assert either_site.get(f"/search?q=study&page={page}").status_code == 404, page
    assert either_site.get("/search?q=zebra&page=2").status_code == 404


def test_a_large_hub_says_that_it_lists_the_first_of_many(
    either_site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    for i in range(5):
        add_work(either_site, f"Study {i}")
    assert "5 works" in either_site.get("/search?q=stud").text
    monkeypatch.setattr(search, "_MAX_RANKED", 2)
    monkeypatch.setattr(search, "MAX_LISTED", 2)
    page = either_site.get("/search?q=study").text
    assert len(list_works(page)) == 2
    assert "More than 2 works. The first 2 are listed." in page
    answer = either_site.get("/search/suggest?q=study").json
    assert (answer["count"], answer["has_more"], len(answer["works"])) == (2, True, 2)


def test_drafts_are_found_by_nobody(either_site: Site) -> None:
    number = add_work(either_site, "Secret")
    add_work(either_site, "Secret too", state="draft")
    assert list_works(either_site.get("/search?q=secret").text) == [number]
    client = either_site.signed_in_client()
    assert list_works(client.get("/search?q=secret").text) == [number]


@pytest.mark.parametrize("query", ["%00", "%ff%fe", "+", "%27%3B--", "a" * 3000, "%E2%80%8B"])
def test_odd_queries_are_answered_calmly(either_site: Site, query: str) -> None:
    add_work(either_site, "Harbour")
    for path in ("/search", "/search/suggest"):
        assert either_site.get(f"{path}?q={query}").status_code == 200


# --- Suggesting -----------------------------------------------------------------------------------


def test_works_and_tags_are_suggested_while_somebody_types(either_site: Site) -> None:
    work = add_work(either_site, "Harbour at dawn")
    other = add_work(either_site, "Boats")
    tag_work(either_site, work, "harbours", "sea")
    tag_work(either_site, other, "harbours")
    answer = either_site.get("/search/suggest?q=harb")
    assert answer.status_code == 200
    assert answer.json["count"] == 2
    titles = [row["title"] for row in answer.json["works"]]
    assert titles == ["Harbour at dawn", "Boats"]
    assert answer.json["works"][0]["url"] == f"/groups/{work}/harbour-at-dawn"
    assert "X-Amz-Signature" in answer.json["works"][0]["picture"]
    assert answer.json["tags"] == [{"name": "harbours", "url": "/tags/harbours", "count": 2}]
    assert "max-age" in answer.headers["Cache-Control"]


def test_nothing_typed_suggests_nothing(either_site: Site) -> None:
    add_work(either_site, "Harbour")
    for query in ("", "%20", "%25", "_"):
        answer = either_site.get(f"/search/suggest?q={query}")
        assert answer.json == {
            "works": [],
            "tags": [],
            "pages": [],
            "count": 0,
            "has_more": False,
        }, query


def test_at_most_eight_works_are_suggested(either_site: Site) -> None:
    for i in range(10):
        add_work(either_site, f"Study {i}")
    answer = either_site.get("/search/suggest?q=s").json
    assert len(answer["works"]) == 8
    assert answer["count"] == 10


# --- Tags -----------------------------------------------------------------------------------------


def test_a_tag_is_one_whatever_its_case_and_spaces(either_site: Site) -> None:
    work, other = add_work(either_site, "One"), add_work(either_site, "Two")
    assert tag_work(either_site, work, "Night  Sky", "night sky", " ", "#Blue") == [
        "Night Sky",
        "Blue",
    ]
    assert tag_work(either_site, other, "NIGHT SKY", "blUe", "Straße") == [
        "Night Sky",
        "Blue",
        "Straße",
    ]
    page = either_site.get("/tags").text
    names = re.findall(r"<bdi>([^<]*)</bdi> <span class=\"tag-count\">(\d+)", page)
    assert names == [("Blue", "2"), ("Night Sky", "2"), ("Straße", "1")]
    with either_site.session() as session:
        assert session.query(Tag).count() == 3


def test_a_tag_page_shows_its_works_in_the_gallerys_order(either_site: Site) -> None:
    works = [add_work(either_site, f"Sea {i}") for i in range(14)]
    for work in works:
        tag_work(either_site, work, "Sea & Sky")
    add_work(either_site, "Elsewhere")
    first = either_site.get("/tags/sea-sky")
    assert first.status_code == 200
    assert list_works(first.text) == works[:1:-1]
    assert "14 works" in first.text
    assert 'rel="canonical" href="http://localhost/tags/sea-sky"' in first.text
    second = either_site.get("/tags/sea-sky?page=2").text
    assert list_works(second) == works[1::-1]
    for path in ("/tags/sea-sky?page=3", "/tags/sea-sky?page=0", "/tags/nothing", "/tags?page=2"):
        assert either_site.get(path).status_code == 404, path


def test_a_tag_of_drafts_alone_is_not_there(either_site: Site) -> None:
    work = add_work(either_site, "Draft", state="draft")
    tag_work(either_site, work, "unshown")
    assert either_site.get("/tags/unshown").status_code == 404
    assert "unshown" not in either_site.get("/tags").text
    assert either_site.get("/search/suggest?q=unshown").json["tags"] == []


def test_names_that_look_alike_in_an_address_have_their_own(either_site: Site) -> None:
    work = add_work(either_site, "Code")
    tag_work(either_site, work, "C++", "C#", "日本", "🌊", "☃")
    page = either_site.get("/tags").text
    urls = [html.unescape(url) for url in re.findall(r'href="(/tags/[^"]+)"', page)]
    assert len(set(urls)) == 5
    for url in urls:
        assert list_works(either_site.get(url).text) == [work], url


def test_tags_that_are_taken_off_go(either_site: Site) -> None:
    work = add_work(either_site, "One")
    tag_work(either_site, work, "blue", "red")
    assert "/tags/blue" in either_site.get(f"/groups/{work}/one").text
    tag_work(either_site, work, "red", "green")
    assert either_site.get("/tags/blue").status_code == 404
    assert list_works(either_site.get("/search?q=green").text) == [work]
    assert list_works(either_site.get("/search?q=blue").text) == []
    with either_site.session() as session:
        assert sorted(name for (name,) in session.query(Tag.name)) == ["green", "red"]


@pytest.mark.parametrize(
    "names",
    [["x" * 101], ["a\x00b"], [f"tag {i}" for i in range(51)]],
    ids=["long", "null", "many"],
)
def test_tags_that_cannot_be_are_refused(either_site: Site, names: list[str]) -> None:
    work = add_work(either_site, "One")
    tag_work(either_site, work, "kept")
    with pytest.raises(InvalidInputError):
        tag_work(either_site, work, *names)
    with either_site.session() as session:
        assert [tag.name for tag in tags.list_group_tags(session, work)] == ["kept"]


def test_many_tags_have_pages(either_site: Site) -> None:
    for start in range(0, 130, 26):
        work = add_work(either_site, f"Work {start}")
        tag_work(either_site, work, *(f"tag {start + i:03}" for i in range(26)))
    first, second = either_site.get("/tags").text, either_site.get("/tags?page=2").text
    assert first.count('rel="tag"') == 120
    assert second.count('rel="tag"') == 10
