"""Random access to the bytes of a file, and windows on the metadata in it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import BinaryIO, Protocol

from imagehub.imaging.private_data.blanks import MAX_BLANKS, Blank

# No structure that is read as a whole may be larger.
MAX_BLOCK_BYTES = 64 * 1024 * 1024
_FIRST_READ_BYTES = 65_536
_LONGEST_READ_BYTES = 2 * 1024 * 1024
_MAX_KEPT = 8
# What may be read in all, beyond a few times the size of the file. A file whose structures refer to
# the same bytes over and over needs more. Each read counts as some bytes at least.
SPARE_BYTES = 32 * 1024 * 1024
_LEAST_READ_BYTES = 512
# Far more than a file that can be cleaned needs.
_MAX_FOUND_BLANKS = 4 * MAX_BLANKS


class TooMuchToReadError(Exception):
    """More of the file would have to be read than is allowed."""


class CannotCleanError(Exception):
    """The file is built in a way that cannot be cleaned in place."""


class Source(Protocol):
    """A file of known size. ``read`` returns fewer bytes than asked for only at its end."""

    size_bytes: int

    def read(self, offset: int, length: int) -> bytes: ...


class FileSource:
    """A file on disk."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.size_bytes = file.seek(0, 2)

    def read(self, offset: int, length: int) -> bytes:
        if length <= 0 or not 0 <= offset < self.size_bytes:
            return b""
        self._file.seek(offset)
        return self._file.read(length)


class FetchedSource:
    """A file that is fetched piece by piece, within a budget.

    Pieces are kept for a while, and grow while the file is read from one end to the other.

    :param fetch: (offset, length) → the bytes.
    :param max_bytes: to be fetched in total.
    """

    def __init__(self, size_bytes: int, fetch: Callable[[int, int], bytes], max_bytes: int) -> None:
        self.size_bytes = size_bytes
        self._fetch = fetch
        self._left_bytes = max_bytes
        self._pieces: list[tuple[int, bytes]] = []
        self._next_bytes = _FIRST_READ_BYTES

    def read(self, offset: int, length: int) -> bytes:
        """:raise TooMuchToReadError: the budget is used up."""
        end = min(offset + length, self.size_bytes)
        if length <= 0 or not 0 <= offset < end:
            return b""
        parts = []
        while offset < end:
            start, piece = self._find(offset) or self._fetch_piece(offset, end)
            part = piece[offset - start : end - start]
            parts.append(part)
            offset += len(part)
        return b"".join(parts)

    def _find(self, offset: int) -> tuple[int, bytes] | None:
        for start, piece in reversed(self._pieces):
            if start <= offset < start + len(piece):
                return start, piece
        return None

    def _fetch_piece(self, offset: int, end: int) -> tuple[int, bytes]:
        is_next = any(offset == start + len(piece) for start, piece in self._pieces[-1:])
        self._next_bytes = (
            min(2 * self._next_bytes, _LONGEST_READ_BYTES) if is_next else _FIRST_READ_BYTES
        )
        length = min(max(self._next_bytes, end - offset), _LONGEST_READ_BYTES)
        length = min(length, self.size_bytes - offset)
        if length > self._left_bytes:
            raise TooMuchToReadError
        piece = self._fetch(offset, length)
        if len(piece) != length:
            raise CannotCleanError("the file is shorter than it says")
        self._left_bytes -= length
        self._pieces = [*self._pieces[1 - _MAX_KEPT :], (offset, piece)]
        return offset, piece


@dataclass
class Findings:
    """What was found so far, and how many bytes may still be read to find more.

    ``is_fixed``: something private cannot be blanked in place.
    """

    left_bytes: int
    kinds: set[str] = field(default_factory=set)
    blanks: list[Blank] = field(default_factory=list)
    is_fixed: bool = False

    def note(self, kind: str) -> None:
        self.kinds.add(kind)

    def add_blank(self, blank: Blank) -> None:
        self.blanks.append(blank)
        if len(self.blanks) > _MAX_FOUND_BLANKS:
            raise CannotCleanError("too much to blank")

    def count_read(self, size_bytes: int) -> None:
        self.left_bytes -= size_bytes
        if self.left_bytes < 0:
            raise CannotCleanError("the file refers to the same bytes over and over")


@dataclass(frozen=True)
class Window:
    """A part of a file, or several parts read as one.

    :ivar parts: (offset in the file, length) of each.
    """

    source: Source
    findings: Findings
    parts: Sequence[tuple[int, int]]

    @property
    def size_bytes(self) -> int:
        return sum(length for _, length in self.parts)

    def read(self, offset: int, length: int) -> bytes:
        """Return bytes of the window; fewer at its end."""
        pieces = self._locate(offset, length)
        size_bytes = sum(size for _, size in pieces)
        if size_bytes > MAX_BLOCK_BYTES:
            raise CannotCleanError("a block of metadata is too large")
        self.findings.count_read(max(size_bytes, _LEAST_READ_BYTES))
        return b"".join(self.source.read(at, size) for at, size in pieces)

    def read_all(self) -> bytes:
        return self.read(0, self.size_bytes)

    def cut(self, offset: int, length: int) -> "Window":
        """Return a window on a part of this one."""
        return Window(self.source, self.findings, self._locate(offset, length))

    def blank(self, offset: int, length: int, fill: int = 0) -> None:
        """Replace bytes of the window by a byte."""
        for at, size in self._locate(offset, length):
            self.findings.add_blank(Blank(at, size, fill))

    def put(self, offset: int, data: bytes) -> None:
        """Replace bytes of the window by others."""
        for at, size in self._locate(offset, len(data)):
            self.findings.add_blank(Blank(at, size, data=data[:size]))
            data = data[size:]

    def _locate(self, offset: int, length: int) -> list[tuple[int, int]]:
        found = []
        end = offset + max(0, length)
        start = 0
        for at, size in self.parts:
            first, last = max(offset, start), min(end, start + size)
            if first < last:
                found.append((at + first - start, last - first))
            start += size
        return found
