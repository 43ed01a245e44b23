"""Capture times: which ones can be true."""

from datetime import UTC, datetime, timedelta

# Photography was published in 1839. Earlier times come from faulty clocks and programs.
_FIRST_YEAR = 1840


def is_possible(taken_at: datetime, now: datetime | None = None) -> bool:
    """Tell whether a picture can have been taken then: not before 1840, not after tomorrow.

    :param taken_at: with or without a time zone; a clock without one may be a day ahead of UTC.
    """
    latest = (now or datetime.now(UTC)).astimezone(UTC).date() + timedelta(days=1)
    return taken_at.year >= _FIRST_YEAR and taken_at.date() <= latest
