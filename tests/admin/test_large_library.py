"""What the library's pages cost must not grow with the library.

SQLite counts the steps of its virtual machine. So these tests see whatever reads more than it
shows, and no clock is asked.
"""

import html
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import event

from benchmarks.library import fill, list_pages
from imagehub.database import db
from tests.fixtures.site import Site, make_site

SMALL, LARGE = 100, 20_000
# Lists and counts of the small library end sooner; counts go up to a hundred. To read all of the
# large one takes twice as many.
FEW_STEPS = 30_000
# What is all over the library, but not in this list, is looked for in 300 groups of it and no more.
WALK_STEPS = {"words of few without alt": 15_000}


class Counted:
    """A library, and how many steps of the database a page of it takes."""

    def __init__(self, site: Site, image_count: int) -> None:
        fill(site, image_count)
        self.client = site.signed_in_client()
        self.pages = list_pages(image_count)
        self.steps = 0
        with site.app.app_context():
            event.listen(
                db.engine,
                "checkout",
                lambda connection, *_: connection.set_progress_handler(self._step, 10),
            )

    def _step(self) -> int:
        self.steps += 10
        return 0

    def count_steps(self, name: str) -> int:
        # The first time, a process may look for things that it keeps.
        self.client.get(self.pages[name])
        self.steps = 0
        assert self.client.get(self.pages[name]).status_code == 200
        return self.steps


@pytest.fixture(scope="module")
def libraries(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[Counted, Counted]]:
    sites: list[Site] = []

    def make(image_count: int) -> Counted:
        folder: Path = tmp_path_factory.mktemp(f"library-{image_count}")
        sites.append(make_site(folder))
        return Counted(sites[-1], image_count)

    yield make(SMALL), make(LARGE)
    for site in sites:
        with site.app.app_context():
            db.engine.dispose()


@pytest.mark.parametrize("name", list(list_pages(SMALL)))
def test_pages_cost_the_same_in_a_large_library(
    libraries: tuple[Counted, Counted], name: str
) -> None:
    small, large = (library.count_steps(name) for library in libraries)
    assert small > 0
    limit = small + FEW_STEPS + WALK_STEPS.get(name, 0)
    assert large < limit, f"{small} steps at {SMALL} images, {large} at {LARGE}"


def test_rare_words_of_a_list_are_found_page_by_page(
    libraries: tuple[Counted, Counted],
) -> None:
    """Also past pages without a row, there and back."""
    _, large = libraries
    wanted = [n for n in range(LARGE // 2, 0, -1) if n % 420 == 3]
    for way in ("next", "prev"):
        found: list[int] = []
        page_count = 0
        while True:
            page = large.client.get(large.pages["words of few without alt"]).text
            rows = [int(n) for n in re.findall('data-group="([0-9]+)"', page)]
            found = [*found, *rows] if way == "next" else [*rows, *found]
            page_count += 1
            link = re.search(f'href="([^"]+)" rel="{way}"', page)
            if link is None:
                break
            large.pages["words of few without alt"] = html.unescape(link[1])
        assert found == wanted
        assert page_count > 1


def test_the_step_counter_notices_a_full_table_scan(
    libraries: tuple[Counted, Counted],
) -> None:
    """The one page that must: words inside of words are looked for in all of the index."""
    small, large = libraries
    for library in libraries:
        library.pages["inside"] = "/search?q=ildered"
    assert large.count_steps("inside") > small.count_steps("inside") + FEW_STEPS
