"""The wall and its label, address and place; the wall and a work on paper."""

import re
from functools import partial

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.fixtures.browser import (
    TITLE,
    WORKS,
    LiveHub,
    Visits,
    go_to_the_end,
    press_end,
    wait_until_still,
)


def find_label(page: Page) -> Locator:
    return page.get_by_text(re.compile(r"^Page \d of \d$"))


def list_numbers(page: Page) -> list[str | None]:
    """Return the numbers of the pages on the wall, from the top."""
    return [wall.get_attribute("data-page") for wall in page.locator(".wall").all()]


def measure_top(tile: Locator) -> float:
    return float(tile.evaluate("(tile) => tile.getBoundingClientRect().top"))


@pytest.mark.parametrize("is_phone", [False, True])
def test_label_address_and_reload_agree_at_the_end(
    live_hub: LiveHub, visit: Visits, is_phone: bool
) -> None:
    seen = visit(live_hub.url, is_phone)
    page = seen.page
    expect(find_label(page)).to_have_text("Page 1 of 4")
    go_to_the_end(page)
    press_end(page, partial(expect(find_label(page)).to_be_in_viewport, timeout=2_000))
    wait_until_still(page)
    expect(find_label(page)).to_have_text("Page 4 of 4")
    expect(page).to_have_url(f"{live_hub.url}/?page=4")
    expect(page).to_have_title(f"{TITLE} · Page 4")
    last = page.locator(".tile").last
    before = measure_top(last)

    page.reload()
    expect(page.locator(".tile")).to_have_count(len(WORKS))
    assert list_numbers(page) == ["1", "2", "3", "4"]
    expect(page.get_by_role("link", name="Previous page")).to_have_count(0)
    last = page.locator(".tile").last
    expect(last).to_be_in_viewport()
    assert measure_top(last) == pytest.approx(before, abs=2)
    expect(find_label(page)).to_have_text("Page 4 of 4")
    assert seen.path == "/?page=4"

    page.evaluate("scrollTo({ top: 0, behavior: 'instant' })")
    expect(page).to_have_url(f"{live_hub.url}/")
    expect(find_label(page)).to_have_text("Page 1 of 4")
    expect(page).to_have_title(TITLE)


def test_a_page_opened_by_its_address_begins_with_its_works(
    live_hub: LiveHub, visit: Visits
) -> None:
    page = visit(f"{live_hub.url}/?page=4").page
    expect(find_label(page)).to_have_text("Page 4 of 4")
    assert list_numbers(page) == ["4"]
    assert page.evaluate("scrollY") == 0


def test_the_previous_page_is_added_above(live_hub: LiveHub, visit: Visits) -> None:
    page = visit(f"{live_hub.url}/?page=3").page
    page.locator(".wall[data-page='4']").wait_for(state="attached")
    page.get_by_role("link", name="Previous page").press("Enter")
    page.locator(".wall[data-page='2']").wait_for()
    assert list_numbers(page) == ["2", "3", "4"]
    expect(page.locator(".wall[data-page='2'] .tile a").first).to_be_focused()
    expect(page).to_have_url(f"{live_hub.url}/?page=2")
    page.get_by_role("link", name="Previous page").press("Enter")
    page.locator(".wall[data-page='1']").wait_for()
    expect(page.get_by_role("link", name="Previous page")).to_have_count(0)
    titles = page.locator(".caption-title").all_inner_texts()
    assert sorted(titles) == sorted(title for title, _ in WORKS)


# --- On paper -------------------------------------------------------------------------------------

SHEET = {"width": 680, "height": 1000}  # What A4 leaves between its margins, in CSS pixels.
ROOM_SCRIPT = """() => [...document.querySelectorAll(".frame, h1, .caption, .wall-label")]
  .map((element) => element.getBoundingClientRect())
  .every(({ left, right }) => left >= -0.5 && right <= document.documentElement.clientWidth + 0.5)
"""


def visit_on_paper(visit: Visits, url: str) -> Page:
    """Open a page in the dark theme, as it is printed."""
    page = visit(url, viewport=SHEET, color_scheme="dark").page
    page.emulate_media(media="print")
    expect(page.locator("body")).to_have_css("color", "rgb(0, 0, 0)")
    expect(page.locator("html")).to_have_css("background-color", "rgb(255, 255, 255)")
    assert page.evaluate(ROOM_SCRIPT)
    return page


def test_the_wall_is_printed_with_its_titles(live_hub: LiveHub, visit: Visits) -> None:
    page = visit_on_paper(visit, live_hub.url)
    captions = page.locator(".tile .caption")
    for number in range(captions.count()):
        expect(captions.nth(number)).to_be_visible()
        expect(captions.nth(number)).to_have_css("opacity", "1")
    for control in ("searchbox", "combobox", "navigation"):
        expect(page.get_by_role(control)).to_have_count(0)  # type: ignore[arg-type]
    # What is out of view is loaded for it.
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    page.wait_for_function(
        "() => [...document.querySelectorAll('.tile img')].every((img) => img.naturalWidth)"
    )


def test_a_work_is_printed_with_its_label_and_all_shots(live_hub: LiveHub, visit: Visits) -> None:
    page = visit_on_paper(visit, f"{live_hub.url}/groups/{live_hub.find_group('Harbour')}")
    expect(page.get_by_role("heading", name="Harbour")).to_be_visible()
    pictures = page.locator(".work a[data-shot] .frame")
    assert pictures.count() == 4
    for picture in pictures.all():
        expect(picture).to_be_visible()
    expect(page.get_by_role("link", name="Next work")).to_be_hidden()
    expect(page.get_by_role("link", name="Full-size image")).to_be_hidden()
