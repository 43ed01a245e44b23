"""Videos whose originals change, are replaced, saved again or gone, and videos in the trash."""

from typing import Any

from PIL import Image as Picture
from sqlalchemy import func, select

from imagehub.domain.imports.jobs import take_new_versions
from imagehub.domain.imports.originals import fetch_original, use_file
from imagehub.domain.library import private_data, trash
from imagehub.models import Image, ImportJob, PrivateData, TileSet
from tests.domain.sync.test_replacements import get_id, save_again
from tests.fixtures.checking import check, find_image, states
from tests.fixtures.drawn import encode, make_picture
from tests.fixtures.importing import ImportHub, make_jpeg
from tests.imaging.video.files import SOUND, make_header, make_mp4, make_place, make_track

VIDEO_FACTS = (
    "mime_type", "video_codec", "duration_ms", "has_sound", "is_loop", "width_px", "height_px",
    "preview_reason", "thumbhash", "private_state",
)  # fmt: skip


def make_film(seconds: int = 42, colour: str = "steelblue", **options: Any) -> bytes:
    still = encode(make_picture(colour, (640, 360)), "JPEG")
    header = make_header(seconds * 1000)
    return make_mp4(content=still, header=header, **options)


def look(hub: ImportHub, name: str = "film.mp4") -> Image:
    """Return an image as it is now; what happens later does not change it."""
    image = find_image(hub, name)
    hub.session.refresh(image)
    hub.session.expunge(image)
    return image


def bring_in(hub: ImportHub, data: bytes) -> Image:
    """Import a picture and a film, which plays in a loop; return the film."""
    files = {"a.jpg": make_jpeg(1), "film.mp4": data}
    assert hub.work(hub.create(hub.put_files("Works", files))) == ["done"] * 2
    film = find_image(hub, "film.mp4")
    film.is_loop = True
    hub.session.commit()
    assert check(hub).is_done
    return look(hub)


def read_facts(image: Image) -> dict[str, Any]:
    return {name: getattr(image, name) for name in VIDEO_FACTS}


def read_blanks(hub: ImportHub, image: Image) -> str:
    hub.session.rollback()
    return hub.session.scalars(
        select(PrivateData.blanks).where(PrivateData.image_id == image.id)
    ).one()


def take(hub: ImportHub, image: Image) -> list[str]:
    assert take_new_versions(hub.session, [image.id]) == 1
    hub.session.commit()
    return work(hub)


def work(hub: ImportHub) -> list[str]:
    """Process the newest import."""
    return hub.work(hub.session.scalars(select(func.max(ImportJob.id))).one())


def use(hub: ImportHub, image: Image, path: str) -> list[str]:
    file = fetch_original(hub.open_drive(), hub.account_id, get_id(hub, path))
    assert use_file(hub.session, image, file, hub.user_id)
    hub.session.commit()
    return work(hub)


def test_a_video_saved_again_is_linked_and_stays_what_it_is(either_import_hub: ImportHub) -> None:
    hub = either_import_hub
    before = bring_in(hub, make_film(more=make_place(), is_last=True))
    blanks = read_blanks(hub, before)
    save_again(hub, "Works/film.mp4")
    assert check(hub).is_done
    after = look(hub)
    assert after.drive_item_id == get_id(hub, "Works/film.mp4") != before.drive_item_id
    assert after.drive_state == "ok"
    assert read_facts(after) == read_facts(before)
    assert after.is_loop and after.private_state == private_data.REMOVABLE
    assert read_blanks(hub, after) == blanks


def test_a_video_that_changed_gets_its_new_length_and_still(import_hub: ImportHub) -> None:
    hub = import_hub
    before = bring_in(hub, make_film(more=make_place(), is_last=True))
    hub.put_files("Works", {"film.mp4": make_film(90, "firebrick", tracks=[make_track()])})
    assert check(hub).is_done
    assert states(hub) == {"a.jpg": "ok", "film.mp4": "changed"}
    seen = look(hub)
    assert (seen.duration_ms, seen.thumbhash) == (42_000, before.thumbhash)
    assert take(hub, seen) == ["done"]
    after = look(hub)
    assert (after.id, after.number, after.drive_state) == (before.id, before.number, "ok")
    assert (after.duration_ms, after.has_sound, after.is_loop) == (90_000, False, True)
    assert after.thumbhash != before.thumbhash
    assert after.private_state == private_data.NOTHING
    hub.check_stores_agree()


def test_a_video_that_changed_into_one_that_no_browser_plays_stays(import_hub: ImportHub) -> None:
    hub = import_hub
    before = bring_in(hub, make_film())
    hub.put_files("Works", {"film.mp4": make_film(tracks=[make_track(codec=b"apch"), SOUND])})
    check(hub)
    assert take(hub, before) == ["failed"]
    after = look(hub)
    assert (after.drive_state, read_facts(after)) == ("changed", read_facts(before))
    hub.check_stores_agree()


def test_a_missing_video_is_a_still_until_it_is_back(import_hub: ImportHub) -> None:
    hub = import_hub
    before = bring_in(hub, make_film())
    path = hub.onedrive.root / "Works" / "film.mp4"
    data = path.read_bytes()
    path.unlink()
    check(hub)
    gone = look(hub)
    assert (gone.drive_state, read_facts(gone)) == ("missing", read_facts(before))
    path.write_bytes(data)
    check(hub)
    back = look(hub)
    assert (back.drive_state, read_facts(back)) == ("ok", read_facts(before))


def test_another_video_in_its_place_is_offered_and_used(import_hub: ImportHub) -> None:
    hub = import_hub
    before = bring_in(hub, make_film())
    save_again(hub, "Works/film.mp4", make_film(7, "olive"))
    check(hub)
    seen = look(hub)
    assert (seen.drive_state, seen.offered_item_id) == ("missing", get_id(hub, "Works/film.mp4"))
    assert use(hub, seen, "Works/film.mp4") == ["done"]
    after = look(hub)
    assert (after.drive_state, after.duration_ms, after.is_loop) == ("ok", 7000, True)
    assert after.thumbhash != before.thumbhash


def test_a_picture_becomes_a_video_and_a_video_a_picture(import_hub: ImportHub) -> None:
    hub = import_hub
    film = bring_in(hub, make_film(more=make_place(), is_last=True))
    picture = look(hub, "a.jpg")
    # Large enough for tiles, of which a video has none.
    large = make_track(sides=(3840, 2160))
    hub.put_files(
        "Other",
        {"b.mp4": make_film(5, tracks=[large], more=make_place()), "c.jpg": make_jpeg(9)},
    )
    assert use(hub, picture, "Other/b.mp4") == ["done"]
    changed = look(hub, "b.mp4")
    assert (changed.id, changed.video_codec, changed.duration_ms) == (picture.id, "H.264", 5000)
    assert (changed.is_loop, changed.sha256, changed.width_px) == (False, "", 3840)
    assert changed.private_state == private_data.REMOVABLE
    assert changed.preview_reason
    assert hub.session.get(TileSet, changed.id) is None

    assert use(hub, film, "Other/c.jpg") == ["done"]
    still = look(hub, "c.jpg")
    assert (still.id, still.mime_type, still.video_codec) == (film.id, "image/jpeg", "")
    assert (still.duration_ms, still.has_sound, still.is_loop) == (0, False, False)
    assert still.sha256 and not still.preview_reason
    assert still.private_state == private_data.NOTHING
    hub.check_stores_agree()


def test_a_video_comes_back_from_the_trash_as_it_was(import_hub: ImportHub) -> None:
    hub = import_hub
    before = bring_in(hub, make_film(more=make_place(), is_last=True))
    blanks = read_blanks(hub, before)
    trash.trash_groups(hub.session, [before.group_id], hub.user_id)
    hub.session.commit()
    assert check(hub).is_done
    trash.restore(hub.session, before.group_id)
    hub.session.commit()
    after = look(hub)
    assert read_facts(after) == read_facts(before)
    assert read_blanks(hub, after) == blanks
    hub.check_stores_agree()


def test_two_films_with_the_same_black_still_keep_their_own(import_hub: ImportHub) -> None:
    """Their renditions are the same objects; deleting one of them leaves those of the other."""
    hub = import_hub
    black = encode(Picture.new("RGB", (640, 360), "black"), "JPEG")
    for name, seconds in (("one", 5), ("two", 6)):
        film = make_mp4(content=black + name.encode(), header=make_header(seconds * 1000))
        assert hub.work(hub.create(hub.put_files(name, {f"{name}.mp4": film}))) == ["done"]
    one, two = hub.list_images()
    assert one.group_id != two.group_id
    assert [r.object_key for r in one.renditions] == [r.object_key for r in two.renditions]
    trash.trash_groups(hub.session, [one.group_id], hub.user_id)
    hub.session.commit()
    trash.purge(hub.session, [one.group_id])
    hub.session.commit()
    hub.reconcile()
    [left] = hub.list_images()
    assert left.name == "two.mp4"
    hub.check_stores_agree()
