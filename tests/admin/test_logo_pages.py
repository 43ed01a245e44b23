"""Logos: chosen in OneDrive, tried out, shown in place of the title, and removed."""

import io
import re
from datetime import timedelta

import pytest
from flask.testing import FlaskClient
from PIL import Image as Picture

from imagehub.database import now_utc
from imagehub.domain.objects.bookkeeping import leave_unused
from imagehub.models import LogoPicture, StoredObject
from imagehub.wiring import get_clients
from tests.admin.pages import read_toasts, send
from tests.fixtures.site import ConnectedSite, Site
from tests.gallery.test_pages import count_statements

LOOK = "/admin/look"
PAGE = "/admin/look/logo"


def draw_logo(side: int = 400, format_name: str = "PNG") -> bytes:
    """Draw a bar in the middle of a transparent square."""
    picture = Picture.new("RGBA", (side, side), (0, 0, 0, 0))
    picture.paste((180, 60, 40, 255), (side // 8, side // 4, side * 7 // 8, side // 2))
    buffer = io.BytesIO()
    picture.save(buffer, format_name)
    return buffer.getvalue()


@pytest.fixture
def client(connected_site: ConnectedSite) -> FlaskClient:
    connected_site.put_files(
        "Logos",
        {
            "logo.png": draw_logo(),
            "dark.webp": draw_logo(200, "WEBP"),
            "sheet.png": b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>',
            "old.gif": draw_logo(format_name="GIF"),
            "nothing.png": b"no picture at all",
        },
    )
    return connected_site.signed_in_client()


def find_file(client: FlaskClient, name: str) -> str:
    """Find a file by the links of the pages, as a person does."""
    items = list_items(client.get(PAGE).text)
    items = list_items(client.get(PAGE, query_string={"folder": items["Logos"]}).text)
    return items[name]


def list_items(page: str) -> dict[str, str]:
    """List what a folder's page shows: name → id."""
    found = re.findall(r'data-id="([^"]+)">(.*?)</li>', page, re.DOTALL)
    names = (re.findall(r'<span dir="auto">([^<]+)</span>', html)[0] for _, html in found)
    return {name: item for name, (item, _) in zip(names, found, strict=True)}


def use_file(client: FlaskClient, name: str, **fields: str) -> str:
    """Choose a file; return the address that it leads to."""
    answer = send(client, f"{PAGE}/use", LOOK, item=find_file(client, name), **fields)
    assert answer.status_code == 303
    return str(answer.location)


def list_logos(html: str) -> list[tuple[str, str]]:
    return re.findall(r'<img class="([^"]+)" src="[^"]*/logos/[^"]*"[^>]* alt="([^"]*)"', html)


def test_a_logo_replaces_the_title_once_it_is_saved(
    connected_site: ConnectedSite, client: FlaskClient
) -> None:
    connected_site.add_group()
    place = use_file(client, "logo.png", layout="rows")
    assert place == "/admin/look?layout=rows&logo=1#logo"
    assert list_logos(connected_site.get("/").text) == []
    preview = client.get("/preview/layout=rows,logo=1/").text
    assert list_logos(preview) == [("logo", "ImageHub")]
    send(client, LOOK, LOOK, logo="1", was_logo="0")
    for path in ("/", "/groups/1", "/series", "/nothing-here"):
        assert list_logos(connected_site.client().get(path, follow_redirects=True).text) == [
            ("logo", "ImageHub")
        ], path
    # The title goes on naming the page.
    assert "<title>ImageHub</title>" in connected_site.get("/").text
    assert "Fetched “logo.png” as a logo." in client.get("/admin/activity").text
    send(client, LOOK, LOOK, logo="0", was_logo="1")
    assert list_logos(connected_site.get("/").text) == []
    send(client, f"{LOOK}/undo", LOOK)
    assert list_logos(connected_site.get("/").text) == [("logo", "ImageHub")]


def test_the_stored_logo_is_transparent_and_has_no_margin(
    connected_site: ConnectedSite, client: FlaskClient
) -> None:
    use_file(client, "logo.png")
    with connected_site.session() as session:
        row = session.query(LogoPicture).one()
        assert (row.width_px, row.height_px, row.name) == (300, 100, "logo.png")
        data = get_clients(connected_site.app).store.get_object(row.object_key)
        stored = session.get_one(StoredObject, row.object_key)
        assert stored.size_bytes == len(data)
        # It is in use, so no sweep deletes it.
        assert leave_unused(session, [row.object_key]) == 0
    with Picture.open(io.BytesIO(data)) as picture:
        assert picture.format == "WEBP" and picture.size == (300, 100)
        assert picture.convert("RGB").getpixel((150, 50)) == (180, 60, 40)
    # Around a bar there is nothing; inside of a ring there is.
    ring = Picture.new("RGBA", (90, 90), (20, 20, 20, 255))
    ring.paste((0, 0, 0, 0), (30, 30, 60, 60))
    buffer = io.BytesIO()
    ring.save(buffer, "PNG")
    connected_site.put_files("Logos", {"ring.png": buffer.getvalue()})
    use_file(client, "ring.png")
    with connected_site.session() as session:
        key = session.query(LogoPicture).order_by(LogoPicture.id.desc()).first().object_key  # type: ignore[union-attr]
        data = get_clients(connected_site.app).store.get_object(key)
    with Picture.open(io.BytesIO(data)) as picture:
        assert picture.convert("RGBA").getpixel((45, 45))[3] == 0  # type: ignore[index]


def find_address(html: str) -> str:
    (found,) = re.findall(r'<img class="logo" src="([^"]+)"', html)
    return str(found)


def test_the_address_of_a_logo_never_expires(
    connected_site: ConnectedSite, client: FlaskClient
) -> None:
    connected_site.add_group()
    use_file(client, "logo.png")
    with connected_site.session() as session:
        key = session.query(LogoPicture).one().object_key
    send(client, LOOK, LOOK, logo="1", was_logo="0")
    address = find_address(connected_site.get("/").text)
    # No query: nothing in it is signed.
    assert re.fullmatch(r"/logos/1/[0-9a-f]{16}\.webp", address)
    # The same in all pages, also those for admins and those that tell of a fault.
    for path in ("/groups/1", "/nothing-here", "/offline", "/sign-in"):
        assert find_address(connected_site.client().get(path, follow_redirects=True).text) == (
            address
        ), path
    visitor = connected_site.client()
    answer = visitor.get(address)
    assert answer.status_code == 200 and answer.mimetype == "image/webp"
    assert answer.data == get_clients(connected_site.app).store.get_object(key)
    assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert "Set-Cookie" not in answer.headers and "Cookie" not in answer.headers.get("Vary", "")
    again = visitor.get(address, headers={"If-None-Match": answer.headers["ETag"]})
    assert again.status_code == 304 and again.data == b""
    # Later it comes from the memory of the process, whatever happens to the storage.
    get_clients(connected_site.app).store.delete_objects([key])
    assert visitor.get(address).data == answer.data


def test_nobody_can_guess_the_address_of_a_logo_that_is_tried_out(
    connected_site: ConnectedSite, client: FlaskClient
) -> None:
    use_file(client, "logo.png")
    visitor = connected_site.client()
    for path in ("/logos/1/0123456789abcdef.webp", "/logos/1/.webp", "/logos/2/0.webp"):
        assert visitor.get(path).status_code == 404, path
    assert visitor.get(find_address(client.get("/preview/logo=1/").text)).status_code == 200


def test_a_logo_whose_file_is_lost_is_not_found(
    connected_site: ConnectedSite, client: FlaskClient
) -> None:
    use_file(client, "logo.png")
    address = find_address(client.get("/preview/logo=1/").text)
    with connected_site.session() as session:
        key = session.query(LogoPicture).one().object_key
    get_clients(connected_site.app).store.delete_objects([key])
    assert connected_site.get(address).status_code == 404


def test_each_theme_has_its_logo(connected_site: ConnectedSite, client: FlaskClient) -> None:
    connected_site.add_group()
    use_file(client, "logo.png")
    assert "logo_dark=2" in use_file(client, "dark.webp", theme="dark", logo="1")
    fields = {"logo": "1", "was_logo": "0", "logo_dark": "2", "was_logo_dark": "0"}
    send(client, LOOK, LOOK, **fields)
    assert list_logos(connected_site.get("/").text) == [
        ("logo is-light", "ImageHub"),
        ("logo is-dark", "ImageHub"),
    ]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("sheet.png", "SVG"),
        ("old.gif", "PNG, WebP, JPEG or AVIF"),
        ("nothing.png", ""),
    ],
)
def test_other_files_are_refused(
    connected_site: ConnectedSite, client: FlaskClient, name: str, words: str
) -> None:
    place = use_file(client, name, layout="one")
    assert place.startswith(PAGE) and "layout=one" in place
    toast = read_toasts(client, LOOK)
    assert "is-fault" in toast and words in toast
    with connected_site.session() as session:
        assert session.query(LogoPicture).count() == 0


def test_logos_that_nothing_names_are_deleted_after_a_day(
    connected_site: ConnectedSite, client: FlaskClient
) -> None:
    connected_site.put_files("Logos", {f"{n}.png": draw_logo(400 + 8 * n) for n in range(4)})
    for number in range(4):
        use_file(client, f"{number}.png")
    with connected_site.session() as session:
        for row in session.query(LogoPicture):
            if row.id < 3:
                row.created_at = now_utc() - timedelta(days=2)
        keys = [row.object_key for row in session.query(LogoPicture).order_by(LogoPicture.id)]
    send(client, LOOK, LOOK, logo="1", was_logo="0")
    send(client, LOOK, LOOK, logo="3", was_logo="1")
    with connected_site.session() as session:
        assert [row.id for row in session.query(LogoPicture).order_by(LogoPicture.id)] == [1, 3, 4]
        assert [session.get_one(StoredObject, key).is_deleting for key in keys] == [
            False, True, False, False,
        ]  # fmt: skip


def test_a_logo_that_is_gone_leaves_the_title(site: Site) -> None:
    site.add_group()
    client = site.signed_in_client()
    send(client, LOOK, LOOK, logo="77", was_logo="0")
    page = site.get("/").text
    assert list_logos(page) == [] and "ImageHub</a></h1>" in page
    assert client.get(LOOK).status_code == 200


def test_a_logo_costs_no_statement(connected_site: ConnectedSite, client: FlaskClient) -> None:
    connected_site.add_group()
    usual = min(count_statements(connected_site, "/") for _ in range(3))
    use_file(client, "logo.png")
    send(client, LOOK, LOOK, logo="1", was_logo="0")
    assert min(count_statements(connected_site, "/") for _ in range(3)) == usual
