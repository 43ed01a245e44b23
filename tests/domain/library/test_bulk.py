"""Editing many groups at once, on both databases."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from benchmarks.catalogue import fill_catalogue
from imagehub import create_app
from imagehub.config import load_settings
from imagehub.database import db
from imagehub.domain.library import (
    bulk,
    groups,
    search_index,
    series_edit,
    trash,
)
from imagehub.domain.library import edit as library_edit
from imagehub.domain.library.bulk import BulkEdit
from imagehub.domain.library.facet_index import list_stale_facets, recount_facets
from imagehub.domain.library.groups import refresh_groups
from imagehub.domain.library.series_counts import recount_series
from imagehub.errors import InvalidInputError, NotFoundError
from imagehub.models import (
    FacetEntry,
    FacetValue,
    Group,
    GroupTag,
    Image,
    Likeness,
    SeriesGroup,
    Tag,
    TrashEntry,
)
from tests.domain.library.editing import save
from tests.domain.library.test_gallery import count_rows_read
from tests.fixtures.database import count_statements
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


def test_a_group_in_the_trash_is_not_edited(either_site: Site, either_session: Session) -> None:
    numbers = [either_site.add_group() for _ in range(2)]
    trash.trash_groups(either_session, numbers[1:], None)
    for number in (numbers[1], numbers[1] + 1, 0, 1 << 70):
        with pytest.raises(NotFoundError):
            bulk.edit_groups(either_session, [numbers[0], number], BulkEdit({"year": "2026"}))


# --- The same as one by one -----------------------------------------------------------------------

Act = Callable[[Session, Sequence[int]], object]


def edit(change: BulkEdit) -> Act:
    return lambda session, numbers: bulk.edit_groups(session, numbers, change)


# In this order: each finds the groups as the ones before it left them.
ACTS: dict[str, Act] = {
    "fields": edit(BulkEdit({"year": "1911–1913", "medium": "Oil on canvas", "price": "1250"})),
    "credits": edit(BulkEdit({"creator": "Ada", "copyright_notice": "© Ada"})),
    "another medium": edit(BulkEdit({"medium": "Ink"})),
    "drafts": edit(BulkEdit({"state": "draft", "availability": "sold"})),
    "publishing": edit(BulkEdit({"state": "published"})),
    "tags": edit(BulkEdit({}, ["Winter", "SEA", "Snow", "snow"], ["harbour"])),
    "tags and state": edit(BulkEdit({"state": "draft"}, ["Ice"], ["winter"])),
    "publishing again": edit(BulkEdit({"state": "published", "year": "2001"})),
    "deleting": lambda session, numbers: trash.trash_groups(session, numbers, None),
    "restoring": lambda session, numbers: trash.restore_all(session, numbers),
}


def add_groups(site: Site, session: Session, count: int) -> list[int]:
    """Add groups that differ in all that acts change; some have no image."""
    numbers = [
        site.add_group(
            [f"{name}.jpg" for name in "abc"[: index % 4]],
            "draft" if index % 5 == 4 else "published",
        )
        for index in range(count)
    ]
    for index, number in enumerate(numbers):
        tags = ("harbour, Sea", "harbour", "Quay, Winter", "")[index % 4]
        save(session, number, title=f"Wave {index}", year=str(1900 + index), tags=tags)
        for year in range(index % 3):
            save(session, number, year=str(1800 + year))
    made = series_edit.create_series(session, "Waves", numbers[::2], None)
    series_edit.set_series_state(session, made.id, "published")
    session.commit()
    return numbers


def read_rows(session: Session, number: int) -> dict[str, Any]:
    """Read what the database has of a group, without numbers and times."""
    session.expire_all()
    group = session.get_one(Group, number)
    leave_out = {"id", "sort_key", "created_at", "updated_at", "cover_id"}
    facets = (
        select(FacetValue.facet, FacetValue.slug, FacetValue.label, FacetEntry.sort_key)
        .join(FacetEntry, FacetEntry.value_id == FacetValue.id)
        .where(FacetEntry.group_id == number)
        .order_by(FacetValue.facet, FacetValue.slug)
    )
    tags = (
        select(Tag.name, GroupTag.position)
        .join(GroupTag, GroupTag.tag_id == Tag.id)
        .where(GroupTag.group_id == number)
        .order_by(GroupTag.position)
    )
    images = select(Image.name, Image.has_alt, Image.is_unfinished, Image.id == group.cover_id)
    entries = select(TrashEntry.state_before, TrashEntry.origin_id, TrashEntry.joined)
    in_series = select(SeriesGroup.is_shown).where(SeriesGroup.group_id == number)
    looks = select(Likeness.thumbhash).where(Likeness.group_id == number)
    _index, key = search_index.get_index(session)
    return {
        "group": {
            column.key: getattr(group, column.key)
            for column in Group.__table__.c
            if column.key not in leave_out
        },
        "facets": [(*row[:3], row[3] == group.sort_key) for row in session.execute(facets)],
        "tags": session.execute(tags).all(),
        "images": session.execute(
            images.where(Image.group_id == number).order_by(Image.position)
        ).all(),
        "trash": session.execute(entries.where(TrashEntry.group_id == number)).all(),
        "series": session.execute(in_series).all(),
        "looks": session.execute(looks).all(),
        "search": search_index._read_rows(session, key == number).get(number),
    }


def test_an_act_on_many_groups_does_the_same_as_on_each_alone(
    either_site: Site, either_session: Session
) -> None:
    session = either_session
    alone = add_groups(either_site, session, 9)
    together = add_groups(either_site, session, 9)
    for name, act in ACTS.items():
        for number in alone:
            act(session, [number])
        act(session, together)
        session.commit()
        for one, other in zip(alone, together, strict=True):
            assert read_rows(session, one) == read_rows(session, other), name
        # What is counted by difference, and the indexes, are as if they were made anew.
        assert search_index.list_stale(session, 0) == ([], max(together)), name
        assert list_stale_facets(session, 0) == ([], max(together)), name
        counted = groups.recount_gallery, recount_series, recount_facets
        assert [recount(session) for recount in counted] == [0, 0, 0], name
    names = session.scalars(select(Tag.name).order_by(Tag.name)).all()
    assert names == ["Ice", "Quay", "Sea", "Snow"]


def test_an_act_on_one_group_of_many_reads_few_rows(mariadb_url: str, tmp_path: Path) -> None:
    environment = {"IMAGEHUB_DATA_DIR": str(tmp_path), "IMAGEHUB_DATABASE_URL": mariadb_url}
    app = create_app(load_settings(environment, None))
    with app.app_context():
        fill_catalogue(db.engine, 8000)
        session = db.session()
        refresh_groups(session, range(1, 2001))
        session.commit()
        for name, act in ACTS.items():
            read = count_rows_read(session, partial(act, session, [1000]))
            session.commit()
            assert read < 300, name


def test_an_act_takes_as_many_statements_for_40_groups_as_for_10(
    either_site: Site, either_session: Session
) -> None:
    session = either_session
    few, many = add_groups(either_site, session, 10), add_groups(either_site, session, 40)
    for name, act in ACTS.items():
        counts = []
        for numbers in (few, many):
            with count_statements() as statements:
                act(session, numbers)
                session.commit()
            counts.append(len(statements))
        # 40 groups have more years, which the index of filters has to find or to count.
        assert counts[1] <= counts[0] + 3, (name, counts, statements)
        assert counts[1] < 60, (name, statements)
