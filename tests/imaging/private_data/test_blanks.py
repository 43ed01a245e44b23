"""Bytes are replaced in any range of a file."""

import random
from itertools import pairwise

from imagehub.imaging.private_data import Blank
from imagehub.imaging.private_data.blanks import (
    apply_blanks,
    merge_blanks,
    read_blanks,
    write_blanks,
)


def test_blanks_that_overlap_are_merged() -> None:
    chance = random.Random(1)
    for _ in range(200):
        fills = [Blank(chance.randrange(40), chance.randrange(12), 0x20) for _ in range(5)]
        fixed = [Blank(at, 3, data=b"abc") for at in chance.sample(range(0, 48, 4), 3)]
        expected = bytearray(b"." * 60)
        for blank in (*fills, *fixed):
            expected[blank.offset : blank.end] = blank.get_bytes(blank.offset, blank.end)
        merged = merge_blanks(chance.sample([*fills, *fixed], 8))
        assert b"".join(apply_blanks([b"." * 60], merged)) == expected
        assert all(one.end <= after.offset for one, after in pairwise(merged))


def test_blanks_are_applied_to_any_range_in_pieces_of_any_size() -> None:
    data = bytes(range(256)) * 4
    blanks = merge_blanks(
        [Blank(5, 10, 0x20), Blank(10, 10, 0), Blank(12, 4, data=b"\1\2\3\4"), Blank(900, 100, 7)]
    )
    assert read_blanks(write_blanks(blanks)) == blanks
    whole = b"".join(apply_blanks([data], blanks))
    assert whole[5:20] == b" " * 7 + b"\1\2\3\4" + bytes(4)
    assert whole[900:1000] == b"\7" * 100
    assert whole[:5] + whole[20:900] + whole[1000:] == data[:5] + data[20:900] + data[1000:]
    for start in (0, 7, 13, 950):
        for size in (1, 3, 64):
            part = data[start:]
            chunks = [part[at : at + size] for at in range(0, len(part), size)]
            assert b"".join(apply_blanks(chunks, blanks, start)) == whole[start:]
