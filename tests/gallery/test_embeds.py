"""Works and series in the frames of other sites, the code for them, and oEmbed."""

import html
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from imagehub.database import db
from imagehub.domain.library import groups, series_edit
from imagehub.models import Group, Image
from tests.fixtures.database import count_statements
from tests.fixtures.site import Site, make_site
from tests.gallery.test_found import add_work

FRIEND = "https://friend.example"


OpenTo = Callable[..., Site]


@pytest.fixture
def open_to(tmp_path: Path, site_folder: Path) -> Iterator[OpenTo]:
    """Return a function that makes a hub whose works some sites may show, by default all."""
    shutil.copytree(site_folder, tmp_path / "site")
    made = []

    def make(sites: str = "*", **settings: str) -> Site:
        made.append(make_site(tmp_path / "site", embed_sites=sites, **settings))
        return made[-1]

    yield make
    for site in made:
        with site.app.app_context():
            db.engine.dispose()


def add_series(site: Site, title: str, works: list[int], parent: int | None = None) -> int:
    with site.session() as session:
        series = series_edit.create_series(session, title, works, parent)
        series.dates, series.state = "2021–2024", "published"
        return series.id


def list_ancestors(policy: str) -> list[str]:
    found = re.search(r"frame-ancestors ([^;]+)", policy)
    assert found is not None, policy
    return found[1].split()


# --- The pages for frames -------------------------------------------------------------------------


def test_nothing_can_be_framed_until_a_site_may(site: Site) -> None:
    work = add_work(site, "Harbour")
    series = add_series(site, "Coast", [work])
    for path in (f"/embed/groups/{work}", f"/embed/series/{series}"):
        answer = site.get(path)
        assert answer.status_code == 404
        assert answer.headers["X-Frame-Options"] == "DENY"
        assert list_ancestors(answer.headers["Content-Security-Policy"]) == ["'none'"]
    for path in (f"/groups/{work}/harbour", f"/series/{series}/coast"):
        assert "<iframe" not in html.unescape(site.get(path).text)


def test_only_the_sites_of_the_setting_may_frame_only_these_pages(open_to: OpenTo) -> None:
    site = open_to(f"{FRIEND}, *.partner.example:8443")
    work = add_work(site, "Harbour")
    series = add_series(site, "Coast", [work])
    allowed = ["'self'", FRIEND, "https://*.partner.example:8443"]
    for path in (f"/embed/groups/{work}", f"/embed/series/{series}", "/embed/groups/999"):
        answer = site.get(path)
        assert list_ancestors(answer.headers["Content-Security-Policy"]) == allowed, path
        assert "X-Frame-Options" not in answer.headers
    for path in ("/", f"/groups/{work}/harbour", "/embed/groups/x", "/sign-in", "/series"):
        answer = site.get(path)
        assert list_ancestors(answer.headers["Content-Security-Policy"]) == ["'none'"], path
        assert answer.headers["X-Frame-Options"] == "DENY"


def test_a_frame_has_the_picture_the_label_and_no_script(open_to: OpenTo) -> None:
    site = open_to(title="Ada’s pictures")
    work = add_work(site, "Harbour <b>", year="1911")
    answer = site.get(f"/embed/groups/{work}")
    assert answer.status_code == 200
    page = answer.text
    assert "<script" not in page
    assert "script-src" not in answer.headers["Content-Security-Policy"]
    assert "Harbour &lt;b&gt;" in page
    assert "Ada’s pictures" in page
    assert "1911" in page
    assert f'href="http://localhost/groups/{work}/harbour-b"' in page
    assert 'alt="What front.jpg shows"' in page
    assert "X-Amz-Signature" in page
    # The work's page opens beside the one that has the frame.
    assert '<base target="_blank">' in page
    assert answer.headers["Cache-Control"] == "public, no-cache"
    assert answer.headers["Referrer-Policy"] == "same-origin"
    assert answer.headers["X-Robots-Tag"] == "noindex"


def test_a_frame_shows_the_shots_beginning_with_the_cover(open_to: OpenTo) -> None:
    site = open_to()
    work = add_work(site, "Harbour", tuple(f"{n}.jpg" for n in range(15)))
    with site.session() as session:
        cover = session.query(Image).filter_by(group_id=work, number=3).one()
        session.get_one(Group, work).cover_id = cover.id
    shown = re.findall(
        r'href="http://localhost/groups/\d+/(\d+)"', site.get(f"/embed/groups/{work}").text
    )
    assert shown == ["3", "1", "2", *map(str, range(4, 13))]


def test_a_series_without_works_shows_its_parts(open_to: OpenTo) -> None:
    site = open_to()
    works = [add_work(site, f"Work {n}") for n in range(14)]
    whole = add_series(site, "Coast", [])
    part = add_series(site, "North coast", works, whole)
    page = site.get(f"/embed/series/{whole}").text
    assert f'href="http://localhost/series/{part}/north-coast"' in page
    assert "2021–2024" in page
    page = site.get(f"/embed/series/{part}").text
    assert re.findall(r'embed-caption" dir="auto">(Work \d+)', page) == [
        f"Work {n}" for n in range(12)
    ]
    with count_statements() as statements:
        site.get(f"/embed/series/{part}?theme=dark")
    assert len(statements) <= 8


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_frame_can_have_the_colours_of_the_page_around_it(open_to: OpenTo, theme: str) -> None:
    site = open_to()
    work = add_work(site, "Harbour")
    assert f'data-theme="{theme}"' in site.get(f"/embed/groups/{work}?theme={theme}").text
    for query in ("", "?theme=mauve"):
        assert 'data-theme="auto"' in site.get(f"/embed/groups/{work}{query}").text


def test_what_is_no_longer_public_says_so_in_its_frame(open_to: OpenTo) -> None:
    site = open_to(FRIEND)
    work = add_work(site, "Secret harbour")
    series = add_series(site, "Coast", [work])
    with site.session() as session:
        session.get_one(Group, work).state = "draft"
        groups.refresh_group(session, work)
    for path in (f"/embed/groups/{work}", f"/embed/series/{series}", "/embed/series/77"):
        answer = site.get(path)
        assert answer.status_code == 404
        assert "This is no longer shown here." in answer.text
        assert "Secret harbour" not in answer.text
        assert FRIEND in list_ancestors(answer.headers["Content-Security-Policy"])
        assert answer.headers["Cache-Control"] == "no-store"
    admin = site.signed_in_client()
    assert admin.get(f"/embed/groups/{work}").status_code == 404


def test_a_frame_sets_no_cookie_even_for_an_admin(open_to: OpenTo) -> None:
    site = open_to()
    work = add_work(site, "Harbour")
    admin = site.signed_in_client()
    with admin.session_transaction() as kept:
        kept.permanent = True
    # Other pages renew the cookie of such a session.
    assert admin.get(f"/groups/{work}/harbour").headers.getlist("Set-Cookie")
    for path in (f"/embed/groups/{work}", "/embed/groups/77"):
        for client in (admin, site.client()):
            assert not client.get(path).headers.getlist("Set-Cookie")
    assert "/media/full/" not in admin.get(f"/embed/groups/{work}").text


# --- The code -------------------------------------------------------------------------------------


def read_code(page: str) -> str:
    found = re.search(r'<textarea id="embed-code"[^>]*>(.*?)</textarea>', page, re.S)
    assert found is not None
    return html.unescape(found[1])


def test_the_pages_of_works_and_series_give_the_code_to_copy(open_to: OpenTo) -> None:
    site = open_to(public_url="https://art.example.org/works", title="A & B")
    work = add_work(site, 'Harbour "at" night')
    series = add_series(site, "Coast", [work])
    code = read_code(site.get(f"/groups/{work}/harbour-at-night").text)
    assert f'<iframe src="https://art.example.org/works/embed/groups/{work}"' in code
    assert 'title="Harbour &#34;at&#34; night – A &amp; B"' in code
    # The picture is 640 × 427 there, and the label below it 80 high.
    assert 'width="640" height="507"' in code
    assert 'referrerpolicy="no-referrer"' in code
    code = read_code(site.get(f"/series/{series}/coast").text)
    assert f'<iframe src="https://art.example.org/works/embed/series/{series}"' in code


# --- oEmbed ---------------------------------------------------------------------------------------


def ask_embed(site: Site, url: str, **query: object) -> dict:
    answer = site.get("/oembed", query_string={"url": url, **query})
    assert answer.status_code == 200, answer.text
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    return answer.json


def test_works_and_series_are_frames_where_every_site_may_show_them(open_to: OpenTo) -> None:
    site = open_to()
    work, many = add_work(site, "Harbour"), add_work(site, "Sea", ("a.jpg", "b.jpg"))
    series = add_series(site, "Coast", [work])
    answer = ask_embed(site, f"http://localhost/groups/{work}/harbour")
    assert (answer["version"], answer["type"], answer["title"]) == ("1.0", "rich", "Harbour")
    assert (answer["width"], answer["height"]) == (640, 507)
    assert f'src="http://localhost/embed/groups/{work}"' in answer["html"]
    assert 'width="640" height="507"' in answer["html"]
    assert "url" not in answer
    assert answer["thumbnail_width"] == 480
    answer = ask_embed(site, f"http://localhost/series/{series}/coast")
    assert (answer["type"], answer["title"]) == ("rich", "Coast")
    assert f"/embed/series/{series}" in answer["html"]
    assert answer["height"] == ask_embed(site, f"http://localhost/groups/{many}")["height"]
    # One shot is a photo.
    shot = ask_embed(site, f"http://localhost/groups/{many}/2")
    assert shot["type"] == "photo"


@pytest.mark.parametrize(
    ("bounds", "kind", "width", "height"),
    [
        ({"maxwidth": 300}, "rich", 300, 280),
        ({"maxheight": 300}, "rich", 640, 300),
        ({"maxwidth": 400, "maxheight": 250}, "rich", 400, 250),
        ({"maxwidth": 4000, "maxheight": 4000}, "rich", 640, 507),
        # Without room for a label.
        ({"maxwidth": 200}, "photo", 200, 133),
        ({"maxheight": 100}, "photo", 150, 100),
    ],
)
def test_a_frame_obeys_its_bounds(
    open_to: OpenTo, bounds: dict[str, int], kind: str, width: int, height: int
) -> None:
    site = open_to()
    work = add_work(site, "Harbour")
    answer = ask_embed(site, f"http://localhost/groups/{work}", **bounds)
    assert (answer["type"], answer["width"], answer["height"]) == (kind, width, height)
    if "thumbnail_width" in answer:
        assert answer["thumbnail_width"] <= bounds.get("maxwidth", 10_000)
        assert answer["thumbnail_height"] <= bounds.get("maxheight", 10_000)


@pytest.mark.parametrize("sites", ["", FRIEND])
def test_they_are_photos_where_not_every_site_may_show_a_frame(open_to: OpenTo, sites: str) -> None:
    site = open_to(sites)
    work = add_work(site, "Harbour")
    series = add_series(site, "Coast", [work])
    for path in (f"/groups/{work}", f"/series/{series}"):
        answer = ask_embed(site, f"http://localhost{path}")
        assert answer["type"] == "photo"
        assert urlsplit(answer["url"]).path.startswith(f"/media/{work}/1/1920")
        assert site.get(urlsplit(answer["url"]).path).status_code == 302


def test_a_work_is_embedded_as_a_photo(either_site: Site) -> None:
    work = add_work(either_site, "Harbour", ("a.jpg", "b.jpg"))
    for path in (f"/groups/{work}", f"/groups/{work}/harbour", f"/groups/{work}/harbour?x=1#y"):
        answer = ask_embed(either_site, f"http://localhost{path}")
        assert answer["version"] == "1.0"
        assert (answer["type"], answer["title"]) == ("photo", "Harbour")
        assert (answer["width"], answer["height"]) == (1920, 1280)
        assert urlsplit(answer["url"]).path.startswith(f"/media/{work}/1/1920")
        assert either_site.get(urlsplit(answer["url"]).path).status_code == 302
        assert answer["provider_url"] == "http://localhost/"
        assert answer["thumbnail_width"] == 480
    shot = ask_embed(either_site, f"http://localhost/groups/{work}/2")
    assert urlsplit(shot["url"]).path.startswith(f"/media/{work}/2/1920")


@pytest.mark.parametrize(
    ("bounds", "size", "width", "height"),
    [
        ({"maxwidth": 1000}, 960, 960, 640),
        ({"maxheight": 640}, 960, 960, 640),
        ({"maxwidth": 1000, "maxheight": 400}, 480, 480, 320),
        ({"maxwidth": 100}, 480, 100, 66),
        ({"maxwidth": 5000, "maxheight": 5000}, 1920, 1920, 1280),
    ],
)
def test_an_embed_obeys_its_bounds(
    site: Site, bounds: dict[str, int], size: int, width: int, height: int
) -> None:
    work = add_work(site, "Harbour")
    answer = ask_embed(site, f"http://localhost/groups/{work}", **bounds)
    assert f"/media/{work}/1/{size}" in answer["url"]
    assert (answer["width"], answer["height"]) == (width, height)
    if "thumbnail_width" in answer:
        assert answer["thumbnail_width"] <= bounds.get("maxwidth", 10_000)
        assert answer["thumbnail_height"] <= bounds.get("maxheight", 10_000)


def test_other_addresses_are_not_embedded(site: Site) -> None:
    work, draft = add_work(site, "Harbour"), add_work(site, "Draft", state="draft")
    series = add_series(site, "Drafts", [draft])
    for url in (
        "",
        "nonsense",
        f"https://elsewhere.example/groups/{work}",
        f"http://localhost.evil/groups/{work}",
        f"javascript://localhost/groups/{work}",
        f"http://localhost/groups/{draft}",
        f"http://localhost/groups/{work}/99",
        f"http://localhost/groups/{work}/harbour/x",
        "http://localhost/groups/9999999999999999999",
        "http://localhost/",
        f"http://[/groups/{work}",
        f"http://localhost:99999/groups/{work}",
        f"http://localhost/series/{series}",
        "http://localhost/series/9999999999999999999",
        f"http://localhost/embed/groups/{work}",
    ):
        assert site.get("/oembed", query_string={"url": url}).status_code == 404, url
    good = f"http://localhost/groups/{work}"
    assert site.get("/oembed", query_string={"url": good, "format": "xml"}).status_code == 501
    for bound in ("0", "-1", "x", "1e3"):
        answer = site.get("/oembed", query_string={"url": good, "maxwidth": bound})
        assert answer.status_code == 422, bound


def test_pages_lead_to_their_embeds(site: Site) -> None:
    work = add_work(site, "Harbour")
    series = add_series(site, "Coast", [work])
    paths = {f"/groups/{work}/harbour": "Harbour", f"/series/{series}/coast": "Coast"}
    for path, title in paths.items():
        link = re.search(r'type="application/json\+oembed"[^>]*href="([^"]+)"', site.get(path).text)
        assert link is not None
        parts = urlsplit(link[1].replace("&amp;", "&"))
        answer = site.get(f"{parts.path}?{parts.query}")
        assert answer.json["title"] == title
