"""Facts as people say them."""

from datetime import UTC, datetime, timedelta

import pytest

from imagehub.admin.words import describe_distance, describe_logged
from imagehub.database import now_utc


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(-1, "just now"), (-30, "in a moment"), (-90, "in 2 minutes"), (-86_400, "in 1 day")],
)
def test_a_moment_ahead_is_not_told_as_past(seconds: float, words: str) -> None:
    """One barely ahead was noted by a machine whose clock is a little fast."""
    assert describe_distance(seconds) == words


def test_the_log_tells_the_minute_once_a_day_has_passed() -> None:
    assert "2 hours ago" in describe_logged(now_utc() - timedelta(hours=2))
    assert "4 May 2026, 17:03 UTC" in describe_logged(datetime(2026, 5, 4, 17, 3, tzinfo=UTC))
