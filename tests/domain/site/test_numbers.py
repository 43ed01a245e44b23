"""Counts of views and downloads: adding them, periods, what was seen most, and old days."""

from datetime import date, timedelta

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from imagehub.database import now_utc
from imagehub.domain.site.numbers import (
    HUB,
    Counts,
    Thing,
    add_counts,
    delete_old_days,
    get_period,
    list_most_seen,
    list_steps,
)
from imagehub.models import DayCount
from tests.fixtures.database import count_statements

TODAY = date(2026, 3, 2)
WORK = Thing("group", 7)


def test_counts_are_added_to_days_and_months(either_session: Session) -> None:
    add_counts(either_session, {(WORK, TODAY): Counts(2, 1, 0, 3), (HUB, TODAY): Counts(5, 2)})
    yesterday = TODAY - timedelta(days=1)
    add_counts(either_session, {(WORK, TODAY): Counts(1, 1, 1), (WORK, yesterday): Counts(4, 4)})
    period = get_period(either_session, WORK, 7, TODAY)
    assert [step.counts.views for step in period.steps] == [0, 0, 0, 0, 0, 4, 3]
    assert period.total == Counts(7, 6, 1, 3)
    year = get_period(either_session, WORK, 365, TODAY)
    assert [step.day for step in year.steps][-2:] == [date(2026, 2, 1), date(2026, 3, 1)]
    assert year.steps[-1].counts == Counts(7, 6, 1, 3)
    assert get_period(either_session, HUB, 30, TODAY).total == Counts(5, 2)


@pytest.mark.parametrize(
    ("days", "first", "count"),
    [(7, date(2026, 2, 24), 7), (30, date(2026, 2, 1), 30), (365, date(2025, 4, 1), 12)],
)
def test_a_period_ends_today(days: int, first: date, count: int) -> None:
    firsts, is_month = list_steps(days, TODAY)
    assert (firsts[0], len(firsts)) == (first, count)
    assert is_month == (days == 365)


def test_what_was_seen_most_is_found_in_two_statements(either_session: Session) -> None:
    days = [TODAY - timedelta(days=back) for back in range(30)]
    counted = {
        (Thing("group", number), day): Counts(number % 50 + 1, 1)
        for number in range(1, 121)
        for day in days[:3]
    }
    # Seen much on one day, long ago, and before the period.
    counted[Thing("group", 500), days[-1]] = Counts(1000)
    counted[Thing("group", 501), TODAY - timedelta(days=31)] = Counts(5000)
    counted[Thing("series", 502), TODAY] = Counts(5000)
    add_counts(either_session, counted)
    with count_statements() as statements:
        found = list_most_seen(either_session, "group", 30, TODAY)
    assert len(statements) == 2
    assert [number for number, _ in found][:3] == [500, 49, 99]
    assert found[1][1] == Counts(150, 3)
    assert len(found) == 10
    assert list_most_seen(either_session, "share", 7, TODAY) == []
    assert list_most_seen(either_session, "group", 365, TODAY)[0][0] == 501


def test_old_days_are_deleted_and_months_stay(either_session: Session) -> None:
    today = now_utc().date()
    days = [today - timedelta(days=back) for back in (0, 399, 400, 401, 500)]
    for kind in ("group", "hub"):
        add_counts(either_session, {(Thing(kind, 1), day): Counts(1) for day in days})
    assert delete_old_days(either_session) == 4
    kept = select(func.count(), func.min(DayCount.day)).where(DayCount.span == "day")
    assert either_session.execute(kept).one() == (6, days[2])
    months = select(func.sum(DayCount.views)).where(DayCount.span == "month")
    assert either_session.scalar(months) == 10
    either_session.rollback()
    assert delete_old_days(either_session) == 0
