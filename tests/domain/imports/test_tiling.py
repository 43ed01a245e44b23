"""Tiles are made, replaced and deleted, and a crash at any point leaves nothing wrong."""

import io
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from PIL import Image as Picture
from sqlalchemy import event, func, select, update
from sqlalchemy.orm import Session

from imagehub import metrics
from imagehub.database import now_utc
from imagehub.domain.imports import jobs, tiling
from imagehub.domain.imports.scratch import Scratch
from imagehub.domain.library import tiles, trash
from imagehub.domain.library.tiles import TilePolicy
from imagehub.domain.site import manifest_import, overview, rebuild
from imagehub.domain.site.verify import Verification, verify_stores
from imagehub.imaging.tiles import TileMaker
from imagehub.models import GalleryRevision, Group, Image, StoredObject, TileSet
from tests.fixtures.importing import ImportHub

pytest.importorskip("pyvips", reason="tiles need the extra imagehub[tiles]")

ON, OFF = TilePolicy(True, 2000), TilePolicy(False, 2000)
# 3 × 2 tiles, then 2 × 1 and 1.
SIZE, COUNT = (2100, 900), 5 * 2 + 3 * 1 + 2 * 1 + 1


def make_large(colour: str = "steelblue", size: tuple[int, int] = SIZE) -> bytes:
    buffer = io.BytesIO()
    Picture.linear_gradient("L").resize(size).convert("RGB").save(buffer, "JPEG", quality=60)
    picture = Picture.open(buffer)
    picture.paste(colour, (100, 100, 700, 500))
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=80)
    return buffer.getvalue()


@contextmanager
def make_job(hub: ImportHub, policy: TilePolicy, **changes: Any) -> Iterator[tiling.TileJob]:
    scratch = Scratch(hub.settings.data_dir)
    job = tiling.TileJob(policy, scratch, TileMaker(scratch.folder), lambda: True, 50_000_000)
    try:
        yield replace(job, **changes)
        assert not list(scratch.folder.glob("tmp*[!.icc]"))
    finally:
        scratch.close()


def work(hub: ImportHub, policy: TilePolicy = ON, **changes: Any) -> int:
    hub.session.rollback()
    clients = changes.pop("clients", hub.clients)
    with make_job(hub, policy, **changes) as job:
        return tiling.work_on_tiles(hub.session, clients, job)


def get_row(hub: ImportHub) -> TileSet:
    hub.session.rollback()
    hub.session.expire_all()
    return hub.session.scalars(select(TileSet)).one()


def list_tiles(hub: ImportHub) -> set[str]:
    return {key for key in hub.list_keys() if key.startswith("tiles/")}


def add_work(hub: ImportHub, name: str = "a.jpg", data: bytes = b"") -> Image:
    selection = hub.put_files("Works", {name: data or make_large()})
    assert hub.work(hub.create(selection)) == ["done"]
    return hub.list_images()[0]


@pytest.fixture
def hub(import_hub: ImportHub) -> ImportHub:
    """With one large image."""
    add_work(import_hub)
    return import_hub


def make_due(hub: ImportHub) -> None:
    hub.session.rollback()
    hub.session.execute(update(TileSet).values(due_at=now_utc() - timedelta(seconds=1)))
    hub.session.commit()


def test_a_large_original_gets_tiles(either_import_hub: ImportHub) -> None:
    hub = either_import_hub
    image = add_work(hub)
    assert get_row(hub).state == "waiting"
    assert tiles.list_tile_services(hub.session, make_settings(hub), image.group, [image]) == {}
    assert work(hub) == 1
    row = get_row(hub)
    assert (row.state, row.tile_count, row.percent, row.reason) == ("ready", COUNT, 100, "")
    assert (row.width_px, row.height_px, row.sha256) == (*SIZE, image.sha256)
    stored = list_tiles(hub)
    assert len(stored) == COUNT and all(key.startswith(row.object_key) for key in stored)
    kept = hub.session.get_one(StoredObject, row.object_key)
    assert (kept.size_bytes, kept.pinned_until, kept.is_deleting) == (row.size_bytes, None, False)
    assert row.size_bytes == sum(len(hub.clients.store.get_object(key)) for key in stored)
    service = tiles.get_tile_service(hub.session, make_settings(hub), hub.list_images()[0])
    assert service is not None
    key = service.find_key("0,0,512,512", "512,512")
    with Picture.open(io.BytesIO(hub.clients.store.get_object(str(key)))) as tile:
        assert (tile.format, tile.size) == ("WEBP", (512, 512))
    assert hub.session.scalar(select(func.count()).select_from(StoredObject)) == 5
    totals = overview.measure_totals(hub.session)
    assert totals.size_bytes > row.size_bytes
    assert work(hub) == 0, "there is nothing left to do"
    assert hub.reconcile().is_clean
    found = Verification()
    verify_stores(hub.session, hub.clients, found, is_deep=True)
    assert found.counts == {}


def make_settings(hub: ImportHub, **changes: Any) -> Any:
    return replace(hub.settings, **{"tiles": True, "tiles_above_px": 2000, **changes})


def test_small_images_have_no_row(import_hub: ImportHub) -> None:
    import_hub.work(import_hub.create(import_hub.put_pictures("Works", 2)))
    assert import_hub.session.scalars(select(TileSet)).all() == []


def test_tiles_are_off_until_the_hub_or_a_group_wants_them(hub: ImportHub) -> None:
    assert work(hub, OFF) == 0
    assert (get_row(hub).state, list_tiles(hub)) == ("off", set())
    group = hub.session.scalars(select(Group)).one()
    assert tiles.set_choice(hub.session, group, "on")
    hub.session.commit()
    assert work(hub, OFF) == 1
    assert work(hub, ON) == 0, "the same tiles are right for the hub's setting"
    assert get_row(hub).state == "ready"
    image = hub.list_images()[0]
    assert tiles.get_tile_service(hub.session, make_settings(hub, tiles=False), image) is not None
    assert tiles.set_choice(hub.session, image.group, "off")
    hub.session.commit()
    assert tiles.get_tile_service(hub.session, make_settings(hub), image) is None, "at once"
    assert work(hub, ON) == 0
    row = get_row(hub)
    assert (row.state, row.object_key, list_tiles(hub)) == ("off", "", set())
    assert hub.reconcile().is_clean
    hub.check_stores_agree()


def test_the_setting_of_the_hub_turns_tiles_on_and_off(hub: ImportHub) -> None:
    assert [work(hub, policy) for policy in (ON, OFF, ON)] == [1, 0, 1]
    assert len(list_tiles(hub)) == COUNT
    assert work(hub, TilePolicy(True, 2100)) == 0, "the image is not longer than this"
    assert list_tiles(hub) == set()
    hub.check_stores_agree()


def test_two_workers_of_a_new_hub_note_the_setting_at_once(either_import_hub: ImportHub) -> None:
    hub, noted = either_import_hub, []

    @event.listens_for(hub.engine, "before_cursor_execute")
    def note_too(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith("INSERT INTO hub_setting") and not noted:
            noted.append(statement)
            assert work(replace(hub, session=Session(hub.engine))) == 0

    assert work(hub) == 0
    assert noted


def test_a_replaced_original_gets_new_tiles(hub: ImportHub) -> None:
    work(hub)
    before, image = list_tiles(hub), hub.list_images()[0]
    hub.put_files("Works", {"a.jpg": make_large("tomato")})
    made: dict[int, int] = {}
    jobs.add_remakes(hub.session, [image.id], made)
    hub.session.commit()
    assert hub.work(next(iter(made.values()))) == ["done"]
    image = hub.list_images()[0]
    assert tiles.get_tile_service(hub.session, make_settings(hub), image) is None
    assert work(hub) == 1
    after = list_tiles(hub)
    assert len(after) == COUNT and not after & before
    assert hub.reconcile().is_clean


def test_an_original_that_changed_since_its_import_has_no_tiles(hub: ImportHub) -> None:
    hub.put_files("Works", {"a.jpg": make_large("tomato")})
    assert work(hub) == 0
    row = get_row(hub)
    assert row.state == "failed" and "changed in OneDrive" in row.reason
    assert list_tiles(hub) == set()


def test_a_file_that_cannot_be_tiled_says_why(hub: ImportHub) -> None:
    maker = TileMaker(hub.folder, max_pixels=1_000_000)
    assert work(hub, maker=maker) == 0
    row = get_row(hub)
    assert row.state == "failed" and "megapixels" in row.reason
    image = hub.list_images()[0]
    assert tiles.remake(hub.session, image)
    hub.session.commit()
    assert work(hub) == 1


def test_attempts_are_counted_by_outcome(hub: ImportHub) -> None:
    metrics.start(hub.folder, "worker")
    try:
        work(hub, maker=TileMaker(hub.folder, max_pixels=1_000_000))
        image = hub.list_images()[0]
        for changes in ({"maker": None}, {"keep_on": stop_after(8)}, {}):
            assert tiles.remake(hub.session, image)
            hub.session.commit()
            work(hub, **changes)
        assert work(hub) == 0, "what is decided without making tiles is not counted"
        text = metrics.render(hub.folder, ()).decode()
    finally:
        metrics.stop()
    found = re.findall(r'imagehub_tiles_seconds_count{.*outcome="(\w+)".*} (\S+)', text)
    assert dict(found) == dict.fromkeys(metrics.TILE_OUTCOMES, "1.0")


def test_tiles_can_be_made_again(hub: ImportHub) -> None:
    work(hub)
    before, image = list_tiles(hub), hub.list_images()[0]
    assert tiles.remake(hub.session, image)
    hub.session.commit()
    assert tiles.get_tile_service(hub.session, make_settings(hub), image) is not None
    assert work(hub) == 1
    assert not list_tiles(hub) & before


@pytest.mark.parametrize("missing_only", [False, True])
def test_a_rebuild_makes_lost_tiles_again(hub: ImportHub, missing_only: bool) -> None:
    work(hub)
    before = list_tiles(hub)

    def rebuild_all() -> None:
        progress = rebuild.begin(hub.session, None, missing_only)
        assert rebuild.hand_over(hub.session, hub.clients, progress, 9, print) is not None
        hub.session.commit()

    rebuild_all()
    assert work(hub) == (0 if missing_only else 1)
    if missing_only:
        assert list_tiles(hub) == before, "nothing was lost"
    hub.clients.store.delete_objects([min(list_tiles(hub))])
    rebuild_all()
    assert work(hub) == 1
    assert len(list_tiles(hub)) == COUNT and not list_tiles(hub) & before
    assert get_row(hub).state == "ready"


def test_without_libvips_tiles_wait(hub: ImportHub) -> None:
    assert work(hub, maker=None) == 0
    row = get_row(hub)
    assert row.state == "waiting" and "pyvips" in row.reason and row.due_at > now_utc()


def test_deleting_an_image_deletes_its_tiles(hub: ImportHub) -> None:
    work(hub)
    assert list_tiles(hub)
    number = hub.get_only_group().id
    trash.trash_groups(hub.session, [number], None)
    trash.purge(hub.session, [number])
    hub.session.commit()
    end_deadlines(hub)
    # One row stands for all tiles.
    assert hub.reconcile().unfinished_count == 5
    hub.check_stores_agree()
    assert list_tiles(hub) == set()


def end_deadlines(hub: ImportHub) -> None:
    """Let others take over the deletions of this process, as if minutes had passed."""
    late = update(StoredObject).where(StoredObject.is_deleting)
    hub.session.execute(late.values(pinned_until=now_utc() - timedelta(seconds=1)))
    hub.session.commit()


def stop_after(count: int) -> Callable[[], bool]:
    left = [count]

    def keep_on() -> bool:
        left[0] -= 1
        return left[0] >= 0

    return keep_on


def test_a_worker_that_stops_leaves_nothing(hub: ImportHub) -> None:
    assert work(hub, keep_on=stop_after(8)) == 0
    assert (get_row(hub).state, list_tiles(hub)) == ("waiting", set())
    hub.check_stores_agree()
    assert work(hub) == 1


def test_a_worker_that_stops_ends_a_download(hub: ImportHub) -> None:
    def keep_on() -> bool:
        """Ask to stop while the original is downloaded: before its tiles have a place."""
        with Session(hub.session.get_bind()) as session:
            is_making = session.scalars(select(TileSet.state)).one() == tiles.MAKING
            places = select(StoredObject.key).where(StoredObject.key.startswith("tiles/"))
            return not is_making or session.scalar(places) is not None

    assert work(hub, keep_on=keep_on) == 0
    assert (get_row(hub).state, list_tiles(hub)) == (tiles.WAITING, set())
    assert work(hub) == 1


def test_what_a_crash_left_is_found_and_the_work_is_done_again(hub: ImportHub) -> None:
    class PowerCutError(BaseException):
        pass

    class Store:
        """Stores a few tiles; then the power fails."""

        count = 0

        def __getattr__(self, name: str) -> Any:
            return getattr(hub.clients.store, name)

        def put_object(self, *arguments: Any) -> None:
            Store.count += 1
            if Store.count > 6:
                raise PowerCutError
            hub.clients.store.put_object(*arguments)

        def delete_objects(self, _keys: Any) -> None:
            raise PowerCutError

    store: Any = Store()
    with pytest.raises(PowerCutError):
        work(hub, clients=replace(hub.clients, store=store))
    assert get_row(hub).state == "making" and len(list_tiles(hub)) >= 6
    assert work(hub) == 0, "another worker may still be making them"
    make_due(hub)
    assert work(hub) == 1
    end_deadlines(hub)
    hub.reconcile()
    assert len(list_tiles(hub)) == COUNT
    assert hub.reconcile().is_clean


def test_reconcile_leaves_tiles_alone_that_are_being_made(hub: ImportHub) -> None:
    reports = []

    def keep_on() -> bool:
        if len(list_tiles(hub)) >= 3:
            reports.append(hub.reconcile())
        return True

    assert work(hub, keep_on=keep_on) == 1
    assert reports and not any(one.orphan_count or one.unused_count for one in reports)
    assert len(list_tiles(hub)) == COUNT


def test_reconcile_finds_lost_and_unknown_tiles(hub: ImportHub) -> None:
    work(hub)
    unknown = f"tiles/{9:012d}/{'ab' * 16}/0,0,512,512.webp"
    odd = "tiles/odd name.webp"
    for key in (unknown, odd):
        hub.clients.store.put_object(key, b"left over", "image/webp")
    hub.clients.store.delete_objects([min(list_tiles(hub) - {unknown, odd})])
    before = hub.list_keys()
    report = hub.reconcile(fix=False)
    assert (report.orphan_count, report.missing_count, report.tile_set_count) == (2, 1, 1)
    assert hub.list_keys() == before
    hub.reconcile()
    assert get_row(hub).object_key == ""
    assert not {unknown, odd} & hub.list_keys()
    assert work(hub) == 1
    hub.reconcile()
    assert hub.reconcile().is_clean
    assert len(list_tiles(hub)) == COUNT


def test_progress_does_not_change_pages(hub: ImportHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiling, "_NOTE_SECONDS", 0.0)
    marks, percents = set(), []

    def keep_on() -> bool:
        row = get_row(hub)
        if row.state == "making":
            percents.append(row.percent)
            marks.add(hub.session.scalar(select(GalleryRevision.mark)))
            hub.session.rollback()
        return True

    assert work(hub, keep_on=keep_on) == 1
    assert len(set(percents)) > 5 and percents == sorted(percents)
    assert len(marks) == 1


def test_images_of_a_manifest_wait_for_tiles(hub: ImportHub) -> None:
    hub.session.execute(TileSet.__table__.delete())
    hub.session.commit()
    manifest_import.add_missing_tile_sets(hub.session)
    hub.session.commit()
    assert get_row(hub).state == "waiting"
