"""``imagehub migrate-legacy`` with 1,000, 10,000 and 100,000 pictures of a first version: memory,
rate, statements and calls side by side, killed half way and run again.

    python -m benchmarks.legacy [--sizes 1000 10000] [--made 1000] [--large 2] [--pixels 240]
                                [--folder /tmp]

The first version's tables and the hub's are on one MariaDB, the drive is the emulator. Most
pictures are small JPEGs, all different; ``--large`` of a thousand are photographs of 5 MB, stored
as base64 like all others. Of the originals 97% are in the drive, 20 to a folder; 2% are not and are
uploaded, 1% have other bytes there. One row in a hundred has no picture, and fails.

Bringing a picture over takes tens of milliseconds, so only the last ``--made`` rows of each size
are brought over; those before them are rows that were written into the hub, and noted there as
brought over. ``--made 100000`` brings all over, and takes hours.

The command runs as its own process. At half of the made rows it is killed with SIGKILL and started
again; then once more, when there is nothing left to do. "Made" is what a row takes in the second
run, less what that takes for all rows that are there, as the third run tells. Memory is the
peak of resident memory (VmHWM) of the command and, apart from it, of the largest of its rendering
processes. Statements are those that MariaDB counts, for reading the old tables and writing the
hub's together, and so are the rows that it reads. Processor time is that of the command and its
renderers. What was made twice is counted at the end: images, groups, files in the drive, and
objects in the storage. It must be 0.
"""

import argparse
import io
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image as Picture
from sqlalchemy import Engine, NullPool, create_engine, func, select, text

from benchmarks.catalogue import fill_catalogue
from benchmarks.import_rate import make_hub
from benchmarks.scale import open_migrated
from benchmarks.worker_memory import read_kilobytes
from imagehub.database import db
from imagehub.errors import ServiceBusyError
from imagehub.models import Image, LegacyRow, Rendition
from imagehub.runtime.legacy.uploading import FOLDER
from imagehub.runtime.serve import allow_long_statements, migrate_database
from tests.fixtures.database import MariaDB, run_mariadb
from tests.fixtures.importing import ImportHub
from tests.fixtures.legacy import TABLES, make_text
from tests.fixtures.onedrive import OneDrive
from tests.fixtures.s3 import run_embedded_s3
from tests.support import ROOT

SIZES = (1_000, 10_000, 100_000)
ROWS_PER_GROUP = 4
ROWS_PER_FOLDER = 20
LARGE_BYTES = 5_000_000
# Rows of each hundred that are special.
BROKEN, CHANGED, MISSING = (99,), (98,), (96, 97)
MOST_MB = 300
BATCH = 200
COLUMNS = ("image_group", "image_folder", "image_id", "image_name", "title", "full_image")


@dataclass(frozen=True)
class Run:
    """What a run of the command took."""

    seconds: float
    cpu_seconds: float
    peak_mb: float
    renderer_mb: float
    statements: int
    rows_read: int
    calls: int


def main() -> None:
    parser = argparse.ArgumentParser(description="Bring first versions of several sizes over.")
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES))
    parser.add_argument("--made", type=int, default=1000, help="rows that are brought over")
    parser.add_argument("--large", type=int, default=2, help="pictures of 5 MB in a thousand")
    parser.add_argument("--pixels", type=int, default=240, help="width of the small pictures")
    parser.add_argument("--folder", type=Path, help="for the databases, the drive and the objects")
    options = parser.parse_args()
    titles = (
        "rows", "made", "made/s", "CPU ms/made", "statements/made", "rows read/made", "calls",
        "peak MB", "renderer MB", "third run s", "its CPU s", "its statements", "twice",
    )  # fmt: skip
    print("| " + " | ".join(titles) + " |\n|" + "--:|" * len(titles), flush=True)
    is_good = True
    for size in options.sizes:
        with tempfile.TemporaryDirectory(dir=options.folder) as name:
            made = min(size, options.made)
            is_good &= measure(Path(name), size, made, options.large, options.pixels)
    sys.exit(0 if is_good else 1)


def measure(folder: Path, size: int, made: int, large: int, pixels: int) -> bool:
    """Print the line of one size; return whether memory and counts are as promised."""
    with ExitStack() as stack:
        server = stack.enter_context(run_mariadb("256M", parent=folder))
        onedrive = OneDrive(folder / "onedrive")
        stack.callback(onedrive.stop)
        _, s3_address = stack.enter_context(run_embedded_s3(folder / "objects"))
        url, old_url = server.create_database(), server.create_database()
        fill_new(folder / "data", url, size - made)
        hub = make_hub(folder, url, onedrive, s3_address)
        stack.callback(hub.engine.dispose)
        stack.callback(hub.session.close)
        old = create_engine(old_url, poolclass=NullPool)
        fill_old(old, onedrive.root, size, size - made, large, pixels)
        read_drive(hub)
        first = run_command(hub, server, old_url, folder, size - made // 2)
        left = made - count_new(hub, size - made)
        second, third = (run_command(hub, server, old_url, folder) for _ in range(2))
        twice = count_twice(hub, onedrive.root, size, size - made)

    def per_made(name: str) -> float:
        return (float(getattr(second, name)) - float(getattr(third, name))) / left

    peak_mb = max(run.peak_mb for run in (first, second, third))
    cells = (
        f"{size:,}", f"{made:,}", f"{1 / per_made('seconds'):.1f}",
        f"{per_made('cpu_seconds') * 1000:.0f}", f"{per_made('statements'):.1f}",
        f"{per_made('rows_read'):.0f}", f"{second.calls:,}", f"{peak_mb:.0f}",
        f"{max(first.renderer_mb, second.renderer_mb):.0f}", f"{third.seconds:.0f}",
        f"{third.cpu_seconds:.1f}", f"{third.statements:,}", str(twice),
    )  # fmt: skip
    print("| " + " | ".join(cells) + " |", flush=True)
    return peak_mb <= MOST_MB and twice == 0


def count_new(hub: ImportHub, first: int) -> int:
    hub.session.rollback()
    query = select(func.count()).select_from(Image).where(Image.id > first)
    return hub.session.scalar(query) or 0


def read_drive(hub: ImportHub) -> None:
    """Have the emulator read its disk and take the hashes; a real drive has them."""
    link, is_last = "", False
    while not is_last:
        try:
            page = hub.open_drive().fetch_changes(link)
        except ServiceBusyError:
            # It takes longer than a call may.
            continue
        link, is_last = page.link, page.is_last


def fill_new(folder: Path, url: str, count: int) -> None:
    """Fill the hub with so many images, and note that the first rows were brought over as these."""
    app = open_migrated(folder, url)
    if not count:
        return
    with app.app_context(), allow_long_statements(db.engine):
        fill_catalogue(db.engine, count)
        db.session.execute(
            text(
                "INSERT INTO legacy_row (kind, row_key, group_number, target_id, name, created_at)"
                " SELECT 'image', id, group_id, id, CONCAT(LPAD(id - 1, 6, '0'), '.jpg'),"
                " created_at FROM image"
            )
        )
        db.session.commit()
    # Fills the indexes of search and filters, as the first start of a hub without them does.
    migrate_database(app)


# --- The first version ----------------------------------------------------------------------------


def fill_old(old: Engine, drive: Path, size: int, first: int, large: int, pixels: int) -> None:
    """Write the rows of a first version and their originals.

    :param first: row from which on the pictures are real; nothing reads those before.
    """
    with old.begin() as connection:
        for statement in TABLES:
            connection.execute(text(statement))
    photographs = [make_photograph(seed) for seed in range(3)] if large else []
    names, marks = ", ".join(COLUMNS), ", ".join(f":{name}" for name in COLUMNS)
    insert = text(f"INSERT INTO imagedb ({names}) VALUES ({marks})")
    rows: list[dict[str, object]] = []
    for number in range(size):
        is_large = number >= first and large > 0 and number % (1000 // large) == 0
        if is_large:
            data = mark_jpeg(photographs[number % 3], number)
        else:
            data = make_small(number, pixels) if number >= first else b"%d" % number
        folder, name = f"Folder {number // ROWS_PER_FOLDER:05}", f"{number:06}.jpg"
        rest = number % 100
        if rest not in MISSING and rest not in BROKEN:
            path = drive / folder
            path.mkdir(exist_ok=True)
            (path / name).write_bytes(data + b"changed" if rest in CHANGED else data)
        # None of those that the hub has.
        group = first + number // ROWS_PER_GROUP + 1
        words = make_text(data) if rest not in BROKEN else None
        values = (group, folder, number % ROWS_PER_GROUP + 1, name, f"Work {group}", words)
        rows.append(dict(zip(COLUMNS, values, strict=True)))
        if len(rows) == BATCH or is_large or number == size - 1:
            with old.begin() as connection:
                connection.execute(insert, rows)
            rows.clear()


def make_small(number: int, pixels: int) -> bytes:
    """Return a JPEG of three bands of colour, another one for each number."""
    picture = Picture.new("RGB", (3, 1))
    for x in range(3):
        value = number * 2_654_435_761 + x * 40_503
        picture.putpixel((x, 0), (value & 255, value >> 8 & 255, value >> 16 & 255))
    buffer = io.BytesIO()
    picture = picture.resize((pixels, pixels * 2 // 3), Picture.Resampling.BILINEAR)
    picture.save(buffer, "JPEG", quality=80)
    return mark_jpeg(buffer.getvalue(), number)


def make_photograph(seed: int) -> bytes:
    """Return a JPEG with grain, of 5 MB."""
    size = (3264, 2448)
    cells = random.Random(seed).randbytes(48 * 36 * 3)
    soft = Picture.frombytes("RGB", (48, 36), cells).resize(size, Picture.Resampling.BICUBIC)
    grain = Picture.merge("RGB", [Picture.effect_noise(size, 60)] * 3)
    photograph = Picture.blend(soft, grain, 0.4)
    for quality in range(96, 40, -2):
        buffer = io.BytesIO()
        photograph.save(buffer, "JPEG", quality=quality)
        if buffer.tell() <= LARGE_BYTES:
            break
    return buffer.getvalue()


def mark_jpeg(data: bytes, number: int) -> bytes:
    """Write a number into a JPEG as a comment, and up to 5 MB of nothing if it is nearly so large.

    Thus each file has bytes of its own, but photographs share their renditions.
    """
    comment = b"%012d" % number
    marked = data[:2] + b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment + data[2:]
    is_large = len(marked) > LARGE_BYTES // 2
    return marked + bytes(max(0, LARGE_BYTES - len(marked))) if is_large else marked


# --- The command ----------------------------------------------------------------------------------


def run_command(
    hub: ImportHub, server: MariaDB, old_url: str, folder: Path, kill_at: int = 0
) -> Run:
    """Run the command to its end, or kill it once the row of this number is in the hub."""
    hub.onedrive.clear_log()
    before, began = read_counters(server), time.perf_counter()
    output = folder / "output.txt"
    with output.open("w") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "imagehub", "migrate-legacy", "--upload-missing"],
            cwd=ROOT,
            env=os.environ | hub.settings.to_environment() | {"IMAGEHUB_LEGACY_URL": old_url},
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    peak = renderer = 0
    usage, looked_at = None, 0.0
    while True:
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        if pid:
            process.returncode = os.waitstatus_to_exitcode(status)
            break
        peak = max(peak, read_kilobytes(process.pid, "VmHWM"))
        for child in list_children(process.pid):
            renderer = max(renderer, read_kilobytes(child, "VmHWM"))
        if kill_at and time.monotonic() - looked_at > 1:
            looked_at = time.monotonic()
            if is_here(hub, kill_at):
                process.send_signal(signal.SIGKILL)
        time.sleep(0.02)
    # 1: the rows without a picture have failed.
    expected = -signal.SIGKILL if kill_at else 1
    assert process.returncode == expected, output.read_text()[-3000:]
    after = read_counters(server)
    return Run(
        time.perf_counter() - began,
        usage.ru_utime + usage.ru_stime,
        peak / 1024,
        renderer / 1024,
        after[0] - before[0],
        after[1] - before[1],
        len(hub.onedrive.log(path="^/v1.0")),
    )


def list_children(pid: int) -> Iterator[int]:
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            yield from map(int, path.read_text().split())
        except OSError:
            continue


def is_here(hub: ImportHub, key: int) -> bool:
    """Tell whether a row, or one that comes after it, was brought over."""
    hub.session.rollback()
    keys = [str(key + more) for more in range(10)]
    found = select(LegacyRow.row_key).where(LegacyRow.kind == "image", LegacyRow.row_key.in_(keys))
    return hub.session.scalar(found.limit(1)) is not None


def read_counters(server: MariaDB) -> tuple[int, int]:
    """Return the statements that the server has executed, and the rows that it has read."""
    with server.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SHOW GLOBAL STATUS WHERE Variable_name = 'Questions'")
        statements = int(cursor.fetchone()[1])
        cursor.execute("SHOW GLOBAL STATUS LIKE 'Handler_read%'")
        return statements, sum(int(value) for _, value in cursor.fetchall())


def count_twice(hub: ImportHub, drive: Path, size: int, first: int) -> int:
    """Count what is there more or less often than it should be, of the rows from ``first`` on."""
    session = hub.session
    session.rollback()
    good = sum(number % 100 not in BROKEN for number in range(first, size))
    missing = sum(number % 100 in MISSING for number in range(first, size))
    is_new = Image.id > first

    def count(what: Any, *conditions: Any) -> int:
        return int(session.scalar(select(what).where(is_new, *conditions)) or 0)

    notes = select(func.count(), func.count(func.distinct(LegacyRow.target_id))).where(
        LegacyRow.target_id > first
    )
    note_count, target_count = session.execute(notes).one()
    used = set(session.scalars(select(Rendition.object_key).where(Rendition.image_id > first)))
    keys = hub.list_keys()
    uploaded = [path for path in (drive / FOLDER).rglob("*") if path.is_file()]
    wrong = {
        "images": count(func.count()) - good,
        "notes": note_count - good,
        "images of notes": target_count - good,
        "pictures": count(func.count(func.distinct(Image.sha256))) - good,
        "groups": count(func.count(func.distinct(Image.group_id))) - (size - first) // 4,
        "without a file": count(func.count(), Image.drive_state == "absent"),
        "uploads": len(uploaded) - missing,
        "uploaded pictures": len({path.read_bytes()[:400] for path in uploaded}) - missing,
        "objects without a rendition": len(keys - used),
        "renditions without an object": len(used - keys),
    }
    for what, difference in wrong.items():
        if difference:
            print(f"  {what}: {difference:+d}", flush=True)
    # A kill may leave the objects of the pictures in progress, which reconcile deletes.
    del wrong["objects without a rendition"]
    return sum(map(abs, wrong.values()))


if __name__ == "__main__":
    main()
