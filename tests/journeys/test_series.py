"""Series in Chromium: their order, share links with parts and shortlists, and translations."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from imagehub.domain.library import series_edit
from imagehub.domain.site import settings
from imagehub.models import Group
from imagehub.wiring import get_given_settings, refresh_settings
from tests.fixtures.browser import Visit
from tests.fixtures.programs import wait_until
from tests.fixtures.served_site import ServedSite


@pytest.fixture
def coast(served_site: ServedSite) -> int:
    """Add three series, the first one with two parts; return its number."""
    site = served_site.site
    works = [site.add_group() for _ in range(3)]
    with site.session() as session:
        for number in works:
            session.get_one(Group, number).title = f"Harbour {number}"
        first = series_edit.create_series(session, "Coast", works[:1]).id
        for title, parent in (("Ebb", first), ("Flood", first), ("Dunes", None), ("Marsh", None)):
            series_edit.create_series(session, title, works[1:], parent)
    return first


def list_series(page: Page) -> list[str]:
    names = page.locator(".series-rows li").evaluate_all("all => all.map(one => one.dataset.name)")
    return [str(name) for name in names]


def test_series_are_ordered_by_drag_and_keys_with_undo(served_site: ServedSite, coast: int) -> None:
    page = served_site.enter("/admin/series").page
    assert list_series(page) == ["Coast", "Ebb", "Flood", "Dunes", "Marsh"]
    first, last = (page.locator(f"#series-{number} > .row") for number in (coast, coast + 4))
    with page.expect_response("**/admin/series/order"):
        first.drag_to(last, target_position={"x": 200, "y": 50})
    moved = ["Dunes", "Marsh", "Coast", "Ebb", "Flood"]
    assert list_series(page) == moved
    with page.expect_response("**/admin/series/order"):
        page.locator(".toast", has_text="“Coast” was moved.").get_by_role("button").first.click()
    expect(page.locator(".series-entry").first).to_have_attribute("data-name", "Coast")
    # A part stays among the parts of its series.
    page.get_by_role("link", name="Ebb").focus()
    with page.expect_response("**/admin/series/order"):
        page.keyboard.press("Alt+ArrowDown")
    page.keyboard.press("Alt+ArrowDown")
    expect(page.get_by_role("link", name="Ebb")).to_be_focused()
    page.reload()
    assert list_series(page) == ["Coast", "Flood", "Ebb", "Dunes", "Marsh"]


def test_a_series_with_parts_is_shared_and_its_visitor_sends_a_list(
    served_site: ServedSite, coast: int, visit: Callable[..., Visit]
) -> None:
    page = served_site.enter(f"/admin/shares/new?series={coast}").page
    page.get_by_label("Password", exact=True).fill("open sesame")
    page.get_by_label("Visitors may send you a shortlist").check()
    page.get_by_role("button", name="Create link").click()
    address = page.get_by_role("textbox", name="Address").input_value()
    visitor = visit(address, is_phone=True)
    theirs = visitor.page
    theirs.get_by_label("Password").fill("open sesame")
    theirs.get_by_role("button", name="Show images").click()
    expect(theirs.get_by_role("heading", name="Coast")).to_be_visible()
    theirs.get_by_role("link", name="Flood").click()
    expect(theirs.get_by_role("heading", name="Flood", level=1)).to_be_visible()
    theirs.locator(".wall .tile a").first.click()
    theirs.get_by_role("button", name="On my list: Harbour 2").click()
    bar = theirs.get_by_role("complementary", name="My list")
    expect(bar).to_contain_text("1 work on my list")
    assert visitor.find_faults() == []
    bar.get_by_role("link").click()
    theirs.get_by_label("Note: Harbour 2").fill("For the first room")
    theirs.get_by_label("Name").fill("Mara")
    theirs.get_by_label("E-mail").fill("mara@example.org")
    theirs.get_by_role("button", name="Send list of 1 work").click()
    expect(theirs.locator("[data-sent]")).to_be_visible()
    page.goto(f"{served_site.url}/admin/enquiries?state=all")
    page.get_by_role("link", name=re.compile("Mara")).first.click()
    expect(page.get_by_role("main")).to_contain_text("For the first room")
    expect(page.get_by_role("main")).to_contain_text("Harbour 2")
    visitor.complaints[:] = [one for one in visitor.complaints if "Failed to load" not in one]


def test_a_text_is_translated_and_read_in_its_language(
    served_site: ServedSite, coast: int, visit: Callable[..., Visit]
) -> None:
    site = served_site.site
    with site.session() as session:
        settings.save_site(session, get_given_settings(site.app), {"text_languages": "en,de"})
    with site.app.app_context():
        refresh_settings(older_than_seconds=0)
    page = served_site.enter("/admin/texts/de").page
    page.get_by_role("link", name="Harbour 2").first.click()
    page.get_by_label("Title").fill("Hafen")
    page.get_by_role("button", name="Save and continue").click()
    # The next one with missing texts.
    expect(page.get_by_role("heading", level=1)).not_to_have_text("Harbour 2")
    wait_until(lambda: ">Hafen</h1>" in site.get("/groups/2/harbour-2?lang=de").text)
    visitor = visit(f"{served_site.url}/groups/2/harbour-2", locale="de-DE")
    expect(visitor.page.get_by_role("heading", level=1)).to_have_text("Hafen")
    visitor.page.goto(f"{served_site.url}/groups/2/harbour-2?lang=en")
    expect(visitor.page.get_by_role("heading", level=1)).to_have_text("Harbour 2")
    visitor.complaints[:] = [one for one in visitor.complaints if "Failed to load" not in one]
