"""Break a hub at random and under load: ``make chaos ARGS="--minutes 5 --seed 7"``.

MariaDB, Redis, the embedded S3 server, the OneDrive emulator, two web servers and two workers run;
visitors look at pages, JSON and pictures, and an admin imports folders. Meanwhile one web server
and one worker after the other are killed, MariaDB, Redis, S3 and OneDrive stop for seconds, and
OneDrive answers with errors. Then everything runs again until all imports have ended.

The exit status is 1 if an item is lost, imported twice, or an object is left over, or if a visitor
read an error that is not meant for people. The token of the admin lasts an hour, so at most 50
minutes are possible. All parts run at the priority of this program.
"""

import argparse
import random
import secrets
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

from sqlalchemy import select, update

from benchmarks.chaos.load import Admin, Tally, Visitor
from benchmarks.chaos.parts import Parts, run_parts
from benchmarks.chaos.trouble import Trouble
from imagehub.database import now_utc
from imagehub.domain.imports import jobs
from imagehub.models import Image, ImportItem, ImportJob, Rendition, StoredObject

FIRST_FILES = 8
SETTLE_SECONDS = 600.0
RETRIES = 3


def main(arguments: Sequence[str] | None = None) -> int:
    """:return: the exit status."""
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__.split("\n")[0])
    parser.add_argument("--minutes", type=float, default=5.0, help="at most 50")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**6))
    parser.add_argument("--visitors", type=int, default=4)
    parser.add_argument("--files", type=int, default=6, help="in each folder that is imported")
    options = parser.parse_args(arguments)
    if not 0 < options.minutes <= 50:
        parser.error("--minutes must be more than 0 and at most 50")
    # The programs that run are ended then too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    print(f"seed {options.seed}; starting …", flush=True)
    with tempfile.TemporaryDirectory(prefix="chaos-") as name, run_parts(Path(name)) as parts:
        return run(parts, options.minutes * 60, options.seed, options.visitors, options.files)


def run(parts: Parts, seconds: float, seed: int, visitor_count: int, file_count: int) -> int:
    """Load the hub and break it for that long, let it settle, and print the table."""
    import_first_work(parts)
    print(f"breaking things for {seconds:.0f} s …", flush=True)
    trouble = Trouble(parts, seed)
    tally = Tally(trouble.find_causes)
    is_over = threading.Event()
    visitors = [
        Visitor(parts, tally, random.Random(f"{seed} visitor {number}"))
        for number in range(visitor_count)
    ]
    admin = Admin(parts, tally, random.Random(f"{seed} admin"), file_count)
    loads = [threading.Thread(target=one.visit_until, args=(is_over,)) for one in visitors]
    loads.append(threading.Thread(target=admin.import_until, args=(is_over,)))
    for thread in loads:
        thread.start()
    breaking = trouble.start(is_over)
    try:
        time.sleep(seconds)
    finally:
        is_over.set()
        for thread in (*breaking, *loads):
            thread.join()
    print("everything runs again; waiting for the imports …", flush=True)
    parts.onedrive.clear_faults()
    failed_count = settle(parts)
    return report(parts, tally, trouble, admin, file_count, failed_count)


def import_first_work(parts: Parts) -> None:
    """Import what visitors look at."""
    job_id = parts.hub.ask(parts.hub.put_pictures("Works 0", FIRST_FILES, first=1))
    wait_for_job(parts, job_id)


def wait_for_job(parts: Parts, job_id: int) -> None:
    deadline = time.monotonic() + SETTLE_SECONDS
    while not parts.hub.report(job_id).is_finished:
        if time.monotonic() > deadline:
            raise RuntimeError(f"the import stands still: {parts.hub.report(job_id)}")
        time.sleep(0.5)


def settle(parts: Parts) -> int:
    """Wait until all imports have ended; retry what failed, as an admin does.

    :return: how many items had failed before.
    """
    session = parts.hub.session
    failed_count = 0
    for _ in range(RETRIES + 1):
        session.rollback()
        # A pause or a long delay that is left from the faults.
        session.execute(
            update(ImportItem)
            .where(ImportItem.state == "queued")
            .values(available_at=now_utc() - timedelta(seconds=1))
        )
        session.commit()
        job_ids = session.scalars(select(ImportJob.id)).all()
        for job_id in job_ids:
            wait_for_job(parts, job_id)
        retried = sum(jobs.retry_items(session, job_id) for job_id in job_ids)
        session.commit()
        failed_count += retried
        if not retried:
            break
    return failed_count


def report(
    parts: Parts, tally: Tally, trouble: Trouble, admin: Admin, file_count: int, failed_count: int
) -> int:
    """Compare what was asked for with what is there, and print it; return the exit status."""
    hub = parts.hub
    hub.session.rollback()
    images = hub.session.execute(select(Image.folder_name, Image.drive_item_id)).all()
    found = Counter(image.folder_name for image in images)
    expected = {"Works 0": FIRST_FILES, **dict.fromkeys(admin.folders, file_count)}
    lost = sum(max(0, count - found[name]) for name, count in expected.items())
    twice = sum(max(0, found[name] - expected.get(name, 0)) for name in found)
    copies = len(images) - len({image.drive_item_id for image in images})
    # As if the half hour had passed for which a dead worker keeps its keys.
    hub.session.execute(
        update(StoredObject)
        .where(StoredObject.pinned_until.is_not(None))
        .values(pinned_until=now_utc() - timedelta(hours=1))
    )
    hub.session.commit()
    first = hub.reconcile()
    for job_id in first.repair_job_ids:
        wait_for_job(parts, job_id)
    hub.session.rollback()
    used = set(hub.session.scalars(select(Rendition.object_key)))
    keys = hub.list_keys()
    left, missing = len(keys - used), len(used - keys) + first.missing_count
    lines: list[tuple[str, object]] = [
        ("requests", tally.request_count),
        ("answered by the other web server", tally.retried_count),
        ("failures seen", sum(tally.failures.values())),
        ("longest time without any success, seconds", f"{tally.longest_outage_seconds:.1f}"),
        ("items imported", sum(found.values())),
        ("items that failed and were retried by hand", failed_count),
        ("items lost", lost),
        ("duplicates", max(twice, copies)),
        ("objects deleted by reconcile", first.orphan_count + first.unused_count),
        ("objects missing", missing),
        ("objects left over after reconcile", left),
        ("errors not meant for people", len(tally.raw_answers)),
        ("stack traces in our logs", sum(program.count_traces() for program in parts.own)),
    ]
    print("\n| what broke | times |\n|---|--:|")
    for name, count in sorted(trouble.counts.items()):
        print(f"| {name} | {count} |")
    print("\n| failure | cause at that time | count |\n|---|---|--:|")
    for (kind, cause), count in tally.failures.most_common():
        print(f"| {kind} | {cause} | {count} |")
    print("\n| result | |\n|---|--:|")
    for name, value in lines:
        print(f"| {name} | {value} |")
    for words in tally.raw_answers[:5]:
        print(f"\nNot meant for people: {words}", file=sys.stderr)
    for error in trouble.errors:
        print(f"\nNot started again: {error}", file=sys.stderr)
    show_traces(parts)
    is_bad = lost or twice or copies or left or missing or tally.raw_answers or trouble.errors
    return 1 if is_bad else 0


def show_traces(parts: Parts) -> None:
    """Print the last line of each different stack trace in our logs."""
    ends: Counter[str] = Counter()
    for program in parts.own:
        is_inside = False
        for line in program.log.read_text(errors="replace").splitlines():
            if line.startswith("Traceback"):
                is_inside = True
            elif is_inside and line and not line.startswith(" "):
                ends[f"{program.name.partition('-')[0]}: {line[:160]}"] += 1
                is_inside = False
    if ends:
        print("\n| stack traces end with | count |\n|---|--:|")
        for words, count in ends.most_common(10):
            print(f"| {words} | {count} |")


if __name__ == "__main__":
    sys.exit(main())
