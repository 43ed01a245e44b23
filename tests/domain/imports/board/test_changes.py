"""Arranging a board."""

import pytest

from imagehub.domain.imports import plans
from imagehub.domain.imports.board import changes, proposals
from imagehub.errors import InvalidInputError, NotFoundError
from tests.fixtures.importing import ImportHub, make_jpeg
from tests.fixtures.planning import find_files, find_proposal, list_board, make_plan


def test_split_files_form_a_group_behind_their_old_one(studio: ImportHub) -> None:
    plan = make_plan(studio, "Studio")
    files = find_files(studio, plan, "mill_2.jpg", "mill_1.jpg")
    changes.move_files(studio.session, plan, files, None)
    assert list_board(studio, plan) == [
        ("Studio", ["harbour-front.jpg", "harbour-back.jpg"]),
        ("Mill", ["mill_1.jpg", "mill_2.jpg"]),
        ("Inside", ["IMG_1.jpg", "IMG_2.jpg"]),
    ]


def test_files_move_before_another_and_empty_groups_are_deleted(studio: ImportHub) -> None:
    plan = make_plan(studio, "Studio")
    to = find_proposal(studio, plan, "Studio")
    before = find_files(studio, plan, "harbour-back.jpg")[0]
    files = find_files(studio, plan, "IMG_1.jpg", "IMG_2.jpg", "mill_2.jpg")
    changes.move_files(studio.session, plan, files, to, before)
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


def test_groups_are_joined_renamed_and_split(studio: ImportHub) -> None:
    plan = make_plan(studio, "Studio")
    inside = find_proposal(studio, plan, "Inside")
    changes.rename_proposal(studio.session, plan, inside, "  Deep   inside ")
    changes.split_proposal(studio.session, plan, find_proposal(studio, plan, "Studio"))
    assert [title for title, _ in list_board(studio, plan)] == [
        "Studio",
        "Harbour back",
        "Mill 1",
        "Mill 2",
        "Deep inside",
    ]
    changes.join_with_previous(studio.session, plan, inside)
    for title in ("Mill 2", "Harbour back"):
        changes.join_with_previous(studio.session, plan, find_proposal(studio, plan, title))
    assert list_board(studio, plan) == [
        ("Studio", ["harbour-front.jpg", "harbour-back.jpg"]),
        ("Mill 1", ["mill_1.jpg", "mill_2.jpg", "IMG_1.jpg", "IMG_2.jpg"]),
    ]
    with pytest.raises(InvalidInputError):
        first = find_proposal(studio, plan, "Studio")
        changes.join_with_previous(studio.session, plan, first)


def test_files_that_cannot_be_imported_cannot_be_included(studio: ImportHub) -> None:
    plan = make_plan(studio, "Studio")
    (unusable,) = plans.list_unusable(studio.session, plan)
    changes.include_files(studio.session, plan, [unusable.id], True)
    assert not unusable.is_chosen
    with pytest.raises(InvalidInputError):
        changes.include_verdict(studio.session, plan, "unsupported", True)


def test_including_a_group_leaves_its_duplicates_excluded(
    studio: ImportHub,
) -> None:
    studio.put_files("Studio", {"mill_3.jpg": make_jpeg(3)})
    plan = make_plan(studio, "Studio")
    proposals.propose(studio.session, plan, "stem")
    mill = find_proposal(studio, plan, "Mill")

    def list_chosen() -> list[str]:
        (one,) = (b for b in proposals.list_bins(studio.session, plan) if b.proposal.id == mill)
        return [file.file_name for file in one.files if file.is_chosen]

    changes.include_proposal(studio.session, plan, mill, is_included=False)
    assert list_chosen() == []
    changes.include_proposal(studio.session, plan, mill, is_included=True)
    assert list_chosen() == ["mill_1.jpg", "mill_2.jpg"]
    move = find_files(studio, plan, "mill_3.jpg")
    alone = changes.move_files(studio.session, plan, move, None)
    changes.include_proposal(studio.session, plan, alone, is_included=True)
    assert [b.chosen_count for b in proposals.list_bins(studio.session, plan)].count(0) == 0


def test_each_group_counts_its_included_files(studio: ImportHub) -> None:
    plan = make_plan(studio, "Studio")
    changes.include_files(
        studio.session, plan, find_files(studio, plan, "harbour-front.jpg"), False
    )
    counts = [
        (one.chosen_count, one.file_count) for one in proposals.list_bins(studio.session, plan)
    ]
    assert counts == [(3, 4), (2, 2)]


def test_files_and_groups_of_another_board_are_not_found(studio: ImportHub) -> None:
    one, other = make_plan(studio, "Studio"), make_plan(studio, "Studio")
    files = find_files(studio, other, "mill_1.jpg")
    with pytest.raises(NotFoundError):
        changes.move_files(studio.session, one, files, None)
    with pytest.raises(NotFoundError):
        changes.include_files(studio.session, one, files, False)
    proposal = find_proposal(studio, other, "Studio")
    with pytest.raises(NotFoundError):
        changes.rename_proposal(studio.session, one, proposal, "Mine")
