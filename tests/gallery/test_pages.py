"""The pages for visitors, as the server sends them."""

import base64
import gzip
import hashlib
import json
import re
from datetime import UTC, datetime
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import pytest
from sqlalchemy import event

from imagehub.database import db
from imagehub.domain.library import images as library_images
from imagehub.gallery.pictures import format_bytes, make_slug
from imagehub.models import Group
from tests.fixtures.site import Site, make_site


def name_group(site: Site, number: int, **values: Any) -> None:
    with site.session() as session:
        group = session.get(Group, number)
        assert group is not None
        for key, value in values.items():
            setattr(group, key, value)


def read_linked_data(html: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/ld\+json">(.*?)</script>', html, re.DOTALL)
    assert found
    data: dict[str, Any] = json.loads(found[1])
    return data


def read_meta(html: str, name: str) -> str:
    found = re.search(rf'<meta (?:name|property)="{re.escape(name)}" content="([^"]*)"', html)
    assert found, name
    return unescape(found[1])


def show_preview(site: Site, name: str, **values: Any) -> int:
    """Add a work whose image is made from OneDrive's preview; return its number."""
    group = site.add_group([name])
    with site.session() as session:
        image = library_images.get_image(session, group, 1)
        image.preview_reason = "ImageHub does not decode raw photos."
        for key, value in (
            {"width_px": 0, "height_px": 0, "size_bytes": 45_000_000} | values
        ).items():
            setattr(image, key, value)
    return group


# --- The wall -------------------------------------------------------------------------------------


def test_an_empty_hub_says_what_to_do(site: Site) -> None:
    page = site.get("/")
    assert page.status_code == 200
    assert "No works yet" in page.text
    assert 'href="/admin/"' in page.text
    assert "front.js" not in page.text


def test_twelve_works_hang_on_a_page(site: Site) -> None:
    numbers = [site.add_group() for _ in range(14)]
    first = site.get("/").text
    second = site.get("/?page=2").text
    shown = [int(n) for n in re.findall(r'<li class="tile" id="g(\d+)"', first)]
    assert shown == numbers[:1:-1]
    assert [int(n) for n in re.findall(r'<li class="tile" id="g(\d+)"', second)] == [2, 1]
    assert 'rel="next" href="/?page=2"' in first
    assert 'rel="prev" href="/"' in second
    assert 'rel="next"' not in second


@pytest.mark.parametrize("page", ["0", "-1", "2", "x", "1.5", "", "9" * 30, "٢"])
def test_a_page_that_is_not_there_is_not_found(site: Site, page: str) -> None:
    site.add_group()
    assert site.get(f"/?page={page}").status_code == 404


def test_pictures_of_the_first_screen_are_requested_at_once(site: Site) -> None:
    for _ in range(12):
        site.add_group()
    html = site.get("/").text
    images = re.findall(r"<img [^>]*>", html)
    assert 'fetchpriority="high"' in images[0]
    assert not any("fetchpriority" in image for image in images[1:])
    assert not any("lazy" in image for image in images[:2])
    assert all('loading="lazy"' in image for image in images[2:])
    # Those that no phone shows without scrolling wait for the others.
    waiting = ["is-later" in classes for classes in re.findall(r'class="(frame[^"]*)"', html)]
    assert waiting == [False] * 3 + [True] * 9
    for image in images:
        assert re.search(r' width="1920" height="1280" alt="[^"]+"', image)
        assert re.search(r'srcset="[^"]+ 480w, [^"]+ 960w, [^"]+ 1920w" sizes="[^"]+vw"', image)


def test_a_tile_says_how_many_shots_there_are(site: Site) -> None:
    site.add_group(names=("a.jpg", "b.jpg", "c.jpg"))
    site.add_group()
    html = site.get("/").text
    assert re.findall(r'class="count" aria-hidden="true">(\d+)<', html) == ["3"]
    assert "3 shots" in html


def test_a_work_whose_renditions_are_gone_keeps_its_place(site: Site) -> None:
    number = site.add_group()
    with site.session() as session:
        image = library_images.get_image(session, number, 1)
        image.renditions.clear()
    html = site.get("/").text
    assert f'id="g{number}"' in html
    assert 'class="missing">What front.jpg shows<' in html
    assert site.get(f"/groups/{number}").status_code == 200


def count_statements(site: Site, path: str) -> int:
    statements = []
    with site.app.app_context():
        engine = db.engine

    def note(*arguments: Any) -> None:
        statements.append(arguments[2])

    event.listen(engine, "before_cursor_execute", note)
    try:
        assert site.get(path).status_code == 200
    finally:
        event.remove(engine, "before_cursor_execute", note)
    return len(statements)


def test_a_page_costs_the_same_few_queries_however_much_hangs(site: Site) -> None:
    # Two pages, so that there are filters.
    for _ in range(13):
        site.add_group(names=("a.jpg", "b.jpg"))

    def count() -> int:
        # What a page asks for once in a while, as the settings, is not counted.
        return min(count_statements(site, "/") for _ in range(3))

    few = count()
    for _ in range(15):
        site.add_group(names=("a.jpg", "b.jpg"))
    assert count() == few <= 9
    # One for the look of the cover; a work that has one reads similar ones with another.
    assert count_statements(site, "/groups/5") <= 20


# --- One work -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("title", "slug"),
    [
        ("Große Welle, kleine Sonne", "grosse-welle-kleine-sonne"),
        ("静かな部屋", "静かな部屋"),
        ("1984", "work-1984"),
        ("???", ""),
        ("a/b\\c..d", "a-b-c-d"),
        ("_x_", "x"),
        ("x" * 200, "x" * 60),
    ],
)
def test_a_title_makes_a_readable_address(title: str, slug: str) -> None:
    assert make_slug(title) == slug


@pytest.mark.parametrize("title", ["Harbour", "静かな部屋", "1984", "???", "٣"])
def test_an_old_address_leads_to_the_present_one(site: Site, title: str) -> None:
    number = site.add_group()
    name_group(site, number, title=title)
    answer = site.get(f"/groups/{number}/an-old-title", follow_redirects=True)
    assert answer.status_code == 200
    assert len(answer.history) == 1 and answer.history[0].status_code == 301
    assert f'<h1 dir="auto">{title}</h1>' in answer.text


def test_drafts_and_missing_works_are_the_same_nothing(site: Site) -> None:
    draft = site.add_group(state="draft")
    for path in (f"/groups/{draft}", f"/groups/{draft}/1", "/groups/99", "/groups/99/1"):
        assert site.get(path).status_code == 404, path
    shown = site.add_group()
    assert site.get(f"/groups/{shown}/2").status_code == 404
    assert "There is no such work." in site.get("/groups/999").text
    assert site.get(f"/groups/{shown}/{1 << 70}").status_code == 404


def test_a_shot_stands_in_front_at_its_own_address(site: Site) -> None:
    number = site.add_group(names=("a.jpg", "b.jpg", "c.jpg"))
    html = site.get(f"/groups/{number}/2").text
    assert re.findall(r'data-shot="(\d)" data-position="(\d)"', html) == [
        ("2", "2"),
        ("1", "1"),
        ("3", "3"),
    ]
    assert 'data-chosen="2"' in html
    canonical = re.search(r'<link rel="canonical" href="([^"]+)"', html)
    assert canonical and canonical[1].endswith(f"/groups/{number}")


def test_visitors_are_told_what_a_further_shot_shows(site: Site) -> None:
    group = site.add_group(names=("a.jpg", "b.jpg", "c.jpg"))
    name_group(site, group, title="Harbour")
    with site.session() as session:
        for number, role in enumerate(("front", "back", ""), start=1):
            image = library_images.get_image(session, group, number)
            image.role, image.alt = role, ""
    german = {"Accept-Language": "de"}
    for headers, words in (({}, "Back of the work"), (german, "Rückseite des Werks")):
        html = site.get(f"/groups/{group}", headers=headers, follow_redirects=True).text
        assert re.findall(r'class="caption">([^<]*)<', html) == [words]
        assert f'alt="Harbour, {words}"' in html


def test_a_wall_label_tells_what_is_known_and_nothing_else(site: Site) -> None:
    number = site.add_group()
    name_group(
        site, number, title="Harbour", year="2021", medium="Oil on linen", text="One.\r\n\r\nTwo."
    )
    with site.session() as session:
        image = library_images.get_image(session, number, 1)
        image.camera, image.exposure_seconds, image.f_number = "Aurora M6", 1 / 125, 5.6
        image.size_bytes, image.mime_type = 4_200_000, "image/jpeg"
    html = site.get(f"/groups/{number}/harbour").text
    assert "<p>One.</p>\n<p>Two.</p>" in html
    assert "2021</span><br><span" in html
    assert "1/125\u00a0s · f/5.6" in html
    assert "6000\u202f×\u202f4000\u00a0px · JPEG · 4.2\u00a0MB" in html
    assert "ISO" not in html and "Photographed" not in html and "CMYK" not in html
    german = site.get(f"/groups/{number}/harbour", headers={"Accept-Language": "de"}).text
    assert "f/5,6" in german and "4,2\u00a0MB" in german


def test_a_wall_label_names_an_assumption_about_colours(site: Site) -> None:
    number = site.add_group()
    with site.session() as session:
        library_images.get_image(session, number, 1).assumed_profile = "FOGRA39"
    html = site.get(f"/groups/{number}", follow_redirects=True).text
    assert "CMYK without a profile; FOGRA39 assumed" in html


@pytest.mark.parametrize(
    ("language", "day"), [("en-US", "18 August 2024"), ("de", "18. August 2024")]
)
def test_the_day_of_a_photograph_is_written_as_on_the_admin_pages(
    site: Site, language: str, day: str
) -> None:
    number = site.add_group()
    with site.session() as session:
        library_images.get_image(session, number, 1).taken_at = datetime(2024, 8, 18, tzinfo=UTC)
    headers = {"Accept-Language": language}
    assert day in site.get(f"/groups/{number}", headers=headers, follow_redirects=True).text


def test_web_addresses_in_a_text_are_links_and_nothing_else_is(site: Site) -> None:
    number = site.add_group()
    text = (
        "See https://example.org/a?b=1&c=2, or www.example.net.\n"
        'javascript:alert(1) data:text/html,x <a href="https://evil.example">x</a>\n \n'
        "Mail studio@example.org"
    )
    name_group(site, number, title="Harbour", text=text)
    html = site.get(f"/groups/{number}/harbour").text
    shown = html.split('<div class="text" dir="auto">', 1)[1].split("</div>", 1)[0]
    assert shown.count("<p>") == 2 and shown.count("<br>") == 1
    links = dict(re.findall(r'<a href="([^"]+)"[^>]*>([^<]+)</a>', shown))
    assert links == {
        "https://example.org/a?b=1&amp;c=2": "https://example.org/a?b=1&amp;c=2",
        "https://www.example.net": "www.example.net",
        "mailto:studio@example.org": "studio@example.org",
    }
    assert shown.count(' rel="noreferrer noopener"') == 3
    assert "javascript:alert(1) data:text/html,x &lt;a href=" in shown


def test_words_of_an_owner_are_words_and_no_markup(site: Site) -> None:
    number = site.add_group()
    evil = "</script><img src=x onerror=alert(1)>"
    name_group(site, number, title=evil, text=evil, medium=evil)
    for path in ("/", f"/groups/{number}"):
        html = site.get(path, follow_redirects=True).text
        assert "<img src=x" not in html
        assert "</script><img" not in html
        assert read_linked_data(html)


@pytest.mark.parametrize(
    ("count", "words"),
    [(0, "0\u00a0bytes"), (999, "999\u00a0bytes"), (331_004, "331\u00a0kB"),
     (1_490_000, "1.5\u00a0MB"), (42_000_000, "42\u00a0MB"), (3_000_000_000, "3\u00a0GB")],
)  # fmt: skip
def test_sizes_are_said_as_people_say_them(site: Site, count: int, words: str) -> None:
    with site.app.test_request_context():
        assert format_bytes(count) == words


def test_where_downloads_are_off_no_address_of_an_original_is_given(tmp_path: Path) -> None:
    site = make_site(tmp_path / "closed", downloads="off")
    number = site.add_group()
    html = site.get(f"/groups/{number}").text
    assert "/media/full/" not in html
    assert 'data-zoom=""' in html
    assert f"/media/full/{number}" in site.signed_in_client().get(f"/groups/{number}").text


def test_only_what_browsers_can_paint_is_zoomed_into(site: Site) -> None:
    number = site.add_group(names=("a.heic", "b.jpg"))
    with site.session() as session:
        library_images.get_image(session, number, 1).mime_type = "image/heic"
        library_images.get_image(session, number, 2).mime_type = "image/jpeg"
    html = site.get(f"/groups/{number}").text
    zooms = re.findall(r'data-size="([^"]+)" data-zoom="([^"]*)" data-full="([^"]*)"', html)
    assert zooms[0] == ("1920 1280 1920 1280", "", f"/media/full/{number}/1/a.heic")
    assert zooms[1][0] == "1920 1280 6000 4000"
    assert zooms[1][1] == zooms[1][2] == f"/media/full/{number}/2/b.jpg"


# --- Words for machines ---------------------------------------------------------------------------


def test_each_page_has_one_title_description_and_lasting_picture(tmp_path: Path) -> None:
    site = make_site(
        tmp_path / "named",
        title="Haus der Bilder",
        tagline="Works on paper",
        public_url="https://art.example.org/hub",
    )
    number = site.add_group(names=("a.jpg", "b.jpg"))
    name_group(site, number, title="Harbour", text="A harbour at noon. " * 30)
    front = site.get("/").text
    work = site.get(f"/groups/{number}/harbour").text
    assert re.findall("<title>(.*?)</title>", front) == ["Haus der Bilder"]
    assert re.findall("<title>(.*?)</title>", work) == ["Harbour · Haus der Bilder"]
    assert read_meta(front, "description") == "Works on paper"
    assert 100 < len(read_meta(work, "description")) <= 156
    assert read_meta(work, "og:title") == "Harbour"
    image = read_meta(work, "og:image")
    assert image.startswith(f"https://art.example.org/hub/media/{number}/1/1920")
    assert "X-Amz" not in image
    assert read_meta(work, "twitter:card") == "summary_large_image"
    data = read_linked_data(work)
    assert data["@type"] == "VisualArtwork" and len(data["image"]) == 2
    assert data["url"] == f"https://art.example.org/hub/groups/{number}/harbour"
    assert read_linked_data(front)["@type"] == "ImageGallery"


# --- Headers and what surrounds the pages ---------------------------------------------------------


def test_pages_may_be_kept_if_each_use_is_revalidated(site: Site) -> None:
    page = site.get("/")
    assert page.headers["Cache-Control"] == "public, no-cache"
    assert page.headers["ETag"]
    assert {"Cookie", "Accept-Language"} <= set(page.headers["Vary"].split(", "))


def test_no_page_needs_an_inline_style_or_script(site: Site) -> None:
    number = site.add_group(names=("a.jpg", "b.jpg"))
    for path in ("/", f"/groups/{number}", "/offline", "/sign-in", "/search", "/nothing"):
        answer = site.get(path)
        html = answer.text
        assert not re.search(r"\sstyle=", html), path
        assert not re.search(r"\son\w+=", html), path
        styles = re.findall(r"<style[^>]*>([^<]*)</style>", html)
        assert styles
        for css in styles:
            digest = base64.b64encode(hashlib.sha256(css.encode()).digest()).decode()
            assert f"'sha256-{digest}'" in answer.headers["Content-Security-Policy"], path
        for script in re.findall(r"<script[^>]*>", html):
            assert "src=" in script or "json" in script, path
        assert "unsafe-inline" not in answer.headers["Content-Security-Policy"]


def test_accent_and_ground_are_settings(tmp_path: Path) -> None:
    site = make_site(tmp_path / "blue", accent="#0a58ca", ground="#eef3fb")
    html = site.get("/").text
    assert "--accent:#0a58ca;" in html and "--ground:#eef3fb;" in html


def test_a_theme_is_remembered_and_nothing_else_is(site: Site) -> None:
    client = site.client()
    assert 'data-theme="auto"' in client.get("/").text
    assert client.get("/preferences?theme=dark").location == "/"
    assert 'data-theme="dark"' in client.get("/").text
    client.get("/preferences?theme=neon&other=1")
    assert 'data-theme="dark"' in client.get("/").text
    assert client.get_cookie("other") is None


@pytest.mark.parametrize("target", ["//evil.example", "https://evil.example", "/\\evil.example"])
def test_the_switches_lead_to_no_other_site(site: Site, target: str) -> None:
    assert site.get("/preferences", query_string={"next": target}).location == "/"


def test_static_files_are_kept_for_good_under_their_version(site: Site) -> None:
    address = re.search(r'href="(/assets/[0-9a-f]+/css/site\.css)"', site.get("/").text)
    assert address
    with site.get(address[1]) as answer:
        assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    with site.get(re.sub(r"/assets/\w+/", "/assets/0123456789/", address[1])) as old:
        assert "immutable" not in old.headers["Cache-Control"]
    assert site.get("/assets/x/../../config.py").status_code == 404


def test_the_site_can_be_installed(tmp_path: Path) -> None:
    site = make_site(tmp_path / "app", title="Haus der Bilder")
    manifest = json.loads(site.get("/manifest.webmanifest").text)
    assert manifest["name"] == "Haus der Bilder"
    for icon in manifest["icons"]:
        with site.get(icon["src"]) as picture:
            assert picture.mimetype == "image/png"
            size = int.from_bytes(picture.data[16:20], "big")
        assert icon["sizes"] == f"{size}x{size}"
    worker = site.get("/service-worker.js")
    assert worker.mimetype == "text/javascript"
    version = json.loads(re.search(r"self\.version = (\{.*?\});", worker.text)[1])  # type: ignore[index]
    assert version["files"]
    for path in [*version["files"], version["offline"]]:
        with site.get(path) as answer:
            assert answer.status_code == 200, path


def test_error_pages_come_without_a_database(site: Site) -> None:
    client = site.signed_in_client()
    with site.app.app_context():
        db.session.remove()
        db.engine.dispose()
        path = Path(db.engine.url.database or "")
    path.rename(path.with_suffix(".away"))
    path.mkdir()
    try:
        front = client.get("/")
        missing = client.get("/nothing-here")
    finally:
        path.rmdir()
        path.with_suffix(".away").rename(path)
    assert front.status_code == 503
    assert "Temporarily not available" in front.text and "site.css" in front.text
    assert missing.status_code in (404, 503)
    assert "site.css" in missing.text


# --- Weight ---------------------------------------------------------------------------------------


def weigh_module(site: Site, path: str, seen: set[str]) -> int:
    """Bytes on the way of a module and all that it imports at once, gzipped."""
    if path in seen:
        return 0
    seen.add(path)
    data, is_packed = fetch_packed(site, path)
    text = (gzip.decompress(data) if is_packed else data).decode()
    imports = re.findall(r'^(?:import|export)\s(?:[^"]*?from\s)?"(\.[^"]+)"', text, re.MULTILINE)
    return len(data) + sum(weigh_module(site, urljoin(path, one), seen) for one in imports)


def fetch_packed(site: Site, path: str) -> tuple[bytes, bool]:
    """A file's bytes on the way, and whether they are gzipped: the smallest are not."""
    with site.get(path, headers={"Accept-Encoding": "gzip"}) as answer:
        assert answer.status_code == 200, path
        return answer.data, answer.headers.get("Content-Encoding") == "gzip"


def test_the_front_page_is_light(site: Site) -> None:
    """At most 30 kB of HTML and CSS, and 30 kB of scripts before the viewer opens."""
    for number in range(12):
        group = site.add_group(names=("front of the work.jpg", "back of the work.jpg"))
        with site.session() as session:
            # A hash of its own each, as real pictures have.
            noise = hashlib.sha256(str(number).encode()).digest()[:20]
            image = library_images.get_image(session, group, 1)
            image.thumbhash = base64.b64encode(b"\x1f\x08\x0a\x0d\x03" + noise).decode()
    page = site.get("/", headers={"Accept-Encoding": "gzip"})
    html = gzip.decompress(page.data).decode()
    assert html.count("data:image/png") == 12
    sheets = re.findall(r'<link rel="stylesheet" href="([^"]+)"', html)
    assert sheets
    styles = sum(len(fetch_packed(site, path)[0]) for path in sheets)
    assert len(page.data) + styles <= 30_000
    seen: set[str] = set()
    modules = re.findall(r'<script type="module" src="([^"]+)"', html)
    assert len(modules) == 2
    assert sum(weigh_module(site, path, seen) for path in modules) <= 30_000
    assert any(path.endswith("opening.js") for path in seen)
    assert not any("photoswipe" in path for path in seen)


# --- Previews by OneDrive -------------------------------------------------------------------------


def test_the_download_behind_a_preview_names_its_kind_and_size(site: Site) -> None:
    number = show_preview(site, "shot.nef", mime_type="image/x-nikon-nef")
    page = site.get(f"/groups/{number}/untitled", follow_redirects=True).text
    label = "Original file (NEF, 45\u00a0MB)"
    assert f'data-full-label="{label}"' in page
    assert f"</svg> {label}</a>" in page
    assert "<dt>Original</dt><dd>NEF · 45\u00a0MB</dd>" in page
    assert "Preview by OneDrive" not in page
    plain = site.get(f"/groups/{site.add_group()}/untitled", follow_redirects=True).text
    assert 'data-full-label="Full-size image"' in plain


def test_a_known_size_of_the_original_is_named_too(site: Site) -> None:
    facts = {"width_px": 6048, "height_px": 4024, "mime_type": "image/vnd.adobe.photoshop"}
    number = show_preview(site, "cover.PSD", **facts)
    page = site.get(f"/groups/{number}/untitled", follow_redirects=True).text
    assert "<dd>6048\u202f×\u202f4024\u00a0px · PSD · 45\u00a0MB</dd>" in page


def test_the_zoom_of_a_preview_ends_at_its_pixels(site: Site) -> None:
    # Browsers can display JPEG, but not every one that ImageHub cannot decode.
    facts = {"width_px": 6000, "height_px": 4000, "mime_type": "image/jpeg"}
    number = show_preview(site, "odd.jpg", **facts)
    page = site.get(f"/groups/{number}/untitled", follow_redirects=True).text
    found = re.search(r'data-size="([^"]*)" data-zoom="([^"]*)" data-full="([^"]*)"', page)
    assert found
    width, height, full_width, full_height = found[1].split()
    assert (full_width, full_height) == (width, height)
    assert found[2] == ""
    assert found[3].endswith("/odd.jpg")
