"""Find and repair what a crash, a lost disk or a restored backup left behind.

Rows that have expired are deleted too: sign-ins, tokens, failures, leases, sessions, log entries.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import delete, exists, false, func, or_, select
from sqlalchemy.orm import Session

from imagehub.clients import Clients
from imagehub.database import count_rows, end_read, get_database_time, own_transaction
from imagehub.domain.imports.jobs import OPEN_STATES
from imagehub.domain.imports.scratch import clean_scratch
from imagehub.domain.leases import acquire_lease, make_owner
from imagehub.domain.library import facet_index, groups, likeness_index, search_index
from imagehub.domain.library.series_counts import recount_series
from imagehub.domain.objects import bookkeeping
from imagehub.domain.onedrive import uploads
from imagehub.domain.people import audit, sessions
from imagehub.domain.site import comparison
from imagehub.domain.site.comparison import ReconcileReport
from imagehub.models import (
    AuditEntry,
    Group,
    Image,
    ImportItem,
    Lease,
    Likeness,
    PendingSignIn,
    RevokedToken,
    SignInFailure,
    SignInSession,
    UploadSession,
)

EMPTY_GROUP_AGE = timedelta(days=1)
PENDING_SIGN_IN_AGE = timedelta(minutes=15)
SIGN_IN_FAILURE_AGE = timedelta(days=2)
FREE_LEASE_AGE = timedelta(days=1)
_DAILY = "drop-expired"
_DAY_SECONDS = 86_400.0


def reconcile(
    session: Session, clients: Clients, data_dir: Path | None = None, fix: bool = True
) -> ReconcileReport:
    """Find and repair everything that is left over or missing. Commits batch by batch.

    :param session: holds no uncommitted change.
    :param data_dir: the data folder, whose temporary files are checked too; None for without.
    :param fix: False only finds and counts.
    :raise ServiceError: object storage cannot be listed; nothing more is done then.
    """
    report = ReconcileReport(is_dry_run=not fix)
    stores = comparison.Comparison(session, clients, report, fix)
    if fix:
        report.unfinished_count = bookkeeping.finish_deletions(session, clients)
    stores.compare()
    stores.find_images_without_renditions()
    _check_groups(session, report, fix)
    _check_search(session, report, fix)
    _check_facets(session, report, fix)
    for name, count in drop_expired(session, fix).items():
        setattr(report, name, count)
    if data_dir is not None:
        report.scratch_file_count = clean_scratch(data_dir, fix)
    return report


# --- Groups ---------------------------------------------------------------------------------------


def _check_groups(session: Session, report: ReconcileReport, fix: bool) -> None:
    images = select(Image.id).where(Image.group_id == Group.id)
    count = images.with_only_columns(func.count()).scalar_subquery()
    first = images.order_by(Image.position, Image.number).limit(1).scalar_subquery()
    chosen = images.where(Image.id == Group.chosen_cover_id).scalar_subquery()
    facts = (Group.id, Group.state, Group.is_shown, Group.image_count, Group.cover_id)
    cover = func.coalesce(chosen, first).label("cover")
    query = select(*facts, count.label("true_count"), cover)
    for row in comparison.iter_rows(session, query, Group.id):
        is_shown = row.state == "published" and row.true_count > 0
        true_facts = (row.true_count, row.cover, is_shown)
        if (row.image_count, row.cover_id, bool(row.is_shown)) != true_facts:
            report.wrong_group_count += 1
            if fix:
                _refresh_group(session, row.id)
        if not row.true_count and _drop_if_abandoned(session, row.id, fix):
            report.empty_group_count += 1
    report.wrong_bucket_count = _count_wrong_counts(session, fix)


@own_transaction
def _refresh_group(session: Session, group_id: int) -> None:
    groups.refresh_group(session, group_id)


@own_transaction
def _drop_if_abandoned(session: Session, group_id: int, fix: bool) -> bool:
    """Delete a group that an import created and never filled, if nobody has edited it since."""
    group = session.scalars(
        select(Group)
        .where(
            Group.id == group_id,
            Group.created_at < get_database_time(session) - EMPTY_GROUP_AGE,
            # The trash has a period of its own.
            Group.state != "trash",
            Group.version == 1,
            Group.text == "",
            Group.medium == "",
            Group.dimensions == "",
            Group.year == "",
            Group.creator == "",
            ~exists().where(Image.group_id == Group.id),
            ~exists().where(ImportItem.group_id == Group.id, ImportItem.state.in_(OPEN_STATES)),
        )
        .with_for_update()
    ).one_or_none()
    if group is not None and fix:
        groups.delete_group(session, group)
    return group is not None


@own_transaction
def _count_wrong_counts(session: Session, fix: bool) -> int:
    wrong = groups.recount_gallery(session) + recount_series(session)
    if not fix:
        session.rollback()
    return wrong


def _check_search(session: Session, report: ReconcileReport, fix: bool) -> None:
    for group_id in _iter_stale(session, search_index.list_stale):
        report.stale_search_count += 1
        if fix:
            _refresh_search(session, group_id)


def _iter_stale(
    session: Session, list_stale: Callable[[Session, int], tuple[list[int], int]]
) -> Iterator[int]:
    """Iterate over the groups that an index has wrong, reading some hundred groups at a time.

    :param list_stale: gets the number to continue after; returns the next one too, 0 at the end.
    """
    after = 0
    while True:
        stale, after = list_stale(session, after)
        end_read(session)
        yield from stale
        if not after:
            return


@own_transaction
def _refresh_search(session: Session, group_id: int) -> None:
    groups.lock_group(session, group_id)
    search_index.refresh_search(session, [group_id])


def _check_facets(session: Session, report: ReconcileReport, fix: bool) -> None:
    for group_id in _iter_stale(session, facet_index.list_stale_facets):
        report.stale_facet_count += 1
        if fix:
            _refresh_facets(session, group_id)
    is_other = Likeness.thumbhash != func.coalesce(Image.thumbhash, "")
    looks = (
        select(Likeness.group_id)
        .join(Group, Group.id == Likeness.group_id)
        .outerjoin(Image, Image.id == Group.cover_id)
        .where(or_(is_other, Group.is_shown == false()))
    )
    for row in comparison.iter_rows(session, looks, Likeness.group_id):
        report.stale_facet_count += 1
        if fix:
            _refresh_facets(session, row.group_id)
    report.wrong_bucket_count += _count_wrong_facets(session, fix)


@own_transaction
def _refresh_facets(session: Session, group_id: int) -> None:
    groups.lock_group(session, group_id)
    likeness_index.refresh_likeness(session, [group_id])
    facet_index.refresh_facets(session, [group_id])


@own_transaction
def _count_wrong_facets(session: Session, fix: bool) -> int:
    wrong = facet_index.recount_facets(session)
    if not fix:
        session.rollback()
    return wrong


# --- Expired rows ---------------------------------------------------------------------------------


def drop_expired_daily(session: Session) -> bool:
    """Delete expired rows unless a worker did so within a day; tell whether it did.

    The lease is never released: it marks the day.
    """
    if not acquire_lease(session, _DAILY, make_owner(), _DAY_SECONDS):
        return False
    drop_expired(session)
    return True


def drop_expired(session: Session, fix: bool = True) -> dict[str, int]:
    """Delete expired rows, each kind in a transaction of its own.

    :param session: holds no uncommitted change.
    :param fix: False only counts them.
    :return: number of rows by the name of the count in ``ReconcileReport``.
    """
    counts = {}
    for name, (model, condition) in _list_expired(get_database_time(session)).items():
        if fix:
            counts[name] = _delete(session, model, condition)
        else:
            query = select(func.count()).select_from(model).where(condition)
            counts[name] = session.scalar(query) or 0
        end_read(session)
    return counts


@own_transaction
def _delete(session: Session, model: Any, condition: Any) -> int:
    return count_rows(session, delete(model).where(condition))


def _list_expired(now: datetime) -> Mapping[str, tuple[Any, Any]]:
    blocked = SignInFailure.blocked_until
    return {
        "sign_in_count": (PendingSignIn, PendingSignIn.created_at < now - PENDING_SIGN_IN_AGE),
        "token_count": (RevokedToken, RevokedToken.expires_at < now),
        "failure_count": (
            SignInFailure,
            (SignInFailure.last_failed_at < now - SIGN_IN_FAILURE_AGE)
            & or_(blocked.is_(None), blocked < now),
        ),
        "lease_count": (Lease, Lease.held_until < now - FREE_LEASE_AGE),
        "session_count": (SignInSession, sessions.is_over(now)),
        "upload_count": (UploadSession, UploadSession.begun_at < now - uploads.KEPT),
        "audit_count": (AuditEntry, AuditEntry.at < now - audit.KEPT),
    }
