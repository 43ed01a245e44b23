"""The layouts of the front page, as the server sends them."""

import gzip
import re

import pytest

from imagehub.domain.site.look import save_look
from imagehub.gallery.layouts import LAYOUTS, ONE, ROWS, make_sizes
from imagehub.models import Group
from imagehub.wiring import get_given_settings, refresh_settings
from tests.fixtures.site import Site
from tests.gallery.test_pages import count_statements, fetch_packed, weigh_module


def use_look(site: Site, **texts: str) -> None:
    with site.session() as session:
        save_look(session, get_given_settings(site.app), texts)
    with site.app.app_context():
        refresh_settings(older_than_seconds=0)


def add_labelled_group(site: Site, **values: str) -> int:
    number = site.add_group(("a.jpg", "b.jpg"))
    with site.session() as session:
        group = session.get_one(Group, number)
        for name, value in values.items():
            setattr(group, name, value)
    return number


@pytest.mark.parametrize("layout", [ROWS, ONE])
def test_works_have_labels(site: Site, layout: str) -> None:
    number = add_labelled_group(
        site, title="Harbour", year="2019", medium="Oil on canvas", dimensions="60 × 80 cm",
        availability="sold",
    )  # fmt: skip
    assert "Oil on canvas" not in site.get("/").text
    use_look(site, layout=layout)
    html = site.get("/").text
    label = re.search(r'<div class="tile-label">(.*?)</div>', html, re.DOTALL)
    assert label
    texts = re.findall(r">([^<>\n]+)<", label[1])
    assert texts == ["Harbour", "2019", "Oil on canvas", "60 × 80 cm", "Sold"]
    # The picture opens the viewer, the title leads to the page of the work.
    links = re.findall(rf'<a [^>]*href="/groups/{number}/harbour"[^>]*>', html)
    assert ["data-open" in link for link in links] == [True, False]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_only_the_front_page_changes(site: Site, layout: str) -> None:
    add_labelled_group(site, title="Harbour")
    before = site.get("/search?q=harbour").text
    use_look(site, layout=layout)
    assert site.get("/search?q=harbour").text == before
    assert ("layouts.css" in site.get("/").text) == (layout != "wall")
    assert ("front-keys.js" in site.get("/").text) == (layout == ONE)


@pytest.mark.parametrize("layout", [ROWS, ONE])
def test_a_layout_costs_no_further_statements(site: Site, layout: str) -> None:
    for _ in range(14):
        site.add_group()
    usual = min(count_statements(site, "/?page=1") for _ in range(3))
    use_look(site, layout=layout)
    assert min(count_statements(site, "/?page=1") for _ in range(3)) == usual


def test_the_kept_page_follows_the_layout(site: Site) -> None:
    site.add_group()
    first = site.get("/")
    assert site.get("/", headers={"If-None-Match": first.headers["ETag"]}).status_code == 304
    use_look(site, layout="rows")
    again = site.get("/", headers={"If-None-Match": first.headers["ETag"]})
    assert again.status_code == 200 and "is-rows" in again.text


@pytest.mark.parametrize("layout", LAYOUTS)
def test_pages_and_filters_keep_the_layout(site: Site, layout: str) -> None:
    for number in range(14):
        add_labelled_group(site, title=f"Study {number}")
    use_look(site, layout=layout)
    sign = 'class="wall"' if layout == "wall" else f'class="wall is-{layout}"'
    first, second, chosen = (site.get(path).text for path in ("/", "/?page=2", "/?shape=landscape"))
    assert [page.count(sign) for page in (first, second, chosen)] == [1, 1, 1]
    assert [page.count('<li class="tile') for page in (first, second)] == [12, 2]
    assert first.count('fetchpriority="high"') == 1


@pytest.mark.parametrize("layout", [ROWS, ONE])
def test_the_front_page_is_light_in_each_layout(site: Site, layout: str) -> None:
    for number in range(14):
        add_labelled_group(site, title=f"Study {number}", year="2001", medium="Oil on canvas")
    use_look(site, layout=layout)
    page = site.get("/", headers={"Accept-Encoding": "gzip"})
    html = gzip.decompress(page.data).decode()
    sheets = re.findall(r'<link rel="stylesheet" href="([^"]+)"', html)
    styles = sum(len(fetch_packed(site, path)[0]) for path in sheets)
    assert any("layouts.css" in path for path in sheets)
    assert len(page.data) + styles <= 30_000
    seen: set[str] = set()
    modules = re.findall(r'<script type="module" src="([^"]+)"', html)
    assert sum(weigh_module(site, path, seen) for path in modules) <= 30_000


def test_a_picture_is_as_wide_as_the_window_allows() -> None:
    assert make_sizes(1.5, ROWS).startswith("(min-width:900px) min(62vw,123vh),")
    assert make_sizes(0.25, ONE).startswith("(min-width:900px) min(90vw,20vh),")
    assert make_sizes(1.5, ONE).endswith(",100vw")


# --- The featured work ----------------------------------------------------------------------------


def list_works(html: str) -> list[int]:
    """List the numbers of the works of a page, the featured one first."""
    return [int(number) for number in re.findall(r'class="tile[^"]*" id="g(\d+)"', html)]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("place", [0, 5, 13])
def test_the_featured_work_stands_first_and_once_on_the_first_page(
    site: Site, layout: str, place: int
) -> None:
    numbers = [site.add_group() for _ in range(15)][::-1]
    chosen = numbers[place]
    use_look(site, layout=layout, featured_work=str(chosen))
    html = site.get("/").text
    first, second = list_works(html), list_works(site.get("/?page=2").text)
    assert first == [chosen, *(one for one in numbers[:12] if one != chosen)]
    assert second == numbers[12:]
    assert html.count("<article") == 1 and html.count('fetchpriority="high"') == 1
    assert "Page 1 of 2" in html
    # Filters show what has been chosen, and nothing else.
    assert "<article" not in site.get("/?shape=landscape").text


def test_a_work_that_is_not_published_is_not_featured(site: Site) -> None:
    draft, shown = site.add_group(state="draft"), site.add_group()
    for number in (draft, 4711):
        use_look(site, featured_work=str(number))
        html = site.get("/").text
        assert list_works(html) == [shown] and "<article" not in html
    use_look(site, featured_work=str(shown))
    assert list_works(site.get("/").text) == [shown]


def test_a_featured_work_costs_no_further_statements(site: Site) -> None:
    numbers = [site.add_group() for _ in range(14)]
    usual = min(count_statements(site, "/?page=1") for _ in range(3))
    use_look(site, featured_work=str(numbers[0]))
    assert min(count_statements(site, "/?page=1") for _ in range(3)) == usual
