"""Count the groups that visitors see, in buckets of the sort key (see ``GalleryBucket``).

The counts let the n-th page of a million groups cost what the first page of a hundred does.
"""

from sqlalchemy import ColumnElement, func, select, true, update
from sqlalchemy.dialects import mysql, sqlite
from sqlalchemy.orm import Session

from imagehub.database import count_rows
from imagehub.models import GalleryBucket, Group

BUCKET_SHIFT = 30


def count_shown_groups(session: Session) -> int:
    """Count the groups that visitors see."""
    return int(session.scalar(select(func.coalesce(func.sum(GalleryBucket.shown_count), 0))) or 0)


def recount_gallery(session: Session) -> int:
    """Recompute the counts of all buckets from the groups.

    :return: how many buckets were wrong.
    """
    bucket: ColumnElement[int] = Group.sort_key.op(">>")(BUCKET_SHIFT)
    true_counts = {
        int(row[0]): int(row[1])
        for row in session.execute(
            select(bucket, func.count()).where(Group.is_shown == true()).group_by(bucket)
        )
    }
    stored = {row.bucket: row for row in session.scalars(select(GalleryBucket).with_for_update())}
    wrong = 0
    for number in stored.keys() | true_counts.keys():
        count = true_counts.get(number, 0)
        row = stored.get(number)
        if row is None:
            session.add(GalleryBucket(bucket=number, shown_count=count))
            wrong += 1
        elif row.shown_count != count:
            row.shown_count = count
            wrong += 1
    session.flush()
    return wrong


def set_shown(session: Session, group: Group, is_shown: bool) -> None:
    """Show a group to visitors or hide it, and count it; its row must be locked."""
    if bool(group.is_shown) == is_shown:
        return
    group.is_shown = is_shown
    _add_to_bucket(session, group.sort_key >> BUCKET_SHIFT, 1 if is_shown else -1)


def _add_to_bucket(session: Session, bucket: int, change: int) -> None:
    """Add to a bucket's count atomically, whether or not its row exists."""
    change_count = (
        update(GalleryBucket)
        .where(GalleryBucket.bucket == bucket)
        .values(shown_count=GalleryBucket.shown_count + change)
    )
    if count_rows(session, change_count):
        return
    values = {"bucket": bucket, "shown_count": change}
    if session.get_bind().dialect.name == "sqlite":
        upsert = sqlite.insert(GalleryBucket).values(**values)
        session.execute(
            upsert.on_conflict_do_update(
                index_elements=["bucket"], set_={"shown_count": GalleryBucket.shown_count + change}
            )
        )
    else:
        insert = mysql.insert(GalleryBucket).values(**values)
        session.execute(
            insert.on_duplicate_key_update(shown_count=GalleryBucket.shown_count + change)
        )
