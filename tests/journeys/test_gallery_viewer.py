"""The viewer: zoom, addresses, Back, focus, filmstrip, comparison, slideshow."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.fixtures.browser import TITLE, LiveHub, Visit, Visits, stop_clock

# The shot in view; a small blurred copy is under it while it loads.
IN_VIEW = ".pswp__item[aria-hidden=false] img.pswp__img:not(.pswp__img--placeholder)"


@pytest.fixture
def harbour(live_hub: LiveHub) -> int:
    """Return a work of four shots; the first original exceeds its largest rendition."""
    return live_hub.find_group("Harbour")


def wait_for_picture(page: Page) -> None:
    """Wait until the viewer is open, the shot in view is painted and nothing moves."""
    # PhotoSwipe shows the containers of the neighbours only at the end of opening.
    page.wait_for_function(
        """(selector) => {
          const img = document.querySelector(selector);
          return img && img.complete && img.naturalWidth > 0
            && document.querySelector(".pswp--open .pswp__item")?.style.display === "block"
            && !document.getAnimations().some((one) => one instanceof CSSTransition);
        }""",
        arg=IN_VIEW,
    )


def wait_for_width(page: Page, least: float, most: float) -> None:
    """Wait until the shot in view has such a width in screen pixels."""
    page.wait_for_function(
        """([selector, least, most]) => {
          const { width } = document.querySelector(selector).getBoundingClientRect();
          return least <= width && width <= most;
        }""",
        arg=[IN_VIEW, least, most],
    )


def open_from_wall(live_hub: LiveHub, visit: Visits, number: int) -> Visit:
    """Click on a work on its page of the wall."""
    seen = visit(f"{live_hub.url}/?page={live_hub.find_page_of('Harbour')}")
    seen.page.locator(f"#g{number} a").click()
    wait_for_picture(seen.page)
    return seen


def read_picture(page: Page) -> dict[str, float]:
    """Return the painted part of the shot in view, in screen pixels, and its file."""
    found: dict[str, float] = page.evaluate(
        """(selector) => {
          const img = document.querySelector(selector);
          return { painted: img.getBoundingClientRect().width, natural: img.naturalWidth };
        }""",
        IN_VIEW,
    )
    return found


def test_a_tile_opens_its_shots_and_back_returns_to_the_same_place(
    live_hub: LiveHub, visit: Visits, harbour: int
) -> None:
    front = f"/?page={live_hub.find_page_of('Harbour')}"
    seen = visit(live_hub.url + front)
    page = seen.page
    tile = page.locator(f"#g{harbour} a")
    tile.scroll_into_view_if_needed()
    before = page.evaluate("scrollY")
    tile.click()
    wait_for_picture(page)
    assert seen.path == f"/groups/{harbour}/1"
    page.keyboard.press("ArrowRight")
    expect(page).to_have_url(re.compile(rf"/groups/{harbour}/2$"))
    page.go_back()
    expect(page.locator(".pswp")).to_have_count(0)
    expect(page).to_have_url(live_hub.url + front)
    assert page.evaluate("scrollY") == before
    expect(tile).to_be_focused()


def test_escape_leaves_no_history_entry(live_hub: LiveHub, visit: Visits, harbour: int) -> None:
    seen = open_from_wall(live_hub, visit, harbour)
    page = seen.page
    for _ in range(2):
        page.keyboard.press("ArrowRight")
    page.keyboard.press("Escape")
    expect(page.locator(".pswp")).to_have_count(0)
    expect(page).to_have_url(re.compile(r"\?page=\d$"))
    page.go_forward()
    wait_for_picture(page)
    assert seen.path == f"/groups/{harbour}/3"
    page.keyboard.press("Escape")
    expect(page.locator(".pswp")).to_have_count(0)
    expect(page).to_have_url(re.compile(r"\?page=\d$"))
    page.go_back()
    expect(page).to_have_url("about:blank")


def test_the_address_of_a_shot_opens_the_viewer(
    live_hub: LiveHub, visit: Visits, harbour: int
) -> None:
    seen = visit(f"{live_hub.url}/groups/{harbour}/3")
    page = seen.page
    wait_for_picture(page)
    expect(page.locator(".viewer-count")).to_have_text("3 / 4")
    page.keyboard.press("Escape")
    expect(page.locator(".pswp")).to_have_count(0)
    assert seen.path == f"/groups/{harbour}/harbour"
    expect(page.locator('a[data-shot="3"]')).to_be_focused()


def test_the_address_of_a_shot_is_a_page_without_a_script(
    live_hub: LiveHub, visit: Visits, harbour: int
) -> None:
    page = visit(f"{live_hub.url}/groups/{harbour}/3", java_script_enabled=False).page
    expect(page.locator(".hero a")).to_have_attribute("href", f"/groups/{harbour}/3")
    expect(page.locator("h1")).to_have_text("Harbour")


def test_the_original_is_loaded_only_when_zoom_needs_it(
    live_hub: LiveHub, visit: Visits, harbour: int
) -> None:
    seen = visit("about:blank")
    page = seen.page
    originals: list[str] = []
    page.on(
        "request",
        lambda request: originals.append(request.url) if "/media/full/" in request.url else None,
    )
    page.goto(f"{live_hub.url}/groups/{harbour}/1")
    wait_for_picture(page)
    assert read_picture(page)["natural"] == 1920
    assert originals == []
    for _ in range(8):
        page.keyboard.press("+")
    page.wait_for_function(
        "selector => document.querySelector(selector)?.naturalWidth === 2600", arg=IN_VIEW
    )
    assert len(originals) == 1
    # No further than 100 %: one pixel of the original on one of the screen.
    wait_for_picture(page)
    assert read_picture(page)["painted"] == pytest.approx(2600, abs=2)
    page.keyboard.press("0")
    wait_for_width(page, 1, 1280)


def test_escape_leaves_the_zoom_before_the_viewer(
    live_hub: LiveHub, visit: Visits, harbour: int
) -> None:
    page = visit(f"{live_hub.url}/groups/{harbour}/2").page
    wait_for_picture(page)
    fitting = read_picture(page)["painted"]
    page.keyboard.press("+")
    wait_for_width(page, fitting * 1.3, 100_000)
    page.keyboard.press("Escape")
    wait_for_width(page, fitting - 1, fitting + 1)
    expect(page.locator(".pswp--open")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator(".pswp")).to_have_count(0)


def test_the_title_of_the_tab_follows_the_viewer(
    live_hub: LiveHub, visit: Visits, harbour: int
) -> None:
    seen = open_from_wall(live_hub, visit, harbour)
    page = seen.page
    expect(page).to_have_title(f"Harbour, shot 1 · {TITLE}")
    page.keyboard.press("ArrowRight")
    expect(page).to_have_title(f"Harbour, shot 2 · {TITLE}")
    page.keyboard.press("Escape")
    expect(page).to_have_title(f"{TITLE} · Page {live_hub.find_page_of('Harbour')}")
    page.go_forward()
    expect(page).to_have_title(f"Harbour, shot 2 · {TITLE}")
    # A page opened at the address of a shot has the same title, and then that of the work.
    page.reload()
    wait_for_picture(page)
    expect(page).to_have_title(f"Harbour, shot 2 · {TITLE}")
    page.keyboard.press("Escape")
    expect(page).to_have_title(f"Harbour · {TITLE}")


def test_a_work_of_one_shot_has_no_number_in_its_title(live_hub: LiveHub, visit: Visits) -> None:
    page = visit(f"{live_hub.url}/groups/{live_hub.find_group('Scroll')}/1").page
    wait_for_picture(page)
    expect(page).to_have_title(f"Scroll · {TITLE}")


def test_the_wheel_zooms_and_loads_nothing_without_more_pixels(
    live_hub: LiveHub, visit: Visits, harbour: int
) -> None:
    seen = visit(f"{live_hub.url}/groups/{harbour}/2")
    page = seen.page
    wait_for_picture(page)
    small = read_picture(page)["painted"]
    originals: list[str] = []
    page.on(
        "request",
        lambda request: originals.append(request.url) if "/media/full/" in request.url else None,
    )
    page.mouse.move(640, 400)
    for _ in range(10):
        page.mouse.wheel(0, -240)
    wait_for_width(page, small * 1.2, 100_000)
    assert originals == []


def test_a_swipe_turns_to_the_next_shot(live_hub: LiveHub, visit: Visits, harbour: int) -> None:
    seen = visit(f"{live_hub.url}/groups/{harbour}/1", is_phone=True)
    page = seen.page
    wait_for_picture(page)
    session = page.context.new_cdp_session(page)

    def touch(kind: str, x: int) -> None:
        points = [] if kind == "touchEnd" else [{"x": x, "y": 420}]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    touch("touchStart", 340)
    for x in range(320, 60, -20):
        touch("touchMove", x)
    touch("touchEnd", 60)
    expect(page).to_have_url(re.compile(rf"/groups/{harbour}/2$"))


def test_the_filmstrip_shows_each_shot_and_can_be_hidden(
    live_hub: LiveHub, visit: Visits, harbour: int
) -> None:
    page = visit(f"{live_hub.url}/groups/{harbour}/1").page
    wait_for_picture(page)
    height = page.locator(IN_VIEW).bounding_box()
    page.get_by_role("button", name="Shot 4 of 4").click()
    expect(page).to_have_url(re.compile(r"/4$"))
    expect(page.locator(".viewer-strip [aria-current]")).to_have_attribute(
        "aria-label", "Shot 4 of 4"
    )
    page.get_by_role("button", name="Show or hide the shots").click()
    expect(page.locator(".viewer-strip")).to_be_hidden()
    page.keyboard.press("Home")
    expect(page).to_have_url(re.compile(r"/1$"))
    wait_for_picture(page)
    taller = page.locator(IN_VIEW).bounding_box()
    assert height is not None and taller is not None
    assert taller["height"] > height["height"]
    page.reload()
    wait_for_picture(page)
    expect(page.locator(".viewer-strip")).to_be_hidden()


def test_two_compared_shots_zoom_and_pan_together(
    live_hub: LiveHub, visit: Visits, harbour: int
) -> None:
    page = visit(f"{live_hub.url}/groups/{harbour}/1").page
    wait_for_picture(page)
    page.get_by_role("button", name="Compare two shots").click()
    dialog = page.get_by_role("dialog", name="Compare two shots")
    expect(dialog.locator("img")).to_have_count(2)
    page.mouse.move(300, 300)
    page.mouse.wheel(0, -400)
    page.mouse.down()
    page.mouse.move(360, 340)
    page.mouse.up()
    # Wait until wheel and drag events have been processed.
    page.wait_for_function(
        """() => [...document.querySelectorAll("dialog.compare img")].every((img) => {
          const matrix = new DOMMatrix(getComputedStyle(img).transform);
          return matrix.a > 2 && matrix.e !== 0;
        })"""
    )
    left, right = (
        dialog.locator("img").nth(side).evaluate("img => getComputedStyle(img).transform")
        for side in (0, 1)
    )
    assert left.startswith("matrix(")
    assert float(left.removeprefix("matrix(").split(",")[0]) > 2
    # The panes are equally wide, so equal transforms show the same part.
    assert [round(float(n), 1) for n in re.findall(r"-?[\d.]+", left)] == [
        round(float(n), 1) for n in re.findall(r"-?[\d.]+", right)
    ]
    dialog.get_by_role("combobox", name="Right image").select_option(label="Shot 4 of 4")
    expect(dialog.locator("img").nth(1)).to_have_attribute("alt", re.compile("shot 4"))
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(page.locator(".pswp--open")).to_be_visible()
    expect(page.get_by_role("button", name="Compare two shots")).to_be_focused()


def test_a_slideshow_advances_until_interrupted(
    live_hub: LiveHub, visit: Visits, harbour: int
) -> None:
    seen = visit("about:blank")
    page = seen.page
    page.clock.install()
    page.goto(f"{live_hub.url}/groups/{harbour}/1")
    wait_for_picture(page)
    stop_clock(page)
    page.get_by_role("button", name="Start slideshow").click()
    page.clock.run_for(5200)
    expect(page).to_have_url(re.compile(r"/2$"))
    page.clock.run_for(5200)
    expect(page).to_have_url(re.compile(r"/3$"))
    page.keyboard.press("ArrowRight")
    expect(page).to_have_url(re.compile(r"/4$"))
    page.clock.run_for(20_000)
    expect(page).to_have_url(re.compile(r"/4$"))
    expect(page.get_by_role("button", name="Start slideshow")).to_have_count(1)


def test_the_viewer_traps_the_focus_and_announces_its_shot(
    live_hub: LiveHub, visit: Visits, harbour: int
) -> None:
    seen = open_from_wall(live_hub, visit, harbour)
    page = seen.page
    dialog = page.get_by_role("dialog")
    expect(dialog).to_have_attribute("aria-modal", "true")
    expect(dialog).to_have_attribute("aria-label", "Image viewer: Harbour")
    for _ in range(20):
        page.keyboard.press("Tab")
        assert page.evaluate(
            "document.activeElement === document.body"
            " || Boolean(document.activeElement.closest('.pswp'))"
        )
    page.keyboard.press("ArrowRight")
    expect(dialog.get_by_role("status")).to_have_text("Shot 2 of 4: Harbour, shot 2")


def test_controls_hide_when_idle(live_hub: LiveHub, visit: Visits, harbour: int) -> None:
    seen = visit("about:blank")
    page = seen.page
    page.clock.install()
    page.goto(f"{live_hub.url}/groups/{harbour}/1")
    wait_for_picture(page)
    stop_clock(page)
    bar = page.locator(".pswp__top-bar")
    page.mouse.move(300, 300)
    expect(bar).to_have_css("opacity", "1")
    page.clock.run_for(4000)
    expect(bar).to_have_css("opacity", "0")
    page.mouse.move(320, 320)
    expect(bar).to_have_css("opacity", "1")


def test_a_shot_with_an_expired_address_is_shown(
    live_hub: LiveHub, visit: Visits, harbour: int
) -> None:
    seen = visit("about:blank")
    page = seen.page
    # Redirects from our permanent addresses are followed without calling the route.
    page.context.route(
        f"{live_hub.s3_url}/**", lambda route: route.fulfill(status=403, body="Request has expired")
    )
    page.goto(f"{live_hub.url}/groups/{harbour}/2")
    wait_for_picture(page)
    seen.complaints[:] = [text for text in seen.complaints if "403" not in text]


def test_an_unavailable_full_image_is_reported(
    live_hub: LiveHub, visit: Visits, harbour: int
) -> None:
    seen = visit("about:blank")
    page = seen.page
    page.context.route("**/media/full/**", lambda route: route.fulfill(status=503))
    page.goto(f"{live_hub.url}/groups/{harbour}/1")
    wait_for_picture(page)
    for _ in range(8):
        page.keyboard.press("+")
    expect(page.locator(".viewer-note")).to_have_text(
        "The full-size image is not available at the moment."
    )
    assert read_picture(page)["natural"] == 1920
    seen.complaints[:] = [text for text in seen.complaints if "503" not in text]


def test_a_modified_click_opens_the_page_in_its_own_tab(
    live_hub: LiveHub, visit: Visits, harbour: int
) -> None:
    page = visit(f"{live_hub.url}/?page={live_hub.find_page_of('Harbour')}").page
    with page.context.expect_page() as opened:
        page.locator(f"#g{harbour} a").click(modifiers=["ControlOrMeta"])
    expect(opened.value).to_have_url(re.compile("/harbour$"))
    expect(page.locator(".pswp")).to_have_count(0)
