"""Save and read how often works, series, share links and the gallery were seen and downloaded.

Web processes count in memory and save their counts here in batches (see ``web.numbers``). Days are
kept for ``DAYS_KEPT``, months forever.
"""

from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass
from datetime import date, timedelta
from typing import Any, NamedTuple, cast

from sqlalchemy import Select, Table, delete, func, select, union_all
from sqlalchemy.dialects import mysql, sqlite
from sqlalchemy.orm import Session

from imagehub.database import count_rows, make_batches, now_utc, own_transaction
from imagehub.models import DayCount

DAYS_KEPT = timedelta(days=400)
# The periods of the pages, in days. The last one is shown by month.
PERIODS = (7, 30, 365)
_MONTHS_SHOWN = 12
MOST_SEEN = 10
# How many things of each day are candidates for the most seen of the period.
_CANDIDATES = 30
_COLUMNS = ("views", "visitors", "downloads", "frames")
_TABLE = cast("Table", DayCount.__table__)
KINDS = ("hub", "group", "series", "share")


class Thing(NamedTuple):
    """What is counted: see ``models.DayCount``."""

    kind: str
    object_id: int


HUB = Thing("hub", 0)


@dataclass
class Counts:
    """How often something was seen, by how many visitors, downloaded, and framed by other sites."""

    views: int = 0
    visitors: int = 0
    downloads: int = 0
    frames: int = 0

    def add(self, other: "Counts") -> None:
        self.views += other.views
        self.visitors += other.visitors
        self.downloads += other.downloads
        self.frames += other.frames


@dataclass(frozen=True)
class Step:
    """The counts of one day, or of one month if ``is_month``."""

    day: date
    counts: Counts
    is_month: bool = False


@dataclass(frozen=True)
class Period:
    """The last days up to today, or months, and their total."""

    days: int
    steps: Sequence[Step]
    total: Counts


# --- Writing --------------------------------------------------------------------------------------


@own_transaction
def add_counts(session: Session, counted: Mapping[tuple[Thing, date], Counts]) -> None:
    """Add the counts of a process to the days and the months."""
    rows: dict[tuple[str, int, str, date], Counts] = {}
    for (thing, day), counts in counted.items():
        for span, first in (("day", day), ("month", day.replace(day=1))):
            rows.setdefault((*thing, span, first), Counts()).add(counts)
    names = ("kind", "object_id", "span", "day", *_COLUMNS)
    # All processes use the same order, which makes deadlocks rare.
    for batch in make_batches(sorted(rows.items(), key=lambda row: row[0])):
        values = [dict(zip(names, (*key, *astuple(counts)), strict=True)) for key, counts in batch]
        session.execute(_make_upsert(session), values)


def _make_upsert(session: Session) -> Any:
    if session.get_bind().dialect.name == "sqlite":
        upsert = sqlite.insert(_TABLE)
        key = ("kind", "object_id", "span", "day")
        return upsert.on_conflict_do_update(
            index_elements=key,
            set_={name: _TABLE.c[name] + upsert.excluded[name] for name in _COLUMNS},
        )
    insert = mysql.insert(_TABLE)
    return insert.on_duplicate_key_update(
        {name: _TABLE.c[name] + insert.inserted[name] for name in _COLUMNS}
    )


@own_transaction
def delete_old_days(session: Session) -> int:
    """Delete days older than ``DAYS_KEPT``, up to 31 of each kind; return the number of rows."""
    before = now_utc().date() - DAYS_KEPT
    count = 0
    for kind in KINDS:
        of_kind = DayCount.kind == kind, DayCount.span == "day"
        days = select(DayCount.day).where(*of_kind, DayCount.day < before)
        for day in session.scalars(days.distinct().order_by(DayCount.day).limit(31)).all():
            count += count_rows(session, delete(DayCount).where(*of_kind, DayCount.day == day))
    return count


# --- Reading --------------------------------------------------------------------------------------


def get_period(session: Session, thing: Thing, days: int, today: date | None = None) -> Period:
    """Return the counts of a thing, with a step for each day or month, even without views.

    :param days: one of ``PERIODS``.
    """
    firsts, is_month = list_steps(days, today or now_utc().date())
    rows = session.execute(
        select(DayCount.day, *(getattr(DayCount, name) for name in _COLUMNS)).where(
            DayCount.kind == thing.kind,
            DayCount.object_id == thing.object_id,
            DayCount.span == ("month" if is_month else "day"),
            DayCount.day >= firsts[0],
        )
    )
    found = {row[0]: Counts(*row[1:]) for row in rows}
    total = Counts()
    steps = []
    for first in firsts:
        counts = found.get(first, Counts())
        total.add(counts)
        steps.append(Step(first, counts, is_month))
    return Period(days, steps, total)


def list_steps(days: int, today: date) -> tuple[list[date], bool]:
    """Return the days of a period, or the first days of its months, and whether it has months."""
    if days < PERIODS[-1]:
        return [today - timedelta(days=back) for back in reversed(range(days))], False
    months = today.year * 12 + today.month - 1
    return [
        date((months - back) // 12, (months - back) % 12 + 1, 1)
        for back in reversed(range(_MONTHS_SHOWN))
    ], True


def list_most_seen(
    session: Session, kind: str, days: int, today: date | None = None
) -> list[tuple[int, Counts]]:
    """List the things of a kind that were seen most in a period: number → counts, most first.

    Two statements that read ranges of an index, however many things were seen: the most seen of
    each day or month, then the sums of these.
    """
    firsts, is_month = list_steps(days, today or now_utc().date())
    span = "month" if is_month else "day"
    tops = [_select_top(kind, span, first) for first in firsts]
    candidates = set(session.scalars(select(union_all(*tops).subquery().c.object_id)))
    sums = [func.sum(getattr(DayCount, name)) for name in _COLUMNS]
    found: list[tuple[int, Counts]] = []
    for ids in make_batches(sorted(candidates)):
        rows = session.execute(
            select(DayCount.object_id, *sums)
            .where(
                DayCount.kind == kind,
                DayCount.object_id.in_(ids),
                DayCount.span == span,
                DayCount.day >= firsts[0],
            )
            .group_by(DayCount.object_id)
        )
        found += [(row[0], Counts(*map(int, row[1:]))) for row in rows]
    found.sort(key=lambda one: (-one[1].views, -one[1].downloads, one[0]))
    return found[:MOST_SEEN]


def _select_top(kind: str, span: str, first: date) -> Select[Any]:
    top = (
        select(DayCount.object_id)
        .where(DayCount.kind == kind, DayCount.span == span, DayCount.day == first)
        .order_by(DayCount.views.desc())
        .limit(_CANDIDATES)
        .subquery()
    )
    # SQLite allows a limit only inside of a part of a union.
    return select(top.c.object_id)
