"""The gallery in a browser."""

import re
import threading
import time
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from playwright.sync_api import Page, Route, expect

from tests.fixtures.browser import (
    TITLE,
    WORKS,
    LiveHub,
    Visits,
    go_to_the_end,
    press_end,
    wait_until_still,
)
from tests.fixtures.holding import Held, hold

SHIFT_SCRIPT = """() => new Promise((resolve) => {
  let total = 0;
  const add = (entries) => {
    for (const entry of entries) total += entry.value;
  };
  const observer = new PerformanceObserver((list) => add(list.getEntries()));
  observer.observe({ type: "layout-shift", buffered: true });
  requestAnimationFrame(() => requestAnimationFrame(() => {
    add(observer.takeRecords());
    resolve(total);
  }));
})"""


def list_boxes(page: Page) -> list[dict[str, float]]:
    """Return position, size and aspect ratio (of the file) of every tile's picture."""
    # On a phone, the last ones wait for those of the first screen.
    expect(page.locator(".wall .frame img").last).to_be_visible()
    boxes: list[dict[str, float]] = page.evaluate(
        """() => [...document.querySelectorAll(".wall .frame img")].map((img) => {
          const { left, top, right, width, height } = img.getBoundingClientRect();
          return { left, top, right, width, height, shape: img.width && img.naturalWidth
            ? img.naturalWidth / img.naturalHeight
            : img.getAttribute("width") / img.getAttribute("height") };
        })"""
    )
    return boxes


# --- The wall -------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_phone", [False, True])
@pytest.mark.parametrize("has_script", [True, False])
def test_the_wall_keeps_aspect_ratios_and_straight_edges(
    live_hub: LiveHub, visit: Visits, is_phone: bool, has_script: bool
) -> None:
    page = visit(live_hub.url, is_phone, java_script_enabled=has_script).page
    expect(page.get_by_role("heading", name=TITLE)).to_be_visible()
    boxes = list_boxes(page)[:12]
    assert len(boxes) == 12
    rows: dict[int, list[dict[str, float]]] = {}
    for box in boxes:
        assert box["width"] / box["height"] == pytest.approx(box["shape"], rel=0.03)
        rows.setdefault(round(box["top"]), []).append(box)
    left = min(box["left"] for box in boxes)
    right = max(box["right"] for box in boxes)
    for row in rows.values():
        assert min(box["left"] for box in row) == pytest.approx(left, abs=1)
        assert max(box["right"] for box in row) == pytest.approx(right, abs=1.5)
        heights = [box["height"] for box in row]
        assert max(heights) - min(heights) < 1.5
    if is_phone:
        assert max(len(row) for row in rows.values()) <= 2
    width = page.evaluate("document.documentElement.scrollWidth")
    assert width == page.viewport_size["width"]  # type: ignore[index]


@pytest.mark.parametrize("is_phone", [False, True])
def test_nothing_moves_while_a_page_loads(live_hub: LiveHub, visit: Visits, is_phone: bool) -> None:
    for path in ("/", f"/groups/{live_hub.find_group('Harbour')}"):
        page = visit(live_hub.url + path, is_phone).page
        page.wait_for_load_state("networkidle")
        assert page.evaluate(SHIFT_SCRIPT) == 0


@pytest.mark.parametrize("is_scrolled", [False, True])
def test_on_phones_pictures_below_the_first_screen_are_loaded_after_those_in_it(
    live_hub: LiveHub, visit: Visits, is_scrolled: bool
) -> None:
    page = visit("about:blank", is_phone=True).page
    session = page.context.new_cdp_session(page)
    session.send("Animation.enable")
    session.send("Animation.setPlaybackRate", {"playbackRate": 0})
    page.goto(live_hub.url, wait_until="networkidle")
    pictures = page.locator(".wall[data-page='1'] .tile img").evaluate_all(
        """(images) => images.map((img) => [
          Boolean(img.naturalWidth), Boolean(img.closest(".is-later"))])"""
    )
    assert len(pictures) == 12
    # The others are those that a phone may show without scrolling.
    others = [number for number, (_, is_later) in enumerate(pictures) if not is_later]
    assert others == [number for number, (is_loaded, _) in enumerate(pictures) if is_loaded]
    assert others == list(range(len(others)))
    assert 2 <= len(others) <= 6
    # They wait for a moment, or until the visitor scrolls.
    if is_scrolled:
        page.evaluate("scrollBy(0, 8)")
    else:
        session.send("Animation.setPlaybackRate", {"playbackRate": 1})
    page.wait_for_function(
        "n => document.querySelectorAll('.tile img')[n].naturalWidth", arg=len(others)
    )


@pytest.mark.parametrize("end", ["loaded", "refused", "scrolled", "late"])
def test_on_phones_other_pictures_of_a_work_wait_for_its_large_one(
    live_hub: LiveHub, visit: Visits, end: str
) -> None:
    visited = visit("about:blank", is_phone=True)
    page = visited.page
    clock = page.context.new_cdp_session(page)
    clock.send("Animation.enable")
    clock.send("Animation.setPlaybackRate", {"playbackRate": 0})
    held = hold(page, "/renditions/")
    number = live_hub.find_group("Harbour")
    page.goto(f"{live_hub.url}/groups/{number}", wait_until="domcontentloaded")
    expect(page.locator("[data-share]")).to_be_visible()
    held.wait()
    others = page.locator("main .frame img:not([fetchpriority])")
    assert others.count() > 3
    assert not any(other.is_visible() for other in others.all())
    assert len(held.routes) == 1
    if end == "loaded":
        held.let_go()
    elif end == "refused":
        held.refuse(404)
    elif end == "scrolled":
        page.evaluate("scrollBy(0, 8)")
    else:
        clock.send("Animation.setPlaybackRate", {"playbackRate": 10})
    expect(page.locator(".tile img").first).to_be_visible()
    if not held.is_open:
        held.wait(2)
        held.let_go()
    page.wait_for_function("() => document.querySelector('.tile img').naturalWidth")
    if end == "refused":
        visited.complaints.clear()  # the browser logs it


@pytest.fixture
def slow_url(live_hub: LiveHub) -> Iterator[str]:
    """Serve the hub by a proxy that pauses a second within each page's header."""

    class SlowProxy(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer = requests.get(live_hub.url + self.path, timeout=30)
            self.send_response(answer.status_code)
            for name in ("Content-Type", "Content-Security-Policy"):
                if name in answer.headers:
                    self.send_header(name, answer.headers[name])
            self.end_headers()
            cut = answer.content.find(b'<a class="tool"')
            if cut > 0:
                self.wfile.write(answer.content[:cut])
                self.wfile.flush()
                time.sleep(1)
            self.wfile.write(answer.content[max(cut, 0) :])

        def log_message(self, format: str, *args: Any) -> None:
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), SlowProxy) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_nothing_moves_while_a_page_arrives_in_chunks(
    live_hub: LiveHub, visit: Visits, slow_url: str
) -> None:
    for path in ("/", f"/groups/{live_hub.find_group('Harbour')}/harbour"):
        page = visit(slow_url + path, service_workers="block").page
        page.wait_for_load_state("networkidle")
        assert page.evaluate(SHIFT_SCRIPT) == 0


def test_every_work_is_reachable_by_links(live_hub: LiveHub, visit: Visits) -> None:
    page = visit(live_hub.url, java_script_enabled=False).page
    titles: list[str] = []
    while True:
        titles += page.locator(".caption-title").all_inner_texts()
        following = page.get_by_role("link", name="Next page")
        if not following.count():
            break
        with page.expect_event("domcontentloaded"):
            following.click()
    assert sorted(titles) == sorted(title for title, _ in WORKS)
    page.get_by_role("link", name="Previous page").click()
    expect(page).to_have_url(re.compile(r"\?page=3$"))
    page.locator(".tile a").first.click()
    expect(page.locator(".wall-label h1")).to_be_visible()


def test_scrolling_loads_pages_and_updates_the_address(live_hub: LiveHub, visit: Visits) -> None:
    seen = visit(live_hub.url)
    page = seen.page
    page.locator(".wall").nth(1).wait_for(state="attached")
    page.locator(".wall").nth(1).scroll_into_view_if_needed()
    page.locator(".wall[data-page='2'] .tile").nth(6).scroll_into_view_if_needed()
    expect(page).to_have_url(re.compile(r"\?page=2$"))
    expect(page.locator("#status")).to_have_text(re.compile(r"^\d+ more works$"))
    assert page.title().endswith("Page 2")
    # Positioned by style rules that were loaded with the page.
    boxes = list_boxes(page)
    assert all(
        box["width"] / box["height"] == pytest.approx(box["shape"], rel=0.03) for box in boxes
    )
    page.reload()
    assert seen.path == "/?page=2"


def test_back_returns_to_the_work_that_was_in_view(live_hub: LiveHub, visit: Visits) -> None:
    seen = visit(live_hub.url)
    page = seen.page
    go_to_the_end(page)
    wait_until_still(page)
    # Leave at once, before the address is updated after scrolling.
    tile = page.locator(".wall[data-page='3'] .tile").nth(5)
    with page.expect_event("domcontentloaded"):
        name, before = tile.evaluate(
            """(tile) => {
              tile.scrollIntoView({ block: "center", behavior: "instant" });
              location.assign("/tags");
              return [tile.id, tile.getBoundingClientRect().top];
            }"""
        )
    expect(page).to_have_url(f"{live_hub.url}/tags")
    page.go_back()
    back = page.locator(f"#{name}")
    expect(back).to_be_in_viewport()
    assert seen.path == "/?page=3"
    after = back.bounding_box()
    assert after is not None
    assert after["y"] == pytest.approx(before, abs=60)


def test_the_end_of_the_wall_can_be_reached(live_hub: LiveHub, visit: Visits) -> None:
    page = visit(live_hub.url).page
    go_to_the_end(page)
    footer = expect(page.locator(".site-footer"))
    press_end(page, partial(footer.to_be_in_viewport, timeout=2_000))
    expect(page.locator(".tile")).to_have_count(len(WORKS))


def visit_with_held_page(live_hub: LiveHub, visit: Visits, number: int) -> tuple[Page, Held]:
    """Open the wall at a page; its automatic request for the next one is held."""
    page = visit(f"{live_hub.url}/tags", service_workers="block").page
    held = hold(page, rf"\?page={number + 1}$")
    page.goto(f"{live_hub.url}/?page={number}")
    held.wait()
    return page, held


def wait_for_tiles(page: Page, count: int) -> None:
    """Wait until the wall has at least so many works; pages load automatically."""
    page.wait_for_function("n => document.querySelectorAll('.tile').length >= n", arg=count)


def test_a_page_loaded_by_key_gets_the_focus(live_hub: LiveHub, visit: Visits) -> None:
    page, held = visit_with_held_page(live_hub, visit, 1)
    more = page.locator("a.more")
    more.focus()
    # The page that is already loading is the one requested by the key.
    page.keyboard.press("Enter")
    held.let_go()
    wait_for_tiles(page, 24)
    expect(page.locator(".wall[data-page='2'] .tile a").first).to_be_focused()


def test_pages_do_not_load_while_their_link_has_the_focus(live_hub: LiveHub, visit: Visits) -> None:
    page, held = visit_with_held_page(live_hub, visit, 1)
    more = page.locator("a.more")
    more.focus()
    more.scroll_into_view_if_needed()
    held.let_go()
    wait_for_tiles(page, 24)
    more.scroll_into_view_if_needed()
    page.wait_for_timeout(500)
    expect(page.locator(".tile")).to_have_count(24)
    expect(more).to_be_focused()
    more.blur()
    page.locator(".wall[data-page='3']").wait_for(state="attached")


def test_the_last_page_gets_the_focus_of_the_removed_link(live_hub: LiveHub, visit: Visits) -> None:
    page, held = visit_with_held_page(live_hub, visit, 3)
    page.locator("a.more").focus()
    held.let_go()
    expect(page.locator("a.more")).to_have_count(0)
    expect(page.locator(".wall[data-page='4'] .tile a").first).to_be_focused()


def find_covered(page: Page) -> list[list[str]]:
    """Return each title that lies over a picture, with that picture's text."""
    covered: list[list[str]] = page.evaluate(
        """() => [...document.querySelectorAll(".wall .caption")].flatMap((caption) => {
          const label = caption.getBoundingClientRect();
          return [...document.querySelectorAll(".frame")].filter((frame) => {
            const box = frame.getBoundingClientRect();
            return label.left < box.right && box.left < label.right
              && label.top < box.bottom && box.top < label.bottom;
          }).map((frame) => [caption.textContent, frame.textContent]);
        })"""
    )
    return covered


def test_titles_appear_on_hover_and_stay_on_touch_screens(live_hub: LiveHub, visit: Visits) -> None:
    page = visit(live_hub.url).page
    caption = page.locator(".caption").first
    expect(caption).to_have_css("opacity", "0")
    page.locator(".tile a").first.hover()
    expect(caption).to_have_css("opacity", "1")
    assert find_covered(page) == []
    page.mouse.move(2, 2)
    page.locator(".tile a").first.focus()
    expect(caption).to_have_css("opacity", "1")
    phone = visit(live_hub.url, is_phone=True).page
    expect(phone.locator(".caption").first).to_have_css("opacity", "1")


# --- One work -------------------------------------------------------------------------------------


def test_titles_have_the_direction_of_their_script(live_hub: LiveHub, visit: Visits) -> None:
    page = visit(f"{live_hub.url}/groups/{live_hub.find_group('ليلة على البحيرة')}").page
    expect(page.locator("h1")).to_have_css("direction", "rtl")
    assert urlsplit(page.url).path.count("/") == 3
    page = visit(f"{live_hub.url}/groups/{live_hub.find_group('静かな部屋')}").page
    expect(page.locator("h1")).to_have_text("静かな部屋")


def test_the_next_work_is_one_click_away(live_hub: LiveHub, visit: Visits) -> None:
    page = visit(f"{live_hub.url}/groups/{live_hub.find_group('Study 7')}").page
    name = page.locator(".neighbour.next .neighbour-title").inner_text()
    page.locator(".neighbour.next").click()
    expect(page.locator("h1")).to_have_text(name)
    page.locator(".neighbour.prev").click()
    expect(page.locator("h1")).to_have_text("Study 7")


def test_the_link_is_copied_if_sharing_is_not_supported(live_hub: LiveHub, visit: Visits) -> None:
    seen = visit(
        f"{live_hub.url}/groups/{live_hub.find_group('Harbour')}",
        permissions=["clipboard-read", "clipboard-write"],
    )
    page = seen.page
    page.get_by_role("button", name="Share").click()
    expect(page.locator("#status")).to_have_text("Link copied.")
    assert page.evaluate("navigator.clipboard.readText()") == page.url


def test_the_full_image_is_downloaded_with_its_name(live_hub: LiveHub, visit: Visits) -> None:
    page = visit(f"{live_hub.url}/groups/{live_hub.find_group('Harbour')}").page
    link = page.get_by_role("link", name="Full-size image")
    with page.expect_response(lambda answer: answer.request.redirected_from is not None) as found:
        page.evaluate("url => fetch(url).then(() => 0, () => 0)", link.get_attribute("href"))
    original = live_hub.folder / "photos" / "Harbour" / "1 shot.jpg"
    assert int(found.value.headers["content-length"]) == original.stat().st_size


# --- Failures -------------------------------------------------------------------------------------


def test_pictures_with_expired_addresses_are_reloaded(live_hub: LiveHub, visit: Visits) -> None:
    """The storage refuses all addresses of the page, as if they had expired."""
    seen = visit("about:blank")
    refused: list[str] = []

    def refuse(route: Route) -> None:
        refused.append(route.request.url)
        route.fulfill(status=403, body="Request has expired")

    # Redirects from our permanent addresses are followed without calling the route.
    seen.page.context.route(f"{live_hub.s3_url}/**", refuse)
    seen.page.goto(live_hub.url)
    seen.page.wait_for_function(
        """() => {
          const top = [...document.querySelectorAll(".frame img")].slice(0, 4);
          return top.every((img) => img.complete && img.naturalWidth > 0);
        }"""
    )
    assert refused
    assert seen.page.locator(".is-missing").count() == 0
    assert all("403" in text for text in seen.complaints)
    seen.complaints.clear()


def test_placeholders_and_titles_are_shown_without_object_storage(
    live_hub: LiveHub, visit: Visits
) -> None:
    seen = visit("about:blank")
    context = seen.page.context
    # The browser follows redirects itself, so block our own picture addresses, too.
    away = (f"{live_hub.s3_url}/**", f"{live_hub.url}/media/**")
    for pattern in away:
        context.route(pattern, lambda route: route.abort())
    page = seen.page
    page.goto(live_hub.url)
    missing = page.locator(".frame.is-missing")
    missing.first.wait_for()
    # Other requests are still failing when the storage is back.
    box = missing.first.bounding_box()
    assert box is not None and box["height"] > 100
    style = missing.first.evaluate("element => getComputedStyle(element).backgroundImage")
    assert style.startswith('url("data:image/png')
    assert missing.first.locator("img").get_attribute("alt")
    # It is loaded again when the visitor returns.
    for pattern in away:
        context.unroute(pattern)
    page.evaluate("dispatchEvent(new Event('online'))")
    expect(missing).to_have_count(0)
    seen.complaints.clear()


def wait_until_offline(page: Page) -> None:
    """Wait until the page's service worker has no network either: Chromium tells it by itself."""
    page.wait_for_function(
        """() => {
          const sheet = document.querySelector('link[rel="stylesheet"]').href;
          return fetch(new URL(`none-${Math.random()}`, sheet)).then(() => false, () => true);
        }"""
    )


def test_the_offline_page_is_shown_without_a_network(live_hub: LiveHub, visit: Visits) -> None:
    seen = visit(live_hub.url)
    page = seen.page
    page.wait_for_function("() => navigator.serviceWorker.controller")
    page.context.set_offline(True)
    wait_until_offline(page)
    page.goto(f"{live_hub.url}/search?q=nothing-like-this")
    expect(page.get_by_role("heading", name="You are offline")).to_be_visible()
    page.context.set_offline(False)
    page.get_by_role("link", name="Try again").click()
    expect(page.get_by_role("heading", name="You are offline")).to_have_count(0)
    expect(page).to_have_url(f"{live_hub.url}/search?q=nothing-like-this")
    seen.complaints.clear()


def test_pages_are_shown_when_the_browsers_storage_is_full(
    live_hub: LiveHub, visit: Visits
) -> None:
    page = visit(live_hub.url).page
    page.evaluate("() => navigator.serviceWorker.ready.then(() => 0)")
    page.wait_for_function("() => navigator.serviceWorker.controller")
    session = page.context.new_cdp_session(page)
    session.send("Storage.overrideQuotaForOrigin", {"origin": live_hub.url, "quotaSize": 1})
    answer = page.evaluate(
        """async () => {
          const url = document.querySelector('link[rel="stylesheet"]').href;
          for (const name of await caches.keys()) {
            const cache = await caches.open(name);
            await cache.delete(url, { ignoreVary: true });
          }
          const sheet = await fetch(url, { cache: "reload" });
          return [sheet.status, (await sheet.text()).length > 1000];
        }"""
    )
    assert answer == [200, True]


# --- Accessibility and languages ------------------------------------------------------------------


@pytest.mark.parametrize(("is_phone", "theme"), [(False, "light"), (True, "dark")])
def test_axe_finds_nothing_on_any_page(
    live_hub: LiveHub, visit: Visits, is_phone: bool, theme: str
) -> None:
    harbour = live_hub.find_group("Harbour")
    seen = visit(live_hub.url, is_phone, color_scheme=theme, reduced_motion="reduce")
    paths = [
        "/",
        "/?page=4",
        f"/groups/{harbour}",
        f"/groups/{live_hub.find_group('ليلة على البحيرة')}",
        "/search?q=study",
        "/search",
        "/tags",
        "/sign-in",
        "/offline",
        "/nothing-here",
    ]
    for path in paths:
        seen.page.goto(live_hub.url + path)
        assert seen.find_faults() == [], path
    seen.page.goto(f"{live_hub.url}/groups/{harbour}/2")
    expect(seen.page.locator(".pswp--open")).to_be_visible()
    assert seen.find_faults() == [], "the viewer"
    seen.page.keyboard.press("c")
    expect(seen.page.locator("dialog.compare img").first).to_be_visible()
    assert seen.find_faults() == [], "the comparison"
    seen.complaints[:] = [text for text in seen.complaints if "404" not in text]


def test_a_chosen_theme_is_applied_before_the_first_paint(live_hub: LiveHub, visit: Visits) -> None:
    seen = visit(live_hub.url, color_scheme="light")
    page = seen.page
    root = page.locator("html")
    expect(page.locator("body")).to_have_css("color", "rgb(27, 26, 24)")
    page.get_by_role("button", name="Theme: same as device").click()
    expect(root).to_have_attribute("data-theme", "dark")
    expect(page.locator("body")).to_have_css("color", "rgb(236, 235, 232)")
    assert 'data-theme="dark"' in page.request.get(live_hub.url).text()
    page.reload()
    expect(root).to_have_attribute("data-theme", "dark")
    page.get_by_role("button", name="Theme: dark").focus()
    page.keyboard.press(" ")
    expect(root).to_have_attribute("data-theme", "light")


def test_language_and_theme_can_be_switched_without_a_script(
    live_hub: LiveHub, visit: Visits
) -> None:
    seen = visit(f"{live_hub.url}/?page=2", java_script_enabled=False, locale="en-GB")
    page = seen.page
    expect(page.locator("html")).to_have_attribute("lang", "en")
    page.get_by_role("link", name="Deutsch").click()
    expect(page.get_by_role("link", name="Nächste Seite")).to_be_visible()
    assert seen.path == "/?page=2"
    page.get_by_role("link", name="Farbschema: wie das Gerät").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    expect(page.locator("html")).to_have_attribute("lang", "de")
    assert seen.path == "/?page=2"


def test_a_german_browser_gets_german(live_hub: LiveHub, visit: Visits) -> None:
    page = visit(f"{live_hub.url}/groups/{live_hub.find_group('Harbour')}", locale="de-AT").page
    expect(page.get_by_role("button", name="Teilen")).to_be_visible()
    expect(page.locator(".facts")).to_contain_text("Original")


def test_the_gallery_works_with_the_keyboard(live_hub: LiveHub, visit: Visits) -> None:
    page = visit(live_hub.url).page
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_in_viewport()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.locator("#filters summary").first).to_be_focused()
    page.keyboard.press("Tab")
    first = page.locator(".tile a").first
    expect(first).to_be_focused()
    assert first.evaluate("element => getComputedStyle(element).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    expect(page.locator(".pswp--open")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator(".pswp")).to_have_count(0)
    expect(first).to_be_focused()


def test_text_at_twice_its_size_fits_a_phone(live_hub: LiveHub, visit: Visits) -> None:
    long_title = next(title for title, _ in WORKS if len(title) > 100)
    for path in ("/", f"/groups/{live_hub.find_group(long_title)}", "/search", "/sign-in"):
        page = visit(live_hub.url + path, viewport={"width": 390, "height": 844}).page
        page.evaluate("document.documentElement.style.fontSize = '200%'")
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, path


def test_a_search_suggests_while_typing(live_hub: LiveHub, visit: Visits) -> None:
    page = visit(live_hub.url).page
    field = page.get_by_role("combobox", name="Search")
    page.locator("#site-search").focus()
    field.press_sequentially("harb", delay=20)
    option = page.get_by_role("option", name="Harbour")
    expect(option).to_be_visible()
    field.press("ArrowDown")
    expect(option).to_have_attribute("aria-selected", "true")
    field.press("Enter")
    expect(page.locator("h1")).to_have_text("Harbour")


def test_a_search_is_a_form_without_a_script(live_hub: LiveHub, visit: Visits) -> None:
    seen = visit(live_hub.url, java_script_enabled=False)
    seen.page.locator("#site-search").fill("harbour")
    seen.page.locator("#site-search").press("Enter")
    expect(seen.page).to_have_url(f"{live_hub.url}/search?q=harbour")
    expect(seen.page.locator(".tile")).to_have_count(1)
