"""Choosing a logo, a featured work and the picture of the watermark: by keys, without scripts."""

import re
from dataclasses import dataclass

import pytest
from playwright.sync_api import Locator, expect

from imagehub.domain.library.groups import refresh_groups
from imagehub.models import Group
from tests.admin.test_logo_pages import draw_logo
from tests.fixtures.browser import Visit, Visits
from tests.fixtures.served_site import ServedSite

_MOST_TABS = 120
# Whether there are scripts, the theme, and whether it is a phone.
WAYS = pytest.mark.parametrize(
    ("has_script", "theme", "is_phone"),
    [
        pytest.param(True, "light", False, id="script light desktop"),
        pytest.param(False, "dark", True, id="plain dark phone"),
    ],
)


@dataclass
class Person:
    """Somebody who uses nothing but keys; axe looks at each page on the way."""

    visit: Visit
    has_script: bool

    def reach(self, target: Locator) -> None:
        """Press Tab until an element has the focus."""
        expect(target).to_be_visible()
        for _ in range(_MOST_TABS):
            if target.evaluate("(one) => one === document.activeElement"):
                return
            self.visit.page.keyboard.press("Tab")
        raise AssertionError(f"no way by Tab to {target}")

    def press(self, target: Locator, key: str = "Enter") -> None:
        """Go to another page by an element."""
        self.reach(target)
        with self.visit.page.expect_navigation():
            self.visit.page.keyboard.press(key)
        self.look()

    def look(self) -> None:
        # axe needs timers, which do not run without scripts.
        if self.has_script:
            assert self.visit.find_faults() == []
        page = self.visit.page
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def come(served: ServedSite, path: str, has_script: bool, theme: str, **options: object) -> Person:
    visit = served.enter(
        path,
        java_script_enabled=has_script,
        color_scheme=theme,
        reduced_motion="reduce",
        service_workers="block",
        **options,
    )
    person = Person(visit, has_script)
    person.look()
    return person


def find_message(person: Person) -> Locator:
    return person.visit.page.locator("#toasts, [role=status]").filter(has_text=" ").first


@pytest.fixture
def studio(served_site: ServedSite) -> ServedSite:
    served_site.site.put_files(
        "Logos", {"logo.png": draw_logo(), "night.png": draw_logo(240), "no.png": b"no picture"}
    )
    return served_site


@WAYS
def test_a_logo_is_chosen_by_keys(
    studio: ServedSite, visit: Visits, has_script: bool, theme: str, is_phone: bool
) -> None:
    studio.site.add_group()
    person = come(studio, "/admin/look", has_script, theme, is_phone=is_phone)
    page = person.visit.page
    # What is chosen already comes along.
    person.reach(page.get_by_role("radio", name="Wall"))
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("radio", name="Rows with labels")).to_be_checked()
    for button, name in (
        ("Choose a file…", "logo.png"),
        ("Choose a file for the dark", "night.png"),
    ):
        person.press(page.get_by_role("button", name=button))
        person.press(page.get_by_role("link", name="Logos"))
        # A file that cannot be used says so, and leads back to the folder.
        if button == "Choose a file…":
            person.press(page.get_by_role("button", name="Use no.png"))
            expect(page.locator(".is-fault").first).to_be_visible()
        person.press(page.get_by_role("button", name=f"Use {name}"))
        expect(page).to_have_url(re.compile(r"/admin/look\?.*#logo$"))
        expect(page.get_by_role("radio", name=name)).to_be_checked()
        expect(page.get_by_role("radio", name="Rows with labels")).to_be_checked()
    assert "logo" not in studio.site.get("/").text.partition("</header>")[0].partition("<body")[2]
    person.press(page.get_by_role("button", name="Save").last)
    seen = visit(studio.url, is_phone, java_script_enabled=has_script, color_scheme=theme)
    shown = seen.page.locator(".brand img:visible")
    expect(shown).to_have_count(1)
    assert f"is-{theme}" in (shown.get_attribute("class") or "")
    expect(shown).to_have_js_property("complete", True)
    assert shown.evaluate("(one) => one.naturalWidth") > 100
    assert (shown.get_attribute("src") or "").startswith("/logos/")
    expect(seen.page.locator(".wall.is-rows")).to_be_visible()
    assert seen.complaints == []
    # And removed again.
    page.reload()
    person.reach(page.get_by_role("radio", name="logo.png"))
    page.keyboard.press("ArrowUp")
    expect(page.get_by_role("radio", name="The written title")).to_be_checked()
    person.press(page.get_by_role("radio", name="The written title"))  # Enter saves.
    assert "/logos/" not in studio.site.get("/").text


@WAYS
def test_a_featured_work_is_chosen_by_keys(
    served_site: ServedSite, has_script: bool, theme: str, is_phone: bool
) -> None:
    site = served_site.site
    numbers = [site.add_group() for _ in range(3)]
    with site.session() as session:
        for number, title in zip(numbers, ("Ember", "Harbour", "Heath"), strict=True):
            session.get_one(Group, number).title = title
        refresh_groups(session, numbers)
    person = come(served_site, "/admin/look", has_script, theme, is_phone=is_phone)
    page = person.visit.page
    person.reach(page.get_by_role("radio", name="Wall"))
    page.keyboard.press("ArrowUp")
    expect(page.get_by_role("radio", name="One work on each screen")).to_be_checked()
    person.press(page.get_by_role("button", name="Choose a work…"))
    field = page.get_by_role("searchbox", name="Search titles")
    person.reach(field)
    page.keyboard.type("Harb")
    person.press(field)
    expect(page.locator(".pick")).to_have_count(1)
    person.press(page.get_by_role("link", name="Harbour"))
    expect(page.get_by_role("radio", name="Harbour")).to_be_checked()
    expect(page.get_by_role("radio", name="One work on each screen")).to_be_checked()
    expect(page.locator("[data-unsaved]")).to_be_visible()
    assert "<article" not in site.get("/").text
    person.press(page.get_by_role("button", name="Save").last)
    expect(page.locator("[data-unsaved]")).to_have_count(0)
    front = site.get("/").text
    assert "<article" in front and front.index("Harbour") < front.index("Heath")
    assert "has-one" in front


@WAYS
def test_the_watermarks_picture_is_chosen_by_keys_and_edits_stay(
    studio: ServedSite, has_script: bool, theme: str, is_phone: bool
) -> None:
    person = come(studio, "/admin/settings", has_script, theme, is_phone=is_phone)
    page = person.visit.page
    title = page.get_by_label("Title", exact=True)
    person.reach(title)
    page.keyboard.press("Control+a")
    page.keyboard.type("Haus & “Bilder”")
    person.reach(page.get_by_role("radio", name="None", exact=True))
    page.keyboard.press("ArrowUp")
    expect(page.get_by_role("radio", name="Picture from OneDrive")).to_be_checked()
    person.press(page.get_by_role("button", name="Choose the picture…"))
    person.press(page.get_by_role("link", name="Logos"))
    person.press(page.get_by_role("button", name="Use no.png"))
    expect(page.locator(".is-fault").first).to_be_visible()
    # The way back keeps the edits too.
    person.press(page.locator(".crumb-line a"))
    expect(title).to_have_value("Haus & “Bilder”")
    person.press(page.get_by_role("button", name="Choose the picture…"))
    person.press(page.get_by_role("link", name="Logos"))
    person.press(page.get_by_role("button", name="Use logo.png"))
    expect(page.get_by_text("Now: logo.png")).to_be_visible()
    expect(title).to_have_value("Haus & “Bilder”")
    expect(page.get_by_role("radio", name="Picture from OneDrive")).to_be_checked()
    expect(page.locator("[data-unsaved]")).to_be_visible()
    assert "Haus" not in studio.site.get("/").text
    person.press(title)  # Enter saves, as in each form.
    expect(page.locator("[data-unsaved]")).to_have_count(0)
    assert "Haus &amp; “Bilder”" in studio.site.get("/").text
    page.reload()
    expect(page.get_by_role("radio", name="Picture from OneDrive")).to_be_checked()
