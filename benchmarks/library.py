"""The admin's library and home pages at 100 and at 100,000 images, on SQLite and MariaDB: the same
time, or it is not good enough.

``python -m benchmarks.library [SMALL LARGE]``: groups of one to three shots, of which a third are
drafts, some lack alt texts, and a few have originals that are changed or missing in OneDrive or
files that did not come in. Each page is asked for as a browser does, as whole answers to HTTP
requests of a signed-in admin; the sizes take turns, so that whatever else the machine does hits
both. The ratio of the medians should be at most 1.5. "Rows" are the groups that a page shows: a
library of a hundred images has fewer to show on some lists, and that counts as its own advantage.
"""

import gc
import re
import statistics
import sys
import tempfile
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from flask.testing import FlaskClient
from sqlalchemy import func, insert, select, text
from sqlalchemy.orm import Session

from benchmarks.catalogue import SHOTS_PER_GROUP, fill_catalogue
from imagehub.database import db, make_batches, now_utc
from imagehub.domain.library import groups, listing, order, search_index
from imagehub.models import DriveAccount, Group, Image, TrashEntry
from tests.fixtures.database import run_mariadb
from tests.fixtures.site import Site, make_site

SIZES = (100, 100_000)
IMAGES_PER_JOB = 50
# The trash of the small library fills its page too, so that both pages show as much.
TRASHED_AT_LEAST = 60
ROUNDS = 40
WARM_UP = 3
_FIRST_CREATED_AT = datetime(2024, 5, 1, tzinfo=UTC)


def fill(site: Site, image_count: int) -> None:
    """Fill a library with drafts, groups of several sizes and imports, and index it."""
    with site.app.app_context():
        fill_catalogue(db.engine, image_count)
        last = image_count // SHOTS_PER_GROUP
        with db.engine.begin() as connection:
            is_sqlite = connection.dialect.name == "sqlite"
            div = "/" if is_sqlite else "DIV"
            jobs = image_count // IMAGES_PER_JOB + 1
            created = "'2024-05-01' + INTERVAL id SECOND"
            title_key = "CONCAT('0w', LPAD(id, 8, '0'))"
            if is_sqlite:
                created = "strftime('%Y-%m-%d %H:%M:%S.000000', '2024-05-01', id || ' seconds')"
                title_key = "printf('0w%08d', id)"
            for statement in (
                f"UPDATE image_group SET title_key = {title_key}, created_at = {created}",
                # Every fifth group gives its second shot to the next one, for groups of 1, 2 and 3.
                "UPDATE image SET group_id = group_id + 1, number = 3, position = 3"
                f" WHERE group_id % 5 = 1 AND number = 2 AND group_id < {last}",
                f"UPDATE image_group SET image_count = 1 WHERE id % 5 = 1 AND id < {last}",
                "UPDATE image_group SET image_count = 3 WHERE id % 5 = 2",
                "UPDATE image_group SET state = 'draft', is_shown = 0 WHERE id % 3 = 0",
                "UPDATE image_group SET medium = 'Oil on canvas', year = '1998' WHERE id % 2 = 0",
                # A word of the newest groups, and one that many published groups have, but few
                # drafts and groups without alt text.
                f"UPDATE image_group SET edition = 'Vernissage' WHERE id > {last - 20}",
                "UPDATE image_group SET dimensions = 'Etching' WHERE id % 420 IN (0, 3) OR"
                " id % 3 > 0 AND id % 7 <> 3",
                "UPDATE image SET has_alt = 0, alt = '' WHERE group_id % 7 = 3",
                "UPDATE image SET drive_state = 'missing' WHERE group_id % 40 = 1 AND number = 1",
                "UPDATE image SET drive_state = 'changed' WHERE group_id % 40 = 2 AND number = 1",
                "DELETE FROM gallery_bucket",
                "INSERT INTO gallery_bucket (bucket, shown_count)"
                f" SELECT (sort_key >> {groups.BUCKET_SHIFT}), count(*) FROM image_group"
                f" WHERE is_shown = 1 GROUP BY (sort_key >> {groups.BUCKET_SHIFT})",
                "INSERT INTO import_job (id, drive_account_id, state, item_count, created_at,"
                " last_activity_at) SELECT id, 1, 'finished', 50, '2024-05-01', '2024-05-01'"
                f" FROM image WHERE id <= {jobs}",
                "INSERT INTO import_item (job_id, group_id, drive_item_id, file_name, folder_id,"
                " folder_name, number, position, state, attempt_count, suspicion, reason,"
                " available_at, lease_owner, size_bytes, accepts_mismatch, waits_for_access)"
                f" SELECT id {div} {IMAGES_PER_JOB} + 1, group_id, drive_item_id, name, '', '', 9,"
                " 9, CASE WHEN group_id % 40 = 3 THEN 'failed' ELSE 'done' END, 1, 0, '',"
                " '2024-05-01', '', 1, 0, 0 FROM image",
            ):
                connection.execute(text(statement))
        session = db.session()
        fill_trash(session, max(TRASHED_AT_LEAST, image_count // 10))
        session.commit()
        after = 0
        while after := search_index.fill_search(session, after):
            session.commit()
        with db.engine.connect() as connection:
            tables = "image_group, image, rendition, import_item, gallery_bucket"
            connection.execute(text("ANALYZE" if is_sqlite else f"ANALYZE TABLE {tables}"))
            connection.commit()
        session.rollback()


def fill_trash(session: Session, count: int) -> None:
    """Add groups without alt text to the trash; the lists must not count them."""
    key = order.make_first_sort_key(session)
    account_id = session.scalars(select(DriveAccount.id)).first()
    newest = session.scalars(select(func.max(Group.id))).one() or 0
    numbers = range(newest + 1, newest + 1 + count)
    moment = now_utc()
    for batch in make_batches(numbers):
        rows: Any = [(n, key + (n - newest) * order.SORT_STEP) for n in batch]
        session.execute(
            insert(Group),
            [{"id": n, "state": "trash", "sort_key": at, "image_count": 1} for n, at in rows],
        )
        session.execute(
            insert(Image),
            [
                {
                    "group_id": n,
                    "number": 1,
                    "position": 1,
                    "name": "a.jpg",
                    "has_alt": True,
                    "drive_account_id": account_id,
                    "drive_item_id": f"trashed-{n}",
                }
                for n in batch
            ],
        )
        session.execute(
            insert(TrashEntry),
            [{"group_id": n, "state_before": "draft", "trashed_at": moment} for n in batch],
        )


def list_pages(image_count: int) -> dict[str, str]:
    """Return the measured pages: name → address."""
    middle = image_count // SHOTS_PER_GROUP // 2
    key = f"{order.FIRST_SORT_KEY + middle * order.SORT_STEP}.{middle}"
    created = (int(_FIRST_CREATED_AT.timestamp()) + middle) * 1_000_000
    title = urlsafe_b64encode(f"0w{middle:08d}".encode()).decode().rstrip("=")
    pages = {
        f"filter: {name}": f"/admin/library?filter={name}"
        for name in listing.FILTERS
        if name != "all"
    }
    return {
        "home": "/admin/",
        "first page": "/admin/library",
        "a page deep inside": f"/admin/library?after={key}",
        "a page, backwards": f"/admin/library?before={key}",
        "newest first, deep inside": f"/admin/library?sort=newest&after={created}.{middle}",
        "by title, deep inside": f"/admin/library?sort=title&after={title}.{middle}",
        "drafts by title": f"/admin/library?filter=draft&sort=title&after={title}.{middle}",
        "words by title": f"/admin/library?q=oil+canvas&sort=title&after={title}.{middle}",
        "deep inside the drafts": f"/admin/library?filter=draft&after={key}",
        "deep inside “no alt text”": f"/admin/library?filter=alt&after=0.{middle}",
        **pages,
        "words: one group": f"/admin/library?q=W{middle}",
        "words: half of all": "/admin/library?q=oil+canvas",
        "words among drafts": "/admin/library?filter=draft&q=canvas",
        "words: what came in last": "/admin/library?q=vernissage",
        "words of few drafts": "/admin/library?filter=draft&q=etching",
        "words of few without alt": "/admin/library?filter=alt&q=etching",
        "one group": f"/admin/library/{middle}",
        "the trash": "/admin/library/trash",
    }


def make_library(site: Site, image_count: int) -> Callable[[], object]:
    """Call the domain function behind the first page, with its counts."""

    def look() -> None:
        with site.app.app_context():
            session = db.session()
            listing.list_groups(session)
            listing.count_to_do(session)

    return look


def ask(client: FlaskClient, path: str) -> Callable[[], object]:
    def look() -> None:
        answer = client.get(path)
        assert answer.status_code == 200, (path, answer.status_code)
        assert answer.data

    return look


def measure(looks: list[Callable[[], object]], rounds: int = ROUNDS) -> list[float]:
    """Return the median of each in milliseconds, measured alternately."""
    times: list[list[float]] = [[] for _ in looks]
    gc.collect()
    gc.disable()
    for turn in range(rounds + WARM_UP):
        for at, look in enumerate(looks):
            began = time.perf_counter()
            look()
            if turn >= WARM_UP:
                times[at].append((time.perf_counter() - began) * 1000)
    gc.enable()
    return [statistics.median(one) for one in times]


def main(sizes: tuple[int, ...] = SIZES) -> None:
    if len(sys.argv) > 2:
        sizes = (int(sys.argv[1]), int(sys.argv[2]))
    with tempfile.TemporaryDirectory() as name, run_mariadb() as server:
        for database in ("SQLite", "MariaDB"):
            sites, clients = [], []
            for size in sizes:
                folder = Path(name) / f"{database}-{size}"
                folder.mkdir()
                url = server.create_database() if database == "MariaDB" else ""
                site = make_site(folder, **({"database_url": url} if url else {}))
                fill(site, size)
                sites.append(site)
                clients.append(site.signed_in_client())
            print_times(database, sizes, sites, clients)


def print_times(
    database: str, sizes: tuple[int, ...], sites: list[Site], clients: list[FlaskClient]
) -> None:
    head = "".join(f"{size:>11,}{'rows':>6}" for size in sizes)
    print(f"\n  {database}: ms{'':<18}{head}{'ratio':>8}")
    looks = [make_library(site, size) for site, size in zip(sites, sizes, strict=True)]
    print_line("(first page, no HTTP)", measure(looks), ["", ""])
    for name in list_pages(sizes[0]):
        paths = [list_pages(size)[name] for size in sizes]
        rows = []
        for client, path in zip(clients, paths, strict=True):
            rows.append(str(len(re.findall('<li class="row"', client.get(path).text)) or ""))
        looks = [ask(client, path) for client, path in zip(clients, paths, strict=True)]
        print_line(name, measure(looks), rows)


def print_line(name: str, medians: list[float], rows: list[str]) -> None:
    words = "".join(f"{one:>11.2f}{count:>6}" for one, count in zip(medians, rows, strict=True))
    print(f"  {name:<28}{words}{medians[-1] / medians[0]:>8.2f}", flush=True)


if __name__ == "__main__":
    main()
