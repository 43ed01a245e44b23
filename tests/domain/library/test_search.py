"""What is found by which words, the same on both databases."""

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.orm import Session

from imagehub.domain.library import groups, order, search, search_index, tags
from imagehub.models import DriveAccount, Group, Image


@pytest.fixture
def session(either_session: Session) -> Session:
    return either_session


def add_group(session: Session, title: str = "", /, image: dict | None = None, **facts: str) -> int:
    """A published group with one image; committed, as InnoDB indexes words at the commit."""
    if session.get(DriveAccount, 1) is None:
        session.add(DriveAccount(id=1, home_account_id="a.b", token_cache=b""))
    group = Group(title=title, sort_key=order.make_first_sort_key(session), **facts)
    session.add(group)
    session.flush()
    values = {"name": "picture.jpg", **(image or {})}
    session.add(
        Image(
            group_id=group.id,
            number=1,
            position=1,
            drive_account_id=1,
            drive_item_id=f"X!{group.id}",
            **values,
        )
    )
    groups.refresh_group(session, group.id)
    session.commit()
    return group.id


def find(session: Session, query: str, number: int = 1) -> list[int]:
    return [tile.group.id for tile in search.find_groups(session, query, number).tiles]


def test_every_field_of_a_group_is_searchable(session: Session) -> None:
    add_group(session, "Another work")
    group = add_group(
        session,
        "The Blue Rider",
        text="Painted in one afternoon,\nnear the lake.",
        medium="Oil on canvas",
        dimensions="40 × 60 cm",
        year="1911",
        edition="Edition of 25 + 3 AP",
        availability="not_for_sale",
        image={
            "name": "DSC_0042.jpg",
            "alt": "A horse jumping over a fence",
            "camera": "Leica M10",
            "lens": "Summilux 35",
            "taken_at": datetime(2019, 5, 1),
        },
    )
    found = session.get(Group, group)
    assert found is not None
    tags.set_tags(session, found, ["Expressionism", "animals"])
    session.commit()
    for query in (
        "blue",
        "the blue rider",
        "afternoon",
        "LAKE",
        "oil",
        "canvas",
        "60",
        "1911",
        "dsc 0042",
        "DSC_0042.jpg",
        "dsc0042",
        "horse",
        "leica",
        "summilux 35",
        "2019",
        "expressionism",
        "Animals",
        "edition of 25",
        "not for sale",
        "unverkäuflich",
        "rider horse 2019 leica",
    ):
        assert find(session, query) == [group], query


def test_beginnings_of_words_match(session: Session) -> None:
    group = add_group(session, "Harbour at Dawn")
    assert find(session, "h") == [group]
    assert find(session, "har da") == [group]
    assert find(session, "harbour dusk") == []


def test_single_letters_and_stop_words_match(session: Session) -> None:
    group = add_group(session, "To be or not to be: the X of it")
    add_group(session, "Something else entirely")
    for query in ("to be", "the", "x", "of it", "not", "or"):
        assert find(session, query) == [group], query


@pytest.mark.parametrize(
    ("title", "queries"),
    [
        ("Große Welle", ["grosse", "GROSSE", "große", "welle"]),
        ("Müller am Fluß", ["muller", "müller", "mueller", "MÜLLER", "fluss", "mu"]),
        ("Crème brûlée", ["creme brulee", "crème", "BRÛLÉE", "cre\u0300me"]),
        ("Łódź w śniegu", ["lodz", "łódź", "sniegu"]),
        ("Købnhavn", ["kobnhavn", "købn", "koebnhavn"]),
        ("Привет из Москвы", ["привет", "МОСКВЫ", "мос"]),
        ("Ελλάδα το καλοκαίρι", ["ελλαδα", "ΚΑΛΟΚΑΊΡΙ"]),
        ("موجة كبيرة", ["موجة", "مَوْجَة", "كبير"]),
        ("大波浪と富士山", ["大波浪", "波", "富士", "富士山", "山"]),
        ("ガラスの靴", ["ガラス", "ｶﾞﾗｽ", "靴"]),
        ("한국어 그림", ["한국", "그림", "한국어 그림"]),
        ("ภาพวาดสีน้ำมัน", ["ภาพวาด", "สี"]),
        ("O’Brien's dog", ["o’brien", "obrien's".replace("ob", "o b"), "dog"]),
        ("🌊 wave", ["wave", "🌊 wave"]),
    ],
)
def test_other_scripts_and_spellings_match(
    session: Session, title: str, queries: list[str]
) -> None:
    add_group(session, "Quite another one")
    group = add_group(session, title)
    for query in queries:
        assert find(session, query) == [group], query


def test_matches_in_titles_and_whole_words_come_first(session: Session) -> None:
    whole = add_group(session, "Blue")
    beginning = add_group(session, "Bluebell")
    elsewhere = add_group(session, "Sky", text="blue blue blue, nothing but blue")
    assert find(session, "blue") == [whole, beginning, elsewhere]


def test_equal_matches_are_sorted_newest_first(session: Session) -> None:
    groups = [add_group(session, "Untitled") for _ in range(3)]
    assert find(session, "untitled") == groups[::-1]


def test_results_have_pages(session: Session) -> None:
    groups = [add_group(session, f"Study {i}") for i in range(30)]
    first = search.find_groups(session, "study")
    assert (first.group_count, first.page_count, len(first.tiles)) == (30, 3, 12)
    assert first.tiles[0].cover.name == "picture.jpg"
    pages = [find(session, "study", number) for number in (1, 2, 3)]
    assert sorted(group for page in pages for group in page) == groups
    assert find(session, "study", 4) == []
    assert find(session, "study", 0) == []
    assert search.find_groups(session, "study", 1 << 40).tiles == []


def test_words_that_contain_the_query_match_if_nothing_else_does(session: Session) -> None:
    group = add_group(session, "Selbstportrait mit Hut")
    add_group(session, "Ohne Titel")
    found = search.find_groups(session, "portrait hut")
    assert found.is_inside
    assert [tile.group.id for tile in found.tiles] == [group]
    assert find(session, "rt") == []
    assert find(session, "%%%") == []
    assert find(session, "s_lbst") == []


def test_only_shown_groups_are_found(session: Session) -> None:
    group_id = add_group(session, "Secret garden")
    assert find(session, "secret") == [group_id]
    group = session.get(Group, group_id)
    assert group is not None
    group.state = "draft"
    groups.refresh_group(session, group_id)
    session.commit()
    assert find(session, "secret") == []
    assert find(session, "ecret") == []
    assert search.list_group_ids(session, "secret") == [group_id]
    group.state = "published"
    groups.refresh_group(session, group_id)
    session.commit()
    assert find(session, "secret") == [group_id]
    groups.delete_group(session, group)
    session.commit()
    assert find(session, "secret") == []
    assert search.list_group_ids(session, "secret") == []


def test_changes_are_searchable_at_once(session: Session) -> None:
    group_id = add_group(session, "Before")
    group = session.get(Group, group_id)
    assert group is not None
    group.title = "After"
    assert search_index.refresh_search(session, [group_id])
    session.commit()
    assert find(session, "before") == []
    assert find(session, "after") == [group_id]
    assert not search_index.refresh_search(session, [group_id])


@pytest.mark.parametrize(
    "query",
    [
        "",
        " ",
        "!?*",
        '"',
        "' OR 1=1 --",
        '" OR "1"="1',
        "title : x",
        "NEAR(a b)",
        "AND",
        "+a -b",
        "a* AND",
        "@3 (x",
        "~ > < ()",
        "%",
        "\x00 \ud800".encode("utf-8", "surrogatepass").decode("utf-8", "replace"),
        "a" * 5000,
        "大" * 5000,
        "x " * 5000,
    ],
)
def test_operators_are_plain_text(session: Session, query: str) -> None:
    add_group(session, "Peaceful")
    found = search.find_groups(session, query)
    assert found.group_count == 0
    assert search.list_group_ids(session, query) == []


@given(st.text(max_size=60))
def test_index_words_are_plain_ascii(query: str) -> None:
    for word in [*search_index.iter_words(query), *search.make_words(query)]:
        assert word.startswith("__")
        assert word.removeprefix("__").replace("_", "").isalnum()
        assert word.isascii()
        assert 3 <= len(word) <= 84


@given(st.text(min_size=1, max_size=30), st.integers(1, 30))
def test_any_beginning_of_a_title_finds_it(title: str, length: int) -> None:
    """Whatever is typed of a text, from its beginning on, has words that begin words of it."""
    words = list(search_index.iter_words(title))
    typed = title[:length]
    if length < len(title) and not _is_letter_boundary(title, length):
        return
    for wanted in search_index.iter_query_words(typed):
        assert any(word.startswith(wanted) for word in words), (typed, title)


def _is_letter_boundary(title: str, at: int) -> bool:
    """Whether folding the part gives the beginning of folding the whole."""
    whole, part = search_index.fold(title), search_index.fold(title[:at])
    return whole.startswith(part)


def test_an_upgraded_hub_is_indexed_and_repaired(session: Session) -> None:
    groups = [add_group(session, f"Old work {i}") for i in range(3)]
    session.execute(text("DELETE FROM search_index"))
    session.commit()
    assert find(session, "old") == []
    assert search_index.fill_search(session) == groups[-1]
    session.commit()
    assert sorted(find(session, "old")) == groups
    assert search_index.fill_search(session, groups[-1]) == 0
    assert search_index.fill_search(session) == 0
    index, number = search_index.get_index(session)
    session.execute(index.update().where(number == groups[1]).values(words="__nonsense"))
    gone = groups[-1] + 500
    session.execute(
        index.insert().values({number.name: gone, "title": "", "words": "__old", "hidden": ""})
    )
    session.commit()
    stale, after = search_index.list_stale(session, 0)
    assert after == groups[-1]
    assert stale == [groups[1]]
    assert search_index.list_stale(session, after) == ([gone], 0)
    for group_id in (groups[1], gone):
        search_index.refresh_search(session, [group_id])
    session.commit()
    assert search_index.list_stale(session, 0)[0] == []
    assert sorted(find(session, "old")) == groups
