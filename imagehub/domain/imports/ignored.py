"""Failed files of an import that a person lets be: they ask for nothing any more.

Why they failed stays with them, and they can be tried again. A group that an import made, that got
no picture and that nobody has touched since goes into the trash with the last of its failed files;
it comes back, as it was, when one of them is tried again.

Locks go item, then group, like those of the worker.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import delete, exists, insert, select, update
from sqlalchemy.orm import Session

from imagehub.database import count_rows, get_database_time, make_batches
from imagehub.domain.imports.jobs import LEFT_OUT, OPEN_STATES, get_job, retry_items
from imagehub.models import Group, GroupTag, Image, ImportItem, TrashEntry

# What the import wrote is all that there is: a title out of the folder's or the files' names. Each
# edit by a person raises the version, the way into the trash and out of it by hand too.
_IS_UNTOUCHED = (
    Group.version == 1,
    Group.image_count == 0,
    Group.text == "",
    Group.medium == "",
    Group.dimensions == "",
    Group.year == "",
    Group.edition == "",
    Group.availability == "",
    ~exists().where(GroupTag.group_id == Group.id),
    ~exists().where(Image.group_id == Group.id),
)
_ASKS_FOR_NOTHING = ~exists().where(
    ImportItem.group_id == Group.id, ImportItem.state.in_((*OPEN_STATES, "failed"))
)


@dataclass(frozen=True)
class LeftOut:
    """How many items were let be, and how many empty groups went into the trash with them."""

    item_count: int
    group_count: int


def leave_out(
    session: Session, job_id: int, user_id: int | None, item_id: int | None = None
) -> LeftOut:
    """Let an import's failed items be; those that are tried again meanwhile stay as they are.

    The caller commits. Doing it twice does nothing more.

    :param item_id: this one alone.
    :raise NotFoundError: no such job.
    """
    get_job(session, job_id)
    failed = update(ImportItem).where(ImportItem.job_id == job_id, ImportItem.state == "failed")
    if item_id is not None:
        failed = failed.where(ImportItem.id == item_id)
    count = count_rows(session, failed.values(state=LEFT_OUT))
    return LeftOut(count, _trash_empty_groups(session, job_id, user_id) if count else 0)


def retry_left_out(session: Session, job_id: int, item_id: int | None = None) -> int:
    """Queue items again that were let be, as ``importing.retry_items`` does with failed ones.

    :param item_id: this one alone.
    :return: how many there were.
    :raise NotFoundError: no such job.
    """
    count = retry_items(session, job_id, LEFT_OUT, item_id)
    if count:
        _take_groups_back(session, job_id)
    return count


def _trash_empty_groups(session: Session, job_id: int, user_id: int | None) -> int:
    used = select(ImportItem.group_id).where(
        ImportItem.job_id == job_id, ImportItem.state == LEFT_OUT, ImportItem.group_id.is_not(None)
    )
    is_forgotten = (Group.state != "trash", *_IS_UNTOUCHED, _ASKS_FOR_NOTHING)
    ids = session.scalars(
        select(Group.id).where(Group.id.in_(used), *is_forgotten).order_by(Group.id)
    ).all()
    count = 0
    for batch in make_batches(ids):
        _lock_groups(session, batch)
        # Looked at again: before the lock another import may have begun to fill one of them.
        states = dict(
            session.execute(
                select(Group.id, Group.state).where(Group.id.in_(batch), *is_forgotten)
            ).all()
        )
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
        # A group without images is in no count and no visitor's search: its state is all to change.
        # Its version stays, which tells it from what a person put there.
        _set_state(session, states, "trash")
        count += len(states)
    return count


def _take_groups_back(session: Session, job_id: int) -> None:
    used = select(ImportItem.group_id).where(
        ImportItem.job_id == job_id, ImportItem.state == "queued", ImportItem.group_id.is_not(None)
    )
    # The state is asked for under the lock alone: somebody may just be putting them there.
    ids = session.scalars(
        select(Group.id).where(Group.id.in_(used), *_IS_UNTOUCHED).order_by(Group.id)
    ).all()
    for batch in make_batches(ids):
        _lock_groups(session, batch)
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


def _lock_groups(session: Session, group_ids: Sequence[int]) -> None:
    """Hold groups' rows until the transaction ends, by a change that changes nothing.

    :param group_ids: ascending.
    """
    session.execute(
        update(Group)
        .where(Group.id.in_(group_ids))
        .values(next_image_number=Group.next_image_number, updated_at=Group.updated_at)
        .execution_options(synchronize_session=False)
    )


def _set_state(session: Session, group_ids: Iterable[int], state: str) -> None:
    session.execute(
        update(Group)
        .where(Group.id.in_(list(group_ids)))
        .values(state=state)
        .execution_options(synchronize_session="fetch")
    )
