"""How files are put into groups before anybody has looked at them."""

import pytest

from imagehub.domain import import_ways


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
def test_the_work_is_read_out_of_a_file_name(name: str, stem: str) -> None:
    assert import_ways.split_stem(name) == stem
