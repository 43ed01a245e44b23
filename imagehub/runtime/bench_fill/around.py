"""Insert what refers to groups: series, numbers of visitors, and share links."""

import hashlib
import random
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

from sqlalchemy import insert, literal, select
from sqlalchemy.orm import Session

from imagehub.database import make_batches, now_utc
from imagehub.domain.library.series_counts import recount_series
from imagehub.domain.library.series_members import STEP
from imagehub.models import DayCount, Group, Series, SeriesGroup, ShareItem, ShareLink

_MAX_SERIES = 300
_PARTS_OF_A_SERIES = 4
_SHARE_LINKS = 20
_WORKS_OF_A_LINK = 40
_DAYS, _MONTHS = 390, 40
# Of a large hub, so many works were seen on a day, and in a month.
_SEEN_ON_A_DAY, _SEEN_IN_A_MONTH = 1500, 20_000
_ROWS_AT_ONCE = 5000


def fill_around(session: Session, group_count: int, seed: int) -> None:
    """Insert series with parts, numbers of the last days and months, and share links.

    The groups are there already. Commits now and then.
    """
    rng = random.Random(seed)  # noqa: S311 - not for security
    _fill_series(session, group_count, rng)
    _fill_shares(session, group_count)
    session.commit()
    today = now_utc().date()
    for rows in make_batches(_iter_counts(group_count, today, rng), _ROWS_AT_ONCE):
        session.execute(insert(DayCount), list(rows))
        session.commit()


def _fill_series(session: Session, group_count: int, rng: random.Random) -> None:
    """Insert series; the first has a twentieth of all groups, and every other fewer."""
    count = max(5, min(_MAX_SERIES, group_count // 600))
    beginning = date(2014, 3, 1)
    rows: list[dict[str, Any]] = []
    for number in range(1, count + 1):
        place = number % (_PARTS_OF_A_SERIES + 1)
        first_day = beginning + timedelta(days=14 * number) if number % 3 == 0 else None
        rows.append(
            {
                "id": number,
                "parent_id": number - place + 1 if place > 1 else None,
                "state": "draft" if number % 11 == 0 else "published",
                "title": f"Series {number}",
                "first_day": first_day,
                "last_day": first_day and first_day + timedelta(days=60),
                "dates": "" if first_day else f"{2000 + number % 25}",
                "place": f"Gallery {number % 40}" if number % 2 else "",
                "position": number,
            }
        )
    session.execute(insert(Series), rows)
    for row in rows:
        wanted = max(3, group_count // 20 if row["id"] == 1 else int(20 * rng.paretovariate(1.2)))
        wanted = min(wanted, group_count // 20 + 3)
        # Every third group of a stretch.
        first = rng.randint(1, max(1, group_count - 3 * wanted))
        members = select(
            literal(row["id"]), Group.id, (Group.id - first + 1) * STEP, Group.is_shown
        ).where(Group.id.between(first, first + 3 * wanted), (Group.id - first) % 3 == 0)
        names = ["series_id", "group_id", "position", "is_shown"]
        session.execute(insert(SeriesGroup).from_select(names, members, include_defaults=False))
    recount_series(session)


def _fill_shares(session: Session, group_count: int) -> None:
    """Insert share links that take lists; the secret of the first one is ``bench-1``."""
    works = min(group_count, _WORKS_OF_A_LINK)
    for number in range(1, _SHARE_LINKS + 1):
        token_hash = hashlib.sha256(f"bench-{number}".encode()).hexdigest()
        share = ShareLink(token_hash=token_hash, title=f"Link {number}", takes_lists=True)
        session.add(share)
        session.flush()
        chosen = (
            select(literal(share.id), Group.id, Group.id)
            .where(Group.id > number * (group_count - works) // _SHARE_LINKS)
            .order_by(Group.id)
            .limit(works)
        )
        names = ["share_id", "group_id", "position"]
        session.execute(insert(ShareItem).from_select(names, chosen, include_defaults=False))


def _iter_counts(group_count: int, today: date, rng: random.Random) -> Iterator[dict[str, Any]]:
    """Yield the counts of the days, then of the months, up to today."""
    days = [today - timedelta(days=back) for back in range(_DAYS)]
    first = today.replace(day=1)
    months = [first]
    while len(months) < _MONTHS:
        months.append((months[-1] - timedelta(days=1)).replace(day=1))
    for span, firsts, most in (
        ("day", days, _SEEN_ON_A_DAY),
        ("month", months, _SEEN_IN_A_MONTH),
    ):
        for day in firsts:
            seen = sorted(rng.sample(range(1, group_count + 1), min(most, group_count // 10 + 1)))
            things = [("hub", 0), *(("group", number) for number in seen)]
            for kind, number in [*things, *(("series", number) for number in range(1, 6))]:
                views = int(rng.paretovariate(0.9)) + (most if kind != "group" else 0)
                yield {
                    "kind": kind,
                    "object_id": number,
                    "span": span,
                    "day": day,
                    "views": views,
                    "visitors": views // 2 + 1,
                    "downloads": views // 20,
                    "frames": 0,
                }
