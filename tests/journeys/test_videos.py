"""A visitor plays a film: in the viewer, without a script, and when its address expires."""

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, expect

from imagehub.domain.library import images as library_images
from imagehub.emulators import samples
from imagehub.models import Group
from tests.fixtures.browser import Visit, wait_until_open
from tests.fixtures.programs import wait_until
from tests.fixtures.served_site import ServedSite, make_picture
from tests.imaging.video.files import make_tags

FILM = (Path(samples.__file__).parent / "tide.webm").read_bytes()
IN_VIEW = ".pswp__item[aria-hidden=false] video"
PLAYS = "([selector, least]) => document.querySelector(selector)?.currentTime > least"


def add_place(film: bytes) -> bytes:
    """Add a tag with a place behind the film."""
    tags = make_tags(LOCATION="Sète, 43.4028 N, 3.6928 E")
    at = film.index(b"\x18\x53\x80\x67") + 4
    size = int.from_bytes(film[at : at + 8]) & (1 << 56) - 1
    # The list of parts at its beginning does not know the tags; without it they are looked for.
    head = film.index(b"\x11\x4d\x9b\x74")
    film = film[:head] + b"\xec" + hide_list(film[head:])
    return film[:at] + (1 << 56 | size + len(tags)).to_bytes(8) + film[at + 8 :] + tags


def hide_list(film: bytes) -> bytes:
    """Make an element to be skipped of the list, whose kind has 4 bytes."""
    length = 9 - film[4].bit_length()
    size = int.from_bytes(film[4 : 4 + length]) & (1 << 7 * length) - 1
    total = 4 + length + size
    return (1 << 56 | total - 9).to_bytes(8) + film[9:]


def import_film(served: ServedSite, film: bytes = FILM) -> int:
    """Import a work with a picture and a film; return its number."""
    site = served.site
    files = {"front.jpg": make_picture(1, 600), "tide.webm": film}
    site.put_files("Tide", files)
    folder_id, ids = site.find_folder("Tide")
    chosen = [{"file_name": name, "file_id": ids[name]} for name in files]
    wanted = {folder_id: {"all_image_id": chosen, "group": -1, "folder_name": "Tide"}}
    with site.working():
        assert site.send("/admin/add/image", {"image_list": wanted})["code"] == 1
    with site.session() as session:
        number = session.query(Group).one().id
        film_ = library_images.list_images(session, number)[1]
        assert (film_.video_codec, film_.duration_ms) == ("VP9", 8000)
    return number


def wait_until_played(page: Page, selector: str, least: float) -> None:
    page.wait_for_function(PLAYS, arg=[selector, least])


def read_time(page: Page) -> float:
    return float(page.locator(IN_VIEW).evaluate("(video) => video.currentTime"))


def is_paused(page: Page) -> bool:
    return bool(page.locator(IN_VIEW).evaluate("(video) => video.paused"))


def test_a_film_plays_in_the_viewer(served_site: ServedSite, visit: Callable[..., Visit]) -> None:
    number = import_film(served_site)
    seen = visit(f"{served_site.url}/groups/{number}")
    page = seen.page
    served_site.onedrive.clear_log()
    page.locator("a[data-shot='2']").click()
    wait_until_played(page, IN_VIEW, 0.3)
    assert page.url.endswith(f"/groups/{number}/2")
    # The browser asks for parts of the file, at OneDrive itself.
    assert {one["status"] for one in served_site.onedrive.log(path="download.aspx")} == {206}

    page.keyboard.press("Space")
    page.wait_for_function("(selector) => document.querySelector(selector).paused", arg=IN_VIEW)
    page.keyboard.press("Space")
    page.wait_for_function("(selector) => !document.querySelector(selector).paused", arg=IN_VIEW)
    page.locator(IN_VIEW).evaluate("(video) => { video.currentTime = 5; }")
    wait_until_played(page, IN_VIEW, 5.1)
    # With the focus on the film, arrows move in it.
    page.locator(IN_VIEW).focus()
    page.keyboard.press("ArrowLeft")
    page.wait_for_function(
        "(selector) => document.querySelector(selector).currentTime < 5", arg=IN_VIEW
    )
    page.locator(".pswp").focus()
    film = page.locator(IN_VIEW).element_handle()
    page.keyboard.press("ArrowLeft")
    expect(page.locator(".viewer-count")).to_have_text("1 / 2")
    assert film is not None
    page.wait_for_function("(video) => video.paused", arg=film)
    page.keyboard.press("Escape")
    expect(page.locator(".pswp")).to_have_count(0)
    assert seen.find_faults() == []


def test_a_film_goes_on_where_its_address_expired(
    served_site: ServedSite, visit: Callable[..., Visit]
) -> None:
    number = import_film(served_site)
    seen = visit(f"{served_site.url}/groups/{number}")
    page, onedrive = seen.page, served_site.onedrive
    asked: list[str] = []

    def renew(route: Route) -> None:
        asked.append(route.request.url)
        onedrive.clear_faults()
        route.continue_()

    page.route("**/2/video?again=*", renew)
    # The connection ends while the film plays, and its address is not valid any more.
    onedrive.set_fault("truncated_download", bytes=60_000, times=1)
    onedrive.set_fault("download_url_expired", skip=1)
    page.locator("a[data-shot='2']").click()
    page.wait_for_selector(IN_VIEW)
    page.locator(IN_VIEW).evaluate(
        """(video) => {
          window.places = [];
          video.addEventListener("timeupdate", () => window.places.push(video.currentTime));
        }"""
    )
    page.wait_for_function("(selector) => document.querySelector(selector).ended", arg=IN_VIEW)
    assert [url.partition("/2/video")[2] for url in asked] == ["?again=1"]
    # Loading anew reports 0; after that the film goes on where it was.
    begun = [place for place in page.evaluate("window.places") if place > 0]
    assert begun == sorted(begun)
    assert page.locator(".video-fault:not(:empty)").count() == 0
    # The browser has said that the connection ended.
    seen.complaints.clear()


def test_a_film_that_cannot_be_played_says_so_and_offers_the_download(
    served_site: ServedSite, visit: Callable[..., Visit]
) -> None:
    number = import_film(served_site)
    page = visit(f"{served_site.url}/groups/{number}").page
    served_site.onedrive.set_fault("download_url_expired")
    page.locator("a[data-shot='2']").click()
    fault = page.locator(".pswp .video-fault:not(:empty)")
    expect(fault).to_contain_text("This video cannot be played here.")
    expect(fault.get_by_role("link")).to_have_attribute("href", make_full_path(number))
    # The still stays.
    assert page.locator(IN_VIEW).get_attribute("poster")


def make_full_path(number: int) -> str:
    return f"/media/full/{number}/2/tide.webm"


def test_a_film_plays_on_its_page_without_a_script(
    served_site: ServedSite, visit: Callable[..., Visit]
) -> None:
    number = import_film(served_site)
    page = visit(f"{served_site.url}/groups/{number}", java_script_enabled=False).page
    served_site.onedrive.clear_log()
    with page.expect_navigation():
        page.locator("a[data-shot='2']").click()
    film = page.locator("video[data-video]")
    box = film.bounding_box()
    assert box is not None
    # The play button of the browser's own controls.
    film.click(position={"x": 24, "y": box["height"] - 48})

    def is_playing() -> bool:
        log = served_site.onedrive.log(path="download.aspx")
        return 206 in {one["status"] for one in log}

    wait_until(is_playing, what="the film was not asked for")


@pytest.mark.parametrize("motion", ["no-preference", "reduce"])
def test_a_loop_starts_in_view_unless_motion_is_unwanted(
    served_site: ServedSite, visit: Callable[..., Visit], motion: str
) -> None:
    number = import_film(served_site)
    with served_site.site.session() as session:
        library_images.list_images(session, number)[1].is_loop = True
    page = visit("about:blank", reduced_motion=motion).page
    page.goto(f"{served_site.url}/groups/{number}/2")
    wait_until_open(page)
    page.keyboard.press("Escape")
    expect(page.locator(".pswp")).to_have_count(0)
    film = page.locator("video[data-video]")
    assert film.evaluate("(video) => video.loop && video.muted")
    if motion == "reduce":
        assert film.evaluate("(video) => video.paused && video.preload === 'none'")
    else:
        wait_until_played(page, "video[data-video]", 0.2)


def test_a_film_with_a_place_plays_without_it(
    served_site: ServedSite, visit: Callable[..., Visit]
) -> None:
    film = add_place(FILM)
    assert "Sète".encode() in film
    number = import_film(served_site, film)
    sent = served_site.site.get(f"/groups/{number}/2/video")
    assert sent.status_code == 200
    assert "Sète".encode() not in sent.data
    page = visit(f"{served_site.url}/groups/{number}").page
    page.locator("a[data-shot='2']").click()
    wait_until_played(page, IN_VIEW, 0.5)
