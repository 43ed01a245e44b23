"""A work at its true size: another room without a new page, and life-size on a measured screen."""

import re

import pytest
from playwright.sync_api import expect

from tests.fixtures.browser import LiveHub, Visits
from tests.journeys.test_gallery_label import harbour  # noqa: F401 - a fixture

CARD_MM, WORK_MM = 85.6, 2600


def test_a_visitor_sees_a_work_in_a_room_and_life_size(
    live_hub: LiveHub,
    visit: Visits,
    harbour: int,  # noqa: F811
) -> None:
    seen = visit(f"{live_hub.url}/groups/{harbour}/size")
    page = seen.page
    page.get_by_role("radio", name="Person").check()
    expect(page.get_by_role("img", name=re.compile("The person is"))).to_be_visible()
    expect(page).to_have_url(re.compile("beside=person"))
    room = page.locator("[data-room]")
    whole = str(room.get_attribute("viewBox"))
    page.get_by_role("button", name="Zoom in").click()
    expect(room).not_to_have_attribute("viewBox", whole)
    page.get_by_role("button", name="Zoom out").click()
    expect(room).to_have_attribute("viewBox", whole)

    slider = page.get_by_role("slider", name="Size of the outline")
    card = page.get_by_role("img", name="Outline of a bank card")
    before = float(str(card.get_attribute("width")))
    slider.press("ArrowRight")
    width = float(str(card.get_attribute("width")))
    assert width == pytest.approx(before + 0.01 * CARD_MM, abs=0.01)
    page.get_by_role("button", name="Show the work life-size").click()
    heading = page.get_by_role("heading", name="Life-size on this screen").bounding_box()
    assert heading is not None and heading["y"] >= 16, "at the edge of the window"
    for _ in range(2):
        work = page.get_by_role("region", name="The work, life-size").get_by_role("img")
        expect(work).to_be_visible()
        box = work.bounding_box()
        assert box is not None
        assert box["width"] == pytest.approx(width / CARD_MM * WORK_MM, abs=2)
        expect(page.get_by_text("The work is larger than this screen")).to_be_visible()
        # It is remembered.
        page.reload()
    page.get_by_role("button", name="Measure the screen again").click()
    expect(slider).to_be_focused()
    assert seen.find_faults() == []
