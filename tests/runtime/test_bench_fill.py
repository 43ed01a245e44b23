"""A hub that is filled with made-up works: consistent, varied, and never over real ones."""

from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from imagehub.cli import main
from imagehub.database import Base, db
from imagehub.domain.library import (
    facet_index,
    groups,
    likeness_index,
    listing,
    search,
    search_index,
    similar,
)
from imagehub.domain.library.series_counts import recount_series
from imagehub.domain.site import numbers
from imagehub.models import (
    DriveAccount,
    Group,
    Image,
    ImportItem,
    PrivateData,
    Rendition,
    Series,
    SeriesGroup,
    ShareItem,
    StoredObject,
    Translation,
    TrashEntry,
)
from imagehub.runtime.bench_fill import fill
from imagehub.runtime.bench_fill.draw import Drawer
from imagehub.runtime.supervisor import StartError
from tests.fixtures.site import Site

GROUPS, IMAGES = 230, 1150


def count(session: Session, model: type[Base]) -> int:
    return session.scalar(select(func.count()).select_from(model)) or 0


def read_derived(session: Session) -> list[tuple[object, ...]]:
    """Return what the hub derives from other rows."""
    facts = (Group.id, Group.is_shown, Group.image_count, Group.cover_id, Group.title_key)
    return [tuple(row) for row in session.execute(select(*facts).order_by(Group.id))]


def test_a_filled_hub_is_as_the_hub_itself_would_have_made_it(
    either_site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fill, "_GROUPS_PER_BATCH", 100)
    lines: list[str] = []
    with either_site.session() as session:
        fill.fill_hub(db.engine, GROUPS, IMAGES, lines.append)
        assert lines[-1].startswith("230 of 230 groups")
        assert (count(session, Group), count(session, Image)) == (GROUPS, IMAGES)
        assert count(session, Rendition) == count(session, StoredObject) == 4 * IMAGES
        # Each rendition has its object, which no other one has.
        kept = select(func.count()).select_from(Rendition).join(StoredObject)
        assert session.scalar(kept) == 4 * IMAGES
        assert session.scalars(select(Image.id).where(Image.group_id > GROUPS)).all() == []

        derived = read_derived(session)
        groups.refresh_groups(session, range(1, GROUPS + 1))
        session.flush()
        session.expire_all()
        assert read_derived(session) == derived
        assert groups.recount_gallery(session) == 0
        assert search_index.fill_search(session) == 0
        assert search_index.list_stale(session, 0)[0] == []
        assert facet_index.fill_facets(session) == 0
        assert facet_index.list_stale_facets(session, 0)[0] == []
        assert likeness_index.find_progress(session) is None
        assert recount_series(session) == 0
        for group in session.scalars(select(Group)):
            before, group.title = group.title_key, group.title
            assert group.title_key == before

        if session.get_bind().dialect.name == "sqlite":
            assert session.execute(text("PRAGMA foreign_key_check")).all() == []
            assert session.scalar(text("PRAGMA foreign_keys")) == 1
        else:
            assert session.scalar(text("SELECT @@foreign_key_checks")) == 1


def test_a_filled_hub_has_some_of_everything(either_site: Site) -> None:
    with either_site.session() as session:
        fill.fill_hub(db.engine, GROUPS, IMAGES)
        states = dict(
            session.execute(select(Group.state, func.count()).group_by(Group.state)).all()
        )
        assert states["published"] > states["draft"] > states["trash"] > 0
        assert count(session, TrashEntry) == states["trash"]
        assert count(session, PrivateData) > 0
        assert session.scalar(select(func.count()).where(ImportItem.state == "failed")) == 2
        shots = session.scalars(select(Group.image_count)).all()
        assert min(shots) == 1 and max(shots) > 12
        assert len(set(session.scalars(select(Group.availability)))) == 5
        for name in ("all", "draft", "alt", "failed"):
            assert listing.list_groups(session, name).rows, name
        title = session.scalars(select(Group.title).where(Group.is_shown, Group.title > "")).first()
        assert search.find_groups(session, title or "").tiles

        series = session.scalars(select(Series)).all()
        assert {one.state for one in series} == {"published"} and len(series) == 5
        assert len([one for one in series if one.parent_id]) == 3
        assert max(one.shown_count for one in series) > 5
        assert count(session, SeriesGroup) > sum(one.shown_count for one in series)
        assert count(session, Translation) > 50
        assert count(session, ShareItem) == 20 * 40
        most = numbers.list_most_seen(session, "group", 30)
        assert len(most) == 10 and most[0][1].views > most[-1][1].views
        assert numbers.get_period(session, numbers.HUB, 365).total.views > 0
        shown = session.scalars(select(Group.id).where(Group.is_shown)).all()
        assert any(similar.list_similar_ids(session, number) for number in shown[:40])
    assert "/groups/" in either_site.get("/").text
    assert either_site.get("/tags").text.count('href="/tags/') > 5


def test_a_hub_that_holds_anything_is_refused(either_site: Site) -> None:
    either_site.add_group()
    with either_site.session() as session:
        with pytest.raises(StartError, match="fills an empty database only"):
            fill.fill_hub(db.engine, 10, 20)
        groups.delete_group(session, session.scalars(select(Group)).one())
        session.commit()
        # Its OneDrive account and the objects in its bucket are still there.
        assert count(session, DriveAccount) == 1
        with pytest.raises(StartError, match="fills an empty database only"):
            fill.fill_hub(db.engine, 10, 20)
        assert count(session, Group) == 0


def test_a_seed_draws_the_same_works_in_batches_of_any_size() -> None:
    def draw(seed: int) -> list[object]:
        drawn = Drawer(50, 260, 1, seed).draw(50)
        assert len(drawn.images) == 260
        return [drawn.groups, drawn.images, drawn.tags]

    assert draw(1) == draw(1)
    assert draw(1) != draw(2)
    drawer = Drawer(50, 260, 1, 1)
    parts = [drawer.draw(20) for _ in range(4)]
    assert [len(part.groups) for part in parts] == [20, 20, 10, 0]
    numbers = [row["id"] for part in parts for row in part.images]
    assert numbers == list(range(1, 261))


def test_the_command_is_hidden_and_fills_a_database(tmp_path: Path) -> None:
    variables = {"IMAGEHUB_DATA_DIR": str(tmp_path / "data")}

    def run(*arguments: str) -> tuple[int, str]:
        result = CliRunner().invoke(main, list(arguments), env=variables)
        return result.exit_code, result.output

    assert "bench-fill" not in run("--help")[1]
    code, output = run("bench-fill", "--groups", "9", "--images", "8")
    assert (code, "Each group needs an image" in output) == (1, True)
    code, output = run("bench-fill", "--groups", "9", "--images", "40")
    assert (code, output.split(",")[0]) == (0, "9 of 9 groups")
    code, output = run("bench-fill", "--groups", "9", "--images", "40")
    assert (code, "fills an empty database only" in output) == (1, True)
