"""Numbers of the demo: what its visitors may have seen in a year."""

import math
import random
from datetime import date, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from imagehub.database import now_utc
from imagehub.domain.site.numbers import HUB, Counts, Thing, add_counts
from imagehub.models import DayCount, Group, Series

_DAYS = 400
# An exhibition opens, and more people come for some weeks.
_OPENING_DAYS_AGO, _OPENING_WEEKS = 24, 3


def add_numbers(session: Session) -> None:
    """Add made-up numbers once, always the same ones; the session holds no uncommitted change."""
    if session.scalar(select(DayCount.day).limit(1)) is not None:
        return
    chance = random.Random(11)  # noqa: S311 - not for security
    today = now_utc().date()
    things = [
        *(Thing("group", number) for number in session.scalars(select(Group.id)).all()),
        *(Thing("series", number) for number in session.scalars(select(Series.id)).all()),
    ]
    fame = {thing: chance.lognormvariate(0.6, 0.8) for thing in things}
    session.rollback()
    counted: dict[tuple[Thing, date], Counts] = {}
    for back in range(1, _DAYS):
        day = today - timedelta(days=back)
        rush = max(0.0, 1 - abs(_OPENING_DAYS_AGO - back) / (7 * _OPENING_WEEKS))
        mood = (1 - back / 700) * (1.3 if day.weekday() >= 5 else 1.0) * (1 + 2 * rush * rush)
        whole = counted[(HUB, day)] = Counts()
        for thing in things:
            views = round(chance.expovariate(1 / (fame[thing] * mood)))
            if not views:
                continue
            visitors = max(1, round(views * chance.uniform(0.55, 0.95)))
            downloads = sum(chance.random() < 0.04 for _ in range(views))
            counted[(thing, day)] = Counts(views, visitors, downloads)
            whole.add(counted[(thing, day)])
        # Besides, the front page; and most visitors see more than one work.
        whole.views = round(whole.views * 1.4)
        whole.visitors = math.ceil(whole.visitors / 3)
    add_counts(session, counted)
