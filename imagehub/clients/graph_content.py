"""Read parts of one original, and forward it, always the same version of the file."""

from collections.abc import Generator

import requests

from imagehub.clients import DriveItem
from imagehub.clients.graph_answers import make_bad_answer, make_busy
from imagehub.clients.graph_bytes import ByteReader, Source
from imagehub.messages import mark

_CHUNK_BYTES = 262_144
# Read with the size: what a picture says about itself is usually at its start.
_HEAD_BYTES = 65_536
# A server that ignores ranges sends everything before the wanted bytes too.
_MAX_SKIPPED_BYTES = 64_000_000


class GraphContent:
    """Implements :class:`imagehub.clients.Content`."""

    def __init__(self, item: DriveItem, reader: ByteReader, source: Source) -> None:
        self.item = item
        self._reader = reader
        self._source = source
        self._size_bytes: int | None = None
        self._head = b""

    @property
    def url(self) -> str:
        return self._source.url

    def fetch_size(self) -> int:
        if self._size_bytes is None:
            with self._open(0, _HEAD_BYTES) as response:
                is_empty = response.status_code == 416
                head = b"" if is_empty else b"".join(self._iter(response, 0, _HEAD_BYTES))
            self._head = head
        assert self._size_bytes is not None
        return self._size_bytes

    def read(self, offset: int, length: int) -> bytes:
        if offset + length <= len(self._head):
            return self._head[offset : offset + length]
        parts = self._iter(self._open(offset, offset + length), offset, offset + length)
        return b"".join(parts)

    def iter_bytes(self, start: int = 0, end: int | None = None) -> Generator[bytes, None, None]:
        return self._iter(self._open(start, end), start, end)

    def _iter(
        self, response: requests.Response, start: int, end: int | None
    ) -> Generator[bytes, None, None]:
        return self._reader.iter_source(self._source, response, _CHUNK_BYTES, start, end)

    def _open(self, start: int, end: int | None) -> requests.Response:
        """Open a part, and check that the file is still the one that was opened first."""
        etag = self._source.etag
        response = self._reader.open_source(self._source, start, end)
        size_bytes = _read_size(response)
        is_other = etag and response.headers.get("ETag", etag) != etag
        if is_other or self._size_bytes not in (None, size_bytes):
            response.close()
            sentence = mark("The file changed while it was being read.")
            raise make_busy(self._source.operation, sentence)
        if size_bytes is None or (response.status_code == 200 and start > _MAX_SKIPPED_BYTES):
            response.close()
            raise make_bad_answer(self._source.operation)
        self._size_bytes = size_bytes
        return response


def _read_size(response: requests.Response) -> int | None:
    """Return the size of the whole file."""
    text = response.headers.get("Content-Length", "")
    if response.status_code != 200:
        text = response.headers.get("Content-Range", "").rpartition("/")[2]
    return int(text) if text.isascii() and text.isdigit() else None
