"""Facts as people say them."""

import pytest

from imagehub.admin.words import describe_distance


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(-1, "just now"), (-30, "in a moment"), (-90, "in 2 minutes"), (-86_400, "in 1 day")],
)
def test_a_moment_ahead_is_not_told_as_past(seconds: float, words: str) -> None:
    """One barely ahead was noted by a machine whose clock is a little fast."""
    assert describe_distance(seconds) == words
