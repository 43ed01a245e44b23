"""Clean files, and check what is left of them."""

import io

from PIL import Image

from imagehub.imaging.private_data import FileSource, PrivateData, look
from imagehub.imaging.private_data.blanks import apply_blanks
from tests.imaging.private_data import files

ALL = ("place", "person", "device")


def examine(data: bytes) -> PrivateData:
    return look(FileSource(io.BytesIO(data)))


def clean(data: bytes, found: PrivateData) -> bytes:
    return b"".join(apply_blanks([data], found.blanks))


def read_pixels(data: bytes) -> bytes:
    with Image.open(io.BytesIO(data)) as image:
        return image.mode.encode() + image.tobytes()


def check_cleaned(data: bytes, kinds: tuple[str, ...] = ALL) -> bytes:
    """Clean a file; check length, pixels, and that nothing private is left."""
    found = examine(data)
    assert found.kinds == kinds
    assert found.is_removable
    cleaned = clean(data, found)
    assert len(cleaned) == len(data)
    assert read_pixels(cleaned) == read_pixels(data)
    assert not [secret for secret in files.SECRETS if secret in cleaned]
    assert examine(cleaned) == PrivateData()
    return cleaned
