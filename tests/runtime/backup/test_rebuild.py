"""Making renditions again: completely, once, in small portions, whatever one original is like."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import func, select, update

from imagehub.database import now_utc
from imagehub.domain.leases import acquire_lease
from imagehub.domain.site import rebuild
from imagehub.models import DriveAccount, Group, Image, ImportItem, ImportJob, Rendition
from imagehub.queue import count_worker_threads
from imagehub.runtime.backup.rebuild import (
    RebuildError,
    Rebuilt,
    match_originals,
    rebuild_renditions,
)
from tests.fixtures.importing import ImportHub
from tests.fixtures.programs import wait_until


def fill(hub: ImportHub, count: int = 3, folder: str = "Works") -> int:
    """Import a group; return its number."""
    job_id = hub.create(hub.put_pictures(folder, count, first=len(folder) * 100))
    assert hub.work(job_id) == ["done"] * count
    return hub.session.scalars(select(func.max(Group.id))).one()


@pytest.fixture
def hub(import_hub: ImportHub) -> ImportHub:
    fill(import_hub)
    return import_hub


def lose_bucket(hub: ImportHub) -> set[str]:
    keys = hub.list_keys()
    hub.clients.store.delete_objects(keys)
    return keys


def list_keys(hub: ImportHub, image: Image) -> list[str]:
    query = select(Rendition.object_key).where(Rendition.image_id == image.id)
    return list(hub.session.scalars(query))


def work(hub: ImportHub) -> None:
    """Do what workers do meanwhile."""
    hub.session.rollback()
    for job_id in hub.session.scalars(select(ImportJob.id).where(ImportJob.state == "running")):
        hub.work(job_id)


def run(
    hub: ImportHub,
    *,
    group: int | None = None,
    missing_only: bool = False,
    pause: Callable[[], object] | None = None,
) -> tuple[Rebuilt, list[str]]:
    said: list[str] = []
    hub.session.rollback()
    rebuilt = rebuild_renditions(
        hub.session,
        hub.settings,
        hub.clients,
        group,
        missing_only,
        said.append,
        pause or (lambda: work(hub)),
    )
    return rebuilt, said


def count_later_items(hub: ImportHub, state: str = "done") -> int:
    """Count the items of all imports but the first."""
    hub.session.rollback()
    first = select(func.min(ImportJob.id)).scalar_subquery()
    query = select(func.count()).where(ImportItem.job_id > first, ImportItem.state == state)
    return hub.session.scalars(query).one()


def test_a_lost_bucket_is_filled_again(either_import_hub: ImportHub) -> None:
    hub = either_import_hub
    fill(hub)
    before = lose_bucket(hub)
    images = [(image.id, image.group_id, image.number) for image in hub.list_images()]
    rebuilt, said = run(hub)
    assert (rebuilt.outcome.done, rebuilt.outcome.failed, said) == (3, 0, [])
    assert rebuilt.describe() == "           3  images made again"
    assert hub.list_keys() == before
    assert [(image.id, image.group_id, image.number) for image in hub.list_images()] == images
    hub.check_stores_agree()


def test_a_bucket_that_is_there_is_written_again(hub: ImportHub) -> None:
    """Such as after a change of the colour rules: what has the same name is not left as it is."""
    key = sorted(hub.list_keys())[0]
    hub.clients.store.put_object(key, b"other bytes", "image/webp")
    run(hub)
    assert len(hub.clients.store.get_object(key)) > len(b"other bytes")
    hub.check_stores_agree()


def test_it_goes_on_where_it_was_stopped_and_does_nothing_twice(hub: ImportHub) -> None:
    fill(hub, 10, "Many")
    portion = 2 * count_worker_threads(hub.settings)
    assert portion < 13
    lose_bucket(hub)
    before = count_later_items(hub)

    def stop() -> None:
        work(hub)
        raise KeyboardInterrupt

    first, _ = run(hub, pause=stop)
    assert first.is_stopped
    assert first.progress.seen == count_later_items(hub) - before == portion
    again, said = run(hub)
    assert said == [f"Going on after {portion} images."]
    assert (again.is_stopped, again.outcome.done) == (False, 13)
    hub.check_stores_agree()
    job_count = hub.session.scalars(select(func.count()).select_from(ImportJob)).one()
    assert job_count == 3, "one import for all portions"
    # A run that is complete is not continued.
    assert rebuild.find_progress(hub.session, None, False) is None


def test_beside_a_running_worker_everything_is_made_once(hub: ImportHub) -> None:
    fill(hub, 10, "Many")
    before = lose_bucket(hub)
    first = hub.session.scalars(select(func.max(ImportItem.id))).one()
    hub.onedrive.clear_log()
    mine: list[int] = []

    def pause() -> None:
        # Somebody imports meanwhile.
        if not mine:
            hub.session.rollback()
            mine.append(hub.ask(hub.put_pictures("New", 3)))
        wait_for_progress(hub)

    with hub.working():
        rebuilt, said = run(hub, pause=pause)
        assert hub.finish_job(mine[0]).done_count == 3
    assert (rebuilt.outcome.done, rebuilt.outcome.failed, said) == (13, 0, [])
    later = select(ImportItem.state, ImportItem.attempt_count).where(ImportItem.id > first)
    hub.session.rollback()
    assert [row.state for row in hub.session.execute(later)] == ["done"] * 16
    assert len(hub.onedrive.log("GET", "/download")) == 16, "each original once"
    assert hub.list_keys() > before
    assert len(hub.list_images()) == 16
    hub.check_stores_agree()


def wait_for_progress(hub: ImportHub) -> None:
    """Wait until a worker has finished another item, or has none."""
    count = count_items(hub, "done")
    wait_until(
        lambda: count_items(hub, "done") > count or not count_items(hub, "queued", "running")
    )


def count_items(hub: ImportHub, *states: str) -> int:
    hub.session.rollback()
    query = select(func.count()).select_from(ImportItem).where(ImportItem.state.in_(states))
    return hub.session.scalars(query).one()


def test_only_what_is_missing_is_made(hub: ImportHub) -> None:
    other = fill(hub, 2, "Other")
    hub.clients.store.delete_objects(list_keys(hub, hub.list_images(other)[0])[:1])
    [cut, *_] = list_keys(hub, hub.list_images()[0])
    hub.clients.store.put_object(cut, b"cut", "image/webp")
    rebuilt, _ = run(hub, missing_only=True)
    assert (rebuilt.outcome.done, rebuilt.progress.complete) == (2, 3)
    hub.check_stores_agree()
    rebuilt, _ = run(hub, missing_only=True)
    assert (rebuilt.outcome.done, rebuilt.progress.complete) == (0, 5)


def test_one_group_alone(hub: ImportHub) -> None:
    other = fill(hub, 2, "Other")
    rebuilt, _ = run(hub, group=other)
    assert (rebuilt.outcome.done, rebuilt.progress.seen) == (2, 2)


def test_a_broken_original_is_named_and_the_others_are_made(hub: ImportHub) -> None:
    works = hub.onedrive.root / "Works"
    names = sorted(path.name for path in works.iterdir())
    (works / names[0]).write_bytes(b"no picture any more")
    (works / names[1]).unlink()
    lose_bucket(hub)
    rebuilt, said = run(hub)
    assert (rebuilt.outcome.done, rebuilt.outcome.failed) == (1, 2)
    assert len(said) == 2
    assert f"shot 1 ({names[0]}): " in said[0]
    assert f"shot 2 ({names[1]}): " in said[1]
    assert "           2  failed" in rebuilt.describe()


def test_images_without_a_connected_original_are_named(hub: ImportHub) -> None:
    image = hub.list_images()[0]
    image.drive_account_id, image.drive_item_id, image.drive_state = None, "", "absent"
    hub.session.commit()
    rebuilt, said = run(hub)
    assert (rebuilt.outcome.done, rebuilt.progress.without) == (2, 1)
    assert said == [
        f"  group {image.group_id}, shot 1 ({image.name}): its original is not in a connected "
        "OneDrive."
    ]


def test_while_onedrive_throttles_nothing_is_handed_over(hub: ImportHub) -> None:
    """Visitors and people's imports come first, also for a while afterwards."""
    set_pause(hub, seconds=20)
    turns: list[int] = []

    def look() -> None:
        turns.append(count_later_items(hub, "queued"))
        if len(turns) == 2:
            set_pause(hub, seconds=-1)
        elif len(turns) == 4:
            set_pause(hub, seconds=-rebuild.GIVE_WAY.total_seconds() - 1)
        work(hub)

    rebuilt, _ = run(hub, pause=look)
    assert turns[:4] == [0, 0, 0, 0]
    assert turns[4] > 0
    assert rebuilt.outcome.done == 3


def set_pause(hub: ImportHub, seconds: float) -> None:
    hub.session.rollback()
    until = now_utc() + timedelta(seconds=seconds)
    hub.session.execute(update(DriveAccount).values(paused_until=until))
    hub.session.commit()


def test_one_rebuild_runs_at_a_time(hub: ImportHub) -> None:
    assert acquire_lease(hub.session, "rebuild", "another", 60)
    with pytest.raises(RebuildError, match="Another"):
        run(hub)


def test_originals_of_another_drive_are_found_by_their_content(hub: ImportHub) -> None:
    """The hub was made from a manifest, and its files were copied to another OneDrive."""
    was = {image.id: image.drive_item_id for image in hub.list_images()}
    old = DriveAccount(
        home_account_id="old", state="disconnected", is_active=False, token_cache=b""
    )
    hub.session.add(old)
    hub.session.flush()
    lost = update(Image).values(drive_account_id=old.id, drive_item_id=Image.id)
    hub.session.execute(lost.execution_options(synchronize_session=False))
    hub.session.commit()
    (hub.onedrive.root / "Works" / hub.list_images()[2].name).write_bytes(b"another file")
    rebuilt, said = run(hub)
    assert (rebuilt.outcome.done, len(said)) == (0, 3)
    hub.session.rollback()
    assert match_originals(hub.session, hub.clients, hub.account_id) == 2
    found = hub.list_images()
    assert [image.drive_item_id for image in found[:2]] == [was[image.id] for image in found[:2]]
    assert [image.drive_account_id for image in found] == [hub.account_id, hub.account_id, old.id]
    assert [image.drive_state for image in found] == ["ok", "ok", "ok"]
    rebuilt, said = run(hub)
    assert (rebuilt.outcome.done, len(said)) == (2, 1)
    assert match_originals(hub.session, hub.clients, hub.account_id) == 0
