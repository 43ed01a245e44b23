"""Measure which part of an import is rendering and which is overhead.

    python benchmarks/import_rate.py [--photos 40] [--rounds 3] [--database URL]

Two things are timed in turn, on the same two cores and with as many rendering processes:

- renditions alone: the originals lie on the disk, a pool renders them, the bytes are thrown away;
- the import: a worker program fetches each original from the OneDrive emulator, checks it, renders
  it, stores three objects on the embedded S3 server, and writes the rows. Emulator, S3 server and
  database run on the same two cores, so they take their share of the time. The processor time is
  that of all these programs together.

The photos are 40 JPEGs of 8, 10 and 12 megapixels, all different: real ones of IMAGEHUB_TEST_PHOTOS
with a mark drawn on, where they are there, and made-up ones with shapes, grain and edges. Before
each import the images of the last are deleted, so that every object is written anew.
"""

import argparse
import io
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from PIL import Image, ImageChops, ImageDraw  # noqa: E402
from sqlalchemy import create_engine, select  # noqa: E402
from sqlalchemy.orm import Session  # noqa: E402

from imagehub.database import Base, make_engine_options  # noqa: E402
from imagehub.domain.library import images  # noqa: E402
from imagehub.domain.objects import bookkeeping  # noqa: E402
from imagehub.models import Image as ImageRow  # noqa: E402
from imagehub.models import User  # noqa: E402
from imagehub.queue import count_worker_threads  # noqa: E402
from imagehub.runtime.timing import Timing  # noqa: E402
from imagehub.runtime.worker import make_renderer  # noqa: E402
from imagehub.wiring import build_clients  # noqa: E402
from tests.fixtures.connection import make_settings  # noqa: E402
from tests.fixtures.importing import ImportHub  # noqa: E402
from tests.fixtures.onedrive import OneDrive  # noqa: E402
from tests.fixtures.s3 import ACCESS_KEY_ID, SECRET_ACCESS_KEY, run_embedded_s3  # noqa: E402
from tests.support import find_photos  # noqa: E402

SIZES = ((3264, 2448), (3648, 2736), (4000, 3000))
CORES = 2


def make_originals(count: int) -> list[bytes]:
    """Make JPEGs that differ everywhere, so that no two renditions are equal."""
    sources = [_make_scene()]
    folder = find_photos()
    for name in ("iphone_hdr_YES.jpg", "jolla.jpg") if folder else ():
        assert folder is not None
        if (folder / "camera" / name).is_file():
            sources.append(Image.open(folder / "camera" / name).convert("RGB"))
    made = []
    for number in range(count):
        photo = sources[number % len(sources)].resize(SIZES[number % len(SIZES)])
        draw = ImageDraw.Draw(photo)
        for line in range(12):
            x, y = number * 811 + line * 331, number * 577 + line * 211
            start = (x % photo.width, y % photo.height)
            draw.line((*start, start[0] + 700, start[1] + 300), (40 + number, 35, 30), 6)
        buffer = io.BytesIO()
        photo.save(buffer, "JPEG", quality=90)
        made.append(buffer.getvalue())
    return made


def _make_scene() -> Image.Image:
    size = SIZES[-1]
    bands = []
    for sigma, cells in ((90, 24), (80, 40), (70, 16)):
        soft = Image.effect_noise((cells, cells * 3 // 4), sigma).resize(
            size, Image.Resampling.BICUBIC
        )
        bands.append(ImageChops.add(soft, Image.effect_noise(size, 6), 1, -128))
    return Image.merge("RGB", bands)


def get_cpu_seconds(root: int | None = None) -> float:
    """Return the processor seconds of a process (this one) and all its children so far."""
    facts: dict[int, tuple[int, float]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            words = path.read_text().rpartition(")")[2].split()
            facts[int(path.parent.name)] = (int(words[1]), sum(map(int, words[11:15])))
    root = root or os.getpid()
    family, total = {root}, facts[root][1]
    found = {root}
    while found:
        found = {pid for pid, (parent, _) in facts.items() if parent in family} - family
        family |= found
        total += sum(facts[pid][1] for pid in found)
    return total / os.sysconf("SC_CLK_TCK")


class Stopwatch:
    """A stopwatch for elapsed time and processor time."""

    def __init__(self) -> None:
        self._began, self._cpu = time.perf_counter(), get_cpu_seconds()

    def read(self) -> tuple[float, float]:
        return time.perf_counter() - self._began, get_cpu_seconds() - self._cpu


def time_renditions(hub: ImportHub, paths: list[Path]) -> tuple[float, float]:
    """Measure all photos, with a running pool and as many callers as a worker has threads."""
    with (
        make_renderer(hub.settings) as pool,
        ThreadPoolExecutor(count_worker_threads(hub.settings)) as callers,
    ):
        list(callers.map(pool.render, paths[:CORES]))
        watch = Stopwatch()
        list(callers.map(pool.render, paths))
        return watch.read()


def time_import(hub: ImportHub) -> tuple[float, float]:
    """Measure the seconds from the request to the end of its job, with a running worker."""
    with hub.working(Timing()):
        hub.finish_job(hub.ask(hub.select_folder("Warm")))
        selection = hub.select_folder("Photos")
        watch = Stopwatch()
        job_id = hub.ask(selection)
        while not hub.report(job_id).is_finished:
            time.sleep(0.3)
        taken = watch.read()
    report = hub.report(job_id)
    assert report.done_count == len(selection.files), report
    keys = images.delete_images(hub.session, hub.session.scalars(select(ImageRow.id)).all())
    hub.session.commit()
    bookkeeping.delete_unused(hub.session, hub.clients, keys)
    return taken


def make_hub(
    folder: Path, url: str, onedrive: OneDrive, s3_address: str, **changes: str
) -> ImportHub:
    settings = make_settings(
        folder / "data",
        url,
        onedrive.url,
        **{
            "IMAGEHUB_S3_ENDPOINT_URL": s3_address,
            "IMAGEHUB_S3_ACCESS_KEY_ID": ACCESS_KEY_ID,
            "IMAGEHUB_S3_SECRET_ACCESS_KEY": SECRET_ACCESS_KEY,
            "IMAGEHUB_WORKER_PROCESSES": str(CORES),
            **changes,
        },
    )
    engine = create_engine(url, **make_engine_options(url))
    Base.metadata.create_all(engine)
    session = Session(engine, expire_on_commit=False)
    user = User(name="Anna", name_key="anna", password_hash="-")
    session.add(user)
    session.commit()
    clients = build_clients(engine, settings)
    clients.store.create_bucket()
    hub = ImportHub(engine, session, settings, clients, user.id, onedrive, folder=folder)
    hub.account_id = hub.connect().id
    return hub


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--database", default="", help="SQLAlchemy URL of an empty database")
    options = parser.parse_args()
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        onedrive = OneDrive(folder / "onedrive")
        stack.callback(onedrive.stop)
        _, address = stack.enter_context(run_embedded_s3(folder / "objects"))
        hub = make_hub(
            folder, options.database or f"sqlite:///{folder / 'hub.db'}", onedrive, address
        )
        stack.callback(hub.engine.dispose)
        stack.callback(hub.session.close)
        originals = make_originals(options.photos + CORES)
        hub.put_files("Warm", {f"{n}.jpg": originals.pop() for n in range(CORES)})
        hub.put_files("Photos", {f"{n:03}.jpg": data for n, data in enumerate(originals)})
        paths = sorted((onedrive.root / "Photos").iterdir())
        megabytes = sum(map(len, originals)) / 1e6
        print(
            f"{len(paths)} photos of 8 to 12 megapixels, {megabytes:.0f} MB, on {CORES} cores; "
            f"{hub.engine.dialect.name}; {options.rounds} rounds in turn.\n"
        )
        contenders: dict[str, Callable[[], tuple[float, float]]] = {
            "renditions alone": lambda: time_renditions(hub, paths),
            "import, end to end": lambda: time_import(hub),
        }
        taken: dict[str, list[tuple[float, float]]] = {name: [] for name in contenders}
        for _ in range(options.rounds):
            for name, run in contenders.items():
                taken[name].append(run())
        print("| what | median s | from-to s | photos a second | CPU s |")
        print("|---|--:|--:|--:|--:|")
        medians = {}
        for name, readings in taken.items():
            seconds, cpu = zip(*readings, strict=True)
            medians[name] = statistics.median(seconds)
            print(
                f"| {name} | {medians[name]:.1f} | {min(seconds):.1f}-{max(seconds):.1f} "
                f"| {len(paths) / medians[name]:.2f} | {statistics.median(cpu):.1f} |"
            )
        alone, whole = (medians[name] for name in contenders)
        print(f"\nThe import runs at {alone / whole:.0%} of the rate of the renditions alone.")


if __name__ == "__main__":
    main()
