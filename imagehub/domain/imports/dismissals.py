"""Dismiss failed files of an import, and retry dismissed ones.

A dismissed item keeps its reason and can be retried. A new group of the import that got no image
and was not edited moves to the trash with the last of its failed files; it is restored when one of
them is retried.

Rows are locked in the order item, then group, as in the worker.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import delete, exists, insert, select, update
from sqlalchemy.orm import Session

from imagehub.database import count_rows, get_database_time, make_batches
from imagehub.domain.imports.jobs import DISMISSED, OPEN_STATES, get_job, retry_items
from imagehub.domain.library.groups import lock_groups
from imagehub.models import Group, GroupTag, Image, ImportItem, TrashEntry

# The group holds nothing but the title that the import gave it. Each edit by a person raises the
# version; so do moving to the trash and restoring by hand.
_IS_UNTOUCHED = (
    Group.version == 1,
    Group.image_count == 0,
    Group.text == "",
    Group.medium == "",
    Group.dimensions == "",
    Group.year == "",
    Group.edition == "",
    Group.availability == "",
    Group.price == "",
    Group.creator == "",
    Group.copyright_notice == "",
    Group.license_url == "",
    ~exists().where(GroupTag.group_id == Group.id),
    ~exists().where(Image.group_id == Group.id),
)
_HAS_NO_OPEN_ITEM = ~exists().where(
    ImportItem.group_id == Group.id, ImportItem.state.in_((*OPEN_STATES, "failed"))
)


@dataclass(frozen=True)
class Dismissed:
    """The number of dismissed items, and of empty groups moved to the trash with them."""

    item_count: int
    group_count: int


def dismiss_failed(
    session: Session, job_id: int, user_id: int | None, item_id: int | None = None
) -> Dismissed:
    """Dismiss the failed items of an import; items that are being retried stay as they are.

    :param item_id: only this one.
    :raise NotFoundError: no such job.
    """
    get_job(session, job_id)
    failed = update(ImportItem).where(ImportItem.job_id == job_id, ImportItem.state == "failed")
    if item_id is not None:
        failed = failed.where(ImportItem.id == item_id)
    count = count_rows(session, failed.values(state=DISMISSED))
    return Dismissed(count, _trash_empty_groups(session, job_id, user_id) if count else 0)


def retry_dismissed(session: Session, job_id: int, item_id: int | None = None) -> int:
    """Queue dismissed items again, as ``jobs.retry_items`` does with failed ones.

    :param item_id: only this one.
    :return: the number of items.
    :raise NotFoundError: no such job.
    """
    count = retry_items(session, job_id, DISMISSED, item_id)
    if count:
        _restore_groups(session, job_id)
    return count


def _trash_empty_groups(session: Session, job_id: int, user_id: int | None) -> int:
    used = select(ImportItem.group_id).where(
        ImportItem.job_id == job_id, ImportItem.state == DISMISSED, ImportItem.group_id.is_not(None)
    )
    is_unused = (Group.state != "trash", *_IS_UNTOUCHED, _HAS_NO_OPEN_ITEM)
    ids = session.scalars(
        select(Group.id).where(Group.id.in_(used), *is_unused).order_by(Group.id)
    ).all()
    count = 0
    for batch in make_batches(ids):
        lock_groups(session, batch)
        # Checked again: before the lock another import may have begun to fill one of them.
        unused = select(Group.id, Group.state).where(Group.id.in_(batch), *is_unused)
        states = dict(session.execute(unused).all())
        if not states:
            continue
        now = get_database_time(session)
        session.execute(
            insert(TrashEntry),
            [
                {"group_id": group_id, "state_before": state, "user_id": user_id, "trashed_at": now}
                for group_id, state in states.items()
            ],
        )
        # A group without images is in no count and no search of visitors, so only its state
        # changes. Its version stays, which tells it from groups that a person deleted.
        _set_state(session, states, "trash")
        count += len(states)
    return count


def _restore_groups(session: Session, job_id: int) -> None:
    used = select(ImportItem.group_id).where(
        ImportItem.job_id == job_id, ImportItem.state == "queued", ImportItem.group_id.is_not(None)
    )
    # The state is checked under the lock: another request may just be moving them to the trash.
    ids = session.scalars(
        select(Group.id).where(Group.id.in_(used), *_IS_UNTOUCHED).order_by(Group.id)
    ).all()
    for batch in make_batches(ids):
        lock_groups(session, batch)
        entries = session.execute(
            select(TrashEntry.group_id, TrashEntry.state_before)
            .join(Group, Group.id == TrashEntry.group_id)
            .where(Group.id.in_(batch), Group.state == "trash", *_IS_UNTOUCHED)
        ).all()
        for state in sorted({entry.state_before for entry in entries}):
            _set_state(session, [e.group_id for e in entries if e.state_before == state], state)
        session.execute(
            delete(TrashEntry).where(TrashEntry.group_id.in_([e.group_id for e in entries]))
        )


def _set_state(session: Session, group_ids: Iterable[int], state: str) -> None:
    session.execute(
        update(Group)
        .where(Group.id.in_(list(group_ids)))
        .values(state=state)
        .execution_options(synchronize_session="fetch")
    )
