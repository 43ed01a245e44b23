"""The sorting of Microsoft's refusals."""

from collections import Counter

import pytest

from imagehub.clients.refusals import NUMBERS, Remedy, find_remedy, read_numbers


def test_every_published_number_is_sorted_once() -> None:
    counts = Counter(number for numbers in NUMBERS.values() for number in numbers)
    assert [number for number, count in counts.items() if count > 1] == []
    # The list of 24 April 2024, and those that were published beside it, without 165004.
    assert len(counts) == 306


@pytest.mark.parametrize(
    ("number", "remedy"),
    [
        (50196, Remedy.RETRY),
        (90033, Remedy.RETRY),
        (50089, Remedy.RETRY),
        (90055, Remedy.RETRY),
        (50053, Remedy.RETRY),
        (50173, Remedy.SIGN_IN),
        (70043, Remedy.SIGN_IN),
        (50076, Remedy.SIGN_IN),
        (65001, Remedy.SIGN_IN),
        (9002341, Remedy.SIGN_IN),
        (53003, Remedy.ADMINISTRATOR),
        (50105, Remedy.ADMINISTRATOR),
        (90094, Remedy.ADMINISTRATOR),
        (7000112, Remedy.ADMINISTRATOR),
        (7000222, Remedy.REGISTRATION),
        (700016, Remedy.REGISTRATION),
        (50011, Remedy.REGISTRATION),
        (165004, Remedy.UNKNOWN),
        (4711, Remedy.UNKNOWN),
    ],
)
def test_the_number_decides_before_the_error(number: int, remedy: Remedy) -> None:
    assert find_remedy({"error": "invalid_grant", "error_codes": [number]}) is remedy


def test_the_first_known_number_decides() -> None:
    answer = {"error": "invalid_grant", "error_codes": [4711, 50196, 50173]}
    assert find_remedy(answer) is Remedy.RETRY


@pytest.mark.parametrize(
    ("answer", "numbers"),
    [
        ({}, []),
        ({"error_codes": [50173]}, [50173]),
        ({"error_codes": "50173", "error_description": "AADSTS70008: Expired."}, [70008]),
        ({"error_codes": [None, "x", -1], "error_description": None}, []),
        ({"error_description": "AADSTS50196: AADSTS90033."}, [50196, 90033]),
    ],
)
def test_numbers_are_read_from_any_answer(answer: dict[str, object], numbers: list[int]) -> None:
    assert read_numbers(answer) == numbers
