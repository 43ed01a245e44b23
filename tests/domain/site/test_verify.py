"""Checking a hub: what is found missing, and what is not called so."""

import hashlib
from collections.abc import Sequence

import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from imagehub.clients.graph import GraphDrive
from imagehub.domain.library import series_edit
from imagehub.domain.site import verify
from imagehub.domain.site.manifest import iter_lines, open_snapshot
from imagehub.domain.site.manifest_import import ManifestError
from imagehub.domain.site.verify import Verification
from imagehub.domain.sync.watched_folders import unwatch_folder, watch_folder
from imagehub.models import DriveAccount, Group, Image, Rendition
from imagehub.runtime.backup.verify import verify_hub
from tests.fixtures.importing import ImportHub


@pytest.fixture
def hub(import_hub: ImportHub) -> ImportHub:
    """With one group of three images, and everything in order."""
    assert import_hub.work(import_hub.create(import_hub.put_pictures("Works", 3))) == ["done"] * 3
    return import_hub


def export(hub: ImportHub) -> list[str]:
    hub.session.rollback()
    with open_snapshot(hub.engine) as connection:
        return list(iter_lines(connection))


def look(
    hub: ImportHub, lines: Sequence[str] | None = None, deep: bool = False, originals: bool = False
) -> tuple[Verification, list[str]]:
    said: list[str] = []
    hub.session.rollback()
    found = verify_hub(hub.session, hub.clients, said.append, lines, deep, originals)
    return found, said


def list_keys(hub: ImportHub, number: int) -> list[str]:
    hub.session.rollback()
    query = select(Rendition.object_key).join(Image, Image.id == Rendition.image_id)
    return list(hub.session.scalars(query.where(Image.number == number)))


def test_a_sound_hub_lacks_nothing(hub: ImportHub) -> None:
    found, said = look(hub, export(hub), deep=True, originals=True)
    assert (found.counts, found.lacks_something) == ({}, False)
    assert (found.object_count, found.original_count) == (len(hub.list_keys()), 3)
    assert said[-1] == "Nothing is missing."


def test_lost_cut_and_damaged_objects_are_named_with_their_images(hub: ImportHub) -> None:
    [lost, *_], [cut, *_], [bad, *_] = (list_keys(hub, number) for number in (1, 2, 3))
    store = hub.clients.store
    store.delete_objects([lost])
    store.put_object(cut, store.get_object(cut)[:-1], "image/webp")
    data = store.get_object(bad)
    store.put_object(bad, data[:-1] + bytes([data[-1] ^ 1]), "image/webp")
    before = hub.list_keys()
    found, said = look(hub)
    assert (found.counts, found.lacks_something) == ({"lost": 2}, True)
    group = hub.get_only_group().id
    assert f"  lost       {lost}  (group {group}, shot 1)" in said
    found, said = look(hub, deep=True)
    assert found.counts == {"lost": 2, "damaged": 1}
    assert any(bad in line and "shot 3" in line for line in said)
    assert "rebuild --missing-only" in said[-1]
    assert hub.list_keys() == before, "nothing is repaired"


def test_what_is_left_over_is_not_missing(hub: ImportHub) -> None:
    data = b"left over"
    digest = hashlib.sha256(data).hexdigest()
    key = f"renditions/{digest[:2]}/{digest[2:4]}/{digest}.webp"
    hub.clients.store.put_object(key, data, "image/webp")
    found, said = look(hub)
    assert (found.counts, found.lacks_something) == ({"unknown": 1}, False)
    assert "reconcile" in said[-1]
    assert key in hub.list_keys()


def test_images_without_renditions_are_found(hub: ImportHub) -> None:
    image = hub.list_images()[1]
    image.renditions.clear()
    hub.session.commit()
    found, _ = look(hub)
    assert found.counts["bare"] == 1
    assert found.lacks_something


def test_originals_are_asked_for(hub: ImportHub) -> None:
    works = hub.onedrive.root / "Works"
    (works / "0000.jpg").unlink()
    (works / "0001.jpg").write_bytes(b"another picture")
    (works / "0002.jpg").rename(hub.onedrive.root / "0002.jpg")
    found, said = look(hub, originals=True)
    assert found.counts == {"gone": 1, "changed": 1}
    assert any("gone" in line and "0000.jpg" in line for line in said)
    hub.session.execute(update(DriveAccount).values(state="needs_reconnect"))
    hub.session.commit()
    found, _ = look(hub, originals=True)
    assert found.counts == {"unread": 3}


def test_a_busy_drive_is_asked_again(hub: ImportHub) -> None:
    drive = hub.clients.open_drive(hub.account_id)
    assert isinstance(drive, GraphDrive)
    drive._caller.max_wait_seconds = 0.0
    hub.onedrive.set_fault("status", status=429, retry_after=1, path="/", times=1)
    found, _ = look(hub, originals=True)
    assert (found.counts, found.original_count) == ({}, 3)
    assert 429 in [entry.get("status") for entry in hub.onedrive.log()]


def test_what_a_manifest_names_must_be_there(hub: ImportHub) -> None:
    lines = export(hub)
    keys = set(list_keys(hub, 1))
    group = hub.get_only_group()
    image = hub.list_images()[0]
    hub.session.delete(image)
    hub.session.commit()
    hub.reconcile()
    found, said = look(hub, lines)
    assert found.counts == {"image": 1, "rendition": len(keys)}
    assert any(f"group {group.id}, shot 1" in line and "rendition" in line for line in said)
    with Session(hub.engine) as session:
        session.delete(session.get_one(Group, group.id))
        session.commit()
    found, _ = look(hub, lines)
    assert (found.counts["group"], found.counts["image"]) == (1, 3)


def test_watched_folders_of_a_manifest_must_be_there(hub: ImportHub) -> None:
    folder = hub.open_drive().find_item_by_path("Works")
    assert folder is not None
    watched = watch_folder(
        hub.session, hub.account_id, hub.user_id, folder, "/Works", "folder", False
    )
    hub.session.commit()
    lines = export(hub)
    assert look(hub, lines)[0].counts == {}
    unwatch_folder(hub.session, watched.id)
    hub.session.commit()
    found, said = look(hub, lines)
    assert (found.counts, found.lacks_something) == ({"watch": 1}, True)
    assert any("watch" in line and "/Works" in line for line in said)


@pytest.mark.parametrize("damage", [slice(0, -1), slice(0, 0)], ids=["cut off", "empty"])
def test_a_damaged_manifest_proves_nothing(light_session: Session, damage: slice) -> None:
    lines = ['{"kind": "header", "format": 1}\n', '{"kind": "end", "counts": {}}\n']
    with pytest.raises(ManifestError):
        verify.verify_manifest(light_session, None, Verification(), lines[damage])  # type: ignore[arg-type]


def test_series_of_a_manifest_must_be_there(hub: ImportHub) -> None:
    made = series_edit.create_series(hub.session, "Coast")
    hub.session.commit()
    lines = export(hub)
    assert look(hub, lines)[0].counts == {}
    hub.session.delete(made)
    hub.session.commit()
    found, said = look(hub, lines)
    assert (found.counts, found.lacks_something) == ({"series": 1}, True)
    assert any("series" in line and "Coast" in line for line in said)
