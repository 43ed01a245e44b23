"""The admin's library page at 1,000 and at 100,000 images: the same time, or it is not good enough.

``python -m benchmarks.library [MARIADB_URL]``: makes both databases (SQLite in a temporary folder
unless an address of an empty MariaDB database is given), asks for pages as an admin's browser does,
and prints the medians and their ratio, which should be at most 1.5.
"""

import statistics
import sys
import tempfile
import time
from pathlib import Path

from flask import Flask
from sqlalchemy import insert, text

from imagehub import create_app
from imagehub.config import load_settings
from imagehub.database import Base, db
from imagehub.domain import library_list
from imagehub.models import DriveAccount, Group, Image

ROUNDS = 60
SHOTS = 4


def fill(app: Flask, image_count: int) -> None:
    """Groups of four shots; each twentieth is a draft, each tenth image has no alt text."""
    with app.app_context():
        Base.metadata.create_all(db.engine)
        session = db.session()
        session.add(DriveAccount(id=1, home_account_id="h", token_cache=b""))
        session.flush()
        count = image_count // SHOTS
        for start in range(1, count + 1, 5000):
            numbers = range(start, min(start + 5000, count + 1))
            session.execute(
                insert(Group),
                [
                    {
                        "id": n,
                        "title": f"Work {n}",
                        "sort_key": n << 20,
                        "image_count": SHOTS,
                        "cover_id": n * SHOTS,
                        "state": "draft" if n % 20 == 0 else "published",
                    }
                    for n in numbers
                ],
            )
            session.execute(
                insert(Image),
                [
                    {
                        "id": n * SHOTS + shot,
                        "group_id": n,
                        "number": shot + 1,
                        "position": shot + 1,
                        "name": f"{n}-{shot}.jpg",
                        "drive_account_id": 1,
                        "drive_item_id": f"{n}-{shot}",
                        "has_alt": n % 10 != 0,
                        "drive_state": "ok" if n % 50 else "missing",
                    }
                    for n in numbers
                    for shot in range(SHOTS)
                ],
            )
        session.commit()
        statement = "ANALYZE" if db.engine.dialect.name == "sqlite" else "ANALYZE TABLE image"
        session.execute(text(statement))
        session.commit()


def measure(app: Flask, filter_name: str) -> float:
    """The median of a page from the middle of a list with its counts, in milliseconds."""
    with app.app_context():
        session = db.session()
        number = library_list.list_choices(session, 1)[0][0] // 2
        key = f"{number << 20}.{number}"
        times = []
        for turn in range(ROUNDS + 5):
            began = time.perf_counter()
            library_list.list_groups(session, filter_name, after=key, limit=12)
            library_list.count_to_do(session)
            session.rollback()
            session.expunge_all()
            if turn >= 5:
                times.append((time.perf_counter() - began) * 1000)
        return statistics.median(times)


def main() -> None:
    url = sys.argv[1] if len(sys.argv) > 1 else ""
    with tempfile.TemporaryDirectory() as name:
        results: dict[int, dict[str, float]] = {}
        for image_count in (1_000, 100_000):
            folder = Path(name) / str(image_count)
            settings = {"IMAGEHUB_DATA_DIR": str(folder)}
            if url:
                settings["IMAGEHUB_DATABASE_URL"] = url
            app = create_app(load_settings(settings, None))
            if url:
                with app.app_context():
                    Base.metadata.drop_all(db.engine)
            folder.mkdir(exist_ok=True)
            fill(app, image_count)
            results[image_count] = {
                one: measure(app, one) for one in ("all", "draft", "alt", "missing")
            }
    small, large = results.values()
    for one, value in large.items():
        ratio = value / small[one]
        print(
            f"{one:8} {small[one]:7.2f} ms at 1,000 images, {value:7.2f} ms at 100,000: {ratio:.2f}"
        )


if __name__ == "__main__":
    main()
