"""Originals reach visitors without location and personal data."""

import io
import tracemalloc
import zipfile
from collections.abc import Mapping

import pytest
import requests
from PIL import Image as Picture
from werkzeug.test import TestResponse

from imagehub.domain.imports import looks
from imagehub.domain.library import images as library_images
from imagehub.domain.library import private_data
from imagehub.domain.sharing import links, originals
from imagehub.imaging.private_data.look import UNKNOWN as UNKNOWN_DATA
from imagehub.models import Image
from imagehub.wiring import get_clients, get_settings
from tests.fixtures.programs import wait_until
from tests.fixtures.site import ConnectedSite, make_site
from tests.imaging.private_data import files

SECRETS = files.SECRETS
PRIVATE = files.make_jpeg()
CLEAN = files.save(files.draw(), "JPEG", exif=files.make_clean_exif())
UNKNOWN = b"%PDF-1.7 a catalogue"


def add_work(site: ConnectedSite, contents: Mapping[str, bytes]) -> int:
    """A work whose shots are files of the drive's folder "Art"; nobody has looked into them."""
    site.put_files("Art", dict(contents))
    _, ids = site.find_folder("Art")
    number = site.add_group(list(contents))
    with site.session() as session:
        for image in library_images.list_images(session, number):
            image.drive_item_id = ids[image.name]
            image.mime_type, image.private_state = "image/jpeg", ""
    return number


def look_into_all(site: ConnectedSite) -> int:
    with site.session() as session:
        return looks.look_at_originals(session, get_clients(), "worker", lambda: True, 10_000_000)


def get_states(site: ConnectedSite, group: int) -> list[str]:
    with site.session() as session:
        return [image.private_state for image in library_images.list_images(session, group)]


def check_cleaned(data: bytes, before: bytes = PRIVATE) -> None:
    assert len(data) == len(before)
    assert not [secret for secret in SECRETS if secret in data]
    with Picture.open(io.BytesIO(data)) as after, Picture.open(io.BytesIO(before)) as image:
        assert after.getexif().get_ifd(0x8825) == {}
        assert after.getexif()[0x013B] == "The Artist"
        assert after.tobytes() == image.tobytes()


def follow(answer: TestResponse) -> bytes:
    assert answer.status_code == 302
    return requests.get(answer.headers["Location"], timeout=30).content


@pytest.mark.parametrize("is_looked_at", [False, True])
def test_only_files_with_private_data_pass_through_the_hub(
    connected_site: ConnectedSite, is_looked_at: bool
) -> None:
    site = connected_site
    contents = {"private.jpg": PRIVATE, "clean.jpg": CLEAN, "catalogue.pdf": UNKNOWN}
    group = add_work(site, contents)
    if is_looked_at:
        assert look_into_all(site) == 3
        assert get_states(site, group) == ["removable", "none", "fixed"]
    answer = site.get(f"/media/full/{group}/1/private.jpg")
    assert answer.status_code == 200
    check_cleaned(answer.data)
    assert answer.headers["Content-Length"] == str(len(PRIVATE))
    assert answer.headers["Accept-Ranges"] == "bytes"
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Accel-Buffering"] == "no"
    assert answer.mimetype == "image/jpeg"
    assert 'filename="private.jpg"' in answer.headers["Content-Disposition"]
    assert follow(site.get(f"/media/full/{group}/2/clean.jpg")) == CLEAN
    replaced = site.get(f"/media/full/{group}/3/catalogue.pdf")
    assert replaced.status_code == 302
    assert site.find_key(group, 3, 1920) in replaced.headers["Location"]


def test_parts_of_a_cleaned_file_are_the_parts_of_the_whole(connected_site: ConnectedSite) -> None:
    site, size = connected_site, len(PRIVATE)
    group = add_work(site, {"private.jpg": PRIVATE})
    look_into_all(site)
    path = f"/media/full/{group}/1/private.jpg"
    whole = site.get(path)
    tag = whole.headers["ETag"]
    for wanted, start, end in (
        ("bytes=0-", 0, size),
        ("bytes=0-99", 0, 100),
        ("bytes=100-1999", 100, 2000),
        ("bytes=-50", size - 50, size),
        (f"bytes=1000-{size + 5000}", 1000, size),
        (f"bytes=-{size + 1}", 0, size),
        ("bytes=-999999999", 0, size),
    ):
        part = site.get(path, headers={"Range": wanted, "If-Range": tag})
        assert part.status_code == 206, wanted
        assert part.headers["Content-Range"] == f"bytes {start}-{end - 1}/{size}"
        assert part.headers["Content-Length"] == str(end - start)
        assert part.data == whole.data[start:end], wanted
    behind = site.get(path, headers={"Range": f"bytes={size}-"})
    assert (behind.status_code, behind.headers["Content-Range"]) == (416, f"bytes */{size}")
    for headers in (
        {"Range": "bytes=1-2,5-9"},
        {"Range": "bytes=5-2"},
        {"Range": "bytes=-0"},
        {"Range": "pages=1-2"},
        {"Range": "bytes=5-9", "If-Range": '"another"'},
        {"Range": "bytes=5-9", "If-Range": f"W/{tag}"},
        {"Range": "bytes=5-9", "If-Range": tag.strip('"')},
        {"Range": "bytes=5-9", "If-Range": "Sat, 28 Nov 2026 10:00:00 GMT"},
    ):
        answer = site.get(path, headers=headers)
        assert (answer.status_code, answer.data) == (200, whole.data), headers
        assert "Content-Range" not in answer.headers
    head = site.client().head(path, headers={"Range": "bytes=5-9"})
    assert (head.status_code, head.data) == (200, b"")
    assert (head.headers["Content-Length"], head.headers["ETag"]) == (str(size), tag)


def test_a_file_that_changed_since_lets_no_place_out(connected_site: ConnectedSite) -> None:
    site = connected_site
    group = add_work(site, {"a.jpg": CLEAN, "b.jpg": PRIVATE, "c.jpg": PRIVATE})
    look_into_all(site)
    # The same length, so only the listed hash tells.
    moved = PRIVATE[:2] + b"\xff\xfe\0\x12" + b"sixteen letters." + PRIVATE[2:]
    site.put_files("Art", {"a.jpg": PRIVATE, "b.jpg": moved, "c.jpg": UNKNOWN})
    assert get_states(site, group) == ["none", "removable", "removable"]
    check_cleaned(site.get(f"/media/full/{group}/1").data)
    check_cleaned(site.get(f"/media/full/{group}/2").data, moved)
    replaced = site.get(f"/media/full/{group}/3")
    assert site.find_key(group, 3, 1920) in replaced.headers["Location"]


def test_a_file_of_another_size_than_was_looked_at_is_not_sent(
    connected_site: ConnectedSite,
) -> None:
    """OneDrive may list a file otherwise than it sends it."""
    site = connected_site
    group = add_work(site, {"a.jpg": PRIVATE})
    look_into_all(site)
    with site.session() as session:
        (image,) = library_images.list_images(session, group)
        private_data.find_rows(session, [image.id])
        session.get_one(private_data.PrivateData, image.id).size_bytes += 1
    answer = site.get(f"/media/full/{group}/1", headers={"Accept": "text/html"})
    assert answer.status_code == 503
    assert not [secret for secret in SECRETS if secret in answer.data]


def test_a_large_file_passes_through_little_memory(connected_site: ConnectedSite) -> None:
    site = connected_site
    at = PRIVATE.index(b"\xff\xda")
    data = PRIVATE[: at + 14] + bytes(40_000_000) + b"\xff\xd9"
    group = add_work(site, {"a.jpg": data})
    with site.session() as session:
        images = library_images.list_images(session, group)
        (original,) = originals.find_originals(session, images)
        clients = get_clients()
    tracemalloc.start()
    try:
        delivery = originals.deliver(clients, original)
        assert isinstance(delivery, originals.Cleaned)
        size = sum(len(chunk) for chunk in delivery.iter_bytes())
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert size == len(data)
    assert peak < 8_000_000


def test_the_setting_decides_for_visitors_and_not_for_admins(
    connected_site: ConnectedSite,
) -> None:
    site = connected_site
    group = add_work(site, {"private.jpg": PRIVATE, "catalogue.pdf": UNKNOWN})
    look_into_all(site)
    path, zip_path = f"/media/full/{group}/1", f"/groups/{group}/all.zip"
    folder = get_settings(site.app).data_dir
    for setting, full_status, zip_status in (
        ("without-place", 200, 200),
        ("as-is", 302, 200),
        ("none", 404, 404),
    ):
        hub = site.restart(downloads=setting)
        assert hub.get(path).status_code == full_status, setting
        assert hub.get(zip_path).status_code == zip_status, setting
        query = {"group_id": group, "image_id": 1}
        answer = hub.get("/image/download", query_string=query).json
        assert answer is not None
        assert answer["code"] == (0 if setting == "none" else 1)
        admin = hub.signed_in_client()
        assert follow(admin.get(path)) == PRIVATE
        if setting == "as-is":
            assert follow(hub.get(path)) == PRIVATE
            assert follow(hub.get(f"/media/full/{group}/2")) == UNKNOWN
    assert make_site(folder, downloads="off").get(path).status_code == 404


def test_a_zip_holds_cleaned_files(connected_site: ConnectedSite) -> None:
    site = connected_site
    group = add_work(site, {"private.jpg": PRIVATE, "clean.jpg": CLEAN, "catalogue.pdf": UNKNOWN})
    store = get_clients(site.app).store
    store.put_object(site.find_key(group, 3, 1920), b"a rendition", "image/webp")

    def read(data: bytes) -> dict[str, bytes]:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return {name: archive.read(name) for name in archive.namelist()}

    for _ in range(2):
        found = read(site.get(f"/groups/{group}/all.zip").data)
        assert list(found) == ["private.jpg", "clean.jpg", "catalogue.pdf (1920 px).webp"]
        check_cleaned(found["private.jpg"])
        assert found["clean.jpg"] == CLEAN
        assert found["catalogue.pdf (1920 px).webp"] == b"a rendition"
        look_into_all(site)
    admin = read(site.signed_in_client().get(f"/groups/{group}/all.zip").data)
    assert list(admin.values()) == [PRIVATE, CLEAN, UNKNOWN]


def test_the_app_and_the_viewer_get_what_there_is(connected_site: ConnectedSite) -> None:
    site = connected_site
    group = add_work(site, {"private.jpg": PRIVATE, "strange.jpg": UNKNOWN})
    look_into_all(site)
    found = []
    for number in (1, 2):
        query = {"group_id": group, "image_id": number}
        answer = site.get("/image/download", query_string=query).json
        assert answer is not None
        assert answer["image"]["image"].startswith(f"http://localhost/media/full/{group}/{number}/")
        found.append((answer["image"]["width"], answer["image"]["height"]))
    assert found == [(6000, 4000), (1920, 1280)]
    page = site.get(f"/groups/{group}").text
    assert f'data-zoom="/media/full/{group}/1/private.jpg"' in page
    assert f'data-zoom="/media/full/{group}/2/strange.jpg"' not in page
    assert f'data-full="/media/full/{group}/2/strange.jpg"' in page
    assert "Full-size image" in page
    assert "Image at 1920 pixels" in site.get(f"/groups/{group}/2").text
    page = site.signed_in_client().get(f"/groups/{group}").text
    assert f'data-zoom="/media/full/{group}/2/strange.jpg"' in page


@pytest.mark.parametrize("setting", ["without-place", "as-is", "none"])
def test_share_links_follow_the_setting(connected_site: ConnectedSite, setting: str) -> None:
    group = add_work(connected_site, {"private.jpg": PRIVATE})
    site = connected_site.restart(downloads=setting)
    with site.session() as session:
        _, token = links.create_share(session, None, [group], may_download=True)
    answer = site.get(f"/s/{token}/full/{group}/1")
    assert answer.headers["X-Robots-Tag"] == "noindex, nofollow, noarchive"
    if setting == "as-is":
        assert follow(answer) == PRIVATE
    else:
        check_cleaned(answer.data)


def test_looks_are_resumed_and_safe_to_run_twice(connected_site: ConnectedSite) -> None:
    site = connected_site
    group = add_work(site, {f"{n}.jpg": PRIVATE + bytes(n) for n in range(4)})
    (site.onedrive.root / "Art" / "1.jpg").unlink()
    answers = iter([True, True, True, False])
    with site.session() as session:
        progress = looks.find_progress(session)
        assert progress == looks.Progress(0, 4)
        count = looks.look_at_originals(
            session, get_clients(), "one", lambda: next(answers), 10_000_000
        )
        assert count == 1
        assert looks.find_progress(session) == looks.Progress(1, 4)
    assert look_into_all(site) == 2
    assert look_into_all(site) == 0
    assert get_states(site, group) == ["removable", "", "removable", "removable"]
    with site.session() as session:
        assert private_data.count_found(session) == private_data.Counts(3, 3, 0)
        assert private_data.count_found(session, most=2) == private_data.Counts(2, 2, 0)
        # What an import has looked at in the meantime is not overwritten.
        image = session.query(Image).filter_by(name="0.jpg").one()
        listing = private_data.Listing("other", 1, "", 1)
        looks._save(session, image.id, image.drive_item_id, listing, UNKNOWN_DATA, [])
    assert get_states(site, group)[0] == "removable"


def test_a_worker_looks_into_what_was_imported_before(connected_site: ConnectedSite) -> None:
    site = connected_site
    group = add_work(site, {"a.jpg": PRIVATE, "b.jpg": CLEAN})
    admin = site.signed_in_client()
    home = admin.get("/admin/").text
    assert "0 of 2 originals" in home
    jobs = admin.get("/admin/home/jobs").json
    assert jobs is not None
    assert [(job["id"], job["finished"], job["total"]) for job in jobs["jobs"]] == [(0, 0, 2)]
    with site.working():
        wait_until(lambda: get_states(site, group) == ["removable", "none"])
    assert admin.get("/admin/home/jobs").json == {"jobs": []}


def test_a_busy_onedrive_puts_the_looks_off(connected_site: ConnectedSite) -> None:
    site = connected_site
    group = add_work(site, {"a.jpg": PRIVATE})
    site.onedrive.set_fault("gone")
    assert look_into_all(site) == 0
    assert get_states(site, group) == [""]
    site.onedrive.clear_faults()
    site.onedrive.set_fault("malware", item="a.jpg")
    assert look_into_all(site) == 1
    assert get_states(site, group) == ["fixed"]
