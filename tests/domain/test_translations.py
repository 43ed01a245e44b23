"""Texts in several languages: reading, saving and finding them, on both databases."""

from typing import Any

import pytest
from sqlalchemy import event, func, select
from sqlalchemy.orm import Session

from imagehub.database import db
from imagehub.domain.library import groups, search, series, series_edit
from imagehub.domain.library.images import get_image
from imagehub.domain.library.search_index import list_stale, refresh_search
from imagehub.domain.site import menu, pages
from imagehub.domain.translations import (
    get_main_text,
    is_translated,
    list_texts,
    read_translations,
    use_language,
    write_translation,
)
from imagehub.models import Group, Translation
from tests.fixtures.site import Site


class Statements:
    """Counts the statements of a block."""

    def __init__(self) -> None:
        self.count = 0

    def __enter__(self) -> "Statements":
        self._engine = db.engine
        event.listen(self._engine, "before_cursor_execute", self._note)
        return self

    def __exit__(self, *_error: object) -> None:
        event.remove(self._engine, "before_cursor_execute", self._note)

    def _note(self, *_values: Any) -> None:
        self.count += 1


def name_group(session: Session, number: int, title: str, text: str = "") -> Group:
    group = groups.get_group(session, number)
    group.title, group.text = title, text
    session.flush()
    return group


def test_objects_show_their_texts_of_a_language_and_keep_the_others(
    either_site: Site, either_session: Session
) -> None:
    session = either_session
    first, second = either_site.add_group(), either_site.add_group()
    group = name_group(session, first, "Blauer See", "Wasser")
    image = get_image(session, first, 1)
    write_translation(session, group, "en", {"title": "Blue lake", "text": ""})
    write_translation(session, image, "en", {"alt": "A lake"})
    write_translation(session, group, "fr", {"title": "Lac bleu"})
    with Statements() as statements:
        use_language(session, "", [group, image, None])
    assert statements.count == 0 and group.title == "Blauer See"
    with Statements() as statements:
        use_language(session, "en", [group, image, None, groups.get_group(session, second)])
    assert statements.count <= 2
    assert (group.title, group.text, image.alt) == ("Blue lake", "Wasser", "A lake")
    assert (get_main_text(group, "title"), get_main_text(group, "text")) == ("Blauer See", "Wasser")
    assert is_translated(group, "title") and not is_translated(group, "text")
    # Twice does no harm, and the session does not write what it shows.
    use_language(session, "en", [group])
    assert get_main_text(group, "title") == "Blauer See"
    session.flush()
    assert session.scalar(select(Group.title).where(Group.id == first)) == "Blauer See"


def test_walls_do_without_long_texts(either_site: Site, either_session: Session) -> None:
    session = either_session
    group = name_group(session, either_site.add_group(), "See", "Wasser")
    write_translation(session, group, "en", {"title": "Lake", "text": "Water"})
    use_language(session, "en", [group], is_short=True)
    assert (group.title, group.text) == ("Lake", "Wasser")


def test_texts_are_listed_in_all_languages(either_site: Site, either_session: Session) -> None:
    session = either_session
    both = [either_site.add_group(), either_site.add_group()]
    first, second = (name_group(session, number, f"Bild {number}") for number in both)
    write_translation(session, first, "fr", {"title": "Tableau", "medium": "Huile"})
    write_translation(session, first, "en", {"title": "Picture"})
    use_language(session, "en", [first])
    with Statements() as statements:
        texts = list_texts(session, ["de", "en", "fr"], [first, second])
    assert statements.count == 1
    title = {"de": f"Bild {both[0]}", "en": "Picture", "fr": "Tableau"}
    assert texts[first]["title"] == title and list(texts[first]["title"]) == list(title)
    assert texts[first]["medium"] == {"fr": "Huile"} and texts[first]["edition"] == {}
    assert texts[second]["title"] == {"de": f"Bild {both[1]}"}
    # A language that the hub no longer has is left out.
    assert list_texts(session, ["de"], [first])[first]["medium"] == {}
    assert list_texts(session, [], [second])[second]["title"] == {"": f"Bild {both[1]}"}


def test_a_text_is_replaced_and_deleted(either_site: Site, either_session: Session) -> None:
    session = either_session
    group = name_group(session, either_site.add_group(), "See")
    write_translation(session, group, "en", {"title": "Lake", "medium": "Oil"})
    write_translation(session, group, "en", {"title": "The lake 🌊", "medium": ""})
    assert read_translations(session, [group], "en")[group] == {
        "title": "The lake 🌊", "text": "", "medium": "", "dimensions": "", "edition": ""
    }  # fmt: skip
    assert session.scalar(select(func.count()).select_from(Translation)) == 1
    groups.delete_group(session, group)
    session.flush()
    assert session.scalar(select(func.count()).select_from(Translation)) == 0


def test_words_of_every_language_find_works_series_and_pages(
    either_site: Site, either_session: Session
) -> None:
    session = either_session
    number = either_site.add_group()
    group = name_group(session, number, "Blauer See")
    write_translation(session, group, "en", {"title": "Lake", "text": "Deep **water**"})
    write_translation(session, get_image(session, number, 1), "en", {"alt": "Rushes"})
    refresh_search(session, [number])
    paper = series_edit.create_series(session, "Papier", [number])
    series_edit.set_series_state(session, paper.id, "published")
    write_translation(session, paper, "en", {"place": "Brussels"})
    page = pages.create_page(session, "about", "Über mich", "Ich male")
    pages.set_state(session, page.id, pages.PUBLISHED)
    write_translation(session, page, "en", {"title": "About me", "text": "I *paint*"})
    # InnoDB's index knows what is committed.
    session.commit()
    for words in ("lake", "See lake", "water", "rushes"):
        assert [tile.group.id for tile in search.find_groups(session, words).tiles] == [number]
    assert list_stale(session, 0)[0] == []
    assert [one.series.id for one in series.find_shown_series(session, "brussels")] == [paper.id]
    assert not series.find_shown_series(session, "lake")
    for words in ("uber male", "I paint", "about"):
        assert [one.id for one in pages.find_pages(session, words)] == [page.id]
    assert not pages.find_pages(session, "sculpt")


@pytest.mark.parametrize(("language", "title"), [("", "Über mich"), ("en", "About me")])
def test_menus_cost_one_statement_in_any_language(
    either_site: Site, either_session: Session, language: str, title: str
) -> None:
    session, group = either_session, either_site.add_group()
    for kind, name in (("about", "Über mich"), ("imprint", "Impressum")):
        page = pages.create_page(session, kind, name)
        pages.set_state(session, page.id, pages.PUBLISHED)
        if kind == "about":
            write_translation(session, page, "en", {"title": "About me"})
    paper = series_edit.create_series(session, "Papier", [group])
    series_edit.set_series_state(session, paper.id, "published")
    write_translation(session, paper, "en", {"title": "Paper"})
    menu.set_places(session, paper, ["header"])
    session.flush()
    with Statements() as statements:
        shown = menu.list_shown_menu(session, language)
    assert statements.count == 1
    series_title = "Paper" if language else "Papier"
    assert [entry.title for entry in shown["header"]] == [title, series_title]
    assert shown["header"][1].main_title == "Papier"
    assert [entry.title for entry in shown["footer"]] == ["Impressum"]
