"""The trash: deleted groups and shots can be restored for 30 days.

A group in the trash keeps its number and its fields; its ``state`` is ``trash``, so that no page
shows it. Deleted shots of a group are moved to a group made for them, whose entry names the group
that they came from; their files can be imported again meanwhile. A group that was joined into
another one is in the trash with its fields, and its entry lists the shots that were moved.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

from sqlalchemy import delete, func, insert, select, true, update
from sqlalchemy.orm import Session

from imagehub.database import (
    MAX_ID,
    get_database_time,
    make_batches,
    own_transaction,
    write_changes,
)
from imagehub.domain.library import images as library_images
from imagehub.domain.library.groups import (
    GROUPS_AT_ONCE,
    delete_group,
    find_locked_group,
    find_locked_groups,
    get_locked_group,
    refresh_group,
    refresh_groups,
)
from imagehub.domain.library.series_members import remove_member
from imagehub.domain.objects import bookkeeping
from imagehub.errors import InvalidInputError, NotFoundError
from imagehub.models import Group, Image, ShareItem, TrashEntry

KEPT = timedelta(days=30)
ENTRIES_PER_PAGE = 48
_PURGED_AT_ONCE = 50


@dataclass(frozen=True)
class Trashed:
    """An entry of the trash.

    :param origin: the group that the shots came from, if it still exists; None for a whole group.
    :param target: the group that this one was joined into, if it still exists.
    :param joined_count: how many shots were moved there.
    """

    entry: TrashEntry
    group: Group
    origin: Group | None
    target: Group | None = None
    joined_count: int = 0

    @property
    def ends_at(self) -> datetime:
        """When the entry is deleted permanently."""
        return self.entry.trashed_at + KEPT


@dataclass(frozen=True)
class Joined:
    """What was moved from a group to the one it was joined into, to restore it from.

    :param into: the other group's number; 0 for a group that was not joined.
    :param shots: (id, number, position) of each image before it was moved.
    :param shares: ids of the share links that the other group was added to.
    :param series: those of the series.
    """

    into: int = 0
    shots: Sequence[tuple[int, int, int]] = ()
    shares: Sequence[int] = ()
    series: Sequence[int] = ()

    def write(self) -> str:
        return json.dumps(asdict(self))


def _read_joined(text: str | None) -> Joined:
    return Joined(**json.loads(text or "{}"))


# --- Deleting -------------------------------------------------------------------------------------


def trash_groups(session: Session, numbers: Sequence[int], user_id: int | None) -> list[int]:
    """Move groups to the trash.

    :return: the numbers of the groups that were moved; others are in the trash or do not exist.
    """
    groups = [one for one in find_locked_groups(session, numbers) if one.state != "trash"]
    for batch in make_batches(groups, GROUPS_AT_ONCE):
        moment = get_database_time(session)
        session.execute(
            insert(TrashEntry),
            [_make_entry(group.id, group.state, user_id, moment) for group in batch],
        )
        for group in batch:
            group.state = "trash"
            group.version += 1
        write_changes(session, batch, "version")
        ids = [group.id for group in batch]
        _mark_alts(session, ids, is_trashed=True)
        refresh_groups(session, ids)
    return [group.id for group in groups]


def trash_images(
    session: Session, group_number: int, numbers: Sequence[int], user_id: int | None
) -> int:
    """Move shots of a group to the trash; if they are all of its shots, the group itself.

    :return: the number to :func:`restore` them by.
    :raise InvalidInputError: no shot is named.
    :raise NotFoundError: there is no such group or shot.
    """
    group = get_locked_group(session, group_number)
    selected = library_images.get_images(session, group.id, numbers)
    if len(selected) == len(library_images.list_images(session, group.id)):
        trash_groups(session, [group.id], user_id)
        return group.id
    bag = Group(
        state="trash",
        title=group.title,
        folder_name=group.folder_name,
        # They may become a work of their own.
        creator=group.creator,
        copyright_notice=group.copyright_notice,
        license_url=group.license_url,
        tiles=group.tiles,
        sort_key=group.sort_key,
        next_image_number=group.next_image_number,
        created_at=get_database_time(session),
    )
    session.add(bag)
    session.flush()
    entry = _make_entry(bag.id, group.state, user_id, get_database_time(session))
    session.execute(insert(TrashEntry), [{**entry, "origin_id": group.id}])
    # They keep their numbers, to be restored with them.
    for image in selected:
        image.group_id = bag.id
    group.version += 1
    library_images.note_moved(session, selected)
    _mark_alts(session, [bag.id], is_trashed=True)
    refresh_groups(session, [group.id, bag.id])
    session.expire_all()
    return bag.id


def _make_entry(number: int, state: str, user_id: int | None, moment: datetime) -> dict[str, Any]:
    """Return the row of a ``TrashEntry`` of a whole group."""
    return {"group_id": number, "state_before": state, "user_id": user_id, "trashed_at": moment}


def _mark_alts(session: Session, group_ids: Sequence[int], *, is_trashed: bool) -> None:
    """Set ``has_alt`` of the images of groups; in the trash all have one.

    The list of images without an alt text would otherwise read those in the trash.
    """
    has_alt = true() if is_trashed else func.trim(Image.alt) != ""
    session.execute(
        update(Image)
        .where(Image.group_id.in_(group_ids))
        .values(has_alt=has_alt, updated_at=Image.updated_at)
        .execution_options(synchronize_session="fetch")
    )


# --- Listing --------------------------------------------------------------------------------------


def list_trash(
    session: Session, before: str = "", limit: int = ENTRIES_PER_PAGE
) -> tuple[list[Trashed], str]:
    """List a page of the trash, newest entries first.

    :param before: the key of the page; "" for the first one.
    :return: the entries, and the key of the next page; "" at the end.
    :raise InvalidInputError: there is no such key.
    """
    # No join with the groups: SQLite could read those first, which are the whole library.
    query = (
        select(TrashEntry)
        .order_by(TrashEntry.trashed_at.desc(), TrashEntry.group_id.desc())
        .limit(limit + 1)
    )
    if before:
        moment, number = _read_key(before)
        query = query.where(
            (TrashEntry.trashed_at < moment)
            | ((TrashEntry.trashed_at == moment) & (TrashEntry.group_id < number))
        )
    entries = session.scalars(query).all()
    shown = [(entry, _read_joined(entry.joined)) for entry in entries[:limit]]
    ids = {
        number
        for entry, joined in shown
        for number in (entry.group_id, entry.origin_id or 0, joined.into)
    }
    groups = {one.id: one for one in session.scalars(select(Group).where(Group.id.in_(ids)))}
    listed = [
        Trashed(
            entry,
            groups[entry.group_id],
            groups.get(entry.origin_id or 0),
            groups.get(joined.into),
            len(joined.shots),
        )
        for entry, joined in shown
    ]
    if len(entries) <= limit:
        return listed, ""
    last = listed[-1].entry
    return listed, f"{last.trashed_at.isoformat()}_{last.group_id}"


def _read_key(text: str) -> tuple[datetime, int]:
    moment, _, number = text.rpartition("_")
    try:
        parsed = datetime.fromisoformat(moment), int(number)
        if parsed[0].tzinfo is None or not 0 <= parsed[1] <= MAX_ID:
            raise ValueError
    except ValueError:
        raise InvalidInputError("There is no such page.", {"before": "unknown"}) from None
    return parsed


# --- Restoring ------------------------------------------------------------------------------------


def restore(session: Session, number: int) -> Group:
    """Restore a group, or shots, from the trash.

    Shots return to their group with their old numbers. If a file was imported again meanwhile, the
    newer image stays and takes over alt text and role where it has none. If the group no longer
    exists or is in the trash itself, the shots become a group of their own. A group that was joined
    into another one gets back those of its shots that are still there.

    :return: the group that holds the restored shots.
    :raise NotFoundError: there is no such entry (any more).
    """
    # Only columns are read here: a concurrent restore may delete the entry before it is locked.
    found = session.execute(
        select(TrashEntry.origin_id, TrashEntry.joined).where(TrashEntry.group_id == number)
    ).one_or_none()
    if found is None:
        raise NotFoundError("thing in the trash", number)
    joined = _read_joined(found.joined)
    # In ascending order, to avoid deadlocks.
    numbers = sorted({number, joined.into or found.origin_id or number})
    locked = {one: find_locked_group(session, one) for one in numbers}
    bag, target = locked[number], locked.get(joined.into)
    entry = session.get(TrashEntry, number, populate_existing=True)
    if bag is None or entry is None:
        raise NotFoundError("thing in the trash", number)
    origin = locked.get(entry.origin_id or 0)
    if target is not None:
        _take_out(session, bag, target, joined)
    if origin is None or origin.state == "trash":
        _revive(session, {bag: entry.state_before})
        return bag
    _put_back(session, bag, origin)
    origin.version += 1
    refresh_group(session, origin.id)
    # The images that are left in it have been imported again.
    _delete(session, [bag.id])
    return session.get_one(Group, origin.id)


def restore_all(session: Session, numbers: Iterable[int]) -> list[Group]:
    """Restore several entries; those that are no longer in the trash are left out.

    :return: the groups that hold what was restored.
    :raise NotFoundError: none of the entries is in the trash.
    """
    wanted = list(dict.fromkeys(numbers))
    whole: set[int] = set()
    for ids in make_batches(wanted):
        entries = select(TrashEntry.group_id, TrashEntry.origin_id, TrashEntry.joined)
        for row in session.execute(entries.where(TrashEntry.group_id.in_(ids))):
            if row.origin_id is None and not _read_joined(row.joined).into:
                whole.add(row.group_id)
    restored = []
    # In the order given: what becomes of shots depends on whether their group is back.
    for is_whole, some in groupby(wanted, whole.__contains__):
        if is_whole:
            restored += _restore_whole(session, list(some))
            continue
        for number in some:
            with suppress(NotFoundError):
                restored.append(restore(session, number))
    if not restored:
        raise NotFoundError("thing in the trash", "")
    return restored


def _restore_whole(session: Session, numbers: Sequence[int]) -> list[Group]:
    """Restore groups that were moved to the trash as such; return those that are still there."""
    locked = {group.id: group for group in find_locked_groups(session, numbers)}
    states: dict[Group, str] = {}
    for ids in make_batches(number for number in numbers if number in locked):
        entries = select(TrashEntry.group_id, TrashEntry.state_before)
        found = session.execute(entries.where(TrashEntry.group_id.in_(ids)))
        before = {row.group_id: row.state_before for row in found}
        states |= {locked[number]: before[number] for number in ids if number in before}
    _revive(session, states)
    return list(states)


def _revive(session: Session, states: Mapping[Group, str]) -> None:
    """Give groups of the trash their states; they must be locked."""
    for batch in make_batches(states, GROUPS_AT_ONCE):
        for group in batch:
            group.state = states[group]
            group.version += 1
        write_changes(session, batch, "version")
        ids = [group.id for group in batch]
        session.execute(delete(TrashEntry).where(TrashEntry.group_id.in_(ids)))
        _mark_alts(session, ids, is_trashed=False)
        refresh_groups(session, ids)


def _take_out(session: Session, bag: Group, target: Group, joined: Joined) -> None:
    """Move a group's shots back from the group that it was joined into."""
    places = {image_id: place for image_id, *place in joined.shots}
    for batch in make_batches(places):
        images = session.scalars(
            select(Image).where(Image.id.in_(batch), Image.group_id == target.id)
        ).all()
        for image in images:
            image.group_id = bag.id
            image.number, image.position = places[image.id]
        library_images.note_moved(session, images)
    for shares in make_batches(joined.shares):
        session.execute(
            delete(ShareItem).where(ShareItem.group_id == target.id, ShareItem.share_id.in_(shares))
        )
    for series_id in sorted(joined.series):
        with suppress(NotFoundError):  # It was deleted, or the group was removed from it.
            remove_member(session, series_id, target.id)
    target.version += 1
    session.flush()
    session.expire_all()
    refresh_group(session, target.id)


def _put_back(session: Session, bag: Group, origin: Group) -> None:
    there = {
        (image.drive_account_id, image.drive_item_id): image
        for image in library_images.list_images(session, origin.id)
        if image.drive_item_id
    }
    images = library_images.list_images(session, bag.id)
    for image in images:
        twin = there.get((image.drive_account_id, image.drive_item_id))
        if twin is None:
            image.group_id = origin.id
        else:
            twin.alt = twin.alt if twin.alt.strip() else image.alt
            twin.role = twin.role or image.role
    library_images.note_moved(session, images)
    _mark_alts(session, [origin.id], is_trashed=False)
    session.expire_all()


# --- Deleting permanently -------------------------------------------------------------------------


def purge(session: Session, numbers: Sequence[int]) -> tuple[list[int], int]:
    """Delete entries of the trash permanently; numbers that are not in it are ignored.

    :return: the numbers of the deleted entries, and how many objects the worker will delete now.
    """
    doomed = []
    for number in sorted(set(numbers)):
        group = find_locked_group(session, number)
        is_trashed = group is not None and group.state == "trash"
        if is_trashed and session.get(TrashEntry, number) is not None:
            doomed.append(number)
    return doomed, _delete(session, doomed)


def _delete(session: Session, numbers: Sequence[int]) -> int:
    session.flush()
    keys: set[str] = set()
    for number in numbers:
        ids = session.scalars(select(Image.id).where(Image.group_id == number)).all()
        keys.update(library_images.delete_images(session, ids))
        session.execute(delete(TrashEntry).where(TrashEntry.group_id == number))
        delete_group(session, session.get_one(Group, number))
    session.expire_all()
    return bookkeeping.leave_unused(session, sorted(keys))


def purge_expired(session: Session) -> int:
    """Delete the entries that have been in the trash for 30 days. Commits on its own.

    :return: how many entries were deleted.
    """
    count = 0
    while purged := _purge_some(session):
        count += purged
    return count


@own_transaction
def _purge_some(session: Session) -> int:
    expired = (
        select(TrashEntry.group_id)
        .where(TrashEntry.trashed_at < get_database_time(session) - KEPT)
        .order_by(TrashEntry.trashed_at)
        .limit(_PURGED_AT_ONCE)
    )
    return len(purge(session, session.scalars(expired).all())[0])
