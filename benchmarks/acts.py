"""Acts of the library on many works at once: statements, rows and processor time.

    python -m benchmarks.acts [--images 30000] [--works 500] [--rounds 3]
                              [--database 1000000=URL] [--only publish]

The hub is one of ``scale``, on MariaDB. The same works take all acts in turn, so that they are at
the end what they were before. Each act is one request of a signed-in admin; printed are medians.
Statements and rows are what the server counts, so one that the driver takes apart counts as
several. The processor time is that of the hub and, if it runs here, of the server.
"""

import argparse
import os
import random
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from flask.testing import FlaskClient
from sqlalchemy import Engine, NullPool, create_engine, select, text, true

from benchmarks.scale import BUFFER_POOL, make_database, open_migrated
from imagehub.database import db
from imagehub.models import Group
from tests.fixtures.database import run_mariadb
from tests.fixtures.site import Site, make_site, read_csrf_token

IMAGES, WORKS, ROUNDS = 30_000, 500, 3
LIBRARY = "/admin/library"
# Act → address and form; ``new`` is a number that was not used before.
ACTS = {
    "make drafts": ("unpublish", {}),
    "publish": ("publish", {}),
    "set medium and year": ("edit", {"medium": "Oil on canvas {new}", "year": "{new}"}),
    "set availability": ("edit", {"availability": "{state}"}),
    "set a copyright notice": ("edit", {"copyright_notice": "© {new}"}),
    "add two tags": ("edit", {"add_tags": "Spring {new}, Autumn {new}"}),
    "remove them": ("edit", {"remove_tags": "Spring {new}, Autumn {new}"}),
    "move to the trash": ("delete", {}),
    "restore": ("trash/restore", {}),
}


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure acts on many works.")
    parser.add_argument("--images", type=int, default=IMAGES)
    parser.add_argument("--works", type=int, default=WORKS)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--database", default="", metavar="IMAGES=URL")
    parser.add_argument("--only", default="", help="acts with this in their name")
    options = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        size, _, url = options.database.partition("=")
        size = int(size or options.images)
        if not url:
            server = stack.enter_context(run_mariadb(BUFFER_POOL))
            url = make_database(server, folder / "fill", size)
        (folder / "hub").mkdir()
        open_migrated(folder / "hub", url)
        site = make_site(folder / "hub", database_url=url)
        print(f"\n  {options.works} works of a library of {size:,} images on MariaDB\n")
        measure(site, options.works, options.rounds, options.only)


def measure(site: Site, works: int, rounds: int, only: str) -> None:
    """Print a line for each act."""
    client, numbers = site.signed_in_client(), list_works(site, works)
    token = read_csrf_token(client, LIBRARY)
    with site.app.app_context():
        engine = db.engine
    head = ("statements", "read", "written", "hub s", "server s")
    print("  " + " " * 26 + "".join(f"{word:>12}" for word in head))
    lines: dict[str, list[list[float]]] = {name: [] for name in ACTS if only in name}
    for turn in range(1, rounds + 1):
        new = random.randrange(1000, 2000)
        for name, found in lines.items():
            address, form = ACTS[name]
            form = {
                key: value.format(new=new, state=("sold", "available")[turn % 2])
                for key, value in form.items()
            }
            with count(engine) as counted:
                act(client, token, address, numbers, form)
            found.append(counted)
    for name, found in lines.items():
        middle = [statistics.median(one) for one in zip(*found, strict=True)]
        counts = "".join(f"{value:>12,.0f}" for value in middle[:3])
        print(f"  {name:<26}{counts}" + "".join(f"{value:>12.2f}" for value in middle[3:]))


def list_works(site: Site, count: int) -> list[int]:
    """List shown works from the middle of a library."""
    with site.session() as session:
        newest = session.scalars(select(Group.id).order_by(Group.id.desc()).limit(1)).one()
        shown = select(Group.id).where(Group.is_shown == true(), Group.id > newest // 2)
        return list(session.scalars(shown.order_by(Group.id).limit(count)))


def act(
    client: FlaskClient, token: str, address: str, numbers: list[int], form: dict[str, str]
) -> None:
    """Send the form of an act for works."""
    many = [str(number) for number in numbers]
    named = {"number": ",".join(many)} if address.startswith("trash") else {"group": many}
    answer = client.post(f"{LIBRARY}/{address}", data={**named, **form, "csrf_token": token})
    assert answer.status_code == 303, (address, answer.status_code, answer.text[:2000])


@contextmanager
def count(engine: Engine) -> Iterator[list[float]]:
    """Count statements, rows read, rows written, and processor seconds of hub and server."""
    counted: list[float] = []
    separate = create_engine(engine.url, poolclass=NullPool)
    with separate.connect() as connection:
        pid_file = connection.scalar(text("SELECT @@pid_file"))
        status = text(
            "SHOW GLOBAL STATUS WHERE Variable_name = 'Questions' OR Variable_name LIKE"
            " 'Handler_read%' OR Variable_name IN ('Handler_write', 'Handler_update',"
            " 'Handler_delete')"
        )

        def read() -> list[float]:
            values = {row[0]: int(row[1]) for row in connection.execute(status)}
            rows = sum(value for name, value in values.items() if "read" in name)
            written = sum(value for name, value in values.items() if name.startswith("Handler"))
            server = read_processor_seconds(str(pid_file))
            return [values["Questions"], rows, written - rows, time.process_time(), server]

        at_first, before = read(), read()
        yield counted
        # Without what counting itself takes.
        after = read()
        own = [b - a for a, b in zip(at_first, before, strict=True)]
        counted += [c - b - o for b, c, o in zip(before, after, own, strict=True)]
    separate.dispose()


def read_processor_seconds(pid_file: str) -> float:
    """Return the processor time of a server, 0 if it runs elsewhere."""
    try:
        pid = int(Path(pid_file).read_text())
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (OSError, ValueError):
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
