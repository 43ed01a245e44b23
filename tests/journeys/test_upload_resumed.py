"""Uploads in Chromium whose page, hub, session or file disappears at the worst moment.

Each race is forced: by a fault of OneDrive, by a held answer of the hub, or by a pause.
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

# A file in the browser's private file system, which the page can keep a handle to and change.
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
    """Open the drive; network errors are ignored, and leaving the page is confirmed."""
    visit = served_site.enter()
    visit.complaints = IgnoreNetworkErrors()
    visit.page.on("dialog", lambda dialog: dialog.accept())
    return visit.page


class IgnoreNetworkErrors(list[str]):
    """Ignore network errors: the browser logs each refused fragment."""

    def append(self, text: str) -> None:
        assert "Error:" not in text or "Failed to load" in text, text


def pick(page: Page, name: str, value: int, size: int = SIZE) -> None:
    """Choose a file filled with one byte value, by the system's dialog."""
    page.evaluate(WRITE, [name, value, size])
    page.click("#upload-files")


def list_sessions(served: ServedSite) -> list[int]:
    """Return the statuses of all calls to create a session."""
    return [entry["status"] for entry in served.onedrive.log("POST", "createUploadSession")]


@pytest.fixture
def stop(served_site: ServedSite, page: Page) -> int:
    """Send one fragment of ``canvas.tif``; return a fault that refuses the others."""
    fault = served_site.onedrive.set_fault(
        "status", status=503, skip=1, method="PUT", path="uploadSession"
    )
    pick(page, "canvas.tif", 1)
    expect(page.locator(".upload-words")).to_contain_text("MB of")
    return fault


# --- The file -------------------------------------------------------------------------------------


def test_a_file_changed_between_visits_is_not_mixed_with_sent_bytes(
    served_site: ServedSite, page: Page, stop: int
) -> None:
    page.evaluate(WRITE, ["canvas.tif", 2, SIZE])
    page.reload()
    served_site.onedrive.clear_faults(stop)
    done(page, 1)
    assert read_drive(served_site) == {"canvas.tif": bytes([2]) * SIZE}


def test_a_file_changed_during_upload_is_sent_from_the_start(
    served_site: ServedSite, page: Page, stop: int
) -> None:
    page.evaluate(WRITE, ["canvas.tif", 2, SIZE + 5])
    served_site.onedrive.clear_faults(stop)
    done(page, 1)
    assert read_drive(served_site) == {"canvas.tif": bytes([2]) * (SIZE + 5)}


def test_a_missing_file_is_reported_and_resumes_when_it_is_back(
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
    """Remove a selected file, so that its uploads miss it."""
    page.evaluate(
        "async (name) => (await navigator.storage.getDirectory()).removeEntry(name)", name
    )
    expect(page.locator("#uploads .note")).to_contain_text(re.compile(f"^{count} files? must be"))


def test_a_reselected_file_is_matched_to_its_own_upload(
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
    expect(page.locator(".upload[data-state=done]")).to_have_count(1)
    assert read_drive(served_site, "South") == {"front.tif": b"s" * 1000}
    assert read_drive(served_site, "North") == {}
    # In another folder, the only missing file is the one that is matched.
    file.write_bytes(b"n" * 1000)
    choose_again(page, tmp_path / "front.tif")
    done(page, 2)
    assert read_drive(served_site, "North") == {"front.tif": b"n" * 1000}


def test_an_ambiguous_file_is_matched_to_no_upload(
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
def test_selecting_again_opens_the_dialog_without_file_handles(
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


def test_a_reload_while_names_are_checked_loses_no_file(
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


def test_leftover_uploads_are_not_resumed_by_another_user(
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
    """Choose a file, and hold the request for its session until the route is removed."""
    page.route("**/upload/begin", lambda route: None)
    with page.expect_request("**/upload/begin"):
        page.set_input_files("#pick-files", file)


def test_a_pause_during_session_creation_keeps_the_session(
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


def test_cancelling_during_session_creation_frees_the_name(
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


# Makes tabs wait for each other before they look for other tabs at the same moment.
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


def test_two_tabs_opened_at_once_share_leftover_uploads(
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
            tab.bring_to_front()  # only the tab in front is drawn
            tab.wait_for_timeout(250)
            counts.append(tab.locator(".upload").count())
        if sum(counts) == 4:
            break
    assert sorted(counts) == [0, 4]


# --- OneDrive and the hub -------------------------------------------------------------------------


def test_a_session_unknown_to_the_hub_is_waited_out(
    served_site: ServedSite, page: Page, tmp_path: Path
) -> None:
    (file,) = make_files(tmp_path / "desk", 1)
    served_site.onedrive.set_fault("upload_session_lifetime", seconds=2, times=1)
    served_site.onedrive.set_fault("lost_answer", path="createUploadSession", times=1)
    page.set_input_files("#pick-files", file)
    expect(page.locator(".upload-words")).to_contain_text("still waiting for an earlier")
    done(page, 1)
    assert read_drive(served_site) == {file.name: file.read_bytes()}


def test_a_session_lost_during_a_replacement_is_not_taken_for_success(
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


def test_a_replacement_is_not_sent_twice_after_a_lost_answer(
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


def test_a_folder_deleted_during_upload_is_created_again(
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


def test_uploads_wait_for_a_restarting_hub_behind_a_proxy(page: Page, tmp_path: Path) -> None:
    (file,) = make_files(tmp_path / "desk", 1)
    page.route(
        "**/upload/begin",
        lambda route: route.fulfill(status=502, body="<h1>Bad Gateway</h1>"),
        times=1,
    )
    page.set_input_files("#pick-files", file)
    done(page, 1)


def test_an_address_forbidden_by_the_csp_is_reported_at_once(page: Page, tmp_path: Path) -> None:
    (file,) = make_files(tmp_path / "desk", 1)
    answer = {"upload_url": "https://up.example.org/rup/1", "begun_at": "2026-01-01T00:00:00Z"}
    page.route("**/upload/begin", lambda route: route.fulfill(json=answer))
    page.set_input_files("#pick-files", file)
    expect(page.locator("#uploads [role=alert]")).to_contain_text("up.example.org")
    expect(page.locator(".upload-words")).to_contain_text("security policy")


@pytest.mark.parametrize("size", [1000, SIZE])
def test_a_foreign_answer_does_not_end_an_upload(
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


def test_a_busy_file_does_not_stop_others(
    served_site: ServedSite, page: Page, tmp_path: Path
) -> None:
    files = make_files(tmp_path / "desk", 3)
    served_site.onedrive.set_fault(
        "status", status=409, code="conflict", path="createUploadSession", times=1
    )
    page.set_input_files("#pick-files", files)
    done(page, 3)
    assert sorted(list_sessions(served_site)) == [200, 200, 200, 409]


def test_a_lost_connection_stops_all_uploads_with_a_message(
    served_site: ServedSite, page: Page, tmp_path: Path
) -> None:
    files = make_files(tmp_path / "desk", 3)
    served_site.onedrive.revoke(access_tokens=True)
    page.set_input_files("#pick-files", files)
    expect(page.locator("#uploads [role=alert]")).to_contain_text("connect")
    expect(page.locator("#uploads h2")).to_have_text("Paused at 0 of 3")


def test_an_unresponsive_address_is_named(
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
        # The browser fires this when its network is back; then waits end at once.
        page.evaluate("() => dispatchEvent(new Event('online'))")
        page.wait_for_timeout(100)
    expect(words).to_contain_text(f"{host} does not answer this browser")
    page.unroute("**/*uploadSession*")
    page.evaluate("() => dispatchEvent(new Event('online'))")
    done(page, 1)


def test_one_button_resumes_uploads_to_a_full_drive(
    served_site: ServedSite, page: Page, tmp_path: Path
) -> None:
    files = make_files(tmp_path / "desk", 5, 100_000)
    served_site.onedrive.set_fault("quota_full", method="PUT", times=1)
    page.set_input_files("#pick-files", files)
    expect(page.locator("#uploads [role=alert]")).to_have_text("This OneDrive is full.")
    page.get_by_role("button", name="Retry", exact=True).click()
    done(page, 5)


def test_uploads_resume_after_signing_in_again_in_another_tab(
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
