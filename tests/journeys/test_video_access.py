"""Videos by the keyboard, with reduced motion, and never with sound that nobody asked for."""

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from imagehub.domain.library import images as library_images
from imagehub.models import Group
from tests.fixtures.browser import Visit
from tests.fixtures.programs import wait_until
from tests.fixtures.served_site import ServedSite
from tests.journeys.test_videos import FILM, IN_VIEW, import_film, is_paused, wait_until_played

ON_PAGE = "video[data-video]"


def import_only_film(served: ServedSite, *, is_loop: bool = False) -> int:
    """Import a work that is nothing but a film; return its number."""
    site = served.site
    site.put_files("Tide", {"tide.webm": FILM})
    folder_id, ids = site.find_folder("Tide")
    chosen = [{"file_name": "tide.webm", "file_id": ids["tide.webm"]}]
    wanted = {folder_id: {"all_image_id": chosen, "group": -1, "folder_name": "Tide"}}
    with site.working():
        assert site.send("/admin/add/image", {"image_list": wanted})["code"] == 1
    with site.session() as session:
        group = session.query(Group).one()
        [film] = library_images.list_images(session, group.id)
        film.is_loop, film.alt = is_loop, "The tide comes in"
        return group.id


def list_roles(page: Page) -> list[tuple[str, str]]:
    """Return role and name of what screen readers find."""
    session = page.context.new_cdp_session(page)
    nodes: list[dict[str, Any]] = session.send("Accessibility.getFullAXTree")["nodes"]
    return [
        (str(node["role"]["value"]), str(node.get("name", {}).get("value", "")))
        for node in nodes
        if "role" in node and not node.get("ignored")
    ]


def test_a_film_alone_plays_from_the_wall_by_the_keyboard(
    served_site: ServedSite, visit: Callable[..., Visit]
) -> None:
    number = import_only_film(served_site)
    seen = visit(f"{served_site.url}/")
    page = seen.page
    tile = page.locator("a[data-open]")
    expect(tile.locator("img")).to_have_attribute("alt", "The tide comes in (video, 0:08)")
    tile.focus()
    page.keyboard.press("Enter")
    # Who opens a film wants to see it.
    wait_until_played(page, IN_VIEW, 0.2)
    names = dict(list_roles(page))
    assert names["Video"] == "The tide comes in (video, 0:08)"
    assert all(name for role, name in list_roles(page) if role in ("button", "slider"))
    page.keyboard.press("Space")
    page.wait_for_function("(it) => document.querySelector(it).paused", arg=IN_VIEW)
    # Zooming does nothing to a film.
    before = page.locator(IN_VIEW).bounding_box()
    page.keyboard.press("+")
    page.keyboard.press("-")
    assert page.locator(IN_VIEW).bounding_box() == before
    # The controls are reached by Tab, and leave by it.
    for _ in range(20):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.tagName") == "VIDEO":
            break
    assert page.evaluate("document.activeElement.tagName") == "VIDEO"
    page.keyboard.press("Space")
    page.wait_for_function("(it) => !document.querySelector(it).paused", arg=IN_VIEW)
    assert seen.find_faults() == []
    page.keyboard.press("Escape")
    expect(page.locator(".pswp")).to_have_count(0)
    assert page.evaluate("document.activeElement.matches('a[data-open]')")
    assert page.locator("video").count() == 0
    page.goto(f"{served_site.url}/groups/{number}")
    assert is_still_silent(page)
    assert seen.find_faults() == []


def is_still_silent(page: Page) -> bool:
    """Tell whether no video on the page plays with sound."""
    return bool(
        page.evaluate(
            "[...document.querySelectorAll('video')].every((one) => one.paused || one.muted)"
        )
    )


def open_at(page: Page, url: str) -> None:
    """Go to the page of a shot, which opens the viewer by itself.

    A question to the page would count as an act of its visitor: so the page tells when it is open.
    """
    page.add_init_script(
        """
        addEventListener("DOMContentLoaded", () => {
          const look = () => {
            if (!document.querySelector(".pswp--open video")) requestAnimationFrame(look);
            else setTimeout(() => console.info("the viewer is open"), 500);
          };
          look();
        });
        """
    )
    with page.expect_console_message(lambda message: message.text == "the viewer is open"):
        page.goto(url)


@pytest.mark.parametrize("is_loop", [False, True])
def test_nothing_plays_with_sound_by_itself(
    served_site: ServedSite, visit: Callable[..., Visit], is_loop: bool
) -> None:
    number = import_only_film(served_site, is_loop=is_loop)
    page = visit("about:blank").page
    open_at(page, f"{served_site.url}/groups/{number}/1")
    if is_loop:
        wait_until_played(page, IN_VIEW, 0.2)
        assert page.locator(IN_VIEW).evaluate("(video) => video.muted && video.loop")
    else:
        assert is_paused(page)
        assert page.locator(IN_VIEW).evaluate("(video) => video.preload") == "none"
    assert is_still_silent(page)


def test_a_loop_does_not_start_where_motion_is_unwanted(
    served_site: ServedSite, visit: Callable[..., Visit]
) -> None:
    number = import_only_film(served_site, is_loop=True)
    page = visit("about:blank", reduced_motion="reduce").page
    open_at(page, f"{served_site.url}/groups/{number}/1")
    assert is_paused(page)
    # It can be played all the same.
    page.keyboard.press("Space")
    wait_until_played(page, IN_VIEW, 0.2)


def test_a_loop_stops_when_motion_becomes_unwanted(
    served_site: ServedSite, visit: Callable[..., Visit]
) -> None:
    number = import_only_film(served_site, is_loop=True)
    page = visit(f"{served_site.url}/groups/{number}").page
    wait_until_played(page, ON_PAGE, 0.2)
    page.emulate_media(reduced_motion="reduce")
    page.wait_for_function("(it) => document.querySelector(it).paused", arg=ON_PAGE)
    page.emulate_media(reduced_motion="no-preference")

    # And in the viewer.
    page.locator("a[data-shot='1']").click()
    wait_until_played(page, IN_VIEW, 0.2)
    page.emulate_media(reduced_motion="reduce")
    page.wait_for_function("(it) => document.querySelector(it).paused", arg=IN_VIEW)


def test_a_slideshow_goes_on_from_a_loop(
    served_site: ServedSite, visit: Callable[..., Visit]
) -> None:
    number = import_film(served_site)
    with served_site.site.session() as session:
        library_images.list_images(session, number)[1].is_loop = True
    page = visit(f"{served_site.url}/groups/{number}").page
    page.locator("a[data-shot='2']").click()
    wait_until_played(page, IN_VIEW, 0.2)
    expect(page.locator(".viewer-count")).to_have_text("2 / 2")
    page.keyboard.press("s")
    expect(page.locator(".viewer-count")).to_have_text("1 / 2")


def test_the_page_of_a_group_plays_by_the_keyboard(served_site: ServedSite) -> None:
    number = import_only_film(served_site)
    seen = served_site.enter(f"/admin/library/{number}")
    page = seen.page
    page.locator(".shot-video summary").focus()
    page.keyboard.press("Enter")
    film = page.locator(".shot-video video")
    expect(film).to_be_visible()
    expect(film).to_have_attribute("aria-label", "The tide comes in")
    film.focus()
    page.keyboard.press("Space")
    wait_until_played(page, ".shot-video video", 0.2)
    assert seen.find_faults() == []


def test_a_film_alone_plays_from_the_wall_without_a_script(
    served_site: ServedSite, visit: Callable[..., Visit]
) -> None:
    import_only_film(served_site, is_loop=True)
    page = visit(f"{served_site.url}/", java_script_enabled=False).page
    with page.expect_navigation():
        page.locator("a[data-open]").click()
    film = page.locator(ON_PAGE)
    expect(film).to_have_attribute("controls", "")
    # A loop starts by itself only where a script can stop it.
    assert film.get_attribute("autoplay") is None
    served_site.onedrive.clear_log()
    box = film.bounding_box()
    assert box is not None
    film.click(position={"x": 24, "y": box["height"] - 48})

    def is_playing() -> bool:
        return 206 in {one["status"] for one in served_site.onedrive.log(path="download.aspx")}

    wait_until(is_playing, what="the film was not asked for")
