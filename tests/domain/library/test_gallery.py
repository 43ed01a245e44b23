"""The pages of the gallery, on both databases."""

import random
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import event, select, text, true, update
from sqlalchemy.orm import Session

from benchmarks.catalogue import fill_catalogue
from imagehub import create_app
from imagehub.config import load_settings
from imagehub.database import db
from imagehub.domain.library import gallery, groups, tags
from imagehub.domain.library import images as library_images
from imagehub.domain.library import order as gallery_order
from imagehub.domain.library.facet_index import fill_facets
from imagehub.errors import NotFoundError
from imagehub.models import DriveAccount, GalleryBucket, Group, Image


@pytest.fixture
def app(database_url: str, tmp_path: Path) -> Iterator[Flask]:
    settings = load_settings(
        {"IMAGEHUB_DATA_DIR": str(tmp_path / "data"), "IMAGEHUB_DATABASE_URL": database_url}, None
    )
    app = create_app(settings)
    with app.app_context():
        yield app
        db.session.remove()
        db.engine.dispose()


@pytest.fixture
def session(app: Flask) -> Session:
    return db.session()


def add_group(
    session: Session, title: str = "", images: int = 1, state: str = "published"
) -> Group:
    account = session.get(DriveAccount, 1)
    if account is None:
        account = DriveAccount(id=1, home_account_id="a.b", token_cache=b"")
        session.add(account)
    group = Group(title=title, state=state, sort_key=gallery_order.make_first_sort_key(session))
    session.add(group)
    session.flush()
    for number in range(1, images + 1):
        session.add(
            Image(
                group_id=group.id,
                number=number,
                position=number,
                name=f"{number}.jpg",
                drive_account_id=1,
                drive_item_id=f"X!{group.id}.{number}",
            )
        )
    groups.refresh_group(session, group.id)
    return group


def list_shown(session: Session) -> list[int]:
    count = gallery.count_pages(session)
    return [
        tile.group.id
        for number in range(1, count + 1)
        for tile in gallery.get_page(session, number).tiles
    ]


def test_the_newest_group_comes_first(session: Session) -> None:
    groups = [add_group(session).id for _ in range(30)]
    assert list_shown(session) == groups[::-1]
    assert gallery.count_pages(session) == 3
    assert len(gallery.get_page(session, 3).tiles) == 6


def test_drafts_and_empty_groups_are_not_shown(session: Session) -> None:
    shown = add_group(session)
    draft = add_group(session, state="draft")
    empty = add_group(session, images=0)
    assert list_shown(session) == [shown.id]
    for hidden in (draft, empty):
        with pytest.raises(NotFoundError):
            gallery.get_shown_group(session, hidden.id)
    draft.state = "published"
    groups.refresh_group(session, draft.id)
    assert list_shown(session) == [draft.id, shown.id]


def test_pages_outside_the_gallery_are_empty(session: Session) -> None:
    assert gallery.get_page(session, 1).tiles == ()
    add_group(session)
    for number in (-1, 0, 2, 1 << 70):
        assert gallery.get_page(session, number).tiles == ()


def test_refreshing_twice_counts_once(session: Session) -> None:
    group = add_group(session, images=3)
    groups.refresh_group(session, group.id)
    groups.refresh_group(session, group.id)
    assert groups.count_shown_groups(session) == 1
    assert (group.image_count, group.cover_id is not None) == (3, True)


def test_a_group_that_lost_its_images_is_not_shown(session: Session) -> None:
    group = add_group(session)
    session.delete(library_images.get_image(session, group.id, 1))
    groups.refresh_group(session, group.id)
    assert list_shown(session) == []
    assert groups.count_shown_groups(session) == 0


def test_moved_groups_agree_with_a_plain_list(session: Session) -> None:
    """Random moves, many into the same narrow gap, agree with a plain list all the way."""
    rng = random.Random(5)
    moving = {group.id: group for group in (add_group(session) for _ in range(40))}
    order = sorted(moving, reverse=True)
    for step in range(150):
        moved = rng.choice(order)
        order.remove(moved)
        # Two thirds go to the same place, so that the room there is used up again and again.
        index = 3 if step % 3 else rng.randrange(len(order) + 1)
        before = moving[order[index]] if index < len(order) else None
        gallery_order.move_group(session, moving[moved], before)
        order.insert(index, moved)
        if step % 10 == 9:
            assert list_shown(session) == order
    assert list_shown(session) == order
    assert groups.recount_gallery(session) == 0


def test_neighbours_follow_the_order(session: Session) -> None:
    first, second, third = (add_group(session) for _ in range(3))
    add_group(session, state="draft")
    assert gallery.find_neighbours(session, second) == (third, first)
    assert gallery.find_neighbours(session, third) == (None, second)
    assert gallery.find_neighbours(session, first) == (second, None)


def test_wrong_counts_are_repaired(session: Session) -> None:
    add_group(session)
    session.execute(text("UPDATE gallery_bucket SET shown_count = 17"))
    session.add(GalleryBucket(bucket=1, shown_count=4))
    session.flush()
    session.expire_all()
    assert groups.recount_gallery(session) == 2
    assert groups.count_shown_groups(session) == 1


def test_pages_cross_buckets_without_gaps_or_repeats(app: Flask) -> None:
    fill_catalogue(db.engine, 6000)  # 3,000 groups lie in four buckets or so
    session = db.session()
    assert len(session.scalars(select(GalleryBucket)).all()) > 2
    assert list_shown(session) == list(range(3000, 0, -1))


def test_the_newest_are_found_below_many_drafts(app: Flask) -> None:
    fill_catalogue(db.engine, 6000)
    session = db.session()
    hidden = Group.id.between(100, 2980) | (Group.id > 2990)
    session.execute(update(Group).where(hidden).values(is_shown=False))
    numbers = [tile.group.id for tile in gallery.list_newest(session)]
    assert numbers == [*range(2990, 2980, -1), *range(99, 79, -1)]
    session.execute(update(Group).where(Group.id < 95).values(is_shown=False))
    numbers = [tile.group.id for tile in gallery.list_newest(session)]
    assert numbers == [*range(2990, 2980, -1), *range(99, 94, -1)]
    session.execute(update(Group).values(is_shown=False))
    assert gallery.list_newest(session) == []


def count_rows_read(session: Session, read: Callable[[], object]) -> int:
    """What MariaDB itself counts as rows read."""
    session.execute(text("FLUSH STATUS"))
    session.expunge_all()
    read()
    rows = session.execute(text("SHOW SESSION STATUS LIKE 'Handler_read%'")).all()
    return sum(int(value) for name, value in rows)


def test_a_page_of_a_large_gallery_reads_few_rows(mariadb_url: str, tmp_path: Path) -> None:
    """MariaDB's row counters: the last page of 60,000 images against the first of 200."""
    settings = load_settings(
        {"IMAGEHUB_DATA_DIR": str(tmp_path / "data"), "IMAGEHUB_DATABASE_URL": mariadb_url}, None
    )
    app = create_app(settings)
    with app.app_context():
        fill_catalogue(db.engine, 60_000)
        session = db.session()
        last = gallery.count_pages(session)
        assert last == 2500
        for page in (1, last // 2, last):
            # At most one bucket of entries, the sums over 30 buckets, 12 covers, 36 renditions.
            read = count_rows_read(session, partial(gallery.get_page, session, page))
            assert read < 1024 + 30 * 10 + 200
        # One shown group of each section.
        assert len(gallery.list_sections(session)) == 30
        assert count_rows_read(session, lambda: gallery.list_sections(session)) < 200
        # The newest, 30 covers, 90 renditions.
        assert count_rows_read(session, lambda: gallery.list_newest(session)) < 400
        middle = session.get_one(Group, 15_000)
        for state in (Group.is_shown == true(), Group.state == "published"):
            for step in (-1, 1):
                find = partial(gallery.find_beside, session, middle, step, state)
                assert count_rows_read(session, find) < 20
        for group in session.scalars(select(Group).where(Group.id <= 20)).all():
            tags.set_tags(session, group, ["Rare"])
        session.commit()
        # The catalogue has no entries for filters yet: 200 groups get theirs at once.
        for after in (0, 15_000):
            read = count_rows_read(session, partial(fill_facets, session, after))
            assert read < 200 * 20, after
            session.commit()
        assert tags.find_tags(session, "rare")[0].group_count == 20
        assert count_rows_read(session, lambda: tags.find_tags(session, "rare")) < 200
        plans = explain_statements(session, last // 2)
        assert plans
        for plan in plans:
            for row in plan:
                # None: answered from an index's end. <derived…>: the sums over the buckets.
                if row["table"] in (None, "gallery_bucket") or "<derived" in row["table"]:
                    continue
                assert row["type"] != "ALL", row
                assert "filesort" not in (row["Extra"] or "") or int(row["rows"]) <= 36, row
                assert int(row["rows"]) < 60_000, row
        db.session.remove()
        db.engine.dispose()


def explain_statements(session: Session, page: int) -> list[list[dict[str, str]]]:
    """MariaDB's plan of each statement that one page and one group need."""
    statements: list[tuple[str, object]] = []

    def remember(_c: object, _cur: object, sql: str, parameters: object, *_: object) -> None:
        statements.append((sql, parameters))

    event.listen(db.engine, "before_cursor_execute", remember)
    try:
        session.expunge_all()
        tiles = gallery.get_page(session, page).tiles
        group = gallery.get_shown_group(session, tiles[0].group.id)
        library_images.list_images(session, group.id)
        library_images.get_image(session, group.id, 1)
        gallery.find_neighbours(session, group)
        gallery_order.make_first_sort_key(session)
    finally:
        event.remove(db.engine, "before_cursor_execute", remember)
    connection = session.connection()
    return [
        [dict(row) for row in connection.exec_driver_sql("EXPLAIN " + sql, parameters).mappings()]
        for sql, parameters in statements
        if sql.lstrip().upper().startswith("SELECT")
    ]
