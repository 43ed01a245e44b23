"""Find, lock, refresh and delete groups, and count those that visitors see.

The counts are kept in buckets of the sort key (see ``GalleryBucket``), so that the n-th page of a
million groups costs what the first page of a hundred does.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy import ColumnElement, case, delete, func, select, true, update
from sqlalchemy.dialects import mysql, sqlite
from sqlalchemy.orm import Session

from imagehub.database import MAX_ID, count_rows, make_batches, write_changes
from imagehub.domain.library.facet_index import forget_facets, refresh_facets
from imagehub.domain.library.likeness_index import refresh_likeness
from imagehub.domain.library.search_index import forget_group, refresh_search
from imagehub.domain.library.series_counts import forget_group_in_series, note_shown
from imagehub.errors import NotFoundError
from imagehub.messages import Message
from imagehub.models import GalleryBucket, Group, Image

# The states of groups that are not in the trash.
LIVING_STATES = ("published", "draft")
BUCKET_SHIFT = 30
# All texts of so many groups are in memory at once.
GROUPS_AT_ONCE = 200


def name_group(number: int, title: str) -> str:
    """Return a group's title for the admin pages; an untitled group is named by its number."""
    return title.strip() or Message("Untitled %(number)s", number=number)


def get_group(session: Session, number: int) -> Group:
    """Find a group that is not in the trash.

    :raise NotFoundError: there is no such group.
    """
    group = session.get(Group, number) if 0 < number <= MAX_ID else None
    if group is None or group.state == "trash":
        raise NotFoundError("group", number)
    return group


def lock_groups(session: Session, group_ids: Sequence[int]) -> int:
    """Lock the rows of groups until the transaction ends; return how many exist.

    An update that changes nothing locks them on both databases: SQLite has no FOR UPDATE, and a
    transaction there should write before it reads.

    :param group_ids: ascending, so that two requests cannot deadlock.
    """
    lock = (
        update(Group)
        .where(Group.id.in_(group_ids))
        .values(next_image_number=Group.next_image_number, updated_at=Group.updated_at)
    )
    return count_rows(session, lock)


def lock_group(session: Session, group_id: int) -> bool:
    """Lock a group as :func:`lock_groups`; tell whether it exists."""
    return lock_groups(session, [group_id]) > 0


def find_locked_group(session: Session, number: int) -> Group | None:
    """Lock a group until the transaction ends, and read its current row, in the trash or not."""
    if not 0 < number <= MAX_ID or not lock_group(session, number):
        return None
    return session.get_one(Group, number, populate_existing=True)


def get_locked_group(session: Session, number: int) -> Group:
    """Lock a group that is not in the trash, and read its current row.

    :raise NotFoundError: there is no such group.
    """
    group = find_locked_group(session, number)
    if group is None or group.state == "trash":
        raise NotFoundError("group", number)
    return group


def find_locked_groups(session: Session, numbers: Iterable[int]) -> list[Group]:
    """Lock groups as :func:`find_locked_group`; return those that exist, in ascending order."""
    found: list[Group] = []
    for ids in make_batches(sorted({number for number in numbers if 0 < number <= MAX_ID})):
        lock_groups(session, ids)
        current = select(Group).where(Group.id.in_(ids)).order_by(Group.id)
        found += session.scalars(current.execution_options(populate_existing=True))
    return found


def get_locked_groups(session: Session, numbers: Iterable[int]) -> list[Group]:
    """Lock groups as :func:`get_locked_group`, in ascending order.

    :raise NotFoundError: one of them does not exist, or is in the trash.
    """
    wanted = sorted(set(numbers))
    living = {one.id: one for one in find_locked_groups(session, wanted) if one.state != "trash"}
    for number in wanted:
        if number not in living:
            raise NotFoundError("group", number)
    return list(living.values())


def refresh_group(session: Session, group_id: int) -> None:
    """Update a group's derived columns: :func:`refresh_groups` for one group."""
    refresh_groups(session, [group_id])


def refresh_groups(session: Session, group_ids: Iterable[int]) -> None:
    """Update the derived columns of groups after their images or states changed.

    Writes ``image_count``, ``cover_id``, ``is_shown``, the count of shown groups, the search index
    and the index of filters. Locks the groups' rows first, so that concurrent changes are counted
    one after the other. Ids without a group are ignored. Safe to run twice.
    """
    for ids in make_batches(sorted(set(group_ids)), GROUPS_AT_ONCE):
        session.flush()
        groups = session.scalars(
            select(Group)
            .where(Group.id.in_(ids))
            .order_by(Group.id)
            .with_for_update()
            .execution_options(populate_existing=True)
        ).all()
        counts, first_ids, chosen_ids = _read_images(session, ids)
        changes: Counter[int] = Counter()
        for group in groups:
            chosen = group.chosen_cover_id if group.chosen_cover_id in chosen_ids else None
            group.image_count = counts.get(group.id, 0)
            group.cover_id = chosen or first_ids.get(group.id)
            is_shown = group.state == "published" and group.cover_id is not None
            if bool(group.is_shown) != is_shown:
                group.is_shown = is_shown
                changes[group.sort_key >> BUCKET_SHIFT] += 1 if is_shown else -1
        write_changes(session, groups)
        _add_to_buckets(session, changes)
        if changes:
            note_shown(session, [group.id for group in groups])
        refresh_search(session, [group.id for group in groups])
        refresh_likeness(session, [group.id for group in groups])
        refresh_facets(session, [group.id for group in groups])


def _read_images(
    session: Session, group_ids: Sequence[int]
) -> tuple[dict[int, int], dict[int, int], set[int]]:
    """Return the number of images and the first image of each group, and all chosen covers."""
    place = func.row_number().over(
        partition_by=Image.group_id, order_by=(Image.position, Image.number)
    )
    placed = (
        select(Image.id, Image.group_id, place.label("place"))
        .where(Image.group_id.in_(group_ids))
        .subquery()
    )
    count = select(Image.group_id, func.count()).where(Image.group_id.in_(group_ids))
    counts = {row[0]: row[1] for row in session.execute(count.group_by(Image.group_id))}
    first = select(placed.c.group_id, placed.c.id).where(placed.c.place == 1)
    first_ids = {row[0]: row[1] for row in session.execute(first)}
    is_chosen = (Image.id == Group.chosen_cover_id) & (Image.group_id == Group.id)
    chosen = select(Image.id).join(Group, is_chosen).where(Group.id.in_(group_ids))
    return counts, first_ids, set(session.scalars(chosen))


def delete_group(session: Session, group: Group) -> None:
    """Delete a group's row with its images, and take it out of the counts and the index."""
    set_shown(session, group, False)
    session.flush()
    forget_group(session, group.id)
    forget_facets(session, group.id)
    forget_group_in_series(session, group.id)
    session.execute(delete(Group).where(Group.id == group.id))
    session.expunge(group)


# --- Counts of shown groups -----------------------------------------------------------------------


def count_shown_groups(session: Session) -> int:
    """Count the groups that visitors see."""
    return int(session.scalar(select(func.coalesce(func.sum(GalleryBucket.shown_count), 0))) or 0)


def list_shown(session: Session, numbers: Sequence[int], limit: int) -> Sequence[int]:
    """List those of some groups that visitors see, at most ``limit``."""
    shown = select(Group.id).where(Group.id.in_(numbers), Group.is_shown == true())
    return session.scalars(shown.limit(limit)).all()


def recount_gallery(session: Session) -> int:
    """Recompute the counts of all buckets from the groups.

    :return: how many buckets were wrong.
    """
    bucket: ColumnElement[int] = Group.sort_key.op(">>")(BUCKET_SHIFT)
    shown = select(bucket, func.count()).where(Group.is_shown == true()).group_by(bucket)
    counts = {int(number): count for number, count in session.execute(shown)}
    stored = {row.bucket: row for row in session.scalars(select(GalleryBucket).with_for_update())}
    wrong = [
        number
        for number in stored.keys() | counts.keys()
        if number not in stored or stored[number].shown_count != counts.get(number, 0)
    ]
    for number in wrong:
        session.merge(GalleryBucket(bucket=number, shown_count=counts.get(number, 0)))
    session.flush()
    return len(wrong)


def set_shown(session: Session, group: Group, is_shown: bool) -> None:
    """Show a group to visitors or hide it, and count it; its row must be locked."""
    if bool(group.is_shown) == is_shown:
        return
    group.is_shown = is_shown
    _add_to_buckets(session, {group.sort_key >> BUCKET_SHIFT: 1 if is_shown else -1})


def _add_to_buckets(session: Session, changes: Mapping[int, int]) -> None:
    """Add to the counts of buckets atomically, whether or not their rows exist."""
    for buckets in make_batches(sorted(changes)):
        is_one = GalleryBucket.bucket.in_(buckets)
        # No bucket is ever deleted.
        known = set(session.scalars(select(GalleryBucket.bucket).where(is_one)))
        for bucket in buckets:
            if bucket not in known:
                _insert_bucket(session, bucket, changes[bucket])
        if known:
            change = case({one: changes[one] for one in known}, value=GalleryBucket.bucket)
            totals = update(GalleryBucket).where(GalleryBucket.bucket.in_(sorted(known)))
            count_rows(session, totals.values(shown_count=GalleryBucket.shown_count + change))


def _insert_bucket(session: Session, bucket: int, change: int) -> None:
    """Insert a bucket, or add to its count if another request inserts it at this moment."""
    total = {"shown_count": GalleryBucket.shown_count + change}
    values = {"bucket": bucket, "shown_count": change}
    if session.get_bind().dialect.name == "sqlite":
        upsert = sqlite.insert(GalleryBucket).values(values)
        session.execute(upsert.on_conflict_do_update(index_elements=["bucket"], set_=total))
    else:
        insert = mysql.insert(GalleryBucket).values(values)
        session.execute(insert.on_duplicate_key_update(total))
