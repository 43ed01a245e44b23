"""Translate works, series and pages: save texts in another language, and find missing ones.

An edit contains each text as its author saw it. If someone else has saved one of them since then,
nothing is saved, and the error names all such texts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, and_, exists, func, or_, select
from sqlalchemy.orm import InstrumentedAttribute, Session, aliased

from imagehub.database import MAX_ID, now_utc
from imagehub.domain.library.edit import tidy_field
from imagehub.domain.library.groups import get_locked_group
from imagehub.domain.library.images import get_images
from imagehub.domain.library.search_index import refresh_search
from imagehub.domain.library.series_members import lock_series
from imagehub.domain.site import pages
from imagehub.domain.translations import (
    FIELDS,
    Owner,
    list_texts,
    read_translations,
    write_translation,
)
from imagehub.errors import ConflictError, InvalidInputError
from imagehub.messages import mark
from imagehub.models import Group, Image, Page, Series, Translation

# Dimensions, editions, dates and places are often the same in all languages, so they never count
# as missing.
COUNTED_FIELDS = ("title", "text", "medium", "alt")
# How many group numbers one page of the list searches for missing texts.
_STRETCH = 5000


@dataclass(frozen=True)
class Change:
    """A text that was typed, and what its author saw of it before.

    ``shot``: the number of the shot whose alt text it is; 0 for a text of the group itself, of a
    series or of a page.
    """

    field: str
    text: str
    base: str
    shot: int = 0

    @property
    def name(self) -> str:
        """Its name in forms."""
        return f"{self.field}-{self.shot}" if self.shot else self.field


class TranslationConflictError(ConflictError):
    """Someone else saved the same texts; ``current``: name in forms → their text."""

    def __init__(self, current: Mapping[str, str]) -> None:
        super().__init__(mark("Someone else changed this while you were editing."))
        self.current = dict(current)


def translate_group(
    session: Session, number: int, language: str, changes: Sequence[Change]
) -> tuple[Group, list[str]]:
    """Save texts of a group and alt texts of its shots; return it, and the fields that changed.

    :raise NotFoundError: there is no such group or shot.
    :raise InvalidInputError: texts are too long; ``fields``: name in forms → why.
    :raise TranslationConflictError: someone else changed the same texts.
    """
    group = get_locked_group(session, number)
    shots = sorted({change.shot for change in changes if change.shot})
    images = get_images(session, group.id, shots) if shots else []
    owners: dict[int, Owner] = {0: group, **{image.number: image for image in images}}
    changed = _save(session, owners, language, changes)
    if changed:
        group.updated_at = now_utc()
        refresh_search(session, [group.id])
    return group, changed


def translate_series(
    session: Session, number: int, language: str, changes: Sequence[Change]
) -> tuple[Series, list[str]]:
    """Save texts of a series. As :func:`translate_group`."""
    series = lock_series(session, number)
    changed = _save(session, {0: series}, language, changes)
    if changed:
        series.updated_at = now_utc()
    return series, changed


def translate_page(
    session: Session, number: int, language: str, changes: Sequence[Change]
) -> tuple[Page, list[str]]:
    """Save texts of a page. As :func:`translate_group`."""
    page = pages.lock_page(session, number)
    changed = _save(session, {0: page}, language, changes)
    if changed:
        page.updated_at = now_utc()
    return page, changed


def _save(
    session: Session, owners: Mapping[int, Owner], language: str, changes: Sequence[Change]
) -> list[str]:
    stored = read_translations(session, list(owners.values()), language)
    faults: dict[str, str] = {}
    lost: dict[str, str] = {}
    fresh: dict[int, dict[str, str]] = {}
    for change in changes:
        current = stored[owners[change.shot]][change.field]
        try:
            text = _tidy(owners[change.shot], change.field, change.text)
        except InvalidInputError as error:
            faults[change.name] = error.sentence
            continue
        if text == current:
            continue
        if change.base != current:
            lost[change.name] = current
        fresh.setdefault(change.shot, {})[change.field] = text
    if faults:
        raise InvalidInputError(mark("Some texts cannot be saved."), faults)
    if lost:
        raise TranslationConflictError(lost)
    for shot, texts in fresh.items():
        write_translation(session, owners[shot], language, texts)
    return list(dict.fromkeys(field for texts in fresh.values() for field in texts))


def _tidy(owner: Owner, field: str, text: str) -> str:
    if isinstance(owner, Page):
        return pages.tidy_text(field, text)
    return tidy_field(field, text)


# --- What is missing ------------------------------------------------------------------------------


def count_missing(
    session: Session, languages: Sequence[str], owners: Sequence[Owner]
) -> dict[str, int]:
    """Count the missing texts of objects in the other languages: language → count.

    :param languages: of the hub, the main one first.
    """
    counts = dict.fromkeys(languages[1:], 0)
    if not counts:
        return counts
    for fields in list_texts(session, languages, owners).values():
        for field, texts in fields.items():
            if languages[0] in texts and field in COUNTED_FIELDS:
                for language in counts:
                    counts[language] += language not in texts
    return counts


def list_incomplete_groups(
    session: Session, language: str, before: int = 0, limit: int = 50
) -> tuple[Sequence[Group], int]:
    """List the newest groups that lack a text in a language.

    One call searches a few thousand group numbers, so it may find fewer than ``limit``, or none.

    :param before: only groups with lower numbers; 0 for all.
    :return: the groups, and ``before`` for the next call; 0 at the end.
    """
    last = before - 1 if before else session.scalar(select(func.max(Group.id)))
    if not last or not 0 < last <= MAX_ID:
        return [], 0
    image = aliased(Image)
    lacks_alt = exists().where(
        image.group_id == Group.id, image.alt != "", _lacks(image.id, "image_id", language, "alt")
    )
    first = max(1, last - _STRETCH + 1)
    found = session.scalars(
        select(Group)
        .where(
            Group.id.between(first, last),
            Group.state != "trash",
            or_(_lacks_any(Group, "group_id", language), lacks_alt),
        )
        .order_by(Group.id.desc())
        .limit(limit)
    ).all()
    following = found[-1].id if len(found) == limit else first
    return found, following if following > 1 else 0


def list_incomplete_series(session: Session, language: str) -> Sequence[Series]:
    """List the series that lack a text in a language, in their order."""
    lacking = select(Series).where(
        _lacks_any(Series, "series_id", language), Series.state != "trash"
    )
    return session.scalars(lacking.order_by(Series.position, Series.id).limit(1000)).all()


def list_incomplete_pages(session: Session, language: str) -> Sequence[Page]:
    """List the pages that lack a text in a language, by title."""
    lacking = select(Page).where(_lacks_any(Page, "page_id", language))
    return session.scalars(lacking.order_by(Page.title, Page.id)).all()


def _lacks_any(
    model: type[Group] | type[Series] | type[Page], owner: str, language: str
) -> ColumnElement[bool]:
    return or_(
        *(
            and_(getattr(model, field) != "", _lacks(model.id, owner, language, field))
            for field in FIELDS[model.__tablename__]
            if field in COUNTED_FIELDS
        )
    )


def _lacks(
    number: InstrumentedAttribute[int], owner: str, language: str, field: str
) -> ColumnElement[bool]:
    text = aliased(Translation)
    return ~exists().where(
        getattr(text, owner) == number, text.language == language, text.field == field
    )
