"""Compare object storage with the database, and repair the differences.

Bucket and rows are read side by side in the order of their keys, a page at a time, so that a
million images need no more memory than a hundred. It may run while ImageHub is in use: objects are
removed only through the marks of ``domain.objects.bookkeeping``, and every finding is checked again
at the moment of the change.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Select, exists, select, update
from sqlalchemy.orm import Session

from imagehub.clients import Clients, ObjectInfo
from imagehub.database import count_rows, end_read, get_database_time, make_batches, own_transaction
from imagehub.domain.imports.remakes import add_remakes
from imagehub.domain.objects import bookkeeping
from imagehub.domain.site.report import ReconcileReport
from imagehub.models import Image, ImportItem, Rendition, StoredObject

PREFIX = "renditions/"
# Keys of this form sort alike in every collation and in Python, so two listings can be merged.
KEY_PATTERN = re.compile(r"renditions/[0-9a-f]{2}/[0-9a-f]{2}/[0-9a-f]{64}\.[a-z]{3,5}")
PAGE = 2000

# An object stored this recently may be missing in a listing that began before.
FRESH = timedelta(minutes=15)


@dataclass(frozen=True)
class _Row:
    """A row of ``stored_object``, and whether a rendition refers to it."""

    key: str
    size_bytes: int
    pinned_until: datetime | None
    is_deleting: bool
    created_at: datetime
    is_used: bool


class Comparison:
    """One comparison of the bucket with the rows."""

    def __init__(
        self, session: Session, clients: Clients, report: ReconcileReport, fix: bool
    ) -> None:
        self._session = session
        self._clients = clients
        self._report = report
        self._fix = fix
        self._jobs: dict[int, int] = {}
        self._orphans: list[ObjectInfo] = []
        self._unused: list[_Row] = []
        self._missing: list[_Row] = []
        self._began_at, self._pins_until = self._look_at_pins()

    def _look_at_pins(self) -> tuple[datetime, datetime]:
        """Return the time, and the time up to which pins are ignored.

        While no worker has claimed an item, every pin that exists now is left over.
        """

        now = get_database_time(self._session)
        is_busy = self._session.scalar(
            select(exists().where(ImportItem.state == "running", ImportItem.lease_until > now))
        )
        end_read(self._session)
        return now, now if is_busy else now + timedelta(seconds=bookkeeping.PIN_SECONDS)

    def compare(self) -> None:
        """Compare page by page and repair in batches."""
        for listed, row in _merge(self._iter_listed(), self._iter_rows()):
            self._sort_out(listed, row)
            if len(self._orphans) + len(self._unused) + len(self._missing) >= bookkeeping.BATCH:
                self._repair_batch()
        self._repair_batch()

    def _sort_out(self, listed: ObjectInfo | None, row: _Row | None) -> None:
        """Add one key to the list of what has to be done, if anything has."""
        if row is None:
            assert listed is not None
            self._orphans.append(listed)
        elif row.is_deleting:
            pass  # Another process is deleting it, or the next run will.
        elif row.is_used:
            if self._is_missing(listed, row):
                self._missing.append(row)
            if row.pinned_until is not None and row.pinned_until <= self._pins_until:
                self._drop_pin(row)
        elif row.pinned_until is None or row.pinned_until <= self._pins_until:
            self._unused.append(row)

    def _repair_batch(self) -> None:
        self._delete_orphans()
        self._delete_unused()
        self._request_missing()

    def _iter_listed(self) -> Iterator[ObjectInfo]:
        """List the bucket's objects with keys of our form; the others are orphans unless a row
        refers to them."""
        last = ""
        for listed in self._clients.store.iter_objects(PREFIX):
            self._report.object_count += 1
            if not KEY_PATTERN.fullmatch(listed.key):
                self._orphans.append(listed)
                continue
            if listed.key < last:
                raise RuntimeError("the object store does not list its keys in order")
            last = listed.key
            yield listed

    def _iter_rows(self) -> Iterator[_Row]:
        last = ""
        is_used = exists().where(Rendition.object_key == StoredObject.key)
        while True:
            page = _read(
                self._session,
                select(
                    StoredObject.key,
                    StoredObject.size_bytes,
                    StoredObject.pinned_until,
                    StoredObject.is_deleting,
                    StoredObject.created_at,
                    is_used,
                )
                .where(StoredObject.key > last)
                .order_by(StoredObject.key)
                .limit(PAGE),
            )
            if not page:
                return
            last = page[-1][0]
            for facts in page:
                row = _Row(*facts)
                if KEY_PATTERN.fullmatch(row.key):
                    yield row
                else:
                    # ImageHub creates no such keys, but the row counts: ask for its object by name.
                    self._sort_out(self._clients.store.find_object(row.key), row)

    def _is_missing(self, listed: ObjectInfo | None, row: _Row) -> bool:
        if listed is not None:
            # A server on a plain folder may hold half an object after a crash.
            return listed.size_bytes != row.size_bytes
        if row.created_at < self._began_at - FRESH:
            return True
        # The page of the listing may be older than the object: ask for it by name.
        return self._clients.store.find_object(row.key) is None

    def _drop_pin(self, row: _Row) -> None:
        self._report.expired_pin_count += 1
        if self._fix:
            statement = (
                update(StoredObject)
                .where(
                    StoredObject.key == row.key,
                    StoredObject.is_deleting.is_(False),
                    StoredObject.pinned_until == row.pinned_until,
                )
                .values(pinned_until=None)
            )
            _execute(self._session, statement)

    def _delete_orphans(self) -> None:
        for batch in make_batches(self._orphans):
            sizes = {listed.key: listed.size_bytes for listed in batch}
            if self._fix:
                keys, deadline = bookkeeping.adopt_for_deletion(self._session, list(sizes))
                if not bookkeeping.delete_marked(self._session, self._clients, keys, deadline):
                    continue
            else:
                rows = _read(
                    self._session, select(StoredObject.key).where(StoredObject.key.in_(list(sizes)))
                )
                keys = sorted(sizes.keys() - {row.key for row in rows})
            self._report.orphan_count += len(keys)
            self._report.freed_bytes += sum(sizes[key] for key in keys)
        self._orphans.clear()

    def _delete_unused(self) -> None:
        sizes = {row.key: row.size_bytes for row in self._unused}
        keys = list(sizes)
        if keys and self._fix:
            keys, deadline = bookkeeping.mark_unused(self._session, keys, self._pins_until)
            if not bookkeeping.delete_marked(self._session, self._clients, keys, deadline):
                keys = []
        self._report.unused_count += len(keys)
        self._report.freed_bytes += sum(sizes[key] for key in keys)
        self._unused.clear()

    # --- Repairs ----------------------------------------------------------------------------------

    def _request_missing(self) -> None:
        """Have the renditions of the images that use the missing keys created again."""
        keys = [row.key for row in self._missing]
        self._report.missing_count += len(keys)
        self._missing.clear()
        if not keys:
            return
        if self._fix:
            # The import must not take the bytes for stored.
            _execute(
                self._session,
                update(StoredObject).where(StoredObject.key.in_(keys)).values(size_bytes=0),
            )
        found = _read(
            self._session,
            select(Rendition.image_id).where(Rendition.object_key.in_(keys)).distinct(),
        )
        self._request_repairs(row[0] for row in found)

    def find_images_without_renditions(self) -> None:
        """Have the renditions of images that have none created again."""
        last = 0
        without = ~exists().where(Rendition.image_id == Image.id)
        while True:
            page = _read(
                self._session,
                select(Image.id).where(Image.id > last, without).order_by(Image.id).limit(PAGE),
            )
            if not page:
                return
            last = page[-1][0]
            self._request_repairs(row[0] for row in page)

    def _request_repairs(self, image_ids: Iterable[int]) -> None:
        for ids in make_batches(image_ids):
            if not self._fix:
                self._report.repair_count += len(ids)
                continue
            count, self._jobs = _add_remakes(self._session, ids, self._jobs)
            self._report.repair_count += count
        self._report.repair_job_ids = sorted(self._jobs.values())


def _merge(
    listed: Iterator[ObjectInfo], rows: Iterator[_Row]
) -> Iterator[tuple[ObjectInfo | None, _Row | None]]:
    """Pair objects and rows of the same key; None stands for a missing partner."""
    left, right = next(listed, None), next(rows, None)
    while left is not None or right is not None:
        if right is None or (left is not None and left.key < right.key):
            yield left, None
            left = next(listed, None)
        elif left is None or right.key < left.key:
            yield None, right
            right = next(rows, None)
        else:
            yield left, right
            left, right = next(listed, None), next(rows, None)


@own_transaction
def _execute(session: Session, statement: Any) -> int:
    return count_rows(session, statement)


@own_transaction
def _add_remakes(
    session: Session, image_ids: Sequence[int], jobs: Mapping[int, int]
) -> tuple[int, dict[int, int]]:
    """Add images to ``jobs`` (account → import); return their count and all jobs."""
    added = dict(jobs)
    return add_remakes(session, image_ids, added), added


def _read(session: Session, query: Select[*tuple[Any, ...]]) -> Sequence[Any]:
    """Read all rows of a query and end the transaction."""
    rows = session.execute(query).all()
    end_read(session)
    return rows
