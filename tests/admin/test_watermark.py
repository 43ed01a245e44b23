"""The watermark in the settings, and who sees images with it."""

import io
import re

import pytest
from flask.testing import FlaskClient
from PIL import Image as Picture

from imagehub.models import Image, Rendition
from imagehub.wiring import get_clients
from tests.admin.pages import read_toasts, send
from tests.admin.test_logo_pages import list_items
from tests.fixtures.site import ConnectedSite, Site

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
    assert f'href="{address}"' in client.get(PAGE).text
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
