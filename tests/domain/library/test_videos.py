"""Videos among similar works and duplicates: black first frames say nothing about a video."""

import base64

import pytest

from imagehub.domain.library import groups, similar
from imagehub.domain.library import images as library_images
from imagehub.imaging.likeness import is_even, make_look
from tests.domain.library.test_similar import Paint, forest, paint, sea, sunset
from tests.fixtures.site import Site


def black(_x: float, _y: float) -> tuple[int, int, int]:
    return (0, 0, 0)


def almost_black(x: float, y: float) -> tuple[int, int, int]:
    """Paint the noise of a coded frame."""
    return (3 + int(7 * x) % 2, 2, 4 + int(5 * y) % 2)


def titles(x: float, y: float) -> tuple[int, int, int]:
    return (240, 240, 240) if 0.3 < x < 0.7 and 0.4 < y < 0.6 else (0, 0, 0)


def add_work(site: Site, picture: Paint, codec: str = "H.264") -> int:
    number = site.add_group()
    with site.session() as session:
        [image] = library_images.list_images(session, number)
        image.thumbhash, image.video_codec = base64.b64encode(paint(picture)).decode(), codec
        groups.refresh_group(session, number)
    return number


def list_similar(site: Site, number: int) -> list[int]:
    with site.session() as session:
        return similar.list_similar_ids(session, number)


@pytest.mark.parametrize("picture", [black, almost_black])
def test_films_that_begin_with_a_black_frame_are_not_similar(site: Site, picture: Paint) -> None:
    one, other = add_work(site, picture), add_work(site, black)
    painting = add_work(site, black, codec="")
    assert list_similar(site, one) == list_similar(site, other) == []
    # Of a picture its colour says all, as before.
    assert list_similar(site, painting) == []
    black_painting = add_work(site, black, codec="")
    assert list_similar(site, painting) == [black_painting]


def test_stills_that_show_something_are_compared(site: Site) -> None:
    one, other = add_work(site, sunset), add_work(site, sunset)
    assert list_similar(site, one) == [other]
    add_work(site, sea)
    first, second = add_work(site, titles), add_work(site, titles)
    assert list_similar(site, first) == [second]


def test_a_new_still_is_compared_again(site: Site) -> None:
    one, other = add_work(site, forest, codec=""), add_work(site, black)
    with site.session() as session:
        [image] = library_images.list_images(session, other)
        image.thumbhash = base64.b64encode(paint(forest)).decode()
        groups.refresh_group(session, other)
    assert list_similar(site, one) == [other]


def test_an_even_look_has_no_structure() -> None:
    even = {one.__name__: is_even(make_look(paint(one))) for one in (black, almost_black)}
    assert even == {"black": True, "almost_black": True}
    assert not any(is_even(make_look(paint(one))) for one in (titles, sunset, sea, forest))
