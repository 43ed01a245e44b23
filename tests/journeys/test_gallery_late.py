"""The gallery when answers are late, out of order, or for a page that was left."""

import re
from functools import partial

import pytest
from playwright.sync_api import Page, expect

from tests.fixtures.browser import (
    LiveHub,
    Visit,
    Visits,
    go_to_the_end,
    stop_clock,
    wait_until_open,
)
from tests.fixtures.holding import Held, hold


@pytest.fixture
def visit(visit: Visits) -> Visits:
    """Open pages without the service worker, which would answer requests itself."""
    return partial(visit, service_workers="block")


@pytest.fixture
def harbour(live_hub: LiveHub) -> int:
    """Return a work of four shots; the first original exceeds its largest rendition."""
    return live_hub.find_group("Harbour")


def visit_wall(live_hub: LiveHub, visit: Visits) -> Visit:
    """Open the wall's page with Harbour."""
    return visit(f"{live_hub.url}/?page={live_hub.find_page_of('Harbour')}")


def visit_viewer(live_hub: LiveHub, visit: Visits, harbour: int) -> Page:
    """Open the viewer at the first shot of Harbour on the page of that work."""
    page = visit(f"{live_hub.url}/groups/{harbour}/1").page
    wait_until_open(page)
    return page


def wait_for_processing(page: Page) -> None:
    """Give the page's scripts time to process an answer that must have no effect."""
    page.wait_for_timeout(400)


def open_slowly(
    live_hub: LiveHub, visit: Visits, harbour: int, held_pattern: str = "^nothing$"
) -> tuple[Visit, str, Held]:
    """Start opening Harbour's viewer; it proceeds only with the page's clock.

    :param held_pattern: matches requests of the viewer to hold.
    :return: the visit, the address of the wall behind, and the held requests.
    """
    seen = visit("about:blank")
    page = seen.page
    page.clock.install()
    wall = f"{live_hub.url}/?page={live_hub.find_page_of('Harbour')}"
    page.goto(wall)
    tile = page.locator(f"#g{harbour} a")
    tile.scroll_into_view_if_needed()
    page.wait_for_function("id => document.querySelector(`#g${id} img`).naturalWidth", arg=harbour)
    held = hold(page, held_pattern)
    stop_clock(page)
    tile.press("Enter")
    page.locator(".pswp--open").wait_for()
    return seen, wall, held


def open_after_another(page: Page, harbour: int) -> tuple[str, Held]:
    """Open Harbour's viewer although another work was requested before.

    :return: the address of the other work's page, and the held request for it.
    """
    link = page.locator(f".tile:not(#g{harbour}) a[data-open]").first
    url = str(link.evaluate("(link) => link.href"))
    held = hold(page, f"^{re.escape(url)}$")
    link.click()
    held.wait()
    page.locator(f"#g{harbour} a").click()
    wait_until_open(page)
    return url, held


# --- The search field -----------------------------------------------------------------------------


def test_text_typed_before_the_script_loads_gets_suggestions(
    live_hub: LiveHub, visit: Visits
) -> None:
    page = visit(f"{live_hub.url}/tags").page
    held = hold(page, r"/js/search\.js$")
    page.locator("#site-search").focus()
    held.wait()
    page.locator("#site-search").press_sequentially("harb")
    held.let_go()
    expect(page.get_by_role("option", name="Harbour")).to_be_visible()


def test_a_field_focused_before_its_script_gets_suggestions(
    live_hub: LiveHub, visit: Visits
) -> None:
    page = visit("about:blank").page
    held = hold(page, r"/js/pictures\.js$")
    page.goto(f"{live_hub.url}/tags", wait_until="commit")
    page.locator("#site-search").focus()
    page.locator("#site-search").press_sequentially("harb")
    held.let_go()
    expect(page.get_by_role("option", name="Harbour")).to_be_visible()


def test_suggestions_work_after_their_script_failed_once(live_hub: LiveHub, visit: Visits) -> None:
    seen = visit(f"{live_hub.url}/tags")
    page = seen.page
    held = hold(page, r"/js/search\.js$")
    page.locator("#site-search").focus()
    held.wait()
    with page.expect_event("requestfailed"):
        held.break_off()
    page.locator("#site-search").blur()
    page.locator("#site-search").focus()
    page.locator("#site-search").press_sequentially("harb")
    expect(page.get_by_role("option", name="Harbour")).to_be_visible()
    assert all("ERR_CONNECTION_RESET" in text for text in seen.complaints)
    seen.complaints.clear()


def test_suggestions_do_not_change_while_being_navigated(live_hub: LiveHub, visit: Visits) -> None:
    page = visit(f"{live_hub.url}/tags").page
    field = page.get_by_role("combobox", name="Search")
    page.locator("#site-search").focus()
    field.press_sequentially("har")
    option = page.get_by_role("option", name="Harbour")
    expect(option).to_be_visible()
    held = hold(page, "q=harb$")
    field.press("b")
    held.wait()
    # The request for the last letter is cancelled.
    with page.expect_event("requestfailed"):
        field.press("ArrowDown")
    expect(option).to_have_attribute("aria-selected", "true")
    field.press("Enter")
    expect(page.locator("h1")).to_have_text("Harbour")


# --- The wall -------------------------------------------------------------------------------------


def test_a_late_page_does_not_take_the_focus(live_hub: LiveHub, visit: Visits) -> None:
    page = visit(f"{live_hub.url}/tags").page
    held = hold(page, r"\?page=2$")
    page.goto(live_hub.url)
    page.locator("a.more").press("Enter")
    page.locator("#site-search").focus()
    held.let_go()
    page.locator(".wall[data-page='2']").wait_for(state="attached")
    wait_for_processing(page)
    expect(page.locator("#site-search")).to_be_focused()


def test_a_page_being_loaded_is_counted_once(live_hub: LiveHub, visit: Visits) -> None:
    page = visit(f"{live_hub.url}/tags").page
    held = hold(page, r"\?page=2$")
    page.goto(live_hub.url)
    held.wait()
    more = page.locator("a.more")
    for _ in range(4):
        more.focus()
        more.blur()
        # Two frames: the script looks in the first and has the result in the second.
        page.evaluate("() => new Promise((go) => requestAnimationFrame(() => setTimeout(go, 50)))")
    held.let_go()
    # Three pages load automatically, as usual.
    go_to_the_end(page)


def test_pictures_requested_while_offline_are_requested_again(
    live_hub: LiveHub, visit: Visits
) -> None:
    seen = visit("about:blank")
    page = seen.page
    page.route(f"{live_hub.s3_url}/**", lambda route: route.abort())
    held = hold(page, f"^{live_hub.url}/media/")
    page.goto(f"{live_hub.url}/?page=4", wait_until="commit")
    page.wait_for_function(
        "() => document.querySelector('.tile img')?.dataset.round && document.readyState"
    )
    page.unroute(f"{live_hub.s3_url}/**")
    page.evaluate("() => dispatchEvent(new Event('online'))")
    held.wait()
    held.break_off()
    page.wait_for_function(
        """() => [...document.querySelectorAll(".tile img")].slice(0, 2).every((img) => (
          img.complete && img.naturalWidth && !img.closest(".is-missing")
        ))"""
    )
    seen.complaints.clear()


def test_a_late_style_sheet_aborts_no_transition(live_hub: LiveHub, visit: Visits) -> None:
    """An aborted one would be an error in the console."""
    page = visit(f"{live_hub.url}/tags").page
    held = hold(page, r"/css/site\.css$")
    page.locator("#site-search").fill("harbour")
    page.locator("#site-search").press("Enter", no_wait_after=True)
    held.wait()
    # The page arrives, and takes its own styles into account, before the sheet does.
    wait_for_processing(page)
    held.let_go()
    expect(page.locator(".tile")).to_have_count(1)
    page.wait_for_load_state("load")


def test_leaving_during_a_transition_is_no_error(live_hub: LiveHub, visit: Visits) -> None:
    page = visit(live_hub.url).page
    # A quick search is shown before the page leaves for the tags; it is left at its first frame.
    page.context.add_init_script(
        """addEventListener("pagereveal", () => {
          if (location.pathname === "/search") location.assign("/tags");
        });"""
    )
    for _ in range(5):
        page.evaluate(
            """() => {
              document.querySelector("form.search").submit();
              setTimeout(() => location.assign("/tags"), 20);
            }"""
        )
        expect(page).to_have_url(f"{live_hub.url}/tags")


# --- Opening and leaving the viewer ---------------------------------------------------------------


def test_a_late_work_does_not_open_over_a_newer_one(
    live_hub: LiveHub, visit: Visits, harbour: int
) -> None:
    page = visit_wall(live_hub, visit).page
    url, held = open_after_another(page, harbour)
    page.keyboard.press("Escape")
    expect(page.locator(".pswp")).to_have_count(0)
    with page.expect_response(url):
        held.let_go()
    wait_for_processing(page)
    expect(page.locator(".pswp")).to_have_count(0)
    expect(page).to_have_url(re.compile(r"\?page=\d$"))


def test_a_late_failure_does_not_leave_a_newer_work(
    live_hub: LiveHub, visit: Visits, harbour: int
) -> None:
    seen = visit_wall(live_hub, visit)
    page = seen.page
    _, held = open_after_another(page, harbour)
    with page.expect_event("requestfailed"):
        held.break_off()
    wait_for_processing(page)
    expect(page).to_have_url(f"{live_hub.url}/groups/{harbour}/1")
    expect(page.locator(".pswp--open")).to_be_visible()
    seen.complaints.clear()


def test_another_work_opened_right_after_closing_stays_open(
    live_hub: LiveHub, visit: Visits, harbour: int
) -> None:
    page = visit_wall(live_hub, visit).page
    other = page.locator(f".tile:not(#g{harbour}) a[data-open]").first
    number = other.evaluate("(link) => link.closest('.tile').id.slice(1)")
    # Its page and the viewer are cached: nothing slows it down the second time.
    other.click()
    wait_until_open(page)
    page.keyboard.press("Escape")
    expect(page.locator(".pswp")).to_have_count(0)
    page.locator(f"#g{harbour} a").click()
    wait_until_open(page)
    # At once, before the browser has gone back from the first.
    other.evaluate(
        """(link) => {
          const key = new KeyboardEvent("keydown", { key: "Escape", bubbles: true });
          document.querySelector(".pswp").dispatchEvent(key);
          link.click();
        }"""
    )
    expect(page).to_have_url(re.compile(rf"/groups/{number}/1$"))
    expect(page.locator(".pswp")).to_have_count(1)
    wait_until_open(page)
    wait_for_processing(page)
    expect(page.locator(".pswp--open")).to_be_visible()
    page.go_back()
    expect(page.locator(".pswp")).to_have_count(0)
    expect(page).to_have_url(re.compile(r"\?page=\d$"))


def test_keys_pressed_while_the_viewer_opens_work(
    live_hub: LiveHub, visit: Visits, harbour: int
) -> None:
    page = open_slowly(live_hub, visit, harbour)[0].page
    page.keyboard.press("ArrowRight")
    page.clock.run_for(2000)
    expect(page).to_have_url(f"{live_hub.url}/groups/{harbour}/2")


def test_any_key_pressed_while_the_viewer_opens_takes_effect(
    live_hub: LiveHub, visit: Visits, harbour: int
) -> None:
    page = open_slowly(live_hub, visit, harbour)[0].page
    page.keyboard.press("c")
    expect(page.locator("dialog.compare")).to_have_count(0)
    page.clock.run_for(2000)
    expect(page.locator("dialog.compare")).to_be_visible()


def test_back_while_the_viewer_opens_restores_the_walls_address(
    live_hub: LiveHub, visit: Visits, harbour: int
) -> None:
    """A shot whose address has expired is replaced at that moment."""
    seen, wall, held = open_slowly(live_hub, visit, harbour, f"^{live_hub.s3_url}/")
    page = seen.page
    page.go_back()
    expect(page).to_have_url(wall)
    held.wait()
    with page.expect_event("requestfinished"):
        held.refuse(403)
    wait_for_processing(page)
    page.clock.run_for(1)
    expect(page).to_have_url(wall)
    page.clock.run_for(3000)
    expect(page.locator(".pswp")).to_have_count(0)
    expect(page).to_have_url(wall)
    seen.complaints.clear()


def test_back_and_forward_while_the_viewer_opens_leave_it_open(
    live_hub: LiveHub, visit: Visits, harbour: int
) -> None:
    seen, wall, _ = open_slowly(live_hub, visit, harbour)
    page = seen.page
    page.go_back()
    expect(page).to_have_url(wall)
    page.go_forward()
    expect(page).to_have_url(f"{live_hub.url}/groups/{harbour}/1")
    page.clock.run_for(1000)
    wait_for_processing(page)
    page.clock.run_for(3000)
    expect(page.locator(".pswp--open")).to_have_count(1)
    expect(page).to_have_url(f"{live_hub.url}/groups/{harbour}/1")
    page.keyboard.press("Escape")
    page.clock.run_for(3000)
    expect(page.locator(".pswp")).to_have_count(0)
    expect(page).to_have_url(wall)


def test_navigation_while_the_viewer_closes_is_kept(
    live_hub: LiveHub, visit: Visits, harbour: int
) -> None:
    page = open_slowly(live_hub, visit, harbour)[0].page
    page.clock.run_for(2000)
    wait_until_open(page)
    page.keyboard.press("Escape")
    page.locator("#site-search").focus()
    page.clock.run_for(3000)
    expect(page.locator(".pswp")).to_have_count(0)
    expect(page.locator("#site-search")).to_be_focused()


# --- In the viewer --------------------------------------------------------------------------------


def test_a_comparison_requested_twice_opens_once(
    live_hub: LiveHub, visit: Visits, harbour: int
) -> None:
    page = visit_viewer(live_hub, visit, harbour)
    held = hold(page, r"/js/compare\.js$")
    page.get_by_role("button", name="Compare two shots").dblclick()
    held.let_go()
    dialog = page.get_by_role("dialog", name="Compare two shots")
    expect(dialog).to_have_count(1)
    wait_for_processing(page)
    expect(dialog).to_have_count(1)


def test_keys_work_after_a_comparison_failed_to_load(
    live_hub: LiveHub, visit: Visits, harbour: int
) -> None:
    seen = visit(f"{live_hub.url}/groups/{harbour}/1")
    page = seen.page
    wait_until_open(page)
    page.route("**/js/compare.js", lambda route: route.abort())
    page.get_by_role("button", name="Compare two shots").click()
    expect(page.locator(".viewer-note")).to_have_text("The image cannot be shown at the moment.")
    page.keyboard.press("ArrowRight")
    expect(page).to_have_url(f"{live_hub.url}/groups/{harbour}/2")
    assert all("ERR_FAILED" in text for text in seen.complaints)
    seen.complaints.clear()


def test_back_closes_a_comparison_with_the_viewer(
    live_hub: LiveHub, visit: Visits, harbour: int
) -> None:
    page = visit_wall(live_hub, visit).page
    tile = page.locator(f"#g{harbour} a")
    tile.click()
    wait_until_open(page)
    page.keyboard.press("c")
    expect(page.locator("dialog.compare")).to_be_visible()
    page.go_back()
    expect(page.locator("dialog.compare")).to_have_count(0)
    expect(page.locator(".pswp")).to_have_count(0)
    expect(tile).to_be_focused()


def test_a_late_comparison_does_not_open_after_the_viewer_closed(
    live_hub: LiveHub, visit: Visits, harbour: int
) -> None:
    page = visit_wall(live_hub, visit).page
    page.locator(f"#g{harbour} a").click()
    wait_until_open(page)
    held = hold(page, r"/js/compare\.js$")
    page.keyboard.press("c")
    held.wait()
    page.go_back()
    expect(page.locator(".pswp")).to_have_count(0)
    with page.expect_response("**/js/compare.js"):
        held.let_go()
    wait_for_processing(page)
    expect(page.locator("dialog")).to_have_count(0)


def test_messages_about_a_full_image_disappear_with_its_shot(
    live_hub: LiveHub, visit: Visits, harbour: int
) -> None:
    page = visit_viewer(live_hub, visit, harbour)
    held = hold(page, "/media/full/")
    note = page.locator(".viewer-note")
    for _ in range(8):
        page.keyboard.press("+")
    held.wait()
    expect(note).to_have_text("Loading the full-size image…")
    page.keyboard.press("ArrowRight")
    expect(page).to_have_url(f"{live_hub.url}/groups/{harbour}/2")
    expect(note).to_be_empty()
    held.let_go()
    page.keyboard.press("ArrowLeft")
    page.wait_for_function(
        """() => [...document.querySelectorAll(".pswp__item[aria-hidden=false] img")]
          .some((img) => img.naturalWidth === 2600)"""
    )
    expect(note).to_be_empty()


def test_a_slideshow_can_be_stopped_by_its_button(
    live_hub: LiveHub, visit: Visits, harbour: int
) -> None:
    page = visit_viewer(live_hub, visit, harbour)
    page.get_by_role("button", name="Start slideshow").click()
    page.get_by_role("button", name="Stop slideshow").click()
    expect(page.get_by_role("button", name="Start slideshow")).to_have_count(1)


# --- Sharing --------------------------------------------------------------------------------------


def test_the_share_button_gets_its_label_back(
    live_hub: LiveHub, visit: Visits, harbour: int
) -> None:
    seen = visit("about:blank", permissions=["clipboard-read", "clipboard-write"])
    page = seen.page
    page.clock.install()
    page.goto(f"{live_hub.url}/groups/{harbour}")
    button = page.get_by_role("button", name="Share")
    button.click()
    button = page.locator("[data-share]")
    expect(button).to_have_text("Link copied.")
    button.click()
    wait_for_processing(page)
    page.clock.run_for(8000)
    expect(button).to_have_text("Share")


def test_a_link_is_copied_without_the_clipboard_api(
    live_hub: LiveHub, visit: Visits, harbour: int
) -> None:
    page = visit("about:blank").page
    # Like on a site without https.
    page.add_init_script("delete Navigator.prototype.clipboard")
    page.goto(f"{live_hub.url}/groups/{harbour}")
    button = page.get_by_role("button", name="Share")
    button.press("Enter")
    expect(page.locator("#status")).to_have_text("Link copied.")
    expect(page.locator("[data-share]")).to_be_focused()
    page.locator("#site-search").focus()
    page.keyboard.press("ControlOrMeta+v")
    expect(page.locator("#site-search")).to_have_value(re.compile(rf"/groups/{harbour}/harbour$"))
