import io
import os
import socket
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from PIL import Image

from tests.emulators.person import Person, make_picture
from tests.fixtures.drawn import JPEG_XL, make_drawn_files
from tests.fixtures.onedrive import OneDrive

DATA = bytes(range(256)) * 40


@pytest.fixture
def person(onedrive: OneDrive) -> Person:
    return Person(onedrive)


@pytest.fixture
def colleague(onedrive_business: OneDrive) -> Person:
    return Person(onedrive_business)


def fetch(url: str, **headers: str) -> requests.Response:
    return requests.get(url, headers=headers, allow_redirects=False, timeout=60)


# --- Downloads ----------------------------------------------------------------------------------


def test_content_redirects_to_another_host(person: Person) -> None:
    item = person.put("a b.bin", DATA)
    answer = person.call("GET", f"/me/drive/items/{item['id']}/content")
    assert answer.status_code == 302
    location = answer.headers["Location"]
    assert "/my.microsoftpersonalcontent.com/" in location
    download = fetch(location)
    assert download.status_code == 200
    assert download.content == DATA
    assert download.headers["Accept-Ranges"] == "bytes"
    assert download.headers["Content-Disposition"].endswith("''a%20b.bin")
    assert download.headers["Access-Control-Allow-Origin"] == "*"


def test_content_hosts_refuse_an_authorization_header(person: Person) -> None:
    url = person.put("a.bin", DATA)["@microsoft.graph.downloadUrl"]
    answer = fetch(url, Authorization="Bearer x")
    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == "unauthenticated"


@pytest.mark.parametrize(
    ("wanted", "expected", "content_range"),
    [
        ("bytes=0-99", DATA[:100], "bytes 0-99/10240"),
        ("bytes=10000-", DATA[10_000:], "bytes 10000-10239/10240"),
        ("bytes=-40", DATA[-40:], "bytes 10200-10239/10240"),
        ("bytes=10239-99999", DATA[-1:], "bytes 10239-10239/10240"),
        ("bytes=0-", DATA, "bytes 0-10239/10240"),
    ],
)
def test_only_the_requested_range_is_sent(
    person: Person, wanted: str, expected: bytes, content_range: str
) -> None:
    url = person.put("a.bin", DATA)["@microsoft.graph.downloadUrl"]
    answer = fetch(url, Range=wanted)
    assert answer.status_code == 206
    assert answer.content == expected
    assert answer.headers["Content-Range"] == content_range


@pytest.mark.parametrize("wanted", ["bytes=5-2", "bytes=a-b", "lines=1-2", "bytes=1-2,4-5"])
def test_an_invalid_range_is_ignored(person: Person, wanted: str) -> None:
    url = person.put("a.bin", DATA)["@microsoft.graph.downloadUrl"]
    answer = fetch(url, Range=wanted)
    assert (answer.status_code, answer.content) == (200, DATA)


@pytest.mark.parametrize("wanted", ["bytes=10240-", "bytes=-0"])
def test_a_range_outside_the_file_is_refused(person: Person, wanted: str) -> None:
    url = person.put("a.bin", DATA)["@microsoft.graph.downloadUrl"]
    answer = fetch(url, Range=wanted)
    assert answer.status_code == 416
    assert answer.headers["Content-Range"] == "bytes */10240"


def test_head_returns_the_length_without_the_bytes(person: Person) -> None:
    url = person.put("a.bin", DATA)["@microsoft.graph.downloadUrl"]
    answer = requests.head(url, timeout=30)
    assert answer.headers["Content-Length"] == "10240"
    assert fetch(url).content == DATA


def test_a_tampered_address_is_refused(person: Person) -> None:
    mine, other = person.put("a.bin", b"a"), person.put("b.bin", b"b")
    url = mine["@microsoft.graph.downloadUrl"]
    token = url.partition("tempauth=")[2].partition("&")[0]
    for bad in (token[:-2], token[:30] + "A" + token[31:], "", "v1.", "v1.ü", "x" * 5000):
        assert fetch(url.replace(token, bad)).status_code == 401, bad
    assert fetch(url.partition("?")[0]).status_code == 401
    assert fetch(other["@microsoft.graph.downloadUrl"]).content == b"b"


def test_an_address_serves_the_current_file_until_it_is_deleted(person: Person) -> None:
    item = person.put("a.bin", b"old")
    url = item["@microsoft.graph.downloadUrl"]
    person.put("a.bin", b"newer")
    assert fetch(url).content == b"newer"
    person.call("DELETE", f"/me/drive/items/{item['id']}")
    assert fetch(url).status_code == 404


def test_an_unchanged_file_is_not_sent_again(person: Person) -> None:
    item = person.put("a.bin", DATA)
    place = f"/me/drive/items/{item['id']}/content"
    tag = {"If-None-Match": item["cTag"]}
    assert person.call("GET", place, headers=tag).status_code == 304
    url = item["@microsoft.graph.downloadUrl"]
    assert fetch(url, **{"If-None-Match": item["eTag"]}).status_code == 304


def test_a_folder_has_no_content(person: Person) -> None:
    assert person.refused("GET", "/me/drive/root/content")[0] == 400


def test_an_empty_file_is_served(person: Person) -> None:
    item = person.put("empty", b"")
    assert item["size"] == 0
    assert item["file"]["hashes"]["quickXorHash"] == "A" * 27 + "="
    assert fetch(item["@microsoft.graph.downloadUrl"]).content == b""


def test_a_browser_may_download_with_ranges_but_no_other_headers(person: Person) -> None:
    url = person.put("a.bin", DATA)["@microsoft.graph.downloadUrl"]
    answer = requests.options(url, headers={"Origin": "http://localhost:3000"}, timeout=30)
    assert answer.ok
    allowed = answer.headers["Access-Control-Allow-Headers"].lower().split(", ")
    assert "range" in allowed
    assert "authorization" not in allowed
    assert "*" not in allowed


def test_one_connection_serves_many_requests(person: Person) -> None:
    item = person.put("a.bin", DATA)
    host, port = urlsplit(person.onedrive.url).hostname, urlsplit(person.onedrive.url).port
    target = urlsplit(item["@microsoft.graph.downloadUrl"])
    line = f"GET {target.path}?{target.query} HTTP/1.1\r\nHost: {host}:{port}\r\n"
    with socket.create_connection((host, port), timeout=10) as connection:
        stream = connection.makefile("rb")
        for _ in range(3):
            connection.sendall((line + "Range: bytes=0-9\r\n\r\n").encode())
            assert stream.readline().startswith(b"HTTP/1.1 206")
            headers = dict(
                header.decode().strip().lower().split(": ", 1)
                for header in iter(stream.readline, b"\r\n")
            )
            assert stream.read(int(headers["content-length"])) == DATA[:10]


def test_a_refused_request_with_a_body_keeps_the_connection_usable(person: Person) -> None:
    for _ in range(3):
        place = "/me/drive/items/none/content"
        assert person.refused("PUT", place, data=b"x" * 500_000) == (404, "itemNotFound")
    assert person.get("/me/drive")["driveType"] == "personal"


# --- Simple uploads -----------------------------------------------------------------------------


def test_a_file_can_be_put_and_replaced(person: Person) -> None:
    place = "/me/drive/root:/New/Folder/a.bin:/content"
    first = person.call("PUT", place, data=b"one")
    assert first.status_code == 201
    again = person.call("PUT", place, data=b"other")
    assert again.status_code == 200
    assert again.json()["id"] == first.json()["id"]
    assert (person.onedrive.root / "New" / "Folder" / "a.bin").read_bytes() == b"other"
    by_id = person.call("PUT", f"/me/drive/items/{first.json()['id']}/content", data=b"third")
    assert by_id.status_code == 200
    assert person.find("New/Folder/a.bin")["size"] == 5


def test_the_query_sets_the_conflict_behavior(person: Person) -> None:
    person.put("a.bin", b"one")
    place = "/me/drive/root:/a.bin:/content?@microsoft.graph.conflictBehavior="
    assert person.refused("PUT", place + "fail", data=b"two") == (409, "nameAlreadyExists")
    renamed = person.call("PUT", place + "rename", data=b"two")
    assert renamed.json()["name"] == "a 1.bin"
    assert (person.onedrive.root / "a.bin").read_bytes() == b"one"
    assert person.refused("PUT", place + "maybe", data=b"x")[0] == 400


def test_an_aborted_upload_leaves_no_file(person: Person) -> None:
    target = urlsplit(person.onedrive.url)
    authorization = person.session.headers["Authorization"]
    head = (
        "PUT /v1.0/me/drive/root:/half.bin:/content HTTP/1.1\r\nHost: x\r\n"
        f"Authorization: {authorization}\r\nContent-Length: 1000\r\n\r\n"
    )
    with socket.create_connection((target.hostname, target.port), timeout=10) as connection:
        connection.sendall(head.encode() + b"x" * 500)
    assert person.list_names() == []
    assert os.listdir(person.onedrive.root) == []


def test_a_body_of_unknown_length_is_refused(person: Person) -> None:
    answer = person.call("PUT", "/me/drive/root:/a.bin:/content", data=iter([b"a", b"b"]))
    assert answer.status_code == 411


def test_a_file_cannot_replace_a_folder(person: Person) -> None:
    person.create_folder(person.root_id, "F")
    assert person.refused("PUT", "/me/drive/root:/F:/content", data=b"x") == (
        409,
        "nameAlreadyExists",
    )


# --- Thumbnails ---------------------------------------------------------------------------------


def open_thumbnail(url: str) -> Image.Image:
    answer = fetch(url)
    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Type"] == "image/jpeg"
    return Image.open(io.BytesIO(answer.content))


def test_a_picture_has_one_set_of_thumbnails(person: Person) -> None:
    item = person.put("a.jpg", make_picture(size=(1200, 600)))
    page = person.get(f"/me/drive/items/{item['id']}/thumbnails")
    (one,) = page["value"]
    assert one["id"] == "0"
    for name, size in (("small", (96, 48)), ("medium", (176, 88)), ("large", (800, 400))):
        assert (one[name]["width"], one[name]["height"]) == size
        assert open_thumbnail(one[name]["url"]).size == size
    again = person.get(f"/me/drive/items/{item['id']}/thumbnails")["value"][0]
    assert again["small"]["url"] != one["small"]["url"], "addresses change from call to call"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("c300x400", (300, 150)),
        ("c300x400_crop", (300, 400)),
        ("smallSquare", (96, 96)),
        ("source", (1200, 600)),
        ("c5000x5000", (1200, 600)),
    ],
)
def test_custom_sizes_are_made_on_request(
    person: Person, name: str, expected: tuple[int, int]
) -> None:
    item = person.put("a.jpg", make_picture(size=(1200, 600)))
    place = f"/me/drive/items/{item['id']}/thumbnails"
    chosen = person.get(f"{place}?select={name}")["value"][0]
    assert set(chosen) == {"id", name}
    assert open_thumbnail(chosen[name]["url"]).size == expected
    single = person.get(f"{place}/0/{name}")
    assert (single["width"], single["height"]) == expected
    answer = person.call("GET", f"{place}/0/{name}/content")
    assert answer.status_code == 302
    assert open_thumbnail(answer.headers["Location"]).size == expected


def test_a_thumbnail_is_upright_unless_requested_otherwise(person: Person) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    item = person.put("a.jpg", make_picture(size=(1200, 600), exif=exif))
    place = f"/me/drive/items/{item['id']}/thumbnails"
    upright = person.get(place)["value"][0]["medium"]
    assert (upright["width"], upright["height"]) == (88, 176)
    assert open_thumbnail(upright["url"]).size == (88, 176)
    lying = person.get(f"{place}?originalOrientation=true")["value"][0]["medium"]
    assert open_thumbnail(lying["url"]).size == (176, 88)


def test_a_new_version_has_new_thumbnails(person: Person) -> None:
    item = person.put("a.jpg", make_picture(size=(400, 400)))
    url = person.get(f"/me/drive/items/{item['id']}/thumbnails/0/small")["url"]
    assert open_thumbnail(url).size == (96, 96)
    person.put("a.jpg", make_picture(size=(400, 100)))
    assert open_thumbnail(url).size == (96, 24)


@pytest.mark.parametrize("name", ["a.txt", "broken.jpg"])
def test_other_files_have_no_thumbnails(person: Person, name: str) -> None:
    item = person.put(name, b"no picture")
    place = f"/me/drive/items/{item['id']}/thumbnails"
    assert person.get(place)["value"] == []
    assert person.refused("GET", f"{place}/0/small") == (404, "itemNotFound")


@pytest.mark.parametrize("name", sorted(make_drawn_files()))
def test_previews_of_other_kinds_are_drawn_in_a_custom_size(person: Person, name: str) -> None:
    item = person.put(name, make_drawn_files((2400, 1600))[name])
    place = f"/me/drive/items/{item['id']}/thumbnails"
    (found,) = person.get(f"{place}?select=c1920x1920")["value"]
    assert sorted(found) == ["c1920x1920", "id"]
    preview = found["c1920x1920"]
    assert (preview["width"], preview["height"]) == (1920, 1280)
    assert open_thumbnail(preview["url"]).size == (1920, 1280)
    assert open_thumbnail(person.get(f"{place}/0/small")["url"]).size == (96, 64)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.jxl", JPEG_XL),
        ("a.nef", b"II*\0" + bytes(100)),
        ("a.mp4", b"\0\0\0\x18ftypmp42" + bytes(100)),
        ("a.psd", b"8BPS"),
        ("a.docm", b"PK\x03\x04"),
    ],
)
def test_what_is_not_drawn_has_no_preview(person: Person, name: str, data: bytes) -> None:
    item = person.put(name, data)
    place = f"/me/drive/items/{item['id']}/thumbnails"
    assert person.get(f"{place}?select=c1920x1920,large")["value"] == []
    assert person.refused("GET", f"{place}/0/c1920x1920") == (404, "itemNotFound")


def test_drawn_pictures_are_listed_with_their_facets(person: Person) -> None:
    files = make_drawn_files()
    assert person.put("cover.psd", files["cover.psd"])["image"] == {"height": 200, "width": 300}
    raw = person.put("shot.nef", files["shot.nef"])
    assert raw["photo"]["cameraModel"] == "NIKON Z 6"
    assert raw["photo"]["takenDateTime"] == "2024-05-06T07:08:09Z"
    assert "image" not in person.put("page.pdf", files["page.pdf"])


def test_only_the_first_set_exists(person: Person) -> None:
    item = person.put("a.jpg", make_picture())
    place = f"/me/drive/items/{item['id']}/thumbnails"
    assert person.refused("GET", f"{place}/1") == (404, "itemNotFound")
    assert person.refused("GET", f"{place}/0/gigantic") == (404, "itemNotFound")
    assert person.get(f"{place}/0")["small"]


def test_only_personal_listings_include_thumbnails(person: Person, colleague: Person) -> None:
    for who in (person, colleague):
        who.put("a.jpg", make_picture())
        who.put("b.txt", b"b")
        page: list[dict[str, Any]] = who.get("/me/drive/root/children?$expand=thumbnails")["value"]
        if who is person:
            assert [len(item["thumbnails"]) for item in page] == [1, 0]
        else:
            assert all("thumbnails" not in item for item in page)


def test_transparency_becomes_white(person: Person) -> None:
    target = io.BytesIO()
    Image.new("RGBA", (50, 50), (255, 0, 0, 0)).save(target, "PNG")
    item = person.put("a.png", target.getvalue())
    url = person.get(f"/me/drive/items/{item['id']}/thumbnails/0/small")["url"]
    assert open_thumbnail(url).getpixel((25, 25)) == (255, 255, 255)


def test_heic_has_facets_and_thumbnails_and_becomes_jpeg(person: Person) -> None:
    pillow_heif = pytest.importorskip("pillow_heif")
    target = io.BytesIO()
    heif = pillow_heif.from_pillow(Image.new("RGB", (320, 200), "green"))
    heif.save(target, quality=80)
    item = person.put("a.HEIC", target.getvalue())
    assert item["image"] == {"height": 200, "width": 320}
    assert item["file"]["mimeType"] == "image/heic"
    place = f"/me/drive/items/{item['id']}"
    assert open_thumbnail(person.get(f"{place}/thumbnails/0/small")["url"]).size == (96, 60)
    converted = person.call("GET", f"{place}/content?format=jpg")
    assert open_thumbnail(converted.headers["Location"]).size == (320, 200)
    smaller = person.call("GET", f"{place}/content?format=jpg&width=160&height=160")
    assert open_thumbnail(smaller.headers["Location"]).size == (160, 100)
    assert person.refused("GET", f"{place}/content?format=pdf")[0] == 406
