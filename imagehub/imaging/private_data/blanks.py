"""Replacements of bytes: store them as text, and apply them to any range of a file."""

import base64
import json
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

# More, or longer ones as text, are not worth storing: such a file counts as not cleanable.
MAX_BLANKS = 5_000
MAX_TEXT_CHARS = 400_000


@dataclass(frozen=True, order=True)
class Blank:
    """Replace ``length`` bytes from ``offset`` on, by ``data`` or else by the byte ``fill``."""

    offset: int
    length: int
    fill: int = 0
    data: bytes = b""

    @property
    def end(self) -> int:
        return self.offset + self.length

    def get_bytes(self, start: int, end: int) -> bytes:
        """Return the replacement for a range of the file inside of this one."""
        if self.data:
            return self.data[start - self.offset : end - self.offset]
        return bytes([self.fill]) * (end - start)


def merge_blanks(blanks: Iterable[Blank]) -> tuple[Blank, ...]:
    """Sort replacements, and make of overlapping ones a list without overlaps.

    Fixed data (such as a checksum) wins over a fill, whatever the order they were found in.
    """
    fixed = sorted(blank for blank in blanks if blank.data and blank.length)
    fills = sorted(blank for blank in blanks if not blank.data and blank.length)
    merged: list[Blank] = []
    for blank in fills:
        last = merged[-1] if merged else None
        if last is not None and blank.offset < last.end:
            blank = Blank(last.end, blank.end - last.end, blank.fill)
            if blank.length <= 0:
                continue
        if last is not None and blank.offset == last.end and blank.fill == last.fill:
            merged[-1] = Blank(last.offset, blank.end - last.offset, last.fill)
        else:
            merged.append(blank)
    return tuple(sorted([*_cut(merged, fixed), *fixed]))


def _cut(fills: Sequence[Blank], holes: Sequence[Blank]) -> Iterator[Blank]:
    """Yield what is left of fills outside of other replacements; both are in order."""
    first = 0
    for blank in fills:
        at = blank.offset
        while first < len(holes) and holes[first].end <= at:
            first += 1
        index = first
        while index < len(holes) and holes[index].offset < blank.end:
            if at < holes[index].offset:
                yield Blank(at, holes[index].offset - at, blank.fill)
            at = max(at, holes[index].end)
            index += 1
        if at < blank.end:
            yield Blank(at, blank.end - at, blank.fill)


def apply_blanks(
    chunks: Iterable[bytes], blanks: Sequence[Blank], start: int = 0
) -> Iterator[bytes]:
    """Replace bytes of a file while it passes.

    :param chunks: the file from ``start`` on, in pieces of any size.
    :param blanks: in order, without overlaps.
    """
    ends = [blank.end for blank in blanks]
    for chunk in chunks:
        end = start + len(chunk)
        at = bisect_right(ends, start)
        if at < len(blanks) and blanks[at].offset < end:
            changed = bytearray(chunk)
            while at < len(blanks) and blanks[at].offset < end:
                first, last = max(start, blanks[at].offset), min(end, blanks[at].end)
                changed[first - start : last - start] = blanks[at].get_bytes(first, last)
                at += 1
            chunk = bytes(changed)
        yield chunk
        start = end


def write_blanks(blanks: Sequence[Blank]) -> str:
    """Write replacements as JSON: ``[offset, length, fill]`` or ``[offset, base64]``."""
    rows = [
        [blank.offset, base64.b64encode(blank.data).decode()]
        if blank.data
        else [blank.offset, blank.length, blank.fill]
        for blank in blanks
    ]
    return json.dumps(rows, separators=(",", ":"))


def read_blanks(text: str) -> tuple[Blank, ...]:
    """Read what :func:`write_blanks` wrote."""
    blanks = []
    for row in json.loads(text or "[]"):
        if len(row) == 2:
            data = base64.b64decode(row[1])
            blanks.append(Blank(row[0], len(data), data=data))
        else:
            blanks.append(Blank(*row))
    return tuple(blanks)
