"""A work whose cover and only shot is a video, on every page and in every call about works."""

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from imagehub.database import db
from imagehub.domain.library import groups, series_edit, tags
from imagehub.domain.library import images as library_images
from imagehub.domain.sharing import links
from imagehub.models import Group
from tests.fixtures.site import Site, make_site
from tests.gallery.test_videos import add_film, set_film


def add_only_film(site: Site) -> int:
    """Add a work that has a size, a tag and a series, and nothing but a film."""
    number = site.add_group(["film.mov"])
    with site.session() as session:
        [film] = library_images.list_images(session, number)
        set_film(film, width_px=3840, height_px=2160, size_bytes=4711, dominant_color="#336699")
        group = session.get_one(Group, number)
        group.title, group.dimensions, group.medium = "Tide", "50 × 70 cm", "Video"
        group.year, group.availability, group.tiles = "2024", "available", "on"
        tags.set_tags(session, group, ["sea"])
        groups.refresh_group(session, number)
        series = series_edit.create_series(session, "Water", [number])
        series_edit.set_series_state(session, series.id, "published")
    return number


def list_pages(number: int) -> list[str]:
    return [
        "/",
        f"/groups/{number}/tide",
        f"/groups/{number}/1",
        "/search?q=tide",
        "/tags/sea",
        "/series",
        "/series/1/water",
        "/?medium=video",
        "/?shape=landscape",
        "/?colour=blue",
        f"/embed/groups/{number}",
        "/embed/series/1",
        f"/groups/{number}/enquire",
    ]


@pytest.fixture
def open_site(tmp_path: Path) -> Iterator[Site]:
    """Return a hub that other sites may embed."""
    site = make_site(tmp_path / "open", embed_sites="*", enquiries="on")
    yield site
    with site.app.app_context():
        db.engine.dispose()


def test_every_page_shows_the_still_and_its_mark(open_site: Site) -> None:
    site = open_site
    number = add_only_film(site)
    still = f"/media/{number}/1/"
    for path in list_pages(number):
        answer = site.get(path)
        assert answer.status_code == 200, path
        sources = re.findall(r"<(?:img|video)[^>]*?(?:src|poster)=\"([^\"]*)\"", answer.text)
        assert any(still in source for source in sources), path
        assert not any(source.endswith("/video") for source in sources), path
        if "<video" not in answer.text and "enquire" not in path:
            assert 'data-length="0:42"' in answer.text, path
    page = site.get(f"/groups/{number}/tide").text
    assert f'property="og:image" content="http://localhost/media/{number}/1/1920' in page
    # Nothing to zoom into, and nothing to hang on a wall at its size.
    assert "data-tiles" not in page
    assert f"/groups/{number}/size" not in page
    assert site.get(f"/groups/{number}/size").status_code == 404
    # Without a script the video plays on the page itself.
    assert re.search(r"<video[^>]* controls ", page)
    oembed = site.get(f"/oembed?url=http://localhost/groups/{number}/tide").get_json(force=True)
    assert oembed["thumbnail_url"].startswith(f"http://localhost/media/{number}/1/")
    feed = site.get("/feed.atom").text
    assert f"http://localhost/groups/{number}/1/video" in feed


def is_picture(url: str) -> bool:
    return urlsplit(url).path.endswith(".webp") or bool(
        re.search(r"/media/[0-9]+/[0-9]+/[0-9]+$", url)
    )


def test_the_first_versions_app_gets_pictures(site: Site) -> None:
    number = add_only_film(site)
    mixed = add_film(site)
    rows = site.get("/image/page?page=1").get_json()["data"]
    rows += site.get(f"/image/group?group={mixed}").get_json()["data"]
    rows += site.get("/site/works").get_json()["data"]
    found = site.get(f"/image/?group={number}&image_id=1").get_json()
    assert found["data"]["imageName"] == "film.mov"
    rows.append(found["data"])
    for row in rows:
        assert is_picture(row["image"]), row
        assert row["width"] <= 1920
    assert site.get("/image/total-page").get_json() == {"totalPage": 1}
    listed = site.get("/admin/groups/images", headers=site.bearer()).get_json()["data"]
    assert listed[str(number)]["images"][0]["image_name"] == "film.mov"
    shown = site.get(f"/admin/image?group_id={number}", headers=site.bearer()).get_json()
    assert is_picture(shown["image"])


def test_the_app_downloads_the_still_and_may_know_the_video(site: Site) -> None:
    number = add_only_film(site)
    answer = site.get(f"/image/download?group_id={number}&image_id=1").get_json()
    assert answer == {
        "code": 1,
        "hint": "image_found",
        "image": {
            "image_name": "film.webp",
            "image": f"http://localhost/media/{number}/1/1920.webp",
            "width": 1920,
            "height": 1280,
            "alt": "What film.mov shows",
        },
        "video": f"http://localhost/media/full/{number}/1/film.mov",
    }
    assert site.get(answer["image"]["image"]).status_code == 302
    with site.session() as session:
        library_images.list_images(session, number)[0].drive_state = "missing"
    answer = site.get(f"/image/download?group_id={number}&image_id=1").get_json()
    assert answer["code"] == 1
    assert "video" not in answer


def test_the_manifest_of_a_film_alone_has_one_canvas(site: Site) -> None:
    number = add_only_film(site)
    data = site.get(f"/iiif/groups/{number}/manifest.json").get_json(force=True)
    [canvas] = data["items"]
    assert canvas["duration"] == 42
    assert data["thumbnail"][0]["type"] == "Image"


def test_a_share_of_a_film_alone_has_its_still(site: Site) -> None:
    number = add_only_film(site)
    with site.session() as session:
        _, token = links.create_share(session, None, [number], takes_lists=True)
    for path in (f"/s/{token}", f"/s/{token}/{number}", f"/s/{token}/list"):
        answer = site.get(path)
        assert answer.status_code == 200, path
    assert "<video" in site.get(f"/s/{token}/{number}").text
    assert 'data-length="0:42"' in site.get(f"/s/{token}").text


@pytest.mark.parametrize("is_film", [True, False])
def test_true_size_is_offered_for_pictures_beside_a_film(site: Site, is_film: bool) -> None:
    number = add_film(site) if is_film else site.add_group()
    with site.session() as session:
        session.get_one(Group, number).dimensions = "50 × 70 cm"
        if is_film:
            # The cover is the film: its picture hangs on the wall all the same.
            film = library_images.list_images(session, number)[1]
            film.group.cover_id = film.group.chosen_cover_id = film.id
    page = site.get(f"/groups/{number}/size")
    assert page.status_code == 200
    assert f"/media/{number}/1/1920" in page.text


def test_the_library_and_home_show_a_film(site: Site) -> None:
    number = add_only_film(site)
    client = site.signed_in_client()
    for path in ("/admin", "/admin/library", "/admin/library?view=grid"):
        assert client.get(path, follow_redirects=True).status_code == 200, path
    page = client.get(f"/admin/library/{number}")
    assert page.status_code == 200
    assert "data-video-facts" in page.text
