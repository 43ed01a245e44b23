"""Print files with works whose cover is a video: their stills are printed, and it is said so."""

import pytest
from sqlalchemy import select

from imagehub.domain.prints import files
from imagehub.models import Group
from tests.domain.prints.test_making import (
    check_no_picture_is_stretched,
    get_row,
    list_pictures,
    make_original,
    read_pdf,
    request,
    work,
)
from tests.fixtures.checking import check, find_image
from tests.fixtures.drawn import encode, make_picture
from tests.fixtures.importing import ImportHub
from tests.imaging.video.files import make_mp4


@pytest.fixture
def hub(import_hub: ImportHub) -> ImportHub:
    """With a work of a picture and one of a film."""
    still = encode(make_picture(size=(2000, 1125)), "JPEG")
    works = {"a.jpg": make_original(), "b.mp4": make_mp4(content=still)}
    for name, data in works.items():
        selection = import_hub.put_files(name[0], {name: data})
        assert import_hub.work(import_hub.create(selection)) == ["done"]
    for group, title in zip(
        import_hub.session.scalars(select(Group)), ("Ember", "Tide"), strict=True
    ):
        group.title = title
    import_hub.session.commit()
    return import_hub


def read_problems(hub: ImportHub, number: int) -> list[tuple[int, str]]:
    row = get_row(hub, number)
    assert (row.state, row.reason) == ("ready", "")
    return [(group_id, words) for group_id, _, words in files.list_problems(row)]


def test_a_catalogue_prints_the_still_and_says_so(hub: ImportHub) -> None:
    number = request(hub)
    hub.onedrive.clear_log()
    assert work(hub) == 1
    reason = "Printed from a smaller copy. The picture of a video is its still."
    assert read_problems(hub, number) == [(2, reason)]
    pdf = read_pdf(hub, number)
    _, still = list_pictures(pdf)
    assert still.width == 1920
    check_no_picture_is_stretched(pdf)
    # The film itself is not read.
    assert len(hub.onedrive.log(path="download.aspx")) == 1


@pytest.mark.parametrize(("kind", "pictures"), [("prices", 2), ("labels", 0), ("catalogue", 2)])
def test_small_pictures_of_films_have_enough_pixels(
    hub: ImportHub, kind: str, pictures: int
) -> None:
    number = request(hub, kind, per_page=2)
    assert work(hub) == 1
    assert read_problems(hub, number) == []
    assert len(list_pictures(read_pdf(hub, number))) == pictures


def test_a_still_of_few_pixels_is_named_with_its_resolution(hub: ImportHub) -> None:
    still = encode(make_picture(size=(640, 360)), "JPEG")
    hub.work(hub.create(hub.put_files("c", {"c.mp4": make_mp4(content=still)})))
    number = request(hub)
    assert work(hub) == 1
    problems = [words for group_id, words in read_problems(hub, number) if group_id == 3]
    assert problems == [
        "Printed from a smaller copy. The picture of a video is its still.",
        "At its printed size, this picture has only 98 pixels per inch instead of 300.",
    ]


def test_a_film_that_is_gone_from_onedrive_is_printed_all_the_same(hub: ImportHub) -> None:
    (hub.onedrive.root / "b" / "b.mp4").unlink()
    check(hub)
    assert find_image(hub, "b.mp4").drive_state == "missing"
    number = request(hub)
    assert work(hub) == 1
    assert len(list_pictures(read_pdf(hub, number))) == 2
