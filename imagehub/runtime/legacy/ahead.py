"""Read rows a hundred at once, and decode and render their pictures before it is their turn.

As many pictures as there are rendering processes are worked on at once. One after the other is
decoded, because that is what takes memory. Rows are handed out in their order.
"""

import threading
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any, BinaryIO

from imagehub.database import make_batches
from imagehub.imaging.private_data import FileSource, PrivateData, look
from imagehub.imaging.render import RenderedPicture
from imagehub.models import LegacyRow
from imagehub.queue import count_renderers
from imagehub.runtime.legacy import saving
from imagehub.runtime.legacy.content import Content, write_picture
from imagehub.runtime.legacy.saving import Place
from imagehub.runtime.legacy.source import OldPicture
from imagehub.runtime.legacy.work import Work

_ROWS_AT_ONCE = 100


@dataclass(frozen=True)
class Prepared:
    """A decoded and rendered picture, until the end of a ``with`` block."""

    place: Place
    file: BinaryIO
    content: Content
    picture: RenderedPicture
    private_data: PrivateData
    _held: ExitStack

    def __enter__(self) -> "Prepared":
        return self

    def __exit__(self, *_error: object) -> None:
        self._held.close()


@dataclass(frozen=True)
class Row:
    """A row whose turn it is.

    ``found``: empty if it was deleted since, several if they have the same key. ``mark``: it was
    brought over, and ``is_settled``, nothing is left to do. ``prepared``: its picture, if it is to
    be brought over; the errors of preparing it are raised by ``result()``.
    """

    key: Any
    found: Sequence[OldPicture]
    mark: LegacyRow | None
    is_settled: bool
    prepared: Future[Prepared] | None


class Ahead:
    """Hands out rows; a context manager, which ends all work at its end."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._size = count_renderers(work.settings)
        self._threads = ThreadPoolExecutor(self._size, thread_name_prefix="legacy")
        self._decoding = threading.Lock()
        self._waiting: deque[Row] = deque()

    def __enter__(self) -> "Ahead":
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self._work.old.stop_reading()
        self._threads.shutdown(wait=True, cancel_futures=True)
        for row in self._waiting:
            if row.prepared is not None and not row.prepared.cancelled():
                with suppress(BaseException), row.prepared.result():
                    pass

    def iter_rows(self, keys: Sequence[Any]) -> Iterator[Row]:
        """Iterate over the rows of these keys.

        :raise SourceError: the old database cannot be read.
        """
        for batch in make_batches(keys, _ROWS_AT_ONCE):
            found = self._work.old.find_pictures(batch)
            marks = self._work.read(saving.find_marks, saving.IMAGE, list(map(str, batch)))
            for key in batch:
                self._waiting.append(self._make_row(key, found.get(key, []), marks))
                if len(self._waiting) > self._size:
                    yield self._waiting.popleft()
        while self._waiting:
            yield self._waiting.popleft()

    def _make_row(
        self, key: Any, found: Sequence[OldPicture], marks: dict[str, tuple[LegacyRow, bool]]
    ) -> Row:
        mark, is_done = marks.get(str(key), (None, False))
        prepared = None
        if mark is None and len(found) == 1:
            prepared = self._threads.submit(self._prepare, key, found[0])
        is_same = mark is not None and len(found) == 1 and saving.is_same_row(mark, found[0])
        return Row(key, found, mark, is_done and is_same, prepared)

    def _prepare(self, key: Any, old: OldPicture) -> Prepared:
        """Decode and render a picture; runs in a thread.

        :raise RowError: its place is taken, or it is no picture.
        """
        place = saving.read_place(old)
        self._work.read(saving.check_place, place)
        renderer = self._work.clients.renderer
        assert renderer is not None
        with ExitStack() as held:
            file, path = held.enter_context(self._work.scratch.open_file())
            content = self.decode(key, file)
            picture = self._work.patiently(renderer.render, path)
            private_data = look(FileSource(file))
            return Prepared(place, file, content, picture, private_data, held.pop_all())

    def decode(self, key: Any, file: BinaryIO) -> Content:
        """Write the picture of a row into an empty file.

        :raise RowError: it is no picture.
        """
        max_bytes = self._work.settings.max_original_bytes
        with self._decoding, closing(self._work.old.iter_pieces(key)) as pieces:
            return write_picture(pieces, file, max_bytes)
