"""Videos in watched folders: how they come in, and where it is said that one is refused."""

import pytest
from sqlalchemy import select

from imagehub.domain.imports.reports import list_failed_jobs
from imagehub.models import Group, WatchedItem
from tests.domain.imports.test_videos import make_film
from tests.domain.imports.test_watched import bring, settle, take, watch
from tests.fixtures.checking import check
from tests.fixtures.importing import ImportHub, make_heic, make_jpeg
from tests.imaging.video.files import make_header, make_track


@pytest.mark.parametrize("is_published", [False, True])
def test_a_video_comes_in_with_the_pictures_of_its_work(
    either_import_hub: ImportHub, is_published: bool
) -> None:
    hub = either_import_hub
    watch(hub, "Works", way="stem", is_published=is_published)
    files = {
        "harbour-1.jpg": make_jpeg(1),
        "harbour-2.mp4": make_film(),
        "bridge.mov": make_film(brand=b"qt  "),
        # Of a Live Photo: as on the board, its companion is left out.
        "boat.heic": make_heic(),
        "boat.mov": make_film(header=make_header(3000)),
    }
    hub.put_files("Works", files)
    assert bring(hub) == ["done"] * 4
    groups = hub.session.scalars(select(Group).order_by(Group.title)).all()
    state = "published" if is_published else "draft"
    assert [(one.title, one.state, one.image_count) for one in groups] == [
        ("Boat", state, 1),
        ("Bridge", state, 1),
        ("Harbour", state, 2),
    ]
    codecs = {image.name: image.video_codec for image in hub.list_images()}
    assert codecs == {
        "harbour-1.jpg": "",
        "harbour-2.mp4": "H.264",
        "bridge.mov": "H.264",
        "boat.heic": "",
    }
    assert bring(hub) == []


def test_a_video_that_no_browser_plays_is_among_the_failed_files(import_hub: ImportHub) -> None:
    hub = import_hub
    watch(hub, "Works", way="stem")
    hub.put_files(
        "Works",
        {
            "harbour-1.jpg": make_jpeg(1),
            "harbour-2.mov": make_film(tracks=[make_track(codec=b"apch")]),
        },
    )
    assert sorted(bring(hub)) == ["done", "failed"]
    [job] = list_failed_jobs(hub.session)
    assert (job.file_name, job.failed_count) == ("harbour-2.mov", 1)
    assert "encoded as ProRes" in job.reason
    assert [image.name for image in hub.list_images()] == ["harbour-1.jpg"]


def test_a_video_type_that_browsers_mostly_refuse_is_left_to_a_person(
    import_hub: ImportHub,
) -> None:
    hub = import_hub
    watch(hub, "Works")
    hub.put_files("Works", {"old.avi": b"RIFF" + bytes(2000)})
    assert bring(hub) == []
    assert not hub.list_images()


def test_a_video_that_is_still_being_uploaded_waits(import_hub: ImportHub) -> None:
    hub = import_hub
    watch(hub, "Works")
    film = make_film(is_last=True)
    hub.put_files("Works", {"film.mp4": film[: len(film) // 2]})
    assert check(hub).is_done
    assert take(hub) == []
    hub.put_files("Works", {"film.mp4": film})
    settle(hub)
    assert take(hub) == []
    settle(hub)
    [job_id] = take(hub)
    assert hub.work(job_id) == ["done"]
    assert [image.video_codec for image in hub.list_images()] == ["H.264"]
    assert hub.session.scalars(select(WatchedItem.job_id)).all() == [job_id]
