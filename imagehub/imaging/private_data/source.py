"""Windows on the metadata in a file, and what was found in them."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from imagehub.imaging.private_data.blanks import MAX_BLANKS, Blank
from imagehub.imaging.sources import CannotCleanError, Source

# No structure that is read as a whole may be larger.
MAX_BLOCK_BYTES = 64 * 1024 * 1024
# What may be read in all, beyond a few times the size of the file. A file whose structures refer to
# the same bytes over and over needs more. Each read counts as some bytes at least.
SPARE_BYTES = 32 * 1024 * 1024
_LEAST_READ_BYTES = 512
# Far more than a file that can be cleaned needs.
_MAX_FOUND_BLANKS = 4 * MAX_BLANKS


# Packets of metadata that are kept for :mod:`imagehub.imaging.words`.
_MAX_PACKETS = 60
_MAX_PACKET_BYTES = 1_000_000


@dataclass(frozen=True)
class Packet:
    """Metadata as they stand in a file.

    ``kind``: ``xmp``, ``iptc``, ``iptc-digest``, a tag of Exif such as ``exif-010e``, or a text of
    PNG such as ``png-title``.
    """

    kind: str
    data: bytes = field(repr=False)


@dataclass
class Findings:
    """What was found so far, and how many bytes may still be read to find more.

    ``is_fixed``: something private cannot be blanked in place.
    """

    left_bytes: int
    kinds: set[str] = field(default_factory=set)
    blanks: list[Blank] = field(default_factory=list)
    is_fixed: bool = False
    packets: list[Packet] = field(default_factory=list)

    def keep(self, kind: str, data: bytes) -> None:
        """Keep a packet of metadata; those that are too large or too many are left out."""
        if 0 < len(data) <= _MAX_PACKET_BYTES and len(self.packets) < _MAX_PACKETS:
            self.packets.append(Packet(kind, data))

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
