"""Editing many groups at once, on both databases."""

import pytest
from sqlalchemy.orm import Session

from imagehub.domain.library import (
    bulk,
    groups,
)
from imagehub.domain.library import edit as library_edit
from imagehub.domain.library.bulk import BulkEdit
from imagehub.errors import InvalidInputError
from tests.domain.library.editing import save
from tests.fixtures.site import Site


def test_many_groups_are_edited_at_once(either_site: Site, either_session: Session) -> None:
    numbers = [either_site.add_group() for _ in range(3)]
    save(either_session, numbers[0], tags="sea, Old")
    change = BulkEdit({"year": "2026", "state": "draft"}, ["Winter"], ["old"])
    assert bulk.edit_groups(either_session, numbers, change) == 3
    for number in numbers:
        group = groups.get_group(either_session, number)
        assert (group.year, group.state, group.is_shown) == ("2026", "draft", False)
    first = groups.get_group(either_session, numbers[0])
    assert library_edit.read_fields(either_session, first)["tags"] == "sea, Winter"
    assert bulk.edit_groups(either_session, numbers, BulkEdit({"year": "2026"})) == 0
    with pytest.raises(InvalidInputError):
        bulk.edit_groups(either_session, numbers, BulkEdit({"title": "All the same"}))
