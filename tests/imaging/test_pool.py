"""Rendering in processes that hang, crash or exhaust memory, without harm to the next picture."""

import contextlib
import io
import json
import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pillow_heif
import pytest
from PIL import Image

from imagehub.errors import (
    PictureError,
    PictureTooLargeError,
    ServiceBusyError,
    UnreadablePictureError,
)
from imagehub.imaging.pool import RenderPool
from imagehub.imaging.render import RenderOptions
from tests.fixtures.programs import is_alive, wait_until
from tests.imaging.test_render import render
from tests.support import ROOT

pillow_heif.register_heif_opener()

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


@pytest.fixture(scope="module")
def pool() -> Iterator[RenderPool]:
    with RenderPool(processes=2) as pool:
        yield pool


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    return save(tmp_path / "photo.jpg")


def save(path: Path, size: tuple[int, int] = (640, 480), **how: object) -> Path:
    noise = [Image.effect_noise((160, 120), 60).resize(size) for _ in range(3)]
    Image.merge("RGB", noise).save(path, **how)
    return path


def list_children(parent: int | None = None) -> list[int]:
    """Process ids of the renderers of a process, from the system's own list."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            # "pid (name) state parent …"; the name may hold spaces.
            state, parent_id = status.read_text().rpartition(")")[2].split()[:2]
            line = (status.parent / "cmdline").read_bytes()
            if int(parent_id) == (parent or os.getpid()) and state != "Z" and b"run_child" in line:
                found.append(int(status.parent.name))
    return found


@pytest.fixture
def endless(tmp_path: Path) -> Path:
    """A pipe with nobody at the other end: whoever opens it to read waits for ever."""
    path = tmp_path / "endless.jpg"
    os.mkfifo(path)
    return path


def waits_for_a_writer(process: int) -> bool:
    """Whether a process opens a pipe that nobody writes to (the kernel's ``fs/pipe.c``)."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{process}/wchan").read_text() == "wait_for_partner"
    return False


# --- What comes back ------------------------------------------------------------------------------


def test_a_picture_comes_back_just_as_it_is_made_here(pool: RenderPool, photo: Path) -> None:
    assert pool.render(photo) == render(photo)
    assert pool.render(str(photo)) == render(photo)


def test_metadata_and_both_formats_cross_over_unchanged(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x010F], exif[0x0110] = "Canon", "EOS R"
    exif.get_ifd(0x8769)[0x9003] = "2020:02:29 23:59:58"
    exif.get_ifd(0x8769)[0x9011] = "-03:30"
    exif.get_ifd(0x8825).update({1: "N", 2: (60.0, 10.0, 0.0), 3: "W", 4: (5.0, 0.0, 0.0)})
    path = save(tmp_path / "photo.jpg", exif=exif.tobytes())
    options = RenderOptions(avif=True, keep_gps=True)
    with RenderPool(1, options=options) as pool:
        made = pool.render(path)
    assert made == render(path, options)
    assert made.metadata.taken_at and made.metadata.taken_at.utcoffset() is not None
    assert made.metadata.gps == pytest.approx((60.1666667, -5.0))


def test_errors_about_pictures_cross_over_unchanged(pool: RenderPool, tmp_path: Path) -> None:
    (tmp_path / "page.pdf").write_bytes(b"%PDF-1.7")
    with pytest.raises(UnreadablePictureError, match="a PDF document"):
        pool.render(tmp_path / "page.pdf")
    Image.new("1", (20_000, 15_000)).save(tmp_path / "wide.png")
    with pytest.raises(PictureTooLargeError, match="has 300 megapixels; the limit is 250"):
        pool.render(tmp_path / "wide.png")


def test_anything_unexpected_becomes_a_plain_error_and_a_line_in_the_log(
    pool: RenderPool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(UnreadablePictureError) as caught:
        pool.render(tmp_path / "is not there.jpg")
    assert str(caught.value) == "This image cannot be read."
    assert "FileNotFoundError" in caplog.text


def test_many_threads_share_a_pool(pool: RenderPool, photo: Path) -> None:
    expected = render(photo)
    before = set(list_children())
    with ThreadPoolExecutor(8) as threads:
        assert all(made == expected for made in threads.map(pool.render, [photo] * 16))
    assert len(set(list_children()) - before) <= 2


# --- Processes ------------------------------------------------------------------------------------


def test_children_start_when_needed_and_end_with_the_pool(photo: Path) -> None:
    before = set(list_children())
    pool = RenderPool(processes=3)
    assert set(list_children()) == before
    pool.render(photo)
    pool.render(photo)
    assert len(set(list_children()) - before) == 1
    pool.close()
    assert set(list_children()) == before


def test_a_child_loads_neither_the_application_nor_the_network_nor_secrets(
    photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IMAGEHUB_S3_SECRET_ACCESS_KEY", "very-secret-indeed")
    before = set(list_children())
    with RenderPool(1) as pool:
        pool.render(photo)
        (child,) = set(list_children()) - before
        assert b"very-secret" not in Path(f"/proc/{child}/environ").read_bytes()
        maps = Path(f"/proc/{child}/maps").read_text()
    assert "_imaging." in maps
    assert "sqlalchemy" not in maps and "_cffi_backend" not in maps
    assert "_ssl." not in maps and "_socket." not in maps


def test_a_child_that_takes_too_long_is_replaced(photo: Path, endless: Path) -> None:
    before = set(list_children())
    with RenderPool(1, timeout_seconds=3) as pool:
        pool.render(photo)
        (slow,) = set(list_children()) - before
        with pytest.raises(PictureTooLargeError, match="took longer than 3 seconds"):
            pool.render(endless)
        assert slow not in list_children()
        assert pool.render(photo).format == "JPEG"


@pytest.mark.parametrize(
    ("how", "error", "words"),
    [
        (signal.SIGSEGV, UnreadablePictureError, "crashes the decoder"),
        (signal.SIGABRT, UnreadablePictureError, "crashes the decoder"),
        (signal.SIGKILL, PictureTooLargeError, "more memory than is available"),
    ],
)
def test_a_child_that_dies_at_work_spoils_only_its_own_picture(
    photo: Path, endless: Path, how: signal.Signals, error: type[PictureError], words: str
) -> None:
    before = set(list_children())
    with RenderPool(1) as pool, ThreadPoolExecutor(1) as thread:
        pool.render(photo)
        (child,) = set(list_children()) - before
        doomed = thread.submit(pool.render, endless)
        wait_until(lambda: waits_for_a_writer(child))
        os.kill(child, how)
        with pytest.raises(error, match=words):
            doomed.result(timeout=30)
        assert pool.render(photo).format == "JPEG"
        assert child not in list_children()


def test_a_child_that_died_while_idle_is_replaced_without_blame(photo: Path) -> None:
    before = set(list_children())
    with RenderPool(1) as pool:
        pool.render(photo)
        (child,) = set(list_children()) - before
        os.kill(child, signal.SIGKILL)
        # It loses its command line first, and closes its pipes a little later.
        wait_until(lambda: not is_alive(child))
        assert pool.render(photo).format == "JPEG"


def test_a_stop_of_the_whole_service_does_not_end_a_child(photo: Path) -> None:
    before = set(list_children())
    with RenderPool(1) as pool:
        pool.render(photo)
        (child,) = set(list_children()) - before
        for stop in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            os.kill(child, stop)
        pool.render(photo)
        assert child in list_children()


def test_closing_blames_no_picture(photo: Path, endless: Path) -> None:
    before = set(list_children())
    pool = RenderPool(1)
    with ThreadPoolExecutor(2) as threads:
        at_work = threads.submit(pool.render, endless)
        wait_until(lambda: set(list_children()) - before)
        waiting = threads.submit(pool.render, photo)
        pool.close()
        for stopped in (at_work, waiting):
            with pytest.raises(ServiceBusyError):
                stopped.result(timeout=20)
    with pytest.raises(ServiceBusyError, match="was stopped"):
        pool.render(photo)


def test_a_child_that_has_grown_is_replaced(photo: Path) -> None:
    before = set(list_children())
    with RenderPool(1, recycle_above_bytes=1) as pool:
        pool.render(photo)
        assert set(list_children()) == before
        pool.render(photo)


PARENT = """
import os, sys, threading
sys.path.insert(0, sys.argv[1])
from imagehub.imaging.pool import RenderPool
pool = RenderPool(1)
pool.render(sys.argv[2])
threading.Thread(target=pool.render, args=(sys.argv[3],), daemon=True).start()
{then}
"""


def start_parent(then: str, *paths: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", PARENT.format(then=then), str(ROOT), *map(str, paths)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_children_at_work_end_when_their_parent_is_killed(photo: Path, endless: Path) -> None:
    parent = start_parent("print('ready', flush=True); sys.stdin.read()", photo, endless)
    assert parent.stdout is not None and parent.stdout.readline() == "ready\n"
    children = list_children(parent.pid)
    assert children
    parent.kill()
    parent.communicate()
    wait_until(lambda: not any(Path(f"/proc/{child}").exists() for child in children))


def test_a_process_forked_with_the_pool_in_it_gets_children_of_its_own(
    photo: Path, endless: Path
) -> None:
    then = """
mine = set(child.process_id for child in pool._children)
if os.fork() == 0:
    pool.render(sys.argv[2])
    theirs = set(child.process_id for child in pool._children)
    pool.close()
    print("apart" if theirs and not theirs & mine else "shared", flush=True)
    os._exit(0)
os.wait()
pool.close()
"""
    parent = start_parent(then, photo, endless)
    said, _ = parent.communicate(timeout=60)
    assert said == "apart\n"
    assert parent.returncode == 0


# --- Memory ---------------------------------------------------------------------------------------


def test_a_picture_that_needs_too_much_memory_is_refused_and_the_pool_goes_on(
    tmp_path: Path, photo: Path
) -> None:
    path = tmp_path / "large.png"
    Image.new("RGB", (5000, 5000), "teal").save(path)
    with RenderPool(1, memory_limit_bytes=60_000_000) as pool:
        with pytest.raises(PictureTooLargeError, match="memory"):
            pool.render(path)
        assert pool.render(photo).format == "JPEG"


def test_a_need_that_was_not_foreseen_ends_at_the_systems_limit(tmp_path: Path) -> None:
    """The estimate is trusted for manners, not for safety: the limit is the system's."""
    path = tmp_path / "large.png"
    Image.new("RGB", (6000, 6000), "teal").save(path)
    with RenderPool(1, memory_limit_bytes=40_000_000) as pool:
        # What a wrong estimate would come to: the child believes it has plenty.
        pool._options = RenderOptions()
        with pytest.raises(PictureTooLargeError, match="memory"):
            pool.render(path)


def test_pictures_that_need_much_take_turns(tmp_path: Path) -> None:
    path = tmp_path / "large.png"
    Image.new("RGB", (4500, 4500), "teal").save(path, compress_level=1)
    with RenderPool(3, memory_limit_bytes=200_000_000) as pool, ThreadPoolExecutor(3) as threads:
        most = 0
        take = pool._memory._changed

        def watch() -> None:
            nonlocal most
            while not done.wait(0.005):
                with take:
                    most = max(most, pool._memory._used_bytes)

        done = threading.Event()
        watcher = threading.Thread(target=watch)
        watcher.start()
        for made in threads.map(pool.render, [path] * 3):
            assert made.width_px == 4500
        done.set()
        watcher.join()
    assert 0 < most <= 200_000_000
    assert pool._memory._used_bytes == 0


# --- Strangers' files -----------------------------------------------------------------------------

FORMATS = {
    "JPEG": {"quality": 85},
    "MPO": {"save_all": True},
    "PNG": {},
    "WEBP": {"quality": 80},
    "GIF": {},
    "TIFF": {"compression": "tiff_lzw"},
    "BMP": {},
    "AVIF": {"quality": 60},
    "HEIF": {"quality": 60},
}


def make_victims() -> Iterator[tuple[str, bytes]]:
    """For each format: cut at every tenth, and with bytes changed; always the same ones."""
    dice = random.Random(20_240_229)
    pixels = dice.randbytes(64 * 48 * 3)
    noise = Image.frombytes("RGB", (64, 48), pixels).resize((160, 120))
    for format, how in FORMATS.items():
        exif = Image.Exif()
        exif[0x0112] = 6
        target = io.BytesIO()
        noise.save(target, format, **({} if format in ("GIF", "BMP") else {"exif": exif}), **how)
        whole = target.getvalue()
        for tenth in range(10):
            yield f"{format} cut at {tenth}/10", whole[: len(whole) * tenth // 10]
        for number in range(30):
            broken = bytearray(whole)
            # Headers are where a decoder believes what it reads, so they are hit more often.
            reach = len(whole) if number % 2 else min(len(whole), 400)
            for _ in range(dice.choice((1, 3, 12, 60))):
                broken[dice.randrange(8, reach)] = dice.randrange(256)
            yield f"{format} changed, number {number}", bytes(broken)
        swollen = bytearray(whole)
        middle = len(whole) // 2
        swollen[middle:middle] = dice.randbytes(5000)
        yield f"{format} swollen", bytes(swollen)


def test_no_broken_file_of_any_format_stops_the_pool(tmp_path: Path, photo: Path) -> None:
    options = RenderOptions(max_pixels=40_000_000)
    outcomes = {"made": 0, "refused": 0}
    peaks = []
    with RenderPool(2, 20.0, memory_limit_bytes=700_000_000, options=options) as pool:

        def attempt(victim: tuple[int, tuple[str, bytes]]) -> None:
            number, (name, content) = victim
            path = tmp_path / str(number)
            path.write_bytes(content)
            try:
                made = pool.render(path)
            except PictureError as error:
                assert str(error).endswith("."), name
                outcomes["refused"] += 1
            else:
                assert len(made.renditions) == 4, name
                outcomes["made"] += 1
            peaks.extend(child.peak_bytes for child in list(pool._children))

        with ThreadPoolExecutor(2) as threads:
            for _ in threads.map(attempt, enumerate(make_victims())):
                pass
        assert pool.render(photo).format == "JPEG"
    assert outcomes["refused"] > 90  # Whatever was cut short, at the least.
    assert outcomes["made"] > 10  # Some changes do no harm.
    assert max(peaks) < 800_000_000


def test_a_child_cannot_make_its_parent_read_for_ever(photo: Path) -> None:
    """What a child says is data: an absurd length is the end of it, not of the parent's memory."""
    from imagehub.imaging.pool import read_frame

    def read_from(data: bytes) -> object:
        return read_frame(io.BytesIO(data).read)

    with pytest.raises(ValueError, match="not a valid frame"):
        read_from(b"\xff\xff\xff\xff")
    header = json.dumps({"blobs": [10**12]}).encode()
    with pytest.raises(ValueError, match="not a valid frame"):
        read_from(len(header).to_bytes(4, "big") + header)
