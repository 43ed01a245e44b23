"""Measure checks of OneDrive: doubtful images, and a drive with many files.

    python benchmarks/drive_watch.py [--doubtful 2000] [--files 100000] [--delay 0.1]
                                     [--database URL]

The drive is the emulator, on the same two cores; there is no network between, so in the first part
each call about items is made to wait ``--delay`` seconds, about what Microsoft's service takes at
its best. A ``$batch`` waits once: its parts are answered side by side there.

- images in doubt: all are asked for by their ids, in twenty folders four deep; by one call each,
  and as a look through the drive asks.
- a drive of many files: everything is read once, as at first or when OneDrive has forgotten what
  changed, then again where nothing has; every hundredth file is an image. These calls do not wait.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from sqlalchemy import create_engine, func, insert, select, update  # noqa: E402
from sqlalchemy.orm import Session  # noqa: E402

from imagehub.clients import Drive, DriveItem  # noqa: E402
from imagehub.database import Base, make_engine_options  # noqa: E402
from imagehub.domain.sync import check, state  # noqa: E402
from imagehub.models import Group, Image, User  # noqa: E402
from imagehub.wiring import build_clients  # noqa: E402
from tests.fixtures.connection import DriveHub, make_settings  # noqa: E402
from tests.fixtures.onedrive import OneDrive  # noqa: E402

CORES = 2
FILES_PER_FOLDER = 100
DEEP = "Art/Works/Oils/Large"


def make_files(root: Path, count: int) -> None:
    """Write small different files, a hundred in each folder."""
    for number in range(count):
        folder = root / DEEP / f"{number // FILES_PER_FOLDER:05}"
        if number % FILES_PER_FOLDER == 0:
            folder.mkdir(parents=True)
        (folder / f"{number:06}.jpg").write_bytes(b"%d" % number)


def iter_files(drive: Drive) -> Iterable[DriveItem]:
    """Return all files of the drive from its list of changes."""
    link = ""
    while True:
        page = drive.fetch_changes(link)
        yield from (item for item in page.items if not item.is_folder)
        link = page.link
        if page.is_last:
            return


def add_images(session: Session, account_id: int, files: Iterable[DriveItem]) -> int:
    """Insert the rows of images for these files, as an import does."""
    group = Group(title="All")
    session.add(group)
    session.flush()
    rows = [
        {
            "group_id": group.id,
            "number": number,
            "position": number,
            "name": file.name,
            "drive_account_id": account_id,
            "drive_item_id": file.id,
            "drive_hash": file.quick_xor_hash,
            "drive_size_bytes": file.size_bytes,
            "folder_id": file.parent_id,
            "etag": file.etag,
            "ctag": file.ctag,
        }
        for number, file in enumerate(files, 1)
    ]
    for start in range(0, len(rows), 1000):
        session.execute(insert(Image), rows[start : start + 1000])
    session.commit()
    return len(rows)


@contextmanager
def start_hub(folder: Path, database: str) -> Iterator[tuple[DriveHub, int]]:
    """Return a connected hub with its own tables, and the number of its account."""
    onedrive = OneDrive(folder / "onedrive")
    url = database or f"sqlite:///{folder / 'hub.db'}"
    settings = make_settings(folder / "data", url, onedrive.url, IMAGEHUB_ROOT_FOLDER="/Art")
    engine = create_engine(url, **make_engine_options(url))
    try:
        Base.metadata.create_all(engine)
        with Session(engine, expire_on_commit=False) as session:
            user = User(name="Anna", name_key="anna", password_hash="-")
            session.add(user)
            session.commit()
            clients = build_clients(engine, settings)
            hub = DriveHub(engine, session, settings, clients, user.id, onedrive)
            yield hub, hub.connect().id
    finally:
        Base.metadata.drop_all(engine)
        engine.dispose()
        onedrive.stop()


def time_it(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def look(hub: DriveHub, account_id: int) -> None:
    hub.session.rollback()
    report = check.check_drive(hub.session, hub.clients, account_id)
    assert report is not None and report.is_done, report


def doubt_all(hub: DriveHub) -> None:
    hub.session.execute(update(Image).values(drive_doubt=state.ASK, drive_state="missing"))
    hub.session.commit()


def ask_one_by_one(hub: DriveHub, account_id: int) -> None:
    """Look up the items one by one, as a check without batches would."""
    drive = hub.clients.open_drive(account_id)
    for item_id in hub.session.scalars(select(Image.drive_item_id)).all():
        drive.get_item(item_id)


def time_doubtful(
    hub: DriveHub, account_id: int, delay: float, work: Callable[[DriveHub, int], None]
) -> tuple[float, int]:
    """Measure seconds and calls to OneDrive, with an empty cache of folders."""
    hub.clients = build_clients(hub.engine, hub.settings)
    for path in (r"/v1.0/\$batch", "/v1.0/me/drive/items/"):
        # The parts of a batch look like separate calls, so only one of both is delayed.
        if delay and (path.endswith("batch") or work is ask_one_by_one):
            hub.onedrive.set_fault("delay", seconds=delay, path=f"^{path}")
    hub.onedrive.clear_log()
    taken = time_it(lambda: work(hub, account_id))
    calls = len(hub.onedrive.log(path="^/v1.0/"))
    hub.onedrive.clear_faults()
    hub.session.rollback()
    return taken, calls


def count_not_ok(hub: DriveHub) -> int:
    hub.session.rollback()
    query = select(func.count()).select_from(Image).where(Image.drive_state != "ok")
    return hub.session.scalar(query) or 0


def run_doubtful(folder: Path, options: argparse.Namespace) -> None:
    with start_hub(folder, options.database) as (hub, account_id):
        make_files(hub.onedrive.root, options.doubtful)
        add_images(hub.session, account_id, list(iter_files(hub.open_drive())))
        look(hub, account_id)
        print(f"{options.doubtful:,} images in doubt, {options.delay * 1000:.0f} ms a call\n")
        print("| how they are asked for | s | calls | images a second |")
        print("|---|--:|--:|--:|")
        for name, work in (("one by one", ask_one_by_one), ("a look", look)):
            doubt_all(hub)
            seconds, calls = time_doubtful(hub, account_id, options.delay, work)
            rate = options.doubtful / seconds
            print(f"| {name} | {seconds:.1f} | {calls:,} | {rate:,.0f} |", flush=True)
        assert count_not_ok(hub) == 0


def run_drive(folder: Path, options: argparse.Namespace) -> None:
    with start_hub(folder, options.database) as (hub, account_id):
        make_files(hub.onedrive.root, options.files)
        began = time.perf_counter()
        files = list(iter_files(hub.open_drive()))
        indexing = time.perf_counter() - began
        add_images(hub.session, account_id, files[::100])
        print(
            f"\nA drive of {options.files:,} files, {options.files // 100:,} of them images "
            f"({hub.engine.dialect.name}; the emulator took {indexing:.0f} s to read its disk)\n"
        )
        print("| look | s | calls | CPU s of the look | of the emulator |")
        print("|---|--:|--:|--:|--:|")
        for name in ("everything", "nothing changed"):
            hub.onedrive.clear_log()
            before = read_cpu()
            seconds = time_it(lambda: look(hub, account_id))
            own, other = (now - then for now, then in zip(read_cpu(), before, strict=True))
            calls = len(hub.onedrive.log(path="^/v1.0/"))
            print(f"| {name} | {seconds:.1f} | {calls:,} | {own:.1f} | {other:.1f} |", flush=True)
        assert count_not_ok(hub) == 0


def read_cpu() -> tuple[float, float]:
    """Return the processor seconds of this process and of its emulator."""
    own = os.times()
    children = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split()
    other = 0
    for pid in children:
        words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        other += int(words[11]) + int(words[12])
    return own.user + own.system, other / os.sysconf("SC_CLK_TCK")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--doubtful", type=int, default=2000)
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--delay", type=float, default=0.1)
    parser.add_argument("--database", default="", help="SQLAlchemy URL of an empty database")
    options = parser.parse_args()
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])
    with tempfile.TemporaryDirectory() as folder:
        if options.doubtful:
            run_doubtful(Path(folder) / "doubtful", options)
        if options.files:
            run_drive(Path(folder) / "drive", options)


if __name__ == "__main__":
    main()
