"""Videos of earlier versions, shown as stills: they are found, and play once a person wants it."""

import pytest
from sqlalchemy import select, update

from imagehub.domain.imports import stills
from imagehub.domain.imports.originals import fetch_original, use_file
from imagehub.domain.library import listing, trash
from imagehub.domain.site.counts import count_to_do
from imagehub.errors import InvalidInputError
from imagehub.imaging.kinds import EARLIER_VIDEO_FACT
from imagehub.models import Image, ImportItem, ImportJob
from tests.domain.imports.test_videos import make_film
from tests.domain.sync.test_videos import look
from tests.fixtures.drawn import make_picture, make_video
from tests.fixtures.importing import ImportHub, make_jpeg
from tests.imaging.video.files import make_track
from tests.runtime.backup.test_rebuild import lose_bucket
from tests.runtime.backup.test_rebuild import run as rebuild

PRORES = make_film(tracks=[make_track(codec=b"apch")])


def bring_in(hub: ImportHub, folder: str, files: dict[str, bytes]) -> int:
    """Import files as an earlier version did; return the number of their group.

    It knew no videos, and stored OneDrive's preview with the type that OneDrive lists.
    """
    names = [name for name, data in files.items() if not data.startswith(b"\xff\xd8")]
    selection = hub.put_files(folder, files | dict.fromkeys(names, make_film()))
    assert set(hub.work(hub.create(selection))) == {"done"}
    hub.put_files(folder, files)
    earlier = {
        "preview_reason": "ImageHub does not decode videos.",
        "video_codec": "",
        "duration_ms": 0,
        "has_sound": False,
    }
    hub.session.execute(update(Image).where(Image.name.in_(names)).values(earlier))
    for image in hub.session.scalars(select(Image).where(Image.name.in_(files))):
        item = hub.open_drive().get_item(image.drive_item_id)
        image.quick_xor_hash = image.drive_hash = item.quick_xor_hash
    hub.session.commit()
    return hub.list_images()[-1].group_id


def play(hub: ImportHub, groups: list[int] | None = None) -> list[str]:
    hub.session.rollback()
    assert stills.play_stills(hub.session, hub.user_id, groups)
    hub.session.commit()
    jobs = hub.session.scalars(select(ImportJob.id).where(ImportJob.state == "running")).all()
    return [state for job_id in jobs for state in hub.work(job_id)]


def count(hub: ImportHub) -> tuple[int, int, int]:
    hub.session.rollback()
    listed = listing.list_groups(hub.session, "still").rows
    counted = count_to_do(hub.session).stills
    assert listing.count_to_do(hub.session)["still"] == len(listed)
    return counted, sum(row.note for row in listed), len(stills.list_stills(hub.session))


def test_stills_are_counted_and_play_when_asked(either_import_hub: ImportHub) -> None:
    hub = either_import_hub
    first = bring_in(hub, "One", {"a.mp4": make_film(), "b.jpg": make_jpeg(1)})
    second = bring_in(hub, "Two", {"c.mov": make_film(brand=b"qt  ")})
    assert count(hub) == (2, 2, 2)
    numbers = {image.name: (image.id, image.number) for image in hub.list_images()}
    assert play(hub, [first]) == ["done"]
    film = look(hub, "a.mp4")
    assert (film.video_codec, film.duration_ms, film.has_sound) == ("H.264", 42_000, True)
    assert (film.id, film.number) == numbers["a.mp4"]
    assert count(hub) == (1, 1, 1)
    assert stills.list_stills(hub.session, [first]) == []
    assert stills.list_stills(hub.session, [second]) == [numbers["c.mov"][0]]
    assert play(hub) == ["done"]
    assert count(hub) == (0, 0, 0)
    assert look(hub, "b.jpg").video_codec == ""
    with pytest.raises(InvalidInputError):
        stills.play_stills(hub.session, hub.user_id)
    hub.check_stores_agree()


def test_what_is_being_imported_is_not_imported_twice_and_goes_on(import_hub: ImportHub) -> None:
    hub = import_hub
    bring_in(hub, "One", {"a.mp4": make_film(), "b.mp4": make_film()})
    assert stills.play_stills(hub.session, hub.user_id) == 2
    hub.session.commit()
    job_id = hub.session.scalars(select(ImportJob.id).where(ImportJob.state == "running")).one()
    # The worker dies with its first item.
    hub.claim(job_id)
    hub.end_leases(job_id)
    hub.session.rollback()
    assert stills.play_stills(hub.session, hub.user_id) == 0
    hub.session.commit()
    hub.sweep()
    hub.make_due(job_id)
    assert hub.work(job_id) == ["done", "done"]
    assert count(hub) == (0, 0, 0)


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("film.mov", PRORES, "encoded as ProRes"),
        ("film.avi", make_video(make_picture(size=(640, 360))), "of the type AVI"),
    ],
)
def test_a_still_of_what_no_browser_plays_stays_and_says_why(
    import_hub: ImportHub, name: str, data: bytes, reason: str
) -> None:
    hub = import_hub
    bring_in(hub, "One", {name: data})
    assert play(hub) == ["done"]
    image = look(hub, name)
    assert (image.video_codec, image.drive_state) == ("", "ok")
    assert reason in image.preview_reason
    assert image.preview_reason != EARLIER_VIDEO_FACT
    # It is not offered again, and its renditions can be made again at any time.
    assert count(hub) == (0, 0, 0)
    keys = lose_bucket(hub)
    rebuilt, said = rebuild(hub)
    assert (rebuilt.outcome.done, rebuilt.outcome.failed, said) == (1, 0, [])
    assert hub.list_keys() == keys
    hub.check_stores_agree()


def test_what_cannot_be_read_is_not_offered(import_hub: ImportHub) -> None:
    hub = import_hub
    group = bring_in(hub, "One", {"a.mp4": make_film()})
    hub.session.execute(update(Image).values(drive_state="missing"))
    hub.session.commit()
    assert count(hub) == (0, 0, 0)
    hub.session.execute(update(Image).values(drive_state="ok"))
    hub.session.commit()
    assert count(hub) == (1, 1, 1)
    trash.trash_groups(hub.session, [group], hub.user_id)
    hub.session.commit()
    assert count(hub) == (0, 0, 0)


def test_a_picture_that_gets_a_video_as_original_must_be_playable(import_hub: ImportHub) -> None:
    hub = import_hub
    bring_in(hub, "One", {"a.mp4": make_film()})
    hub.put_files("Two", {"b.mov": PRORES})
    [image] = hub.list_images()
    item = hub.open_drive().find_item_by_path("Two/b.mov")
    assert item is not None
    file = fetch_original(hub.open_drive(), hub.account_id, item.id)
    assert use_file(hub.session, image, file, hub.user_id)
    hub.session.commit()
    job_id = hub.session.scalars(select(ImportItem.job_id).order_by(ImportItem.id.desc())).first()
    assert job_id is not None
    assert hub.work(job_id) == ["failed"]
    assert look(hub, "a.mp4").preview_reason == EARLIER_VIDEO_FACT
