"""The orders of the library's list, moving to the top, and counts, on both databases."""

import pytest
from sqlalchemy.orm import Session

from imagehub.domain.library import groups, listing, order
from imagehub.errors import InvalidInputError, NotFoundError
from imagehub.models import Group
from imagehub.models.library import make_title_key
from tests.fixtures.site import Site

# In their order by title.
TITLES = ("Äpfel", "apple", "Étude 2", "étude 10", "Mühle", "Zebra", "海", "", "")


@pytest.fixture
def numbers(either_site: Site) -> list[int]:
    """Groups in the order of TITLES; every third is a draft. Their order in time is another one."""
    found = dict[int, int]()
    for place in (4, 8, 0, 6, 2, 7, 3, 1, 5):
        found[place] = either_site.add_group(state="published" if place % 3 else "draft")
    with either_site.session() as session:
        for place, number in found.items():
            session.get_one(Group, number).title = TITLES[place]
    return [found[place] for place in range(len(TITLES))]


def walk(session: Session, filter_name: str, sort: str, words: str = "") -> list[int]:
    """Read a list page by page to its end and back again."""
    there, after = list[int](), ""
    while True:
        page = listing.list_groups(session, filter_name, words, after, limit=2, sort=sort)
        there += [row.id for row in page.rows]
        after = page.next_after
        if not after:
            break
    back, before = [row.id for row in page.rows], page.previous_before
    while before:
        page = listing.list_groups(session, filter_name, words, "", before, limit=2, sort=sort)
        back = [row.id for row in page.rows] + back
        before = page.previous_before
    assert back == there
    return there


def test_the_library_is_sorted_by_title(either_session: Session, numbers: list[int]) -> None:
    # Groups with the same title have no order of their own.
    untitled = sorted(numbers[7:])
    assert walk(either_session, "all", "title") == [*numbers[:7], *untitled]
    assert walk(either_session, "draft", "title") == [numbers[0], numbers[3], numbers[6]]


def test_the_library_is_sorted_by_age(either_session: Session, numbers: list[int]) -> None:
    assert walk(either_session, "all", "newest") == sorted(numbers, reverse=True)
    drafts = sorted((numbers[0], numbers[3], numbers[6]), reverse=True)
    assert walk(either_session, "draft", "newest") == drafts


def test_what_is_found_is_sorted_too(either_site: Site, numbers: list[int]) -> None:
    with either_site.session() as session:
        for number in numbers[::2]:
            session.get_one(Group, number).medium = "Oil"
            groups.refresh_group(session, number)
    with either_site.session() as session:
        found = walk(session, "all", "title", "oil")
        assert found == numbers[::2]


def test_a_changed_title_has_a_new_place(either_session: Session, numbers: list[int]) -> None:
    either_session.get_one(Group, numbers[0]).title = "zzz"
    either_session.flush()
    assert walk(either_session, "all", "title")[6] in (numbers[0], numbers[6])


def test_titles_are_compared_as_people_do() -> None:
    keys = [make_title_key(title) for title in TITLES]
    assert keys == sorted(keys)
    assert make_title_key("  Great \t WAVE ") == make_title_key("great wave")
    assert len(make_title_key("9" * 300)) <= 100


@pytest.mark.parametrize(
    ("after", "sort"),
    [
        ("", "size"),
        ("!.1", "title"),
        ("a", "title"),
        ("_w.1", "title"),
        ("MA.1", "newest"),
        (f"{10**30}.1", "newest"),
    ],
)
def test_an_order_or_key_that_does_not_exist_is_refused(
    either_session: Session, numbers: list[int], after: str, sort: str
) -> None:
    with pytest.raises(InvalidInputError):
        listing.list_groups(either_session, "all", "", after, sort=sort)


def test_a_group_moves_to_the_top(either_site: Site, either_session: Session) -> None:
    first, second, third = (either_site.add_group() for _ in range(3))
    for number in (first, second, second):
        order.move_to_top(either_session, number)
    rows = listing.list_groups(either_session).rows
    assert [row.id for row in rows] == [second, first, third]
    with pytest.raises(NotFoundError):
        order.move_to_top(either_session, 4711)


def test_what_a_list_is_about_is_counted(either_site: Site, either_session: Session) -> None:
    for count in (3, 1, 5):
        number = either_site.add_group([f"{n}.jpg" for n in range(count)])
        if count != 1:
            for image in either_session.get_one(Group, number).images:
                image.drive_state = "missing"
    either_session.flush()
    assert listing.count_noted(either_session, "missing") == (8, 2)
    assert listing.count_noted(either_session, "changed") == (0, 0)
