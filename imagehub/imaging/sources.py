"""Random access to the bytes of a file."""

from collections.abc import Callable
from typing import BinaryIO, Protocol

_FIRST_READ_BYTES = 65_536
_LONGEST_READ_BYTES = 2 * 1024 * 1024
_MAX_KEPT = 8


class TooMuchToReadError(Exception):
    """More of the file would have to be read than is allowed."""


class CannotCleanError(Exception):
    """The file is built in a way that cannot be cleaned in place."""


class Source(Protocol):
    """A file of known size. ``read`` returns fewer bytes than asked for only at its end."""

    @property
    def size_bytes(self) -> int: ...

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
