"""The derived columns of many groups."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from imagehub.domain.library import groups, images
from imagehub.models import GalleryBucket, Group, Image
from tests.fixtures.database import count_statements
from tests.fixtures.site import Site

COUNT = 60


def test_images_of_many_groups_are_deleted_in_few_statements(either_site: Site) -> None:
    for _ in range(COUNT):
        either_site.add_group()
    with either_site.session() as session:
        ids = session.scalars(select(Image.id)).all()
        assert groups.count_shown_groups(session) == COUNT
        with count_statements() as few:
            images.delete_images(session, ids[:1])
            session.flush()
        with count_statements() as many:
            images.delete_images(session, ids[1:-1])
            session.flush()
        session.commit()
        # The index is written group by group, MySQL's rows too; all else for many groups at once.
        assert len(many) <= len(few) + 2 * COUNT
        assert groups.count_shown_groups(session) == 1
        assert session.scalars(select(Group.image_count).distinct()).all().count(1) == 1
        check_derived(session)


def check_derived(session: Session) -> None:
    """Compare with what one group at a time gives."""
    before = read_columns(session)
    for number in session.scalars(select(Group.id)).all():
        groups.refresh_group(session, number)
    assert read_columns(session) == before


def read_columns(session: Session) -> list[tuple[object, ...]]:
    columns = (Group.id, Group.image_count, Group.cover_id, Group.is_shown)
    rows = [tuple(row) for row in session.execute(select(*columns).order_by(Group.id))]
    buckets = session.execute(select(GalleryBucket.bucket, GalleryBucket.shown_count))
    return rows + sorted(tuple(row) for row in buckets)
