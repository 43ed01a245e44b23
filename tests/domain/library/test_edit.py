"""Editing groups and shots on both databases: words, conflicts, order, moving, joining."""

from collections.abc import Mapping

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from imagehub.domain.library import edit as library_edit
from imagehub.domain.library import (
    gallery_counts,
    groups,
    joining,
    order,
    search,
    shots,
    tags,
    trash,
)
from imagehub.domain.library import images as library_images
from imagehub.domain.library.edit import Edit, EditConflictError
from imagehub.domain.sharing import links
from imagehub.errors import ConflictError, InvalidInputError, NotFoundError
from imagehub.models import Group, Image, ShareLink, TrashEntry
from tests.fixtures.site import Site


@pytest.fixture
def group_id(either_site: Site) -> int:
    return either_site.add_group(["a.jpg", "b.jpg", "c.jpg"])


def save(session: Session, number: int, **changes: str) -> Group:
    group = groups.get_group(session, number)
    return library_edit.save_group(session, number, Edit(group.version, changes, {}))


def list_names(session: Session, number: int) -> list[str]:
    session.expire_all()
    return [image.name for image in library_images.list_images(session, number)]


def test_fields_are_tidied_and_saved_and_found(either_session: Session, group_id: int) -> None:
    group = save(
        either_session,
        group_id,
        title="  Great \t wave ",
        text="One.\r\n\r\nTwo.\n",
        tags="sea; Sea,  winter ",
        availability="sold",
        year="2024",
    )
    assert group.version == 2
    fields = library_edit.read_fields(either_session, group)
    assert fields["title"] == "Great wave"
    assert fields["text"] == "One.\n\nTwo."
    assert fields["tags"] == "sea, winter"
    assert fields["availability"] == "sold"
    # MariaDB's full-text index shows what is committed alone.
    either_session.commit()
    assert search.list_group_ids(either_session, "great winter") == [group_id]


def test_control_characters_are_no_part_of_a_text(either_session: Session, group_id: int) -> None:
    group = save(
        either_session,
        group_id,
        title="Wa\x00ve\x1b \x07",
        text="One\x00\ttab\r\nTwo\x9d\ud800\n",
        tags="se\x00a\x07\nwin\ter",
    )
    fields = library_edit.read_fields(either_session, group)
    assert (fields["title"], fields["text"]) == ("Wave", "One\ttab\nTwo")
    assert fields["tags"] == "sea, win er"
    edit = Edit(group.version, {"alt": "A\x00 crest\x7f"}, {})
    _, image = library_edit.save_image(either_session, group_id, 1, edit)
    assert image.alt == "A crest"


def test_saving_what_is_there_already_changes_nothing(
    either_session: Session, group_id: int
) -> None:
    save(either_session, group_id, title="Wave")
    assert save(either_session, group_id, title=" Wave ").version == 2


@pytest.mark.parametrize(
    "changes",
    [{"title": "x" * 301}, {"state": "trash"}, {"availability": "lost"}, {"sort_key": "1"}],
)
def test_what_does_not_fit_is_refused(
    either_session: Session, group_id: int, changes: Mapping[str, str]
) -> None:
    with pytest.raises(InvalidInputError):
        save(either_session, group_id, **changes)


def test_a_later_save_of_the_same_field_is_told_both_versions(
    either_session: Session, group_id: int
) -> None:
    library_edit.save_group(either_session, group_id, Edit(1, {"title": "Mine"}, {"title": ""}))
    with pytest.raises(EditConflictError) as caught:
        library_edit.save_group(
            either_session, group_id, Edit(1, {"title": "Yours"}, {"title": ""})
        )
    assert caught.value.version == 2
    assert caught.value.current == {"title": "Mine"}
    assert caught.value.yours == {"title": "Yours"}
    assert groups.get_group(either_session, group_id).title == "Mine"


def test_later_saves_of_other_fields_and_equal_ones_go_together(
    either_session: Session, group_id: int
) -> None:
    library_edit.save_group(either_session, group_id, Edit(1, {"title": "Mine"}, {"title": ""}))
    library_edit.save_group(either_session, group_id, Edit(1, {"title": "Mine"}, {"title": ""}))
    group = library_edit.save_group(either_session, group_id, Edit(1, {"year": "1"}, {"year": ""}))
    assert (group.title, group.year, group.version) == ("Mine", "1", 3)


def test_a_save_without_what_was_seen_conflicts_with_any_other(
    either_session: Session, group_id: int
) -> None:
    save(either_session, group_id, title="Mine")
    with pytest.raises(EditConflictError):
        library_edit.save_group(either_session, group_id, Edit(1, {"year": "1"}, {}))


def test_a_draft_leaves_the_gallery_and_comes_back(either_session: Session, group_id: int) -> None:
    save(either_session, group_id, state="draft")
    assert gallery_counts.count_shown_groups(either_session) == 0
    save(either_session, group_id, state="published")
    assert gallery_counts.count_shown_groups(either_session) == 1


def test_alt_text_and_role_of_a_shot(either_session: Session, group_id: int) -> None:
    group, image = library_edit.save_image(
        either_session, group_id, 2, Edit(1, {"alt": " A  wave\n", "role": "detail"}, {})
    )
    assert (image.alt, image.role, image.has_alt, group.version) == ("A wave", "detail", True, 2)
    _, image = library_edit.save_image(
        either_session, group_id, 2, Edit(1, {"alt": ""}, {"alt": "A wave"})
    )
    assert not image.has_alt
    with pytest.raises(EditConflictError):
        library_edit.save_image(either_session, group_id, 2, Edit(1, {"alt": "b"}, {"alt": "c"}))
    with pytest.raises(InvalidInputError):
        library_edit.save_image(either_session, group_id, 2, Edit(3, {"role": "king"}, {}))
    with pytest.raises(NotFoundError):
        library_edit.save_image(either_session, group_id, 9, Edit(3, {"alt": "b"}, {}))


def test_a_chosen_cover_stands_for_the_group_until_it_leaves(
    either_session: Session, group_id: int
) -> None:
    group = shots.set_cover(either_session, group_id, 3)
    chosen = library_images.find_cover(either_session, group)
    assert chosen is not None
    assert chosen.name == "c.jpg"
    shots.move_shots(either_session, group_id, [3], None)
    either_session.expire_all()
    first = library_images.find_cover(either_session, group)
    assert first is not None
    assert first.name == "a.jpg"


def test_shots_are_put_in_order(either_session: Session, group_id: int) -> None:
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


def list_order(session: Session) -> list[int]:
    return list(session.scalars(select(Group.id).order_by(Group.sort_key.desc())))


def test_groups_are_put_in_order(either_site: Site, either_session: Session) -> None:
    first, second, third = (either_site.add_group() for _ in range(3))
    assert list_order(either_session) == [third, second, first]
    order.place_group(either_session, first, before=third)
    assert list_order(either_session) == [first, third, second]
    order.place_group(either_session, first, after=third)
    assert list_order(either_session) == [third, first, second]
    order.place_group(either_session, third)
    assert list_order(either_session) == [first, second, third]
    order.step_group(either_session, third, -1)
    assert list_order(either_session) == [first, third, second]
    order.step_group(either_session, first, 1)
    assert list_order(either_session) == [third, first, second]
    order.step_group(either_session, third, -1)
    assert list_order(either_session) == [third, first, second]
    assert gallery_counts.recount_gallery(either_session) == 0


def test_shots_split_off_stand_right_behind_with_numbers_of_their_own(
    either_site: Site, either_session: Session, group_id: int
) -> None:
    top = either_site.add_group()
    save(either_session, group_id, title="Wave")
    made = shots.move_shots(either_session, group_id, [2, 3], None)
    assert list_names(either_session, made.id) == ["b.jpg", "c.jpg"]
    assert [image.number for image in library_images.list_images(either_session, made.id)] == [1, 2]
    assert made.title == "Wave"
    assert list_order(either_session) == [top, group_id, made.id]
    assert (made.image_count, made.is_shown) == (2, True)
    with pytest.raises(NotFoundError):
        library_images.get_image(either_session, group_id, 2)


def test_shots_move_to_another_group_and_back_without_using_numbers_again(
    either_site: Site, either_session: Session, group_id: int
) -> None:
    other = either_site.add_group(["z.jpg"])
    shots.move_shots(either_session, group_id, [1], other)
    assert list_names(either_session, other) == ["z.jpg", "a.jpg"]
    shots.move_shots(either_session, other, [2], group_id)
    numbers = [image.number for image in library_images.list_images(either_session, group_id)]
    assert numbers == [2, 3, 4]
    assert list_names(either_session, group_id) == ["b.jpg", "c.jpg", "a.jpg"]


def test_a_file_that_the_other_group_has_does_not_move(
    either_site: Site, either_session: Session, group_id: int
) -> None:
    other = either_site.add_group(["z.jpg"])
    twin = library_images.get_image(either_session, other, 1)
    twin.drive_item_id = library_images.get_image(either_session, group_id, 1).drive_item_id
    either_session.flush()
    with pytest.raises(ConflictError):
        shots.move_shots(either_session, group_id, [1], other)


def test_joined_groups_are_one_with_all_shots_words_and_tags(
    either_site: Site, either_session: Session, group_id: int
) -> None:
    other = either_site.add_group(["y.jpg", "z.jpg"])
    save(either_session, group_id, title="Wave", tags="sea")
    save(either_session, other, title="Lost", medium="Oil", tags="winter, sea")
    twin = library_images.get_image(either_session, other, 1)
    twin.drive_item_id = library_images.get_image(either_session, group_id, 1).drive_item_id
    either_session.flush()
    group, gone = joining.join_groups(either_session, [group_id, other], None)
    assert (group.id, gone) == (group_id, [other])
    assert list_names(either_session, group_id) == ["a.jpg", "b.jpg", "c.jpg", "z.jpg"]
    assert (group.title, group.medium) == ("Wave", "Oil")
    assert [tag.name for tag in tags.list_group_tags(either_session, group_id)] == ["sea", "winter"]
    # The file that was there twice waits in the trash.
    assert either_session.get_one(TrashEntry, other).state_before == "published"
    assert list_names(either_session, other) == ["y.jpg"]
    assert gallery_counts.count_shown_groups(either_session) == 1


def test_a_joined_group_comes_back_with_its_words_and_shots(
    either_site: Site, either_session: Session
) -> None:
    """In either order of their numbers, and each by itself."""
    numbers = [either_site.add_group([f"{name}1.jpg", f"{name}2.jpg"]) for name in "abc"]
    first, target, last = numbers
    words = {"title": "Lost", "text": "Words.", "tags": "sea, winter"}
    for number in (first, last):
        save(either_session, number, **words, state="draft")
    save(either_session, target, text="Its own.")
    shots.order_shots(either_session, last, [2], 1)
    shots.set_cover(either_session, last, 1)
    joining.join_groups(either_session, [target, first, last], None)
    assert len(list_names(either_session, target)) == 6
    with pytest.raises(InvalidInputError):
        joining.join_groups(either_session, [target, target], None)
    (one, _), _ = trash.list_trash(either_session)
    assert (one.target and one.target.id, one.joined_count) == (target, 2)

    group, keys = trash.restore(either_session, last)
    assert (group.id, keys) == (last, [])
    assert list_names(either_session, target) == ["b1.jpg", "b2.jpg", "a1.jpg", "a2.jpg"]
    assert list_names(either_session, last) == ["c2.jpg", "c1.jpg"]
    assert [image.number for image in library_images.list_images(either_session, last)] == [2, 1]
    cover = library_images.find_cover(either_session, group)
    assert cover is not None
    assert cover.name == "c1.jpg"
    fields = library_edit.read_fields(either_session, group)
    assert {name: fields[name] for name in words} == words
    assert (group.state, group.is_shown) == ("draft", False)
    # A shot that is somewhere else by then stays there.
    shots.move_shots(either_session, target, [3], last)
    trash.restore(either_session, first)
    assert list_names(either_session, first) == ["a2.jpg"]
    assert list_names(either_session, target) == ["b1.jpg", "b2.jpg"]
    assert gallery_counts.recount_gallery(either_session) == 0


def test_links_to_a_joined_group_show_the_one_that_has_its_shots(
    either_site: Site, either_session: Session, group_id: int
) -> None:
    other, third = either_site.add_group(["y.jpg"]), either_site.add_group()
    one, _ = links.create_share(either_session, None, [other, third])
    both, _ = links.create_share(either_session, None, [group_id, other])

    def list_shown(share: ShareLink) -> list[int]:
        return [group.id for group in links.list_shared_groups(either_session, share)]

    joining.join_groups(either_session, [group_id, other], None)
    assert (list_shown(one), list_shown(both)) == ([group_id, third], [group_id])
    trash.restore(either_session, other)
    assert (list_shown(one), list_shown(both)) == ([other, third], [group_id, other])


def test_many_groups_are_edited_at_once(either_site: Site, either_session: Session) -> None:
    numbers = [either_site.add_group() for _ in range(3)]
    save(either_session, numbers[0], tags="sea, Old")
    count = library_edit.bulk_edit(
        either_session, numbers, {"year": "2026", "state": "draft"}, ["Winter"], ["old"]
    )
    assert count == 3
    for number in numbers:
        group = groups.get_group(either_session, number)
        assert (group.year, group.state, group.is_shown) == ("2026", "draft", False)
    first = groups.get_group(either_session, numbers[0])
    assert library_edit.read_fields(either_session, first)["tags"] == "sea, Winter"
    assert library_edit.bulk_edit(either_session, numbers, {"year": "2026"}) == 0
    with pytest.raises(InvalidInputError):
        library_edit.bulk_edit(either_session, numbers, {"title": "All the same"})


def test_nothing_in_the_trash_can_be_edited(either_session: Session, group_id: int) -> None:
    either_session.get_one(Group, group_id).state = "trash"
    either_session.flush()
    for change in (
        lambda: save(either_session, group_id, title="x"),
        lambda: shots.set_cover(either_session, group_id, 1),
        lambda: shots.order_shots(either_session, group_id, [1], None),
        lambda: library_edit.bulk_edit(either_session, [group_id], {"year": "1"}),
    ):
        with pytest.raises(NotFoundError):
            change()


def test_each_image_knows_whether_it_has_an_alt_text(
    either_session: Session, group_id: int
) -> None:
    assert set(either_session.scalars(select(Image.has_alt))) == {True}
