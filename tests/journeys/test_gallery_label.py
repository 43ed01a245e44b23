"""The label in the image viewer: what it says, and how it folds."""

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.fixtures.browser import PASSWORD, LiveHub, Visits, wait_until_open

RECORD = {
    "Year": "2021",
    "Medium": "Oil on linen",
    "Dimensions": "180 × 260 cm",
    "Description": "Painted from the mole.\n\n" + "The wind had turned. " * 60,
}


@pytest.fixture
def harbour(live_hub: LiveHub, visit: Visits) -> int:
    """Return a work of four shots with a record, which an admin saves once."""
    number = live_hub.find_group("Harbour")
    page = visit(f"{live_hub.url}/groups/{number}", java_script_enabled=False).page
    if page.locator(".record").count():
        return number
    page.goto(f"{live_hub.url}/sign-in?next=/admin/library/{number}")
    page.get_by_label("Name").fill("admin")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    for label, value in RECORD.items():
        page.get_by_label(label, exact=True).fill(value)
    page.get_by_label("Availability").select_option(label="Reserved")
    page.locator("#record").get_by_role("button", name="Save").click()
    expect(page.get_by_label("Medium")).to_have_value(RECORD["Medium"])
    return number


def find_button(page: Page) -> Locator:
    return page.get_by_role("button", name="About this work")


def find_label(page: Page) -> Locator:
    return page.get_by_role("complementary", name="About this work")


def measure_picture(page: Page) -> dict[str, float]:
    """Return the edges of the shot in view, after it has come to rest."""
    box: dict[str, float] = page.evaluate(
        """async () => {
          const img = document.querySelector(".pswp__item[aria-hidden=false] .pswp__img");
          await Promise.all(img.getAnimations({ subtree: true }).map((one) => one.finished));
          const { left, right, top, bottom } = img.getBoundingClientRect();
          return { left, right, top, bottom };
        }"""
    )
    return box


@pytest.mark.parametrize("is_phone", [False, True])
def test_a_tile_leads_to_the_label_of_its_work(
    live_hub: LiveHub, visit: Visits, harbour: int, is_phone: bool
) -> None:
    wall = f"{live_hub.url}/?page={live_hub.find_page_of('Harbour')}"
    seen = visit(wall, is_phone, reduced_motion="reduce")
    page = seen.page
    page.locator(f"#g{harbour} a").click()
    wait_until_open(page)
    label = find_label(page)
    expect(label).to_be_hidden()
    expect(find_button(page)).to_have_attribute("aria-expanded", "false")
    find_button(page).click()
    expect(find_button(page)).to_have_attribute("aria-expanded", "true")
    expect(label.get_by_role("heading", name="Harbour")).to_be_visible()
    for line in ("2021", "Oil on linen", "180 × 260 cm", "Reserved", "Painted from the mole."):
        expect(label.get_by_text(line, exact=True)).to_be_visible()
    # It takes its room from the picture, and covers neither it nor another control.
    box, picture = label.bounding_box(), measure_picture(page)
    assert box is not None
    if is_phone:
        assert picture["bottom"] <= box["y"] + 1
    else:
        assert picture["right"] <= box["x"] + 1
        following = page.get_by_role("button", name="Next shot").bounding_box()
        assert following is not None
        assert following["x"] + following["width"] <= box["x"] + 1
    assert seen.find_faults() == []
    # A long description scrolls there, and zooms nothing.
    if not is_phone:
        label.hover()
        page.mouse.wheel(0, 300)
        page.wait_for_function("() => document.querySelector('.viewer-label').scrollTop > 0")
        assert measure_picture(page) == pytest.approx(picture, abs=1)
    size = label.get_by_role("link", name="See it at its true size")
    expect(size).to_have_attribute("href", f"/groups/{harbour}/size")
    label.get_by_role("link", name="Page of this work").click()
    expect(page).to_have_url(re.compile(rf"/groups/{harbour}/harbour$"))
    expect(page.get_by_role("heading", name="Harbour", level=1)).to_be_visible()


def test_the_label_stays_as_it_was_left(live_hub: LiveHub, visit: Visits, harbour: int) -> None:
    page = visit(f"{live_hub.url}/groups/{harbour}/2").page
    wait_until_open(page)
    page.keyboard.press("i")
    expect(find_label(page)).to_be_visible()
    page.keyboard.press("ArrowRight")
    expect(find_label(page)).to_be_visible()
    page.reload()
    wait_until_open(page)
    expect(find_label(page)).to_be_visible()
    # On the work's own page its link closes the viewer.
    find_label(page).get_by_role("link", name="Page of this work").click()
    expect(page.locator(".pswp")).to_have_count(0)
    expect(page).to_have_url(re.compile(rf"/groups/{harbour}/harbour$"))


def test_a_work_with_a_title_only_needs_no_label(live_hub: LiveHub, visit: Visits) -> None:
    page = visit(f"{live_hub.url}/groups/{live_hub.find_group('Scroll')}/1").page
    wait_until_open(page)
    expect(page.get_by_role("button", name="Close")).to_be_visible()
    expect(find_button(page)).to_have_count(0)
