"""The pages of series, as visitors see them."""

import json
import re
import xml.etree.ElementTree as ET
from datetime import date

from imagehub.domain.library import groups, series_edit
from imagehub.models import Group, Series
from tests.fixtures.site import Site

ATOM = "{http://www.w3.org/2005/Atom}"


def add_series(site: Site, title: str, *numbers: int, **facts: object) -> int:
    with site.session() as session:
        parent = facts.pop("parent_id", None)
        made = series_edit.create_series(session, title, numbers, parent)  # type: ignore[arg-type]
        for name, value in {"state": "published", **facts}.items():
            setattr(made, name, value)
        return made.id


def add_work(site: Site, title: str) -> int:
    number = site.add_group()
    with site.session() as session:
        session.get_one(Group, number).title = title
        groups.refresh_group(session, number)
    return number


def test_a_series_has_a_page_with_its_works(site: Site) -> None:
    works = [add_work(site, f"Work {number}") for number in range(3)]
    facts = {"dates": "March 2026", "place": "Bremen", "text": "One room.\n\nNo lamps."}
    number = add_series(site, "What the light left", works[2], works[0], **facts)
    page = site.get(f"/series/{number}/what-the-light-left")
    assert page.status_code == 200
    assert "March 2026" in page.text and "Bremen" in page.text and "<p>No lamps.</p>" in page.text
    links = re.findall(r'href="(/groups/[^"]+)" data-open', page.text)
    assert links == [
        f"/groups/{works[2]}/work-2?series={number}",
        f"/groups/{works[0]}/work-0?series={number}",
    ]
    data = json.loads(page.text.split('<script type="application/ld+json">')[1].split("<")[0])
    assert data["@type"] == "Collection" and data["collectionSize"] == 2
    assert data["subjectOf"]["location"]["name"] == "Bremen"
    for path in (f"/series/{number}", f"/series/{number}/old-title"):
        moved = site.get(path)
        assert moved.status_code == 301
        assert moved.headers["Location"] == f"/series/{number}/what-the-light-left"
    assert site.get(f"/series/{number}/what-the-light-left?page=2").status_code == 404
    for path in (f"/series/{number + 1}", "/series/0", "/series/99999999999999999999"):
        assert site.get(path).status_code == 404


def test_visitors_walk_through_a_series_from_work_to_work(site: Site) -> None:
    works = [add_work(site, f"Work {number}") for number in range(3)]
    number = add_series(site, "Sea", works[1], works[0], works[2])
    page = site.get(f"/groups/{works[0]}/work-0?series={number}").text
    beside = re.findall(r'rel="(prev|next)" href="([^"]+)">\n    <', page)
    assert beside == [
        ("prev", f"/groups/{works[1]}/work-1?series={number}"),
        ("next", f"/groups/{works[2]}/work-2?series={number}"),
    ]
    assert f'<link rel="canonical" href="http://localhost/groups/{works[0]}/work-0">' in page
    moved = site.get(f"/groups/{works[0]}?series={number}")
    assert moved.headers["Location"].endswith(f"/groups/{works[0]}/work-0?series={number}")
    # Otherwise they are beside each other in the gallery.
    for query in ("", "?series=999", "?series=x"):
        page = site.get(f"/groups/{works[0]}/work-0{query}").text
        assert f"/groups/{works[1]}/work-1" in page and "?series=" not in page
        assert f'href="/series/{number}/sea"' in page


def test_all_series_are_listed_once_there_are_any(site: Site) -> None:
    work = add_work(site, "Work")
    assert "/series" not in site.get("/").text
    assert "No series is published yet." in site.get("/series").text
    draft = add_series(site, "Draft", work, state="draft")
    whole = add_series(site, "Paper years")
    part = add_series(site, "Prints", work, parent_id=whole)
    assert '<li><a href="/series" dir="auto">Series</a></li>' in site.get("/").text
    listed = site.get("/series").text
    assert "Paper years" in listed and "Prints" not in listed and "Draft" not in listed
    assert f"/series/{part}/prints" in site.get(f"/series/{whole}/paper-years").text
    assert f'href="/series/{whole}/paper-years"' in site.get(f"/series/{part}/prints").text
    assert site.get(f"/series/{draft}/draft").status_code == 404
    assert "Paper years" in site.get("/search?q=paper").text
    urls = site.get("/sitemap/1.xml").text
    assert f"/series/{part}/prints</loc>" in urls and "/draft</loc>" not in urls


def test_a_series_has_a_feed(site: Site) -> None:
    works = [add_work(site, f"Work {number}") for number in range(3)]
    number = add_series(site, "Sea & land", *works[:2])
    answer = site.get(f"/series/{number}/feed.atom")
    assert answer.status_code == 200 and answer.mimetype == "application/atom+xml"
    feed = ET.fromstring(answer.data)
    titles = [element.text for element in feed.iter(f"{ATOM}title")]
    assert titles == ["Sea & land – ImageHub", "Work 1", "Work 0"]
    assert f'href="/series/{number}/feed.atom"' in site.get(f"/series/{number}/sea-land").text


def test_a_change_of_a_series_shows_at_once(site: Site) -> None:
    number = add_series(site, "Sea", add_work(site, "Work"))
    path = f"/series/{number}/sea"
    assert "Bremen" not in site.get(path).text
    with site.session() as session:
        session.get_one(Series, number).place = "Bremen"
    assert "Bremen" in site.get(path).text


def test_the_app_lists_series_and_their_works(site: Site) -> None:
    works = [add_work(site, f"Work {number}") for number in range(13)]
    whole = add_series(site, "Paper", *works, dates="2019", text="*Calm*")
    part = add_series(site, "Prints", works[3], parent_id=whole)
    add_series(site, "Draft", works[0], state="draft")
    listed = site.get("/site/series").json
    assert [(row["series"], row["part_of"], row["groups"]) for row in listed["data"]] == [
        (whole, None, 13),
        (part, whole, 1),
    ]
    assert (
        listed["data"][0] | {"dates": "2019", "text": "*Calm*", "totalPage": 2}
        == (listed["data"][0])
    )
    assert listed["data"][1]["url"] == f"http://localhost/series/{part}/prints"
    pages = [
        site.get("/site/series/page", query_string={"series": whole, "page": number}).json
        for number in (1, 2, 3, 0)
    ]
    assert [[row["group"] for row in page.get("data", ())] for page in pages] == [
        works[:12],
        works[12:],
        [],
        [],
    ]
    first = site.get("/image/page?page=1").json["data"][-1]
    assert pages[0]["data"][1].keys() == first.keys()
    assert pages[2] == {"code": 0, "hint": "page_not_found"}
    missing = site.get("/site/series/page?series=99&page=1").json
    assert missing == {"code": 0, "hint": "page_not_found"}


def test_days_are_shown_in_the_language_of_the_visitor(site: Site) -> None:
    work = add_work(site, "Work")
    number = add_series(site, "Sea", work, place="Bremen")
    for first, last, english, german in (
        (date(2026, 3, 12), date(2026, 6, 4), "12 March – 4 June 2026", "12. März – 4. Juni 2026"),
        (date(2026, 3, 12), date(2026, 3, 14), "12–14 March 2026", "12.–14. März 2026"),
        (date(2026, 12, 1), date(2027, 1, 9), "1 December 2026 – 9 January 2027", "1. Dezember"),
        (date(2026, 3, 12), date(2026, 3, 12), "12 March 2026", "12. März 2026"),
        (date(2026, 3, 12), None, "From 12 March 2026", "Ab 12. März 2026"),
        (None, date(2026, 6, 4), "Until 4 June 2026", "Bis 4. Juni 2026"),
    ):
        with site.session() as session:
            one = session.get_one(Series, number)
            one.first_day, one.last_day = first, last
        for path in (f"/series/{number}/sea", "/series"):
            assert f'<span dir="auto">{english}<' in site.get(path).text or (
                f'<p dir="auto">{english}<' in site.get(path).text
            )
            assert german in site.get(path, headers={"Accept-Language": "de"}).text
    event = json.loads(
        site.get(f"/series/{number}/sea")
        .text.split('<script type="application/ld+json">')[1]
        .split("<")[0]
    )["subjectOf"]
    assert "startDate" not in event and event["endDate"] == "2026-06-04"
    (facts,) = site.get("/site/series").json["data"]
    assert (facts["first_day"], facts["last_day"]) == (None, "2026-06-04")
    with site.session() as session:
        session.get_one(Series, number).dates = "2019–2024"
    assert "2019–2024" in site.get("/series").text
