"""Pages in the languages of the hub: texts, addresses, and what search engines read of them."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from imagehub.database import db
from imagehub.domain.library import series_edit
from imagehub.domain.library.images import get_image
from imagehub.domain.library.search_index import refresh_search
from imagehub.domain.site import menu, pages
from imagehub.domain.translations import write_translation
from imagehub.models import Group
from tests.fixtures.site import Site, make_site
from tests.gallery.test_pages import count_statements

ENGLISH = {"Accept-Language": "en-GB,en;q=0.9"}


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Site]:
    """Return a hub whose texts are in German, with English beside it."""
    site = make_site(
        tmp_path, text_languages="de,en", public_url="https://art.example.org", page_cache_mb="8"
    )
    yield site
    with site.app.app_context():
        db.engine.dispose()


def add_work(hub: Site, title: str = "Blauer See", english: str = "Blue lake") -> int:
    number = hub.add_group(["a.jpg", "b.jpg"])
    with hub.session() as session:
        group = session.get_one(Group, number)
        group.title, group.text, group.medium = title, "Ein *See*.", "Öl"
        image = get_image(session, number, 1)
        image.alt = "Ein See"
        session.flush()
        write_translation(session, group, "en", {"title": english, "text": "A *lake*."})
        write_translation(session, image, "en", {"alt": "A lake"})
        refresh_search(session, [number])
    return number


def read_linked_data(page: str) -> Any:
    return json.loads(re.findall(r'<script type="application/ld\+json">(.*?)</script>', page)[0])


def test_visitors_get_their_language_and_the_main_one_where_a_text_is_missing(hub: Site) -> None:
    number = add_work(hub)
    url = f"/groups/{number}/blauer-see"
    for headers, title, alt, language in (
        ({}, "Blauer See", "Ein See", "de"),
        # The main language also serves those who read none of the hub's.
        ({"Accept-Language": "fr"}, "Blauer See", "Ein See", "de"),
        (ENGLISH, "Blue lake", "A lake", "en"),
    ):
        answer = hub.get(url, headers=headers)
        assert answer.status_code == 200 and f'<html lang="{language}"' in answer.text
        assert f">{title}</h1>" in answer.text and f'alt="{alt}"' in answer.text
        assert {"Cookie", "Accept-Language"} <= answer.vary.as_set(True)
    english = hub.get(url, headers=ENGLISH).text
    assert "A <em>lake</em>." in english and '<span dir="auto">Öl</span>' in english
    assert read_linked_data(english)["mainEntityOfPage"]["inLanguage"] == "en"
    assert 'class="caption-title" dir="auto">Blue lake<' in hub.get("/", headers=ENGLISH).text
    # The address stays, whatever the language: only a wrong ending is redirected.
    answer = hub.get(f"/groups/{number}/blue-lake", headers=ENGLISH)
    assert answer.status_code == 301 and answer.location == url


def test_a_text_in_another_language_than_the_page_says_so(hub: Site) -> None:
    number = add_work(hub)
    with hub.session() as session:
        write_translation(session, session.get_one(Group, number), "en", {"title": ""})
    page = hub.get(f"/groups/{number}/blauer-see", headers=ENGLISH).text
    assert '<h1 dir="auto" lang="de">Blauer See</h1>' in page
    assert '<div class="text" dir="auto">' in page


def test_each_language_has_an_address_and_links_keep_it(hub: Site) -> None:
    first, second = add_work(hub), add_work(hub, "Wald", "Forest")
    root = "https://art.example.org"
    page = hub.get(f"/groups/{first}/blauer-see?lang=en").text
    assert ">Blue lake</h1>" in page and f'href="/groups/{second}/wald?lang=en"' in page
    path = f"{root}/groups/{first}/blauer-see"
    assert f'<link rel="canonical" href="{path}?lang=en">' in page
    links = dict(re.findall(r'<link rel="alternate" hreflang="([^"]+)" href="([^"]+)">', page))
    assert links == {"de": f"{path}?lang=de", "en": f"{path}?lang=en", "x-default": path}
    german = hub.get(f"/groups/{first}/blauer-see?lang=de", headers=ENGLISH).text
    assert ">Blauer See</h1>" in german
    plain = hub.get(f"/groups/{first}/blauer-see", headers=ENGLISH).text
    assert f'<link rel="canonical" href="{path}">' in plain and "/wald?" not in plain
    # A language that the hub does not have is ignored.
    assert ">Blauer See</h1>" in hub.get(f"/groups/{first}/blauer-see?lang=fr").text
    answer = hub.get(f"/groups/{first}?lang=en&series=7")
    assert answer.location == f"/groups/{first}/blauer-see?series=7&lang=en"
    assert '<input type="hidden" name="lang" value="en">' in page


def test_the_switch_wins_over_the_address(hub: Site) -> None:
    number = add_work(hub)
    visitor = hub.client()
    answer = visitor.get(f"/preferences?language=de&next=/groups/{number}/blauer-see?lang%3Den")
    assert answer.location == f"/groups/{number}/blauer-see"
    assert ">Blauer See</h1>" in visitor.get(answer.location, headers=ENGLISH).text


def test_kept_pages_are_kept_in_each_language(hub: Site) -> None:
    number = add_work(hub)
    url = f"/groups/{number}/blauer-see"
    hub.get(url), hub.get(url, headers=ENGLISH)
    assert count_statements(hub, url) == 1
    assert ">Blue lake</h1>" in hub.get(url, headers=ENGLISH).text
    assert ">Blauer See</h1>" in hub.get(url, headers={"Accept-Language": "fr"}).text
    with hub.session() as session:
        write_translation(session, session.get_one(Group, number), "en", {"title": "The lake"})
    assert ">The lake</h1>" in hub.get(url, headers=ENGLISH).text


def test_a_page_of_works_costs_one_statement_more_in_another_language(tmp_path: Path) -> None:
    hub = make_site(tmp_path, text_languages="de,en", page_cache_mb="0")
    for _ in range(12):
        add_work(hub)

    def count(path: str) -> int:
        return min(count_statements(hub, path) for _ in range(3))

    first = "/groups/1/blauer-see"
    assert count("/?lang=en") == count("/?lang=de") + 1
    assert count(f"{first}?lang=en") == count(f"{first}?lang=de") + 1
    with hub.app.app_context():
        db.engine.dispose()


def test_series_and_pages_of_text_are_translated_with_their_menu_entries(hub: Site) -> None:
    number = add_work(hub)
    with hub.session() as session:
        paper = series_edit.create_series(session, "Papier", [number])
        series_edit.set_series_state(session, paper.id, "published")
        write_translation(session, paper, "en", {"title": "Paper", "place": "Brussels"})
        about = pages.create_page(session, "about", "Über mich", "Ich male")
        pages.set_state(session, about.id, pages.PUBLISHED)
        write_translation(session, about, "en", {"title": "About me", "text": "I paint"})
        menu.set_places(session, paper, ["footer"])
        series_id = paper.id
    page = hub.get(f"/series/{series_id}/papier?lang=en").text
    assert ">Paper</h1>" in page and "Brussels" in page
    assert '<a href="/pages/about?lang=en" dir="auto">About me</a>' in page
    assert f'<a href="/series/{series_id}/papier?lang=en" dir="auto">Paper</a>' in page
    text = hub.get("/pages/about?lang=en").text
    assert ">About me</h1>" in text and "I paint" in text
    listed = hub.get("/series?lang=en").text
    assert f'href="/series/{series_id}/papier?lang=en"' in listed and ">Paper</h2>" in listed


def test_feeds_and_site_maps_name_the_other_languages(hub: Site) -> None:
    number = add_work(hub)
    feed = hub.get("/feed.atom?lang=en").text
    assert 'xml:lang="en"' in feed and "<title>Blue lake</title>" in feed
    assert f"<id>https://art.example.org/groups/{number}</id>" in feed
    other = 'hreflang="de" href="https://art.example.org/feed.atom?lang=de"/>'
    assert f'<link rel="alternate" type="application/atom+xml" {other}' in feed
    path = f"https://art.example.org/groups/{number}/blauer-see"
    sitemap = hub.get("/sitemap/1.xml").text
    link = '<xhtml:link rel="alternate" hreflang="{}" href="{}"/>'
    for url in (path, f"{path}?lang=de", f"{path}?lang=en"):
        assert f"<loc>{url}</loc>" in sitemap
    assert sitemap.count(link.format("en", f"{path}?lang=en")) == 3
    assert sitemap.count(link.format("x-default", path)) == 3


def test_suggestions_and_search_know_the_other_languages_and_pages(hub: Site) -> None:
    add_work(hub)
    with hub.session() as session:
        about = pages.create_page(session, "about", "Über mich", "Am See geboren")
        pages.set_state(session, about.id, pages.PUBLISHED)
        write_translation(session, about, "en", {"title": "About me", "text": "Born by the lake"})
    answer = hub.get("/search/suggest?q=lake&lang=en").get_json()
    assert [work["title"] for work in answer["works"]] == ["Blue lake"]
    assert answer["pages"] == [{"title": "About me", "url": "/pages/about?lang=en"}]
    answer = hub.get("/search/suggest?q=lake").get_json()
    assert [work["title"] for work in answer["works"]] == ["Blauer See"]
    assert "About me" in hub.get("/search?q=lake&lang=en").text


def test_other_viewers_get_all_languages_at_once(hub: Site) -> None:
    number = add_work(hub)
    manifest = hub.get(f"/iiif/groups/{number}/manifest.json", headers=ENGLISH).get_json()
    assert manifest["label"] == {"de": ["Blauer See"], "en": ["Blue lake"]}
    assert manifest["summary"] == {"de": ["Ein See."], "en": ["A lake."]}
    values = {fact["label"]["en"][0]: fact["value"] for fact in manifest["metadata"]}
    assert values["Medium"] == {"de": ["Öl"]}


def test_calls_of_the_app_speak_the_main_language(hub: Site) -> None:
    number = add_work(hub)
    rows = hub.get(f"/image/group?group={number}", headers=ENGLISH).get_json()["data"]
    assert rows[0]["alt"] == "Ein See"


def test_a_hub_with_one_language_has_one_address_for_each_page(site: Site) -> None:
    site.add_group()
    page = site.get("/?lang=de").text
    assert "hreflang" not in page.split("</head>")[0]
    assert '<html lang="en"' in page and not re.search('href="[^"]*lang=', page)
