"""The gallery when answers are late, in another order, or for a page that was left."""

import re
from collections.abc import Callable
from functools import partial

import pytest
from playwright.sync_api import Page, expect

from tests.fixtures.browser import LiveHub, Visit, go_to_the_end, stop_clock
from tests.fixtures.holding import Held, hold

Visits = Callable[..., Visit]


@pytest.fixture
def visit(visit: Visits) -> Visits:
    """The same without the service worker, which comes some time later and answers by itself."""
    return partial(visit, service_workers="block")


@pytest.fixture
def harbour(live_hub: LiveHub) -> int:
    """A work of four shots; the first original is larger than its largest rendition."""
    return live_hub.find_group("Harbour")


def visit_wall(live_hub: LiveHub, visit: Visits) -> Visit:
    """The page of the wall on which Harbour hangs."""
    return visit(f"{live_hub.url}/?page={live_hub.find_page_of('Harbour')}")


def visit_viewer(live_hub: LiveHub, visit: Visits, harbour: int) -> Page:
    """The viewer, open at the first shot of Harbour on the page of that work."""
    page = visit(f"{live_hub.url}/groups/{harbour}/1").page
    wait_until_open(page)
    return page


def wait_until_open(page: Page) -> None:
    # PhotoSwipe shows the places of the neighbours at the end of opening.
    page.wait_for_function(
        "() => document.querySelector('.pswp--open .pswp__item')?.style.display === 'block'"
    )


def wait_for_what_came(page: Page) -> None:
    """Gives the page's scripts time to act upon an answer; what they must not do stays away."""
    page.wait_for_timeout(400)


def open_slowly(
    live_hub: LiveHub, visit: Visits, harbour: int, held_pattern: str = "^nothing$"
) -> tuple[Visit, str, Held]:
    """Harbour's viewer, which has begun to open and does not get on before the clock does.

    :param held_pattern: of requests that the viewer makes and that are held.
    :return: the visit, the address of the wall behind, and what is held.
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
    """Harbour's viewer, open although another work of the wall was asked for before.

    :return: the address of that one's page, and that page, which is held.
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


def test_what_is_typed_before_suggestions_are_there_is_answered(
    live_hub: LiveHub, visit: Visits
) -> None:
    page = visit(f"{live_hub.url}/tags").page
    held = hold(page, r"/js/search\.js$")
    page.locator("#site-search").focus()
    held.wait()
    page.locator("#site-search").press_sequentially("harb")
    held.let_go()
    expect(page.get_by_role("option", name="Harbour")).to_be_visible()


def test_somebody_who_was_in_the_field_before_its_script_gets_suggestions(
    live_hub: LiveHub, visit: Visits
) -> None:
    page = visit("about:blank").page
    held = hold(page, r"/js/pictures\.js$")
    page.goto(f"{live_hub.url}/tags", wait_until="commit")
    page.locator("#site-search").focus()
    page.locator("#site-search").press_sequentially("harb")
    held.let_go()
    expect(page.get_by_role("option", name="Harbour")).to_be_visible()


def test_suggestions_come_at_the_next_try_if_their_script_did_not(
    live_hub: LiveHub, visit: Visits
) -> None:
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


def test_suggestions_somebody_goes_through_do_not_change(live_hub: LiveHub, visit: Visits) -> None:
    page = visit(f"{live_hub.url}/tags").page
    field = page.get_by_role("combobox", name="Search")
    page.locator("#site-search").focus()
    field.press_sequentially("har")
    option = page.get_by_role("option", name="Harbour")
    expect(option).to_be_visible()
    held = hold(page, "q=harb$")
    field.press("b")
    held.wait()
    # The answer to the last letter is not waited for any more.
    with page.expect_event("requestfailed"):
        field.press("ArrowDown")
    expect(option).to_have_attribute("aria-selected", "true")
    field.press("Enter")
    expect(page.locator("h1")).to_have_text("Harbour")


# --- The wall -------------------------------------------------------------------------------------


def test_a_page_that_comes_late_leaves_the_focus_where_the_visitor_went(
    live_hub: LiveHub, visit: Visits
) -> None:
    page = visit(f"{live_hub.url}/tags").page
    held = hold(page, r"\?page=2$")
    page.goto(live_hub.url)
    page.locator("a.more").press("Enter")
    page.locator("#site-search").focus()
    held.let_go()
    page.locator(".wall[data-page='2']").wait_for(state="attached")
    wait_for_what_came(page)
    expect(page.locator("#site-search")).to_be_focused()


def test_a_page_that_is_on_its_way_is_counted_once(live_hub: LiveHub, visit: Visits) -> None:
    page = visit(f"{live_hub.url}/tags").page
    held = hold(page, r"\?page=2$")
    page.goto(live_hub.url)
    held.wait()
    more = page.locator("a.more")
    for _ in range(4):
        more.focus()
        more.blur()
        # Twice: the first frame looks, the second has been told.
        page.evaluate("() => new Promise((go) => requestAnimationFrame(() => setTimeout(go, 50)))")
    held.let_go()
    # Three pages come by themselves, as ever.
    go_to_the_end(page)


def test_pictures_that_were_asked_for_before_the_network_was_back_are_asked_for_again(
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


# --- Opening and leaving the viewer ---------------------------------------------------------------


def test_a_work_that_comes_late_does_not_open_over_what_was_wanted_since(
    live_hub: LiveHub, visit: Visits, harbour: int
) -> None:
    page = visit_wall(live_hub, visit).page
    url, held = open_after_another(page, harbour)
    page.keyboard.press("Escape")
    expect(page.locator(".pswp")).to_have_count(0)
    with page.expect_response(url):
        held.let_go()
    wait_for_what_came(page)
    expect(page.locator(".pswp")).to_have_count(0)
    expect(page).to_have_url(re.compile(r"\?page=\d$"))


def test_a_work_that_fails_late_does_not_lead_away_from_what_was_wanted_since(
    live_hub: LiveHub, visit: Visits, harbour: int
) -> None:
    seen = visit_wall(live_hub, visit)
    page = seen.page
    _, held = open_after_another(page, harbour)
    with page.expect_event("requestfailed"):
        held.break_off()
    wait_for_what_came(page)
    expect(page).to_have_url(f"{live_hub.url}/groups/{harbour}/1")
    expect(page.locator(".pswp--open")).to_be_visible()
    seen.complaints.clear()


def test_another_work_opened_right_after_closing_stays_open(
    live_hub: LiveHub, visit: Visits, harbour: int
) -> None:
    page = visit_wall(live_hub, visit).page
    other = page.locator(f".tile:not(#g{harbour}) a[data-open]").first
    number = other.evaluate("(link) => link.closest('.tile').id.slice(1)")
    # Its page and the viewer are there: nothing slows it down the second time.
    other.click()
    wait_until_open(page)
    page.keyboard.press("Escape")
    expect(page.locator(".pswp")).to_have_count(0)
    page.locator(f"#g{harbour} a").click()
    wait_until_open(page)
    # In one moment, before the browser has gone back from the first.
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
    wait_for_what_came(page)
    expect(page.locator(".pswp--open")).to_be_visible()
    page.go_back()
    expect(page.locator(".pswp")).to_have_count(0)
    expect(page).to_have_url(re.compile(r"\?page=\d$"))


def test_keys_pressed_while_the_viewer_opens_are_heard(
    live_hub: LiveHub, visit: Visits, harbour: int
) -> None:
    page = open_slowly(live_hub, visit, harbour)[0].page
    page.keyboard.press("ArrowRight")
    page.clock.run_for(2000)
    expect(page).to_have_url(f"{live_hub.url}/groups/{harbour}/2")


def test_back_while_the_viewer_opens_leaves_the_wall_its_address(
    live_hub: LiveHub, visit: Visits, harbour: int
) -> None:
    """A shot whose address ran out is put in anew at that very moment."""
    seen, wall, held = open_slowly(live_hub, visit, harbour, f"^{live_hub.s3_url}/")
    page = seen.page
    page.go_back()
    expect(page).to_have_url(wall)
    held.wait()
    with page.expect_event("requestfinished"):
        held.refuse(403)
    wait_for_what_came(page)
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
    wait_for_what_came(page)
    page.clock.run_for(3000)
    expect(page.locator(".pswp--open")).to_have_count(1)
    expect(page).to_have_url(f"{live_hub.url}/groups/{harbour}/1")
    page.keyboard.press("Escape")
    page.clock.run_for(3000)
    expect(page.locator(".pswp")).to_have_count(0)
    expect(page).to_have_url(wall)


def test_whoever_goes_elsewhere_while_the_viewer_closes_stays_there(
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


def test_a_comparison_asked_for_twice_opens_once(
    live_hub: LiveHub, visit: Visits, harbour: int
) -> None:
    page = visit_viewer(live_hub, visit, harbour)
    held = hold(page, r"/js/compare\.js$")
    page.get_by_role("button", name="Compare two shots").dblclick()
    held.let_go()
    dialog = page.get_by_role("dialog", name="Compare two shots")
    expect(dialog).to_have_count(1)
    wait_for_what_came(page)
    expect(dialog).to_have_count(1)


def test_keys_are_heard_after_a_comparison_that_could_not_come(
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


def test_back_ends_a_comparison_with_the_viewer(
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


def test_a_comparison_that_comes_after_the_viewer_has_gone_does_not_open(
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
    wait_for_what_came(page)
    expect(page.locator("dialog")).to_have_count(0)


def test_words_about_a_full_image_go_with_its_shot(
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


def test_a_slideshow_ends_at_its_button_under_the_pointer(
    live_hub: LiveHub, visit: Visits, harbour: int
) -> None:
    page = visit_viewer(live_hub, visit, harbour)
    page.get_by_role("button", name="Start slideshow").click()
    page.get_by_role("button", name="Stop slideshow").click()
    expect(page.get_by_role("button", name="Start slideshow")).to_have_count(1)


# --- Passing on -----------------------------------------------------------------------------------


def test_the_button_that_shares_gets_its_name_back(
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
    wait_for_what_came(page)
    page.clock.run_for(8000)
    expect(button).to_have_text("Share")


def test_a_link_is_copied_where_the_browser_keeps_its_clipboard_to_itself(
    live_hub: LiveHub, visit: Visits, harbour: int
) -> None:
    page = visit("about:blank").page
    # As on a site without https.
    page.add_init_script("delete Navigator.prototype.clipboard")
    page.goto(f"{live_hub.url}/groups/{harbour}")
    button = page.get_by_role("button", name="Share")
    button.press("Enter")
    expect(page.locator("#status")).to_have_text("Link copied.")
    expect(page.locator("[data-share]")).to_be_focused()
    page.locator("#site-search").focus()
    page.keyboard.press("ControlOrMeta+v")
    expect(page.locator("#site-search")).to_have_value(re.compile(rf"/groups/{harbour}/harbour$"))
