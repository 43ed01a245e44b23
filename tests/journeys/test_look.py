"""The layouts of the front page and the preview of a look, in a browser."""

import re

import pytest
from playwright.sync_api import Page, expect

from imagehub.domain.library import images as library_images
from imagehub.domain.site import pages
from imagehub.domain.site.look import save_look
from imagehub.models import Group
from imagehub.wiring import get_given_settings, refresh_settings
from tests.fixtures.browser import Visits, wait_until_still
from tests.fixtures.served_site import ServedSite
from tests.journeys.test_gallery import SHIFT_SCRIPT


def use_look(served: ServedSite, **texts: str) -> None:
    with served.site.session() as session:
        save_look(session, get_given_settings(served.site.app), texts)
    with served.site.app.app_context():
        refresh_settings(older_than_seconds=0)


@pytest.fixture
def works(served_site: ServedSite) -> list[int]:
    """Add works of several shapes; the first stands at the top of the page."""
    shapes = [(1920, 1280), (1280, 1920), (1920, 384), (480, 1920)] * 4
    numbers = []
    for place, (width, height) in enumerate(shapes):
        number = served_site.site.add_group()
        with served_site.site.session() as session:
            group = session.get_one(Group, number)
            group.title, group.year, group.medium = f"Study {place}", "2019", "Oil on canvas"
            for rendition in library_images.get_image(session, number, 1).renditions:
                rendition.width_px = width * rendition.size_px // 1920
                rendition.height_px = height * rendition.size_px // 1920
        numbers.append(number)
    return numbers[::-1]


def find_middle(page: Page) -> str:
    """Return the id of the work in the middle of the window."""
    found = page.evaluate(
        "() => document.elementFromPoint(innerWidth / 2, innerHeight / 2)?.closest('.tile')?.id"
    )
    return str(found)


@pytest.mark.parametrize("has_script", [True, False], ids=["script", "plain"])
@pytest.mark.parametrize("is_phone", [False, True], ids=["desktop", "phone"])
@pytest.mark.parametrize("layout", ["wall", "rows", "one"])
def test_no_layout_is_wider_than_the_window(
    served_site: ServedSite,
    visit: Visits,
    works: list[int],
    layout: str,
    is_phone: bool,
    has_script: bool,
) -> None:
    use_look(served_site, layout=layout)
    page = visit(served_site.url, is_phone, java_script_enabled=has_script).page
    expect(page.locator(".tile").first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    boxes = page.locator(".tile .frame").evaluate_all(
        """(frames) => frames.map((frame) => {
          const { width, height } = frame.getBoundingClientRect();
          const [wide, high] = getComputedStyle(frame).aspectRatio.split(" / ").map(Number);
          return [width, height, wide / high];
        })"""
    )
    viewport = page.viewport_size
    assert viewport is not None
    for width, height, ratio in boxes[:12]:
        assert width / height == pytest.approx(ratio, rel=0.03)
        if layout != "wall":
            assert height <= viewport["height"]


@pytest.mark.parametrize("is_phone", [False, True], ids=["desktop", "phone"])
def test_labels_stand_beside_works_or_below_them(
    served_site: ServedSite, visit: Visits, works: list[int], is_phone: bool
) -> None:
    use_look(served_site, layout="rows")
    page = visit(served_site.url, is_phone).page
    sides = []
    for number in works[:2]:
        picture = page.locator(f"#g{number} .frame").bounding_box()
        label = page.locator(f"#g{number} .tile-label").bounding_box()
        assert picture and label
        if label["y"] >= picture["y"] + picture["height"]:
            sides.append("below")
        else:
            sides.append("after" if label["x"] > picture["x"] else "before")
    assert sides == (["below", "below"] if is_phone else ["after", "before"])


@pytest.mark.parametrize("motion", ["no-preference", "reduce"])
def test_arrow_keys_lead_from_one_work_to_the_next(
    served_site: ServedSite, visit: Visits, works: list[int], motion: str
) -> None:
    use_look(served_site, layout="one")
    page = visit(served_site.url, reduced_motion=motion).page
    expect(page.locator(".tile").first).to_be_visible()
    for key, place in (("ArrowDown", 0), ("ArrowDown", 1), ("PageDown", 2), ("ArrowUp", 1)):
        page.keyboard.press(key)
        expect(page.locator(f"#g{works[place]} .tile-picture")).to_be_focused()
        wait_until_still(page)
        assert find_middle(page) == f"g{works[place]}"
    # In a field the keys belong to the field, whose suggestions have the same label once loaded.
    field = page.locator("#site-search")
    field.focus()
    page.keyboard.press("ArrowDown")
    expect(field).to_be_focused()


def test_a_key_is_not_lost_if_an_earlier_scroll_ends_on_the_way(
    served_site: ServedSite, visit: Visits, works: list[int]
) -> None:
    use_look(served_site, layout="one")
    page = visit(served_site.url).page
    page.keyboard.press("ArrowDown")
    expect(page.locator(f"#g{works[0]} .tile-picture")).to_be_focused()
    wait_until_still(page)
    # In one step, so that the page cannot arrive at the next work in between.
    page.evaluate(
        """() => {
          const press = () => document.activeElement.dispatchEvent(
            new KeyboardEvent("keydown", { key: "ArrowDown", bubbles: true, cancelable: true })
          );
          press();
          dispatchEvent(new Event("scrollend"));
          press();
        }"""
    )
    expect(page.locator(f"#g{works[2]} .tile-picture")).to_be_focused()


def test_further_pages_come_in_the_same_layout(
    served_site: ServedSite, visit: Visits, works: list[int]
) -> None:
    use_look(served_site, layout="one")
    page = visit(served_site.url).page
    for number in works[:12]:
        page.keyboard.press("ArrowDown")
        expect(page.locator(f"#g{number} .tile-picture")).to_be_focused()
    expect(page.locator(".wall.is-one")).to_have_count(2)
    expect(page.locator(".tile")).to_have_count(16)
    expect(page.locator(f"#g{works[12]} .tile-label")).to_contain_text("Oil on canvas")


def test_a_title_leads_to_the_page_and_a_picture_opens_the_viewer(
    served_site: ServedSite, visit: Visits, works: list[int]
) -> None:
    use_look(served_site, layout="rows")
    page = visit(served_site.url).page
    page.locator(f"#g{works[0]} .tile-picture").click()
    expect(page.locator(".pswp")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator(".pswp")).to_have_count(0)
    page.locator(f"#g{works[0]}").get_by_role("link", name="Study 15", exact=True).click()
    expect(page).to_have_url(re.compile(f"/groups/{works[0]}/study-15$"))
    expect(page.get_by_role("heading", level=1)).to_have_text("Study 15")


@pytest.mark.parametrize("has_script", [True, False], ids=["script", "plain"])
def test_a_look_is_tried_out_and_then_saved(
    served_site: ServedSite, works: list[int], has_script: bool
) -> None:
    page = served_site.enter("/admin/look", java_script_enabled=has_script).page
    page.get_by_role("radio", name="Rows with labels").check()
    with page.expect_navigation():
        page.get_by_role("button", name="Preview").click()
    frame = page.frame_locator("iframe")
    expect(frame.locator(".wall.is-rows")).to_be_visible()
    assert "is-rows" not in served_site.site.get("/").text
    with page.expect_navigation():
        page.get_by_role("link", name="Phone").click()
    expect(frame.locator(".wall.is-rows")).to_be_visible()
    assert page.locator("iframe").evaluate("(frame) => frame.clientWidth") == 390
    with page.expect_navigation():
        page.get_by_role("link", name="Go back").click()
    expect(page.get_by_role("radio", name="Rows with labels")).to_be_checked()
    with page.expect_navigation():
        page.get_by_role("button", name="Preview").click()
    with page.expect_navigation():
        page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("status").first).to_contain_text("new look")
    assert "is-rows" in served_site.site.get("/").text


@pytest.mark.parametrize("is_phone", [False, True], ids=["desktop", "phone"])
@pytest.mark.parametrize("has_script", [True, False], ids=["script", "plain"])
def test_a_tried_look_stays_through_all_pages_of_the_preview(
    served_site: ServedSite, works: list[int], has_script: bool, is_phone: bool
) -> None:
    with served_site.site.session() as session:
        about = pages.create_page(session, "about", "About", f"See [one](/groups/{works[3]}).")
        pages.set_state(session, about.id, "published")
    place = "/admin/look/preview?layout=rows&typefaces=eb-garamond"
    seen = served_site.enter("/admin/", is_phone=is_phone, java_script_enabled=has_script)
    page = seen.page
    page.goto(served_site.url + place)
    frame = page.frame_locator("iframe")
    # Who looks at it knows that it is not online yet.
    expect(page.get_by_text("Visitors still see the saved look.")).to_be_in_viewport()
    if is_phone:
        page.get_by_role("link", name="Phone").click()

    def expect_look() -> None:
        expect(frame.locator("html")).to_have_attribute("data-type", "eb-garamond")
        # The heading may be there before its style sheet.
        expect(frame.locator("h1").first).to_have_css("font-family", re.compile("EB Garamond"))

    expect(frame.locator(".wall.is-rows").first).to_be_visible()
    expect_look()
    more = frame.locator("a.more")
    more.scroll_into_view_if_needed()
    if not has_script:
        more.click()
    expect(frame.locator(f"#g{works[13]} .tile-label")).to_be_visible()
    expect_look()
    frame.locator(f"#g{works[13]} .tile-label a").click()
    expect(frame.get_by_role("heading", level=1)).to_have_text(f"Study {15 - 13}")
    expect_look()
    # A script makes it a combobox once it has the focus.
    field = frame.locator("input[name=q]").first
    field.fill("Study")
    field.press("Enter")
    expect(frame.locator("main form, main h1, main h2").first).to_be_visible()
    page.frames[1].wait_for_url("**/preview/layout=rows,typefaces=eb-garamond/search?q=Study")
    expect_look()
    frame.get_by_role("link", name="About").first.click()
    expect(frame.get_by_role("heading", level=1)).to_have_text("About")
    expect_look()
    frame.get_by_role("link", name="one", exact=True).click()
    expect(frame.get_by_role("heading", level=1)).to_have_text(f"Study {15 - 3}")
    expect_look()
    frame.get_by_role("link", name="ImageHub").first.click()
    expect(frame.locator(".wall.is-rows").first).to_be_visible()
    page.frames[1].goto(
        f"{served_site.url}/preview/layout=rows,typefaces=eb-garamond/?shape=landscape"
    )
    expect(frame.locator(".wall.is-rows").first).to_be_visible()
    expect_look()
    # Admin pages leave the frame.
    frame.get_by_role("link", name="Manage").click()
    expect(page).to_have_url(f"{served_site.url}/admin/")
    assert seen.complaints == []


@pytest.mark.parametrize("is_phone", [False, True], ids=["desktop", "phone"])
@pytest.mark.parametrize(
    "typefaces", ["fraunces", "eb-garamond", "source-sans-3", "hanken-grotesk"]
)
def test_nothing_moves_when_a_typeface_arrives(
    served_site: ServedSite, visit: Visits, works: list[int], typefaces: str, is_phone: bool
) -> None:
    use_look(served_site, typefaces=typefaces, layout="rows")
    seen = visit(served_site.url, is_phone, reduced_motion="reduce")
    page = seen.page
    loaded = page.evaluate(
        """async () => {
          await document.fonts.ready;
          return [...document.fonts].filter(({ status }) => status === "loaded").map(
            ({ family }) => family.replaceAll('"', "")).filter((name) => !/stand-in/.test(name));
        }"""
    )
    assert [name.lower().replace(" ", "-") for name in loaded] == [typefaces.removesuffix("-3")]
    assert page.evaluate(SHIFT_SCRIPT) < 0.002
    # The stand-in is about as wide as what it stands for.
    widths = page.evaluate(
        """() => {
          const pen = document.createElement("canvas").getContext("2d");
          const [name] = getComputedStyle(document.querySelector("h1")).fontFamily.split(",");
          const bare = name.replaceAll('"', "");
          return [bare, `${bare} stand-in`].map((family) => {
            pen.font = `400 40px "${family}"`;
            return pen.measureText("First light over the fells, and the harbour").width;
          });
        }"""
    )
    assert widths[0] == pytest.approx(widths[1], rel=0.05)
    assert seen.find_faults() == []
