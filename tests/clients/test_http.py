"""Retry-After, backoff and origins."""

from datetime import UTC, datetime

import pytest

from imagehub.clients.http import get_origin, make_backoff, parse_retry_after

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120.0),
        ("2.128", 2.128),
        ("0", 0.0),
        ("-5", 0.0),
        ("Sun, 01 Mar 2026 12:00:30 GMT", 30.0),
        ("Sun, 01 Mar 2026 11:00:00 GMT", 0.0),
        ("", None),
        (None, None),
        ("soon", None),
        ("nan", None),
        ("inf", None),
    ],
)
def test_retry_after_is_parsed_in_every_form(value: str | None, seconds: float | None) -> None:
    assert parse_retry_after(value, NOW) == seconds


def test_backoff_grows_up_to_its_cap() -> None:
    for attempt in range(12):
        waits = [make_backoff(attempt, 1.0, 60.0) for _ in range(50)]
        assert all(0 <= wait <= min(60.0, 2**attempt) for wait in waits)
        assert len(set(waits)) > 1, "without jitter all clients come back at the same moment"


def test_an_origin_is_scheme_host_and_port() -> None:
    assert get_origin("https://Graph.Microsoft.com/v1.0") == ("https", "graph.microsoft.com", 443)
    assert get_origin("http://127.0.0.1:81/x") == ("http", "127.0.0.1", 81)
    # The part before an @ is a user name, not the host.
    assert get_origin("https://graph.microsoft.com@evil.example/")[1] == "evil.example"
    for bad in ("", "/path", "ftp://host/", "file:///etc/passwd", "https://"):
        with pytest.raises(ValueError):
            get_origin(bad)
