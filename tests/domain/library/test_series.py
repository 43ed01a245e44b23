"""Series: what visitors see of them, the groups in them, and their order, on both databases."""

from datetime import timedelta
from functools import partial
from pathlib import Path
from threading import Barrier, Thread

import pytest
from sqlalchemy import Engine, insert, select, text, update
from sqlalchemy.orm import Session

from benchmarks.catalogue import fill_catalogue
from imagehub import create_app
from imagehub.config import load_settings
from imagehub.database import db, now_utc
from imagehub.domain.library import groups, search, series, series_edit, series_trash, trash
from imagehub.domain.library.series_counts import recount_series
from imagehub.domain.library.series_members import (
    add_members,
    find_place,
    place_member,
    remove_member,
)
from imagehub.domain.sharing import links
from imagehub.domain.site import translating
from imagehub.errors import ConflictError, InvalidInputError, NotFoundError
from imagehub.models import Group, Series, SeriesGroup, Translation
from tests.domain.library.test_gallery import count_rows_read
from tests.fixtures.beside import act_at_once
from tests.fixtures.database import count_statements
from tests.fixtures.site import Site


def make_series(
    session: Session, title: str, *numbers: int, state: str = "published", parent: int | None = None
) -> Series:
    made = series_edit.create_series(session, title, numbers, parent)
    return series_edit.set_series_state(session, made.id, state)


def list_titles(session: Session, parent: int | None = None) -> list[str]:
    return [one.series.title for one in series.list_shown_series(session, parent)]


def list_numbers(session: Session, number: int) -> list[int]:
    return [group.id for group in series.list_members(session, number, 1, 100)]


def test_a_series_is_shown_with_its_shown_groups(
    either_site: Site, either_session: Session
) -> None:
    session = either_session
    shown, draft = either_site.add_group(), either_site.add_group(state="draft")
    made = make_series(session, "Sea", draft, shown)
    make_series(session, "Not yet", shown, state="draft")
    make_series(session, "Empty", draft)
    assert list_titles(session) == ["Sea"] and series.has_shown_series(session)
    page = series.get_series_page(session, made, 1)
    assert [tile.group.id for tile in page.tiles] == [shown]
    assert (page.group_count, page.page_count) == (1, 1)
    assert [one.title for one in series.list_shown_of_group(session, shown)] == ["Sea"]
    assert series.list_shown_series(session)[0].cover.group.id == shown
    # A group that is published later appears at its place; one that is hidden disappears.
    group = groups.get_group(session, draft)
    group.state = "published"
    groups.refresh_group(session, draft)
    session.refresh(made)
    page = series.get_series_page(session, made, 1)
    assert [tile.group.id for tile in page.tiles] == [draft, shown]
    assert list_titles(session) == ["Sea", "Empty"]
    for number in (draft, shown):
        trash.trash_groups(session, [number], None)
    session.refresh(made)
    assert made.shown_count == 0 and not series.has_shown_series(session)
    with pytest.raises(NotFoundError):
        series.get_shown_series(session, made.id)


def test_a_deleted_group_leaves_its_series(either_site: Site, either_session: Session) -> None:
    session = either_session
    first, second = either_site.add_group(), either_site.add_group()
    made = make_series(session, "Sea", first, second)
    groups.delete_group(session, groups.get_locked_group(session, first))
    session.refresh(made)
    assert made.shown_count == 1 and list_numbers(session, made.id) == [second]


def test_parts_are_shown_with_the_series_that_they_belong_to(
    either_site: Site, either_session: Session
) -> None:
    session = either_session
    number = either_site.add_group()
    whole = make_series(session, "Paper")
    part = make_series(session, "Prints", number, parent=whole.id)
    assert list_titles(session) == ["Paper"] and list_titles(session, whole.id) == ["Prints"]
    assert series.list_shown_series(session)[0].cover.group.id == number
    series_edit.set_series_state(session, whole.id, "draft")
    assert list_titles(session) == []
    with pytest.raises(NotFoundError):
        series.get_shown_series(session, part.id)
    series_trash.trash_series(session, whole.id)
    session.expire_all()
    assert list_titles(session) == ["Prints"]
    assert session.get(Group, number) is not None


def test_a_deleted_series_is_restored_as_it_was(either_site: Site, either_session: Session) -> None:
    session = either_session
    number = either_site.add_group()
    whole = make_series(session, "Paper", number)
    part = make_series(session, "Prints", number, parent=whole.id)
    moved = make_series(session, "Moved", number, parent=whole.id)
    other = make_series(session, "Other", number)
    series_trash.trash_series(session, whole.id)
    session.expire_all()
    assert series_trash.list_trashed_series(session) == [whole]
    listed = [row.series.title for row in series.list_series(session)]
    assert sorted(listed) == ["Moved", "Other", "Prints"]
    assert "Paper" not in [name for _, name in series.list_series_choices(session)]
    assert whole not in series.list_series_of_group(session, number)
    for act in (series.get_series, series_trash.trash_series):
        with pytest.raises(NotFoundError):
            act(session, whole.id)
    with pytest.raises(NotFoundError):
        add_members(session, whole.id, [number])
    # A part that has a new place meanwhile stays there.
    values = {"title": "Moved", "dates": "", "place": "", "text": ""}
    series_edit.save_series(session, moved.id, moved.version, values, other.id)
    series_trash.restore_series(session, whole.id)
    session.expire_all()
    assert (whole.state, whole.trashed_at, part.parent_id) == ("published", None, whole.id)
    assert (moved.parent_id, whole.shown_count) == (other.id, 1)
    with pytest.raises(NotFoundError):
        series_trash.restore_series(session, whole.id)
    # A part whose series is in the trash is restored as a series of its own.
    series_trash.trash_series(session, part.id)
    series_trash.trash_series(session, whole.id)
    session.expire_all()
    series_trash.restore_series(session, part.id)
    assert part.parent_id is None


def test_a_series_is_deleted_permanently_after_30_days(
    either_site: Site, either_session: Session
) -> None:
    session = either_session
    number = either_site.add_group()
    whole, kept = make_series(session, "Paper", number), make_series(session, "Sea", number)
    share, _ = links.create_share(session, None, [], series_id=whole.id)
    for one in (whole, kept):
        series_trash.trash_series(session, one.id)
    whole.trashed_at = now_utc() - timedelta(days=31)
    session.commit()
    assert series_trash.purge_expired_series(session) == 1
    session.expire_all()
    assert session.scalars(select(Series.title)).all() == ["Sea"]
    assert (links.list_shares(session)[0].name, share.title) == ("Paper", "Paper")
    assert links.list_shares(session)[0].state == "gone"
    assert session.get(Group, number) is not None


def test_a_series_that_is_restored_in_the_last_moment_is_not_deleted(
    engine: Engine, session: Session
) -> None:
    number = make_series(session, "Paper").id
    series_trash.trash_series(session, number).trashed_at = now_utc() - timedelta(days=31)
    session.commit()
    error = act_at_once(
        engine,
        lambda one: series_trash.restore_series(one, number),
        series_trash.purge_expired_series,
    )
    assert error is None
    session.expire_all()
    assert session.get_one(Series, number).state == "published"


def test_two_who_order_series_at_once_do_not_lose_a_move(engine: Engine, session: Session) -> None:
    a, b, c = (make_series(session, title).id for title in "abc")
    session.commit()
    error = act_at_once(
        engine,
        lambda one: series_edit.place_series(one, c, a),
        lambda two: series_edit.place_series(two, b, a),
    )
    assert error is None
    session.expire_all()
    assert [row.series.id for row in series.list_series(session)] == [c, b, a]


def test_a_part_has_no_parts(either_session: Session) -> None:
    session = either_session
    whole = make_series(session, "Paper")
    part = make_series(session, "Prints", parent=whole.id)
    other = make_series(session, "Other")
    values = {"title": "Other", "dates": "", "place": "", "text": ""}
    with pytest.raises(InvalidInputError):
        series_edit.create_series(session, "Deeper", (), part.id)
    for number, parent in ((other.id, part.id), (whole.id, other.id), (other.id, other.id)):
        with pytest.raises(InvalidInputError):
            series_edit.save_series(session, number, 1, values, parent)
    assert series_edit.save_series(session, other.id, 1, values, whole.id) == ["parent"]


def test_an_edit_of_an_old_version_is_refused(either_session: Session) -> None:
    made = make_series(either_session, "Paper")
    values = {"title": " Paper  years ", "dates": "2019", "place": "Bremen", "text": "a\r\nb"}
    changed = series_edit.save_series(either_session, made.id, 1, values, None)
    assert changed == ["title", "dates", "place", "text"]
    assert (made.title, made.text, made.version) == ("Paper years", "a\nb", 2)
    with pytest.raises(ConflictError):
        series_edit.save_series(either_session, made.id, 1, values, None)
    for wrong in ({"title": " "}, {"title": "x" * 301}, {"text": "x" * 20_001}):
        with pytest.raises(InvalidInputError) as refused:
            series_edit.save_series(either_session, made.id, 2, values | wrong, None)
        assert list(refused.value.fields) == list(wrong)


def test_groups_are_added_removed_and_placed(either_site: Site, either_session: Session) -> None:
    session = either_session
    first, second, third = (either_site.add_group() for _ in range(3))
    made = make_series(session, "Sea", third, first)
    assert add_members(session, made.id, [first, second, second, 10**15]) == 1
    assert list_numbers(session, made.id) == [third, first, second]
    # Many moves between the same two leave no room: all get new places.
    for _ in range(15):
        for number in (second, first):
            place_member(session, made.id, number, third)
            order = list_numbers(session, made.id)
            assert order.index(number) + 1 == order.index(third)
    place_member(session, made.id, third, None)
    assert list_numbers(session, made.id)[-1] == third
    place_member(session, made.id, third, second)
    places = {}
    for where in ("top", "up", "down", "here"):
        places[where] = find_place(session, made.id, third, where)
    order = list_numbers(session, made.id)
    others = [number for number in order if number != third]
    here = order.index(third)
    assert places["top"] == others[0]
    assert places["up"] == (others[here - 1] if here else others[0])
    assert places["here"] == (order[here + 1] if here + 1 < len(order) else None)
    remove_member(session, made.id, first)
    session.refresh(made)
    assert made.shown_count == 2 and first not in list_numbers(session, made.id)
    for act in (
        lambda: remove_member(session, made.id, first),
        lambda: place_member(session, made.id, first, second),
        lambda: place_member(session, made.id, second, first),
        lambda: find_place(session, made.id, first, "top"),
        lambda: add_members(session, made.id + 1, [first]),
    ):
        with pytest.raises(NotFoundError):
            act()


def test_wrong_counts_are_found_and_mended(either_site: Site, either_session: Session) -> None:
    session = either_session
    shown, draft = either_site.add_group(), either_site.add_group(state="draft")
    made = make_series(session, "Sea", shown, draft)
    assert recount_series(session) == 0
    session.execute(update(SeriesGroup).values(is_shown=False))
    session.execute(update(Series).values(shown_count=7))
    assert recount_series(session) == 2
    session.refresh(made)
    assert made.shown_count == 1
    assert [tile.group.id for tile in series.get_series_page(session, made, 1).tiles] == [shown]


def test_two_series_cannot_become_parts_of_each_other(
    either_site: Site, either_session: Session
) -> None:
    numbers = [make_series(either_session, title).id for title in ("A", "B")]
    either_session.commit()
    together = Barrier(2)
    refused: list[int] = []

    def save(number: int, parent: int) -> None:
        values = {"title": "Part", "dates": "", "place": "", "text": ""}
        together.wait(20)
        try:
            with either_site.session() as session:
                series_edit.save_series(session, number, 1, values, parent)
        except InvalidInputError:
            refused.append(number)

    threads = [Thread(target=save, args=pair) for pair in (numbers, numbers[::-1])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    either_session.expire_all()
    parents = [either_session.get_one(Series, number).parent_id for number in numbers]
    assert len(refused) == 1 and parents.count(None) == 1


def test_neighbours_follow_the_order_of_the_series(
    either_site: Site, either_session: Session
) -> None:
    session = either_session
    first, second, third = (either_site.add_group() for _ in range(3))
    hidden = either_site.add_group(state="draft")
    outside = either_site.add_group()
    made = make_series(session, "Sea", third, hidden, first, second)
    beside = [
        tuple(one.id if one else None for one in series.find_beside_in_series(session, made.id, n))
        for n in (third, first, second)
    ]
    assert beside == [(None, first), (third, second), (first, None)]
    assert series.find_beside_in_series(session, made.id, outside) == (None, None)


def test_series_are_ordered_found_and_given_a_cover(
    either_site: Site, either_session: Session
) -> None:
    session = either_session
    first, second = either_site.add_group(), either_site.add_group()
    for title in ("Sea", "50% grey", "Land"):
        make_series(session, title, first, second)
    sea, _grey, land = (one.series for one in series.list_shown_series(session))
    series_edit.move_series(session, land.id, -1)
    series_edit.move_series(session, sea.id, -1)
    session.expire_all()
    assert list_titles(session) == ["Sea", "Land", "50% grey"]
    found = [one.series.title for one in series.find_shown_series(session, "0% GR")]
    assert found == ["50% grey"] and series.find_shown_series(session, "%%") == []
    with count_statements() as statements:
        series.find_shown_series(session, " ".join("abcdefghijklmnopqrstuvwxyz"))
    assert statements[0].count("FROM translation") == search.MAX_WORDS
    series_edit.choose_series_cover(session, sea.id, second)
    assert series.list_shown_series(session)[0].cover.group.id == second
    with pytest.raises(NotFoundError):
        series_edit.choose_series_cover(session, sea.id, 10**15)


def test_a_page_of_a_series_reads_few_rows_of_a_large_library(
    mariadb_url: str, tmp_path: Path
) -> None:
    """MariaDB's row counters, with a series of 600 groups and the works of the whole library."""
    settings = load_settings(
        {"IMAGEHUB_DATA_DIR": str(tmp_path / "data"), "IMAGEHUB_DATABASE_URL": mariadb_url}, None
    )
    app = create_app(settings)
    with app.app_context():
        fill_catalogue(db.engine, 6_000)
        session = db.session()
        numbers = session.scalars(select(Group.id).limit(600)).all()
        made = make_series(session, "Sea", *numbers)
        session.commit()
        first, last = (
            count_rows_read(session, partial(show_page, session, made.id, number))
            for number in (1, 50)
        )
        # Twelve groups with covers and renditions; a page far inside passes the entries before it.
        assert first < 200 and last < first + 600
        group = groups.get_locked_group(session, numbers[0])
        group.state = "draft"
        # The texts of groups in other languages are not searched for those of series.
        session.execute(
            insert(Translation),
            [
                {"group_id": number, "language": "de", "field": "title", "text": f"Meer {number}"}
                for number in session.scalars(select(Group.id))
            ],
        )
        session.add(Translation(series_id=made.id, language="de", field="title", text="Meer"))
        session.flush()
        session.execute(text("ANALYZE TABLE translation"))
        assert [one.series.id for one in series.find_shown_series(session, "meer")] == [made.id]
        assert count_rows_read(session, partial(series.find_shown_series, session, "meer")) < 200
        lacking = partial(translating.list_incomplete_groups, session, "fr", 0, 10)
        assert len(lacking()[0]) == 10
        with count_statements() as statements:
            lacking()
        # The last number is found without reading all of them.
        assert all("LIMIT" in one for one in statements if "ORDER BY image_group.id" in one)
        # One group of the series changes, whatever its length.
        assert count_rows_read(session, partial(groups.refresh_group, session, group.id)) < 200
        assert session.get_one(Series, made.id).shown_count == 599
        db.session.remove()
        db.engine.dispose()


def show_page(session: Session, number: int, page: int) -> series.SeriesPage:
    return series.get_series_page(session, series.get_shown_series(session, number), page)
