"""Pages of text and the menus, from the admin pages to what visitors get."""

import re
from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from imagehub.admin import text_pages
from imagehub.database import db, now_utc
from imagehub.domain.library import search, series_edit, series_trash
from imagehub.domain.library.groups import refresh_groups
from imagehub.domain.library.images import get_image
from imagehub.domain.site import menu
from imagehub.models import AuditEntry, Group, MenuEntry, Page
from tests.admin.pages import follow, send
from tests.fixtures.site import Site

PAGES = "/admin/pages"


def create(client: FlaskClient, kind: str) -> str:
    """Create a page; return the address of its form."""
    answer = send(client, PAGES, PAGES, kind=kind)
    assert answer.status_code == 303
    return answer.location


def save(client: FlaskClient, path: str, **fields: object) -> int:
    return send(client, path, path, **fields).status_code


def publish(client: FlaskClient, path: str) -> None:
    assert send(client, f"{path}/publish", path).status_code == 303


def list_menu(site: Site, place: str) -> list[str]:
    page = site.get("/").text
    pattern = {"header": r'<nav class="site-menu".*?</nav>', "footer": r"<footer.*?</footer>"}
    found = re.search(pattern[place], page, re.DOTALL)
    return re.findall(r'<a href="/(?:pages|series)/[^>]*>([^<]*)', found[0]) if found else []


def test_a_page_is_written_published_and_deleted(either_site: Site) -> None:
    client = either_site.signed_in_client()
    assert "No pages yet" in client.get(PAGES).text
    path = create(client, "imprint")
    assert "## Provider" in client.get(path).text
    fields = {"version": "1", "title": "Impressum", "slug": "Imprint!", "place": "footer"}
    assert save(client, path, text="# Who\n\n**Ada** & <Co>", **fields) == 303
    assert either_site.get("/pages/imprint").status_code == 404
    assert list_menu(either_site, "footer") == []
    publish(client, path)
    shown = either_site.get("/pages/imprint")
    assert "<h2>Who</h2>" in shown.text
    assert "<strong>Ada</strong> &amp; &lt;Co&gt;" in shown.text
    assert '<meta property="og:description" content="Who Ada &amp; &lt;Co&gt;">' in shown.text
    assert list_menu(either_site, "footer") == ["Impressum"]
    assert "/pages/imprint</loc>" in either_site.get("/sitemap/1.xml").text
    assert 'class="found-pages"' in either_site.get("/search?q=ada+who").text
    assert 'class="found-pages"' not in either_site.get("/search?q=ada+who+else").text
    row = either_site.get("/site/pages").json["data"][0]
    assert (row["slug"], row["kind"], row["menus"]) == ("imprint", "imprint", ["footer"])
    assert either_site.get("/site/page?slug=imprint").json["data"]["text"].startswith("# Who")
    assert send(client, f"{path}/unpublish", path).status_code == 303
    assert either_site.get("/pages/imprint").status_code == 404
    missing = {"code": 0, "hint": "page_not_found"}
    assert either_site.get("/site/page?slug=imprint").json == missing
    assert send(client, f"{path}/delete", path).status_code == 303
    assert client.get(path).status_code == 404
    with either_site.session() as session:
        assert session.scalars(select(MenuEntry)).all() == []
        actions = session.scalars(select(AuditEntry.action).order_by(AuditEntry.id)).all()
    wanted = ["create_page", "edit_page", "publish_page", "unpublish_page", "delete_page"]
    assert [one for one in actions if one.endswith("_page")] == wanted


def test_menus_are_ordered_with_and_without_a_script(either_site: Site) -> None:
    client = either_site.signed_in_client()
    for kind in ("about", "cv", "contact"):
        publish(client, create(client, kind))
    assert list_menu(either_site, "header") == ["About", "CV", "Contact"]
    entries = re.findall(r'data-entry="(\d+)"', client.get(PAGES).text)
    send(client, f"{PAGES}/menu/up", PAGES, entry=entries[2])
    assert list_menu(either_site, "header") == ["About", "Contact", "CV"]
    send(client, f"{PAGES}/menu/down", PAGES, entry=entries[0])
    assert list_menu(either_site, "header") == ["Contact", "About", "CV"]
    answer = send(client, f"{PAGES}/menu/order", PAGES, entry=entries[1], before=entries[2])
    assert answer.status_code == 204
    assert list_menu(either_site, "header") == ["CV", "Contact", "About"]
    send(client, f"{PAGES}/menu/order", PAGES, entry=entries[1], before="")
    assert list_menu(either_site, "header") == ["Contact", "About", "CV"]
    assert send(client, f"{PAGES}/menu/order", PAGES, entry="999").status_code == 404


def test_a_series_is_in_the_menus_beside_pages(either_site: Site) -> None:
    group = either_site.add_group()
    client = either_site.signed_in_client()
    made = send(client, "/admin/library/series", PAGES, group=group, series_title="Blue & sea")
    path, number = made.location, int(made.location.rpartition("/")[2])
    fields = {"title": "Blue & sea", "menu": ["header", "footer", "attic"]}
    assert save(client, path, version="1", **fields) == 303
    assert 'on the page <a href="/admin/pages">Pages</a>.' in client.get(path).text
    publish(client, create(client, "about"))
    assert list_menu(either_site, "header") == ["About"], "the series is a draft"
    assert either_site.get("/").status_code == 200, "the page is kept"
    publish(client, path)
    assert list_menu(either_site, "header") == ["Blue &amp; sea", "About"]
    assert list_menu(either_site, "footer") == ["Blue &amp; sea"]
    shown = either_site.get(f"/series/{number}/blue-sea").text
    link = f'<a href="/series/{number}/blue-sea" dir="auto" aria-current="page">Blue &amp; sea</a>'
    assert link in shown
    listed = either_site.get("/site/pages").json
    assert [(row["slug"], row["menus"]) for row in listed["data"]] == [("about", ["header"])]
    sea = {
        "kind": "series",
        "slug": None,
        "series": number,
        "title": "Blue & sea",
        "url": f"http://localhost/series/{number}/blue-sea",
    }
    page = {
        "kind": "page",
        "slug": "about",
        "series": None,
        "title": "About",
        "url": "http://localhost/pages/about",
    }
    assert listed["menu"] == {"header": [sea, page], "footer": [sea]}
    # In one order with the pages, by keys of the list of pages.
    menus = client.get(PAGES).text
    assert menus.count(f'<a href="{path}" dir="auto">Blue &amp; sea</a>') == 2
    entry, about = re.findall(r'data-entry="(\d+)"', menus)[:2]
    send(client, f"{PAGES}/menu/down", PAGES, entry=entry)
    assert list_menu(either_site, "header") == ["About", "Blue &amp; sea"]
    assert either_site.get("/site/pages").json["menu"]["header"] == [page, sea]
    send(client, f"{PAGES}/menu/order", PAGES, entry=entry, before=about)
    assert list_menu(either_site, "header") == ["Blue &amp; sea", "About"]
    # Without works that visitors see, and in the trash, it is not in a menu.
    with either_site.session() as session:
        session.get_one(Group, group).state = "draft"
        refresh_groups(session, [group])
    assert list_menu(either_site, "header") == ["About"]
    with either_site.session() as session:
        session.get_one(Group, group).state = "published"
        refresh_groups(session, [group])
    assert len(list_menu(either_site, "header")) == 2
    send(client, f"{path}/delete", PAGES)
    assert list_menu(either_site, "header") == ["About"]
    assert f'href="{path}"' not in client.get(PAGES).text
    send(client, f"{PAGES}/menu/up", PAGES, entry=about)
    send(client, "/admin/series/restore", PAGES, series=number)
    assert sorted(list_menu(either_site, "header")) == ["About", "Blue &amp; sea"]
    assert save(client, path, version="3", title="Blue & sea", menu=["footer"]) == 303
    assert list_menu(either_site, "header") == ["About"]
    assert list_menu(either_site, "footer") == ["Blue &amp; sea"]
    with either_site.session() as session:
        facts = session.scalars(select(AuditEntry.action)).all()
    assert {"edit_series", "order_series_in_menu"} <= set(facts)


def test_a_deleted_series_leaves_the_menus(either_site: Site) -> None:
    group = either_site.add_group()
    with either_site.session() as session:
        series = series_edit.create_series(session, "Sea", [group])
        menu.set_places(session, series, ["header", "footer"])
        series_trash.trash_series(session, series.id)
        series.trashed_at = now_utc() - timedelta(days=31)
    with either_site.session() as session:
        assert series_trash.purge_expired_series(session) == 1
        assert session.scalars(select(MenuEntry)).all() == []


@pytest.mark.parametrize(
    ("fields", "status", "words"),
    [
        ({"title": " "}, 422, "Enter a title."),
        ({"title": "x" * 201}, 422, "at most 200 characters"),
        ({"title": "New", "text": "x" * 60_001}, 422, "at most 60000 characters"),
        ({"title": "New", "slug": "cv"}, 422, "Another page has this address."),
        ({"title": "New", "version": "7"}, 409, "Someone else changed this page"),
    ],
)
def test_a_refused_page_is_shown_again(
    site: Site, fields: dict[str, str], status: int, words: str
) -> None:
    client = site.signed_in_client()
    create(client, "cv")
    path = create(client, "about")
    answer = send(client, path, path, **{"version": "1", "text": "Typed.", **fields})
    assert answer.status_code == status
    assert words in answer.text
    assert fields.get("text", "Typed.") in answer.text
    with site.session() as session:
        assert session.scalars(select(Page.version)).all() == [1, 1]


def test_an_unknown_kind_is_refused(site: Site) -> None:
    client = site.signed_in_client()
    assert "Choose a kind of page." in follow(client, send(client, PAGES, PAGES, kind="x")).text


def test_a_page_shows_pictures_of_the_library(site: Site) -> None:
    group = site.add_group(["a.jpg"])
    with site.session() as session:
        session.get_one(Group, group).title = "Sea"
        image = get_image(session, group, 1).id
    client = site.signed_in_client()
    assert f"![Sea](image:{image})" in client.get(f"{PAGES}/pictures").text
    path = create(client, "about")
    save(client, path, version="1", title="About", slug="", text=f"![Sea](image:{image})")
    publish(client, path)
    page = site.get("/pages/about").text
    assert f'<a href="/groups/{group}/1">' in page
    assert f'<meta property="og:image" content="http://localhost/media/{group}/1/1920' in page
    with site.session() as session:
        session.get_one(Group, group).is_shown = False
    page = site.get("/pages/about").text
    assert "<figure" not in page
    assert "og:image" not in page


def test_an_earlier_address_leads_to_the_page_until_another_takes_it(site: Site) -> None:
    client = site.signed_in_client()
    path = create(client, "about")
    publish(client, path)

    def move(path: str, version: int, slug: str) -> None:
        fields = {"version": str(version), "title": "About", "slug": slug, "text": "Me"}
        assert save(client, path, **fields) == 303

    move(path, 2, "me")
    move(path, 3, "my-self")
    for slug in ("about", "me"):
        answer = site.get(f"/pages/{slug}")
        assert (answer.status_code, answer.location) == (301, "/pages/my-self")
        assert answer.headers["Cache-Control"] == "no-cache"
    assert "/pages/me" in client.get(path).text.split("data-former", 1)[1].split("</p>")[0]
    # Back to an earlier one: it does not lead to itself.
    move(path, 4, "me")
    assert site.get("/pages/me").status_code == 200
    other = create(client, "about")
    publish(client, other)
    assert site.get("/pages/about").status_code == 200
    move(other, 2, "my-self")
    assert site.get("/pages/my-self").status_code == 200
    # What was never public leads nowhere, and neither does what is no longer.
    draft = create(client, "cv")
    move(draft, 1, "life")
    assert site.get("/pages/cv").status_code == 404
    send(client, f"{other}/unpublish", other)
    assert site.get("/pages/about").status_code == 404


def test_a_script_finds_images_for_texts_with_all_shots_of_a_work(site: Site) -> None:
    group = site.add_group(["a.jpg", "b.jpg"])
    with site.session() as session:
        session.get_one(Group, group).title = "Sea"
        first, second = (get_image(session, group, number).id for number in (1, 2))
    site.add_group(["c.jpg"], state="draft")
    client = site.signed_in_client()

    def fetch(query: str) -> Any:
        url = f"{PAGES}/pictures{query}"
        return client.get(url, headers={"Accept": "application/json"}).get_json()

    (found,) = fetch("")["pictures"]
    assert (found["image"], found["title"], found["alt"]) == (first, "Sea", "What a.jpg shows")
    assert found["picture"].startswith("http") and found["shots"] == 2
    shots = fetch(found["more_url"].partition("pictures")[2])
    assert [one["image"] for one in shots["pictures"]] == [first, second]
    assert shots["next_url"] == ""
    assert fetch("?q=nothing-like-it")["pictures"] == []


def test_a_search_for_images_says_at_its_end_that_more_were_found(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(4):
        site.add_group(["sea.jpg"])
    client, url = site.signed_in_client(), f"{PAGES}/pictures?q=sea"
    script = {"Accept": "application/json"}
    assert client.get(url, headers=script).get_json()["note"] == ""
    monkeypatch.setattr(search, "_MAX_RANKED", 3)
    monkeypatch.setattr(search, "MAX_LISTED", 3)
    answer = client.get(url, headers=script).get_json()
    assert (len(answer["pictures"]), answer["note"]) == (3, "More than 3 works")
    assert "More than 3 works" in client.get(url).text
    monkeypatch.setattr(text_pages, "_MAX_PICTURES", 2)
    answer = client.get(url, headers=script).get_json()
    assert answer["next_url"] and not answer["note"]


def test_pages_of_one_kind_get_addresses_of_their_own(site: Site) -> None:
    client = site.signed_in_client()
    for _ in range(3):
        create(client, "free")
    with site.app.app_context():
        slugs = db.session.scalars(select(Page.slug).order_by(Page.id)).all()
    assert slugs == ["new-page", "new-page-2", "new-page-3"]
