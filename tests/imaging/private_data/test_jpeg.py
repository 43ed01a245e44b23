"""What stands behind the first picture of a JPEG file is found when all of it is there."""

import io
import struct

import pytest

from imagehub.imaging.private_data import FileSource, look
from tests.imaging.private_data import files
from tests.imaging.private_data.checks import ALL, check_cleaned, examine, read_pixels


@pytest.mark.filterwarnings("ignore:Image appears to be a malformed MPO file")
def test_a_picture_that_an_index_hides_is_found() -> None:
    """The index says that the first picture goes on to the end of the file."""
    hidden = files.make_jpeg()
    first = files.save(files.draw(), "JPEG")
    head = b"MPF\0MM\0*\0\0\0\x08\0\1" + struct.pack(">HHII", 0xB002, 7, 16, 26) + bytes(4)
    size = len(first) + 4 + len(head) + 16 + len(hidden)
    entry = struct.pack(">IIIHH", 0x30000, size, 0, 0, 0)
    data = files.add_segments(first, (0xE2, head + entry)) + hidden
    assert len(data) == size
    cleaned = check_cleaned(data)
    assert read_pixels(cleaned[-len(hidden) :]) == read_pixels(hidden)


def test_pictures_and_trailers_in_any_order_are_found() -> None:
    first, second = files.save(files.draw(), "JPEG"), files.make_jpeg()
    video = b"\0\0\0\x18ftypmp42 \xa9xyz+51.5-000.1/ Ada Lovelace"
    cleaned = check_cleaned(first + bytes(7) + second + video + second, (*ALL, "other"))
    assert read_pixels(cleaned[len(first) + 7 :]) == read_pixels(second)


def test_a_scan_full_of_markers_is_read_once() -> None:
    jpeg = files.save(files.draw(), "JPEG")
    at = jpeg.index(b"\xff\xda") + 14

    class CountingSource(FileSource):
        read_bytes = 0

        def read(self, offset: int, length: int) -> bytes:
            data = super().read(offset, length)
            self.read_bytes += len(data)
            return data

    data = jpeg[:at] + b"\xff\1" * 50_000 + jpeg[at:] + b"\0Marylebone"
    source = CountingSource(io.BytesIO(data))
    assert look(source) == examine(data)
    assert look(source).kinds == ("other",)
    assert source.read_bytes < 4 * len(data)
