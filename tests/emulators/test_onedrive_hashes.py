import random
from base64 import b64encode
from hashlib import sha1
from pathlib import Path

import pytest

from imagehub.emulators.onedrive.hashes import QuickXor, hash_file


def hash_slowly(data: bytes) -> str:
    """Compute the hash by definition: XOR byte i in at bit 11·i, wrapping at 160."""
    bits = 0
    for index, byte in enumerate(data):
        placed = byte << (11 * index % 160)
        bits ^= (placed & ((1 << 160) - 1)) | (placed >> 160)
    return b64encode((bits ^ (len(data) << 96)).to_bytes(20, "little")).decode()


@pytest.mark.parametrize(
    ("data", "expected"), [(b"", "A" * 27 + "="), (b"a", "YQAAAAAAAAAAAAAAAQAAAAAAAAA=")]
)
def test_published_vectors(data: bytes, expected: str) -> None:
    quick_xor = QuickXor()
    quick_xor.update(data)
    assert quick_xor.base64() == expected


@pytest.mark.parametrize("size", [1, 2, 14, 15, 159, 160, 161, 10_239, 10_240, 10_241, 50_000])
def test_any_length_in_chunks_of_any_size(size: int) -> None:
    chance = random.Random(size)
    data = chance.randbytes(size)
    quick_xor = QuickXor()
    place = 0
    while place < size:
        step = chance.randint(1, 7000)
        quick_xor.update(data[place : place + step])
        quick_xor.digest()
        place += step
    assert quick_xor.base64() == hash_slowly(data)


def test_a_file_longer_than_one_read(tmp_path: Path) -> None:
    data = random.Random(1).randbytes(3_000_001)
    path = tmp_path / "file"
    path.write_bytes(data)
    quick_xor = QuickXor()
    quick_xor.update(data)
    assert hash_file(path) == (quick_xor.base64(), sha1(data).hexdigest().upper())
