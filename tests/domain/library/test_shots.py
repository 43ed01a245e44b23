"""Covers, the order of shots, and moving shots to other groups, on both databases."""

import pytest
from sqlalchemy.orm import Session

from imagehub.domain.library import groups, shots
from imagehub.domain.library import images as library_images
from imagehub.domain.translations import read_translations, write_translation
from imagehub.errors import ConflictError, NotFoundError
from tests.domain.library.editing import list_names, list_order, save
from tests.fixtures.site import Site


@pytest.fixture
def group_id(either_site: Site) -> int:
    return either_site.add_group(["a.jpg", "b.jpg", "c.jpg"])


def test_the_cover_is_reset_when_its_shot_leaves(either_session: Session, group_id: int) -> None:
    group = shots.set_cover(either_session, group_id, 3)
    chosen = library_images.find_cover(either_session, group)
    assert chosen is not None
    assert chosen.name == "c.jpg"
    shots.split_shots(either_session, group_id, [3])
    either_session.expire_all()
    first = library_images.find_cover(either_session, group)
    assert first is not None
    assert first.name == "a.jpg"


def test_shots_are_moved_in_the_order(either_session: Session, group_id: int) -> None:
    shots.order_shots(either_session, group_id, [3], 1)
    assert list_names(either_session, group_id) == ["c.jpg", "a.jpg", "b.jpg"]
    shots.order_shots(either_session, group_id, [3, 1], None)
    assert list_names(either_session, group_id) == ["b.jpg", "c.jpg", "a.jpg"]
    shots.step_shot(either_session, group_id, 1, -1)
    assert list_names(either_session, group_id) == ["b.jpg", "a.jpg", "c.jpg"]
    shots.step_shot(either_session, group_id, 1, 1)
    shots.step_shot(either_session, group_id, 1, 1)
    assert list_names(either_session, group_id) == ["b.jpg", "c.jpg", "a.jpg"]
    with pytest.raises(NotFoundError):
        shots.order_shots(either_session, group_id, [7], None)


def test_split_shots_get_new_numbers_in_a_group_right_behind(
    either_site: Site, either_session: Session, group_id: int
) -> None:
    top = either_site.add_group()
    save(either_session, group_id, title="Wave")
    made = shots.split_shots(either_session, group_id, [2, 3])
    assert list_names(either_session, made.id) == ["b.jpg", "c.jpg"]
    assert [image.number for image in library_images.list_images(either_session, made.id)] == [1, 2]
    assert made.title == "Wave"
    assert list_order(either_session) == [top, group_id, made.id]
    assert (made.image_count, made.is_shown) == (2, True)
    with pytest.raises(NotFoundError):
        library_images.get_image(either_session, group_id, 2)


def test_moved_shots_never_reuse_a_number(
    either_site: Site, either_session: Session, group_id: int
) -> None:
    other = either_site.add_group(["z.jpg"])
    shots.move_shots(either_session, group_id, [1], other)
    assert list_names(either_session, other) == ["z.jpg", "a.jpg"]
    shots.move_shots(either_session, other, [2], group_id)
    numbers = [image.number for image in library_images.list_images(either_session, group_id)]
    assert numbers == [2, 3, 4]
    assert list_names(either_session, group_id) == ["b.jpg", "c.jpg", "a.jpg"]


def test_an_image_of_a_file_that_the_target_has_is_not_moved(
    either_site: Site, either_session: Session, group_id: int
) -> None:
    other = either_site.add_group(["z.jpg"])
    twin = library_images.get_image(either_session, other, 1)
    twin.drive_item_id = library_images.get_image(either_session, group_id, 1).drive_item_id
    either_session.flush()
    with pytest.raises(ConflictError):
        shots.move_shots(either_session, group_id, [1], other)


def test_split_shots_keep_the_translations_of_their_title(
    either_site: Site, either_session: Session
) -> None:
    group_id = either_site.add_group(["a.jpg", "b.jpg"])
    group = groups.get_group(either_session, group_id)
    write_translation(either_session, group, "de", {"title": "See", "text": "Wasser"})
    made = shots.split_shots(either_session, group_id, [2])
    texts = read_translations(either_session, [made], "de")[made]
    assert (texts["title"], texts["text"]) == ("See", "")
