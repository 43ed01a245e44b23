"""``imagehub demo``: a hub with pictures, and no processes left afterwards."""

import re
import signal
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from imagehub.config import load_settings
from imagehub.runtime.demo import S3_TRIES, start_s3
from imagehub.runtime.supervisor import Child, Program, StartError, Supervisor
from tests.fixtures.importing import make_jpeg
from tests.fixtures.package import Package
from tests.fixtures.programs import Command, choose_ports, is_alive, sign_in, wait_until
from tests.support import get_free_port

PASSWORD = "ein langes Passwort"
Start = Callable[..., Command]


@dataclass
class Demo:
    """A running demo with three drawn works. ``asked_port`` was busy when it started."""

    command: Command
    address: str
    asked_port: int
    temporary: Path


@pytest.fixture(scope="module")
def demo(
    start_command: Start, package: Package, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Demo]:
    """Run it from the wheel, without git and npm."""
    folder = tmp_path_factory.mktemp("demo")
    temporary = folder / "tmp"
    temporary.mkdir()
    # The settings of a real hub on this machine. None of them may be used.
    (folder / ".env").write_text(
        "IMAGEHUB_ROOT_FOLDER=/Nowhere\nIMAGEHUB_MS_CLIENT_SECRET=real\nIMAGEHUB_MAX_PIXELS=1\n"
    )
    with socket.create_server(("127.0.0.1", 0)) as somebody:
        port = somebody.getsockname()[1]
        command = start_command(
            folder,
            *("demo", "--ephemeral", "--works", "3", "--quick", "--port", str(port)),
            PYTHONPATH=str(package.installed),
            PATH="",
            TMPDIR=str(temporary),
            IMAGEHUB_DEMO_PASSWORD=PASSWORD,
            IMAGEHUB_DATABASE_URL="mysql+pymysql://hub:pw@127.0.0.1:1/real",
            IMAGEHUB_QUEUE_URL="redis://127.0.0.1:1/0",
            IMAGEHUB_S3_ENDPOINT_URL="http://127.0.0.1:1",
            IMAGEHUB_DATA_DIR=str(folder / "real-hub"),
            IMAGEHUB_ENV="production",
            IMAGEHUB_TITLE="Kleine Werke",
            **choose_ports(),
        )
        address = command.wait_until_ready()
        yield Demo(command, address, port, temporary)


def test_it_prints_its_progress_and_address(demo: Demo) -> None:
    said = demo.command.said
    for step in range(1, 6):
        assert f"{step}/5  " in said
    assert "[3/3]" in said
    assert "pictures imported." in said
    assert f"Admin     {demo.address}/admin/" in said
    assert "Name      admin" in said
    assert f"Password  {PASSWORD}" in said


def test_a_busy_port_is_reported_and_the_next_free_one_used(demo: Demo) -> None:
    assert f"Port {demo.asked_port} is in use; the hub uses " in demo.command.said
    assert (urlsplit(demo.address).port or 0) > demo.asked_port


def test_the_gallery_shows_the_works_with_pictures_from_s3(demo: Demo) -> None:
    page = requests.get(demo.address, timeout=30)
    assert page.status_code == 200
    assert "Kleine Werke" in page.text
    found = requests.get(f"{demo.address}/image/page?page=1", timeout=30).json()
    assert found["code"] == 1
    assert len(found["data"]) == 3
    for row in found["data"]:
        assert urlsplit(row["image"]).port != urlsplit(demo.address).port
        picture = requests.get(row["image"], timeout=30)
        assert picture.headers["Content-Type"] == "image/webp"
        assert picture.content[:4] == b"RIFF"
        unsigned = requests.get(row["image"].partition("?")[0], timeout=30)
        assert unsigned.status_code in (400, 403)
        assert b"RIFF" not in unsigned.content


def test_the_works_have_labels_and_alt_texts(demo: Demo) -> None:
    front = requests.get(demo.address, timeout=30).text
    [path] = set(re.findall(r'href="(/groups/\d+/quarter-turns)"', front))
    work = requests.get(demo.address + path, timeout=30).text
    label = work.split('<p class="record">', 1)[1].split("</p>", 1)[0]
    lines = re.findall(r"<span[^>]*>([^<]+)</span>", label)
    assert lines == [
        "2024",
        "Relief print",
        "60 × 51 cm",
        "Edition of 30, each unique",
        "Available",
        "€340",
    ]
    assert "turned by hand" in work
    assert 'alt="A grid of tiles with quarter circles' in work


@pytest.mark.parametrize("slug", ["contact", "imprint", "privacy"])
def test_the_pages_name_the_hub(demo: Demo, slug: str) -> None:
    page = requests.get(f"{demo.address}/pages/{slug}", timeout=30).text
    text = page.split('<div class="text"', 1)[1].split("</article>", 1)[0]
    assert "Kleine Werke" in text
    assert "{" not in text


def test_a_full_image_is_downloaded_from_the_drive(demo: Demo) -> None:
    row = requests.get(f"{demo.address}/image/page?page=1", timeout=30).json()["data"][0]
    answer = requests.get(
        f"{demo.address}/image/download?group_id={row['group']}&image_id=1", timeout=30
    ).json()
    original = requests.get(answer["image"]["image"], timeout=30)
    assert original.status_code == 200
    assert [step.status_code for step in original.history] == [302]
    drive = next(demo.temporary.glob("imagehub-demo-*/OneDrive"))
    assert original.content in [path.read_bytes() for path in drive.rglob("*.*")]


def test_the_admin_can_sign_in_and_the_drive_is_connected(demo: Demo) -> None:
    answer = sign_in(demo.address, "admin", PASSWORD)
    assert answer["code"] == 2
    header = {"Authorization": f"Bearer {answer['token']}"}
    state = requests.get(f"{demo.address}/admin/onedrive/connect", headers=header, timeout=30)
    assert state.json()["code"] == 1


def test_a_real_hub_on_the_machine_is_not_touched(demo: Demo) -> None:
    # The demo works although the addresses of database, queue and storage are invalid.
    assert not (demo.command.folder / "real-hub").exists()
    assert not (demo.command.folder / "instance").exists()


def test_ctrl_c_ends_all_programs_and_removes_the_temporary_folder(demo: Demo) -> None:
    assert len(list(demo.temporary.glob("imagehub-demo-*"))) == 1
    # Web server and worker with their child processes, S3 launcher and server, emulator, demo.
    assert len(demo.command.list_programs()) >= 8
    assert demo.command.end(signal.SIGINT) == 0
    assert list(demo.temporary.glob("imagehub-demo-*")) == []
    assert demo.command.said.endswith("Stopped.\n")
    assert "Traceback" not in demo.command.said


# --- A port that is taken at the last moment ------------------------------------------------------


class PortLosingSupervisor(Supervisor):
    """A supervisor whose programs lose their port just before the start, so many times."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.times = times
        self.others: list[socket.socket] = []
        self.launched: list[Child] = []

    def launch(self, program: Program) -> Child:
        if len(self.others) < self.times:
            port = int(program.command[-1])
            self.others.append(socket.create_server(("127.0.0.1", port)))
        self.launched.append(super().launch(program))
        return self.launched[-1]


@pytest.fixture
def port_losing_supervisor(request: pytest.FixtureRequest) -> Iterator[PortLosingSupervisor]:
    supervisor = PortLosingSupervisor(request.param)
    with supervisor:
        yield supervisor
    for one in supervisor.others:
        one.close()


@pytest.mark.parametrize("port_losing_supervisor", [2], indirect=True)
def test_the_s3_server_tries_another_port_if_it_loses_its_own(
    port_losing_supervisor: PortLosingSupervisor, tmp_path: Path
) -> None:
    port = get_free_port()
    asked = load_settings({"IMAGEHUB_DATA_DIR": str(tmp_path), "IMAGEHUB_S3_PORT": str(port)}, None)
    said: list[str] = []
    settings = start_s3(port_losing_supervisor, asked, "127.0.0.1", said.append)
    taken = [one.getsockname()[1] for one in port_losing_supervisor.others]
    assert taken[0] == port
    assert settings.s3_port > taken[1] > port
    assert said[0] == f"Port {port} is in use; the S3 server uses {taken[1]}."
    assert requests.get(settings.s3_url, timeout=30).status_code in (400, 403)
    # Programs that lost their port are not restarted.
    assert not port_losing_supervisor.forget(port_losing_supervisor.launched[-1])


@pytest.mark.parametrize("port_losing_supervisor", [S3_TRIES], indirect=True)
def test_after_several_tries_it_reports_that_the_port_is_taken(
    port_losing_supervisor: PortLosingSupervisor, tmp_path: Path
) -> None:
    asked = load_settings(
        {"IMAGEHUB_DATA_DIR": str(tmp_path), "IMAGEHUB_S3_PORT": str(get_free_port())}, None
    )
    with pytest.raises(StartError, match="cannot be used"):
        start_s3(port_losing_supervisor, asked, "127.0.0.1", [].append)
    assert len(port_losing_supervisor.others) == S3_TRIES


# --- Own photos -----------------------------------------------------------------------------------


def test_own_photos_are_imported_once_and_new_ones_at_the_next_start(
    start_command: Start, tmp_path: Path
) -> None:
    photos = tmp_path / "My photos"
    for name in ("Tromsø & co", "100 % #1"):
        (photos / name).mkdir(parents=True)
        (photos / name / "front.jpg").write_bytes(make_jpeg(len(name)))
    (photos / "notes.txt").write_text("not a picture")
    arguments = ("demo", "--photos", str(photos), "--data", str(tmp_path / "data"), "--port")
    ports = choose_ports()

    first = start_command(tmp_path, *arguments, str(get_free_port()), **ports)
    address = first.wait_until_ready()
    assert "2 pictures imported." in first.said
    names = {
        row["image_name"] for row in requests.get(f"{address}/image/page?page=1").json()["data"]
    }
    assert names == {"front.jpg"}
    password = first.wait_for(r"Password  (\S+)")
    assert first.end(signal.SIGTERM) == 0
    assert (photos / "notes.txt").read_text() == "not a picture"
    data = tmp_path / "data"
    assert list((data / "objects").rglob("*.webp"))
    open_files = [one for one in (data, *data.rglob("*")) if one.stat().st_mode & 0o077]
    assert not open_files, "other users of the machine could read them"

    (photos / "New").mkdir()
    (photos / "New" / "front.jpg").write_bytes(make_jpeg(99))
    second = start_command(tmp_path, *arguments, str(get_free_port()), **ports)
    address = second.wait_until_ready()
    assert "1 picture imported." in second.said
    assert second.wait_for(r"Password  (\S+)") == password
    assert sign_in(address, "admin", password)["code"] == 2
    assert requests.get(f"{address}/image/total-page").json() == {"totalPage": 1}
    assert len(requests.get(f"{address}/image/page?page=1").json()["data"]) == 3

    # Even when it is killed, it leaves no process behind.
    pids = second.list_programs()
    second.process.kill()
    wait_until(lambda: not any(map(is_alive, pids)))

    third = start_command(tmp_path, *arguments, str(get_free_port()), **ports)
    third.wait_until_ready()
    assert "Nothing new to import there." in third.said
    assert "3 pictures in 3 groups" in third.said
    assert third.end() == 0


def test_ctrl_c_while_drawing_ends_the_drawing(start_command: Start, tmp_path: Path) -> None:
    arguments = ("demo", "--ephemeral", "--port", str(get_free_port()))
    command = start_command(tmp_path, *arguments, TMPDIR=str(tmp_path), **choose_ports())
    command.wait_for(r"^1/5 ")
    wait_until(lambda: len(command.list_programs()) >= 3)
    assert command.end(signal.SIGINT) == 0
    assert command.said.endswith("Stopped.\n")
    assert list(tmp_path.glob("imagehub-demo-*")) == []


def test_a_demo_killed_while_drawing_leaves_no_process(
    start_command: Start, tmp_path: Path
) -> None:
    arguments = ("demo", "--ephemeral", "--port", str(get_free_port()))
    command = start_command(tmp_path, *arguments, TMPDIR=str(tmp_path), **choose_ports())
    command.wait_for(r"^     \[1/44\]")
    pids = command.list_programs()
    assert len(pids) >= 4  # the demo, the drawing program and two of its processes
    command.process.kill()
    wait_until(lambda: not any(map(is_alive, pids)))


@pytest.mark.parametrize(
    ("arguments", "variables", "words"),
    [
        (["--photos", "{tmp}/none"], {}, "does not exist"),
        (["--photos", "{tmp}", "--data", "{tmp}/data"], {}, "must not be inside the photos folder"),
        (
            ["--ephemeral"],
            {"IMAGEHUB_DEMO_PASSWORD": "short"},
            "PASSWORD: A password must have at least 8",
        ),
        (["--ephemeral"], {"IMAGEHUB_ACCENT": "red"}, "IMAGEHUB_ACCENT: must be a colour"),
    ],
)
def test_impossible_options_are_explained_in_one_sentence(
    start_command: Start,
    tmp_path: Path,
    arguments: list[str],
    variables: dict[str, str],
    words: str,
) -> None:
    filled = [part.replace("{tmp}", str(tmp_path)) for part in arguments]
    command = start_command(tmp_path, "demo", *filled, TMPDIR=str(tmp_path), **variables)
    assert command.process.wait(60) != 0
    assert words in command.said
    assert "Traceback" not in command.said
    assert list(tmp_path.glob("imagehub-demo-*")) == []
