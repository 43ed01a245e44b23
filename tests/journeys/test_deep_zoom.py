"""Deep zoom: an admin turns it on, a worker makes the tiles, and a visitor zooms into them."""

from io import BytesIO
from urllib.parse import unquote, urlsplit

import pytest
from PIL import Image as Picture
from playwright.sync_api import Page, Response, expect
from sqlalchemy import select

from imagehub.models import Image, TileSet
from imagehub.wiring import get_settings
from tests.fixtures.browser import Visits
from tests.fixtures.programs import wait_until
from tests.fixtures.served_site import ServedSite
from tests.fixtures.site import Site
from tests.journeys.test_gallery_viewer import read_picture, wait_for_picture, wait_for_width
from tests.journeys.test_originals import ask_for_import

pytest.importorskip("pyvips", reason="tiles need the extra imagehub[tiles]")

SIZE = (4200, 2800)


def make_plan() -> bytes:
    """Draw narrow stripes in the middle; the renditions have too few pixels for them."""
    plan = Picture.new("L", SIZE, 200)
    stripes = Picture.frombytes("L", (450, 400), bytes((0, 255, 255)) * 60_000)
    plan.paste(stripes, (SIZE[0] // 2 - 225, SIZE[1] // 2 - 200))
    buffer = BytesIO()
    plan.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def find_group(site: Site) -> int:
    """Return the number of the only work; 0 while it has no image."""
    with site.session() as session:
        return session.scalar(select(Image.group_id)) or 0


def measure_contrast(page: Page) -> int:
    """Return the difference of the darkest and the brightest pixel in the middle of the window."""
    shot = page.screenshot(clip={"x": 620, "y": 380, "width": 40, "height": 40})
    darkest, brightest = Picture.open(BytesIO(shot)).convert("L").getextrema()
    return int(brightest) - int(darkest)  # type: ignore[call-overload]


def test_a_large_work_is_sharp_up_close(served_site: ServedSite, visit: Visits) -> None:
    site = served_site.site
    site.put_files("Plan", {"plan.png": make_plan()})
    folder_id, files = site.find_folder("Plan")

    def has_tiles() -> bool:
        with site.session() as session:
            return session.scalars(select(TileSet.state)).all() == ["ready"]

    with site.working():
        ask_for_import(site.app, folder_id, files)
        wait_until(lambda: find_group(site), what="the work was not imported")
        number = find_group(site)
        seen = served_site.enter(f"/admin/library/{number}", color_scheme="light")
        admin = seen.page.locator("#tiles")
        admin.get_by_label("Tiles of this group").select_option(label="On")
        admin.get_by_role("button", name="Save").click()
        expect(seen.page.get_by_text("Saved.")).to_be_visible()
        wait_until(has_tiles, what="no tiles were made")
    seen.page.reload()
    # 9 × 6 tiles of the full size, then 5 × 3, 3 × 2, 2 × 1 and 1.
    expect(admin.get_by_text("78 tiles")).to_be_visible()
    assert seen.find_faults() == []

    seen = visit("about:blank", color_scheme="light")
    page = seen.page
    bucket = get_settings(site.app).s3_public_url
    tiles: dict[str, int] = {}

    def note(response: Response) -> None:
        if response.url.startswith(bucket) and "/tiles/" in response.url:
            tiles[urlsplit(response.url).path] = response.status

    page.on("response", note)
    page.goto(f"{served_site.url}/groups/{number}/1")
    wait_for_picture(page)
    fitting, blurred = read_picture(page)["painted"], measure_contrast(page)
    # What draws tiles is ready before the first zoom, but no tile is loaded.
    layer = page.locator(".viewer-tiles")
    expect(layer).to_be_attached()
    expect(layer).to_be_hidden()
    assert blurred < 150 and tiles == {}

    # A click zooms when the button is released; its tiles are loaded when it is pressed.
    page.mouse.move(640, 400)
    with page.expect_response(lambda response: "/tiles/" in response.url):
        page.mouse.down()
    expect(layer).to_be_hidden()
    assert read_picture(page)["painted"] == fitting
    page.mouse.up()
    expect(page.locator(".viewer-tiles[data-drawn]")).to_be_visible()
    # Levels that are no finer than the rendition of 1920 pixels are left out.
    regions = [unquote(path).rsplit("/", 1)[1].split("_")[0].split(",") for path in tiles]
    assert {int(region[2]) <= 1024 for region in regions} == {True}
    page.keyboard.press("0")
    wait_for_width(page, fitting - 1, fitting + 1)
    expect(layer).to_be_hidden()

    for _ in range(8):
        page.keyboard.press("+")
    wait_for_width(page, SIZE[0] - 2, SIZE[0] + 2)
    expect(page.locator(".viewer-tiles[data-drawn]")).to_be_visible()
    wait_until(lambda: measure_contrast(page) > 200, what="the stripes are not sharp")
    assert set(tiles.values()) == {200}
    assert any(unquote(path).endswith("_512,512.webp") for path in tiles)
    assert seen.find_faults() == []
    page.keyboard.press("Escape")
    wait_for_width(page, fitting - 1, fitting + 1)
    wait_until(lambda: measure_contrast(page) < 150, what="the rendition is not shown")
    expect(page.locator(".pswp--open")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator(".pswp")).to_have_count(0)
