"""Sitemap, feeds and robots.txt."""

import json
import re
import xml.etree.ElementTree as ET
from datetime import datetime
from urllib.parse import quote, urlsplit

import pytest

from imagehub.domain.library import gallery, groups, order, tags
from imagehub.models import Group
from tests.admin.pages import send
from tests.fixtures.site import Site, make_site
from tests.gallery.test_pages import count_statements

ATOM = "{http://www.w3.org/2005/Atom}"
MAP = "{http://www.sitemaps.org/schemas/sitemap/0.9}"
PICTURE = "{http://www.google.com/schemas/sitemap-image/1.1}"


def add_work(site: Site, title: str, names: tuple[str, ...] = ("front.jpg",), **facts: str) -> int:
    number = site.add_group(names)
    with site.session() as session:
        group = session.get_one(Group, number)
        group.title = title
        for name, value in facts.items():
            setattr(group, name, value)
        groups.refresh_group(session, number)
    return number


def get_xml(site: Site, path: str) -> ET.Element:
    answer = site.get(path)
    assert answer.status_code == 200, path
    assert "xml" in answer.mimetype
    assert answer.headers["Cache-Control"].startswith("public, max-age=")
    return ET.fromstring(answer.data)


# --- The site map ---------------------------------------------------------------------------------


def test_the_map_names_all_shown_works_and_their_pictures(either_site: Site) -> None:
    works = [add_work(either_site, f"Work {i}", ("a.jpg", "b.jpg")) for i in range(3)]
    add_work(either_site, "Draft", state="draft")
    index = get_xml(either_site, "/sitemap.xml")
    maps = [element.text or "" for element in index.iter(f"{MAP}loc")]
    urls: list[str] = []
    pictures: list[str] = []
    for url in maps:
        parts = urlsplit(url)
        assert (parts.scheme, parts.netloc) == ("http", "localhost")
        found = get_xml(either_site, parts.path)
        urls += [element.text or "" for element in found.iter(f"{MAP}loc")]
        pictures += [element.text or "" for element in found.iter(f"{PICTURE}loc")]
    expected = [f"http://localhost/groups/{work}/work-{i}" for i, work in enumerate(works)]
    # Works whose numbers are far apart stand in different maps, the front page in the first alone.
    assert [url for url in urls if "/groups/" in url] == expected
    assert len(pictures) == 6
    for url in [*expected, *pictures]:
        assert either_site.get(urlsplit(url).path).status_code in (200, 302), url


def test_the_map_is_in_stretches_of_a_thousand_numbers(either_site: Site) -> None:
    first = add_work(either_site, "First")
    with either_site.session() as session:
        far = Group(
            id=first + 5000,
            title="Far",
            state="published",
            sort_key=order.make_first_sort_key(session),
        )
        session.add(far)
        session.flush()
        stretches = gallery.list_sections(session)
        assert stretches == [-(-first // 1000)]
        far.is_shown = True
        session.flush()
        assert gallery.list_sections(session) == [-(-first // 1000), -(-far.id // 1000)]
        [(group, _)] = gallery.list_section(session, -(-far.id // 1000))
        assert group.id == far.id
        session.rollback()
    for number in (0, 4711, 1 << 62, (1 << 63) - 1):
        assert either_site.get(f"/sitemap/{number}.xml").status_code == 404, number


def test_an_empty_hub_has_a_map_of_its_front_page(site: Site) -> None:
    index = get_xml(site, "/sitemap.xml")
    assert [element.text for element in index.iter(f"{MAP}loc")] == [
        "http://localhost/sitemap/1.xml"
    ]
    urls = [element.text for element in get_xml(site, "/sitemap/1.xml").iter(f"{MAP}loc")]
    assert urls == ["http://localhost/", "http://localhost/tags"]


# --- The feed -------------------------------------------------------------------------------------


def test_the_feed_has_the_newest_works(either_site: Site) -> None:
    works = [add_work(either_site, f"Work {i}") for i in range(32)]
    add_work(either_site, "Draft", state="draft")
    feed = get_xml(either_site, "/feed.atom")
    entries = feed.findall(f"{ATOM}entry")
    assert [entry.findtext(f"{ATOM}title") for entry in entries] == [
        f"Work {i}" for i in range(31, 1, -1)
    ]
    assert entries[0].findtext(f"{ATOM}id") == f"http://localhost/groups/{works[-1]}"
    for element in (feed, *entries):
        moment = element.findtext(f"{ATOM}updated")
        assert moment is not None
        assert datetime.fromisoformat(moment).tzinfo is not None
    assert feed.find(f"{ATOM}author/{ATOM}name") is not None
    links = {link.get("rel"): link.get("href") for link in feed.findall(f"{ATOM}link")}
    assert links == {
        "self": "http://localhost/feed.atom",
        "alternate": "http://localhost/",
    }


def test_a_feed_costs_the_same_few_queries_however_many_works_it_has(site: Site) -> None:
    def count() -> int:
        # What a page asks for once in a while, as the settings, is not counted.
        return min(count_statements(site, "/feed.atom") for _ in range(3))

    add_work(site, "First")
    few = count()
    for number in range(9):
        add_work(site, f"Work {number}")
    assert count() == few


def test_an_entry_shows_its_picture_and_words_in_html(either_site: Site) -> None:
    work = add_work(
        either_site,
        "Tom & <Jerry> \x0b大波",
        text="First <b>paragraph</b>.\r\n\r\nSecond & last.\x00",
    )
    with either_site.session() as session:
        tags.set_tags(session, session.get_one(Group, work), ["sea & sky"])
    entry = get_xml(either_site, "/feed.atom").find(f"{ATOM}entry")
    assert entry is not None
    assert entry.findtext(f"{ATOM}title") == "Tom & <Jerry> 大波"
    content = entry.find(f"{ATOM}content")
    assert content is not None
    assert content.get("type") == "html"
    assert content.text is not None
    assert f'<img src="http://localhost/media/{work}/1/960' in content.text
    assert 'alt="What front.jpg shows" width="960" height="640"' in content.text
    assert "<p>First &lt;b&gt;paragraph&lt;/b&gt;.</p><p>Second &amp; last.</p>" in content.text
    category = entry.find(f"{ATOM}category")
    assert category is not None
    assert category.get("term") == "sea & sky"


def test_an_unchanged_feed_is_not_sent_again(site: Site) -> None:
    add_work(site, "One")
    tag = site.get("/feed.atom").headers["ETag"]
    assert site.get("/feed.atom", headers={"If-None-Match": tag}).status_code == 304
    add_work(site, "Two")
    assert site.get("/feed.atom", headers={"If-None-Match": tag}).status_code == 200
    assert (
        site.get("/feed.atom", headers={"Accept-Encoding": "gzip"}).headers["Content-Encoding"]
        == "gzip"
    )


def test_pages_name_the_feed_unless_it_is_switched_off(site: Site) -> None:
    assert 'type="application/atom+xml"' in site.get("/").text
    closed = make_site(site.app.extensions["imagehub"].settings.data_dir, feeds="off")
    assert "feed.atom" not in closed.get("/").text
    assert closed.get("/feed.atom").status_code == 404


def test_a_work_without_a_title_has_one_in_the_visitors_language(site: Site) -> None:
    add_work(site, " ")
    for language, title in (("en", "Untitled"), ("de", "Ohne Titel")):
        answer = site.get("/feed.atom", headers={"Accept-Language": language})
        entry = ET.fromstring(answer.data).find(f"{ATOM}entry")
        assert entry is not None
        assert entry.findtext(f"{ATOM}title") == title
        assert "Accept-Language" in answer.headers["Vary"]


# --- Addresses, robots, words for machines --------------------------------------------------------


def test_robots_are_told_what_is_closed(site: Site) -> None:
    answer = site.get("/robots.txt")
    assert answer.mimetype == "text/plain"
    lines = answer.text.splitlines()
    assert lines[0] == "User-agent: *"
    assert "Disallow: /admin/" in lines
    assert "Disallow: /media/full/" in lines
    assert "Disallow: /" not in lines
    assert lines[-1] == "Sitemap: http://localhost/sitemap.xml"


def test_all_addresses_are_those_that_visitors_type(site: Site) -> None:
    work = add_work(site, "Harbour")
    folder = site.app.extensions["imagehub"].settings.data_dir
    public = make_site(folder, public_url="https://art.example.org/works")
    for path in ("/feed.atom", "/sitemap.xml", "/sitemap/1.xml", "/robots.txt"):
        text = public.get(path, headers={"Host": "10.0.0.7:8000"}).text
        assert "https://art.example.org/works/" in text, path
        assert "10.0.0.7" not in text, path
    url = f"https://art.example.org/works/groups/{work}"
    answer = public.get(f"/oembed?url={quote(url, safe='')}").json
    assert answer["url"].startswith(f"https://art.example.org/works/media/{work}/1/1920")
    assert public.get(f"/oembed?url=http://localhost/groups/{work}").status_code == 404


def read_linked_data(page: str) -> dict:
    found = re.search(r'<script type="application/ld\+json"[^>]*>(.*?)</script>', page, re.S)
    assert found is not None
    return json.loads(found[1])


def test_pages_describe_themselves_to_machines(either_site: Site) -> None:
    work = add_work(
        either_site,
        "Harbour </script><b>",
        ("a.jpg", "b.jpg"),
        text="A quiet morning. " * 30,
        medium="Oil on canvas",
        year="1911",
    )
    with either_site.session() as session:
        tags.set_tags(session, session.get_one(Group, work), ["sea", "boats"])
    front = read_linked_data(either_site.get("/").text)
    assert front["@type"] == "ImageGallery"
    page = either_site.get(either_site.get(f"/groups/{work}").location).text
    data = read_linked_data(page)
    assert data["@type"] == "VisualArtwork"
    assert data["name"] == "Harbour </script><b>"
    assert data["artMedium"] == "Oil on canvas"
    assert data["keywords"] == ["sea", "boats"]
    assert len(data["image"]) == 2
    meta = dict(re.findall(r'<meta (?:name|property)="([^"]+)" content="([^"]*)">', page))
    assert 50 < len(meta["description"]) <= 160
    assert meta["og:type"] == "article"
    assert f"/media/{work}/1/1920" in meta["og:image"]
    assert meta["twitter:card"] == "summary_large_image"
    assert page.count("<title>") == 1
    assert page.count('rel="canonical"') == 1


def test_search_engines_and_visitors_read_who_made_an_image(site: Site) -> None:
    work = add_work(site, "Harbour", ("a.jpg", "b.jpg"))
    url = site.get(f"/groups/{work}").location
    page = site.get(url).text
    assert 'class="credits"' not in page
    assert not {"creator", "license", "creditText"} & read_linked_data(page)["image"][0].keys()
    client, path = site.signed_in_client(), "/admin/settings"
    sent = {"creator": "Ada <L>", "copyright_notice": "© Ada", "license_url": "https://a.b/terms/"}
    send(client, path, path, **sent, license_page_url="https://a.b/buy")
    data = read_linked_data(site.get(url).text)
    for image in data["image"]:
        assert image["creator"] == {"@type": "Person", "name": "Ada <L>"}
        assert image["creditText"] == "Ada <L>"
        assert image["copyrightNotice"] == "© Ada"
        assert image["license"] == "https://a.b/terms/"
        assert image["acquireLicensePage"] == "https://a.b/buy"
    assert data["creator"]["name"] == "Ada <L>"
    assert '<a href="https://a.b/terms/" rel="license">' in site.get(url).text
    with site.session() as session:
        session.get_one(Group, work).creator = "Ben"
    page = site.get(url).text
    assert read_linked_data(page)["image"][1]["creditText"] == "Ben"
    assert "a.b/terms" not in page


@pytest.mark.parametrize(
    ("availability", "english", "german", "offer"),
    [
        ("available", "Available", "Verfügbar", "https://schema.org/InStock"),
        ("reserved", "Reserved", "Reserviert", "https://schema.org/Reserved"),
        ("sold", "Sold", "Verkauft", "https://schema.org/SoldOut"),
        ("not_for_sale", "Not for sale", "Unverkäuflich", None),
        ("", "", "", None),
    ],
)
def test_the_wall_label_says_what_is_filled_in_and_machines_read_it_too(
    site: Site, availability: str, english: str, german: str, offer: str | None
) -> None:
    record = {
        "year": "2021",
        "medium": "Linocut",
        "dimensions": "40 × 30 cm",
        "edition": "Edition of 25",
    }
    work = add_work(site, "Cut sun", ("a.jpg",), **record, availability=availability)
    url = site.get(f"/groups/{work}").location
    for language, words in (("en", english), ("de", german)):
        page = site.get(url, headers={"Accept-Language": language}).text
        label = re.search(r'<p class="record">(.*?)</p>', page, re.S)
        assert label is not None
        lines = re.findall(r"<span[^>]*>([^<]*)</span>", label[1])
        assert lines == [*record.values(), *([words] if words else [])]
    data = read_linked_data(page)
    assert data["artEdition"] == "Edition of 25"
    assert data.get("offers", {}).get("availability") == offer
    assert ("offers" in data) == (offer is not None)


def test_a_price_is_shown_where_it_may_be_and_in_the_visitors_language(site: Site) -> None:
    work = add_work(
        site, "Cut sun", ("a.jpg",), availability="available", price="1250.50", price_shown="public"
    )
    url = site.get(f"/groups/{work}").location
    for language, words in (("en", "€1,250.50"), ("de", "1.250,50\N{NO-BREAK SPACE}€")):
        page = site.get(url, headers={"Accept-Language": language}).text
        assert f'<span dir="auto">{words}</span></p>' in page
    offer = read_linked_data(page)["offers"]
    assert (offer["price"], offer["priceCurrency"]) == ("1250.50", "EUR")
    found = {"amount": "1250.50", "currency": "EUR"}
    answer = site.get(f"/image/price?group={work}")
    assert answer.json == {"code": 1, "price": found, "hint": "price_found"}


@pytest.mark.parametrize(
    ("shown", "words", "hint"),
    [("nowhere", "", "no_price"), ("share", "", "no_price"),
     ("request", "Price on request", "price_on_request")],
)  # fmt: skip
def test_a_price_that_is_not_public_is_in_no_part_of_a_page(
    site: Site, shown: str, words: str, hint: str
) -> None:
    work = add_work(
        site, "Cut sun", ("a.jpg",), availability="available", price="98765", price_shown=shown
    )
    page = site.get(site.get(f"/groups/{work}").location).text
    assert "98765" not in page.replace(",", "")
    assert ("Price" in page) == bool(words)
    assert words in page
    assert read_linked_data(page)["offers"].keys() == {"@type", "availability", "url"}
    assert site.get(f"/image/price?group={work}").json == {"code": 0, "hint": hint}


def test_an_empty_record_leaves_no_trace(site: Site) -> None:
    work = add_work(site, "Untold", ("a.jpg",))
    page = site.get(site.get(f"/groups/{work}").location).text
    assert 'class="record"' not in page
    assert not {"artEdition", "artMedium", "size", "offers"} & read_linked_data(page).keys()
