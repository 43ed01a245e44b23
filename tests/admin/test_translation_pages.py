"""The forms for texts in other languages, and the list of what is missing."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from imagehub.database import db
from imagehub.domain.library import series_edit
from imagehub.domain.library.images import get_image
from imagehub.domain.site import pages
from imagehub.domain.translations import read_translations
from imagehub.models import Group, Translation
from tests.fixtures.site import Site, make_site, read_csrf_token


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Return a hub whose texts are in German, with English beside it."""
    site = make_site(tmp_path_factory.mktemp("hub"), text_languages="de,en")
    yield site
    with site.app.app_context():
        db.engine.dispose()


@pytest.fixture(scope="module")
def admin(hub: Site) -> FlaskClient:
    client = hub.signed_in_client()
    client.environ_base["HTTP_ACCEPT_LANGUAGE"] = "en"
    return client


def add_work(hub: Site, **texts: str) -> int:
    number = hub.add_group(["a.jpg", "b.jpg"])
    with hub.session() as session:
        group = session.get_one(Group, number)
        for name, text in ({"title": "Blauer See", "text": ""} | texts).items():
            setattr(group, name, text)
    return number


def send(client: FlaskClient, url: str, **fields: str) -> TestResponse:
    return client.post(url, data={"csrf_token": read_csrf_token(client, url), **fields})


def read_work(hub: Site, number: int) -> tuple[dict[str, str], str]:
    with hub.session() as session:
        group, image = session.get_one(Group, number), get_image(session, number, 1)
        texts: dict[Any, dict[str, str]] = read_translations(session, [group, image], "en")
        return {name: text for name, text in texts[group].items() if text}, texts[image]["alt"]


def test_a_work_is_translated_with_its_alt_texts_and_found(hub: Site, admin: FlaskClient) -> None:
    number = add_work(hub, medium="Öl auf Leinwand")
    url = f"/admin/library/{number}/texts/en"
    links = admin.get(f"/admin/library/{number}").text
    # Title, medium, and two alt texts.
    assert f'href="{url}"' in links and "4 missing" in links
    form = admin.get(url).text
    assert "Öl auf Leinwand</div>" in form and "What a.jpg shows</div>" in form
    fields = {"title": "Blue lake", "text": "A *lake*\r\n", "alt-1": "A lake", "medium": ""}
    answer = send(admin, url, **fields)
    assert answer.status_code == 303 and answer.location == url
    assert read_work(hub, number) == ({"title": "Blue lake", "text": "A *lake*"}, "A lake")
    assert "2 missing" in admin.get(url).text
    log = admin.get("/admin/activity").text
    assert "Translated “Blauer See” into English: Title, Description, Alt text." in log
    found = hub.get("/search?q=lake", headers={"Accept-Language": "en"}).text
    assert "Blue lake" in found
    send(admin, url, **{"was-title": "Blue lake", "title": ""})
    assert read_work(hub, number)[0] == {"text": "A *lake*"}


def test_what_another_admin_saved_is_not_overwritten(hub: Site, admin: FlaskClient) -> None:
    number = add_work(hub)
    url = f"/admin/library/{number}/texts/en"
    send(admin, url, title="Blue lake", **{"alt-1": "A lake"})
    typed = {"title": "The lake", "medium": "Oil", "alt-1": "Water"}
    answer = send(admin, url, **typed)
    assert answer.status_code == 409
    assert "Someone else has saved “Blue lake”." in answer.text
    assert 'value="The lake"' in answer.text and ">\nWater</textarea>" in answer.text
    assert read_work(hub, number) == ({"title": "Blue lake"}, "A lake")
    # The form now knows what was saved: sent again, it replaces it.
    was = dict(re.findall(r'name="(was-[a-z0-9-]+)" hidden[^>]*>\n([^<]*)<', answer.text))
    assert was["was-title"] == "Blue lake" and was["was-alt-1"] == "A lake"
    assert send(admin, url, **typed, **was).status_code == 303
    assert read_work(hub, number) == ({"title": "The lake", "medium": "Oil"}, "Water")


def test_a_text_that_is_too_long_is_told_at_its_field(hub: Site, admin: FlaskClient) -> None:
    number = add_work(hub)
    answer = send(admin, f"/admin/library/{number}/texts/en", title="x" * 301, medium="Oil")
    assert answer.status_code == 422 and 'aria-describedby="fault-title"' in answer.text
    assert "x" * 301 in answer.text and read_work(hub, number)[0] == {}


def test_series_and_pages_are_translated(hub: Site, admin: FlaskClient) -> None:
    with hub.session() as session:
        series_id = series_edit.create_series(session, "Papier").id
        page_id = pages.create_page(session, "about", "Über mich", "Ich male").id
    for url, fields in (
        (f"/admin/series/{series_id}/texts/en", {"title": "Paper", "place": "Brussels"}),
        (f"/admin/pages/{page_id}/texts/en", {"title": "About me", "text": "I paint"}),
    ):
        assert send(admin, url, **fields).status_code == 303
        main = url.removesuffix("/texts/en")
        form = admin.get(main).text
        assert f'href="{url}"' in form and "missing" not in form
    with hub.session() as session:
        rows = session.query(Translation).filter(Translation.page_id == page_id)
        assert {(row.field, row.text) for row in rows} == {
            ("title", "About me"), ("text", "I paint")
        }  # fmt: skip


def test_what_is_missing_is_listed_and_opened_one_after_the_other(
    hub: Site, admin: FlaskClient
) -> None:
    first, second = add_work(hub), add_work(hub, title="Wald")
    assert admin.get("/admin/texts").location == "/admin/texts/en"
    listed = admin.get("/admin/texts/en").text
    link = 'href="/admin/library/{}/texts/en"'
    assert link.format(first) in listed and link.format(second) in listed
    alts = {"alt-1": "A", "alt-2": "B"}
    answer = send(admin, f"/admin/library/{second}/texts/en", title="Wood", next="1", **alts)
    assert answer.location == f"/admin/library/{first}/texts/en"
    assert link.format(second) not in admin.get("/admin/texts/en").text
    # A shot without an alt text in the new language counts, too.
    send(admin, f"/admin/library/{second}/texts/en", **{"was-alt-2": "B", "alt-2": ""})
    assert link.format(second) in admin.get("/admin/texts/en").text


@pytest.mark.parametrize("language", ["de", "fr"])
def test_only_other_languages_of_the_hub_have_forms(
    hub: Site, admin: FlaskClient, language: str
) -> None:
    number = add_work(hub)
    assert admin.get(f"/admin/library/{number}/texts/{language}").status_code == 404
    assert admin.get(f"/admin/texts/{language}").status_code == 404


def test_a_hub_with_one_language_says_how_to_have_more(site: Site) -> None:
    admin = site.signed_in_client()
    number = site.add_group()
    assert "text-languages" in admin.get("/admin/texts").text
    assert "/texts/" not in admin.get(f"/admin/library/{number}").text
    form = {"text_languages": ["de", "de", "en"]}
    page = "/admin/settings"
    answer = admin.post(page, data={"csrf_token": read_csrf_token(admin, page), **form})
    assert answer.status_code == 302
    assert f"/admin/library/{number}/texts/en" in admin.get(f"/admin/library/{number}").text
