"""How MariaDB reads what the pages of ``scale`` ask for: each statement whose plan reads a whole
table or index, or sorts many rows.

    python -m benchmarks.plans [--database URL] [--only filter] [--rows 2000]

The hub is one that was filled by ``imagehub bench-fill``, by default a new one of 30,000 images.
Printed is, for each page, what EXPLAIN says about each step of a statement that looks like it reads
in proportion to the library: type ALL or index, or a sort or a temporary table, with more rows than
``--rows``; and statements that are executed again and again. The rows are estimates; ``scale``
counts those that were really read. LIMIT is not considered by EXPLAIN, so a step named here may be
fine: it ends after some rows.
"""

import argparse
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, event

from benchmarks.library import ask
from benchmarks.scale import BUFFER_POOL, Hub, make_database, make_hub
from imagehub.database import db
from tests.fixtures.database import run_mariadb

SIZE = 30_000
# A statement that a page executes more often than this is one for each of its works.
MOST_REPEATED = 4


def main() -> None:
    parser = argparse.ArgumentParser(description="Explain the statements of pages.")
    parser.add_argument("--database", default="", metavar="URL")
    parser.add_argument("--only", default="", help="pages with this in their name")
    parser.add_argument("--rows", type=int, default=2000)
    options = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        url = options.database
        if not url:
            server = stack.enter_context(run_mariadb(BUFFER_POOL))
            url = make_database(server, folder / "fill", SIZE)
        hub = make_hub(folder / "hub", SIZE, url)
        for name in hub.pages:
            if options.only in name:
                explain(hub, name, options.rows)


def explain(hub: Hub, name: str, least_rows: int) -> None:
    """Print the steps of a page's statements that read much."""
    path = hub.pages[name]
    look = ask(hub.get_client(path), path)
    look()
    with hub.site.app.app_context():
        engine = db.engine
    with record(engine) as statements:
        look()
    print(f"{name} ({path[:70]}): {len(statements)} statements", flush=True)
    for statement, count in Counter(statement for statement, _ in statements).most_common(3):
        if count > MOST_REPEATED:
            print(f"    {count} times {' '.join(statement.split())[:300]}")
    for statement, values in dict.fromkeys(statements):
        for step in list_steps(engine, statement, values):
            rows = int(step["rows"] or 0)
            extra = step["Extra"] or ""
            is_whole = step["type"] in ("ALL", "index") and not step["table"].startswith("<")
            is_sorted = "filesort" in extra or "temporary" in extra
            if rows > least_rows and (is_whole or is_sorted):
                where = f"{step['table']} by {step['key']}"
                print(f"    {step['type']:<6} {where:<50} {rows:>9,} {extra}")
                print(f"        {' '.join(statement.split())[:300]}", flush=True)


@contextmanager
def record(engine: Engine) -> Iterator[list[tuple[str, Any]]]:
    """Collect the SELECT statements that are executed, and their values."""
    found: list[tuple[str, Any]] = []

    def note(_c: Any, _cursor: Any, statement: str, values: Any, *_: Any) -> None:
        if statement.lstrip(" (").upper().startswith("SELECT"):
            found.append((statement, freeze(values)))

    event.listen(engine, "before_cursor_execute", note)
    try:
        yield found
    finally:
        event.remove(engine, "before_cursor_execute", note)


def freeze(values: Any) -> Any:
    return tuple(sorted(values.items())) if isinstance(values, dict) else tuple(values)


def list_steps(engine: Engine, statement: str, values: Any) -> list[dict[str, Any]]:
    """Return what EXPLAIN says of a statement."""
    raw = dict(values) if values and isinstance(values[0], tuple) else values
    with engine.connect() as connection:
        answer = connection.exec_driver_sql(f"EXPLAIN {statement}", raw)
        return [dict(row) for row in answer.mappings()]


if __name__ == "__main__":
    main()
