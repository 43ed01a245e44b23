"""The languages of the pages."""

import re
from pathlib import Path

import pytest

from imagehub.messages import Message, PluralMessage
from imagehub.web.i18n import translate
from tests.fixtures.site import Site, make_site
from tools.translations import (
    TRANSLATIONS,
    collect,
    compile_catalog,
    find_po,
    list_missing,
    read_catalog,
)

LANGUAGES = sorted(folder.name for folder in TRANSLATIONS.iterdir() if folder.is_dir())
ADVICE = "Run `python -m tools.translations` and translate what it lists."


def test_german_is_available() -> None:
    assert "de" in LANGUAGES


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_marked_message_is_translated(language: str) -> None:
    catalog = read_catalog(language)
    known = {message.id for message in catalog if message.id}
    wanted = {message.id for message in collect() if message.id}
    assert wanted - known == set(), ADVICE
    assert known - wanted == set(), ADVICE
    assert list_missing(catalog) == [], ADVICE


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_compiled_file_matches_its_source(language: str) -> None:
    made = compile_catalog(read_catalog(language))
    assert find_po(language).with_suffix(".mo").read_bytes() == made, ADVICE


@pytest.mark.parametrize("language", LANGUAGES)
def test_placeholders_are_the_same_in_every_language(language: str) -> None:
    for message in read_catalog(language):
        if not message.id:
            continue
        ids = message.id if isinstance(message.id, tuple) else (message.id,)
        texts = message.string if isinstance(message.string, tuple) else (message.string,)
        names = [set(re.findall(r"%\((\w+)\)s", text)) for text in (*ids, *texts)]
        assert all(one == names[0] for one in names), message.id


@pytest.mark.parametrize(
    ("accepted", "language"),
    [("de-CH, en;q=0.5", "de"), ("en-US", "en"), ("fr, de;q=0.3", "de"), ("fr", "en"), ("", "en")],
)
def test_the_browser_determines_the_language(site: Site, accepted: str, language: str) -> None:
    page = site.get("/", headers={"Accept-Language": accepted})
    assert f'<html lang="{language}"' in page.text
    assert "Accept-Language" in page.headers["Vary"]


def test_a_chosen_language_overrides_the_browsers(site: Site) -> None:
    client = site.client()
    answer = client.get("/preferences?language=de&next=/search")
    assert (answer.status_code, answer.location) == (303, "/search")
    page = client.get("/search", headers={"Accept-Language": "en"})
    assert '<html lang="de"' in page.text


def test_a_configured_language_cannot_be_changed(tmp_path: Path) -> None:
    german = make_site(tmp_path / "german", language="de")
    page = german.get("/", headers={"Accept-Language": "en", "Cookie": "language=en"})
    assert '<html lang="de"' in page.text
    assert "/preferences?language" not in page.text


def test_errors_are_in_the_visitors_language(site: Site) -> None:
    page = site.get("/groups/999", headers={"Accept-Language": "de", "Accept": "text/html"})
    assert page.status_code == 404
    assert "Dieses Werk gibt es nicht." in page.text


@pytest.mark.parametrize(
    ("stored", "german"),
    [
        (
            "This image has 312 megapixels; the limit is 250.",
            "Dieses Bild hat 312 Megapixel; die Grenze liegt bei 250.",
        ),
        (
            "OneDrive reserves the name con in the root folder.",
            "Der Name con ist im Stammordner für OneDrive reserviert.",
        ),
        ("OneDrive does not permit this.", "OneDrive lässt dies nicht zu."),
        ("Nobody has written this sentence: 7.", "Nobody has written this sentence: 7."),
    ],
)
def test_a_stored_message_is_translated_with_its_values(
    site: Site, stored: str, german: str
) -> None:
    with site.app.test_request_context("/", headers={"Accept-Language": "de"}):
        assert translate(stored) == german
    with site.app.test_request_context("/", headers={"Accept-Language": "en"}):
        assert translate(stored) == stored


def test_a_message_within_a_message_is_translated_too(site: Site) -> None:
    untitled = Message("Untitled %(number)s", number=7)
    name = PluralMessage(
        "%(name)s and %(num)s more", "%(name)s and %(num)s more", num=2, name=untitled
    )
    assert name == "Untitled 7 and 2 more"
    with site.app.test_request_context("/", headers={"Accept-Language": "de"}):
        assert translate(name) == "Ohne Titel 7 und 2 weitere"
