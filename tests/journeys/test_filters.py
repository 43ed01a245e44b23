"""Filters in Chromium, with and without scripts, and works that look similar."""

import base64
import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from imagehub.domain.library.groups import refresh_groups
from imagehub.imaging.thumbhash import make_thumbhash
from imagehub.models import Group, Image
from tests.fixtures.browser import Visit
from tests.fixtures.served_site import ServedSite

COLOURS = ("#c8352b", "#3a68b0")
# A sea with a bright horizon, four by four pixels.
SEA = make_thumbhash(4, 4, bytes([*(40, 60, 150, 255) * 8, *(220, 210, 160, 255) * 8]))


@pytest.fixture
def filled(served_site: ServedSite) -> ServedSite:
    """Add fourteen works, red ones and blue ones in turn, of the years from 1901 on."""
    site = served_site.site
    numbers = [site.add_group() for _ in range(14)]
    with site.session() as session:
        for number in numbers:
            group, image = session.get_one(Group, number), session.get_one(Image, number)
            group.title, group.year = f"Harbour {number}", str(1900 + number)
            image.dominant_color = COLOURS[number % 2]
            image.thumbhash = base64.b64encode(SEA).decode()
        refresh_groups(session, numbers)
    return served_site


def count_works(page: Page, count: int) -> None:
    expect(page.locator(".wall .tile")).to_have_count(count)


def forget_pictures(visit: Visit) -> None:
    """The works have no pictures in the object storage, which Chromium logs."""
    visit.complaints[:] = [one for one in visit.complaints if "Failed to load" not in one]


@pytest.mark.parametrize("is_phone", [False, True], ids=["desktop", "phone"])
def test_a_year_and_a_colour_are_chosen_and_taken_back(
    filled: ServedSite, visit: Callable[..., Visit], is_phone: bool
) -> None:
    visitor = visit(filled.url, is_phone=is_phone)
    page = visitor.page
    page.locator("#f-summary").click()
    # The script is loaded when the panel is opened.
    expect(page.locator("[data-close-filters]")).not_to_have_attribute("hidden", "")
    filters = page.get_by_role("region", name="Filters")
    filters.get_by_role("link", name=re.compile("^Red")).click()
    expect(filters.get_by_role("status")).to_have_text("7 works")
    expect(page).to_have_url(f"{filled.url}/?colour=red")
    count_works(page, 7)
    # The timeline: the works of a decade, and then of a year.
    filters.get_by_role("list", name="Year", exact=True).get_by_role("link").last.click()
    expect(page).to_have_url(re.compile(r"[?&]year="))
    expect(filters.get_by_role("status")).to_have_text(re.compile("^[1-6] works?$"))
    assert visitor.find_faults() == []
    page.go_back()
    expect(page).to_have_url(f"{filled.url}/?colour=red")
    expect(filters.get_by_role("status")).to_have_text("7 works")
    count_works(page, 7)
    if is_phone:
        # The panel covers the wall there, and its button says what is behind it.
        page.locator("[data-close-filters]").click()
    page.get_by_role("list", name="Selected filters").get_by_role(
        "link", name="Remove filter: Red"
    ).click()
    expect(page.get_by_role("list", name="Selected filters")).to_have_count(0)
    expect(page).to_have_url(f"{filled.url}/")
    # The next page of the wall may be there already.
    expect(page.locator(".wall .tile").nth(11)).to_be_attached()
    forget_pictures(visitor)


def test_filters_and_similar_works_need_no_script(
    filled: ServedSite, visit: Callable[..., Visit]
) -> None:
    visitor = visit(filled.url, java_script_enabled=False)
    page = visitor.page
    page.locator("#f-summary").click()
    page.get_by_role("link", name=re.compile("^Blue")).click()
    expect(page).to_have_url(f"{filled.url}/?colour=blue")
    expect(page.locator(".find-count")).to_have_text("7 works")
    count_works(page, 7)
    page.get_by_role("link", name="Show all works").click()
    expect(page).to_have_url(re.compile(f"{filled.url}/?$"))
    count_works(page, 12)
    page.goto(f"{filled.url}/groups/3/harbour-3")
    similar = page.get_by_role("region", name="Similar works").get_by_role("link")
    expect(similar.first).to_contain_text("Harbour")
    expect(similar.first).not_to_contain_text(re.compile("Harbour 3$"))
    similar.first.click()
    expect(page.get_by_role("heading", level=1)).not_to_have_text("Harbour 3")
    forget_pictures(visitor)
