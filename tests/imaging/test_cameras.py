"""Which capture times can be true, and what the Exif tags say."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from PIL import ExifTags, Image

from imagehub.imaging.cameras import is_possible_time
from tests.imaging.support import encode, make_scene, render_bytes

NOW = datetime(2026, 11, 28, 23, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("taken_at", "expected"),
    [
        (datetime(1839, 12, 31, 23, 59, 59), False),
        (datetime(1840, 1, 1), True),
        (datetime(2026, 11, 28, 23, 59), True),
        # A clock in the east may be a day ahead.
        (datetime(2026, 11, 29, 23, 59, 59), True),
        (datetime(2026, 11, 30), False),
        (datetime(1, 1, 1), False),
        (datetime(9999, 12, 31), False),
        (datetime(2026, 11, 29, 13, tzinfo=timezone(timedelta(hours=14))), True),
    ],
)
def test_a_capture_time_lies_between_1840_and_tomorrow(taken_at: datetime, expected: bool) -> None:
    assert is_possible_time(taken_at, NOW) is expected


@pytest.mark.parametrize(
    "text", ["1139:05:01 12:00:00", "2999:01:01 00:00:00", "0001:01:01 00:00:00"]
)
def test_an_impossible_time_in_exif_is_none(text: str) -> None:
    exif = Image.Exif()
    details = exif.get_ifd(ExifTags.IFD.Exif)
    details[ExifTags.Base.DateTimeOriginal] = text
    assert render_bytes(encode(make_scene(), "JPEG", exif=exif)).metadata.taken_at is None
    # A scan has a second time, which may be right.
    details[ExifTags.Base.DateTimeDigitized] = "2019:07:21 18:04:09"
    metadata = render_bytes(encode(make_scene(), "JPEG", exif=exif)).metadata
    assert metadata.taken_at == datetime(2019, 7, 21, 18, 4, 9)
