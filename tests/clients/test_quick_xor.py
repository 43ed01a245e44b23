"""quickXorHash, against published values and a bit-by-bit implementation."""

from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagehub.clients.graph_bytes import QuickXorHash


def hash_by_definition(data: bytes) -> str:
    bits = [0] * 160
    for index, byte in enumerate(data):
        for bit in range(8):
            bits[(11 * index + bit) % 160] ^= byte >> bit & 1
    value = sum(bit << place for place, bit in enumerate(bits)) ^ len(data) << 96
    return b64encode(value.to_bytes(20, "little")).decode()


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", "AAAAAAAAAAAAAAAAAAAAAAAAAAA="),
        (b"a", "YQAAAAAAAAAAAAAAAQAAAAAAAAA="),
        (b"hello world", "aCgDG9jwBhDc4Q1yawMZAAAAAAA="),
    ],
)
def test_published_values_are_reproduced(data: bytes, expected: str) -> None:
    quick_xor = QuickXorHash()
    quick_xor.update(data)
    assert quick_xor.base64() == expected


@given(st.lists(st.binary(max_size=700), max_size=8))
def test_chunks_of_any_size_match_the_definition(pieces: list[bytes]) -> None:
    quick_xor = QuickXorHash()
    for piece in pieces:
        quick_xor.update(piece)
    assert quick_xor.base64() == hash_by_definition(b"".join(pieces))


def test_large_chunks_are_folded_correctly() -> None:
    data = bytes(range(251)) * 400  # 100,400 bytes, no period in common with 160
    whole, parts = QuickXorHash(), QuickXorHash()
    whole.update(data)
    for start in range(0, len(data), 33_333):
        parts.update(data[start : start + 33_333])
    assert whole.base64() == parts.base64() == hash_by_definition(data)
    assert whole.size_bytes == len(data)


def test_more_bytes_can_be_added_after_reading_the_result() -> None:
    quick_xor = QuickXorHash()
    quick_xor.update(b"hello ")
    quick_xor.base64()
    quick_xor.update(b"world")
    assert quick_xor.base64() == "aCgDG9jwBhDc4Q1yawMZAAAAAAA="
