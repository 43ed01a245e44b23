"""The watermark and the credits of stored renditions: made at imports, and changed afterwards."""

import io
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from PIL import Image as Picture
from sqlalchemy import select
from sqlalchemy.orm import Session

from imagehub.domain.imports import finishing, process, watermark
from imagehub.domain.imports.scratch import Scratch
from imagehub.domain.imports.site_pictures import Source
from imagehub.domain.library import bulk, edit, finish, images, trash
from imagehub.domain.library.edit import Edit
from imagehub.domain.library.finish import PLAIN, Finish
from imagehub.domain.objects import bookkeeping
from imagehub.errors import InvalidInputError, NotFoundError
from imagehub.imaging.marks import Mark
from imagehub.models import Group, Image, Rendition, StoredObject, WatermarkPicture
from tests.fixtures.importing import ImportHub, make_jpeg
from tests.imaging.video.files import make_mp4

MARK = Mark("© Ada", from_px=960)


def import_one(hub: ImportHub, wanted: Finish = PLAIN, film: bytes = b"") -> Image:
    files = {"a.mp4": film} if film else {"a.jpg": make_jpeg(1, (2400, 1600))}
    job_id = hub.create(hub.put_files("One", files))
    claim = hub.claim(job_id)
    clients = replace(hub.clients, renderer=hub.renderer)
    scratch = Scratch(hub.settings.data_dir)
    state = process.process_item(
        hub.session, clients, scratch, claim, 10_000_000, lambda _session, _clients: wanted
    )
    scratch.close()
    assert state == "done"
    hub.session.expire_all()
    return hub.session.scalars(select(Image)).one()


def run(hub: ImportHub, wanted: Finish, **changes: Any) -> int:
    hub.session.commit()
    clients = replace(hub.clients, renderer=hub.renderer, **changes)
    scratch = Scratch(hub.settings.data_dir)
    count = finishing.finish_renditions(hub.session, clients, scratch, wanted, "test", lambda: True)
    scratch.close()
    hub.session.expire_all()
    return count


def list_rows(hub: ImportHub) -> list[Rendition]:
    return list(hub.session.scalars(select(Rendition).order_by(Rendition.size_px)))


def check_store(hub: ImportHub) -> None:
    """All keys are stored, known and used, and nothing else is."""
    used = {key for row in list_rows(hub) for key in (row.object_key, row.marked_key)} - {""}
    stored = {one.key: one.size_bytes for one in hub.clients.store.iter_objects("renditions/")}
    known = dict(hub.session.execute(select(StoredObject.key, StoredObject.size_bytes)).all())
    assert stored.keys() == used == {key for key in known if key.startswith("renditions/")}
    assert all(known[key] == size for key, size in stored.items())


def make_settings(hub: ImportHub, **values: Any) -> Finish:
    names = {"creator": "Ada", "image_credits": True} | values
    return finish.make_finish(replace(hub.settings, **names), b"")


def test_the_still_of_a_video_has_the_watermark_and_credits(import_hub: ImportHub) -> None:
    hub = import_hub
    still = make_jpeg(2, (1280, 720))
    film = import_one(hub, Finish(MARK), make_mp4(content=still))
    assert film.video_codec == "H.264"
    assert [bool(row.marked_key) for row in list_rows(hub)] == [False, False, True, True]
    check_store(hub)
    # Another watermark is made from the renditions: neither the video nor its preview is read.
    hub.onedrive.clear_log()
    assert run(hub, replace(make_settings(hub), mark=replace(MARK, text="Other"))) == 1
    assert hub.onedrive.log() == []
    film = hub.session.scalars(select(Image)).one()
    assert (film.video_codec, film.duration_ms) == ("H.264", 42_000)
    assert all(b"Ada" in hub.clients.store.get_object(row.object_key) for row in list_rows(hub))
    check_store(hub)


def test_an_import_makes_both_and_a_change_needs_no_onedrive(import_hub: ImportHub) -> None:
    hub = import_hub
    image = import_one(hub, Finish(MARK))
    assert [bool(row.marked_key) for row in list_rows(hub)] == [False, False, True, True]
    assert [row.marked_bytes > 0 for row in list_rows(hub)] == [False, False, True, True]
    check_store(hub)
    assert run(hub, Finish(MARK)) == 0, "it has it already"
    first = [(row.object_key, row.marked_key) for row in list_rows(hub)]

    (hub.onedrive.root / "One" / "a.jpg").unlink()
    other = Finish(replace(MARK, text="Other", from_px=480))
    assert run(hub, other) == 1
    second = [(row.object_key, row.marked_key) for row in list_rows(hub)]
    assert [key for key, _ in second] == [key for key, _ in first], "what admins see is the same"
    assert {key for _, key in first}.isdisjoint(key for _, key in second)
    assert all(key for _, key in second)
    check_store(hub)
    assert run(hub, other) == 0

    assert run(hub, PLAIN) == 1
    assert [row.marked_key for row in list_rows(hub)] == ["", "", "", ""]
    assert hub.session.get_one(Image, image.id).finish == ""
    check_store(hub)
    progress = finishing.find_progress(hub.session)
    assert (progress.is_done, progress.failed_count) == (True, 0)


def test_credits_follow_the_settings_and_the_work(import_hub: ImportHub) -> None:
    hub = import_hub
    wanted = make_settings(hub)
    import_one(hub, wanted)

    def read() -> list[bytes]:
        return [hub.clients.store.get_object(row.object_key) for row in list_rows(hub)]

    assert [b"Ada" in data for data in read()] == [True] * 4
    group = hub.session.scalars(select(Group)).one()
    edit.save_group(hub.session, group.id, Edit(group.version, {"creator": "Ben"}, {}))
    assert run(hub, wanted) == 1
    assert [(b"Ben" in data, b"Ada" in data) for data in read()] == [(True, False)] * 4
    assert hub.session.scalars(select(Image.is_unfinished)).one() is False
    check_store(hub)
    assert run(hub, make_settings(hub, image_credits=False)) == 1
    for data in read():
        assert b"XMP " not in data
        with Picture.open(io.BytesIO(data)) as picture:
            picture.load()
    check_store(hub)


def test_images_that_came_in_before_the_settings_were_known_are_visited(
    import_hub: ImportHub,
) -> None:
    hub = import_hub
    assert run(hub, Finish(MARK)) == 0
    import_one(hub, PLAIN)
    assert run(hub, Finish(MARK)) == 1
    assert list_rows(hub)[-1].marked_key


def test_a_lost_rendition_does_not_stop_the_others(import_hub: ImportHub) -> None:
    hub = import_hub
    import_one(hub)
    hub.clients.store.delete_objects([list_rows(hub)[0].object_key])
    assert run(hub, Finish(MARK)) == 0
    progress = finishing.find_progress(hub.session)
    assert (progress.is_done, progress.failed_count) == (True, 1)
    assert [row.marked_key for row in list_rows(hub)] == ["", "", "", ""]


def test_a_rendition_that_was_made_anew_meanwhile_wins(import_hub: ImportHub) -> None:
    hub = import_hub
    image = import_one(hub)
    rows = [
        finishing._Finished(row.id, "renditions/ol/d0/old.webp", row.mime_type, b"new", b"")
        for row in list_rows(hub)
    ]
    until, _ = bookkeeping.pin_keys(hub.session, [rows[0].key])
    unused = finishing._use(hub.session, image.id, PLAIN, "finish", rows, until)
    assert unused == [rows[0].key]
    hub.session.expire_all()
    assert hub.session.get_one(Image, image.id).finish == ""


def test_credits_that_change_while_they_are_written_are_written_once_more(
    import_hub: ImportHub,
) -> None:
    hub = import_hub
    wanted = make_settings(hub)
    import_one(hub, wanted)

    def name_artist(name: str) -> None:
        with Session(hub.session.get_bind()) as session:
            group = session.scalars(select(Group)).one()
            edit.save_group(session, group.id, Edit(group.version, {"creator": name}, {}))
            session.commit()

    assert run(hub, wanted) == 0, "all images were visited"
    name_artist("Ben")

    class ChangingStore:
        """The store of the hub; while something is stored, somebody changes the artist."""

        def __getattr__(self, name: str) -> Any:
            return getattr(store, name)

        def put_object(self, *arguments: Any) -> None:
            store.put_object(*arguments)
            for name in names:
                name_artist(name)

    store, names = hub.clients.store, iter(["Cleo"])
    assert run(hub, wanted, store=ChangingStore()) == 2
    assert all(b"Cleo" in store.get_object(row.object_key) for row in list_rows(hub))
    assert hub.session.scalars(select(Image.is_unfinished)).one() is False
    check_store(hub)


def test_shots_that_come_back_have_the_credits_of_their_work_again(import_hub: ImportHub) -> None:
    hub = import_hub
    wanted = make_settings(hub)
    image = import_one(hub, wanted)
    own = hub.session.get_one(Group, image.group_id)
    edit.save_group(hub.session, own.id, Edit(own.version, {"creator": "Ben"}, {"creator": ""}))
    other = Group(title="Other", creator="Cleo", state="draft")
    hub.session.add(other)
    hub.session.flush()
    own_id, other_id = own.id, other.id
    assert run(hub, wanted) == 1

    def read() -> list[str]:
        data = hub.clients.store.get_object(list_rows(hub)[0].object_key)
        return [name for name in ("Ada", "Ben", "Cleo", "Dora") if name.encode() in data]

    bulk.join_groups(hub.session, [other_id, own_id], None)
    assert (run(hub, wanted), read()) == (1, ["Cleo"])
    trash.restore(hub.session, own_id)
    assert (run(hub, wanted), read()) == (1, ["Ben"])
    # What changes while a shot is in the trash is made up for.
    hub.session.add(Image(group_id=own_id, number=9, position=9, name="b", drive_item_id="B!1"))
    bag = trash.trash_images(hub.session, own_id, [1], None)
    own = hub.session.get_one(Group, own_id)
    edit.save_group(hub.session, own_id, Edit(own.version, {"creator": "Dora"}, {"creator": "Ben"}))
    run(hub, wanted)
    assert read() == ["Ben"]
    trash.restore(hub.session, bag)
    assert (run(hub, wanted), read()) == (1, ["Dora"])


def test_a_deleted_image_leaves_nothing_behind(import_hub: ImportHub) -> None:
    hub = import_hub
    image = import_one(hub, Finish(MARK))
    keys = images.delete_images(hub.session, [image.id])
    hub.session.commit()
    assert bookkeeping.delete_unused(hub.session, hub.clients, keys) == 6
    assert list(hub.clients.store.iter_objects("renditions/")) == []


def test_the_picture_is_fetched_once_and_kept(import_hub: ImportHub) -> None:
    hub = import_hub
    logo = io.BytesIO()
    Picture.new("RGBA", (400, 100), (0, 0, 0, 255)).save(logo, "PNG")
    hub.put_files("Logos", {"mark.png": logo.getvalue(), "bad.png": b"no picture"})
    assert hub.renderer is not None
    drive = hub.open_drive()
    items = {
        path: drive.find_item_by_path(path) for path in ("Logos", "Logos/mark.png", "Logos/bad.png")
    }
    ids = {path: item.id for path, item in items.items() if item is not None}
    choose = partial(watermark.choose_picture, hub.session, hub.clients, hub.renderer, drive)
    for path in ("Logos", "Logos/bad.png"):
        with pytest.raises(InvalidInputError) as caught:
            choose(Source(hub.account_id, ids[path]))
        assert set(caught.value.fields) == {"item"}
    with pytest.raises(NotFoundError):
        choose(Source(hub.account_id, "NOTHING!1"))
    name = choose(Source(hub.account_id, ids["Logos/mark.png"]))
    hub.session.commit()
    row = hub.session.scalars(select(WatermarkPicture)).one()
    assert row.name == name == "mark.png"
    (hub.onedrive.root / "Logos" / "mark.png").unlink()
    settings = replace(hub.settings, watermark="picture")
    found = finish.find_finish(hub.session, hub.clients, settings)
    assert found.mark is not None
    assert found.mark.picture == hub.clients.store.get_object(row.object_key)
    assert bookkeeping.leave_unused(hub.session, [row.object_key]) == 0, "it is in use"
