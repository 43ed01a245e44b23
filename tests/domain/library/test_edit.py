"""Editing fields of groups and shots, and conflicts, on both databases."""

from collections.abc import Mapping

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from imagehub.domain.library import bulk, groups, search, shots
from imagehub.domain.library import edit as library_edit
from imagehub.domain.library.bulk import BulkEdit
from imagehub.domain.library.edit import Edit, EditConflictError
from imagehub.errors import InvalidInputError, NotFoundError
from imagehub.models import Group, Image
from tests.domain.library.editing import save
from tests.fixtures.site import Site


@pytest.fixture
def group_id(either_site: Site) -> int:
    return either_site.add_group(["a.jpg", "b.jpg", "c.jpg"])


def test_fields_are_normalized_saved_and_searchable(either_session: Session, group_id: int) -> None:
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


def test_control_characters_are_removed(either_session: Session, group_id: int) -> None:
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


def test_saving_unchanged_values_changes_nothing(either_session: Session, group_id: int) -> None:
    save(either_session, group_id, title="Wave")
    assert save(either_session, group_id, title=" Wave ").version == 2


@pytest.mark.parametrize(
    "changes",
    [{"title": "x" * 301}, {"state": "trash"}, {"availability": "lost"}, {"sort_key": "1"}],
)
def test_invalid_values_are_refused(
    either_session: Session, group_id: int, changes: Mapping[str, str]
) -> None:
    with pytest.raises(InvalidInputError):
        save(either_session, group_id, **changes)


def test_two_edits_of_one_field_conflict(either_session: Session, group_id: int) -> None:
    library_edit.save_group(either_session, group_id, Edit(1, {"title": "Mine"}, {"title": ""}))
    with pytest.raises(EditConflictError) as caught:
        library_edit.save_group(
            either_session, group_id, Edit(1, {"title": "Yours"}, {"title": ""})
        )
    assert caught.value.version == 2
    assert caught.value.current == {"title": "Mine"}
    assert caught.value.yours == {"title": "Yours"}
    assert groups.get_group(either_session, group_id).title == "Mine"


def test_edits_of_different_fields_are_merged(either_session: Session, group_id: int) -> None:
    library_edit.save_group(either_session, group_id, Edit(1, {"title": "Mine"}, {"title": ""}))
    library_edit.save_group(either_session, group_id, Edit(1, {"title": "Mine"}, {"title": ""}))
    group = library_edit.save_group(either_session, group_id, Edit(1, {"year": "1"}, {"year": ""}))
    assert (group.title, group.year, group.version) == ("Mine", "1", 3)


def test_an_edit_without_base_values_conflicts_with_any_other(
    either_session: Session, group_id: int
) -> None:
    save(either_session, group_id, title="Mine")
    with pytest.raises(EditConflictError):
        library_edit.save_group(either_session, group_id, Edit(1, {"year": "1"}, {}))


def test_unpublishing_hides_a_group_and_publishing_shows_it(
    either_session: Session, group_id: int
) -> None:
    save(either_session, group_id, state="draft")
    assert groups.count_shown_groups(either_session) == 0
    save(either_session, group_id, state="published")
    assert groups.count_shown_groups(either_session) == 1


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


def list_order(session: Session) -> list[int]:
    return list(session.scalars(select(Group.id).order_by(Group.sort_key.desc())))


def test_nothing_in_the_trash_can_be_edited(either_session: Session, group_id: int) -> None:
    either_session.get_one(Group, group_id).state = "trash"
    either_session.flush()
    for change in (
        lambda: save(either_session, group_id, title="x"),
        lambda: shots.set_cover(either_session, group_id, 1),
        lambda: shots.order_shots(either_session, group_id, [1], None),
        lambda: bulk.edit_groups(either_session, [group_id], BulkEdit({"year": "1"})),
    ):
        with pytest.raises(NotFoundError):
            change()


def test_has_alt_follows_the_alt_text(either_session: Session, group_id: int) -> None:
    assert set(either_session.scalars(select(Image.has_alt))) == {True}
