"""The first proposals of a plan, in each way to make groups."""

from datetime import datetime

import pytest

from imagehub.domain.imports.board import proposals
from tests.fixtures.importing import ImportHub
from tests.fixtures.planning import list_board, make_plan


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
                    "",
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
def test_groups_are_proposed_in_each_way(
    studio: ImportHub, way: str, board: list[tuple[str, list[str]]]
) -> None:
    plan = make_plan(studio, "Studio")
    proposals.propose(studio.session, plan, way)
    assert list_board(studio, plan) == board
    proposals.propose(studio.session, plan, "folder")
    proposals.propose(studio.session, plan, way)
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
    for one in proposals.list_bins(studio.session, plan):
        for file in one.files:
            file.taken_at = times[file.file_name]
    proposals.propose(studio.session, plan, "time")
    assert list_board(studio, plan) == [
        ("2023-01-01 00:00", ["harbour-back.jpg"]),
        ("2024-05-01 12:00", ["mill_1.jpg", "mill_2.jpg", "IMG_1.jpg"]),
        ("2024-05-01 12:29", ["IMG_2.jpg"]),
        ("", ["harbour-front.jpg"]),
    ]
