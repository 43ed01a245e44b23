"""The trash: what was deleted here can be taken back for thirty days.

A group in the trash keeps its number and its words, and its ``state`` is ``trash``; since visitors,
lists and counts ask for published groups, or for groups that are not in the trash, nothing of it is
seen. Shots that were deleted out of a group lie in a group made for them, which remembers where
they came from. So the same file may be imported again meanwhile. A group that was joined into
another one lies here with its words, and remembers which of the other's shots were its own.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, func, select, true, update
from sqlalchemy.orm import Session

from imagehub import database
from imagehub.clients import Clients
from imagehub.database import MAX_ID, get_database_time, run_in_own_transaction
from imagehub.domain.library import groups
from imagehub.domain.library import images as library_images
from imagehub.domain.library.groups import lock_group, refresh_group
from imagehub.domain.objects import bookkeeping
from imagehub.errors import InvalidInputError, NotFoundError
from imagehub.models import Group, Image, ShareItem, TrashEntry

KEPT = timedelta(days=30)
ENTRIES_PER_PAGE = 48
_PURGED_AT_ONCE = 50


@dataclass(frozen=True)
class Trashed:
    """One thing in the trash. ``origin``: the group that the shots came from, where it is there;
    None for a whole group. ``target``: the group that it was joined into, and ``joined_count`` how
    many shots went there. ``ends_at``: when it goes for good."""

    entry: TrashEntry
    group: Group
    origin: Group | None
    target: Group | None = None
    joined_count: int = 0

    @property
    def ends_at(self) -> datetime:
        return self.entry.trashed_at + KEPT


@dataclass(frozen=True)
class Joined:
    """What of a group went into another one, for the way back.

    :param into: the other group's number.
    :param shots: (id of an image, its number, its position) as they were.
    :param shares: links that showed this group and not the other one; they got the other one.
    """

    into: int
    shots: list[tuple[int, int, int]]
    shares: list[int]

    def write(self) -> str:
        return json.dumps(asdict(self))


def _read_joined(text: str | None) -> Joined | None:
    if not text:
        return None
    stored = json.loads(text)
    return Joined(stored["into"], [tuple(one) for one in stored["shots"]], stored["shares"])


# --- Throwing away --------------------------------------------------------------------------------


def trash_groups(session: Session, numbers: Sequence[int], user_id: int | None) -> list[int]:
    """Put groups into the trash; those that are there or gone already are left out.

    :return: the numbers of those that were put there now.
    """
    done = []
    for number in sorted(set(numbers)):
        if not 0 < number <= MAX_ID or not lock_group(session, number):
            continue
        group = session.get_one(Group, number)
        session.refresh(group)
        if group.state == "trash":
            continue
        entry = TrashEntry(
            group_id=group.id,
            state_before=group.state,
            user_id=user_id,
            trashed_at=get_database_time(session),
        )
        session.add(entry)
        group.state = "trash"
        group.version += 1
        _mark_alts(session, group.id, is_trashed=True)
        refresh_group(session, group.id)
        done.append(group.id)
    return done


def trash_images(
    session: Session, group_number: int, numbers: Sequence[int], user_id: int | None
) -> int:
    """Put shots of a group into the trash. Where that are all of them, the group goes itself.

    :return: the number to :func:`restore` them by.
    :raise NotFoundError: the group, or one of the shots, is not there.
    """
    if not 0 < group_number <= MAX_ID or not lock_group(session, group_number):
        raise NotFoundError("group", group_number)
    group = session.get_one(Group, group_number)
    session.refresh(group)
    if group.state == "trash":
        raise NotFoundError("group", group_number)
    wanted = set(numbers)
    if not wanted:
        raise InvalidInputError("Choose shots first.", {"image": "is empty"})
    images = library_images.list_images(session, group.id)
    chosen = [image for image in images if image.number in wanted]
    if len(chosen) != len(wanted):
        raise NotFoundError("image", group_number)
    if len(chosen) == len(images):
        trash_groups(session, [group.id], user_id)
        return group.id
    bag = Group(
        state="trash",
        title=group.title,
        folder_name=group.folder_name,
        sort_key=group.sort_key,
        next_image_number=group.next_image_number,
        created_at=get_database_time(session),
    )
    session.add(bag)
    session.flush()
    session.add(
        TrashEntry(
            group_id=bag.id,
            origin_id=group.id,
            state_before=group.state,
            user_id=user_id,
            trashed_at=get_database_time(session),
        )
    )
    # Their numbers stay theirs, for the way back.
    for image in chosen:
        image.group_id = bag.id
    group.version += 1
    session.flush()
    _mark_alts(session, bag.id, is_trashed=True)
    refresh_group(session, group.id)
    refresh_group(session, bag.id)
    session.expire_all()
    return bag.id


def _mark_alts(session: Session, group_id: int, *, is_trashed: bool) -> None:
    """Nothing is left to do about shots in the trash: the list of those without an alt text would
    have to walk past all of them."""
    has_alt = true() if is_trashed else func.trim(Image.alt) != ""
    session.execute(
        update(Image)
        .where(Image.group_id == group_id)
        .values(has_alt=has_alt, updated_at=Image.updated_at)
        .execution_options(synchronize_session="fetch")
    )


# --- Looking --------------------------------------------------------------------------------------


def list_trash(
    session: Session, before: str = "", limit: int = ENTRIES_PER_PAGE
) -> tuple[list[Trashed], str]:
    """A page of the trash from new to old, and the key of the page that follows ("" at the end).

    :param before: such a key.
    :raise InvalidInputError: it is none.
    """
    # Not joined: SQLite could begin with the groups, and walk through all of the library.
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
    joins = {entry.group_id: _read_joined(entry.joined) for entry in entries}
    ids = {entry.group_id for entry in entries} | {entry.origin_id or 0 for entry in entries}
    ids |= {joined.into for joined in joins.values() if joined is not None}
    groups = {
        group.id: group
        for batch in database.make_batches(ids)
        for group in session.scalars(select(Group).where(Group.id.in_(batch)))
    }
    listed = []
    for entry in entries[:limit]:
        joined = joins[entry.group_id]
        listed.append(
            Trashed(
                entry,
                groups[entry.group_id],
                groups.get(entry.origin_id or 0),
                groups.get(joined.into) if joined is not None else None,
                len(joined.shots) if joined is not None else 0,
            )
        )
    following = ""
    if len(entries) > limit:
        last = listed[-1].entry
        following = f"{last.trashed_at.isoformat()}_{last.group_id}"
    return listed, following


def _read_key(text: str) -> tuple[datetime, int]:
    moment, _, number = text.rpartition("_")
    try:
        parsed = datetime.fromisoformat(moment), int(number)
        if parsed[0].tzinfo is None or not 0 <= parsed[1] <= MAX_ID:
            raise ValueError
    except ValueError:
        raise InvalidInputError("There is no such page.", {"before": "unknown"}) from None
    return parsed


# --- Taking back ----------------------------------------------------------------------------------


def restore(session: Session, number: int) -> tuple[Group, list[str]]:
    """Take a group, or shots, out of the trash. The caller commits.

    Shots go back into their group under their old numbers. A file that was imported again meanwhile
    is in the group already: the newer import stays, and gets the old one's words where it has none.
    Where the group is gone or in the trash itself, they become a group of their own. A group that
    was joined into another one gets those of its shots back that are still there.

    :return: the group to look at, and keys to hand to ``storage.leave_unused`` after the commit.
    :raise NotFoundError: it is not in the trash (any more).
    """
    # Not as an entry yet: whoever takes it back at the same moment may delete it before the locks
    # are held.
    found = (
        session.execute(
            select(TrashEntry.origin_id, TrashEntry.joined).where(TrashEntry.group_id == number)
        ).one_or_none()
        if 0 < number <= MAX_ID
        else None
    )
    if found is None:
        raise NotFoundError("thing in the trash", number)
    joined = _read_joined(found.joined)
    # In the order of their numbers, so that no two wait for each other.
    other = joined.into if joined is not None else found.origin_id
    for one in sorted({number, other or number}):
        lock_group(session, one)
    entry = session.get(TrashEntry, number, populate_existing=True)
    if entry is None:
        raise NotFoundError("thing in the trash", number)
    bag = session.get_one(Group, number)
    session.refresh(bag)
    origin = session.get(Group, entry.origin_id) if entry.origin_id else None
    if origin is not None:
        session.refresh(origin)
    if joined is not None:
        _part(session, bag, joined)
    if origin is None or origin.state == "trash":
        bag.state = entry.state_before
        bag.version += 1
        session.delete(entry)
        session.flush()
        _mark_alts(session, bag.id, is_trashed=False)
        refresh_group(session, bag.id)
        return bag, []
    _put_back(session, bag, origin)
    origin.version += 1
    refresh_group(session, origin.id)
    # What remains in it are files that came in anew; they go with it.
    keys = _delete(session, [bag.id])
    return session.get_one(Group, origin.id), keys


def _part(session: Session, bag: Group, joined: Joined) -> None:
    """Give a group back what went into another one."""
    target = session.get(Group, joined.into)
    if target is None:
        return
    session.refresh(target)
    places = {image_id: place for image_id, *place in joined.shots}
    for batch in database.make_batches(places):
        for image in session.scalars(
            select(Image).where(Image.id.in_(batch), Image.group_id == target.id)
        ):
            image.group_id = bag.id
            image.number, image.position = places[image.id]
    for shares in database.make_batches(joined.shares):
        session.execute(
            delete(ShareItem).where(ShareItem.group_id == target.id, ShareItem.share_id.in_(shares))
        )
    target.version += 1
    session.flush()
    session.expire_all()
    refresh_group(session, target.id)


def _put_back(session: Session, bag: Group, origin: Group) -> None:
    there = {
        (image.drive_account_id, image.drive_item_id): image
        for image in library_images.list_images(session, origin.id)
    }
    for image in library_images.list_images(session, bag.id):
        twin = there.get((image.drive_account_id, image.drive_item_id))
        if twin is None:
            image.group_id = origin.id
            continue
        if not twin.alt.strip():
            twin.alt = image.alt
        if not twin.role:
            twin.role = image.role
    session.flush()
    _mark_alts(session, origin.id, is_trashed=False)
    session.expire_all()


# --- For good -------------------------------------------------------------------------------------


def purge(session: Session, numbers: Sequence[int]) -> tuple[list[int], list[str]]:
    """Delete things in the trash for good; what is not in it is left alone. The caller commits.

    :return: what went, and the keys that it used; after the commit, hand these to
        ``storage.leave_unused``, or to ``delete_unused`` where nobody waits.
    """
    doomed = []
    for number in sorted(set(numbers)):
        if 0 < number <= MAX_ID and lock_group(session, number):
            group = session.get_one(Group, number)
            session.refresh(group)
            if group.state == "trash" and session.get(TrashEntry, number) is not None:
                doomed.append(number)
    return doomed, _delete(session, doomed)


def _delete(session: Session, numbers: Sequence[int]) -> list[str]:
    session.flush()
    keys: set[str] = set()
    for number in numbers:
        ids = session.scalars(select(Image.id).where(Image.group_id == number)).all()
        keys.update(library_images.delete_images(session, ids))
        session.execute(delete(TrashEntry).where(TrashEntry.group_id == number))
        groups.delete_group(session, session.get_one(Group, number))
    session.expire_all()
    return sorted(keys)


def purge_expired(session: Session, clients: Clients) -> int:
    """Delete for good what has lain in the trash for its time. Commits on its own.

    :param session: holds no uncommitted change.
    :return: how many things went.
    """
    count = 0
    while True:
        numbers, keys = run_in_own_transaction(session, _purge_some)
        if not numbers:
            return count
        count += len(numbers)
        bookkeeping.delete_unused(session, clients, keys)


def _purge_some(own: Session) -> tuple[list[int], list[str]]:
    numbers = list(
        own.scalars(
            select(TrashEntry.group_id)
            .where(TrashEntry.trashed_at < get_database_time(own) - KEPT)
            .order_by(TrashEntry.trashed_at)
            .limit(_PURGED_AT_ONCE)
        )
    )
    return numbers, purge(own, numbers)[1] if numbers else []
