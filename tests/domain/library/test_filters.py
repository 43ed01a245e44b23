"""Filters: the index of what works have, its counts, and pages of works, on both databases."""

import contextlib
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import delete, func, insert, select, text, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from benchmarks.catalogue import fill_catalogue
from imagehub import create_app
from imagehub.config import load_settings
from imagehub.database import db, make_batches
from imagehub.domain.library import filters, groups, order, search, series, series_edit, tags, trash
from imagehub.domain.library.edit import Edit, save_group
from imagehub.domain.library.facet_index import (
    fill_facets,
    list_stale_facets,
    recount_facets,
    refresh_facets,
)
from imagehub.domain.library.filters import Choice, GalleryScope, ListScope, Panel, SeriesScope
from imagehub.models import FacetEntry, FacetValue, Group, GroupTag, Image, Series, Tag
from tests.domain.library.test_gallery import count_rows_read
from tests.fixtures.site import Site


def add_work(site: Site, tag: str = "", color: str = "", shape: str = "", **facts: str) -> int:
    number = site.add_group(state=facts.pop("state", "published"))
    with site.session() as session:
        group = session.get_one(Group, number)
        for name, value in facts.items():
            setattr(group, name, value)
        image = session.scalars(select(Image).where(Image.group_id == number)).one()
        image.dominant_color = color
        sizes = {"portrait": (2000, 3000), "square": (2000, 2000), "": (3000, 2000)}
        image.width_px, image.height_px = sizes[shape]
        if tag:
            tags.set_tags(session, group, tag.split())
        groups.refresh_group(session, number)
    return number


def find(session: Session, choice: dict[str, str], one: Series | None = None) -> list[int]:
    """Walk through all pages, and back again."""
    scope = SeriesScope(one) if one else GalleryScope()
    found, starts, start = [], [None], None
    chosen = filters.find_choice(session, choice)
    while True:
        page = filters.get_filtered_page(session, scope, chosen, start, per_page=2)
        found.append([tile.group.id for tile in page.tiles])
        if page.after is None:
            break
        start = page.after
        starts.append(start)
    back = [found[-1]]
    while page.before:
        page = filters.get_filtered_page(session, scope, chosen, page.before, True, per_page=2)
        back.insert(0, [tile.group.id for tile in page.tiles])
    assert back == found and len(starts) == len(found)
    return [number for some in found for number in some]


def count(panel: Panel, name: str) -> dict[str, int | None]:
    return {option.value.slug: option.count for option in panel.options[name]}


def read_counts(session: Session) -> dict[str, int]:
    rows = session.execute(select(FacetValue).where(FacetValue.shown_count > 0)).scalars()
    return {f"{row.facet} {row.slug}": row.shown_count for row in rows}


def test_works_are_found_by_all_that_was_chosen(either_site: Site) -> None:
    site = either_site
    oil = {"medium": "Oil on canvas", "year": "1911"}
    works = [
        add_work(site, "sea light", "#c8352b", **oil),
        add_work(site, "sea", "#3a68b0", "portrait", medium="oil on  Canvas.", year="1911–1913"),
        add_work(site, "light", "#c8352b", "square", medium="Etching", year="c. 1924"),
        add_work(site, "sea", "#c8352b", **oil, availability="sold"),
        add_work(site, "sea", "#c8352b", **oil, state="draft"),
        add_work(site),
    ]
    a, b, c, d, _draft, _plain = works
    with site.session() as session:
        assert find(session, {"medium": "oil-on-canvas"}) == [d, b, a]
        assert find(session, {"year": "1911"}) == [d, b, a]
        assert find(session, {"year": "1913"}) == [b]
        assert find(session, {"year": "1920s"}) == [c] == find(session, {"shape": "square"})
        assert find(session, {"colour": "red"}) == [d, c, a]
        assert find(session, {"colour": "red", "medium": "oil-on-canvas", "tag": "sea"}) == [d, a]
        assert find(session, {"colour": "red", "tag": "sea", "availability": "sold"}) == [d]
        assert find(session, {"colour": "blue", "tag": "light"}) == []
        assert find(session, {"colour": "red", "tag": "nowhere"}) == []
        # One medium, whatever its spelling, named as it was entered first.
        media = [one for one in filters.list_values(session) if one.facet == "medium"]
        assert [(one.label, one.count) for one in media] == [("Oil on canvas", 3), ("Etching", 1)]


def test_the_panel_says_which_values_would_show_nothing(either_site: Site) -> None:
    site = either_site
    add_work(site, color="#c8352b", medium="Oil", year="1911")
    add_work(site, color="#c8352b", medium="Etching", year="1911")
    add_work(site, color="#3a68b0", medium="Oil", year="1924")
    with site.session() as session:

        def make(**wanted: str) -> Panel:
            return filters.make_panel(session, GalleryScope(), filters.find_choice(session, wanted))

        panel = make()
        assert count(panel, "colour") == {"red": 2, "blue": 1} and panel.count is None
        panel = make(colour="red")
        # What else can be chosen of the same filter counts without it.
        assert count(panel, "colour") == {"red": 2, "blue": 1} and panel.count == 2
        assert count(panel, "medium") == {"oil": 1, "etching": 1}
        assert count(panel, "year") == {"1911": 2, "1924": 0, "1910s": 2, "1920s": 0}
        empty = [one.value.slug for some in panel.options.values() for one in some if one.is_empty]
        assert empty == ["1924", "1920s"]
        panel = make(colour="blue", medium="etching")
        assert panel.count == 0
        assert count(panel, "colour") == {"red": 1, "blue": 0}
        assert count(panel, "medium") == {"oil": 1, "etching": 0}
        assert [one.is_chosen for one in panel.options["medium"]] == [False, True]
        panel = make(colour="mauve", medium="oil")
        assert panel.count == 0 and count(panel, "colour") == {"red": 1, "blue": 1}


def test_a_series_is_filtered_in_its_own_order(either_site: Site) -> None:
    site = either_site
    red = [add_work(site, color="#c8352b") for _ in range(3)]
    blue = add_work(site, color="#3a68b0")
    elsewhere = add_work(site, color="#c8352b", medium="Oil")
    with site.session() as session:
        made = series_edit.create_series(session, "Sea", [red[1], blue, red[2], red[0]], None)
        made_id = series_edit.set_series_state(session, made.id, "published").id
    with site.session() as session:
        made = series.get_shown_series(session, made_id)
        assert find(session, {"colour": "red"}, made) == [red[1], red[2], red[0]]
        assert find(session, {"medium": "oil"}, made) == []
        panel = filters.make_panel(session, SeriesScope(made), Choice())
        assert count(panel, "colour") == {"red": 3, "blue": 1} and not panel.options["medium"]
        assert find(session, {"medium": "oil"}) == [elsewhere]


def test_a_search_is_filtered(either_site: Site) -> None:
    site = either_site
    red = add_work(site, color="#c8352b", title="Harbour")
    blue = add_work(site, color="#3a68b0", title="Harbour at night")
    add_work(site, "", "#3a68b0", "portrait", title="Night")
    with site.session() as session:

        def list_ids(query: str, **wanted: str) -> Sequence[int]:
            ids = filters.find_choice(session, wanted).ids
            found = search.find_groups(session, query, value_ids=ids)
            assert found.group_count == len(found.tiles)
            numbers = [tile.group.id for tile in found.tiles]
            assert set(numbers) == set(search.list_found_ids(session, query, ids, 10))
            return numbers

        assert set(list_ids("harbour")) == {red, blue}
        assert list_ids("harbour", colour="blue") == [blue]
        assert list_ids("harbour", colour="blue", shape="portrait") == []
        # Inside of words, as without filters.
        assert list_ids("arbour", colour="red") == [red]
        scope = ListScope(lambda ids, limit: search.list_found_ids(session, "harbour", ids, limit))
        choice = filters.find_choice(session, {"colour": "red"})
        panel = filters.make_panel(session, scope, choice)
        assert count(panel, "colour") == {"red": 1, "blue": 1} and panel.count == 1


def test_the_index_follows_every_change(either_site: Site) -> None:
    site = either_site
    number = add_work(site, "sea", "#c8352b", year="1911", medium="Oil")
    other = add_work(site, year="1911")
    with site.session() as session:
        assert read_counts(session)["year 1911"] == 2
        save_group(session, number, Edit(1, {"year": "1912", "tags": "light"}, {}))
    with site.session() as session:
        counts = read_counts(session)
        assert (counts["year 1911"], counts["year 1912"], counts["tag light"]) == (1, 1, 1)
        assert "tag sea" not in counts
        assert find(session, {"year": "1910s"}) == [other, number]
        order.place_group(session, number, before=other)
    with site.session() as session:
        assert find(session, {"year": "1910s"}) == [number, other]
        trash.trash_groups(session, [number], None)
    with site.session() as session:
        assert read_counts(session) == {
            "all all": 1, "look all": 1, "year 1911": 1, "decade 1910s": 1, "shape landscape": 1
        }  # fmt: skip
        trash.restore(session, number)
    with site.session() as session:
        assert find(session, {"year": "1910s"}) == [number, other]
        groups.delete_group(session, groups.get_locked_group(session, other))
    with site.session() as session:
        assert read_counts(session)["all all"] == 1
        assert session.scalar(select(func.count()).where(FacetEntry.group_id == other)) == 0
        session.get_one(Group, number).year = "1950"
        refresh_facets(session, [number])
        session.rollback()
    with site.session() as session:
        assert "year 1950" not in read_counts(session)


def test_counts_outlive_a_savepoint(site: Site) -> None:
    number = add_work(site, "sea")
    with site.session() as session:
        tags.set_tags(session, session.get_one(Group, number), ["Sea", "Light"])
        # Someone else has created this tag at the same moment.
        with contextlib.suppress(IntegrityError), session.begin_nested():
            session.add(Tag(name="Sea", name_key="sea", slug="sea-2"))
    with site.session() as session:
        assert read_counts(session)["tag light"] == 1 and recount_facets(session) == 0


def test_lost_entries_and_wrong_counts_are_repaired(either_site: Site) -> None:
    site = either_site
    works = [add_work(site, year="1911") for _ in range(3)]
    with site.session() as session:
        assert fill_facets(session) == 0
        before = read_counts(session)
        session.execute(delete(FacetEntry))
        session.execute(delete(FacetValue))
    with site.session() as session:
        assert fill_facets(session) == works[-1]
    with site.session() as session:
        assert fill_facets(session, works[-1]) == 0
        assert read_counts(session) == before and recount_facets(session) == 0
        session.execute(delete(FacetEntry).where(FacetEntry.group_id == works[0]))
        wrong = update(FacetValue).where(FacetValue.slug == "1911")
        session.execute(wrong.values(shown_count=17))
        assert list_stale_facets(session, 0) == ([works[0]], works[-1])
        assert list_stale_facets(session, works[-1]) == ([], 0)
    with site.session() as session:
        assert recount_facets(session) == 5
        assert read_counts(session)["year 1911"] == 2
        refresh_facets(session, works)
    with site.session() as session:
        assert read_counts(session) == before and recount_facets(session) == 0


def test_a_walk_that_finds_too_few_goes_on_with_the_next_page(
    either_site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = either_site
    red = [add_work(site, color="#c8352b", medium="Oil") for _ in range(2)]
    for _ in range(9):
        add_work(site, color="#3a68b0", medium="Oil")
        add_work(site, color="#c8352b")
    with site.session() as session:
        choice = filters.find_choice(session, {"colour": "red", "medium": "oil"})
        walk = GalleryScope().make_walk(choice)
        found = filters._read(session, walk, 3, spans=(2, 4))
        assert found.places == [] and found.end is not None
        found = filters._read(session, walk, 3, spans=(2, 20), start=found.end)
        assert [place.number for place in found.places] == red[::-1] and found.end is None
        monkeypatch.setattr(filters, "SAMPLE", 5)
        panel = filters.make_panel(
            session, GalleryScope(), filters.find_choice(session, {"colour": "red"})
        )
        # Too many to count: nothing is called empty, and what is known stays exact.
        assert count(panel, "medium") == {"oil": None} and panel.count == 11
        assert count(panel, "colour") == {"red": 11, "blue": 9}


def test_pages_of_tags_read_few_rows_of_a_large_library(mariadb_url: str, tmp_path: Path) -> None:
    """MariaDB's row counters, with a tag that all 3,000 works have."""
    settings = load_settings(
        {"IMAGEHUB_DATA_DIR": str(tmp_path / "data"), "IMAGEHUB_DATABASE_URL": mariadb_url}, None
    )
    app = create_app(settings)
    with app.app_context():
        fill_catalogue(db.engine, 6_000)
        session = db.session()
        numbers = session.scalars(select(Group.id).order_by(Group.id)).all()
        session.add(Tag(id=1, name="Sea", name_key="sea", slug="sea"))
        session.flush()
        rows = [{"group_id": number, "tag_id": 1, "position": 1} for number in numbers]
        session.execute(insert(GroupTag), rows)
        for ids in make_batches(numbers, 200):
            refresh_facets(session, ids)
        session.commit()
        session.execute(text("ANALYZE TABLE facet_entry, facet_value, tag"))
        page = tags.get_tag_page(session, "sea", 1)
        assert [tile.group.id for tile in page.tiles] == [*range(3000, 2988, -1)]
        assert (page.group_count, page.page_count) == (3000, 250)
        for read in (
            partial(tags.get_tag_page, session, "sea", 1),
            partial(tags.list_tags, session),
            partial(tags.find_tags, session, "se"),
        ):
            assert count_rows_read(session, read) < 200
        db.session.remove()
        db.engine.dispose()
