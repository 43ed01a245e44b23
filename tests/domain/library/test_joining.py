"""Joining groups, and restoring joined ones, on both databases."""

import pytest
from sqlalchemy.orm import Session

from imagehub.domain.library import bulk, groups, series, series_edit, shots, tags, trash
from imagehub.domain.library import edit as library_edit
from imagehub.domain.library import images as library_images
from imagehub.domain.library.series_counts import recount_series
from imagehub.domain.sharing import links
from imagehub.domain.translations import read_translations, write_translation
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


def test_a_joined_group_leaves_its_series_and_translations_to_the_target(
    either_site: Site, either_session: Session, group_id: int
) -> None:
    session = either_session
    other, beside = either_site.add_group(["y.jpg"]), either_site.add_group()
    sea = series_edit.create_series(session, "Sea", [other, beside])
    both = series_edit.create_series(session, "Both", [group_id, beside, other])
    save(session, other, title="Lost", text="Words.")
    save(session, group_id, title="Wave")
    texts = {"title": "Perdu", "text": "Des mots."}
    write_translation(session, groups.get_group(session, other), "fr", texts)

    def read() -> list[list[int]]:
        session.expire_all()
        assert recount_series(session) == 0
        pages = (series.get_series_page(session, one, 1) for one in (sea, both))
        return [[tile.group.id for tile in page.tiles] for page in pages]

    assert read() == [[other, beside], [group_id, beside, other]]
    target, _ = bulk.join_groups(session, [group_id, other], None)
    assert read() == [[group_id, beside], [group_id, beside]]
    kept = read_translations(session, [target], "fr")[target]
    assert (kept["title"], kept["text"]) == ("", "Des mots.")
    trash.restore(session, other)
    assert read() == [[other, beside], [group_id, beside, other]]


@pytest.mark.parametrize(
    ("own", "others", "after"),
    [
        ("public", "share", "share"),
        ("nowhere", "public", "nowhere"),
        ("public", "public", "public"),
    ],
)
def test_a_price_is_seen_by_nobody_else_after_joining(
    either_site: Site, either_session: Session, group_id: int, own: str, others: str, after: str
) -> None:
    other = either_site.add_group(["y.jpg"])
    save(either_session, group_id, price_shown=own)
    save(either_session, other, price="1250", currency="CHF", price_shown=others)
    group, _ = bulk.join_groups(either_session, [group_id, other], None)
    assert (group.price, group.currency, group.price_shown) == ("1250", "CHF", after)


def test_shots_on_their_own_keep_the_choice_of_tiles_and_the_credits(
    either_site: Site, either_session: Session, group_id: int
) -> None:
    save(either_session, group_id, creator="Ben")
    groups.get_group(either_session, group_id).tiles = "off"
    fresh = shots.split_shots(either_session, group_id, [2])
    assert (fresh.creator, fresh.tiles) == ("Ben", "off")
    bag = trash.trash_images(either_session, group_id, [3], None)
    trash.trash_groups(either_session, [group_id], None)
    alone = trash.restore(either_session, bag)
    assert alone.id == bag
    assert (alone.state, alone.creator, alone.tiles) == ("published", "Ben", "off")


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
