"""Uploads in Chromium whose page, hub, session or file goes at the worst moment.

Each window is held open on purpose: by a fault of OneDrive, by an answer of the hub that is kept
back, or by a pause.
"""

import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, expect

from imagehub.domain.people import users
from tests.fixtures.holding import hold
from tests.fixtures.served_site import ServedSite, wait_for_script
from tests.fixtures.site import NAME, PASSWORD
from tests.journeys.test_upload import (
    FRAGMENT_BYTES,
    SHOWN_TO_PAGES,
    choose_again,
    done,
    make_files,
    read_drive,
)

SIZE = 3 * FRAGMENT_BYTES + 1234

# A file in the browser's own file system, which a page can keep a handle to and change.
WRITE = """async ([name, value, size]) => {
    const folder = await navigator.storage.getDirectory();
    const handle = await folder.getFileHandle(name, { create: true });
    const stream = await handle.createWritable();
    await stream.write(new Uint8Array(size).fill(value));
    await stream.close();
    window.showOpenFilePicker = async () => [handle];
}"""


@pytest.fixture
def page(served_site: ServedSite) -> Page:
    """The drive, on a page whose breaks of the network are on purpose, and whose leaving is agreed
    to."""
    visit = served_site.enter()
    visit.complaints = Forgetful()
    visit.page.on("dialog", lambda dialog: dialog.accept())
    return visit.page


class Forgetful(list[str]):
    """The browser notes each refused fragment in its console."""

    def append(self, text: str) -> None:
        assert "Error:" not in text or "Failed to load" in text, text


def pick(page: Page, name: str, value: int, size: int = SIZE) -> None:
    """Choose a file of bytes of one value, by the system's dialog."""
    page.evaluate(WRITE, [name, value, size])
    page.click("#upload-files")


def list_sessions(served: ServedSite) -> list[int]:
    """The statuses of all calls that asked for a session."""
    return [entry["status"] for entry in served.onedrive.log("POST", "createUploadSession")]


@pytest.fixture
def stop(served_site: ServedSite, page: Page) -> int:
    """The fault that refuses all but the first fragment of ``canvas.tif``, which has been sent."""
    fault = served_site.onedrive.set_fault(
        "status", status=503, skip=1, method="PUT", path="uploadSession"
    )
    pick(page, "canvas.tif", 1)
    expect(page.locator(".upload-words")).to_contain_text("MB of")
    return fault


# --- The file -------------------------------------------------------------------------------------


def test_a_file_that_changed_while_its_page_was_gone_is_not_mixed_with_what_was_sent(
    served_site: ServedSite, page: Page, stop: int
) -> None:
    page.evaluate(WRITE, ["canvas.tif", 2, SIZE])
    page.reload()
    served_site.onedrive.clear_faults(stop)
    done(page, 1)
    assert read_drive(served_site) == {"canvas.tif": bytes([2]) * SIZE}


def test_a_file_that_is_saved_anew_while_it_is_sent_is_sent_from_its_beginning(
    served_site: ServedSite, page: Page, stop: int
) -> None:
    page.evaluate(WRITE, ["canvas.tif", 2, SIZE + 5])
    served_site.onedrive.clear_faults(stop)
    done(page, 1)
    assert read_drive(served_site) == {"canvas.tif": bytes([2]) * (SIZE + 5)}


def test_a_file_that_is_gone_says_so_and_is_taken_up_when_it_is_back(
    served_site: ServedSite, page: Page, stop: int
) -> None:
    page.evaluate("async () => (await navigator.storage.getDirectory()).removeEntry('canvas.tif')")
    expect(page.locator(".upload-words")).to_contain_text("This file was moved or changed.")
    served_site.onedrive.clear_faults(stop)
    page.evaluate(WRITE, ["canvas.tif", 3, SIZE])
    page.get_by_role("button", name="Select again").click()
    done(page, 1)
    assert read_drive(served_site) == {"canvas.tif": bytes([3]) * SIZE}


def lose(page: Page, name: str, count: int = 1) -> None:
    """Take a file away that was picked, and so the uploads that need it."""
    page.evaluate(
        "async (name) => (await navigator.storage.getDirectory()).removeEntry(name)", name
    )
    expect(page.locator("#uploads .note")).to_contain_text(re.compile(f"^{count} files? must be"))


def test_a_file_that_is_chosen_again_goes_to_its_own_place_and_not_to_one_of_the_same_name(
    served_site: ServedSite, page: Page, tmp_path: Path
) -> None:
    for name in ("North", "South"):
        (served_site.onedrive.root / name).mkdir()
    fault = served_site.onedrive.set_fault("status", status=503, method="PUT", path="uploadSession")
    for count, name in enumerate(("North", "South"), 1):
        page.goto(f"{served_site.url}/admin/drive/path/{name}")
        pick(page, "front.tif", 1, 1000)
        expect(page.locator(".upload")).to_have_count(count)
    lose(page, "front.tif", 2)
    served_site.onedrive.clear_faults(fault)
    file = tmp_path / "front.tif"
    file.write_bytes(b"s" * 1000)
    choose_again(page, file)
    expect(page.locator("#uploads .note")).to_contain_text("1 file must be")
    assert read_drive(served_site, "South") == {"front.tif": b"s" * 1000}
    assert read_drive(served_site, "North") == {}
    # In another folder the only one that is missing is the one that is meant.
    file.write_bytes(b"n" * 1000)
    choose_again(page, tmp_path / "front.tif")
    done(page, 2)
    assert read_drive(served_site, "North") == {"front.tif": b"n" * 1000}


def test_a_file_that_could_be_either_of_two_is_put_under_neither(
    served_site: ServedSite, page: Page, tmp_path: Path
) -> None:
    served_site.onedrive.set_fault("status", status=503, method="PUT", path="uploadSession")
    (served_site.onedrive.root / "Works").mkdir()
    for count, path in enumerate(("/path/Works", ""), 1):
        page.goto(f"{served_site.url}/admin/drive{path}")
        pick(page, "front.tif", 1, 1000)
        expect(page.locator(".upload")).to_have_count(count)
    lose(page, "front.tif", 2)
    (served_site.onedrive.root / "Elsewhere").mkdir()
    page.goto(f"{served_site.url}/admin/drive/path/Elsewhere")
    file = tmp_path / "front.tif"
    file.write_bytes(b"s" * 1000)
    choose_again(page, file)
    expect(page.locator(".toast.is-fault")).to_contain_text(
        "1 file matches none of the missing files"
    )
    expect(page.locator(".upload[data-state=lost]")).to_have_count(2)


@pytest.mark.parametrize(
    ("name", "drive_name"), [("front.tif", "front.tif"), ("a*b.tif", "a_b.tif")]
)
def test_choosing_again_opens_the_dialog_where_the_browser_does_not_ask(
    served_site: ServedSite, page: Page, tmp_path: Path, name: str, drive_name: str
) -> None:
    fault = served_site.onedrive.set_fault("status", status=503, method="PUT", path="uploadSession")
    pick(page, name, 1, 1000)
    expect(page.locator(".upload")).to_have_count(1)
    if name != drive_name:
        page.get_by_role("button", name="Correct name", exact=True).click()
    lose(page, name)
    served_site.onedrive.clear_faults(fault)
    page.evaluate("""() => {
        FileSystemHandle.prototype.requestPermission = async () => {
            throw new DOMException("User activation is required.", "SecurityError");
        };
    }""")
    file = tmp_path / name
    file.write_bytes(b"again")
    choose_again(page, file)
    done(page, 1)
    assert read_drive(served_site) == {drive_name: b"again"}


# --- The page -------------------------------------------------------------------------------------


def test_a_page_that_goes_while_names_are_checked_forgets_no_file(
    served_site: ServedSite, page: Page, tmp_path: Path
) -> None:
    files = make_files(tmp_path / "desk", 4)
    held = hold(page, "/upload/paths$")
    page.set_input_files("#pick-files", files)
    held.wait()
    expect(page.locator(".upload")).to_have_count(4)
    held.forget()
    page.reload()
    done(page, 4)
    assert len(read_drive(served_site)) == 4


def sign_in_as(page: Page, served: ServedSite, name: str) -> None:
    page.context.clear_cookies()
    page.goto(f"{served.url}/sign-in?next=/admin/drive")
    page.fill("[name=name]", name)
    page.fill("[name=password]", PASSWORD)
    page.press("[name=password]", "Enter")
    page.wait_for_url("**/admin/drive")
    wait_for_script(page)


def test_what_one_person_left_over_is_not_taken_up_by_the_next_at_this_browser(
    served_site: ServedSite, page: Page, tmp_path: Path
) -> None:
    with served_site.site.session() as session:
        users.create_admin(session, "Berta", PASSWORD)
    fault = served_site.onedrive.set_fault("status", status=503, method="PUT", path="uploadSession")
    files = make_files(tmp_path / "desk", 2)
    page.set_input_files("#pick-files", files[0])
    expect(page.locator(".upload")).to_have_count(1)
    sign_in_as(page, served_site, "Berta")
    served_site.onedrive.clear_faults(fault)
    page.set_input_files("#pick-files", files[1])
    done(page, 1)
    sign_in_as(page, served_site, NAME)
    done(page, 1)
    expect(page.locator(".upload-name")).to_have_text(files[0].name)
    assert set(read_drive(served_site)) == {file.name for file in files}


def hold_begin(page: Page, file: Path) -> None:
    """Choose a file, and keep back what asks for its address until the route is taken away."""
    page.route("**/upload/begin", lambda route: None)
    with page.expect_request("**/upload/begin"):
        page.set_input_files("#pick-files", file)


def test_a_pause_while_an_address_is_on_its_way_keeps_it(
    served_site: ServedSite, page: Page, tmp_path: Path
) -> None:
    (file,) = make_files(tmp_path / "desk", 1)
    hold_begin(page, file)
    page.get_by_role("button", name="Pause", exact=True).click()
    page.get_by_role("button", name="Resume", exact=True).click()
    expect(page.get_by_role("button", name="Pause", exact=True)).to_be_visible()
    page.unroute("**/upload/begin")
    done(page, 1)
    assert list_sessions(served_site) == [200]
    assert read_drive(served_site) == {file.name: file.read_bytes()}


def test_a_file_cancelled_while_its_address_is_on_its_way_leaves_its_name_free(
    served_site: ServedSite, page: Page, tmp_path: Path
) -> None:
    (file,) = make_files(tmp_path / "desk", 1)
    hold_begin(page, file)
    page.get_by_role("button", name=f"Cancel: {file.name}").click()
    expect(page.locator("#uploads")).to_be_hidden()
    with page.expect_response(lambda answer: answer.request.method == "DELETE"):
        page.unroute("**/upload/begin")
    page.set_input_files("#pick-files", file)
    done(page, 1)
    assert read_drive(served_site) == {file.name: file.read_bytes()}


# Lets no tab look who else is there before there are two, and then both in the same moment.
BOTH_AT_ONCE = """(() => {
    const query = navigator.locks.query.bind(navigator.locks);
    navigator.locks.query = async () => {
        const count = async () =>
            (await query()).held.filter(({ name }) => name.startsWith("hub-uploads-")).length;
        const wait = (time) => new Promise((go) => setTimeout(go, time));
        while ((await count()) < 2) await wait(10);
        await wait(500 - (Date.now() % 500));
        return query();
    };
})()"""


def test_two_tabs_that_open_at_once_share_out_what_is_left_over(
    served_site: ServedSite, page: Page, tmp_path: Path
) -> None:
    files = make_files(tmp_path / "desk", 4)
    served_site.onedrive.set_fault("status", status=503, method="PUT", path="uploadSession")
    page.set_input_files("#pick-files", files)
    expect(page.locator(".upload")).to_have_count(4)
    page.context.add_init_script(BOTH_AT_ONCE)
    tabs = [page.context.new_page() for _ in range(2)]
    page.close()
    served_site.onedrive.clear_faults()
    for tab in tabs:
        tab.on("dialog", lambda dialog: dialog.accept())
        tab.evaluate("(url) => { location.href = url }", f"{served_site.url}/admin/drive")
    for _ in range(300):
        if len(read_drive(served_site)) == 4:
            break
        tabs[0].wait_for_timeout(100)
    assert {name: len(data) for name, data in read_drive(served_site).items()} == {
        file.name: file.stat().st_size for file in files
    }
    counts: list[int] = []
    for _ in range(40):
        counts = []
        for tab in tabs:
            tab.bring_to_front()  # A tab draws when it is in front.
            tab.wait_for_timeout(250)
            counts.append(tab.locator(".upload").count())
        if sum(counts) == 4:
            break
    assert sorted(counts) == [0, 4]


# --- OneDrive and the hub -------------------------------------------------------------------------


def test_an_address_that_never_reached_the_hub_is_waited_out(
    served_site: ServedSite, page: Page, tmp_path: Path
) -> None:
    (file,) = make_files(tmp_path / "desk", 1)
    served_site.onedrive.set_fault("upload_session_lifetime", seconds=2, times=1)
    served_site.onedrive.set_fault("lost_answer", path="createUploadSession", times=1)
    page.set_input_files("#pick-files", file)
    expect(page.locator(".upload-words")).to_contain_text("still waiting for an earlier")
    done(page, 1)
    assert read_drive(served_site) == {file.name: file.read_bytes()}


def test_a_session_lost_while_a_file_is_replaced_does_not_take_the_old_file_for_the_new(
    served_site: ServedSite, page: Page
) -> None:
    pick(page, "scan.tif", 1)
    done(page, 1)
    served_site.onedrive.set_fault(
        "status", status=503, skip=1, times=1, method="PUT", path="uploadSession"
    )
    served_site.onedrive.set_fault("upload_session_gone", method="GET", times=1)
    pick(page, "scan.tif", 2)
    page.get_by_role("button", name="Replace", exact=True).last.click()
    done(page, 2)
    assert read_drive(served_site) == {"scan.tif": bytes([2]) * SIZE}


def test_a_replaced_file_whose_last_answer_was_lost_is_not_sent_twice(
    served_site: ServedSite, page: Page
) -> None:
    pick(page, "scan.tif", 1, 200_000)
    done(page, 1)
    served_site.onedrive.set_fault("lost_answer", method="PUT", path="uploadSession", times=1)
    pick(page, "scan.tif", 2, 200_000)
    page.get_by_role("button", name="Replace", exact=True).last.click()
    done(page, 2)
    assert read_drive(served_site) == {"scan.tif": bytes([2]) * 200_000}
    assert list_sessions(served_site) == [200, 409, 200]


def test_a_folder_that_is_deleted_under_way_is_made_again(
    served_site: ServedSite, page: Page, tmp_path: Path
) -> None:
    make_files(tmp_path / "Series", 2)
    page.route("**/upload/begin", lambda route: route.fulfill(status=502, body="<h1>Bad"))
    page.set_input_files("#pick-folder", tmp_path / "Series")
    expect(page.locator(".item-name", has_text="Series")).to_be_hidden()
    with page.expect_response("**/upload/begin"):
        pass
    (served_site.onedrive.root / "Series").rmdir()
    page.unroute("**/upload/begin")
    done(page, 2)
    assert len(read_drive(served_site, "Series")) == 2


def test_a_hub_that_starts_again_behind_a_proxy_is_waited_for(page: Page, tmp_path: Path) -> None:
    (file,) = make_files(tmp_path / "desk", 1)
    page.route(
        "**/upload/begin",
        lambda route: route.fulfill(status=502, body="<h1>Bad Gateway</h1>"),
        times=1,
    )
    page.set_input_files("#pick-files", file)
    done(page, 1)


def test_an_address_that_the_pages_own_rules_forbid_is_told_at_once(
    page: Page, tmp_path: Path
) -> None:
    (file,) = make_files(tmp_path / "desk", 1)
    answer = {"upload_url": "https://up.example.org/rup/1", "begun_at": "2026-01-01T00:00:00Z"}
    page.route("**/upload/begin", lambda route: route.fulfill(json=answer))
    page.set_input_files("#pick-files", file)
    expect(page.locator("#uploads [role=alert]")).to_contain_text("up.example.org")
    expect(page.locator(".upload-words")).to_contain_text("security policy")


@pytest.mark.parametrize("size", [1000, SIZE])
def test_an_answer_that_is_not_onedrives_ends_no_upload(
    served_site: ServedSite, page: Page, size: int
) -> None:
    body = "<h1>Welcome to our guests’ network</h1>" if size == 1000 else '{"id": "something"}'
    page.route(
        "**/*uploadSession*",
        lambda route: route.fulfill(status=200, body=body, headers=SHOWN_TO_PAGES),
        times=1,
    )
    pick(page, "canvas.tif", 1, size)
    done(page, 1)
    assert read_drive(served_site) == {"canvas.tif": bytes([1]) * size}


def test_onedrive_that_is_busy_with_one_file_stops_none(
    served_site: ServedSite, page: Page, tmp_path: Path
) -> None:
    files = make_files(tmp_path / "desk", 3)
    served_site.onedrive.set_fault(
        "status", status=409, code="conflict", path="createUploadSession", times=1
    )
    page.set_input_files("#pick-files", files)
    done(page, 3)
    assert sorted(list_sessions(served_site)) == [200, 200, 200, 409]


def test_a_lost_connection_stops_all_with_a_word(
    served_site: ServedSite, page: Page, tmp_path: Path
) -> None:
    files = make_files(tmp_path / "desk", 3)
    served_site.onedrive.revoke(access_tokens=True)
    page.set_input_files("#pick-files", files)
    expect(page.locator("#uploads [role=alert]")).to_contain_text("connect")
    expect(page.locator("#uploads h2")).to_have_text("Paused at 0 of 3")


def test_an_address_that_never_answers_is_named(
    served_site: ServedSite, page: Page, tmp_path: Path
) -> None:
    (file,) = make_files(tmp_path / "desk", 1)
    page.route("**/*uploadSession*", lambda route: route.abort())
    page.set_input_files("#pick-files", file)
    words = page.locator(".upload-words")
    expect(words).to_contain_text("cannot be reached")
    host = urlsplit(served_site.onedrive.url).netloc
    for _ in range(600):
        if f"{host} does not answer this browser" in words.inner_text():
            break
        # The browser says so whenever its network is back, and then nothing waits any longer.
        page.evaluate("() => dispatchEvent(new Event('online'))")
        page.wait_for_timeout(100)
    expect(words).to_contain_text(f"{host} does not answer this browser")
    page.unroute("**/*uploadSession*")
    page.evaluate("() => dispatchEvent(new Event('online'))")
    done(page, 1)


def test_a_drive_that_got_full_goes_on_by_one_button(
    served_site: ServedSite, page: Page, tmp_path: Path
) -> None:
    files = make_files(tmp_path / "desk", 5, 100_000)
    served_site.onedrive.set_fault("quota_full", method="PUT", times=1)
    page.set_input_files("#pick-files", files)
    expect(page.locator("#uploads [role=alert]")).to_have_text("This OneDrive is full.")
    page.get_by_role("button", name="Retry", exact=True).click()
    done(page, 5)


def test_uploads_go_on_after_a_sign_out_and_sign_in_in_another_tab(
    served_site: ServedSite, page: Page, tmp_path: Path
) -> None:
    files = make_files(tmp_path / "desk", 4, 100_000)
    other = page.context.new_page()
    other.goto(f"{served_site.url}/admin/drive")
    other.context.clear_cookies()
    page.set_input_files("#pick-files", files)
    expect(page.locator("#uploads [role=alert]")).to_contain_text("sign in")
    other.goto(f"{served_site.url}/sign-in?next=/admin/account")
    other.fill("[name=name]", NAME)
    other.fill("[name=password]", PASSWORD)
    other.press("[name=password]", "Enter")
    other.wait_for_url("**/admin/account")
    page.get_by_role("button", name="Resume", exact=True).click()
    done(page, 4)
    assert len(read_drive(served_site)) == 4
