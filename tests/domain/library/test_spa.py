"""All groups and images as an admin sees them, on both databases."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, event
from sqlalchemy.orm import Session

from imagehub.domain.library import groups, order, spa
from imagehub.errors import NotFoundError
from imagehub.models import DriveAccount, Group, Image


@pytest.fixture
def session(engine: Engine) -> Iterator[Session]:
    with Session(engine) as session:
        session.add(DriveAccount(id=1, home_account_id="home", token_cache=b""))
        session.commit()
        yield session


def add_group(session: Session, positions: list[int], state: str = "published") -> int:
    """A group of images numbered from 1, at these positions."""
    group = Group(state=state, sort_key=order.make_first_sort_key(session))
    session.add(group)
    session.flush()
    for number, position in enumerate(positions, start=1):
        session.add(
            Image(
                group_id=group.id,
                number=number,
                position=position,
                name=f"{group.id}-{number}.jpg",
                folder_name="System",
                drive_account_id=1,
                drive_item_id=f"{group.id}-{number}",
            )
        )
    groups.refresh_group(session, group.id)
    session.commit()
    return group.id


def list_all(session: Session) -> list[tuple[int, list[int]]]:
    return [
        (group.number, [image.number for image in group.images])
        for group in spa.iter_groups(session)
    ]


def test_groups_come_ascending_with_their_images_in_order(session: Session) -> None:
    a = add_group(session, [3, 1, 2])
    add_group(session, [])
    b = add_group(session, [0, -5], state="draft")
    assert spa.list_group_numbers(session) == [a, b]
    assert list_all(session) == [(a, [2, 3, 1]), (b, [2, 1])]
    [first, _] = spa.iter_groups(session)
    image = first.images[0]
    assert (image.number, image.name, image.folder_name) == (2, f"{a}-2.jpg", "System")


def test_an_empty_library_has_nothing(session: Session) -> None:
    assert spa.list_group_numbers(session) == []
    assert list_all(session) == []


@pytest.mark.parametrize("rows", [1, 2, 3, 4, 5, 6, 7])
def test_groups_are_complete_across_reads(
    session: Session, monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    """Equal positions, and groups that lie across two reads or end with one."""
    monkeypatch.setattr(spa, "_ROWS_PER_READ", rows)
    a = add_group(session, [1, 1, 1])
    b = add_group(session, [2])
    c = add_group(session, [2, 1])
    assert list_all(session) == [(a, [1, 2, 3]), (b, [1]), (c, [2, 1])]


def test_groups_are_read_along_an_index(
    engine: Engine, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spa, "_ROWS_PER_READ", 10)
    for _ in range(12):
        add_group(session, list(range(10)))
    statements: list[tuple[str, object]] = []

    @event.listens_for(engine, "before_cursor_execute")
    def note(_c: object, _k: object, statement: str, parameters: object, *_: object) -> None:
        statements.append((statement, parameters))

    assert len(list_all(session)) == 12
    assert len(statements) == 13
    statement, parameters = statements[6]
    is_sqlite = engine.dialect.name == "sqlite"
    with engine.connect() as connection:
        plan = connection.exec_driver_sql(
            ("EXPLAIN QUERY PLAN " if is_sqlite else "EXPLAIN ") + statement,
            parameters,  # type: ignore[arg-type]
        ).all()
    if is_sqlite:
        text = " ".join(str(row[3]) for row in plan)
        assert "ix_image_group_position" in text, text
        assert "SCAN" not in text and "TEMP B-TREE" not in text, text
    else:
        assert plan[0].key == "ix_image_group_position", plan
        assert "filesort" not in (plan[0].Extra or ""), plan


def test_an_image_is_found_by_number_or_as_the_first(session: Session) -> None:
    group = add_group(session, [2, 1], state="draft")
    assert spa.get_image(session, group).number == 2
    assert spa.get_image(session, group, 1).number == 1


@pytest.mark.parametrize(
    ("group", "number"),
    [(0, None), (-1, None), (99, None), ((1 << 63) - 1, None), (1, 3), (1, 0), (1, 1 << 40)],
)
def test_a_missing_image_raises_not_found(session: Session, group: int, number: int | None) -> None:
    assert add_group(session, [1, 2]) == 1
    with pytest.raises(NotFoundError):
        spa.get_image(session, group, number)


def test_image_ids_are_listed_by_group_and_number(
    session: Session,
) -> None:
    a, b = add_group(session, list(range(1200))), add_group(session, [1, 2])
    chosen = {a: range(-5, 5000), b: [2, 2, 1 << 40], 77: [1], -1: [1], 1 << 70: [1]}
    ids = spa.list_image_ids(session, chosen)
    assert len(ids) == len(set(ids)) == 1201
    found = {(i.group_id, i.number) for i in (session.get(Image, id) for id in ids) if i}
    assert found == {(a, number) for number in range(1, 1201)} | {(b, 2)}
