"""Compare object storage with the database, and repair the differences.

Bucket and rows are read side by side in the order of their keys, a page at a time, so that a
million images need no more memory than a hundred. It may run while ImageHub is in use: objects are
removed only through the marks of ``domain.objects.bookkeeping``, and every finding is checked again
at the moment of the change.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Select, exists, or_, select, update
from sqlalchemy.orm import Session

from imagehub.clients import Clients, ObjectInfo
from imagehub.database import count_rows, end_read, get_database_time, make_batches, own_transaction
from imagehub.domain.imports.jobs import add_remakes
from imagehub.domain.library import tiles
from imagehub.domain.objects import bookkeeping
from imagehub.messages import mark
from imagehub.models import Image, ImportItem, PrintFile, Rendition, StoredObject, TileSet

# In their order.
PREFIXES = ("prints/", "renditions/", "tiles/")
# Keys of these forms sort alike in every collation and in Python, so two listings can be merged.
KEY_PATTERN = re.compile(r"renditions/[0-9a-f]{2}/[0-9a-f]{2}/[0-9a-f]{64}\.[a-z]{3,5}")
SET_PATTERN = re.compile(r"(?:prints|tiles)/[0-9]{12}/[0-9a-f]{32}/")
PAGE = 2000

# An object stored this recently may be missing in a listing that began before.
FRESH = timedelta(minutes=15)


def _count(meaning: str) -> Any:
    return field(default=0, metadata={"meaning": meaning})


@dataclass
class ReconcileReport:
    """What was found, and repaired unless ``is_dry_run``.

    ``repair_job_ids``: imports that create lost renditions again.
    """

    is_dry_run: bool = False
    object_count: int = _count("objects in the bucket")
    orphan_count: int = _count("objects without a row, deleted")
    unused_count: int = _count("objects that no image uses, deleted")
    unfinished_count: int = _count("interrupted deletions, finished")
    expired_pin_count: int = _count("pins of ended imports, removed")
    missing_count: int = _count("objects missing or damaged")
    repair_count: int = _count("images whose renditions are created again from OneDrive")
    tile_set_count: int = _count("images whose tiles are made again")
    wrong_group_count: int = _count("groups with wrong counts, corrected")
    wrong_bucket_count: int = _count("counts of the gallery, of series and of filters, corrected")
    stale_search_count: int = _count("groups with outdated search text, corrected")
    stale_facet_count: int = _count("groups with outdated filters, corrected")
    empty_group_count: int = _count("old groups without images, deleted")
    scratch_file_count: int = _count("temporary files of killed workers, deleted")
    sign_in_count: int = _count("unfinished sign-ins at Microsoft, deleted")
    token_count: int = _count("revoked tokens that have expired, deleted")
    failure_count: int = _count("old failed sign-ins, deleted")
    lease_count: int = _count("old free leases, deleted")
    session_count: int = _count("expired sessions, deleted")
    upload_count: int = _count("upload sessions older than a day, deleted")
    audit_count: int = _count("entries of the activity log older than a year, deleted")
    freed_bytes: int = _count("bytes freed in the bucket")
    repair_job_ids: list[int] = field(default_factory=list)

    def _list(self) -> list[tuple[str, int, str]]:
        """List the counts as name, count and meaning."""
        return [
            (item.name, getattr(self, item.name), item.metadata["meaning"])
            for item in fields(self)
            if item.metadata
        ]

    @property
    def is_clean(self) -> bool:
        """Tell whether nothing was wrong and nothing left over."""
        return not any(count for name, count, _ in self._list() if name != "object_count")

    def describe(self) -> str:
        """List what was found, one line for each kind."""
        lines = [
            f"{count:>12,}  {meaning}"
            for name, count, meaning in self._list()
            if count or name == "object_count"
        ]
        if self.is_clean:
            lines.append("No problems found.")
        elif self.is_dry_run:
            lines.append("Nothing was changed: this was a dry run.")
        return "\n".join(lines)


class Comparison:
    """One comparison of the bucket with the rows.

    :param note: called with each finding, ``lost``, ``damaged``, ``unknown`` or ``unused``, and its
        key.
    :param is_damaged: tells whether an object that is used has another content than its key says.
    """

    def __init__(
        self,
        session: Session,
        clients: Clients,
        report: ReconcileReport,
        fix: bool,
        note: Callable[[str, str], None] = lambda _finding, _key: None,
        is_damaged: Callable[[str], bool] = lambda _key: False,
    ) -> None:
        self._session = session
        self._clients = clients
        self._report = report
        self._fix = fix
        self._note = note
        self._is_damaged = is_damaged
        self._jobs: dict[int, int] = {}
        self._orphans: list[ObjectInfo] = []
        # Rows of ``stored_object``, with ``is_used``: a rendition refers to it.
        self._unused: list[Any] = []
        self._missing: list[Any] = []
        self._began_at, self._pins_until = self._look_at_pins()

    def _look_at_pins(self) -> tuple[datetime, datetime]:
        """Return the time, and the time up to which pins are ignored.

        While no worker has claimed an item or makes tiles, every pin that exists now is left over.
        """
        now = get_database_time(self._session)
        is_busy = self._session.scalar(
            select(
                or_(
                    exists().where(ImportItem.state == "running", ImportItem.lease_until > now),
                    exists().where(TileSet.state == tiles.MAKING, TileSet.due_at > now),
                    exists().where(PrintFile.state == "making", PrintFile.due_at > now),
                )
            )
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

    def _sort_out(self, listed: ObjectInfo | None, row: Any) -> None:
        """Add one key to the list of what has to be done, if anything has."""
        if row is None:
            assert listed is not None
            self._orphans.append(listed)
        elif row.is_deleting:
            pass  # Another process is deleting it, or the next run will.
        elif row.is_used:
            if self._is_missing(listed, row):
                self._missing.append(row)
            elif KEY_PATTERN.fullmatch(row.key) and self._is_damaged(row.key):
                self._note("damaged", row.key)
            if row.pinned_until is not None and row.pinned_until <= self._pins_until:
                self._drop_pin(row)
        elif row.pinned_until is None or row.pinned_until <= self._pins_until:
            self._unused.append(row)

    def _repair_batch(self) -> None:
        self._delete_orphans()
        self._delete_unused()
        self._request_missing()

    def _iter_listed(self) -> Iterator[ObjectInfo]:
        """List the bucket's objects; keys of another form are orphans unless they have a row."""
        last, tile_set = "", ObjectInfo("", 0)
        for prefix in PREFIXES:
            for listed in self._clients.store.iter_objects(prefix):
                self._report.object_count += 1
                found = SET_PATTERN.match(listed.key)
                if not found and not KEY_PATTERN.fullmatch(listed.key):
                    self._orphans.append(listed)
                    continue
                if listed.key < last:
                    raise RuntimeError("the object store does not list its keys in order")
                last = listed.key
                if found and found[0] == tile_set.key:
                    size_bytes = tile_set.size_bytes + listed.size_bytes
                    tile_set = ObjectInfo(tile_set.key, size_bytes)
                    continue
                if tile_set.key:
                    yield tile_set
                if found:
                    tile_set = ObjectInfo(found[0], listed.size_bytes)
                else:
                    yield listed
        if tile_set.key:
            yield tile_set

    def _iter_rows(self) -> Iterator[Any]:
        query = select(*StoredObject.__table__.columns, bookkeeping.IS_USED.label("is_used"))
        for row in iter_rows(self._session, query, StoredObject.key):
            if KEY_PATTERN.fullmatch(row.key) or SET_PATTERN.fullmatch(row.key):
                yield row
            else:
                # ImageHub creates no such keys, but the row counts: ask for its object by name.
                self._sort_out(self._clients.store.find_object(row.key), row)

    def _is_missing(self, listed: ObjectInfo | None, row: Any) -> bool:
        if listed is not None:
            # A server on a plain folder may hold half an object after a crash.
            return bool(listed.size_bytes != row.size_bytes)
        if row.created_at < self._began_at - FRESH:
            return True
        # The page of the listing may be older than the object: ask for it by name.
        if row.key.endswith("/"):
            return next(self._clients.store.iter_objects(row.key), None) is None
        return self._clients.store.find_object(row.key) is None

    def _drop_pin(self, row: Any) -> None:
        self._report.expired_pin_count += 1
        if self._fix:
            pinned = update(StoredObject).where(
                StoredObject.key == row.key,
                StoredObject.is_deleting.is_(False),
                StoredObject.pinned_until == row.pinned_until,
            )
            _execute(self._session, pinned.values(pinned_until=None))

    def _delete_orphans(self) -> None:
        for batch in make_batches(self._orphans):
            sizes = {listed.key: listed.size_bytes for listed in batch}
            if self._fix:
                keys, deadline = bookkeeping.adopt_for_deletion(self._session, list(sizes))
                if not bookkeeping.delete_marked(self._session, self._clients, keys, deadline):
                    continue
            else:
                known = select(StoredObject.key).where(StoredObject.key.in_(list(sizes)))
                keys = sorted(sizes.keys() - {row.key for row in _read(self._session, known)})
            self._note_all("unknown", keys)
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
        self._note_all("unused", keys)
        self._report.unused_count += len(keys)
        self._report.freed_bytes += sum(sizes[key] for key in keys)
        self._unused.clear()

    def _note_all(self, finding: str, keys: Iterable[str]) -> None:
        for key in keys:
            self._note(finding, key)

    # --- Repairs ----------------------------------------------------------------------------------

    def _request_missing(self) -> None:
        """Have the renditions of the images that use the missing keys created again."""
        keys = [row.key for row in self._missing]
        self._note_all("lost", keys)
        self._report.missing_count += len(keys)
        self._missing.clear()
        if not keys:
            return
        if self._fix:
            # The import must not take the bytes for stored.
            these = update(StoredObject).where(StoredObject.key.in_(keys))
            _execute(self._session, these.values(size_bytes=0))
        self._request_tiles(keys)
        is_lost = or_(Rendition.object_key.in_(keys), Rendition.marked_key.in_(keys))
        users = select(Rendition.image_id).where(is_lost).distinct()
        self._request_repairs(row.image_id for row in _read(self._session, users))

    def _request_tiles(self, keys: Sequence[str]) -> None:
        """Have tiles made again of which objects are lost; they are not shown until then."""
        lost = select(TileSet.image_id).where(TileSet.object_key.in_(keys))
        ids = [row.image_id for row in _read(self._session, lost)]
        self._report.tile_set_count += len(ids)
        if ids and self._fix:
            _forget_tiles(self._session, ids)
        if self._fix:
            _forget_prints(self._session, keys)

    def find_images_without_renditions(self) -> None:
        """Have the renditions of images that have none created again."""
        without = select(Image.id).where(~exists().where(Rendition.image_id == Image.id))
        self._request_repairs(row.id for row in iter_rows(self._session, without, Image.id))

    def _request_repairs(self, image_ids: Iterable[int]) -> None:
        for ids in make_batches(image_ids):
            if not self._fix:
                self._report.repair_count += len(ids)
                continue
            count, self._jobs = _add_remakes(self._session, ids, self._jobs)
            self._report.repair_count += count
        self._report.repair_job_ids = sorted(self._jobs.values())


def _merge(
    listed: Iterator[ObjectInfo], rows: Iterator[Any]
) -> Iterator[tuple[ObjectInfo | None, Any]]:
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
def _forget_tiles(session: Session, image_ids: Sequence[int]) -> None:
    these = update(TileSet).where(TileSet.image_id.in_(image_ids))
    count_rows(session, these.values(object_key=""))
    tiles.reconsider(session, image_ids)


@own_transaction
def _forget_prints(session: Session, keys: Sequence[str]) -> None:
    """Note the print files that are lost; they can be made again."""
    these = update(PrintFile).where(PrintFile.object_key.in_(keys))
    lost = {"state": "failed", "reason": mark("The file is lost. It can be made again.")}
    count_rows(session, these.values(object_key="", **lost))


@own_transaction
def _add_remakes(
    session: Session, image_ids: Sequence[int], jobs: Mapping[int, int]
) -> tuple[int, dict[int, int]]:
    """Add images to ``jobs`` (account → import); return their count and all jobs."""
    added = dict(jobs)
    return add_remakes(session, image_ids, added), added


def iter_rows(session: Session, query: Select[Any], key: Any) -> Iterator[Any]:
    """Yield the rows of a query by a unique column; no transaction is open in between."""
    page = _read(session, query.order_by(key).limit(PAGE))
    while page:
        yield from page
        last = getattr(page[-1], key.key)
        page = _read(session, query.where(key > last).order_by(key).limit(PAGE))


def _read(session: Session, query: Select[Any]) -> Sequence[Any]:
    """Read all rows of a query and end the transaction."""
    rows = session.execute(query).all()
    end_read(session)
    return rows
