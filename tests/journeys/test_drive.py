"""The drive browser in Chromium: by mouse, by keyboard alone, and with thousands of files."""

import re
from unicodedata import normalize

import pytest
from playwright.sync_api import Page, Route, expect

from imagehub.models import WatchedFolder
from tests.admin.drive import ODD_NAMES, add_image
from tests.fixtures.served_site import ServedSite, make_picture


@pytest.fixture
def served(served_site: ServedSite) -> ServedSite:
    served_site.site.put_files("Works", {f"shot {n}.jpg": make_picture(n) for n in range(1, 12)})
    served_site.site.put_files("Works/Details", {"edge.jpg": make_picture(40)})
    served_site.site.put_files("Old", {"list.txt": b"one, two"})
    return served_site


def names(page: Page) -> list[str]:
    return page.locator(".item-name").all_inner_texts()


def open_works(served: ServedSite) -> Page:
    page = served.enter().page
    page.locator(".item-name", has_text="Works").click()
    expect(page.locator("#drive-title")).to_have_text("Works")
    return page


def test_folders_open_without_page_loads_and_back_works(
    served: ServedSite,
) -> None:
    page = open_works(served)
    page.evaluate("window.isSamePage = true")
    assert names(page)[:4] == ["Details", "shot 1.jpg", "shot 2.jpg", "shot 3.jpg"]
    page.locator(".item-name", has_text="Details").click()
    expect(page.locator("#drive-title")).to_have_text("Details")
    expect(page.locator("#crumbs")).to_have_text(re.compile(r"OneDrive\s*Works"))
    page.go_back()
    expect(page.locator("#drive-title")).to_have_text("Works")
    page.locator("#crumbs a").first.click()
    expect(page.locator("#drive-title")).to_have_text("OneDrive")
    assert page.evaluate("window.isSamePage") is True
    page.go_back()
    page.reload()
    expect(page.locator("#drive-title")).to_have_text("Works")


def test_a_folder_that_was_opened_without_a_page_load_is_watched(served: ServedSite) -> None:
    page = open_works(served)
    page.locator("#watch summary").click()
    page.locator("#watch-way").select_option("stem")
    page.locator("#watch button").click()
    expect(page.locator("#watched")).to_be_visible()
    expect(page.locator("#watch")).to_be_hidden()
    page.locator(".item-name", has_text="Details").click()
    expect(page.locator("#drive-title")).to_have_text("Details")
    expect(page.locator("#watched")).to_be_hidden()
    expect(page.locator("#watch")).to_be_visible()
    page.go_back()
    expect(page.locator("#watched")).to_be_visible()
    with served.site.session() as session:
        [watched] = session.query(WatchedFolder)
        assert (watched.path, watched.way) == ("Works", "stem")
    page.locator("#watched button").click()
    expect(page.locator("#watch")).to_be_visible()


def test_skipping_to_the_content_keeps_the_folder(served: ServedSite) -> None:
    page = open_works(served)
    page.fill("#drive-words", "shot 1")
    expect(page.locator(".item-name")).to_have_count(3)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    skip = page.get_by_role("link", name="Skip to content")
    skip.focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/*#*")
    page.go_back()
    page.wait_for_url(re.compile("^[^#]*$"))
    # Nothing is requested twice after that.
    page.locator("#crumbs a").first.click()
    expect(page.locator("#drive-title")).to_have_text("OneDrive")
    assert len([url for url in asked if "/admin/drive" in url and "thumbnail" not in url]) == 1
    page.go_back()
    expect(page.locator("#drive-title")).to_have_text("Works")


def test_a_file_is_renamed_in_place_and_undone(served: ServedSite) -> None:
    visit = served.enter("/admin/drive")
    page = visit.page
    page.locator(".item-name", has_text="Works").click()
    row = page.locator(".item", has_text="shot 2.jpg")
    row.hover()
    row.get_by_role("button", name="Rename shot 2.jpg").click()
    field = page.get_by_label("New name of shot 2.jpg")
    expect(field).to_be_focused()
    field.fill("bad:name.jpg")
    field.press("Enter")
    expect(page.locator(".item-fault")).to_contain_text("does not allow")
    field.fill("Harbour.jpg")
    field.press("Enter")
    expect(page.locator(".item-name", has_text="Harbour.jpg")).to_be_focused()
    works = served.onedrive.root / "Works"
    assert (works / "Harbour.jpg").exists()
    page.locator(".toast").get_by_role("button", name="Undo").click()
    expect(page.locator(".item-name", has_text="shot 2.jpg")).to_be_visible()
    assert (works / "shot 2.jpg").exists()
    visit.complaints.clear()  # the browser logs the 422


def test_files_are_moved_by_the_dialog_and_undone(served: ServedSite) -> None:
    page = open_works(served)
    for n in (1, 3):
        page.get_by_label(f"Select shot {n}.jpg").check()
    expect(page.locator("#chosen-words")).to_have_text("2 selected")
    page.get_by_role("button", name="Move", exact=True).click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Move 2 items to")
    dialog.get_by_role("button", name="Parent folder").click()
    dialog.get_by_role("button", name="Old", exact=True).click()
    expect(dialog).to_contain_text("OneDrive / Old")
    dialog.get_by_role("button", name="Move here").click()
    expect(page.locator(".toast")).to_contain_text("2 items were moved to “Old”")
    assert (served.onedrive.root / "Old" / "shot 3.jpg").exists()
    page.locator(".toast").get_by_role("button", name="Undo").click()
    expect(page.locator(".item", has_text="shot 3.jpg")).to_be_visible()
    assert not (served.onedrive.root / "Old" / "shot 3.jpg").exists()


def test_selected_items_are_moved_by_dragging_onto_a_folder(served: ServedSite) -> None:
    page = open_works(served)
    for n in (1, 3):
        page.get_by_label(f"Select shot {n}.jpg").check()
    page.locator(".item", has_text="shot 3.jpg").drag_to(
        page.locator(".item", has_text="Details"), source_position={"x": 200, "y": 10}
    )
    expect(page.locator(".toast")).to_contain_text("2 items were moved to “Details”")
    expect(page.locator(".item", has_text="shot 3.jpg")).to_have_count(0)
    details = served.onedrive.root / "Works" / "Details"
    assert sorted(path.name for path in details.iterdir()) == [
        "edge.jpg",
        "shot 1.jpg",
        "shot 3.jpg",
    ]


def test_deleting_asks_first_and_names_published_works(served: ServedSite) -> None:
    page = served.enter().page
    works = page.locator(".item", has_text="Works")
    works_id = works.get_attribute("data-id")
    listed = page.request.get(
        f"{served.url}/admin/drive/{works_id}", headers={"Accept": "application/json"}
    ).json()
    shot = next(item for item in listed["items"] if item["name"] == "shot 1.jpg")
    add_image(served.site, shot["id"], title="Boats at noon")
    works.get_by_role("checkbox").check()
    page.get_by_role("button", name="Delete", exact=True).click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("2 folders with 12 files")
    expect(dialog).to_contain_text(
        "1 image was imported from there, in 1 group. All of this is published"
    )
    expect(dialog).to_contain_text("Boats at noon")
    dialog.get_by_role("button", name="Cancel").click()
    assert (served.onedrive.root / "Works").exists()
    page.get_by_role("button", name="Delete", exact=True).click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.locator(".item", has_text="Works")).to_have_count(0)
    assert not (served.onedrive.root / "Works").exists()
    toast = page.locator(".toast")
    expect(toast).to_contain_text(
        "1 item is now in the OneDrive recycle bin and stays there for 30 days"
    )
    expect(toast.get_by_role("link", name="Open recycle bin")).to_have_attribute(
        "href", "https://onedrive.live.com/?v=recyclebin"
    )
    toast.get_by_role("button", name="Undo").click()
    expect(page.locator(".item", has_text="Works")).to_be_visible()
    assert (served.onedrive.root / "Works" / "Details" / "edge.jpg").exists()


def test_an_undo_refused_by_onedrive_links_to_its_recycle_bin(served: ServedSite) -> None:
    visit = served.enter()
    page = visit.page
    page.get_by_label("Select Old").check()
    page.get_by_role("button", name="Delete", exact=True).click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    served.onedrive.set_fault("status", status=403, method="POST", path="restore")
    page.locator(".toast").get_by_role("button", name="Undo").click()
    fault = page.locator(".toast.is-fault")
    expect(fault).to_contain_text("was not restored: OneDrive does not permit this.")
    expect(fault.get_by_role("link", name="Open recycle bin")).to_be_visible()


def test_boxes_checked_before_the_script_loads_stay_checked(served: ServedSite) -> None:
    # Requests cannot be held if a service worker answers them.
    page = served.enter(service_workers="block").page
    held: list[Route] = []
    script = re.compile(r"/js/admin/drive\.js")
    page.route(script, lambda route: held.append(route))
    with page.expect_request(script):
        page.goto(page.url, wait_until="commit")
    page.get_by_label("Select Works").check()
    assert held and page.locator(".drive-uploading").is_hidden(), "the script was there already"
    held[0].continue_()
    expect(page.locator("#chosen-words")).to_have_text("1 selected")
    expect(page.get_by_label("Select Works")).to_be_checked()
    page.unroute(script)
    # After returning from another page, the checked boxes and the count agree.
    page.get_by_role("link", name="Settings").click()
    expect(page.locator("h1")).to_have_text("Settings")
    page.go_back()
    expect(page.locator("#drive-state")).to_have_text("2 items")
    ticked = page.locator(".item-check input:checked").count()
    expect(page.locator("#chosen-words")).to_have_text("1 selected" if ticked else "Select all")


def test_everything_works_with_the_keyboard_alone(served: ServedSite) -> None:
    page = served.enter().page
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    expect(page.locator(".item-name", has_text="Works")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#drive-title")).to_have_text("Works")
    expect(page.locator(".item-name").first).to_be_focused()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("F2")
    page.keyboard.type("front")
    page.keyboard.press("Enter")
    expect(page.locator(".item-name", has_text="front.jpg")).to_be_focused()
    # The renamed file has moved to its place in the order, before "shot 2".
    page.keyboard.press("x")
    page.keyboard.press("Shift+ArrowDown")
    expect(page.locator("#chosen-words")).to_have_text("2 selected")
    page.keyboard.press("m")
    expect(page.get_by_role("dialog")).to_contain_text("Move 2 items to")
    page.get_by_role("dialog").get_by_role("button", name="Details").press("Enter")
    expect(page.get_by_role("dialog")).to_contain_text("Works / Details")
    page.get_by_role("button", name="Move here").press("Enter")
    expect(page.locator(".item-name", has_text="front.jpg")).to_have_count(0)
    details = served.onedrive.root / "Works" / "Details"
    assert (details / "front.jpg").exists()
    assert (details / "shot 2.jpg").exists()
    page.keyboard.press("n")
    expect(page.locator("#new-name")).to_be_focused()
    page.keyboard.type("Sketches")
    page.keyboard.press("Enter")
    expect(page.locator(".item-name", has_text="Sketches")).to_be_focused()
    page.keyboard.press("Delete")
    expect(page.get_by_role("dialog")).to_contain_text("Delete “Sketches”?")
    page.get_by_role("dialog").get_by_role("button", name="Delete").press("Enter")
    expect(page.locator(".item-name", has_text="Sketches")).to_have_count(0)
    page.keyboard.press("Backspace")
    expect(page.locator("#drive-title")).to_have_text("OneDrive")
    expect(page.locator(".item-name", has_text="Works")).to_be_focused()


def test_a_file_is_previewed_with_its_location(served: ServedSite) -> None:
    page = open_works(served)
    page.locator(".item-name", has_text="shot 4.jpg").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.locator("h2")).to_have_text("shot 4.jpg")
    assert (
        dialog.locator("img").evaluate("(img) => img.decode().then(() => img.naturalWidth)") > 100
    )
    page.keyboard.press("ArrowRight")
    expect(dialog.locator("h2")).to_have_text("shot 5.jpg")
    page.keyboard.press("Escape")
    expect(page.locator(".item-name", has_text="shot 5.jpg")).to_be_focused()


def test_thousands_of_files_are_loaded_and_drawn_as_needed(
    served: ServedSite,
) -> None:
    served.site.put_files("Many", {f"{n:05}.txt": b"x" * (n % 7) for n in range(2300)})
    page = served.enter().page
    page.locator(".item-name", has_text="Many").click()
    expect(page.locator("#drive-state")).to_have_text("2,300 items")
    assert page.locator(".item").count() <= 150
    page.locator(".item-name").first.press("End")
    expect(page.locator(".item-name", has_text="02299.txt")).to_be_focused()
    assert page.locator(".item").count() < 150
    page.fill("#drive-words", "0222")
    expect(page.locator("#drive-state")).to_have_text("11 of 2,300 items")
    assert names(page) == ["00222.txt", *(f"0222{n}.txt" for n in range(10))]
    page.fill("#drive-words", "")
    page.select_option("#drive-sort", "largest")
    expect(page.locator(".item-name").first).to_have_text("00006.txt")
    page.get_by_label("Select all").check()
    expect(page.locator("#chosen-words")).to_have_text("2,300 selected")


def test_the_drive_page_passes_axe(served: ServedSite) -> None:
    visit = served.enter()
    visit.page.locator(".item-name", has_text="Works").click()
    expect(visit.page.locator(".item-name", has_text="Details")).to_be_focused()
    assert visit.find_faults() == []
    visit.page.locator("[data-view=grid]").click()
    visit.page.get_by_label("Select shot 1.jpg").check(force=True)
    assert visit.find_faults() == []
    visit.page.get_by_role("button", name="Move", exact=True).click()
    expect(visit.page.get_by_role("dialog")).to_be_visible()
    assert visit.find_faults() == []


@pytest.mark.parametrize("has_script", [True, False])
def test_odd_names_have_the_same_order_with_and_without_a_script(
    served: ServedSite, has_script: bool
) -> None:
    served.site.put_files("Odd", {name: b"x" for name in ODD_NAMES})
    page = served.enter("/admin/drive", java_script_enabled=has_script).page
    page.locator(".item-name", has_text="Odd").click()
    expect(page.locator("#drive-title")).to_have_text("Odd")
    assert names(page) == list(ODD_NAMES)
    page.select_option("#drive-sort", "name-down")
    if not has_script:
        page.get_by_role("button", name="Show").click()
    expect(page.locator(".item-name").first).to_have_text(ODD_NAMES[-1])
    assert names(page) == list(ODD_NAMES)[::-1]


@pytest.mark.parametrize("has_script", [True, False])
def test_a_name_is_found_in_any_encoding_of_accents(served: ServedSite, has_script: bool) -> None:
    name = normalize("NFD", "Öl auf Holz.txt")
    served.site.put_files("Mac", {name: b"x", "Aquarell.txt": b"x"})
    page = served.enter("/admin/drive", java_script_enabled=has_script).page
    page.locator(".item-name", has_text="Mac").click()
    expect(page.locator("#drive-title")).to_have_text("Mac")
    page.fill("#drive-words", normalize("NFC", "öl"))
    if not has_script:
        page.get_by_role("button", name="Show").click()
    expect(page.locator(".item-name")).to_have_text([name])


def test_an_address_with_a_filter_shows_what_fits(served: ServedSite) -> None:
    page = served.enter("/admin/drive").page
    page.get_by_role("link", name="Works").click()
    expect(page.get_by_role("heading", name="Works")).to_be_visible()
    address = f"{page.url}?q=shot+11"
    # The script reads the folder anew, since the page holds only what fits.
    with page.expect_response(lambda answer: answer.request.resource_type == "fetch"):
        page.goto(address)
    expect(page.locator("#entries")).not_to_have_attribute("aria-busy", "true")
    expect(page.locator(".item-name")).to_have_text(["shot 11.jpg"])
    expect(page.locator("#drive-words")).to_have_value("shot 11")


def test_the_drive_browser_works_without_a_script(served: ServedSite) -> None:
    visit = served._visit(f"{served.url}/sign-in?next=/admin/drive", java_script_enabled=False)
    page = visit.page
    page.fill("[name=name]", "Ada")
    page.fill("[name=password]", "correct horse battery")
    page.press("[name=password]", "Enter")
    page.get_by_role("link", name="Works").click()
    page.get_by_label("Select shot 1.jpg").check()
    page.get_by_role("button", name="Rename").click()
    page.fill("[name=name]", "First.jpg")
    page.locator("main").get_by_role("button", name="Rename").click()
    expect(page.locator(".toast")).to_contain_text("was renamed to “First.jpg”")
    page.get_by_label("Select First.jpg").check()
    page.get_by_role("button", name="Move").click()
    page.get_by_role("button", name="Details").click()
    page.get_by_role("button", name="Move here").click()
    expect(page.locator(".toast")).to_contain_text("1 item was moved")
    page.select_option("#drive-sort", "name-down")
    page.get_by_role("button", name="Show").click()
    page.wait_for_url("**sort=name-down**")
    assert names(page)[1] == "shot 11.jpg"
    page.get_by_label("Select shot 11.jpg").check()
    page.get_by_role("button", name="Delete").click()
    expect(page.locator("main")).to_contain_text("1 file")
    page.get_by_role("button", name="Delete").click()
    expect(page.locator(".toast")).to_contain_text("recycle bin")
    assert not (served.onedrive.root / "Works" / "shot 11.jpg").exists()


def test_a_file_without_a_thumbnail_shows_an_icon_without_a_script(served: ServedSite) -> None:
    served.site.put_files("Cut", {"cut.jpg": b"\xff\xd8\xff\xe0 cut"})
    page = served.enter("/admin/drive", java_script_enabled=False).page
    page.get_by_role("link", name="Cut").click()
    picture = page.locator(".item-picture img")
    # This fails if the browser shows its icon for a broken picture.
    height = picture.evaluate("async (one) => { await one.decode(); return one.clientHeight; }")
    assert 0 < height <= 52
    expect(page.locator(".item-picture .icon")).to_be_hidden()
