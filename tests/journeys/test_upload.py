"""Uploads in Chromium, from this computer directly to OneDrive, with failures."""

import hashlib
import os
import random
import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, expect
from sqlalchemy import select

from imagehub.domain.sync import state
from imagehub.models import DriveWatch, Group, Image, ImportItem, ImportJob
from tests.fixtures.programs import wait_until
from tests.fixtures.served_site import ServedSite, make_picture, wait_for_script

FRAGMENT_BYTES = 16 * 327_680
# Without these headers a page sees a network error rather than a status.
SHOWN_TO_PAGES = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Expose-Headers": "Retry-After",
}


def make_files(folder: Path, count: int, size: int = 0) -> list[Path]:
    folder.mkdir(exist_ok=True)
    files = []
    for n in range(count):
        path = folder / f"shot {n:02}.jpg"
        data = make_picture(n)
        path.write_bytes(data + bytes([n % 251]) * max(0, size - len(data)))
        files.append(path)
    return files


def read_drive(served: ServedSite, folder: str = "") -> dict[str, bytes]:
    place = served.onedrive.root / folder
    return {path.name: path.read_bytes() for path in place.iterdir() if path.is_file()}


def done(page, count: int) -> None:  # type: ignore[no-untyped-def]
    expect(page.locator("#uploads h2")).to_have_text(
        re.compile(rf"^{count} files? uploaded$"), timeout=60_000
    )


def test_thirty_files_are_uploaded_despite_network_failure_and_reload(
    served_site: ServedSite, tmp_path: Path
) -> None:
    files = make_files(tmp_path / "desk", 30, 400_000)
    wanted = {path.name: path.read_bytes() for path in files}
    visit = served_site.enter()
    page = visit.page
    page.on("dialog", lambda dialog: dialog.accept())
    # Each fragment takes a while, so that the network can fail in the middle.
    served_site.onedrive.set_fault("delay", seconds=0.3, method="PUT", path="uploadSession")
    served_site.onedrive.set_fault("lost_fragment", skip=3, times=2)
    page.set_input_files("#pick-files", files)
    expect(page.locator("#uploads h2")).to_have_text(re.compile(r"Uploading ([5-9]|1\d) of 30"))
    page.context.set_offline(True)
    expect(page.locator("#uploads h2")).to_have_text("Waiting for the network")
    page.context.set_offline(False)
    expect(page.locator("#uploads h2")).to_have_text(re.compile(r"Uploading 1[2-9] of 30"))
    page.reload()
    wait_for_script(page)
    done(page, 30)
    assert read_drive(served_site) == wanted
    visit.complaints.clear()


def test_a_large_file_resumes_where_it_stopped(served_site: ServedSite, tmp_path: Path) -> None:
    (file,) = make_files(tmp_path / "desk", 1, 3 * FRAGMENT_BYTES + 1234)
    visit = served_site.enter()
    page = visit.page
    page.on("dialog", lambda dialog: dialog.accept())
    fault = served_site.onedrive.set_fault(
        "status", status=503, skip=1, method="PUT", path="uploadSession"
    )
    page.set_input_files("#pick-files", file)
    expect(page.locator(".upload-words")).to_have_text(re.compile(r"^5\.2\sMB of"))
    expect(page.locator(".uploads-words")).to_have_text(
        re.compile(r"B per second · about \d+ .*left$")
    )
    page.reload()
    wait_for_script(page)
    served_site.onedrive.clear_faults(fault)
    done(page, 1)
    assert read_drive(served_site) == {file.name: file.read_bytes()}
    starts = [
        entry
        for entry in served_site.onedrive.log("PUT", "uploadSession")
        if entry["status"] == 202
    ]
    assert 2 <= len(starts) <= 3, "the first fragment was not sent again"
    visit.complaints.clear()


def stop_in_the_middle(served: ServedSite, page: Page, file: Path) -> None:
    """Upload a file, and reload the page when two fragments were sent."""
    fault = served.onedrive.set_fault(
        "status", status=503, skip=2, method="PUT", path="uploadSession"
    )
    page.set_input_files("#pick-files", file)
    expect(page.locator(".upload-words")).to_have_text(re.compile(r"^1[05](\.\d)?\sMB of"))
    page.reload()
    served.onedrive.clear_faults(fault)
    expect(page.locator(".upload-words")).to_contain_text("Select it again")


def choose_again(page: Page, file: Path) -> None:
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Select again").click()
    chooser.value.set_files(file)


@pytest.mark.parametrize("change", ["none", "other bytes", "more bytes"])
def test_a_file_too_large_to_store_is_selected_again_after_a_reload(
    served_site: ServedSite, tmp_path: Path, change: str
) -> None:
    size = 66 * 2**20
    file = tmp_path / "panorama.tif"
    file.write_bytes(random.Random(1).randbytes(size))
    visit = served_site.enter()
    page = visit.page
    page.on("dialog", lambda dialog: dialog.accept())
    # Without the system's dialog no file handle survives the page.
    page.context.add_init_script("delete window.showOpenFilePicker")
    stop_in_the_middle(served_site, page, file)
    expect(page.locator("#uploads")).to_contain_text("1 file must be selected again to continue")
    if change != "none":
        file.write_bytes(random.Random(2).randbytes(size + 77 * (change == "more bytes")))
        os.utime(file, (1_900_000_000, 1_900_000_000))
    choose_again(page, file)
    done(page, 1)
    assert page.locator(".upload").count() == 1, "it is the same upload"
    name, data = next(iter(read_drive(served_site).items()))
    assert (name, hashlib.sha256(data).digest()) == (
        file.name,
        hashlib.sha256(file.read_bytes()).digest(),
    )
    # The rest of the same file is sent to the open session; other files need a new one.
    asked = served_site.onedrive.log("POST", "createUploadSession")
    # OneDrive creates no session while the previous one is not closed.
    sessions = [one for one in asked if one["status"] == 200]
    assert len(sessions) == (1 if change == "none" else 2)
    visit.complaints.clear()  # the browser logs each 503


@pytest.mark.parametrize(
    "fault",
    [
        ("fragment_416", {"times": 1}),
        ("upload_session_gone", {"times": 1, "skip": 1}),
        ("upload_session_unauthorized", {"times": 1, "skip": 1}),
        ("status", {"status": 503, "times": 2, "method": "PUT", "path": "uploadSession"}),
        (
            "status",
            {"status": 429, "times": 1, "method": "PUT", "path": "uploadSession", "retry_after": 1},
        ),
        (
            "status",
            {
                **{"status": 429, "times": 1, "method": "PUT", "path": "uploadSession"},
                **{"retry_after": 1, "headers": SHOWN_TO_PAGES},
            },
        ),
        ("lost_fragment", {"times": 1, "skip": 1}),
        ("lost_answer", {"times": 1, "skip": 0, "method": "PUT", "path": "uploadSession"}),
        ("lost_answer", {"times": 1, "skip": 1, "method": "PUT", "path": "uploadSession"}),
    ],
    ids=[
        *["416", "session gone", "401", "503", "429", "429 that pages may read"],
        *["lost fragment", "lost answer", "lost last answer"],
    ],
)
def test_faults_of_onedrive_are_recovered(
    served_site: ServedSite, tmp_path: Path, fault: tuple[str, dict[str, object]]
) -> None:
    (file,) = make_files(tmp_path / "desk", 1, 2 * FRAGMENT_BYTES + 77)
    visit = served_site.enter()
    number = served_site.onedrive.set_fault(fault[0], **fault[1])
    visit.page.set_input_files("#pick-files", file)
    done(visit.page, 1)
    assert read_drive(served_site) == {file.name: file.read_bytes()}
    acted = {one["id"]: one["fired"] for one in served_site.onedrive.list_faults()}
    assert acted[number] >= 1
    visit.complaints.clear()  # the browser logs each refused fragment


def test_a_lost_last_answer_creates_no_second_file(served_site: ServedSite, tmp_path: Path) -> None:
    (file,) = make_files(tmp_path / "desk", 1, 200_000)
    visit = served_site.enter()
    page = visit.page
    # The bytes reach OneDrive, but its answer does not reach the browser.
    lost = []

    def swallow(route) -> None:  # type: ignore[no-untyped-def]
        if route.request.method == "PUT" and not lost:
            lost.append(route.fetch())
            route.abort("connectionreset")
        else:
            route.continue_()

    page.route("**/*uploadSession*", swallow)
    page.set_input_files("#pick-files", file)
    done(page, 1)
    assert len(lost) == 1
    assert read_drive(served_site) == {file.name: file.read_bytes()}
    visit.complaints.clear()


def test_a_reload_during_session_creation_reuses_the_session(
    served_site: ServedSite, tmp_path: Path
) -> None:
    (file,) = make_files(tmp_path / "desk", 1)
    visit = served_site.enter()
    page = visit.page
    page.on("dialog", lambda dialog: dialog.accept())
    asked = []

    def swallow(route) -> None:  # type: ignore[no-untyped-def]
        asked.append(route.fetch().json())
        route.abort()

    page.route("**/upload/begin", swallow)
    page.set_input_files("#pick-files", file)
    expect(page.locator(".upload")).to_have_count(1)
    page.wait_for_event("requestfailed", lambda request: "begin" in request.url)
    page.unroute("**/upload/begin")
    page.reload()
    wait_for_script(page)
    done(page, 1)
    assert "upload_url" in asked[0]
    assert read_drive(served_site) == {file.name: file.read_bytes()}
    visit.complaints.clear()


def test_a_taken_name_is_asked_about_and_each_choice_works(
    served_site: ServedSite, tmp_path: Path
) -> None:
    files = make_files(tmp_path / "desk", 3)
    for path in files:
        (served_site.onedrive.root / path.name).write_bytes(b"the old one")
    page = served_site.enter().page
    page.set_input_files("#pick-files", files)
    rows = page.locator(".upload")
    expect(page.locator("#uploads")).to_contain_text("3 names are already taken in the folder")
    rows.filter(has_text="shot 00").get_by_role("button", name="Skip").click()
    rows.filter(has_text="shot 01").get_by_role("button", name="Keep both").click()
    rows.filter(has_text="shot 02").get_by_role("button", name="Replace").click()
    done(page, 2)
    drive = read_drive(served_site)
    assert drive["shot 00.jpg"] == b"the old one"
    assert drive["shot 01.jpg"] == b"the old one"
    assert drive["shot 02.jpg"] == files[2].read_bytes()
    assert files[1].read_bytes() in drive.values()
    assert len(drive) == 4


def test_images_of_a_replaced_file_are_checked_soon(
    served_site: ServedSite, tmp_path: Path
) -> None:
    site = served_site.site
    (file,) = make_files(tmp_path / "desk", 1)
    site.put_files("Works", {file.name: b"the old one", "other.jpg": b"another"})
    folder_id, ids = site.find_folder("Works")
    site.add_group([file.name, "other.jpg"])
    with site.session() as session:
        for image in session.scalars(select(Image)):
            image.drive_item_id = ids[image.name]
        session.commit()
    page = served_site.enter().page
    page.goto(f"{served_site.url}/admin/drive/{folder_id}")
    wait_for_script(page)
    page.set_input_files("#pick-files", file)
    with page.expect_response("**/upload/replaced") as told:
        page.locator(".upload").get_by_role("button", name="Replace").click()
    assert told.value.status == 200
    with site.session() as session:
        doubtful = session.scalars(select(Image.name).where(Image.drive_doubt == state.ASK))
        assert list(doubtful) == [file.name]
        assert session.scalars(select(DriveWatch.asked_at)).one() is not None


DROP = """(files) => {
    const transfer = new DataTransfer();
    for (const [name, text] of files) transfer.items.add(new File([text], name));
    // Of files that a script put together there are no handles.
    document.querySelector("#entries").dispatchEvent(
        new DragEvent("drop", { dataTransfer: transfer, bubbles: true, cancelable: true }));
}"""


def test_names_that_differ_only_in_case_conflict(
    served_site: ServedSite,
) -> None:
    fault = served_site.onedrive.set_fault(
        "status", status=503, method="PUT", path="uploadSession", retry_after=1
    )
    visit = served_site.enter()
    page = visit.page
    page.evaluate(DROP, [["Mill.JPG", "one"], ["mill.jpg", "two"], ["mill.jpg", "three"]])
    words = page.locator(".upload-words")
    expect(words.nth(1)).to_have_text("Waiting for another file with this name.")
    expect(words.nth(2)).to_have_text("Waiting for another file with this name.")
    served_site.onedrive.clear_faults(fault)
    expect(page.locator("#uploads")).to_contain_text("2 names are already taken in the folder")
    assert read_drive(served_site) == {"Mill.JPG": b"one"}
    rows = page.locator(".upload")
    rows.nth(1).get_by_role("button", name="Keep both").click()
    rows.nth(2).get_by_role("button", name="Skip").click()
    done(page, 2)
    assert sorted(read_drive(served_site).values()) == [b"one", b"two"]
    visit.complaints.clear()  # the browser logs each 503


def test_a_waiting_file_starts_when_its_namesake_is_cancelled(
    served_site: ServedSite,
) -> None:
    served_site.onedrive.set_fault(
        "status", status=503, method="PUT", path="uploadSession", times=1, retry_after=600
    )
    visit = served_site.enter()
    page = visit.page
    with page.expect_event("requestfailed", lambda request: request.method == "PUT"):
        page.evaluate(DROP, [["Mill.JPG", "one"]])
    page.get_by_role("button", name="Pause: Mill.JPG").click()
    page.evaluate(DROP, [["mill.jpg", "two"]])
    expect(page.locator(".upload-words").nth(1)).to_have_text(
        "Waiting for another file with this name."
    )
    page.get_by_role("button", name="Cancel: Mill.JPG", exact=True).click()
    done(page, 1)
    assert read_drive(served_site) == {"mill.jpg": b"two"}
    visit.complaints.clear()


def test_replacing_asks_again_for_a_second_file_of_the_name(
    served_site: ServedSite,
) -> None:
    (served_site.onedrive.root / "mill.jpg").write_bytes(b"the old one")
    page = served_site.enter().page
    page.evaluate(DROP, [["Mill.JPG", "one"], ["MILL.jpg", "two"]])
    expect(page.locator("#uploads")).to_contain_text("2 names are already taken in the folder")
    page.locator("#uploads .note").get_by_role("button", name="Replace").click()
    expect(page.locator("#uploads")).to_contain_text("1 name is already taken in the folder")
    assert list(read_drive(served_site).values()) == [b"one"]
    page.locator("#uploads .note").get_by_role("button", name="Replace").click()
    done(page, 2)
    assert list(read_drive(served_site).values()) == [b"two"]


def test_an_invalid_name_is_repaired_on_request(served_site: ServedSite, tmp_path: Path) -> None:
    folder = tmp_path / "desk"
    folder.mkdir()
    (folder / "what? why.jpg").write_bytes(make_picture(1))
    page = served_site.enter().page
    page.set_input_files("#pick-files", folder / "what? why.jpg")
    expect(page.locator("#uploads")).to_contain_text("Suggested name: “what_ why.jpg”")
    page.get_by_role("button", name="Correct name", exact=True).click()
    done(page, 1)
    assert list(read_drive(served_site)) == ["what_ why.jpg"]


def test_a_folder_is_uploaded_with_subfolders_and_empty_files(
    served_site: ServedSite, tmp_path: Path
) -> None:
    desk = tmp_path / "Series"
    (desk / "Details" / "Corners").mkdir(parents=True)
    (desk / "front.jpg").write_bytes(make_picture(1))
    (desk / "Details" / "edge.jpg").write_bytes(make_picture(2))
    (desk / "Details" / "Corners" / "a.jpg").write_bytes(make_picture(3))
    (desk / "empty.txt").write_bytes(b"")
    (desk / ".DS_Store").write_bytes(b"junk")
    page = served_site.enter().page
    page.set_input_files("#pick-folder", desk)
    done(page, 4)
    place = served_site.onedrive.root / "Series"
    found = {
        path.relative_to(place).as_posix(): path.read_bytes()
        for path in place.rglob("*")
        if path.is_file()
    }
    assert found == {
        "front.jpg": make_picture(1),
        "Details/edge.jpg": make_picture(2),
        "Details/Corners/a.jpg": make_picture(3),
        "empty.txt": b"",
    }
    expect(page.locator(".item-name", has_text="Series")).to_be_visible()


def drop_paths(page: Page, *paths: Path) -> None:
    """Drop files and folders of this computer onto the open folder."""
    tools = page.context.new_cdp_session(page)
    data = {"items": [], "files": [str(path) for path in paths], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        tools.send("Input.dispatchDragEvent", {"type": kind, "x": 640, "y": 600, "data": data})


# A browser's error for a file that is locked or may not be read.
UNREADABLE = """() => {
    const file = FileSystemFileHandle.prototype.getFile;
    FileSystemFileHandle.prototype.getFile = async function () {
        if (this.name.startsWith("locked")) throw new DOMException("No.", "NotReadableError");
        return file.call(this);
    };
    const getEntry = DataTransferItem.prototype.webkitGetAsEntry;
    const wrap = (entry) => ({
        name: entry.name,
        isFile: entry.isFile,
        file: (take, refuse) =>
            entry.name.startsWith("locked") ? refuse(new Error("No.")) : entry.file(take, refuse),
        createReader: () => {
            const reader = entry.createReader();
            const read = (take, refuse) =>
                reader.readEntries((some) => take(some.map(wrap)), refuse);
            return { readEntries: read };
        },
    });
    DataTransferItem.prototype.webkitGetAsEntry = function () {
        return wrap(getEntry.call(this));
    };
}"""


@pytest.mark.parametrize("has_handles", [True, False])
def test_a_dropped_folder_is_uploaded_except_unreadable_files(
    served_site: ServedSite, tmp_path: Path, has_handles: bool
) -> None:
    desk = tmp_path / "Series"
    for name in ("a first.jpg", "locked.jpg", "Details/edge.jpg", "Details/locked too.jpg"):
        (desk / name).parent.mkdir(parents=True, exist_ok=True)
        (desk / name).write_bytes(name.encode())
    (desk / "Nothing").mkdir()
    (tmp_path / "alone.jpg").write_bytes(b"alone")
    page = served_site.enter().page
    page.evaluate(UNREADABLE)
    if not has_handles:
        page.evaluate("() => { delete DataTransferItem.prototype.getAsFileSystemHandle; }")
    drop_paths(page, desk, tmp_path / "alone.jpg")
    fault = page.locator(".toast.is-fault")
    expect(fault).to_contain_text("The browser could not read 2 files: “Series / ")
    done(page, 4)
    root = served_site.onedrive.root
    found = {path.relative_to(root).as_posix(): path.is_dir() for path in root.rglob("*")}
    assert found == {
        "alone.jpg": False,
        "Series": True,
        "Series/a first.jpg": False,
        "Series/Details": True,
        "Series/Details/edge.jpg": False,
        "Series/Nothing": True,
    }


def test_all_uploads_to_a_long_folder_are_shown(served_site: ServedSite, tmp_path: Path) -> None:
    served_site.site.put_files("Many", {f"{n:03}.txt": b"x" for n in range(95)})
    page = served_site.enter().page
    page.locator(".item-name", has_text="Many").click()
    expect(page.locator("#drive-state")).to_have_text("95 items")
    (tmp_path / "Series" / "Details").mkdir(parents=True)
    (tmp_path / "Series" / "Details" / "edge.jpg").write_bytes(make_picture(1))
    (tmp_path / "Empty").mkdir()
    files = make_files(tmp_path / "desk", 25)
    drop_paths(page, tmp_path / "Series", tmp_path / "Empty", *files)
    done(page, 27)
    expect(page.locator("#drive-state")).to_have_text("122 items")
    page.fill("#drive-words", "e")
    expect(page.locator(".item-name", has_text="Series")).to_be_visible()
    expect(page.locator(".item-name", has_text="Empty")).to_be_visible()


def test_an_unreadable_file_does_not_block_others(
    served_site: ServedSite,
) -> None:
    page = served_site.enter().page
    page.evaluate(UNREADABLE)
    page.evaluate("""async () => {
        const folder = await navigator.storage.getDirectory();
        const handles = [];
        for (const name of ["locked.jpg", "open.jpg"]) {
            const handle = await folder.getFileHandle(name, { create: true });
            const stream = await handle.createWritable();
            await stream.write(name);
            await stream.close();
            handles.push(handle);
        }
        window.showOpenFilePicker = async () => handles;
    }""")
    page.click("#upload-files")
    expect(page.locator(".toast.is-fault")).to_contain_text("could not read 1 file: “locked.jpg”")
    done(page, 1)
    assert read_drive(served_site) == {"open.jpg": b"open.jpg"}


def test_dropped_and_pasted_files_are_uploaded(served_site: ServedSite) -> None:
    page = served_site.enter().page
    page.evaluate(
        """() => {
          const transfer = new DataTransfer();
          transfer.items.add(new File(["dropped bytes"], "dropped.txt"));
          for (const kind of ["dragenter", "dragover", "drop"]) {
            document.querySelector("#entries").dispatchEvent(
              new DragEvent(kind, { dataTransfer: transfer, bubbles: true, cancelable: true }));
          }
          const pasted = new DataTransfer();
          pasted.items.add(new File(["pasted bytes"], "image.png", { type: "image/png" }));
          document.dispatchEvent(
            new ClipboardEvent("paste", { clipboardData: pasted, bubbles: true }));
        }"""
    )
    done(page, 2)
    drive = read_drive(served_site)
    assert drive.pop("dropped.txt") == b"dropped bytes"
    ((name, data),) = drive.items()
    assert re.fullmatch(r"Pasted \d{4}-\d\d-\d\d \d\d\.\d\d\.\d\d\.png", name)
    assert data == b"pasted bytes"


def test_uploads_can_be_paused_resumed_and_cancelled(
    served_site: ServedSite, tmp_path: Path
) -> None:
    files = make_files(tmp_path / "desk", 6, 300_000)
    served_site.onedrive.set_fault("delay", seconds=0.5, method="PUT", path="uploadSession")
    visit = served_site.enter()
    page = visit.page
    page.set_input_files("#pick-files", files)
    page.get_by_role("button", name="Pause", exact=True).click()
    expect(page.locator("#uploads h2")).to_have_text(re.compile("^Paused at"))
    page.get_by_role("button", name=re.compile("^Cancel: shot 05")).click()
    page.reload()
    wait_for_script(page)
    expect(page.locator("#uploads h2")).to_have_text(re.compile("^Paused at"))
    page.get_by_role("button", name="Resume", exact=True).click()
    done(page, 5)
    assert sorted(read_drive(served_site)) == [f"shot {n:02}.jpg" for n in range(5)]
    # An aborted fragment may have arrived nevertheless; its session then gives 404.
    visit.complaints.clear()
    page.locator("#uploads").get_by_role("button", name="Close").click()
    expect(page.locator("#uploads")).to_be_hidden()


def test_a_full_drive_stops_all_uploads_with_a_message(
    served_site: ServedSite, tmp_path: Path
) -> None:
    files = make_files(tmp_path / "desk", 2)
    fault = served_site.onedrive.set_fault("quota_full")
    visit = served_site.enter()
    visit.page.set_input_files("#pick-files", files)
    expect(visit.page.locator("#uploads [role=alert]")).to_have_text("This OneDrive is full.")
    served_site.onedrive.clear_faults(fault)
    visit.page.get_by_role("button", name="Resume", exact=True).click()
    visit.page.get_by_role("button", name="Retry", exact=True).click()
    done(visit.page, 2)


def list_imported(served: ServedSite) -> list[list[str]]:
    """Return the file names of each group being imported, for all jobs."""
    groups: dict[int, list[str]] = {}
    with served.site.session() as session:
        for item in session.query(ImportItem).order_by(ImportItem.id):
            groups.setdefault(item.group_id, []).append(item.file_name)
    return list(groups.values())


def count_jobs(served: ServedSite) -> int:
    with served.site.session() as session:
        return session.query(ImportJob).count()


def test_import_when_uploaded_creates_one_group(served_site: ServedSite, tmp_path: Path) -> None:
    files = make_files(tmp_path / "desk", 3)
    for name in ("notes.txt", "logo.svg"):
        (tmp_path / "desk" / name).write_bytes(b"no picture")
        files.append(tmp_path / "desk" / name)
    with served_site.site.working():
        page = served_site.enter().page
        page.set_input_files("#pick-files", files)
        page.get_by_label("Import when uploaded").check()
        expect(page.locator("#uploads")).to_contain_text("3 images are being imported")
        expect(page.locator("#uploads")).to_contain_text("1 file was not imported: SVG drawings")
        with served_site.site.session() as session:
            assert session.query(ImportJob).count() == 1
        for _ in range(600):
            with served_site.site.session() as session:
                groups = [(group.image_count, group.is_shown) for group in session.query(Group)]
            if groups == [(3, True)]:
                break
            page.wait_for_timeout(200)
        assert groups == [(3, True)]


COUNT_NOTED = """() => new Promise((done) => {
  indexedDB.open("hub-uploads").onsuccess = ({ target: { result: db } }) => {
    const count = db.transaction("entries").objectStore("entries").count();
    count.onsuccess = () => (db.close(), done(count.result));
  };
})"""


def test_several_drops_become_one_import_when_all_are_uploaded(
    served_site: ServedSite, tmp_path: Path
) -> None:
    files = make_files(tmp_path / "desk", 6)
    visit = served_site.enter()
    page = visit.page
    page.on("dialog", lambda dialog: dialog.accept())
    # One is finished before the box is checked, others wait through a reload.
    page.set_input_files("#pick-files", files[:2])
    done(page, 2)
    fault = served_site.onedrive.set_fault(
        "status", status=503, skip=1, method="PUT", path="uploadSession"
    )
    page.set_input_files("#pick-files", files[2:4])
    expect(page.locator("#uploads h2")).to_have_text("Uploading 3 of 4")
    page.get_by_label("Import when uploaded").check()
    page.set_input_files("#pick-files", files[4:])
    expect(page.locator(".upload")).to_have_count(6)
    # Files are listed before the browser has noted them.
    wait_until(lambda: page.evaluate(COUNT_NOTED) == 6)
    page.reload()
    wait_for_script(page)
    expect(page.locator(".upload")).to_have_count(6)
    expect(page.get_by_label("Import when uploaded")).to_be_checked()
    assert count_jobs(served_site) == 0
    served_site.onedrive.clear_faults(fault)
    expect(page.locator("#uploads")).to_contain_text("6 images are being imported")
    assert count_jobs(served_site) == 1
    assert [sorted(names) for names in list_imported(served_site)] == [[f.name for f in files]]
    page.reload()
    wait_for_script(page)
    done(page, 6)
    assert count_jobs(served_site) == 1
    visit.complaints.clear()


def test_an_import_is_not_started_twice_after_a_lost_answer(
    served_site: ServedSite, tmp_path: Path
) -> None:
    files = make_files(tmp_path / "desk", 2)
    visit = served_site.enter()
    page = visit.page

    def swallow(route: Route) -> None:
        route.fetch()
        route.abort("connectionreset")

    page.route("**/upload/import", swallow, times=1)
    page.set_input_files("#pick-files", files)
    page.get_by_label("Import when uploaded").check()
    expect(page.locator("#uploads")).to_contain_text("The import could not be started")
    assert count_jobs(served_site) == 1
    # An import whose request is unconfirmed cannot be closed.
    page.locator("#uploads").get_by_role("button", name="Close").click()
    expect(page.locator(".upload")).to_have_count(2)
    with page.expect_response("**/upload/import") as answer:
        page.reload()
    assert answer.value.json()["job"] is None
    expect(page.locator("#uploads")).to_contain_text("2 files are already imported or waiting")
    assert count_jobs(served_site) == 1
    assert sum(map(len, list_imported(served_site))) == 2
    visit.complaints.clear()


def test_an_import_waits_for_open_questions_or_a_confirmation(
    served_site: ServedSite, tmp_path: Path
) -> None:
    files = make_files(tmp_path / "desk", 3)
    (served_site.onedrive.root / files[0].name).write_bytes(b"the old one")
    page = served_site.enter().page
    page.set_input_files("#pick-files", files)
    page.get_by_label("Import when uploaded").check()
    uploads = page.locator("#uploads")
    expect(uploads).to_contain_text("2 files will be imported once all files are uploaded")
    assert count_jobs(served_site) == 0
    uploads.get_by_role("button", name="Import now").click()
    expect(uploads).to_contain_text("2 images are being imported")
    uploads.locator(".upload").get_by_role("button", name="Skip").click()
    done(page, 2)
    assert count_jobs(served_site) == 1


def test_two_drops_become_a_group_per_folder_if_chosen(
    served_site: ServedSite, tmp_path: Path
) -> None:
    for name in ("Harbour", "Mill"):
        make_files(tmp_path / name, 2)
    page = served_site.enter().page
    page.set_input_files("#pick-folder", tmp_path / "Harbour")
    done(page, 2)
    page.set_input_files("#pick-folder", tmp_path / "Mill")
    done(page, 4)
    page.get_by_role("region", name="Uploads").get_by_label("Group by").select_option("folder")
    page.get_by_label("Import when uploaded").check()
    expect(page.locator("#uploads")).to_contain_text("4 images are being imported")
    assert count_jobs(served_site) == 1
    assert [len(names) for names in list_imported(served_site)] == [2, 2]


@pytest.mark.parametrize(("size", "ready"), [(100_000, 6), (30_000_000, 3)])
def test_sessions_are_prepared_and_three_files_are_sent_at_once(
    served_site: ServedSite, tmp_path: Path, size: int, ready: int
) -> None:
    files = make_files(tmp_path / "desk", 8, size)
    visit = served_site.enter()
    page = visit.page
    held: list[Route] = []
    page.route("**/*uploadSession*", lambda route: held.append(route))
    page.set_input_files("#pick-files", files)
    sessions: list[object] = []
    for _ in range(1200):
        sessions = served_site.onedrive.log("POST", "createUploadSession")
        if len(sessions) >= ready and len(held) >= 3:
            break
        page.wait_for_timeout(50)
    # Wait for one more poll, which must not find anything.
    page.wait_for_timeout(500)
    sessions = served_site.onedrive.log("POST", "createUploadSession")
    assert (len(sessions), len(held)) == (ready, 3)
    page.unroute("**/*uploadSession*")
    done(page, 8)
    assert len(read_drive(served_site)) == 8
    visit.complaints.clear()
