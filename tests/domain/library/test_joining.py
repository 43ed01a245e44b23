"""Joining groups, and restoring joined ones, on both databases."""

import pytest
from sqlalchemy.orm import Session

from imagehub.domain.library import bulk, groups, shots, tags, trash
from imagehub.domain.library import edit as library_edit
from imagehub.domain.library import images as library_images
from imagehub.domain.sharing import links
from imagehub.errors import InvalidInputError
from imagehub.models import ShareLink, TrashEntry
from tests.domain.library.editing import list_names, save
from tests.fixtures.site import Site


@pytest.fixture
def group_id(either_site: Site) -> int:
    return either_site.add_group(["a.jpg", "b.jpg", "c.jpg"])


def test_joining_merges_shots_fields_and_tags(
    either_site: Site, either_session: Session, group_id: int
) -> None:
    other = either_site.add_group(["y.jpg", "z.jpg"])
    save(either_session, group_id, title="Wave", tags="sea")
    save(either_session, other, title="Lost", medium="Oil", tags="winter, sea")
    twin = library_images.get_image(either_session, other, 1)
    twin.drive_item_id = library_images.get_image(either_session, group_id, 1).drive_item_id
    either_session.flush()
    group, gone = bulk.join_groups(either_session, [group_id, other], None)
    assert (group.id, gone) == (group_id, [other])
    assert list_names(either_session, group_id) == ["a.jpg", "b.jpg", "c.jpg", "z.jpg"]
    assert (group.title, group.medium) == ("Wave", "Oil")
    assert [tag.name for tag in tags.list_group_tags(either_session, group_id)] == ["sea", "winter"]
    # The file that was there twice waits in the trash.
    assert either_session.get_one(TrashEntry, other).state_before == "published"
    assert list_names(either_session, other) == ["y.jpg"]
    assert groups.count_shown_groups(either_session) == 1


def test_a_joined_group_is_restored_with_its_fields_and_shots(
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
    bulk.join_groups(either_session, [target, first, last], None)
    assert len(list_names(either_session, target)) == 6
    with pytest.raises(InvalidInputError):
        bulk.join_groups(either_session, [target, target], None)
    (one, _), _ = trash.list_trash(either_session)
    assert (one.target and one.target.id, one.joined_count) == (target, 2)

    group = trash.restore(either_session, last)
    assert group.id == last
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
    assert groups.recount_gallery(either_session) == 0


def test_share_links_to_a_joined_group_show_the_target(
    either_site: Site, either_session: Session, group_id: int
) -> None:
    other, third = either_site.add_group(["y.jpg"]), either_site.add_group()
    one, _ = links.create_share(either_session, None, [other, third])
    both, _ = links.create_share(either_session, None, [group_id, other])

    def list_shown(share: ShareLink) -> list[int]:
        return [group.id for group in links.list_shared_groups(either_session, share)]

    bulk.join_groups(either_session, [group_id, other], None)
    assert (list_shown(one), list_shown(both)) == ([group_id, third], [group_id])
    trash.restore(either_session, other)
    assert (list_shown(one), list_shown(both)) == ([other, third], [group_id, other])
