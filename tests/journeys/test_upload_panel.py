"""The upload panel: keyboard focus, and input that is faster than the page."""

from pathlib import Path

from playwright.sync_api import expect

from tests.fixtures.holding import hold
from tests.fixtures.served_site import ServedSite
from tests.journeys.test_upload import done, make_files, read_drive


def test_the_focus_stays_in_the_uploads_until_they_are_closed(
    served_site: ServedSite, tmp_path: Path
) -> None:
    files = make_files(tmp_path / "desk", 3)
    for path in files[:2]:
        (served_site.onedrive.root / path.name).write_bytes(b"the old one")
    page = served_site.enter(service_workers="block").page
    held = hold(page, "/upload/begin$", has_answers=True)
    page.set_input_files("#pick-files", files)
    held.wait(3)
    page.get_by_role("button", name="Cancel: shot 02.jpg").press("Enter")
    expect(page.locator(".upload")).to_have_count(2)
    expect(page.get_by_role("button", name="Pause: shot 01.jpg")).to_be_focused()
    held.let_go()
    note = page.locator("#uploads .note")
    expect(note).to_contain_text("2 names are already taken in the folder")
    note.get_by_role("button", name="Keep both").focus()
    page.locator(".upload").first.get_by_role("button", name="Skip").evaluate(
        "(one) => one.click()"
    )
    expect(note).to_contain_text("1 name is already taken in the folder")
    expect(note.get_by_role("button", name="Keep both")).to_be_focused()
    page.keyboard.press("Enter")
    done(page, 1)
    page.locator("#uploads").get_by_role("button", name="Close").press("Enter")
    expect(page.locator("#uploads")).to_be_hidden()
    expect(page.get_by_role("button", name="Upload", exact=True)).to_be_focused()


def test_a_click_counts_although_the_question_changes(
    served_site: ServedSite, tmp_path: Path
) -> None:
    files = make_files(tmp_path / "desk", 2)
    for path in files:
        (served_site.onedrive.root / path.name).write_bytes(b"the old one")
    page = served_site.enter(service_workers="block").page
    page.set_input_files("#pick-files", files)
    note = page.locator("#uploads .note")
    expect(note).to_contain_text("2 names are already taken in the folder")
    note.get_by_role("button", name="Replace").hover()
    page.mouse.down()
    page.locator(".upload").first.get_by_role("button", name="Skip").evaluate(
        "(one) => one.click()"
    )
    page.wait_for_timeout(300)
    page.mouse.up()
    done(page, 1)
    assert sorted(read_drive(served_site).values()) == sorted(
        [b"the old one", files[1].read_bytes()]
    )


# Simulates a busy disk: the database takes a while to open.
SLOW_DATABASE = """Object.defineProperty(IDBOpenDBRequest.prototype, "onsuccess", {
    set(tell) {
        this.addEventListener("success", (event) => setTimeout(() => {
            tell(event);
            window.isOpen = true;
        }, 1500));
    },
})"""


def test_files_added_before_indexeddb_opens_survive_a_reload(
    served_site: ServedSite, tmp_path: Path
) -> None:
    (file,) = make_files(tmp_path / "desk", 1)
    page = served_site.enter(service_workers="block").page
    page.on("dialog", lambda dialog: dialog.accept())
    page.context.add_init_script(SLOW_DATABASE)
    page.reload()
    held = hold(page, "/upload/begin$")
    page.set_input_files("#pick-files", file)
    assert not page.evaluate("window.isOpen")
    held.wait()
    page.wait_for_function("() => window.isOpen")
    held.forget()
    page.reload()
    done(page, 1)
    assert read_drive(served_site) == {file.name: file.read_bytes()}
