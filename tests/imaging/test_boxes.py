"""The colour coding of the picture in a HEIF file, among its other items."""

import io
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imagehub.imaging.boxes import read_coding


def make_box(kind: bytes, *content: bytes) -> bytes:
    body = b"".join(content)
    return struct.pack(">I4s", 8 + len(body), kind) + body


def make_nclx(primaries: int, transfer: int) -> bytes:
    return make_box(b"colr", b"nclx", struct.pack(">HHHB", primaries, transfer, 1, 128))


ICC = make_box(b"colr", b"prof", b"a profile")
SIZE = make_box(b"ispe", struct.pack(">4xII", 64, 64))


def make_file(
    properties: list[bytes],
    items: dict[int, list[int]],
    primary: int = 1,
    tiles: dict[int, list[int]] | None = None,
    wide: bool = False,
) -> io.BytesIO:
    """A file without pictures. ``items``: item → numbers of its properties; ``wide``: long ids."""
    letter, index_letter, version = ("I", "H", 1) if wide else ("H", "B", 0)
    ipma = struct.pack(">B2xBI", version, int(wide), len(items))
    for item, indexes in items.items():
        # The first one is marked as essential.
        essential = 0x8000 if wide else 0x80
        marked = [index | (0 if at else essential) for at, index in enumerate(indexes)]
        ipma += struct.pack(f">{letter}B{len(marked)}{index_letter}", item, len(marked), *marked)
    iref = b"".join(
        make_box(b"dimg", struct.pack(f">{letter}H{len(to)}{letter}", item, len(to), *to))
        for item, to in (tiles or {}).items()
    )
    return io.BytesIO(
        make_box(b"ftyp", b"heic", bytes(4), b"mif1heic")
        + make_box(b"free", bytes(5))
        + make_box(
            b"meta",
            bytes(4),
            make_box(b"pitm", struct.pack(f">B3x{letter}", version, primary)),
            make_box(b"iref", struct.pack(">B3x", version), iref),
            make_box(b"iprp", make_box(b"ipco", *properties), make_box(b"ipma", ipma)),
        )
    )


@pytest.mark.parametrize("wide", [False, True])
def test_the_coding_is_that_of_the_primary_item(wide: bool) -> None:
    properties = [make_nclx(9, 16), SIZE, make_nclx(12, 13)]
    file = make_file(properties, {1: [1, 2], 2: [2, 3]}, primary=2, wide=wide)
    assert read_coding(file) == (12, 13)


def test_a_gain_map_says_nothing_about_the_picture() -> None:
    properties = [SIZE, ICC, make_nclx(9, 16)]
    assert read_coding(make_file(properties, {1: [1, 2], 2: [1, 3]})) is None
    assert read_coding(make_file(properties, {1: [1], 2: [1, 3]})) is None


@pytest.mark.parametrize("wide", [False, True])
def test_a_picture_of_tiles_has_the_coding_of_its_tiles(wide: bool) -> None:
    properties = [SIZE, make_nclx(12, 13), make_nclx(9, 16)]
    items = {1: [1], 2: [1, 2], 3: [1, 2], 4: [1, 3]}
    assert read_coding(make_file(properties, items, tiles={1: [2, 3]}, wide=wide)) == (12, 13)


def test_a_profile_does_not_hide_a_coding() -> None:
    assert read_coding(make_file([ICC, make_nclx(9, 18)], {1: [1, 2]})) == (9, 18)


@pytest.mark.parametrize("items", [{}, {1: []}, {1: [9]}, {1: [0]}, {2: [1]}])
def test_wrong_numbers_say_nothing(items: dict[int, list[int]]) -> None:
    assert read_coding(make_file([make_nclx(12, 13)], items)) is None


@given(st.integers(0, 400), st.binary(max_size=40))
@settings(max_examples=150, deadline=None)
def test_a_damaged_file_does_no_harm(at: int, damage: bytes) -> None:
    properties = [SIZE, make_nclx(12, 13)]
    data = make_file(properties, {1: [1], 2: [1, 2]}, tiles={1: [2]}).getvalue()
    for content in (data[:at] + damage + data[at + len(damage) :], data[:at], damage):
        read_coding(io.BytesIO(content))
