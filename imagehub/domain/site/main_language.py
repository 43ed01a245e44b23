"""Change the main language: texts of the former one and their translations change places.

The columns of groups, images, series and pages hold the main language, the table of translations
the others. A text without a translation stays in its column, since visitors see it in the new main
language too, and becomes a text in the former one as well, so that no later edit loses it. Changing
back restores what was before: a translation that is equal to the text in the main language, which
visitors cannot tell from a missing one, is dropped.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session
from sqlalchemy.orm.attributes import flag_modified

from imagehub.config import Settings
from imagehub.config_values import SITE_TEXTS, SiteTexts
from imagehub.domain.library.facet_index import refresh_facets
from imagehub.domain.library.search_index import refresh_search
from imagehub.domain.site.settings import get_site, save_site
from imagehub.domain.translations import COLUMNS, FIELDS, Owner, read_translations
from imagehub.errors import InvalidInputError, NotAllowedError
from imagehub.messages import mark
from imagehub.models import Group, Image, Page, Series, Translation

_AT_ONCE = 200
_MODELS: Sequence[type[Owner]] = (Group, Image, Series, Page)


def count_translations(session: Session) -> dict[str, int]:
    """Count the texts in each language that is not the main one: language → texts."""
    counts = select(Translation.language, func.count()).group_by(Translation.language)
    return {row[0]: row[1] for row in session.execute(counts)}


def rename_main_language(session: Session, settings: Settings, language: str) -> None:
    """Make another language of the hub the main one, with all texts where they are.

    :param settings: those of the environment.
    :raise InvalidInputError: it is not one of the other languages of the hub.
    :raise NotAllowedError: the languages are set in the environment.
    """
    _former, order = _read_order(session, settings, language)
    save_site(session, settings, {"text_languages": ",".join(order)})


def swap_main_language(session: Session, settings: Settings, language: str) -> int:
    """Make another language the main one; its texts and those of the former one change places.

    Raises what :func:`rename_main_language` raises.

    :return: how many groups, images, series and pages changed.
    """
    former, order = _read_order(session, settings, language)
    texts = {"text_languages": ",".join(order), **_swap_site(session, settings, former, language)}
    save_site(session, settings, texts)
    count = 0
    for model in _MODELS:
        for owners in _iter_owners(session, model):
            changed = _swap(session, owners, former, language)
            session.flush()
            numbers = sorted({getattr(one, "group_id", one.id) for one in changed})
            if numbers and model in (Group, Image):
                refresh_search(session, numbers)
            if numbers and model is Group:
                refresh_facets(session, numbers)
            count += len(changed)
            for owner in owners:
                session.expunge(owner)
    return count


def _read_order(session: Session, settings: Settings, language: str) -> tuple[str, list[str]]:
    """Return the main language, and the languages in their new order."""
    if "text_languages" in settings.given:
        raise NotAllowedError(
            mark(
                "The languages are set by IMAGEHUB_TEXT_LANGUAGES on the server. Change them there."
            )
        )
    main, *others = get_site(session, settings).text_languages or ("",)
    if language not in others:
        raise InvalidInputError(mark("Select a language from the list."), {"language": language})
    return main, [language, *(main if code == language else code for code in others)]


def _swap_site(session: Session, settings: Settings, former: str, language: str) -> dict[str, str]:
    """Return title, tagline and their translations as settings, with those two swapped."""
    if "site_texts" in settings.given:
        return {}
    site = get_site(session, settings)
    rows = {(code, name): text for code, name, text in site.site_texts.rows}
    texts = {}
    for name in SITE_TEXTS:
        if name in settings.given:
            continue
        text, main = rows.pop((language, name), ""), str(getattr(site, name))
        rows.pop((former, name), None)
        if text:
            texts[name] = text
        if main.strip() and main != text:
            rows[former, name] = main
    site_texts = SiteTexts(tuple((code, name, text) for (code, name), text in rows.items()))
    return {**texts, "site_texts": str(site_texts)}


def _iter_owners(session: Session, model: Any) -> Iterator[list[Any]]:
    after = 0
    while True:
        some = select(model).where(model.id > after).order_by(model.id).limit(_AT_ONCE)
        owners = list(session.scalars(some.with_for_update()))
        if not owners:
            return
        after = owners[-1].id
        yield owners


def _swap(session: Session, owners: Sequence[Any], former: str, language: str) -> list[Any]:
    """Swap the texts of some objects of one kind; return those whose own texts changed."""
    kind = owners[0].__tablename__
    column = COLUMNS[kind]
    found = read_translations(session, owners, language)
    session.execute(
        delete(Translation).where(
            column.in_([owner.id for owner in owners]),
            Translation.language.in_([former, language]),
        )
    )
    changed = []
    for owner in owners:
        is_changed = False
        for field in FIELDS[kind]:
            main, text = str(getattr(owner, field)), found[owner][field]
            if main.strip() and main != text:
                values = {column.key: owner.id, "language": former, "field": field, "text": main}
                session.add(Translation(**values))
            if text and main != text:
                setattr(owner, field, text)
                is_changed = True
        if is_changed:
            changed.append(owner)
            if hasattr(owner, "version"):
                owner.version += 1
            # No text was edited, so feeds and site maps need not name the works as new.
            if hasattr(owner, "updated_at"):
                flag_modified(owner, "updated_at")
    return changed
