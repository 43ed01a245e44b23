"""Facts as people say them."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from imagehub.admin.words import (
    describe_date,
    describe_distance,
    describe_listed_day,
    describe_logged,
    describe_size,
)
from imagehub.database import now_utc
from imagehub.web.i18n import format_number
from tests.fixtures.site import Site


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
    assert describe_listed_day("2026-11-28T17:03:00.5Z") == "28 Nov 2026"


@pytest.fixture
def german(site: Site) -> Iterator[None]:
    with site.app.test_request_context("/", headers={"Accept-Language": "de"}):
        yield


@pytest.mark.usefixtures("german")
def test_german_pages_have_german_sizes_dates_and_numbers() -> None:
    assert describe_size(3_240_000) == "3,2\N{NO-BREAK SPACE}MB"
    assert describe_size(999) == "999\N{NO-BREAK SPACE}Byte"
    assert format_number(12_000) == "12.000"
    assert describe_distance(300) == "vor 5 Minuten"
    assert describe_distance(-86_400) == "in 1 Tag"
    moment = datetime(2026, 5, 4, 17, 3, tzinfo=UTC)
    assert describe_date(moment) == "4. Mai 2026"
    assert ">4. Mai 2026, 17:03 UTC<" in describe_logged(moment)
    assert describe_listed_day("2026-05-04T17:03:00Z") == "4. Mai 2026"


@pytest.mark.parametrize(
    ("size", "words"),
    [
        (None, "unknown"),
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1000, "1 kB"),
        (3_240_000, "3.2 MB"),
        (99_500_000, "100 MB"),
        (999_500_000, "1 GB"),
    ],
)
def test_sizes_have_two_or_three_digits(size: float | None, words: str) -> None:
    assert describe_size(size) == words.replace(" ", "\N{NO-BREAK SPACE}")


@pytest.mark.parametrize(
    ("days", "words"),
    [(13, "13 days ago"), (15, "2 weeks ago"), (61, "2 months ago"), (731, "2 years ago")],
)
def test_long_distances_have_a_fitting_unit(days: int, words: str) -> None:
    assert describe_distance(days * 86_400) == words


# --- The sentences of scripts ---------------------------------------------------------------------


def read_script_words(site: Site, language: str) -> dict[str, str | list[str]]:
    """Every sentence that the admin pages hand to scripts."""
    template = site.app.jinja_env.get_template("admin/_words.html")
    found: dict[str, str | list[str]] = {}
    with site.app.test_request_context("/", headers={"Accept-Language": language}):
        module = template.make_module()
        for name in dir(module):
            if name.endswith("_words"):
                block = str(getattr(module, name)())
                found |= json.loads(re.sub("</?script[^>]*>", "", block))
    return found


def test_scripts_get_their_sentences_in_the_language_of_the_page(site: Site) -> None:
    english, german = read_script_words(site, "en"), read_script_words(site, "de")
    assert english["close"] == "Close" and german["close"] == "Schließen"
    assert german["items"] == ["{count} Element", "{count} Elemente"]
    assert english.keys() == german.keys()
    for name, sentence in english.items():
        places, other = (set(re.findall(r"{\w+}|%", str(one))) for one in (sentence, german[name]))
        assert places == other, name
        if isinstance(sentence, list):
            assert len(set(sentence)) == 2 and "{count}" in places, name
