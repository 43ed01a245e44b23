"""Comparing the two stores, and mending what a crash, a lost disk or a restored backup left behind.

Bucket and rows are walked side by side in the order of their keys, a page at a time, so that a
million images need no more memory than a hundred. It may run while the hub is at work: everything
it removes goes through the marks of ``domain.objects.bookkeeping``, and everything it finds is
looked at again at the moment of the change.
"""

import logging
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Select, delete, exists, func, or_, select, update
from sqlalchemy.orm import Session

from imagehub import database
from imagehub.clients import Clients, ObjectInfo
from imagehub.database import get_database_time, run_in_own_transaction
from imagehub.domain.imports.jobs import OPEN_STATES
from imagehub.domain.imports.remakes import add_remakes
from imagehub.domain.imports.scratch import clean_scratch
from imagehub.domain.leases import acquire_lease, get_lease_seconds, make_owner
from imagehub.domain.library import gallery_counts, groups, search_index
from imagehub.domain.library.groups import lock_group
from imagehub.domain.objects import bookkeeping
from imagehub.domain.onedrive import upload_sessions
from imagehub.domain.people import audit, sessions
from imagehub.models import (
    AuditEntry,
    Group,
    Image,
    ImportItem,
    Lease,
    PendingSignIn,
    Rendition,
    RevokedToken,
    SignInFailure,
    SignInSession,
    StoredObject,
    UploadSession,
)

log = logging.getLogger(__name__)

PREFIX = "renditions/"
# Keys of this form sort alike in every collation and in Python, so two listings can be merged.
KEY_PATTERN = re.compile(r"renditions/[0-9a-f]{2}/[0-9a-f]{2}/[0-9a-f]{64}\.[a-z]{3,5}")
PAGE = 2000

# What was stored this recently may be younger than the listing that does not show it.
FRESH = timedelta(minutes=15)
EMPTY_GROUP_AGE = timedelta(days=1)
PENDING_SIGN_IN_AGE = timedelta(minutes=15)
SIGN_IN_FAILURE_AGE = timedelta(days=2)
FREE_LEASE_AGE = timedelta(days=1)
_DAILY = "drop-expired"
_DAY_SECONDS = 86_400.0


def _count(meaning: str) -> Any:
    return field(default=0, metadata={"meaning": meaning})


@dataclass
class ReconcileReport:
    """What was found, and mended unless ``is_dry_run``. ``repair_job_ids``: imports that make lost
    renditions again."""

    is_dry_run: bool = False
    object_count: int = _count("objects in the bucket")
    orphan_count: int = _count("objects without a row, deleted")
    unused_count: int = _count("objects that no image uses, deleted")
    unfinished_count: int = _count("deletions that had stopped half-way, finished")
    expired_pin_count: int = _count("pins of imports that are gone, taken off")
    missing_count: int = _count("objects that are lost or damaged")
    repair_count: int = _count("images whose renditions are made again from OneDrive")
    wrong_group_count: int = _count("groups with wrong counts, set right")
    wrong_bucket_count: int = _count("counts of the gallery's order, set right")
    stale_search_count: int = _count(
        "groups whose words for the search were out of date, set right"
    )
    empty_group_count: int = _count("old groups without images, deleted")
    scratch_file_count: int = _count("temporary files of killed workers, deleted")
    sign_in_count: int = _count("sign-ins at Microsoft never finished, deleted")
    token_count: int = _count("revoked tokens that have expired, deleted")
    failure_count: int = _count("old failed sign-ins, deleted")
    lease_count: int = _count("old free leases, deleted")
    session_count: int = _count("sessions that nobody came back to, deleted")
    upload_count: int = _count("upload sessions older than a day, deleted")
    audit_count: int = _count("lines of the log older than a year, deleted")
    freed_bytes: int = _count("bytes freed in the bucket")
    repair_job_ids: list[int] = field(default_factory=list)

    @property
    def is_clean(self) -> bool:
        """Nothing was wrong between the two stores, and nothing was left over."""
        return not any(
            getattr(self, item.name)
            for item in fields(self)
            if "meaning" in item.metadata and item.name != "object_count"
        )

    def describe(self) -> str:
        """A line for each thing found."""
        lines = [
            f"{getattr(self, item.name):>12,}  {item.metadata['meaning']}"
            for item in fields(self)
            if "meaning" in item.metadata
            and (getattr(self, item.name) or item.name == "object_count")
        ]
        if self.is_clean:
            lines.append("Everything is in order.")
        elif self.is_dry_run:
            lines.append("Nothing was changed: this was a dry run.")
        return "\n".join(lines)


def reconcile(
    session: Session, clients: Clients, data_dir: Path | None = None, fix: bool = True
) -> ReconcileReport:
    """Find and mend everything that is left over or missing. Commits on its own.

    :param session: holds no uncommitted change.
    :param data_dir: the data folder, whose temporary files are looked at too; None leaves them.
    :param fix: False finds and counts alone.
    :raise ServiceError: the object store cannot be listed; nothing more is done then.
    """
    report = ReconcileReport(is_dry_run=not fix)
    walk = _Walk(session, clients, report, fix)
    if fix:
        report.unfinished_count = bookkeeping.finish_deletions(session, clients)
    walk.compare()
    walk.find_images_without_renditions()
    _check_groups(session, report, fix)
    _check_search(session, report, fix)
    _drop_expired(session, report, fix)
    if data_dir is not None:
        report.scratch_file_count = clean_scratch(data_dir, fix)
    return report


@dataclass(frozen=True)
class _Row:
    """A row of ``stored_object``, and whether a rendition refers to it."""

    key: str
    size_bytes: int
    pinned_until: datetime | None
    is_deleting: bool
    created_at: datetime
    is_used: bool


class _Walk:
    """One comparison of bucket and rows."""

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
        """Now, and the moment up to which pins do not count.

        Where no worker has anything in hand, every pin that was set until now is left over.
        """

        def look(own: Session) -> tuple[datetime, datetime]:
            now = get_database_time(own)
            is_busy = own.scalar(
                select(exists().where(ImportItem.state == "running", ImportItem.lease_until > now))
            )
            return now, now if is_busy else now + timedelta(seconds=bookkeeping.PIN_SECONDS)

        return run_in_own_transaction(self._session, look)

    def compare(self) -> None:
        for listed, row in _merge(self._iter_listed(), self._iter_rows()):
            self._sort_out(listed, row)
            if len(self._orphans) + len(self._unused) + len(self._missing) >= bookkeeping.BATCH:
                self._mend()
        self._mend()

    def _sort_out(self, listed: ObjectInfo | None, row: _Row | None) -> None:
        """Put one key into the list of what is to be done about it, if anything is."""
        if row is None:
            assert listed is not None
            self._orphans.append(listed)
        elif row.is_deleting:
            pass  # Somebody is at it, or the next run takes it over.
        elif row.is_used:
            if self._is_missing(listed, row):
                self._missing.append(row)
            if row.pinned_until is not None and row.pinned_until <= self._pins_until:
                self._drop_pin(row)
        elif row.pinned_until is None or row.pinned_until <= self._pins_until:
            self._unused.append(row)

    def _mend(self) -> None:
        self._delete_orphans()
        self._delete_unused()
        self._repair()

    def _iter_listed(self) -> Iterator[ObjectInfo]:
        """The bucket's objects with keys of ours; others go to the orphans straight away, where a
        row saves them."""
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
                    # Nothing of ours makes such keys, but a row is a row: it is looked up by name.
                    self._sort_out(self._clients.store.find_object(row.key), row)

    def _is_missing(self, listed: ObjectInfo | None, row: _Row) -> bool:
        if listed is not None:
            # A server on a plain folder may keep half an object when its machine stops.
            return listed.size_bytes != row.size_bytes
        if row.created_at < self._began_at - FRESH:
            return True
        # The listing's page may be older than the object, so a fresh one is asked for by name.
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
            run_in_own_transaction(self._session, lambda own: database.count_rows(own, statement))

    def _delete_orphans(self) -> None:
        for batch in database.make_batches(self._orphans):
            sizes = {listed.key: listed.size_bytes for listed in batch}
            if self._fix:
                keys, deadline = bookkeeping.adopt_for_deletion(self._session, list(sizes))
                if not bookkeeping.delete_marked(self._session, self._clients, keys, deadline):
                    continue
            else:
                rows = _read(
                    self._session,
                    select(StoredObject.key).where(StoredObject.key.in_(list(sizes))),
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

    def _repair(self) -> None:
        """Have the images made again that use these keys."""
        keys = [row.key for row in self._missing]
        self._report.missing_count += len(keys)
        self._missing.clear()
        if not keys:
            return
        if self._fix:
            # The repair must not take the bytes for stored.
            run_in_own_transaction(
                self._session,
                lambda own: database.count_rows(
                    own,
                    update(StoredObject).where(StoredObject.key.in_(keys)).values(size_bytes=0),
                ),
            )
        found = _read(
            self._session,
            select(Rendition.image_id).where(Rendition.object_key.in_(keys)).distinct(),
        )
        self._request_repairs(row[0] for row in found)

    def find_images_without_renditions(self) -> None:
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
        for ids in database.make_batches(image_ids):
            if not self._fix:
                self._report.repair_count += len(ids)
                continue
            jobs = dict(self._jobs)
            count = run_in_own_transaction(
                self._session,
                lambda own, i=ids, j=jobs: add_remakes(own, i, j),  # type: ignore[misc]
            )
            self._jobs = jobs
            self._report.repair_count += count
        self._report.repair_job_ids = sorted(self._jobs.values())


def _merge(
    listed: Iterator[ObjectInfo], rows: Iterator[_Row]
) -> Iterator[tuple[ObjectInfo | None, _Row | None]]:
    """Pairs of equal key; what has no partner comes with None."""
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


# --- Groups ---------------------------------------------------------------------------------------


def _check_groups(session: Session, report: ReconcileReport, fix: bool) -> None:
    count = (
        select(func.count()).select_from(Image).where(Image.group_id == Group.id).scalar_subquery()
    )
    first = (
        select(Image.id)
        .where(Image.group_id == Group.id)
        .order_by(Image.position, Image.number)
        .limit(1)
        .scalar_subquery()
    )
    chosen = (
        select(Image.id)
        .where(Image.id == Group.chosen_cover_id, Image.group_id == Group.id)
        .scalar_subquery()
    )
    last = 0
    while True:
        page = _read(
            session,
            select(
                Group.id,
                Group.state,
                Group.is_shown,
                Group.image_count,
                Group.cover_id,
                count.label("true_count"),
                func.coalesce(chosen, first).label("cover"),
            )
            .where(Group.id > last)
            .order_by(Group.id)
            .limit(PAGE),
        )
        if not page:
            break
        last = page[-1].id
        for row in page:
            is_shown = row.state == "published" and row.true_count > 0
            true_facts = (row.true_count, row.cover, is_shown)
            if (row.image_count, row.cover_id, bool(row.is_shown)) != true_facts:
                report.wrong_group_count += 1
                if fix:
                    run_in_own_transaction(
                        session,
                        lambda own, i=row.id: groups.refresh_group(own, i),  # type: ignore[misc]
                    )
            if not row.true_count and _drop_if_forgotten(session, row.id, fix):
                report.empty_group_count += 1
    report.wrong_bucket_count = _recount(session, fix)


def _drop_if_forgotten(session: Session, group_id: int, fix: bool) -> bool:
    """Delete a group that an import made and never filled, if no person has touched it since."""

    def drop(own: Session) -> bool:
        group = own.scalars(
            select(Group)
            .where(
                Group.id == group_id,
                Group.created_at < get_database_time(own) - EMPTY_GROUP_AGE,
                # The trash keeps what is in it for as long as it promises.
                Group.state != "trash",
                Group.version == 1,
                Group.text == "",
                Group.medium == "",
                Group.dimensions == "",
                Group.year == "",
                ~exists().where(Image.group_id == Group.id),
                ~exists().where(ImportItem.group_id == Group.id, ImportItem.state.in_(OPEN_STATES)),
            )
            .with_for_update()
        ).one_or_none()
        if group is not None and fix:
            groups.delete_group(own, group)
        return group is not None

    return run_in_own_transaction(session, drop)


def _recount(session: Session, fix: bool) -> int:
    if fix:
        return run_in_own_transaction(session, gallery_counts.recount_gallery)
    with Session(session.get_bind()) as own:
        wrong = gallery_counts.recount_gallery(own)
        own.rollback()
    return wrong


def _check_search(session: Session, report: ReconcileReport, fix: bool) -> None:
    after = 0
    while True:
        stale, after = run_in_own_transaction(
            session,
            lambda own, a=after: search_index.list_stale(own, a),  # type: ignore[misc]
        )
        report.stale_search_count += len(stale)
        for group_id in stale if fix else ():
            run_in_own_transaction(session, lambda own, i=group_id: _refresh_search(own, i))  # type: ignore[misc]
        if not after:
            return


def _refresh_search(own: Session, group_id: int) -> None:
    lock_group(own, group_id)
    search_index.refresh_search(own, group_id)


# --- What has run out -----------------------------------------------------------------------------


def drop_expired_daily(session: Session) -> bool:
    """Delete what has run out, unless some worker did within a day; whether it was done.

    The lease is never given back: as long as it holds, the day is not over.
    """
    is_done_today = get_lease_seconds(session, _DAILY) > 0
    if is_done_today or not acquire_lease(session, _DAILY, make_owner(), _DAY_SECONDS):
        return False
    _drop_expired(session, ReconcileReport(), fix=True)
    return True


def _drop_expired(session: Session, report: ReconcileReport, fix: bool) -> None:
    now = run_in_own_transaction(session, get_database_time)
    blocked = SignInFailure.blocked_until
    expired = {
        "sign_in_count": (PendingSignIn, PendingSignIn.created_at < now - PENDING_SIGN_IN_AGE),
        "token_count": (RevokedToken, RevokedToken.expires_at < now),
        "failure_count": (
            SignInFailure,
            (SignInFailure.last_failed_at < now - SIGN_IN_FAILURE_AGE)
            & or_(blocked.is_(None), blocked < now),
        ),
        "lease_count": (Lease, Lease.held_until < now - FREE_LEASE_AGE),
        "session_count": (SignInSession, sessions.is_expired(now)),
        "upload_count": (UploadSession, UploadSession.begun_at < now - upload_sessions.KEPT),
        "audit_count": (AuditEntry, AuditEntry.at < now - audit.KEPT),
    }
    for name, (model, condition) in expired.items():
        if fix:
            statement = delete(model).where(condition)
            count = run_in_own_transaction(
                session,
                lambda own, s=statement: database.count_rows(own, s),  # type: ignore[misc]
            )
        else:
            count = _read(session, select(func.count()).select_from(model).where(condition))[0][0]
        setattr(report, name, count)


def _read(session: Session, query: Select[*tuple[Any, ...]]) -> Sequence[Any]:
    """All rows of a query, in a transaction of its own that ends at once."""
    return run_in_own_transaction(session, lambda own: own.execute(query).all())
