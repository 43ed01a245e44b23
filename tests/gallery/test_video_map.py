"""Videos in the site map, for search engines."""

from pathlib import Path

import pytest

from imagehub.database import db
from imagehub.domain.library import groups, private_data, series_edit
from imagehub.domain.library import images as library_images
from imagehub.domain.translations import write_translation
from imagehub.models import Group
from tests.fixtures.site import Site, make_site
from tests.gallery.test_found import MAP, PICTURE, get_xml
from tests.gallery.test_videos import add_film

VIDEO = "{http://www.google.com/schemas/sitemap-video/1.1}"
# In the order of the schema.
TAGS = ["thumbnail_loc", "title", "description", "content_loc", "duration", "publication_date"]


def list_videos(site: Site, path: str = "/sitemap/1.xml") -> dict[str, list[dict[str, str]]]:
    """Return the videos of each entry by its address."""
    found = {}
    for url in get_xml(site, path).iter(f"{MAP}url"):
        [address] = url.findall(f"{MAP}loc")
        videos = [
            {tag.tag.removeprefix(VIDEO): tag.text or "" for tag in video}
            for video in url.findall(f"{VIDEO}video")
        ]
        if videos:
            found[address.text or ""] = videos
    return found


def find_section(number: int) -> str:
    """Return the address of the part of the map with a work; tests share a database."""
    return f"/sitemap/{(number - 1) // 1000 + 1}.xml"


def name(site: Site, number: int, title: str, text: str = "") -> None:
    with site.session() as session:
        group = session.get_one(Group, number)
        group.title, group.text = title, text
        groups.refresh_group(session, number)


def close(site: Site) -> None:
    with site.app.app_context():
        db.engine.dispose()


def test_the_map_describes_the_videos_of_published_works(either_site: Site) -> None:
    site = either_site
    number = add_film(site)
    name(site, number, "Ebb & flow")
    add_film(site, state="draft")
    add_film(site, state="trash")
    site.add_group()
    found = list_videos(site, find_section(number))
    [(address, [video])] = found.items()
    assert address == f"http://localhost/groups/{number}/ebb-flow"
    assert list(video) == TAGS
    assert video["title"] == "Ebb & flow"
    assert video["description"] == "What film.mov shows"
    assert video["thumbnail_loc"] == f"http://localhost/media/{number}/2/1920.webp"
    assert video["content_loc"] == f"http://localhost/groups/{number}/2/video"
    assert video["duration"] == "42"
    assert site.get(video["thumbnail_loc"]).status_code == 302
    # The stills are pictures of the work, too.
    assert len(list(get_xml(site, find_section(number)).iter(f"{PICTURE}loc"))) == 3
    assert "video" not in site.get("/robots.txt").text


@pytest.mark.parametrize(
    ("duration_ms", "said"),
    [(0, None), (300, "1"), (1500, "2"), (28_800_000, "28800"), (28_801_000, None)],
)
def test_only_lengths_that_a_map_may_have_are_said(
    site: Site, duration_ms: int, said: str | None
) -> None:
    add_film(site, duration_ms=duration_ms)
    [[video]] = list_videos(site).values()
    assert video.get("duration") == said


def test_a_video_without_an_alt_text_is_described_by_its_work(site: Site) -> None:
    number = add_film(site, alt="")
    name(site, number, "Tide", "The **sea** comes in.\n\n" + "And it goes out again. " * 200)
    [[video]] = list_videos(site).values()
    assert video["description"].startswith("The sea comes in. And it goes out again.")
    assert len(video["description"]) <= 2048
    name(site, number, "")
    [[video]] = list_videos(site).values()
    assert (video["title"], video["description"]) == ("Untitled", "Untitled")


@pytest.mark.parametrize(
    "facts", [{"drive_state": "missing"}, {"private_state": private_data.FIXED}]
)
def test_a_video_that_visitors_cannot_play_is_a_picture_in_the_map(
    site: Site, facts: dict[str, str]
) -> None:
    add_film(site, **facts)
    assert list_videos(site) == {}
    assert len(list(get_xml(site, "/sitemap/1.xml").iter(f"{PICTURE}loc"))) == 2


def test_the_map_of_a_hub_behind_another_address_uses_it(tmp_path: Path) -> None:
    site = make_site(tmp_path, public_url="https://art.example.org/works")
    number = add_film(site)
    [[video]] = list_videos(site).values()
    start = "https://art.example.org/works/"
    assert video["content_loc"] == f"{start}groups/{number}/2/video"
    assert video["thumbnail_loc"] == f"{start}media/{number}/2/1920.webp"
    close(site)


def test_each_language_has_its_words(tmp_path: Path) -> None:
    site = make_site(tmp_path, text_languages="de,en", public_url="https://art.example.org")
    number = add_film(site, alt="Das Meer")
    name(site, number, "Flut")
    with site.session() as session:
        group = session.get_one(Group, number)
        write_translation(session, group, "en", {"title": "Flood"})
        film = library_images.list_images(session, number)[1]
        write_translation(session, film, "en", {"alt": "The sea"})
        series_edit.set_series_state(
            session, series_edit.create_series(session, "Wasser", [number]).id, "published"
        )
    words = {
        address.partition("?")[2]: (video["title"], video["description"])
        for address, [video] in list_videos(site).items()
    }
    assert words == {
        "": ("Flut", "Das Meer"),
        "lang=de": ("Flut", "Das Meer"),
        "lang=en": ("Flood", "The sea"),
    }
    close(site)
