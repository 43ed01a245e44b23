import io
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests
from PIL import Image

from tests.emulators.person import Person, fetch_code, redeem, refresh, send_fragment
from tests.fixtures.onedrive import PROGRAM, OneDrive
from tests.support import ROOT

StartProgram = Callable[..., "subprocess.Popen[str]"]
COMMAND = [sys.executable, str(PROGRAM)]


def run(*arguments: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *map(str, arguments)], capture_output=True, text=True, timeout=60
    )


@pytest.mark.parametrize("kind", ["personal", "business"])
def test_everything_survives_a_crash(start_onedrive: Callable[..., OneDrive], kind: str) -> None:
    onedrive = start_onedrive(kind=kind)
    person = Person(onedrive)
    item = person.put("F/a.txt", b"a")
    deleted = person.put("gone.txt", b"g")
    person.call("DELETE", f"/me/drive/items/{deleted['id']}")
    code = fetch_code(onedrive)
    url = person.start_upload("F/b.bin")["uploadUrl"]
    data = os.urandom(327_680 + 10)
    assert send_fragment(url, data[:327_680], 0, len(data)).status_code == 202
    drive = person.get("/me/drive")

    onedrive.restart()

    assert person.find("F/a.txt")["id"] == item["id"]
    assert person.find("F/a.txt")["eTag"] == item["eTag"]
    assert person.get("/me/drive")["id"] == drive["id"]
    assert person.get("/me/drive")["quota"] == drive["quota"]
    assert refresh(onedrive, person.tokens["refresh_token"]).status_code == 200
    assert redeem(onedrive, code).status_code == 200
    assert requests.get(item["@microsoft.graph.downloadUrl"], timeout=30).content == b"a"
    assert send_fragment(url, data[327_680:], 327_680, len(data)).status_code == 201
    assert (onedrive.root / "F" / "b.bin").read_bytes() == data
    if kind == "personal":
        restored = person.call("POST", f"/me/drive/items/{deleted['id']}/restore")
        assert restored.json()["name"] == "gone.txt"


def test_items_renamed_while_it_was_stopped_keep_their_ids(
    start_onedrive: Callable[..., OneDrive],
) -> None:
    onedrive = start_onedrive()
    person = Person(onedrive)
    item = person.put("A/a.txt", b"content")
    onedrive.stop()
    (onedrive.root / "A").rename(onedrive.root / "B")
    (onedrive.root / "B" / "a.txt").rename(onedrive.root / "b.txt")
    onedrive.start()
    assert person.find("b.txt")["id"] == item["id"]


def test_sigterm_stops_it_cleanly(start_onedrive: Callable[..., OneDrive]) -> None:
    onedrive = start_onedrive()
    Person(onedrive)
    assert onedrive.stop() == 0
    assert onedrive.errors.read_text() == ""
    with pytest.raises(requests.ConnectionError):
        requests.get(onedrive.url, timeout=5)


def test_a_large_picture_has_a_thumbnail_and_causes_no_warning(
    start_onedrive: Callable[..., OneDrive],
) -> None:
    onedrive = start_onedrive()
    person = Person(onedrive)
    data = io.BytesIO()
    Image.new("1", (10_000, 9_500)).save(data, "PNG")
    item = person.put("large.png", data.getvalue())
    assert item["image"] == {"width": 10_000, "height": 9_500}
    sizes = person.get(f"/me/drive/items/{item['id']}/thumbnails")["value"][0]
    thumbnail = requests.get(sizes["large"]["url"], timeout=30)
    with Image.open(io.BytesIO(thumbnail.content)) as picture:
        assert picture.size == (800, 760)
    assert onedrive.stop() == 0
    assert onedrive.errors.read_text() == ""


def test_running_requests_are_answered_before_it_stops(
    start_onedrive: Callable[..., OneDrive],
) -> None:
    onedrive = start_onedrive(auto_consent=True)
    person = Person(onedrive)
    onedrive.set_fault("delay", seconds=1.0, path="/me/drive$")
    answers: list[int] = []
    thread = threading.Thread(
        target=lambda: answers.append(person.call("GET", "/me/drive").status_code)
    )
    thread.start()
    while not any(fault["fired"] for fault in onedrive.list_faults()):
        threading.Event().wait(0.02)
    assert onedrive.stop() == 0
    thread.join(10)
    assert answers == [200]


def test_it_can_be_run_as_a_module(start_program: StartProgram, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "imagehub.emulators.onedrive"]
    process = start_program(
        [*command, "--root", str(tmp_path), "--port", "0"], stdout=subprocess.PIPE, cwd=ROOT
    )
    assert process.stdout is not None
    assert process.stdout.readline().startswith("ready: ")
    process.terminate()
    assert process.wait(20) == 0


def test_two_emulators_do_not_share_a_state(onedrive: OneDrive, tmp_path: Path) -> None:
    state = onedrive.errors.parent / "state"
    second = run("--root", tmp_path, "--state", state, "--port", 0)
    assert second.returncode == 1
    assert "Another emulator" in second.stderr


def test_a_busy_port_is_reported(onedrive: OneDrive, tmp_path: Path) -> None:
    port = onedrive.url.rpartition(":")[2]
    root = tmp_path / "root"
    root.mkdir()
    second = run("--root", root, "--port", port)
    assert second.returncode == 1
    assert "Cannot listen" in second.stderr


def test_the_state_cannot_be_inside_the_folder(tmp_path: Path) -> None:
    answer = run("--root", tmp_path, "--state", tmp_path / "inside")
    assert answer.returncode == 2
    assert "inside the folder" in answer.stderr
    assert run("--root", tmp_path / "nowhere").returncode == 2


def test_the_state_is_beside_the_folder_by_default(
    start_program: StartProgram, tmp_path: Path
) -> None:
    root = tmp_path / "Pictures"
    root.mkdir()
    process = start_program([*COMMAND, "--root", str(root), "--port", "0"], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline().startswith("ready: http://127.0.0.1:")
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 0
    assert os.listdir(root) == []
    assert (tmp_path / ".Pictures-onedrive-state").is_dir()


def test_a_public_address_replaces_the_requested_one(
    start_onedrive: Callable[..., OneDrive],
) -> None:
    onedrive = start_onedrive(public_url="http://drive.example:8080", auto_consent=True)
    item = Person(onedrive).put("a.txt", b"a")
    assert item["@microsoft.graph.downloadUrl"].startswith("http://drive.example:8080/my.")


def test_hidden_files_are_not_served(onedrive: OneDrive) -> None:
    (onedrive.root / ".onedrive-emulator-leftover").write_text("x")
    assert Person(onedrive).list_names() == []
