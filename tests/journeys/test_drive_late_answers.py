"""The drive browser when answers are late or out of order."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.fixtures.browser import Visit
from tests.fixtures.holding import hold
from tests.fixtures.served_site import ServedSite, make_picture


@pytest.fixture
def served(served_site: ServedSite) -> ServedSite:
    served_site.site.put_files("Works", {f"shot {n}.jpg": make_picture(n) for n in range(1, 6)})
    served_site.site.put_files("Works/Details", {"edge.jpg": make_picture(40)})
    served_site.site.put_files("Old", {"list.txt": b"one, two"})
    return served_site


def enter(served: ServedSite, folder: str = "") -> Visit:
    """Open the drive or a folder without a service worker, to hold requests."""
    visit = served.enter(service_workers="block")
    visit.page.on("dialog", lambda dialog: dialog.accept())
    if folder:
        open_folder(visit.page, folder)
    return visit


def open_folder(page: Page, name: str) -> None:
    page.locator(".item-name", has_text=name).click()
    expect(page.locator("#drive-title")).to_have_text(name)


def find_id(page: Page, name: str) -> str:
    return str(page.locator(".item", has_text=name).get_attribute("data-id"))


def list_names(page: Page) -> list[str]:
    return page.locator(".item-name").all_inner_texts()


def move_into(page: Page, name: str, folder: str) -> None:
    """Move a file into a folder beside it; the open folder is reloaded afterwards."""
    page.get_by_label(f"Select {name}").check()
    page.get_by_role("button", name="Move", exact=True).click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name=folder, exact=True).click()
    dialog.get_by_role("button", name="Move here").click()
    expect(page.locator(".toast", has_text="1 item was moved")).to_be_visible()


def delete(page: Page, name: str) -> None:
    page.get_by_label(f"Select {name}").check()
    page.get_by_role("button", name="Delete", exact=True).click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.locator(".toast", has_text="recycle bin")).to_be_visible()


def upload(page: Page, name: str) -> None:
    file = {"name": name, "mimeType": "image/jpeg", "buffer": make_picture(7)}
    page.set_input_files("#pick-files", file)


# --- Opening another folder -----------------------------------------------------------------------


def test_a_folder_opens_while_the_previous_one_is_reloading(served: ServedSite) -> None:
    page = enter(served, "Works").page
    details = find_id(page, "Details")
    held = hold(page, rf"/admin/drive/{details}$")
    page.locator(".item-name", has_text="Details").click()
    held.wait()
    with page.expect_response(re.compile(r"/admin/drive/[^/]+$")):
        move_into(page, "shot 1.jpg", "Details")
    held.let_go()
    expect(page.locator("#drive-title")).to_have_text("Details")
    expect(page.locator(".item-name")).to_have_text(["edge.jpg", "shot 1.jpg"])


def test_changes_in_the_previous_folder_do_not_appear_in_the_next(
    served: ServedSite,
) -> None:
    page = enter(served, "Works").page
    renamed = hold(page, "/admin/drive/rename$", has_answers=True)
    made = hold(page, "/admin/drive/new-folder$", has_answers=True)
    page.locator("#new-folder-box > summary").click()
    page.get_by_label("Name of the new folder").fill("Sketches")
    page.get_by_label("Name of the new folder").press("Enter")
    made.wait()
    page.locator(".item-name", has_text="shot 1.jpg").press("F2")
    page.keyboard.type("Harbour")
    # Leaving saves the name, so both requests are pending at once.
    page.locator("#crumbs a").first.click()
    expect(page.locator("#drive-title")).to_have_text("OneDrive")
    renamed.let_go()
    # Focused, the toast stays however long the rest takes.
    undo = page.locator(".toast", has_text="Harbour").get_by_role("button", name="Undo")
    undo.focus()
    made.let_go()
    expect(page.locator(".toast", has_text="The folder “Sketches” was created")).to_be_visible()
    page.locator("#drive-sort").select_option("name-down")
    expect(page.locator(".item-name")).to_have_text(["Works", "Old"])
    undo.click()
    expect(page.locator(".toast", has_text="Harbour")).to_have_count(0)
    expect(page.locator(".item-name")).to_have_text(["Works", "Old"])
    assert (served.onedrive.root / "Works" / "shot 1.jpg").exists()
    assert (served.onedrive.root / "Works" / "Sketches").is_dir()


def test_a_refused_name_is_reported_after_leaving_the_folder(served: ServedSite) -> None:
    visit = enter(served, "Works")
    page = visit.page
    held = hold(page, "/admin/drive/rename$")
    page.locator(".item-name", has_text="shot 1.jpg").press("F2")
    page.keyboard.type("what: why")
    page.locator("#crumbs a").first.click()
    expect(page.locator("#drive-title")).to_have_text("OneDrive")
    held.let_go()
    expect(page.locator(".toast.is-fault")).to_contain_text("“shot 1.jpg” was not renamed:")
    visit.complaints.clear()  # the browser logs the 422


def test_selecting_all_does_not_carry_over_to_another_folder(served: ServedSite) -> None:
    served.site.put_files("Many", {f"{n:04}.txt": b"x" for n in range(1200)})
    page = enter(served, "Many").page
    held = hold(page, "/items")
    page.get_by_label("Select all").click()
    held.wait()
    page.locator("#crumbs a").first.click()
    expect(page.locator("#drive-title")).to_have_text("OneDrive")
    held.let_go()
    with page.expect_request_finished(lambda request: "/items" in request.url):
        page.go_back()
    expect(page.locator("#drive-title")).to_have_text("Many")
    expect(page.locator("#chosen-words")).to_have_text("Select all")


def test_selecting_all_includes_files_that_load_later(served: ServedSite) -> None:
    served.site.put_files("Many", {f"{n:04}.txt": b"x" for n in range(1200)})
    page = enter(served, "Many").page
    held = hold(page, "/items")
    everything = page.get_by_label("Select all")
    everything.check()
    held.wait()
    # Sorting redraws the folder, which must not undo the selection.
    page.locator("#drive-sort").select_option("newest")
    page.locator("#drive-sort").select_option("name")
    expect(everything).to_be_checked()
    held.let_go()
    expect(page.locator("#chosen-words")).to_have_text("1,200 selected")
    expect(everything).to_be_checked()
    everything.uncheck()
    expect(page.locator("#chosen-words")).to_have_text("Select all")


def test_a_folder_is_loaded_fully_after_opening_another_failed(served: ServedSite) -> None:
    served.site.put_files("Many", {f"{n:04}.txt": b"x" for n in range(1200)})
    visit = enter(served, "Many")
    page = visit.page
    items, root = hold(page, "/items"), hold(page, r"/admin/drive$")
    page.locator(".item-name").first.press("End")
    items.wait()
    page.locator("#crumbs a").first.click()
    root.wait()
    items.let_go()
    root.break_off()
    expect(page.locator(".toast.is-fault")).to_contain_text("ImageHub cannot be reached")
    expect(page.locator("#drive-state")).to_have_text("1,200 items")
    page.get_by_label("Select all").check()
    expect(page.locator("#chosen-words")).to_have_text("1,200 selected")
    visit.complaints.clear()  # the browser logs the network failure


def test_a_partly_loaded_folder_says_so_and_can_be_continued(
    served: ServedSite,
) -> None:
    served.site.put_files("Many", {f"{n:04}.txt": b"x" for n in range(1200)})
    visit = enter(served)
    page = visit.page
    held = hold(page, "/items")
    open_folder(page, "Many")
    held.wait()
    held.break_off()
    expect(page.locator("#drive-state")).to_have_text("100 of 1,200 read")
    # Another attempt may fail, too, and then not all files are selected.
    held = hold(page, "/items")
    page.get_by_label("Select all").click()
    held.wait()
    held.break_off()
    expect(page.locator(".toast.is-fault")).to_have_count(2)
    expect(page.locator("#chosen-words")).to_have_text("Select all")
    again = page.locator("#drive-unread").get_by_role("button", name="Retry")
    again.click()
    expect(page.locator("#drive-state")).to_have_text("1,200 items")
    expect(again).to_be_hidden()
    page.get_by_label("Select all").check()
    expect(page.locator("#chosen-words")).to_have_text("1,200 selected")
    visit.complaints.clear()  # the browser logs the network failure


def test_dropped_files_go_to_the_folder_they_were_dropped_on(
    served: ServedSite,
) -> None:
    page = enter(served, "Works").page
    page.evaluate(
        """() => {
          DataTransferItem.prototype.getAsFileSystemHandle = () =>
            new Promise((resolve) => { window.finish = () => resolve(null); });
          const transfer = new DataTransfer();
          transfer.items.add(new File(["dropped bytes"], "dropped.txt"));
          document.querySelector("#entries").dispatchEvent(
            new DragEvent("drop", { dataTransfer: transfer, bubbles: true, cancelable: true }));
        }"""
    )
    page.locator("#crumbs a").first.click()
    expect(page.locator("#drive-title")).to_have_text("OneDrive")
    page.evaluate("window.finish()")
    expect(page.locator("#uploads h2")).to_have_text("1 file uploaded")
    assert (served.onedrive.root / "Works" / "dropped.txt").read_bytes() == b"dropped bytes"


def test_boxes_checked_before_the_folder_is_loaded_stay_checked(served: ServedSite) -> None:
    page = enter(served).page
    # The page contains a part of the folder; the script requests all of it.
    held = hold(page, r"/admin/drive/[^/?]+$")
    page.goto(f"{page.url}?sort=name-down")
    held.wait()
    page.get_by_label("Select Works").check()
    held.let_go()
    expect(page.locator("#chosen-words")).to_have_text("1 selected")
    expect(page.get_by_label("Select Works")).to_be_checked()


# --- Reloading the folder -------------------------------------------------------------------------


def test_an_old_listing_does_not_restore_deleted_files(
    served: ServedSite,
) -> None:
    page = enter(served, "Works").page
    held = hold(page, r"/admin/drive/[^/?]+$", "GET", has_answers=True)
    move_into(page, "shot 1.jpg", "Details")
    held.wait()
    delete(page, "shot 2.jpg")
    with page.expect_event(
        "requestfinished", lambda request: re.search(r"/admin/drive/[^/?]+$", request.url)
    ):
        held.let_go()
    # Only a later listing has the new number of items in Details.
    expect(page.locator(".item", has_text="Details")).to_contain_text("2 items")
    assert list_names(page) == ["Details", "shot 3.jpg", "shot 4.jpg", "shot 5.jpg"]


def test_the_focus_stays_on_its_row_when_files_arrive(served: ServedSite) -> None:
    page = enter(served, "Works").page
    row = page.locator(".item-name", has_text="shot 3.jpg")
    row.focus()
    upload(page, "new.jpg")
    expect(page.locator(".item-name", has_text="new.jpg")).to_be_visible()
    expect(row).to_be_focused()
    (served.onedrive.root / "Works" / "shot 3.jpg").unlink()
    upload(page, "newer.jpg")
    expect(row).to_have_count(0)
    expect(page.locator(".item-name", has_text="shot 4.jpg")).to_be_focused()


def test_an_open_preview_keeps_its_neighbours_when_files_arrive(
    served: ServedSite,
) -> None:
    page = enter(served, "Works").page
    # The file has changed, so that its row is redrawn.
    (served.onedrive.root / "Works" / "shot 4.jpg").write_bytes(make_picture(44, side=300))
    page.locator(".item-name", has_text="shot 4.jpg").click()
    upload(page, "new.jpg")
    expect(page.locator(".item-name", has_text="new.jpg")).to_be_attached()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("dialog").locator("h2")).to_have_text("shot 5.jpg")
    page.keyboard.press("Escape")
    expect(page.locator(".item-name", has_text="shot 5.jpg")).to_be_focused()


def test_files_that_arrive_during_renaming_are_shown_afterwards(served: ServedSite) -> None:
    page = enter(served, "Works").page
    page.clock.install()
    page.locator(".item-name", has_text="shot 3.jpg").press("F2")
    field = page.get_by_label("New name of shot 3.jpg")
    upload(page, "new.jpg")
    expect(page.locator("#uploads h2")).to_have_text("1 file uploaded")
    page.clock.fast_forward(3000)
    expect(field).to_be_focused()
    field.press("Escape")
    page.clock.fast_forward(3000)
    expect(page.locator(".item-name", has_text="new.jpg")).to_be_visible()


# --- Dialogs --------------------------------------------------------------------------------------


def test_a_key_pressed_twice_opens_one_dialog(served: ServedSite) -> None:
    page = enter(served, "Works").page
    held = hold(page, "/admin/drive/delete/plan$")
    page.locator(".item-name", has_text="shot 3.jpg").focus()
    page.keyboard.press("Delete")
    held.wait()
    expect(page.locator("#drive-state")).to_have_text("Checking what will be deleted…")
    page.keyboard.press("Delete")
    page.keyboard.press("m")
    held.let_go()
    expect(page.get_by_role("dialog")).to_contain_text("Delete “shot 3.jpg”?")
    expect(page.locator("#drive-state")).to_have_text("6 items")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.locator(".item-name", has_text="shot 3.jpg")).to_be_focused()


def test_files_are_moved_to_the_folder_chosen_last(served: ServedSite) -> None:
    page = enter(served, "Works").page
    details = find_id(page, "Details")
    page.get_by_label("Select shot 1.jpg").check()
    page.get_by_role("button", name="Move", exact=True).click()
    dialog = page.get_by_role("dialog")
    held = hold(page, rf"/admin/drive/folders\?folder={details}$")
    dialog.get_by_role("button", name="Details").click()
    held.wait()
    dialog.get_by_role("button", name="Move here").click()
    held.let_go()
    expect(page.locator(".toast")).to_contain_text("1 item was moved to “Details”")
    assert (served.onedrive.root / "Works" / "Details" / "shot 1.jpg").exists()


def test_changes_made_before_a_network_failure_can_be_undone(served: ServedSite) -> None:
    served.site.put_files("Dust", {f"{n:02}.txt": b"x" for n in range(12)})
    visit = enter(served, "Dust")
    page = visit.page
    page.get_by_label("Select all").check()
    page.get_by_role("button", name="Delete", exact=True).click()
    question = page.get_by_role("dialog")
    expect(question).to_contain_text("Delete 12 items?")
    held = hold(page, "/admin/drive/delete$")
    question.get_by_role("button", name="Delete").click()
    held.wait()
    # The first ten are deleted, then the network fails.
    first, _ = held.routes[0]
    first.continue_()
    held.wait(2)
    del held.routes[0]
    held.break_off()
    expect(page.locator(".toast.is-fault")).to_contain_text("ImageHub cannot be reached")
    expect(page.locator(".item")).to_have_count(2)
    toast = page.locator(".toast", has_text="10 items are now in the OneDrive recycle bin")
    toast.get_by_role("button", name="Undo").click()
    expect(page.locator(".item")).to_have_count(12)
    visit.complaints.clear()  # the browser logs the network failure


def test_the_drop_indicator_disappears_without_a_drag_leave_event(
    served: ServedSite,
) -> None:
    page = enter(served).page
    page.evaluate(
        """() => {
          const transfer = new DataTransfer();
          transfer.items.add(new File(["bytes"], "a.txt"));
          const row = document.querySelector(".item");
          for (const kind of ["dragenter", "dragover"]) {
            row.dispatchEvent(new DragEvent(kind, { dataTransfer: transfer, bubbles: true }));
          }
          row.remove();
        }"""
    )
    expect(page.locator("#drop-here")).to_be_visible()
    expect(page.locator("#drop-here")).to_be_hidden()
