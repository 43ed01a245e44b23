"""From pictures in a drive or on a computer to a group in the public gallery."""

import re
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page, expect

from imagehub.models import Group
from tests.fixtures.browser import Visit
from tests.fixtures.served_site import ServedSite, make_picture, wait_for_script

MOST_CLICKS = 6


def see_works(page: Page, served: ServedSite, *titles: str) -> None:
    """Wait until the gallery shows exactly these works, each with its picture."""
    wall = page.locator("main a[href*='/groups/']:has(img)")
    for _ in range(300):
        page.goto(served.url)
        if wall.count() == len(titles):
            break
        page.wait_for_timeout(200)
    expect(wall).to_have_count(len(titles))
    for title in titles:
        expect(page.get_by_role("link", name=re.compile(re.escape(title))).first).to_be_visible()
    picture = wall.locator("img").first
    page.wait_for_function(
        "image => image.complete && image.naturalWidth > 0", arg=picture.element_handle()
    )


def test_selected_files_and_folders_become_works(
    served_site: ServedSite, visit: Callable[..., Visit]
) -> None:
    site = served_site.site
    site.put_files("Studio", {f"mill-{n}.jpg": make_picture(n) for n in range(2)})
    site.put_files("", {f"quay-{n}.jpg": make_picture(10 + n) for n in range(3)})
    page = served_site.enter("/admin/drive").page
    for name in ("Studio", "quay-0.jpg", "quay-2.jpg"):
        page.get_by_role("checkbox", name=name).check()
    page.get_by_role("button", name="Import", exact=True).click()
    page.wait_for_url("**/admin/import/plans/*")
    wait_for_script(page)
    expect(page.locator('[data-included="4"]')).to_be_visible()
    page.get_by_label("Group by").select_option("stem")
    page.get_by_role("button", name="Regroup").click()
    page.get_by_role("dialog").get_by_role("button", name="Regroup").click()
    expect(page.get_by_label("Title of group 1")).to_have_value("Quay")
    names = page.locator(".bin:not(.bin-new)").first.locator(".card-name")
    expect(names).to_have_text(["quay-0.jpg", "quay-2.jpg"])
    with site.working():
        page.get_by_role("button", name="Import 4 files").click()
        expect(page.get_by_text("4 images imported.").first).to_be_visible(timeout=60_000)
    see_works(visit(served_site.url).page, served_site, "Quay", "Mill")


class ClickCounter:
    """Perform a person's clicks, and count them."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.click_count = 0
        # Like Firefox and Safari: a file dialog that Playwright can control.
        page.evaluate("delete Window.prototype.showOpenFilePicker; delete showOpenFilePicker")

    def click(self, role: str, name: str) -> None:
        self.click_count += 1
        self.page.get_by_role(role, name=name, exact=True).click()  # type: ignore[arg-type]

    def choose_files(self, role: str, name: str, files: list[Path]) -> None:
        """Click a button that opens the file dialog, and choose files in it."""
        with self.page.expect_file_chooser() as chooser:
            self.click(role, name)
        self.click_count += 1
        chooser.value.set_files(files)


def test_publishing_takes_at_most_six_clicks(
    served_site: ServedSite, visit: Callable[..., Visit], tmp_path: Path
) -> None:
    files = []
    for n in range(3):
        files.append(tmp_path / f"harbour {n}.jpg")
        files[-1].write_bytes(make_picture(n))
    with served_site.site.working():
        page = served_site.enter("/admin/drive").page
        clicks = ClickCounter(page)
        clicks.choose_files("button", "Upload", files)
        clicks.click("checkbox", "Import when uploaded")
        expect(page.locator("#uploads")).to_contain_text("3 images are being imported")
        stranger = visit(served_site.url).page
        see_works(stranger, served_site, "")
        stranger.locator("main a[href*='/groups/']:has(img)").first.click()
        stranger.wait_for_url(re.compile(r"/groups/"))
        expect(stranger.locator("main img").first).to_be_visible()
    assert clicks.click_count <= MOST_CLICKS
    with served_site.site.session() as session:
        assert [group.image_count for group in session.query(Group)] == [3]


def test_publishing_through_a_plan_takes_at_most_six_clicks(
    served_site: ServedSite, visit: Callable[..., Visit], tmp_path: Path
) -> None:
    file = tmp_path / "harbour.jpg"
    file.write_bytes(make_picture(1))
    with served_site.site.working():
        page = served_site.enter("/admin/drive").page
        clicks = ClickCounter(page)
        clicks.choose_files("button", "Upload", [file])
        expect(page.locator("#uploads h2")).to_have_text("1 file uploaded", timeout=60_000)
        clicks.click("checkbox", "Select harbour.jpg")
        clicks.click("button", "Import")
        page.wait_for_url("**/admin/import/plans/*")
        clicks.click("button", "Import 1 file")
        page.wait_for_url(re.compile(r"/admin/import/\d+$"))
        see_works(visit(served_site.url).page, served_site, "")
    assert clicks.click_count <= MOST_CLICKS
