"""Looking through the library: pages, filters, counts; each page is a range of an index."""

import itertools
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import create_engine, delete, event, insert, text, update
from sqlalchemy.orm import Session

from imagehub.database import make_engine_options
from imagehub.domain.library import choices, listing
from imagehub.errors import InvalidInputError
from imagehub.models import DriveAccount, Group, Image, ImportItem, ImportJob, Rendition
from tests.fixtures.database import Pool
from tests.fixtures.site import Site


def walk(session: Session, filter_name: str = "all", limit: int = 2) -> list[list[int]]:
    """The pages of a list from first to last, and then the way back."""
    pages = []
    after = ""
    while True:
        page = listing.list_groups(session, filter_name, after=after, limit=limit)
        pages.append([row.id for row in page.rows])
        after = page.next_after
        if not after:
            break
    back = [pages[-1]]
    key = page.previous_before
    while key:
        page = listing.list_groups(session, filter_name, before=key, limit=limit)
        back.append([row.id for row in page.rows])
        key = page.previous_before
    assert list(itertools.chain(*reversed(back))) == list(itertools.chain(*pages))
    return pages


def test_pages_follow_the_order_in_both_directions(
    either_site: Site, either_session: Session
) -> None:
    numbers = [either_site.add_group() for _ in range(5)]
    assert walk(either_session) == [numbers[:2:-1], numbers[2:0:-1], numbers[:1]]


def test_each_filter_lists_its_groups(either_site: Site, either_session: Session) -> None:
    draft = either_site.add_group(state="draft")
    spoken, mute, changed, missing, outside, absent, failed = (
        either_site.add_group(["a.jpg", "b.jpg"]) for _ in range(7)
    )
    in_trash = either_site.add_group()
    for number, values in (
        (mute, {"has_alt": False}),
        (changed, {"drive_state": "changed"}),
        (missing, {"drive_state": "missing"}),
        (outside, {"drive_state": "outside"}),
        (absent, {"drive_state": "absent"}),
        (in_trash, {"has_alt": False, "drive_state": "missing"}),
    ):
        either_session.execute(update(Image).where(Image.group_id == number).values(**values))
    account = either_session.query(DriveAccount).one()
    job = ImportJob(drive_account_id=account.id)
    either_session.add(job)
    either_session.flush()
    for number in (failed, in_trash):
        either_session.add(
            ImportItem(job_id=job.id, group_id=number, drive_item_id="x", state="failed")
        )
    either_session.get_one(Group, in_trash).state = "trash"
    either_session.flush()
    found = {
        name: [(row.id, row.note) for row in listing.list_groups(either_session, name).rows]
        for name in listing.FILTERS
    }
    assert found == {
        "all": [(n, 0) for n in (failed, absent, outside, missing, changed, mute, spoken, draft)],
        "draft": [(draft, 0)],
        "alt": [(mute, 2)],
        "changed": [(changed, 2)],
        "missing": [(missing, 2)],
        "outside": [(outside, 2)],
        "absent": [(absent, 2)],
        "failed": [(failed, 1)],
        "words": [],
        "still": [],
    }
    assert listing.count_to_do(either_session) == {
        "draft": 1,
        "alt": 1,
        "changed": 1,
        "missing": 1,
        "outside": 1,
        "absent": 1,
        "failed": 1,
        "words": 0,
        "still": 0,
    }
    numbers = [number for number, _ in choices.list_choices(either_session)]
    assert numbers == [failed, absent, outside, missing, changed, mute, spoken, draft]


@pytest.mark.parametrize("filter_name", ["alt", "missing"])
def test_filtered_lists_have_pages(
    either_site: Site, either_session: Session, filter_name: str
) -> None:
    numbers = [either_site.add_group(["a.jpg", "b.jpg"]) for _ in range(5)]
    either_session.execute(update(Image).values(has_alt=False, drive_state="missing"))
    pages = walk(either_session, filter_name)
    assert pages == [numbers[:2:-1], numbers[2:0:-1], numbers[:1]]


def test_a_search_narrows_any_filter(either_site: Site) -> None:
    first = either_site.add_group(["harbour.jpg"])
    either_site.add_group(["mill.jpg"])
    draft = either_site.add_group(["harbour.jpg"], state="draft")
    with either_site.session() as session:
        rows = listing.list_groups(session, words="harbour").rows
        assert [row.id for row in rows] == [draft, first]
        rows = listing.list_groups(session, "draft", "harb").rows
        assert [row.id for row in rows] == [draft]
        assert listing.list_groups(session, words="nothing").rows == []


def test_a_row_has_a_small_rendition_of_the_cover(
    either_site: Site, either_session: Session
) -> None:
    number = either_site.add_group(["front.jpg", "back.jpg"])
    group = either_session.get_one(Group, number)
    group.title, group.year, group.medium = "Mill", "1998", "Oil"
    either_session.flush()
    (row,) = listing.list_groups(either_session).rows
    assert (row.title, row.year, row.medium, row.image_count) == ("Mill", "1998", "Oil", 2)
    assert row.thumbnail_key == either_site.find_key(number, 1, 480)


def test_a_cover_without_a_small_rendition_uses_its_smallest(
    either_site: Site, either_session: Session
) -> None:
    number = either_site.add_group()
    key = either_site.find_key(number, 1, 960)
    either_session.execute(delete(Rendition).where(Rendition.size_px == 480))
    (row,) = listing.list_groups(either_session).rows
    assert row.thumbnail_key == key
    either_session.execute(delete(Rendition))
    (row,) = listing.list_groups(either_session).rows
    assert row.thumbnail_key == ""


@pytest.mark.parametrize("filter_name", ["all", "draft", "alt"])
def test_frequent_words_are_found_by_testing_groups(either_site: Site, filter_name: str) -> None:
    """Ten groups with a word are many; what is found must not depend on how it is looked for."""
    names = ["harbour.jpg", "mill.jpg"] * 11
    numbers = [either_site.add_group([name], state="draft") for name in names]
    with either_site.session() as session:
        session.execute(update(Image).values(has_alt=False))
        page = listing.list_groups(session, filter_name, "HARB", limit=6)
        rest = listing.list_groups(session, filter_name, "HARB", after=page.next_after, limit=6)
        assert [row.id for row in (*page.rows, *rest.rows)] == numbers[::2][::-1]
        assert rest.next_after == ""
        assert [r.id for r in listing.list_groups(session, filter_name, "mill").rows] == (
            numbers[1::2][::-1]
        )


@pytest.mark.parametrize("key", ["x", "1", "1.x", "99999999999999999999.1", "1.-1"])
def test_an_invalid_key_or_filter_is_refused(either_session: Session, key: str) -> None:
    with pytest.raises(InvalidInputError):
        listing.list_groups(either_session, after=key)
    with pytest.raises(InvalidInputError):
        listing.list_groups(either_session, key)


# --- Plans ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def large_session(_mariadb_pool: Pool) -> Iterator[Session]:
    """20,000 groups of one image on MariaDB; each twentieth has something left to do."""
    url = _mariadb_pool.take()
    engine = create_engine(url, **make_engine_options(url))
    count = 20_000
    with Session(engine) as session:
        session.add(DriveAccount(id=1, home_account_id="h", token_cache=b""))
        session.flush()
        session.execute(
            insert(Group),
            [
                {
                    "id": n,
                    "sort_key": n << 20,
                    "title_key": f"title {n:05d}",
                    "created_at": datetime(1970, 1, 1, tzinfo=UTC) + timedelta(minutes=n),
                    "cover_id": n,
                    "image_count": 1,
                    "state": "draft" if n % 20 == 0 else "published",
                }
                for n in range(1, count + 1)
            ],
        )
        session.execute(
            insert(Image),
            [
                {
                    "id": n,
                    "group_id": n,
                    "number": 1,
                    "position": 1,
                    "name": "a.jpg",
                    "drive_account_id": 1,
                    "drive_item_id": str(n),
                    "has_alt": n % 20 != 0,
                    "drive_state": "ok" if n % 20 else "missing",
                }
                for n in range(1, count + 1)
            ],
        )
        session.commit()
        for table in ("image_group", "image", "import_item"):
            session.execute(text(f"ANALYZE TABLE {table}"))
        yield session
    engine.dispose()


@pytest.mark.parametrize(
    ("filter_name", "sort"),
    [
        *((name, "order") for name in ("all", "draft", "alt", "missing")),
        *((name, sort) for name in ("all", "draft") for sort in ("newest", "title")),
    ],
)
def test_a_page_reads_a_range_of_an_index(
    large_session: Session, filter_name: str, sort: str
) -> None:
    """MariaDB counts the rows that it touches; a page must not touch the library."""
    statements: list[tuple[str, Any]] = []
    event.listen(
        large_session.get_bind(),
        "before_cursor_execute",
        lambda _c, _cursor, statement, parameters, _context, _many: statements.append(
            (statement, parameters)
        ),
    )
    key = f"{10_000 << 20}.10000" if filter_name in ("all", "draft") else "0.10000"
    if sort == "newest":
        key = f"{10_000 * 60_000_000}.10000"
    elif sort == "title":
        key = f"{urlsafe_b64encode(b'title 10000').decode()}.10000"
    large_session.execute(text("FLUSH STATUS"))
    for side in ({"after": key}, {"before": key}):
        page = listing.list_groups(large_session, filter_name, sort=sort, **side)  # type: ignore[arg-type]
        assert len(page.rows) == listing.GROUPS_PER_PAGE
    listing.count_to_do(large_session)
    listing.count_noted(large_session, filter_name)
    # MySQL 8 has this table elsewhere; both know the statement.
    counters = large_session.execute(text("SHOW SESSION STATUS LIKE 'Handler_read%'")).all()
    touched = sum(int(value) for _name, value in counters)
    assert touched < 2800, [statement for statement, _ in statements]
