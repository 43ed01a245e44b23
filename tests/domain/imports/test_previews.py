"""Files that ImageHub cannot decode: shown by OneDrive's preview, or refused with a reason."""

import pytest
from sqlalchemy import select

from imagehub.domain.imports import folders, plans
from imagehub.domain.imports.board import proposals
from imagehub.domain.imports.jobs import add_remakes
from imagehub.domain.library import images as library_images
from imagehub.imaging.pool import RenderPool
from imagehub.imaging.render import RenderOptions
from imagehub.models import ImportItem
from tests.fixtures.drawn import (
    JPEG_XL,
    encode,
    make_drawn_files,
    make_picture,
    make_psd,
    make_raw,
)
from tests.fixtures.importing import ImportHub, make_jpeg
from tests.fixtures.planning import make_plan


def _finish(hub: ImportHub, job_id: int) -> None:
    """Process a job to its end, without waiting for the delays between attempts."""
    for _ in range(20):
        hub.work(job_id)
        if hub.report(job_id).is_finished:
            return
        hub.make_due(job_id)
    raise AssertionError("the import does not end")


def test_what_only_onedrive_can_draw_is_shown_by_its_preview(import_hub: ImportHub) -> None:
    hub = import_hub
    files = make_drawn_files((2400, 1600))
    del files["film.avi"]
    job_id = hub.create(hub.put_files("Works", files))
    assert set(hub.work(job_id)) == {"done"}
    images = {image.name: image for image in hub.list_images()}
    assert sorted(images) == sorted(files)
    for name, image in images.items():
        assert image.preview_reason.startswith("ImageHub does not decode "), name
        assert image.size_bytes == len(files[name])
        item = hub.open_drive().get_item(image.drive_item_id)
        assert (image.quick_xor_hash, image.mime_type) == (item.quick_xor_hash, item.mime_type)
        large = library_images.pick_rendition(image, 1920)
        assert (large.width_px, large.height_px) == (1920, 1280), name
        assert hub.clients.store.get_object(large.object_key)[:4] == b"RIFF"
        assert image.thumbhash
    # OneDrive knows the size of pictures, but not of documents.
    assert {name: image.width_px for name, image in images.items()} == {
        **dict.fromkeys(("cover.psd", "leaf.jp2", "wall.tga"), 2400),
        **dict.fromkeys(("drawing.ai", "page.pdf", "shot.nef"), 0),
    }
    raw = images["shot.nef"]
    assert (raw.camera, raw.iso, raw.f_number) == ("NIKON Z 6", 400, 2.8)
    assert str(raw.taken_at) == "2024-05-06 07:08:09"
    hub.check_stores_agree()


def test_an_image_above_the_limit_of_pixels_is_shown_by_its_preview(import_hub: ImportHub) -> None:
    hub = import_hub
    job_id = hub.create(hub.put_files("Works", {"huge.jpg": make_jpeg(1, (2400, 1600))}))
    with RenderPool(1, options=RenderOptions(max_pixels=3_500_000)) as renderer:
        assert hub.process(hub.claim(job_id), renderer=renderer) == "done"
    [image] = hub.list_images()
    assert image.preview_reason.endswith(" megapixels; the limit is 3.")
    assert (image.width_px, image.height_px, image.mime_type) == (2400, 1600, "image/jpeg")
    large = library_images.pick_rendition(image, 1920)
    assert (large.width_px, large.height_px) == (1920, 1280)


def test_only_the_size_that_is_needed_is_requested(import_hub: ImportHub) -> None:
    hub = import_hub
    hub.work(hub.create(hub.put_files("Works", {"cover.psd": make_psd(make_picture())})))
    [request] = hub.onedrive.log(path=r"/thumbnails")
    assert request["query"] == "select=c1920x1920%2Clarge"


def test_a_rotated_photo_has_the_sides_of_its_preview(import_hub: ImportHub) -> None:
    hub = import_hub
    tall = make_psd(make_picture(size=(200, 300)))
    hub.work(hub.create(hub.put_files("Works", {"tall.psd": tall})))
    [image] = hub.list_images()
    assert (image.width_px, image.height_px) == (200, 300)


def test_a_late_preview_is_waited_for(import_hub: ImportHub) -> None:
    hub = import_hub
    hub.onedrive.set_fault("thumbnails_missing", times=4)
    job_id = hub.create(hub.put_files("Works", {"shot.nef": make_raw(make_picture())}))
    assert hub.work(job_id) == ["queued"]
    assert hub.report(job_id).waiting_reason == (
        "OneDrive has not drawn a preview of this file yet."
    )
    _finish(hub, job_id)
    assert [image.name for image in hub.list_images()] == ["shot.nef"]


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        (
            "shot.jxl",
            JPEG_XL,
            "Images of this type cannot be imported. Save the file as TIFF or PNG first.",
        ),
        (
            "shot.nef",
            make_raw(make_picture())[:300],
            "Raw photos cannot be imported. Save the file as TIFF or JPEG first.",
        ),
    ],
)
def test_without_a_preview_the_reason_is_said(
    import_hub: ImportHub, name: str, data: bytes, reason: str
) -> None:
    hub = import_hub
    job_id = hub.create(hub.put_files("Works", {name: data}))
    _finish(hub, job_id)
    [failed] = hub.report(job_id).failed
    assert failed.reason == reason
    # A new file may get its preview minutes later; an old one is given up after seconds.
    assert [item.attempt_count for item in hub.list_items(job_id)] == [8]
    hub.check_stores_agree()


def test_onedrives_refusal_to_draw_is_no_preview(import_hub: ImportHub) -> None:
    hub = import_hub
    hub.onedrive.set_fault("status", path="transform.aspx", status=406, code="notSupported")
    job_id = hub.create(hub.put_files("Works", {"cover.psd": make_psd(make_picture())}))
    _finish(hub, job_id)
    [failed] = hub.report(job_id).failed
    assert failed.reason.startswith("Photoshop documents cannot be imported.")


def test_a_picture_that_the_decoder_refuses_is_shown_by_its_preview(import_hub: ImportHub) -> None:
    hub = import_hub
    files = {"cover.jpg": make_psd(make_picture()), "ok.jpg": make_jpeg(1)}
    job_id = hub.create(hub.put_files("Works", files))
    hub.work(job_id)
    cover, plain = hub.list_images()
    assert cover.preview_reason == "This is a Photoshop document, not an image."
    assert (cover.width_px, cover.height_px) == (300, 200)
    assert plain.preview_reason == ""


def test_an_incomplete_picture_is_not_shown_by_a_preview_of_its_rest(import_hub: ImportHub) -> None:
    hub = import_hub
    data = encode(make_picture(size=(900, 600)), "PNG")
    job_id = hub.create(hub.put_files("Works", {"cut.png": data[: len(data) // 2]}))
    assert hub.work(job_id) == ["failed"]
    [failed] = hub.report(job_id).failed
    assert "incomplete" in failed.reason
    assert hub.onedrive.log(path="/thumbnails") == []


def test_a_changed_original_is_drawn_again(import_hub: ImportHub) -> None:
    hub = import_hub
    hub.work(hub.create(hub.put_files("Works", {"cover.psd": make_psd(make_picture("navy"))})))
    [image] = hub.list_images()
    before = (image.dominant_color, image.quick_xor_hash)
    hub.put_files("Works", {"cover.psd": make_psd(make_picture("darkred"))})
    jobs: dict[int, int] = {}
    add_remakes(hub.session, [image.id], jobs, hub.user_id)
    hub.session.commit()
    [job_id] = jobs.values()
    assert hub.work(job_id) == ["done"]
    [image] = hub.list_images()
    assert (image.dominant_color, image.quick_xor_hash) != before
    assert image.preview_reason
    # The artist saves the picture under the same name as a plain one.
    hub.put_files("Works", {"cover.psd": make_jpeg(3)})
    add_remakes(hub.session, [image.id], jobs := {}, hub.user_id)
    hub.session.commit()
    assert hub.work(*jobs.values()) == ["done"]
    [image] = hub.list_images()
    assert (image.preview_reason, image.mime_type) == ("", "image/jpeg")
    hub.check_stores_agree()


def test_a_plan_includes_previews_but_not_companions(import_hub: ImportHub) -> None:
    hub = import_hub
    files = make_drawn_files() | {"shot.jpg": make_jpeg(1), "notes.svg": b"<svg/>"}
    hub.put_files("Works", files)
    plan = make_plan(hub, "Works")
    assert plans.describe_plan(hub.session, plan).verdict_counts == {
        "": 1,
        "preview": 4,
        "companion": 3,
        "unsupported": 1,
    }
    (bin_,) = proposals.list_bins(hub.session, plan)
    reasons = {file.file_name: file.reason for file in bin_.files if not file.is_chosen}
    assert reasons == {
        "film.avi": (
            "Browsers cannot play most videos of this type. Include it to try importing it."
        ),
        "page.pdf": "Documents are imported only if you include them.",
        "shot.nef": "shot.jpg probably shows the same image.",
    }
    # A document that a person selected is included at once.
    children = hub.open_drive().iter_children(bin_.files[0].folder_id)
    page = next(item for item in children if item.name == "page.pdf")
    alone = make_plan(hub, items=[page.id])
    assert plans.describe_plan(hub.session, alone).chosen_count == 1


def test_a_folder_is_imported_with_its_pictures_only(import_hub: ImportHub) -> None:
    hub = import_hub
    hub.put_files("Works", make_drawn_files() | {"shot.jpg": make_jpeg(1)})
    created = folders.create_folder_import(hub.session, hub.clients, "Works")
    assert created is not None
    names = hub.session.scalars(
        select(ImportItem.file_name).where(ImportItem.job_id == created[0].id)
    )
    assert sorted(names) == ["cover.psd", "drawing.ai", "leaf.jp2", "shot.jpg", "wall.tga"]
