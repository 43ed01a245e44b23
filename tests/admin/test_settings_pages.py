"""The settings' page, and the site that follows it."""

import re
from html import unescape
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from imagehub.database import db
from imagehub.domain.library import private_data
from imagehub.domain.site.settings import save_site
from imagehub.domain.translations import write_translation
from imagehub.imaging.private_data import PrivateData
from imagehub.models import Group, HubSetting, Image
from imagehub.wiring import get_given_settings, refresh_settings
from tests.admin.pages import send
from tests.fixtures.site import Site, make_site

PAGE = "/admin/settings"
USUAL = {
    "title": "ImageHub",
    "tagline": "",
    "accent": "#b3432b",
    "language": "auto",
    "downloads": "without-place",
    "zip_downloads": "on",
    "feeds": "on",
}


@pytest.fixture
def client(site: Site) -> FlaskClient:
    return site.signed_in_client()


def test_the_gallery_shows_what_was_saved_at_once(site: Site, client: FlaskClient) -> None:
    answer = send(client, PAGE, PAGE, **USUAL | {"title": "Haus & Bild", "tagline": "Ein <Satz>"})
    assert answer.location == PAGE
    front = site.get("/").text
    assert "Haus &amp; Bild" in front
    assert "Ein &lt;Satz&gt;" in front
    assert site.get("/manifest.webmanifest").json["name"] == "Haus & Bild"
    assert "Changed settings: Title, Tagline." in client.get("/admin/activity").text


def test_other_processes_follow(site: Site, client: FlaskClient, tmp_path: Path) -> None:
    other = make_site(tmp_path / "site")
    assert "ImageHub" in other.get("/").text
    send(client, PAGE, PAGE, **USUAL | {"title": "Another title"})
    with other.app.app_context():
        refresh_settings(older_than_seconds=0)
    assert "Another title" in other.get("/").text
    with other.app.app_context():
        db.engine.dispose()


def test_colours_are_set_and_taken_back(site: Site, client: FlaskClient) -> None:
    send(
        client, PAGE, PAGE, **USUAL | {"accent": "#0055aa", "ground": "#eef2f5", "has_ground": "on"}
    )
    front = site.get("/").text
    assert "--ground:#eef2f5" in front
    assert "--accent:#0055aa" in front
    send(client, PAGE, PAGE, **USUAL | {"ground": "#eef2f5"})
    assert "--ground:#eef2f5" not in site.get("/").text


def test_downloads_and_feed_are_switched_off(site: Site, client: FlaskClient) -> None:
    group = site.add_group(["a.jpg"])
    assert site.get("/feed.atom").status_code == 200
    assert site.get(f"/media/full/{group}/1").status_code != 404, "but OneDrive is not connected"
    fields = {name: text for name, text in USUAL.items() if text != "on"} | {"downloads": "none"}
    send(client, PAGE, PAGE, **fields)
    assert site.get("/feed.atom").status_code == 404
    assert site.get(f"/media/full/{group}/1").status_code == 404
    assert (
        site.get("/image/download", query_string={"group_id": group, "image_id": 1}).json["code"]
        == 0
    )
    send(client, PAGE, PAGE, **USUAL)
    assert site.get("/feed.atom").status_code == 200


def test_home_asks_hubs_of_before_how_visitors_get_full_size_images(
    site: Site, client: FlaskClient
) -> None:
    site.add_group(["a.jpg"])
    assert 'data-note="downloads"' not in client.get("/admin/").text
    with site.session() as session:
        session.add(HubSetting(name="downloads", value='"as-is"'))
        session.add(HubSetting(name="downloads_to_choose", value="true"))
        image = session.query(Image).one()
        listing = private_data.Listing("hash", 1, "", 1)
        private_data.save_found(session, image, listing, PrivateData(("place",)))
    home = client.get("/admin/").text
    assert 'data-note="downloads"' in home
    assert "Found so far: 1 image with such data, 1 of them with a location." in home
    answer = send(client, "/admin/settings/downloads", "/admin/", downloads="perhaps")
    assert answer.status_code == 422
    assert 'data-note="downloads"' in client.get("/admin/").text
    answer = send(client, "/admin/settings/downloads", "/admin/", downloads="without-place")
    assert answer.location == "/admin/"
    assert 'data-note="downloads"' not in client.get("/admin/").text
    assert 'value="without-place" checked' in client.get(PAGE).text
    assert "Changed settings: Downloads of full-size images." in client.get("/admin/activity").text


def test_a_language_for_everybody(site: Site, client: FlaskClient) -> None:
    send(client, PAGE, PAGE, **USUAL | {"language": "de"})
    assert '<html lang="de"' in site.get("/", headers={"Accept-Language": "en"}).text


def test_title_and_tagline_in_another_language(site: Site, client: FlaskClient) -> None:
    client.environ_base["HTTP_ACCEPT_LANGUAGE"] = "en"
    send(client, PAGE, PAGE, **USUAL | {"text_languages": ["de", "en"], "title": "Kunst"})
    fields = {"title_en": "Art  and “more”", "tagline_en": "Works", "tagline_de": ""}
    send(client, PAGE, PAGE, **USUAL | {"title": "Kunst"} | fields)
    english = site.get("/", headers={"Accept-Language": "en"}).text
    assert "<title>Art and “more”</title>" in english and ">Works</p>" in english
    assert "<title>Kunst</title>" in site.get("/").text
    assert "<title>Art and “more”</title>" in site.get("/feed.atom?lang=en").text.replace("\n", "")
    form = client.get(PAGE).text
    assert re.search('name="tagline_en" value="Works"', form)
    answer = send(client, PAGE, PAGE, **USUAL | {"title_en": "x" * 121, "tagline_en": "Kept"})
    assert answer.status_code == 422 and "Use at most 120 characters for a title" in answer.text
    assert 'name="tagline_en" value="Kept"' in answer.text
    # With the other language as the main one, the form has no field for these.
    send(client, PAGE, PAGE, **USUAL | {"text_languages": ["en", "de"]})
    send(client, PAGE, PAGE, **USUAL | {"title_de": "Kunst", "tagline_de": ""})
    send(client, PAGE, PAGE, **USUAL | {"text_languages": ["de", "en"]})
    assert re.search('name="tagline_en" value="Works"', client.get(PAGE).text)
    send(client, PAGE, PAGE, **USUAL | {"title_en": "", "tagline_en": ""})
    assert 'name="tagline_en" value=""' in client.get(PAGE).text


def test_what_cannot_be_used_is_told_beside_its_field(site: Site, client: FlaskClient) -> None:
    answer = send(client, PAGE, PAGE, **USUAL | {"title": "x" * 200, "accent": "mauve"})
    assert answer.status_code == 422
    assert 'id="title-words"' in answer.text
    assert "Not saved." in answer.text
    assert "x" * 200 in answer.text, "what was typed is not lost"
    assert "ImageHub" in site.get("/").text


def read_form(client: FlaskClient) -> dict[str, str]:
    """What a browser would send of the page as it is."""
    html = client.get(PAGE).text
    seen = re.findall(r'name="(was_[a-z_]+)" value="([^"]*)"', html)
    typed = re.findall(
        r'<input id="[a-z]+" name="([a-z_]+)" (?:type="color" )?value="([^"]*)"', html
    )
    checked = re.findall(r'name="([a-z_]+)" value="on" checked', html)
    assert len(seen) == 28
    assert len(typed) == 5
    return {name: unescape(text) for name, text in [*seen, *typed]} | dict.fromkeys(checked, "on")


def test_two_admins_do_not_overwrite_each_other(client: FlaskClient, site: Site) -> None:
    form = read_form(client)
    theirs = {"tagline": "Theirs", "accent": "#0055aa", "has_ground": "on"}
    changed = {name: text for name, text in (form | theirs).items() if name != "feeds"}
    send(client, PAGE, PAGE, **changed)
    answer = send(client, PAGE, PAGE, **form | {"title": "Mine"})
    assert answer.status_code == 302
    front = site.get("/").text
    for words in ("Mine", "Theirs", "--accent:#0055aa", "--ground:#faf9f7"):
        assert words in front, words
    assert site.get("/feed.atom").status_code == 404
    assert "settings: Title." in client.get("/admin/activity").text

    refused = send(client, PAGE, PAGE, **form | {"tagline": "“Mine”", "language": "de"})
    assert refused.status_code == 409
    assert "Someone else changed the same settings while you were editing." in refused.text
    told = "Someone else saved “Theirs” while you were editing. Save again to keep your version."
    assert told in refused.text
    assert "Theirs" in site.get("/").text
    # What this form leaves alone is shown as it is now.
    assert 'name="title" value="Mine"' in refused.text
    assert 'name="tagline" value="“Mine”"' in refused.text
    assert 'name="was_tagline" value="Theirs"' in refused.text
    assert '<option value="de" lang="de" selected' in refused.text
    again = {"title": "Mine", "was_title": "Mine", "was_tagline": "Theirs"}
    send(client, PAGE, PAGE, **form | again | {"tagline": "“Mine”", "language": "de"})
    front = site.get("/").text
    assert "“Mine”" in front
    assert '<html lang="de"' in front


def test_what_the_environment_sets_is_shown_after_a_refusal_too(tmp_path: Path) -> None:
    site = make_site(tmp_path, title="From outside", accent="#123456", zip_downloads="on")
    client = site.signed_in_client()
    # Browsers do not send what is switched off.
    refused = send(client, PAGE, PAGE, tagline="x" * 400, language="auto", downloads="as-is")
    assert refused.status_code == 422
    assert re.search(r'<output id="title"[^>]*>From outside</output>', refused.text)
    assert 'value="#123456"' in refused.text
    assert 'name="zip_downloads" value="on" checked disabled' in refused.text
    assert 'name="feeds" value="on" aria' in refused.text
    assert 'name="downloads" value="as-is" checked' in refused.text
    with site.app.app_context():
        db.engine.dispose()


def test_what_the_environment_sets_is_shown_and_kept(tmp_path: Path) -> None:
    site = make_site(tmp_path, title="From outside", downloads="off")
    client = site.signed_in_client()
    page = client.get(PAGE).text
    assert "IMAGEHUB_TITLE" in page
    assert "IMAGEHUB_DOWNLOADS" in page
    assert "IMAGEHUB_ACCENT" not in page
    send(client, PAGE, PAGE, **USUAL | {"title": "From the page", "tagline": "New"})
    front = site.get("/").text
    assert "From outside" in front
    assert "New" in front
    with site.app.app_context():
        db.engine.dispose()


def test_pages_come_while_the_table_is_away(site: Site, client: FlaskClient) -> None:
    send(client, PAGE, PAGE, **USUAL | {"title": "Known from before"})
    with site.session() as session:
        session.execute(db.text("ALTER TABLE hub_setting RENAME TO away"))
    with site.app.app_context():
        refresh_settings(older_than_seconds=0)
    assert "Known from before" in site.get("/").text


def test_what_messages_are_about_is_selected(site: Site, client: FlaskClient) -> None:
    page = client.get(PAGE).text
    assert "There are no recipients." in page
    assert 'value="connection" checked' in page
    assert 'value="texts" checked' not in page
    send(client, PAGE, PAGE, **USUAL, notify_about=["", "expiry", "texts"])
    page = client.get(PAGE).text
    assert 'value="connection" checked' not in page
    assert 'value="texts" checked' in page
    send(client, PAGE, PAGE, **USUAL, notify_about=[""])
    assert 'name="notify_about" value="expiry" checked' not in client.get(PAGE).text
    assert "Changed settings: What messages are about." in client.get("/admin/activity").text
    # A form without the section, such as that of another version, changes nothing.
    send(client, PAGE, PAGE, **USUAL, notify_about=["", "imports"])
    send(client, PAGE, PAGE, **USUAL)
    assert 'name="notify_about" value="imports" checked' in client.get(PAGE).text


def test_the_main_language_changes_places_with_another_after_a_question(site: Site) -> None:
    number = site.add_group()
    client = site.signed_in_client()
    client.environ_base["HTTP_ACCEPT_LANGUAGE"] = "en"
    path = "/admin/settings/main-language"
    assert "Your texts are in one language" in client.get(path).text
    with site.session() as session:
        group = session.get_one(Group, number)
        group.title = "Blauer See"
        write_translation(session, group, "en", {"title": "Blue lake"})
        save_site(session, get_given_settings(site.app), {"text_languages": "de,en"})
    with site.app.app_context():
        refresh_settings(older_than_seconds=0)
    assert f'href="{path}"' in client.get("/admin/settings").text
    page = client.get(path).text
    assert "1 text has a translation into English" in page and page.count("data-ask=") == 2
    assert send(client, path, path, language="en", texts="swap").location == path
    page = client.get(path).text
    assert "English is the main language now." in page
    # The toast takes it back by the same act.
    assert f'<form method="post" action="{path}">' in page.split('id="toasts"')[1]
    with site.session() as session:
        assert session.get_one(Group, number).title == "Blue lake"
    send(client, path, path, language="de", texts="swap")
    with site.session() as session:
        assert session.get_one(Group, number).title == "Blauer See"
    send(client, path, path, language="en", texts="keep")
    with site.session() as session:
        assert session.get_one(Group, number).title == "Blauer See"
    send(client, path, path, language="fr", texts="swap")
    assert "Select a language from the list." in client.get(path).text
    log = client.get("/admin/activity").text
    assert "Made Deutsch the main language, and swapped all texts with their translations." in log
