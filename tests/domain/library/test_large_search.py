"""Searches of large hubs, which list the first of many matches, on both databases."""

from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import insert, text
from sqlalchemy.orm import Session

from imagehub import create_app
from imagehub.config import load_settings
from imagehub.database import db, make_batches
from imagehub.domain.library import filters, search
from imagehub.models import GalleryBucket
from tests.domain.library.test_gallery import count_rows_read
from tests.domain.library.test_search import add_group, find
from tests.fixtures.database import create_tables


@pytest.fixture(params=["index", "walk"])
def session(
    either_session: Session, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Session:
    """A hub of more than three groups is large, and words of three groups are common, or none."""
    monkeypatch.setattr(search, "_MAX_RANKED", 3)
    monkeypatch.setattr(search, "MAX_LISTED", 3)
    if request.param == "walk":
        monkeypatch.setattr(search, "_LEAST_COMMON", 3)
    return either_session


def test_the_first_of_many_matches_are_listed(session: Session) -> None:
    titled = add_group(session, "Storm", year="1911")
    begins = add_group(session, "Stormy night", year="1911")
    others = [add_group(session, "Sea", text="a storm") for _ in range(4)]
    found = search.find_groups(session, "storm", per_page=2)
    assert (found.group_count, found.page_count, found.has_more) == (3, 2, True)
    assert find(session, "storm")[:2] == [titled, begins]
    assert find(session, "storm")[2] in others
    pages = [search.find_groups(session, "storm", number, 2) for number in (1, 2, 3)]
    assert [len(page.tiles) for page in pages] == [2, 1, 0]
    assert all(page.has_more and page.group_count == 3 for page in pages)
    choice = filters.find_choice(session, {"year": "1911"})
    narrowed = search.find_groups(session, "storm", value_ids=choice.ids)
    assert (narrowed.group_count, narrowed.has_more) == (2, False)
    assert [tile.group.id for tile in narrowed.tiles] == [titled, begins]


def test_as_many_as_are_listed_are_found_as_in_a_small_hub(session: Session) -> None:
    elsewhere = add_group(session, "Sky", text="blue blue blue, nothing but blue")
    beginning = add_group(session, "Bluebell")
    whole = add_group(session, "Blue")
    add_group(session, "Green")
    found = search.find_groups(session, "blue")
    assert (found.group_count, found.has_more) == (3, False)
    assert find(session, "blue") == [whole, beginning, elsewhere]
    assert find(session, "blue", 2) == [] and find(session, "zebra") == []


def test_the_newest_of_many_titles_are_listed(session: Session) -> None:
    titles = [add_group(session, "Study") for _ in range(6)]
    assert find(session, "study") == titles[:2:-1]
    assert find(session, "stu") == titles[:2:-1]


def test_letters_inside_of_words_are_searched_for_on_request(session: Session) -> None:
    numbers = [add_group(session, title) for title in ("Selbstportrait", "Sky", "Sea", "Sun")]
    assert find(session, "portrait") == numbers[:1]
    assert search.find_groups(session, "portrait", looks_inside=False).group_count == 0
    assert search.find_groups(session, "selbst", looks_inside=False).group_count == 1


def test_a_common_word_reads_as_few_rows_of_a_large_hub(mariadb_url: str, tmp_path: Path) -> None:
    """MariaDB's row counters, with a word that a third of all groups have."""
    environment = {"IMAGEHUB_DATA_DIR": str(tmp_path), "IMAGEHUB_DATABASE_URL": mariadb_url}
    app = create_app(load_settings(environment, None))
    with app.app_context():
        create_tables(db.engine)
        session = db.session()
        session.execute(insert(GalleryBucket), [{"bucket": 1, "shown_count": 12_000}])
        row = text("INSERT INTO search_index VALUES (:number, :title, :words, '')")
        for numbers in make_batches(range(1, 12_001), 1000):
            rows = [
                {
                    "number": number,
                    "title": "__harbour" if number % 15 == 0 else "",
                    "words": f"__a{number} " + ("__harbour" if number % 3 == 0 else "__sea"),
                }
                for number in numbers
            ]
            session.execute(row, rows)
        session.commit()
        for query in ("harbour", "ha", "harbour a", "s"):
            read = count_rows_read(session, partial(search.find_groups, session, query))
            assert read < 8000, query
        # InnoDB does not count what it reads of its full-text index: all 4,000 would be sorted.
        assert search.find_groups(session, "harbour").has_more
        session.execute(text("DELETE FROM search_index"))
        session.commit()
