"""The watermark in the settings, and who sees images with it."""

import io
import re
import secrets
from html import unescape
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest
from flask.testing import FlaskClient
from PIL import Image as Picture

from imagehub.admin.settings_draft import write_draft
from imagehub.models import Image, Rendition
from imagehub.wiring import get_clients
from tests.admin.pages import read_toasts, send
from tests.admin.test_logo_pages import list_items
from tests.fixtures.site import ConnectedSite, Site, make_site

PAGE = "/admin/settings"
TEXT = {"watermark": "text", "watermark_text": "© Ada"}


def add_marked(site: Site) -> int:
    number = site.add_group(("front.jpg",))
    with site.session() as session:
        for row in session.query(Rendition).join(Image).filter(Image.group_id == number):
            row.marked_key = row.object_key.replace("renditions/", "renditions/marked-")
    return number


def find_urls(site: Site, number: int, path: str, client: FlaskClient | None = None) -> list[bool]:
    """Whether each signed address of a page leads to an image with a watermark."""
    page = (client or site.client()).get(path, follow_redirects=True).text
    found = re.findall(r"renditions/(marked-)?[^\"? ]+\?", page)
    assert found, path
    return [bool(mark) for mark in found]


def test_visitors_see_the_mark_and_admins_do_not(site: Site) -> None:
    number = add_marked(site)
    client = site.signed_in_client()
    public = ("/", f"/groups/{number}")
    for path in public:
        assert not any(find_urls(site, number, path)), path
    send(client, PAGE, PAGE, **TEXT)
    for path in public:
        assert all(find_urls(site, number, path)), path
        assert all(find_urls(site, number, path, client)), "a page is the same for all"
    assert "marked-" in site.get(f"/media/{number}/1/960").location
    assert "marked-" in site.get(f"/image/group?group={number}").json["data"][0]["image"]
    for path in ("/admin/library", f"/admin/library/{number}"):
        assert not any(find_urls(site, number, path, client)), path
    assert (
        "marked-"
        not in client.get(f"/admin/image?group_id={number}", headers=site.bearer()).json["image"]
    )
    send(client, PAGE, PAGE, watermark="off", was_watermark="text")
    assert not any(find_urls(site, number, "/")), "it is off at once"


@pytest.mark.parametrize("without", [False, True])
def test_a_share_link_shows_images_with_the_mark_unless_it_is_said(
    site: Site, without: bool
) -> None:
    number = add_marked(site)
    client = site.signed_in_client()
    send(client, PAGE, PAGE, **TEXT)
    assert 'name="without_mark"' in client.get(f"/admin/shares/new?group={number}").text
    fields = {"group": str(number)} | ({"without_mark": "1"} if without else {})
    send(client, "/admin/shares", f"/admin/shares/new?group={number}", **fields)
    page = client.get("/admin/shares").text
    token = re.findall(r"/s/([\w-]{20,})", page)[0]
    found = find_urls(site, number, f"/s/{token}")
    assert found == [not without] * len(found)
    media = site.get(f"/s/{token}/media/{number}/1/960").location
    assert ("marked-" in media) is not without


def test_what_cannot_be_used_is_told_at_its_field(site: Site) -> None:
    client = site.signed_in_client()
    answer = send(client, PAGE, PAGE, **TEXT, watermark_strength="150")
    assert answer.status_code == 422
    assert "Enter a strength from 5 to 100 percent." in answer.text
    assert 'value="© Ada"' in answer.text
    shown = send(client, f"{PAGE}/watermark", PAGE, **TEXT, watermark_strength="70")
    assert shown.status_code == 200
    assert 'value="70"' in shown.text
    assert 'value="70"' not in client.get(PAGE).text, "a preview saves nothing"


def test_a_preview_is_drawn_on_a_work(connected_site: ConnectedSite) -> None:
    site, url = connected_site, f"{PAGE}/watermark/preview.webp"
    client = site.signed_in_client()
    query = {**TEXT, "watermark_place": "center", "watermark_strength": "100"}
    query["watermark_from_px"] = "480"
    assert client.get(url, query_string=query).status_code == 404, "there is no work yet"
    number = site.add_group(("front.jpg",))
    source = io.BytesIO()
    Picture.new("RGB", (960, 640), "navy").save(source, "WEBP")
    with site.session() as session:
        rows = session.query(Rendition).join(Image).filter(Image.group_id == number).all()
        for row in rows:
            get_clients().store.put_object(row.object_key, source.getvalue(), "image/webp")
    answer = client.get(url, query_string=query)
    assert (answer.status_code, answer.mimetype) == (200, "image/webp")
    with Picture.open(io.BytesIO(answer.data)) as picture:
        assert picture.convert("L").getextrema()[1] > 200
    plain = client.get(url, query_string=query | {"watermark": "off"})
    assert plain.data == source.getvalue()
    assert client.get(url, query_string=query | {"watermark_strength": "x"}).status_code == 422
    assert site.get(url, query_string=query).status_code in (302, 401, 403)


def test_the_picture_is_chosen_among_files(connected_site: ConnectedSite) -> None:
    site = connected_site
    logo = io.BytesIO()
    Picture.new("RGBA", (40, 10), (0, 0, 0, 255)).save(logo, "PNG")
    site.put_files("Logos", {"mark.png": logo.getvalue(), "bad.png": b"no picture"})
    client = site.signed_in_client()
    address = f"{PAGE}/watermark/picture"
    leave = f"{PAGE}/watermark/leave"
    assert f'formaction="{leave}"' in client.get(PAGE).text
    assert send(client, leave, PAGE).location.startswith(address)
    folder = list_items(client.get(address).text)["Logos"]
    files = list_items(client.get(address, query_string={"folder": folder}).text)
    assert sorted(files) == ["bad.png", "mark.png"]
    for item in ("", files["bad.png"], folder):
        answer = send(client, address, PAGE, item=item, folder=folder)
        assert answer.location.startswith(f"{address}?folder=")
        assert "is-fault" in read_toasts(client)
    assert send(client, address, PAGE, item="NOTHING!1").status_code == 404
    send(client, address, PAGE, item=files["mark.png"])
    assert "Now: mark.png" in client.get(PAGE).text


@pytest.fixture
def files(connected_site: ConnectedSite) -> dict[str, str]:
    """Put a picture and a broken one into the drive; return their ids and the folder's."""
    logo = io.BytesIO()
    Picture.new("RGBA", (40, 10), (0, 0, 0, 255)).save(logo, "PNG")
    connected_site.put_files("Logos", {"mark.png": logo.getvalue(), "bad.png": b"no picture"})
    folder, items = connected_site.find_folder("Logos")
    return {**items, "folder": folder}


CHANGED = {
    "title": "Häuser & “Bilder”", "was_title": "ImageHub",
    "watermark": "picture", "was_watermark": "off",
    "watermark_strength": "x", "was_watermark_strength": "30",
    "tagline": "", "was_tagline": "",
    "was_feeds": "on",
    "accent": "#a1b2c3", "was_accent": "#000000",
    "title_de": "Haus", "text_languages": ["", "en", "de"], "was_text_languages": "",
}  # fmt: skip


def read_form_values(html: str) -> dict[str, str]:
    found = dict(re.findall(r'<input[^>]* name="([^"]+)" value="([^"]*)"', html))
    found["watermark"] = re.findall(r'name="watermark" value="([^"]*)" checked', html)[0]
    return {name: unescape(text) for name, text in found.items()}


def test_edits_stay_while_the_picture_is_chosen(
    connected_site: ConnectedSite, files: dict[str, str]
) -> None:
    client = connected_site.signed_in_client()
    place = send(client, f"{PAGE}/watermark/leave", PAGE, **CHANGED).location
    draft = dict(parse_qsl(urlsplit(place).query))["draft"]
    picker = client.get(place).text
    # The way through the folders and the way back keep them.
    links = re.findall(r'href="(/admin/settings[^"]*)"', picker)
    kept = [link for link in links if "draft=" in link]
    assert len(kept) >= 2
    bad = send(client, f"{PAGE}/watermark/picture", PAGE, item=files["bad.png"], draft=draft)
    assert f"draft={draft}" in bad.location
    fields = {"item": files["mark.png"], "folder": files["folder"], "draft": draft}
    back = send(client, f"{PAGE}/watermark/picture", PAGE, **fields).location
    assert back == f"{PAGE}?draft={draft}#watermark"
    for address in (back, unescape(next(one for one in kept if "picture" not in one))):
        page = client.get(address).text
        values = read_form_values(page)
        assert values["title"] == CHANGED["title"]
        assert values["watermark"] == "picture"
        assert values["watermark_strength"] == "x"
        assert values["title_de"] == "Haus"
        assert 'name="feeds" value="on" checked' not in page
        # A change of another person would be noticed.
        assert values["was_accent"] == "#000000"
        assert "data-unsaved" in page
    assert "<title>ImageHub</title>" in connected_site.get("/").text, "nothing is saved"
    assert "data-unsaved" not in client.get(PAGE).text


def test_edits_that_are_too_long_for_an_address_stay_in_the_form(site: Site) -> None:
    client = site.signed_in_client()
    words = secrets.token_hex(4000)
    answer = send(client, f"{PAGE}/watermark/leave", PAGE, tagline=words, was_tagline="")
    assert answer.status_code == 422
    assert "Save them first." in answer.text and words in answer.text


@pytest.mark.parametrize(
    "draft", ["x", "eJwD", "!!", "a" * 5000, "eNqrVjJUslIyBAAJbwHj", "eNqLjgUAARUAuQ"]
)
def test_a_damaged_draft_shows_the_settings(site: Site, draft: str) -> None:
    answer = site.signed_in_client().get(f"{PAGE}?draft={draft}")
    assert answer.status_code == 200 and "data-unsaved" not in answer.text


def test_a_draft_changes_no_setting_of_the_environment(tmp_path: Path) -> None:
    site = make_site(tmp_path, title="Fixed")
    draft = write_draft({"title": "Elsewhere", "layout": "rows", "s3_bucket": "x"}, {})
    page = site.signed_in_client().get(f"{PAGE}?draft={draft}").text
    assert "Elsewhere" not in page and "data-unsaved" not in page
