"""ZIP files that are made while they are sent: nothing is kept, neither on disk nor in memory."""

from collections.abc import Iterable, Iterator

from zipstream import ZIP_STORED, ZipStream


class Archive:
    """A ZIP file as a stream of bytes, one member after the other.

    Members are stored as they are: pictures are compressed already. Sizes need not be known; the
    64-bit records are used, so a member or the whole may be larger than 4 GiB.
    """

    def __init__(self) -> None:
        self._zip = ZipStream(compress_type=ZIP_STORED)

    def iter_member(self, name: str, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """The bytes of one member. An error of ``chunks`` comes through and spoils the archive."""
        self._zip.add(chunks, name)
        yield from self._zip.file()

    def iter_end(self) -> Iterator[bytes]:
        """The directory of members, without which no program opens the file."""
        yield from self._zip.footer()
