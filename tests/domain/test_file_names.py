"""What the names of files say: titles, roles, the order of shots."""

import pytest

from imagehub.domain import file_names
from imagehub.domain.library.edit import ROLES


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("Harbour-2_front (1).jpg", "Harbour"),
        ("old mill detail 03.JPG", "old mill"),
        ("IMG_4711.jpg", "IMG 4711"),
        ("DSC00012.NEF", "DSC00012"),
        ("2024-05-01.jpg", "2024 05 01"),
        ("front.jpg", "front"),
        ("大波_1.png", "大波"),
        (".jpg", "jpg"),
        ("a", "a"),
    ],
)
def test_a_file_name_gives_the_title_of_the_work(name: str, stem: str) -> None:
    assert file_names.split_stem(name) == stem


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("harbour-front.jpg", "front"),
        ("Hafen Rückseite.jpg", "back"),
        ("harbour_detail 03.JPG", "detail"),
        ("harbour back signature.tif", "signature"),
        ("4 room.jpg", "place"),
        ("harbour in situ.jpg", "place"),
        ("back.jpg", "back"),
        ("Back to the harbour.jpg", ""),
        ("A quiet room.jpg", ""),
        ("IMG_4711.jpg", ""),
        ("side.jpg", ""),
        ("a.jpg", ""),
    ],
)
def test_a_file_name_gives_the_role_of_a_shot(name: str, role: str) -> None:
    assert file_names.guess_role(name) == role
    assert role in ROLES


@pytest.mark.parametrize(
    "names",
    [
        ("page 1.jpg", "page 2.jpg", "page 10.jpg"),
        ("harbour-front.jpg", "harbour-back.jpg", "harbour-detail.jpg"),
        ("harbour.jpg", "harbour-2.jpg", "harbour-10.jpg", "mill-front.jpg", "mill-back.jpg"),
        ("front.jpg", "back.jpg", "detail.jpg"),
        ("1 front.jpg", "2 detail.jpg", "10 back.jpg"),
        ("Hafen-vorne.jpg", "Hafen-hinten.jpg", "Hafen-signatur.jpg"),
        ("IMG_0001.JPG", "IMG_0001 copy.JPG", "IMG_0002.JPG", "IMG_0010.JPG"),
    ],
)
def test_shots_are_sorted_by_work_front_first_and_two_before_ten(names: tuple[str, ...]) -> None:
    assert sorted(sorted(names), key=file_names.make_shot_key) == list(names)
