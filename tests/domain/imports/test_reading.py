"""Filling an import plan: OneDrive read step by step, and each file judged."""

import io
import re
from dataclasses import replace
from datetime import datetime

import pytest
from PIL import ExifTags
from PIL import Image as Picture
from sqlalchemy import select

from imagehub.clients import DriveItem
from imagehub.domain.imports import plans, reading, reports
from imagehub.domain.imports.board import changes, proposals
from imagehub.domain.imports.previews import find_capture_time
from imagehub.domain.onedrive.folders import get_root
from imagehub.errors import InvalidInputError
from imagehub.models import Group, Image, ImportPlanFile
from tests.fixtures.importing import ImportHub, make_jpeg, spell_otherwise
from tests.fixtures.planning import LIMIT, list_board, make_plan, read_all


def test_a_folder_is_read_with_the_folders_in_it(studio: ImportHub) -> None:
    plan = make_plan(studio, "Studio")
    assert plan.state == "ready"
    assert list_board(studio, plan) == [
        ("Studio", ["harbour-front.jpg", "harbour-back.jpg", "mill_1.jpg", "mill_2.jpg"]),
        ("Inside", ["IMG_1.jpg", "IMG_2.jpg"]),
    ]
    summary = plans.describe_plan(studio.session, plan)
    assert (summary.file_count, summary.chosen_count, summary.group_count) == (7, 6, 2)
    assert summary.verdict_counts == {"": 6, "unsupported": 1}
    assert summary.seconds is None
    (unusable,) = plans.list_unusable(studio.session, plan)
    assert (unusable.file_name, unusable.reason) == (
        "notes.txt",
        "This is a text file, not an image.",
    )


def test_files_that_nothing_can_draw_are_refused_before_any_download(
    import_hub: ImportHub,
) -> None:
    names = ("IMG_1.jpg", "cr2", "drawing.svg", "scene.exr", "settings.xmp")
    import_hub.put_files("Camera", {name: make_jpeg(n) for n, name in enumerate(names)})
    plan = make_plan(import_hub, "Camera")
    assert list_board(import_hub, plan) == [("Camera", ["cr2", "IMG_1.jpg"])]
    unusable = plans.list_unusable(import_hub.session, plan)
    assert sorted((file.file_name, file.reason) for file in unusable) == [
        ("drawing.svg", "SVG drawings cannot be imported. Save the file as PNG first."),
        (
            "scene.exr",
            "Images of this type cannot be imported. Save the file as TIFF or PNG first.",
        ),
        ("settings.xmp", "This file contains image settings, not an image."),
    ]


def test_images_in_the_top_folder_are_titled_after_their_files(import_hub: ImportHub) -> None:
    import_hub.put_files("", {"harbour-front.jpg": make_jpeg(1), "harbour-back.jpg": make_jpeg(2)})
    drive = import_hub.open_drive()
    files = {item.name: item.id for item in drive.iter_children(get_root(drive).id)}
    harbour = [("Harbour", ["harbour-front.jpg", "harbour-back.jpg"])]
    chosen = [files[name] for name in harbour[0][1]]
    assert list_board(import_hub, make_plan(import_hub, items=chosen)) == harbour
    plan = make_plan(import_hub, "")
    assert list_board(import_hub, plan)[0] == harbour[0]
    proposals.propose(import_hub.session, plan, "one")
    assert list_board(import_hub, plan)[0][0] == ""


def test_of_duplicates_the_first_by_name_is_included(
    import_hub: ImportHub,
) -> None:
    names = ("boat copy.jpg", "boat.jpg", "boat 10.jpg", "boat 2.jpg")
    import_hub.put_files("Copies", dict.fromkeys(names, make_jpeg(1)))
    plan = make_plan(import_hub, "Copies")
    (bin_,) = proposals.list_bins(import_hub.session, plan)
    assert [(file.file_name, file.is_chosen) for file in bin_.files] == [
        ("boat.jpg", True),
        ("boat 2.jpg", False),
        ("boat 10.jpg", False),
        ("boat copy.jpg", False),
    ]
    assert bin_.files[1].reason == "The same image as boat.jpg."


def test_a_step_is_saved_once(studio: ImportHub) -> None:
    drive = studio.open_drive()
    folder = drive.find_item_by_path("Studio")
    assert folder is not None
    plan = plans.create_plan(studio.session, studio.account_id, None, [folder.id], [])
    studio.session.commit()
    entry = reading.get_next_entry(plan)
    assert entry is not None
    step = reading.fetch_step(drive, entry)
    following = reading.save_step(studio.session, plan.id, entry, step, LIMIT)
    assert following is not None
    assert reading.save_step(studio.session, plan.id, entry, step, LIMIT) == following
    studio.session.refresh(plan)
    assert plans.describe_plan(studio.session, plan).file_count == 5
    assert plan.state == "reading"
    read_all(studio, plan)
    assert plans.describe_plan(studio.session, plan).file_count == 7


def test_items_that_are_gone_or_outside_the_root_are_skipped(studio: ImportHub) -> None:
    files = {name: file_id for file_id, name in studio.select_folder("Studio").files}
    plan = make_plan(studio, items=("no-such-item", files["mill_1.jpg"]))
    assert plans.describe_plan(studio.session, plan).file_count == 1


def test_files_of_unknown_type_are_excluded_until_included(import_hub: ImportHub) -> None:
    names = ("a.jpg", "b.JFIF", "scan", "bundle.7z", "a.xmp", "poster.dwg", "book.indd", "a.x9y")
    import_hub.put_files("Camera", {name: make_jpeg(n) for n, name in enumerate(names)})
    plan = make_plan(import_hub, "Camera")
    summary = plans.describe_plan(import_hub.session, plan)
    assert summary.verdict_counts == {"": 2, "doubtful": 2, "unsupported": 4}
    assert summary.chosen_count == 2
    (one,) = proposals.list_bins(import_hub.session, plan)
    assert {file.file_name for file in one.files} == {"a.jpg", "b.JFIF", "scan", "a.x9y"}
    changes.include_verdict(import_hub.session, plan, "doubtful", True)
    assert plans.describe_plan(import_hub.session, plan).chosen_count == 4


def test_an_image_with_too_many_pixels_is_shown_by_onedrives_preview(
    studio: ImportHub,
) -> None:
    drive = studio.open_drive()
    folder = drive.find_item_by_path("Studio/Inside")
    assert folder is not None
    plan = plans.create_plan(studio.session, studio.account_id, None, [folder.id], [])
    entry = reading.get_next_entry(plan)
    assert entry is not None
    step = reading.fetch_step(drive, entry)
    (large, *parts), (small, *_) = step.files
    large = replace(large, width_px=25_000, height_px=25_000)
    step.files = [(large, *parts), (replace(small, width_px=0, height_px=0), *parts)]
    studio.session.commit()
    reading.save_step(studio.session, plan.id, entry, step, LIMIT)
    assert plans.list_unusable(studio.session, plan) == []
    summary = plans.describe_plan(studio.session, plan)
    assert (summary.verdict_counts, summary.chosen_count) == ({"preview": 1, "": 1}, 2)
    query = select(ImportPlanFile.reason).where(ImportPlanFile.verdict == "preview")
    assert studio.session.scalars(query).all() == [
        "This image has 625 megapixels; the limit is 250. ImageHub shows the preview that OneDrive "
        "draws of it."
    ]


def test_a_file_is_known_however_onedrive_spells_its_id(studio: ImportHub) -> None:
    chosen = studio.select_folder("Studio/Inside")
    studio.work(studio.create(chosen))
    for image in studio.session.query(Image):
        image.drive_item_id = spell_otherwise(image.drive_item_id)
        image.quick_xor_hash = ""
    studio.session.commit()
    plan = make_plan(studio, "Studio/Inside")
    assert plans.describe_plan(studio.session, plan).verdict_counts == {"known": 2}
    (group_id,) = studio.session.scalars(select(Group.id))
    job_id = studio.create(replace(chosen, group=group_id))
    assert {item.state for item in studio.list_items(job_id)} == {"skipped"}


def test_a_folder_spelt_in_two_ways_is_one_group_of_each_file_once(studio: ImportHub) -> None:
    drive = studio.open_drive()
    folder = drive.find_item_by_path("Studio")
    assert folder is not None
    ids = [folder.id, spell_otherwise(folder.id)]
    plan = plans.create_plan(studio.session, studio.account_id, None, ids, [])
    entry = reading.get_next_entry(plan)
    assert entry is not None
    step = reading.fetch_step(drive, entry)
    (item, _, name), *_ = step.files
    # The same folder and its first file once more, as another answer may spell them.
    twin = replace(item, id=spell_otherwise(item.id))
    other = replace(item, id=f"{item.id}0", name="mill_3.jpg", quick_xor_hash="")
    step.files += [(one, spell_otherwise(folder.id), name) for one in (twin, other)]
    studio.session.commit()
    reading.save_step(studio.session, plan.id, entry, step, LIMIT)
    read_all(studio, plan)
    assert plans.describe_plan(studio.session, plan).file_count == 8
    titles = [title for title, _ in list_board(studio, plan)]
    assert titles == ["Studio", "Inside"]
    sources = reports.find_sources(studio.session, ImportPlanFile.plan_id, [plan.id])
    assert sources[plan.id].folder_name == "Studio"
    proposals.propose(studio.session, plan, "stem")
    assert [title for title, _ in list_board(studio, plan)] == ["Harbour", "Mill", "IMG 1", "IMG 2"]


def test_items_that_onedrive_refuses_are_listed_and_the_rest_is_read(studio: ImportHub) -> None:
    files = {name: file_id for file_id, name in studio.select_folder("Studio").files}
    inside = studio.open_drive().find_item_by_path("Studio/Inside")
    assert inside is not None
    refused = (inside.id, files["mill_2.jpg"])
    for item_id, status in zip(refused, (403, 400), strict=True):
        studio.onedrive.set_fault("status", status=status, path=re.escape(item_id))
    plan = make_plan(studio, "Studio", items=(files["mill_1.jpg"], files["mill_2.jpg"]))
    assert plan.state == "ready"
    summary = plans.describe_plan(studio.session, plan)
    assert summary.verdict_counts["refused"] == 1
    unusable = {one.file_name: one for one in plans.list_unusable(studio.session, plan)}
    assert unusable["Inside"].reason == "OneDrive does not permit this."
    assert [title for title, _ in list_board(studio, plan)] == ["Studio"]
    alone = make_plan(studio, items=(files["mill_2.jpg"],))
    assert plans.describe_plan(studio.session, alone).unusable_count == 1


def test_files_above_the_size_limit_are_listed(studio: ImportHub) -> None:
    folder = studio.open_drive().find_item_by_path("Studio/Inside")
    assert folder is not None
    plan = plans.create_plan(studio.session, studio.account_id, None, [folder.id], [])
    read_all(studio, plan, limit=100)
    summary = plans.describe_plan(studio.session, plan)
    assert summary.verdict_counts == {"too_large": 2}
    assert list_board(studio, plan) == []
    with pytest.raises(InvalidInputError):
        plans.start_import(studio.session, plan, None, True)


def test_imported_images_are_found_by_item_and_by_hash(studio: ImportHub) -> None:
    chosen = studio.select_folder("Studio/Inside")
    job_id = studio.create(chosen)
    studio.work(job_id)
    studio.put_files("Copies", {"copy.jpg": make_jpeg(5), "again.jpg": make_jpeg(5)})
    plan = make_plan(studio, "Studio", "Copies")
    assert plans.describe_plan(studio.session, plan).verdict_counts == {
        "": 4,
        "known": 2,
        "same": 2,
        "unsupported": 1,
    }
    reasons = {
        file.file_name: (file.reason, file.is_chosen)
        for one in proposals.list_bins(studio.session, plan)
        for file in one.files
        if file.verdict
    }
    assert reasons["IMG_1.jpg"] == ("Already imported in “Inside”.", False)
    assert reasons["copy.jpg"] == ("The same image is already in “Inside”.", False)


def test_duplicates_and_equal_names_are_found(import_hub: ImportHub) -> None:
    import_hub.put_files("A", {"a.jpg": make_jpeg(1), "b.jpg": make_jpeg(1)})
    import_hub.put_files("B", {"a.jpg": make_jpeg(2)})
    plan = make_plan(import_hub, "A", "B")
    found = {
        (file.folder_name, file.file_name): (file.verdict, file.is_chosen)
        for one in proposals.list_bins(import_hub.session, plan)
        for file in one.files
    }
    assert found == {
        ("A", "a.jpg"): ("", True),
        ("A", "b.jpg"): ("same", False),
        ("B", "a.jpg"): ("name", True),
    }


def make_item(**facts: object) -> DriveItem:
    item = DriveItem("i", "a.jpg", False, 1, "", "2024-05-03T10:00:00Z")
    return replace(item, raw=facts)


def test_capture_time_comes_from_the_camera_and_never_from_the_file() -> None:
    photo = {"takenDateTime": "2024-05-01T12:30:00Z"}
    system = {"createdDateTime": "2024-05-02T00:00:00.123Z"}
    assert find_capture_time(make_item(photo=photo, fileSystemInfo=system)) == datetime(
        2024, 5, 1, 12, 30
    )
    assert find_capture_time(make_item(fileSystemInfo=system)) is None
    assert find_capture_time(make_item()) is None


@pytest.mark.parametrize(
    "text",
    ["soon", None, 7, "0001-01-01T00:00:00Z", "1839-12-31T23:59:59Z", "9999-12-31T23:59:59Z"],
)
def test_an_impossible_capture_time_is_none(text: object) -> None:
    assert find_capture_time(make_item(photo={"takenDateTime": text})) is None


def test_pictures_without_a_capture_time_form_an_untitled_group(import_hub: ImportHub) -> None:
    hub = import_hub
    files = {"a.jpg": make_jpeg(1)}
    for name, taken in (("b.jpg", "1139:05:01 12:00:00"), ("c.jpg", "2019:07:21 18:04:09")):
        exif = Picture.Exif()
        exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = taken
        file = io.BytesIO()
        Picture.open(io.BytesIO(make_jpeg(len(files) + 1))).save(file, "JPEG", exif=exif)
        files[name] = file.getvalue()
    hub.put_files("Scans", files)
    plan = make_plan(hub, "Scans")
    proposals.propose(hub.session, plan, "time")
    assert list_board(hub, plan) == [
        ("2019-07-21 18:04", ["c.jpg"]),
        ("", ["a.jpg", "b.jpg"]),
    ]
