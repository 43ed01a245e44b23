"""The board of an import plan: laid out in each way, arranged, and started."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import pytest
from sqlalchemy import event, func, insert, select
from sqlalchemy.engine import Engine
from sqlalchemy.orm import Session

from imagehub.domain.imports import board as imports_board
from imagehub.domain.imports import plans
from imagehub.errors import ConflictError, InvalidInputError, NotFoundError
from imagehub.models import (
    DriveAccount,
    Group,
    ImportItem,
    ImportJob,
    ImportPlan,
    ImportPlanFile,
)
from tests.fixtures.importing import ImportHub, make_jpeg
from tests.fixtures.planning import find_files, find_proposal, list_board, make_plan
from tests.fixtures.site import Site


@pytest.mark.parametrize(
    ("way", "board"),
    [
        (
            "stem",
            [
                ("Harbour", ["harbour-front.jpg", "harbour-back.jpg"]),
                ("Mill", ["mill_1.jpg", "mill_2.jpg"]),
                ("IMG 1", ["IMG_1.jpg"]),
                ("IMG 2", ["IMG_2.jpg"]),
            ],
        ),
        (
            "one",
            [
                (
                    "New group",
                    [
                        "harbour-front.jpg",
                        "harbour-back.jpg",
                        "mill_1.jpg",
                        "mill_2.jpg",
                        "IMG_1.jpg",
                        "IMG_2.jpg",
                    ],
                )
            ],
        ),
        (
            "each",
            [
                ("Harbour front", ["harbour-front.jpg"]),
                ("Harbour back", ["harbour-back.jpg"]),
                ("Mill 1", ["mill_1.jpg"]),
                ("Mill 2", ["mill_2.jpg"]),
                ("IMG 1", ["IMG_1.jpg"]),
                ("IMG 2", ["IMG_2.jpg"]),
            ],
        ),
    ],
)
def test_a_board_is_laid_out_in_each_way(
    studio: ImportHub, way: str, board: list[tuple[str, list[str]]]
) -> None:
    plan = make_plan(studio, "Studio")
    imports_board.propose(studio.session, plan, way)
    assert list_board(studio, plan) == board
    imports_board.propose(studio.session, plan, "folder")
    imports_board.propose(studio.session, plan, way)
    assert list_board(studio, plan) == board


def test_pictures_taken_within_ten_minutes_belong_together(studio: ImportHub) -> None:
    plan = make_plan(studio, "Studio")
    times = {
        "mill_1.jpg": datetime(2024, 5, 1, 12, 0),
        "mill_2.jpg": datetime(2024, 5, 1, 12, 9),
        "IMG_1.jpg": datetime(2024, 5, 1, 12, 18),
        "IMG_2.jpg": datetime(2024, 5, 1, 12, 29),
        "harbour-front.jpg": None,
        "harbour-back.jpg": datetime(2023, 1, 1),
    }
    for one in imports_board.list_bins(studio.session, plan):
        for file in one.files:
            file.taken_at = times[file.file_name]
    imports_board.propose(studio.session, plan, "time")
    assert list_board(studio, plan) == [
        ("1 January 2023, 00:00", ["harbour-back.jpg"]),
        ("1 May 2024, 12:00", ["mill_1.jpg", "mill_2.jpg", "IMG_1.jpg"]),
        ("1 May 2024, 12:29", ["IMG_2.jpg"]),
        ("Without a time", ["harbour-front.jpg"]),
    ]


def test_files_are_split_off_and_the_new_group_stands_behind(studio: ImportHub) -> None:
    plan = make_plan(studio, "Studio")
    files = find_files(studio, plan, "mill_2.jpg", "mill_1.jpg")
    imports_board.move_files(studio.session, plan, files, None)
    assert list_board(studio, plan) == [
        ("Studio", ["harbour-front.jpg", "harbour-back.jpg"]),
        ("Mill", ["mill_1.jpg", "mill_2.jpg"]),
        ("Inside", ["IMG_1.jpg", "IMG_2.jpg"]),
    ]


def test_files_move_in_front_of_another_and_empty_groups_go(studio: ImportHub) -> None:
    plan = make_plan(studio, "Studio")
    to = find_proposal(studio, plan, "Studio")
    before = find_files(studio, plan, "harbour-back.jpg")[0]
    files = find_files(studio, plan, "IMG_1.jpg", "IMG_2.jpg", "mill_2.jpg")
    imports_board.move_files(studio.session, plan, files, to, before)
    assert list_board(studio, plan) == [
        (
            "Studio",
            [
                "harbour-front.jpg",
                "mill_2.jpg",
                "IMG_1.jpg",
                "IMG_2.jpg",
                "harbour-back.jpg",
                "mill_1.jpg",
            ],
        )
    ]


def test_groups_are_joined_renamed_and_taken_apart(studio: ImportHub) -> None:
    plan = make_plan(studio, "Studio")
    inside = find_proposal(studio, plan, "Inside")
    imports_board.rename_proposal(studio.session, plan, inside, "  Deep   inside ")
    imports_board.split_proposal(studio.session, plan, find_proposal(studio, plan, "Studio"))
    assert [title for title, _ in list_board(studio, plan)] == [
        "Studio",
        "Harbour back",
        "Mill 1",
        "Mill 2",
        "Deep inside",
    ]
    imports_board.join_with_previous(studio.session, plan, inside)
    chosen = [find_proposal(studio, plan, title) for title in ("Mill 2", "Studio")]
    imports_board.join_proposals(studio.session, plan, chosen)
    assert list_board(studio, plan) == [
        ("Studio", ["harbour-front.jpg", "mill_2.jpg", "IMG_1.jpg", "IMG_2.jpg"]),
        ("Harbour back", ["harbour-back.jpg"]),
        ("Mill 1", ["mill_1.jpg"]),
    ]
    with pytest.raises(InvalidInputError):
        imports_board.join_with_previous(studio.session, plan, chosen[1])


def test_what_cannot_be_imported_cannot_be_chosen(studio: ImportHub) -> None:
    plan = make_plan(studio, "Studio")
    (unusable,) = plans.list_unusable(studio.session, plan)
    imports_board.choose_files(studio.session, plan, [unusable.id], True)
    assert not unusable.is_chosen
    with pytest.raises(InvalidInputError):
        imports_board.choose_verdict(studio.session, plan, "unsupported", True)


def test_a_group_that_is_taken_in_again_leaves_out_what_the_plan_left_out(
    studio: ImportHub,
) -> None:
    studio.put_files("Studio", {"mill_3.jpg": make_jpeg(3)})
    plan = make_plan(studio, "Studio")
    imports_board.propose(studio.session, plan, "stem")
    mill = find_proposal(studio, plan, "Mill")

    def list_chosen() -> list[str]:
        (one,) = (b for b in imports_board.list_bins(studio.session, plan) if b.proposal.id == mill)
        return [file.file_name for file in one.files if file.is_chosen]

    imports_board.choose_proposal(studio.session, plan, mill, is_chosen=False)
    assert list_chosen() == []
    imports_board.choose_proposal(studio.session, plan, mill, is_chosen=True)
    assert list_chosen() == ["mill_1.jpg", "mill_2.jpg"]
    move = find_files(studio, plan, "mill_3.jpg")
    alone = imports_board.move_files(studio.session, plan, move, None)
    imports_board.choose_proposal(studio.session, plan, alone, is_chosen=True)
    assert [b.chosen_count for b in imports_board.list_bins(studio.session, plan)].count(0) == 0


def test_each_group_tells_how_many_of_its_files_come_in(studio: ImportHub) -> None:
    plan = make_plan(studio, "Studio")
    imports_board.choose_files(
        studio.session, plan, find_files(studio, plan, "harbour-front.jpg"), False
    )
    counts = [
        (one.chosen_count, one.file_count) for one in imports_board.list_bins(studio.session, plan)
    ]
    assert counts == [(3, 4), (2, 2)]


def test_a_board_is_put_back_unless_it_was_changed_since(studio: ImportHub) -> None:
    plan = make_plan(studio, "Studio")
    before = imports_board.read_layout(studio.session, plan)
    board = list_board(studio, plan)
    chosen = [one.proposal.id for one in imports_board.list_bins(studio.session, plan)]
    imports_board.join_proposals(studio.session, plan, chosen)
    after = imports_board.read_layout(studio.session, plan)
    lost = imports_board.compare_layouts(before, after)
    assert len(lost.proposals) == 1
    assert len(lost.files) == 2
    version = plan.version
    with pytest.raises(ConflictError):
        imports_board.restore_layout(studio.session, plan, version - 1, lost)
    imports_board.restore_layout(studio.session, plan, version, lost)
    studio.session.commit()
    assert list_board(studio, plan) == board
    with pytest.raises(ConflictError):
        imports_board.restore_layout(studio.session, plan, version, lost)


def test_a_board_takes_nothing_back_from_another(studio: ImportHub) -> None:
    one, other = make_plan(studio, "Studio"), make_plan(studio, "Studio")
    foreign = imports_board.read_layout(studio.session, other)
    with pytest.raises(NotFoundError):
        imports_board.restore_layout(studio.session, one, one.version, foreign)
    files_alone = imports_board.Layout({}, foreign.files)
    with pytest.raises(NotFoundError):
        imports_board.restore_layout(studio.session, one, one.version, files_alone)


def test_files_and_groups_of_another_board_are_not_found(studio: ImportHub) -> None:
    one, other = make_plan(studio, "Studio"), make_plan(studio, "Studio")
    files = find_files(studio, other, "mill_1.jpg")
    with pytest.raises(NotFoundError):
        imports_board.move_files(studio.session, one, files, None)
    with pytest.raises(NotFoundError):
        imports_board.choose_files(studio.session, one, files, False)
    proposal = find_proposal(studio, other, "Studio")
    with pytest.raises(NotFoundError):
        imports_board.rename_proposal(studio.session, one, proposal, "Mine")


def test_an_import_follows_the_board(studio: ImportHub) -> None:
    plan = make_plan(studio, "Studio")
    to = find_proposal(studio, plan, "Inside")
    before = find_files(studio, plan, "IMG_2.jpg")[0]
    imports_board.move_files(
        studio.session, plan, find_files(studio, plan, "mill_2.jpg"), to, before
    )
    imports_board.choose_files(
        studio.session, plan, find_files(studio, plan, "harbour-front.jpg"), False
    )
    job = imports_board.start_import(studio.session, plan, studio.user_id, False)
    job_id = job.id
    studio.session.commit()
    assert studio.work(job_id) == ["done"] * 5
    groups = studio.session.query(Group).order_by(Group.sort_key.desc()).all()
    assert [(group.title, group.state) for group in groups] == [
        ("Studio", "draft"),
        ("Inside", "draft"),
    ]
    names = [
        [image.name for image in sorted(studio.list_images(group.id), key=lambda i: i.position)]
        for group in groups
    ]
    assert names == [["harbour-back.jpg", "mill_1.jpg"], ["IMG_1.jpg", "mill_2.jpg", "IMG_2.jpg"]]
    with pytest.raises(ConflictError):
        imports_board.start_import(studio.session, plan, studio.user_id, True)


def test_a_plan_can_add_to_a_group_that_is_there(studio: ImportHub) -> None:
    studio.work(studio.create(studio.put_pictures("Old", 1, first=40)))
    group = studio.get_only_group()
    plan = make_plan(studio, "Studio")
    imports_board.propose(studio.session, plan, "existing", group.id)
    job_id = imports_board.start_import(studio.session, plan, None, True).id
    studio.session.commit()
    studio.work(job_id)
    assert len(studio.list_images(group.id)) == 7
    assert studio.get_only_group().title == "Old"


MANY = 10_000


def test_ten_thousand_pictures_become_a_group_each_in_few_statements(either_site: Site) -> None:
    either_site.add_group()
    with either_site.session() as session, count_statements() as counted:
        account = session.query(DriveAccount).one()
        plan = plans.create_plan(session, account.id, None, ["f"], [])
        files = [
            {
                "plan_id": plan.id,
                "position": n,
                "drive_item_id": f"file-{n}",
                "file_name": f"{n:05}.jpg",
                "folder_id": "f",
                "folder_name": "Ten thousand",
                "quick_xor_hash": f"hash-{n}",
            }
            for n in range(MANY)
        ]
        session.execute(insert(ImportPlanFile), files)
        plan.state = "ready"
        for step in (
            lambda: imports_board.propose(session, plan, "one"),
            lambda: check_tail(session, plan),
            lambda: imports_board.split_proposal(session, plan, find_first(session, plan)),
            lambda: imports_board.propose(session, plan, "each"),
            lambda: plans.describe_plan(session, plan),
            lambda: imports_board.list_bins(session, plan),
            lambda: imports_board.start_import(session, plan, None, True),
        ):
            counted.clear()
            step()
            session.flush()
            # SQLite needs no way to the server, and is told of each new group by itself.
            others = [one for one in counted if not one.startswith("INSERT INTO image_group")]
            assert len(others) < 30 * MANY / 1000, others[-1][:200]
            is_sqlite = session.get_bind().dialect.name == "sqlite"
            assert is_sqlite or len(counted) < 30 * MANY / 1000
        job = session.get_one(ImportJob, plan.job_id)
        assert job.item_count == MANY
        items = session.execute(
            select(
                func.count(ImportItem.group_id.distinct()),
                func.min(ImportItem.number),
                func.max(ImportItem.number),
                func.max(ImportItem.position),
            ).where(ImportItem.job_id == job.id)
        ).one()
        assert tuple(items) == (MANY, 1, 1, 1)
        titles = session.scalars(
            select(Group.title)
            .join(ImportItem, ImportItem.group_id == Group.id)
            .order_by(Group.sort_key.desc())
            .limit(2)
        ).all()
        assert titles == ["00000", "00001"]
        # Numbers are taken: who adds to one of these groups now comes second.
        group_id = session.scalar(select(func.max(ImportItem.group_id)))
        assert session.get_one(Group, group_id).next_image_number == 2


def find_first(session: Session, plan: ImportPlan) -> int:
    return imports_board.list_bins(session, plan)[0].proposal.id


def check_tail(session: Session, plan: ImportPlan) -> None:
    """The last pictures of the only group are shown where somebody goes on to them."""
    (one,) = imports_board.list_bins(session, plan, whole=find_first(session, plan), first=MANY - 3)
    names = [f"{n:05}.jpg" for n in range(MANY - 3, MANY)]
    assert [file.file_name for file in one.files] == names


@contextmanager
def count_statements() -> Iterator[list[str]]:
    """All SQL that is sent while the block runs."""
    sent: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        sent.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        event.remove(Engine, "before_cursor_execute", note)
