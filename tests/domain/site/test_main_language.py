"""Another main language: texts and their translations change places, and back."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from imagehub.config import Settings
from imagehub.domain.library import search, series_edit
from imagehub.domain.library.facet_index import list_stale_facets
from imagehub.domain.library.groups import refresh_groups
from imagehub.domain.library.images import get_image
from imagehub.domain.library.search_index import list_stale
from imagehub.domain.site import pages
from imagehub.domain.site.main_language import (
    count_translations,
    rename_main_language,
    swap_main_language,
)
from imagehub.domain.site.settings import get_site, save_site
from imagehub.domain.translations import FIELDS, write_translation
from imagehub.errors import InvalidInputError, NotAllowedError
from imagehub.models import Group, Image, Page, Series, Translation
from imagehub.models.library import make_title_key
from imagehub.wiring import get_given_settings
from tests.fixtures.site import Site


@pytest.fixture
def settings(either_site: Site) -> Settings:
    return get_given_settings(either_site.app)


@pytest.fixture
def hub(either_site: Site, either_session: Session, settings: Settings) -> Session:
    """Fill a hub in German and English: two works, a series and a page."""
    session = either_session
    first, second = either_site.add_group(), either_site.add_group()
    group, image = session.get_one(Group, first), get_image(session, first, 1)
    group.title, group.text, group.medium = "Blauer See", "Wasser", "Öl"
    image.alt = "Ein See"
    other = session.get_one(Group, second)
    other.title, other.medium = "Moiré", "Öl"
    paper = series_edit.create_series(session, "Papier", [first])
    page = pages.create_page(session, "about", "Über mich", "Ich male")
    translated: Sequence[tuple[Any, dict[str, str]]] = (
        (group, {"title": "Lake, blue", "medium": "Oil"}),
        (image, {"alt": "A lake"}),
        (other, {"medium": "Oil"}),
        (paper, {"title": "Paper"}),
        (page, {"title": "About me", "text": "I paint"}),
    )
    for owner, texts in translated:
        write_translation(session, owner, "en", texts)
    site_texts = '{"en": {"title": "House of pictures"}}'
    values = {"text_languages": "de,en", "title": "Haus der Bilder", "tagline": "Aus Bremen"}
    save_site(session, settings, {**values, "site_texts": site_texts})
    refresh_groups(session, [first, second])
    session.commit()
    return session


def read_all(session: Session, settings: Settings) -> tuple[Any, Any, Any]:
    """Return all texts, their translations, and those of the site."""
    session.expire_all()
    models: Sequence[Any] = (Group, Image, Series, Page)
    texts = [
        (model.__tablename__, owner.id, field, getattr(owner, field))
        for model in models
        for owner in session.scalars(select(model).order_by(model.id))
        for field in FIELDS[model.__tablename__]
    ]
    translated = sorted(
        (one.language, one.field, one.text) for one in session.scalars(select(Translation))
    )
    site = get_site(session, settings)
    return texts, translated, (site.text_languages, site.title, site.tagline, site.site_texts.rows)


def list_found(session: Session, words: str) -> set[str]:
    return {tile.group.title for tile in search.find_groups(session, words).tiles}


def test_texts_and_translations_change_places_and_back(hub: Session, settings: Settings) -> None:
    before = read_all(hub, settings)
    assert count_translations(hub) == {"en": 7}
    # The works, the image, the series and the page.
    assert swap_main_language(hub, settings, "en") == 5
    hub.commit()
    hub.expire_all()
    works = hub.scalars(select(Group).order_by(Group.id)).all()
    assert [(one.title, one.medium, one.version) for one in works] == [
        ("Lake, blue", "Oil", 2),
        ("Moiré", "Oil", 2),
    ]
    assert works[0].title_key == make_title_key("Lake, blue")
    # Without a translation a text stays, and no later edit loses it.
    assert works[0].text == "Wasser"
    _, translated, site = read_all(hub, settings)
    assert translated == sorted(
        ("de", field, text)
        for field, text in [
            ("title", "Blauer See"), ("text", "Wasser"), ("medium", "Öl"), ("alt", "Ein See"),
            ("title", "Moiré"), ("medium", "Öl"), ("title", "Papier"), ("title", "Über mich"),
            ("alt", "What front.jpg shows"),
            ("text", "Ich male"),
        ]
    )  # fmt: skip
    assert site == (
        ("en", "de"),
        "House of pictures",
        "Aus Bremen",
        (("de", "tagline", "Aus Bremen"), ("de", "title", "Haus der Bilder")),
    )
    check_indexes(hub, ["lake", "See", "Ein See"])
    assert swap_main_language(hub, settings, "de") == 5
    hub.commit()
    assert read_all(hub, settings) == before
    check_indexes(hub, ["lake", "See"])


def check_indexes(session: Session, queries: Iterable[str]) -> None:
    assert list_stale(session, 0)[0] == []
    assert list_stale_facets(session, 0)[0] == []
    for words in queries:
        assert len(list_found(session, words)) == 1, words


def test_only_the_name_of_the_language_can_change(hub: Session, settings: Settings) -> None:
    texts, translated, _ = read_all(hub, settings)
    rename_main_language(hub, settings, "en")
    assert read_all(hub, settings)[:2] == (texts, translated)
    assert get_site(hub, settings).text_languages == ("en", "de")


def test_other_languages_are_refused(hub: Session, settings: Settings) -> None:
    for language in ("fr", "de", ""):
        with pytest.raises(InvalidInputError):
            swap_main_language(hub, settings, language)
    given = replace(settings, given=frozenset({"text_languages"}), text_languages=("de", "en"))
    with pytest.raises(NotAllowedError):
        swap_main_language(hub, given, "en")
