"""Downloads of originals, single and as a ZIP file of a work."""

import io
import random
import struct
import time
import tracemalloc
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import pytest
import requests

from imagehub.domain.sharing import downloads
from imagehub.domain.site import settings as site_settings
from imagehub.models import Group, Image
from imagehub.runtime.serve import make_web_program
from imagehub.runtime.supervisor import Supervisor
from imagehub.wiring import get_clients, get_given_settings, get_settings, refresh_settings
from tests.fixtures.site import ConnectedSite, Site, make_site
from tests.support import get_free_port

NOTE = downloads.NOTE_NAME


def make_bytes(size: int, seed: int) -> bytes:
    return random.Random(seed).randbytes(size)


def add_work(
    site: ConnectedSite, files: dict[str, bytes], names: Sequence[str] = (), title: str = ""
) -> int:
    """A work whose shots are files of the drive's folder "Art", under other names if given."""
    site.put_files("Art", files)
    _, ids = site.find_folder("Art")
    number = site.add_group(list(names) or list(files))
    with site.session() as session:
        images = session.query(Image).filter_by(group_id=number).order_by(Image.number)
        for image, file_name in zip(images, files, strict=True):
            image.drive_item_id = ids[file_name]
        session.get_one(Group, number).title = title
        # Most of these files are no pictures, of which visitors would get renditions.
        site_settings.choose_downloads(session, get_given_settings(site.app), "as-is")
    with site.app.app_context():
        refresh_settings(site.app, older_than_seconds=0)
    return number


def read_zip(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
        assert len({name.casefold() for name in names}) == len(names)
        assert all(info.compress_type == zipfile.ZIP_STORED for info in archive.infolist())
        return {name: archive.read(name) for name in names}


@contextmanager
def serving(site: ConnectedSite, **changes: int) -> Iterator[str]:
    """The site behind the real web server, one process of two threads; gives its address."""
    port = get_free_port()
    settings = replace(get_settings(site.app), web_workers=1, web_threads=2, **changes)
    with Supervisor() as supervisor:
        supervisor.wait_until_ready(
            supervisor.launch(make_web_program(settings, "127.0.0.1", port))
        )
        yield f"http://127.0.0.1:{port}"


# --- A ZIP ----------------------------------------------------------------------------------------


def test_a_zip_holds_the_originals_byte_for_byte(connected_site: ConnectedSite) -> None:
    files = {
        "front.jpg": make_bytes(700_000, 1),
        "back.jpg": make_bytes(300_001, 2),
        "empty.jpg": b"",
    }
    group = add_work(connected_site, files, title="Große Welle / 大波")
    answer = connected_site.get(f"/groups/{group}/all.zip")
    assert answer.status_code == 200
    assert answer.mimetype == "application/zip"
    assert answer.headers["Cache-Control"] == "no-store"
    assert "attachment" in answer.headers["Content-Disposition"]
    assert (
        "Gro%C3%9Fe%20Welle%20_%20%E5%A4%A7%E6%B3%A2.zip" in (answer.headers["Content-Disposition"])
    )
    assert read_zip(answer.data) == files


def test_names_are_kept_and_made_unique(connected_site: ConnectedSite) -> None:
    files = {f"{i}.jpg": make_bytes(1000, i) for i in range(6)}
    names = ["Front.jpg", "front.jpg", "a/b:c.jpg", "größe 大.jpg", "..", NOTE]
    group = add_work(connected_site, files, names)
    found = read_zip(connected_site.get(f"/groups/{group}/all.zip").data)
    assert list(found) == [
        "Front.jpg",
        "front (2).jpg",
        "a_b_c.jpg",
        "größe 大.jpg",
        "picture",
        NOTE.replace(".txt", " (2).txt"),
    ]
    assert list(found.values()) == list(files.values())


def test_what_does_not_begin_is_named_in_a_note(connected_site: ConnectedSite) -> None:
    files = {name: make_bytes(1000, i) for i, name in enumerate(["a.jpg", "b.jpg", "c.jpg"])}
    group = add_work(connected_site, files)
    (connected_site.onedrive.root / "Art" / "a.jpg").unlink()
    connected_site.onedrive.set_fault("malware", item="c.jpg")
    found = read_zip(connected_site.get(f"/groups/{group}/all.zip").data)
    assert list(found) == ["b.jpg", NOTE]
    note = found[NOTE].decode()
    assert "a.jpg: The original is no longer in OneDrive." in note
    assert "c.jpg: " in note
    assert "b.jpg" not in note
    found = read_zip(
        connected_site.get(f"/groups/{group}/all.zip", headers={"Accept-Language": "de"}).data
    )
    assert list(found) == ["b.jpg", "Fehlende Bilder.txt"]
    note = found["Fehlende Bilder.txt"].decode()
    assert note.startswith("Diese Bilder konnten nicht abgerufen werden")
    assert "a.jpg: Das Original ist nicht mehr in OneDrive." in note


def test_what_breaks_off_spoils_the_zip_for_all_to_see(connected_site: ConnectedSite) -> None:
    files = {name: make_bytes(400_000, i) for i, name in enumerate(["a.jpg", "b.jpg", "c.jpg"])}
    group = add_work(connected_site, files)
    # The second file breaks off half-way, and OneDrive does not give its rest.
    connected_site.onedrive.set_fault("truncated_download", item="b.jpg", times=1)
    connected_site.onedrive.set_fault("malware", item="b.jpg", skip=2)
    received = b""
    with serving(connected_site) as address:
        answer = requests.get(f"{address}/groups/{group}/all.zip", stream=True, timeout=30)
        assert answer.status_code == 200
        with pytest.raises(requests.RequestException):
            for chunk in answer.iter_content(65_536):
                received += chunk
        assert files["a.jpg"] in received
        assert requests.get(f"{address}/health", timeout=30).ok
    assert files["c.jpg"] not in received
    with pytest.raises(zipfile.BadZipFile):
        zipfile.ZipFile(io.BytesIO(received))


def test_one_too_many_is_put_off_and_hanging_up_makes_room(connected_site: ConnectedSite) -> None:
    group = add_work(connected_site, {"a.jpg": make_bytes(12_000_000, 1), "b.jpg": b"later"})
    connected_site.onedrive.set_fault("slow_download", item="a.jpg", bytes_per_second=1_000_000)
    connected_site.onedrive.clear_log()
    with serving(connected_site) as address:
        url = f"{address}/groups/{group}/all.zip"
        with requests.get(url, stream=True, timeout=30) as first:
            assert first.status_code == 200
            next(first.iter_content(1000))
            second = requests.get(url, timeout=30)
            assert second.status_code == 503
            assert int(second.headers["Retry-After"]) >= 1
            assert "Too many downloads" in second.text
            assert f'href="/groups/{group}' in second.text
            assert requests.get(f"{address}/groups/{group}", timeout=30).ok, "pages come"
        connected_site.onedrive.clear_faults()
        for _ in range(100):
            again = requests.get(url, timeout=30)
            if again.status_code == 200:
                break
            time.sleep(0.1)
        assert list(read_zip(again.content)) == ["a.jpg", "b.jpg"]


def test_a_zip_of_any_size_passes_through_little_memory(connected_site: ConnectedSite) -> None:
    group = add_work(connected_site, {"a.jpg": b""})
    with (connected_site.onedrive.root / "Art" / "a.jpg").open("wb") as file:
        file.truncate(80_000_000)
    with connected_site.app.app_context():
        from imagehub.database import db

        members = downloads.list_members(db.session(), group, as_is=True)
        clients = get_clients()
        db.session.remove()
    tracemalloc.start()
    try:
        size = sum(len(chunk) for chunk in downloads.open_archive(clients, members))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert size > 80_000_000
    assert peak < 8_000_000


def test_members_may_be_larger_than_four_gigabytes(connected_site: ConnectedSite) -> None:
    """The local header has the 64-bit record, whose sizes follow the data."""
    group = add_work(connected_site, {"a.jpg": b"x"})
    data = connected_site.get(f"/groups/{group}/all.zip").data
    signature, version, flags = struct.unpack("<4sHH", data[:8])
    assert (signature, version) == (b"PK\x03\x04", 45)
    assert flags & 8, "sizes come after the data"
    name_length, extra_length = struct.unpack("<HH", data[26:30])
    assert struct.unpack("<H", data[30 + name_length : 32 + name_length]) == (1,)
    assert extra_length == 20
    assert read_zip(data) == {"a.jpg": b"x"}


def test_asking_for_the_head_fetches_nothing(connected_site: ConnectedSite) -> None:
    group = add_work(connected_site, {"a.jpg": b"bytes"})
    connected_site.onedrive.clear_log()
    answer = connected_site.client().head(f"/groups/{group}/all.zip")
    assert answer.status_code == 200
    assert answer.mimetype == "application/zip"
    assert connected_site.onedrive.log() == []


def test_drafts_and_nothing_have_no_zip(site: Site) -> None:
    draft, empty = site.add_group(state="draft"), site.add_group([])
    for group in (draft, empty, 999):
        assert site.get(f"/groups/{group}/all.zip").status_code == 404
    assert site.signed_in_client().get(f"/groups/{empty}/all.zip").status_code == 404


@pytest.mark.parametrize("setting", ["downloads", "zip_downloads"])
def test_zips_can_be_switched_off(connected_site: ConnectedSite, setting: str) -> None:
    group = add_work(connected_site, {"a.jpg": b"1", "b.jpg": b"2"}, title="Two")
    assert "/all.zip" in connected_site.get(f"/groups/{group}/two").text
    folder = get_settings(connected_site.app).data_dir
    closed = make_site(folder, **{setting: "off"})
    assert closed.get(f"/groups/{group}/all.zip").status_code == 404
    assert "/all.zip" not in closed.get(f"/groups/{group}/two").text
    admin = connected_site.signed_in_client()
    assert admin.get(f"/groups/{group}/all.zip").status_code == 200


@pytest.mark.parametrize(
    ("names", "unique"),
    [
        (["a.jpg", "A.JPG", "a.jpg"], ["a.jpg", "A (2).JPG", "a (3).jpg"]),
        (["a.jpg", "a (2).jpg", "a.jpg"], ["a.jpg", "a (2).jpg", "a (3).jpg"]),
        (["noext", "noext"], ["noext", "noext (2)"]),
        ([".jpg", ".jpg"], [".jpg", ".jpg (2)"]),
    ],
)
def test_a_second_name_gets_a_number(names: list[str], unique: list[str]) -> None:
    assert downloads.make_unique(names) == unique


@pytest.mark.parametrize(
    ("name", "tidy"),
    [
        ("front.jpg", "front.jpg"),
        ("a/b\\c.jpg", "a_b_c.jpg"),
        ("../../etc/passwd", "_.._etc_passwd"),
        ("a\x00\nb.jpg", "a__b.jpg"),
        ("  . ", "picture"),
        ("", "picture"),
        ("x" * 300 + ".jpeg", "x" * 145 + ".jpeg"),
        ("e\u0301.jpg", "é.jpg"),
        ("a\N{RIGHT-TO-LEFT OVERRIDE}gpj.exe", "a_gpj.exe"),
        ("\u200fa\u2067b\u2069.jpg", "_a_b_.jpg"),
    ],
)
def test_a_name_can_be_saved_anywhere(name: str, tidy: str) -> None:
    assert downloads.tidy_file_name(name) == tidy


# --- When OneDrive fails --------------------------------------------------------------------------


def test_a_failed_download_is_no_dead_end(connected_site: ConnectedSite) -> None:
    site = connected_site
    group = add_work(site, {"a.jpg": b"1", "b.jpg": b"2"}, title="Two boats")
    shot, work = f"/media/full/{group}/1/a.jpg", f"/groups/{group}/all.zip"
    assert site.get(shot).status_code == 302
    site.onedrive.set_fault("gone")
    for path, back in ((shot, f"/groups/{group}/1"), (work, f"/groups/{group}/two-boats")):
        answer = site.get(path, headers={"Accept": "text/html"})
        assert answer.status_code == 503
        assert int(answer.headers["Retry-After"]) >= 1
        assert answer.headers["Cache-Control"] == "no-store"
        assert "Please try again in" in answer.text
        assert f'href="{back}"' in answer.text
        assert f'href="{path}"' in answer.text, "to try again"
        assert "Two boats" in answer.text
        assert (f'href="/media/{group}/1/1920' in answer.text) == (path == shot)
    site.onedrive.clear_faults()
    site.onedrive.revoke(access_tokens=True)
    site.onedrive.expire_access_tokens()
    for path in (shot, work):
        answer = site.get(path)
        assert answer.status_code == 409
        assert "until its owner reconnects it" in answer.text
        assert f'href="/groups/{group}' in answer.text


def test_with_onedrive_gone_everything_else_works(connected_site: ConnectedSite) -> None:
    site = connected_site
    group = add_work(site, {"a.jpg": b"1", "b.jpg": b"2"}, title="Harbour")
    site.onedrive.kill()
    try:
        for path in (
            "/",
            f"/groups/{group}/harbour",
            f"/groups/{group}/2",
            "/search?q=front",
            "/search/suggest?q=a",
            "/tags",
            "/feed.atom",
            "/sitemap.xml",
            "/sitemap/1.xml",
            f"/oembed?url=http://localhost/groups/{group}",
            "/image/page?page=1",
            f"/image/group?group={group}",
        ):
            assert site.get(path).status_code == 200, path
        assert site.get(f"/media/{group}/1/960").status_code == 302
        assert site.get(f"/groups/{group}/all.zip").status_code == 503
    finally:
        site.onedrive.start()


def test_with_the_object_storage_gone_pages_come(site: Site) -> None:
    """Nothing listens at the store's address here, and no page waits for it."""
    group = site.add_group(["front.jpg", "back.jpg"])
    for path in ("/", f"/groups/{group}", "/search?q=front", "/feed.atom", "/search/suggest?q=f"):
        answer = site.get(path)
        assert answer.status_code == 200, path
    assert "What front.jpg shows" in site.get("/").text
