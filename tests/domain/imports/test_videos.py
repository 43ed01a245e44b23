"""Videos as shots: which are imported, what is known of them, and how little of them is read."""

from dataclasses import replace

import pytest
from sqlalchemy import select

from imagehub.domain.imports import folders, plans
from imagehub.domain.imports.board import proposals
from imagehub.domain.imports.jobs import add_remakes
from imagehub.domain.library import images as library_images
from imagehub.domain.library import private_data
from imagehub.models import Image, ImportItem, ImportPlanFile
from tests.fixtures.drawn import encode, make_picture, make_video
from tests.fixtures.importing import ImportHub, make_heic, make_jpeg
from tests.fixtures.planning import make_plan
from tests.imaging.video.files import SOUND, make_mp4, make_place, make_track, make_webm

STILL = encode(make_picture(size=(1280, 720)), "JPEG")


def make_film(**options: object) -> bytes:
    """Write a film of which the emulator can draw a still."""
    return make_mp4(content=STILL, **options)  # type: ignore[arg-type]


def finish(hub: ImportHub, job_id: int) -> None:
    """Process a job to its end, without waiting for the delays between attempts."""
    for _ in range(20):
        hub.work(job_id)
        if hub.report(job_id).is_finished:
            return
        hub.make_due(job_id)
    raise AssertionError("the import does not end")


def import_one(hub: ImportHub, name: str, data: bytes) -> Image:
    assert hub.work(hub.create(hub.put_files("Works", {name: data}))) == ["done"]
    [image] = hub.list_images()
    return image


def refuse(hub: ImportHub, name: str, data: bytes) -> str:
    job_id = hub.create(hub.put_files("Works", {name: data}))
    finish(hub, job_id)
    [failed] = hub.report(job_id).failed
    hub.check_stores_agree()
    return failed.reason


@pytest.mark.parametrize(
    ("name", "data", "mime_type", "codec"),
    [
        ("film.mp4", make_film(), "video/mp4", "H.264"),
        ("film.MOV", make_film(brand=b"qt  ", is_last=True), "video/quicktime", "H.264"),
        ("film.webm", make_webm(content=STILL), "video/webm", "VP9"),
        ("film.mp4", make_film(tracks=[make_track(codec=b"hvc1"), SOUND]), "video/mp4", "HEVC"),
        # The bytes tell what a file is.
        ("film.avi", make_film(), "video/mp4", "H.264"),
    ],
)
def test_a_video_becomes_a_shot_with_a_still(
    import_hub: ImportHub, name: str, data: bytes, mime_type: str, codec: str
) -> None:
    hub = import_hub
    image = import_one(hub, name, data)
    assert (image.mime_type, image.video_codec, image.duration_ms) == (mime_type, codec, 42_000)
    assert (image.width_px, image.height_px, image.has_sound) == (640, 360, True)
    assert not image.is_loop
    assert image.preview_reason
    item = hub.open_drive().get_item(image.drive_item_id)
    assert (image.size_bytes, image.quick_xor_hash) == (len(data), item.quick_xor_hash)
    large = library_images.pick_rendition(image, 1920)
    assert (large.width_px, large.height_px) == (1280, 720)
    assert image.thumbhash
    hub.check_stores_agree()


def test_only_the_headers_of_a_film_are_read(import_hub: ImportHub) -> None:
    hub = import_hub
    long_film = make_mp4(content=STILL + bytes(30_000_000), is_last=True)
    import_one(hub, "film.mov", long_film)
    requests = hub.onedrive.log(path="download.aspx")
    assert 0 < len(requests) < 10
    assert {one["status"] for one in requests} == {206}


def test_a_still_that_onedrive_draws_late_is_waited_for(import_hub: ImportHub) -> None:
    hub = import_hub
    hub.onedrive.set_fault("thumbnails_missing", times=3)
    job_id = hub.create(hub.put_files("Works", {"film.mp4": make_film()}))
    assert hub.work(job_id) == ["queued"]
    finish(hub, job_id)
    assert [image.video_codec for image in hub.list_images()] == ["H.264"]


def test_without_a_still_the_reason_is_said(import_hub: ImportHub) -> None:
    reason = refuse(import_hub, "film.mp4", make_mp4())
    assert reason.startswith("OneDrive draws no preview of this video")


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("film.mov", make_film(tracks=[make_track(codec=b"apch")]), "encoded as ProRes"),
        ("film.avi", make_video(make_picture()), "This is a video of the type AVI"),
        ("film.mkv", make_webm(content=STILL, doc_type="matroska"), "of the type Matroska"),
        ("film.mp4", make_film()[:-40], "damaged or incomplete"),
        # OneDrive draws nothing of a file with the wrong name, but its bytes are those of a video.
        ("film.jpg", make_film(), "OneDrive draws no preview of this video"),
        ("film.mp4", b"%PDF-1.7 " + bytes(2000), "This is a PDF document, not an image."),
    ],
)
def test_what_browsers_cannot_play_is_refused_with_advice(
    import_hub: ImportHub, name: str, data: bytes, reason: str
) -> None:
    assert reason in refuse(import_hub, name, data)


def test_a_picture_under_the_name_of_a_video_is_a_picture(import_hub: ImportHub) -> None:
    image = import_one(import_hub, "shot.mp4", make_jpeg(1))
    assert (image.mime_type, image.video_codec, image.preview_reason) == ("image/jpeg", "", "")


def test_a_video_over_the_limit_for_originals_is_refused(import_hub: ImportHub) -> None:
    hub = import_hub
    job_id = hub.create(hub.put_files("Works", {"film.mp4": make_film()}))
    hub.settings = replace(hub.settings, max_original_bytes=5_000)
    assert hub.process(hub.claim(job_id)) == "failed"
    [failed] = hub.report(job_id).failed
    assert failed.reason.startswith("This file is larger than the limit")


def test_a_new_version_of_a_video_keeps_its_loop_and_a_picture_ends_it(
    import_hub: ImportHub,
) -> None:
    hub = import_hub
    image = import_one(hub, "film.mp4", make_film())
    image.is_loop = True
    hub.session.commit()
    hub.put_files("Works", {"film.mp4": make_film(tracks=[make_track()])})
    remake(hub, image)
    [image] = hub.list_images()
    assert (image.is_loop, image.has_sound, image.duration_ms) == (True, False, 42_000)
    hub.put_files("Works", {"film.mp4": make_jpeg(3)})
    remake(hub, image)
    [image] = hub.list_images()
    assert (image.is_loop, image.video_codec, image.duration_ms) == (False, "", 0)
    assert image.mime_type == "image/jpeg"
    hub.check_stores_agree()


def remake(hub: ImportHub, image: Image) -> None:
    jobs: dict[int, int] = {}
    add_remakes(hub.session, [image.id], jobs, hub.user_id)
    hub.session.commit()
    assert hub.work(*jobs.values()) == ["done"]


def test_the_place_in_a_video_is_found_at_its_import(import_hub: ImportHub) -> None:
    hub = import_hub
    data = make_film(more=make_place(b"+48.8584+002.2945/"), is_last=True)
    image = import_one(hub, "film.mov", data)
    assert image.private_state == private_data.REMOVABLE
    row = private_data.find_rows(hub.session, [image.id])[image.id]
    assert (row.kinds, row.size_bytes) == ("place", len(data))
    assert row.drive_hash == image.quick_xor_hash


def test_a_plan_says_how_long_videos_are(import_hub: ImportHub) -> None:
    hub = import_hub
    files = {
        "film.mp4": make_film(),
        "live.heic": make_heic(),
        "live.mov": make_film(brand=b"qt  "),
        "old.avi": make_video(make_picture()),
    }
    hub.put_files("Works", files)
    plan = make_plan(hub, "Works")
    assert plans.describe_plan(hub.session, plan).verdict_counts == {
        "": 1,
        "video": 1,
        "companion": 2,
    }
    rows = hub.session.scalars(
        select(ImportPlanFile).where(ImportPlanFile.plan_id == plan.id)
    ).all()
    found = {row.file_name: (row.reason, row.duration_ms, row.is_chosen) for row in rows}
    assert found == {
        "film.mp4": ("A video, 0:42.", 42_000, True),
        "live.heic": ("", None, True),
        "live.mov": ("live.heic probably shows the same image.", 42_000, False),
        "old.avi": (
            "Browsers cannot play most videos of this type. Include it to try importing it.",
            0,
            False,
        ),
    }
    assert proposals.list_bins(hub.session, plan)


def test_a_folder_is_imported_with_its_videos(import_hub: ImportHub) -> None:
    hub = import_hub
    files = {"film.mp4": make_film(), "shot.jpg": make_jpeg(1), "shot.mov": make_film()}
    hub.put_files("Works", files)
    created = folders.create_folder_import(hub.session, hub.clients, "Works")
    assert created is not None
    names = hub.session.scalars(
        select(ImportItem.file_name).where(ImportItem.job_id == created[0].id)
    )
    assert sorted(names) == ["film.mp4", "shot.jpg"]
