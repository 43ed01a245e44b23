"""The menus in the header and the footer: their entries and the order of these.

An entry is a page of text or a series; both are in one order.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, and_, delete, func, or_, select, update
from sqlalchemy.orm import Session, aliased

from imagehub.database import count_rows
from imagehub.domain.library.series import is_shown, name_series
from imagehub.errors import InvalidInputError, NotFoundError
from imagehub.messages import mark
from imagehub.models import MenuEntry, Page, Series, Translation

PLACES = {"header": mark("Header"), "footer": mark("Footer")}

Target = Page | Series


class Entry(NamedTuple):
    """An entry of a menu, and what it leads to."""

    entry: MenuEntry
    target: Target

    @property
    def is_series(self) -> bool:
        return isinstance(self.target, Series)


class ShownEntry(NamedTuple):
    """An entry of a menu for visitors.

    ``slug``: of a page; that of a series is made of ``main_title``, its title in the main language.
    ``is_contact``: its page is the one whose text is shown above the contact form.
    """

    slug: str
    title: str
    is_contact: bool
    series_id: int | None = None
    main_title: str = ""


def name_target(target: Target) -> str:
    """Return the title of what an entry leads to."""
    return name_series(target) if isinstance(target, Series) else target.title


def list_menu(session: Session) -> dict[str, list[Entry]]:
    """List the entries of each place in their order, those of drafts too.

    Series in the trash are left out, but keep their place until they are restored.
    """
    menu: dict[str, list[Entry]] = {place: [] for place in PLACES}
    found = session.execute(
        _join(select(MenuEntry, Page, Series))
        .where(_is_kept())
        .order_by(MenuEntry.place, MenuEntry.position, MenuEntry.id)
    )
    for entry, page, series in found:
        menu.setdefault(entry.place, []).append(Entry(entry, page or series))
    return menu


def list_shown_menu(session: Session, language: str = "") -> dict[str, list[ShownEntry]]:
    """List the entries of each place in their order, those that visitors see only.

    :param language: of the titles, where there are some; "" for the main language.
    """
    menu: dict[str, list[ShownEntry]] = {place: [] for place in PLACES}
    shown = _join(
        select(
            MenuEntry.place,
            Page.slug,
            Page.title,
            is_first_of_kind("contact"),
            Series.id,
            Series.title,
        )
    )
    if language:
        of_page, of_series = aliased(Translation), aliased(Translation)
        for text, is_owner in (
            (of_page, of_page.page_id == Page.id),
            (of_series, of_series.series_id == Series.id),
        ):
            has_title = and_(is_owner, text.language == language, text.field == "title")
            shown = shown.outerjoin(text, has_title)
        shown = shown.add_columns(func.coalesce(of_page.text, of_series.text))
    found = session.execute(
        shown.where(or_(Page.state == "published", is_shown())).order_by(
            MenuEntry.place, MenuEntry.position, MenuEntry.id
        )
    )
    for place, slug, page_title, is_contact, series_id, main_title, *texts in found:
        title = next(filter(None, texts), main_title if series_id else page_title)
        entry = ShownEntry(slug or "", title, bool(is_contact), series_id, main_title or "")
        menu.setdefault(place, []).append(entry)
    return menu


def is_first_of_kind(kind: str) -> ColumnElement[bool]:
    """Make the condition that a page is the oldest published one of a kind."""
    other = aliased(Page)
    first = select(func.min(other.id)).where(other.kind == kind, other.state == "published")
    return Page.id == first.scalar_subquery()


def list_places(session: Session, target: Target) -> set[str]:
    """List the places of the menus that a page or a series is in."""
    return set(session.scalars(select(MenuEntry.place).where(_is_of(target))))


def append_entry(session: Session, place: str, target: Target) -> None:
    """Put a page or a series at the end of a menu.

    :raise InvalidInputError: there is no such menu.
    """
    if place not in PLACES:
        raise InvalidInputError(mark("There is no such menu."), {"place": place})
    last = select(func.max(MenuEntry.position)).where(MenuEntry.place == place)
    entry = MenuEntry(place=place, position=(session.scalar(last) or 0) + 1)
    if isinstance(target, Series):
        entry.series_id = target.id
    else:
        entry.page_id = target.id
    session.add(entry)
    session.flush()


def set_places(session: Session, target: Target, places: Sequence[str]) -> bool:
    """Put a page or a series at the end of the menus it is not in, and take it out of others.

    The caller locks it.

    :return: whether anything changed.
    """
    before = list_places(session, target)
    for place in before - set(places):
        session.execute(delete(MenuEntry).where(_is_of(target), MenuEntry.place == place))
    for place in places:
        if place not in before:
            append_entry(session, place, target)
    return before != set(places)


def move_entry(session: Session, number: int, before: int | None) -> Target:
    """Move an entry before another one of its menu, or to the end.

    :param before: number of the other entry; None for the end.
    :raise NotFoundError: there is no such entry.
    """
    entry, order = _find(session, number)
    rest = [one for one in order if one.id != entry.id]
    places = [one.id for one in rest]
    index = places.index(before) if before in places else len(rest)
    rest.insert(index, entry)
    _renumber(rest)
    return _get_target(session, entry)


def step_entry(session: Session, number: int, step: int) -> Target:
    """Move an entry by one step: -1 up, 1 down; at the end of the menu it stays."""
    entry, order = _find(session, number)
    index = order.index(entry)
    to = min(max(0, index + step), len(order) - 1)
    order.insert(to, order.pop(index))
    _renumber(order)
    return _get_target(session, entry)


def _join(entries: Any) -> Any:
    joined = entries.select_from(MenuEntry).outerjoin(Page, Page.id == MenuEntry.page_id)
    return joined.outerjoin(Series, Series.id == MenuEntry.series_id)


def _is_kept() -> ColumnElement[bool]:
    return or_(MenuEntry.page_id.is_not(None), Series.state != "trash")


def _is_of(target: Target) -> ColumnElement[bool]:
    column = MenuEntry.series_id if isinstance(target, Series) else MenuEntry.page_id
    return column == target.id


def _find(session: Session, number: int) -> tuple[MenuEntry, list[MenuEntry]]:
    entry = session.get(MenuEntry, number)
    if entry is None:
        raise NotFoundError("menu entry", number)
    # Locked, so that two people who move entries at once do not mix their orders: by an update that
    # changes nothing, since SQLite has no FOR UPDATE.
    lock = update(MenuEntry).where(MenuEntry.place == entry.place)
    count_rows(session, lock.values(position=MenuEntry.position))
    place = select(MenuEntry).where(MenuEntry.place == entry.place)
    ordered = place.order_by(MenuEntry.position, MenuEntry.id)
    order = list(session.scalars(ordered.execution_options(populate_existing=True)))
    trashed = set(session.scalars(select(Series.id).where(Series.state == "trash")))
    # Entries that the admin pages do not show are passed in the same step.
    order = [one for one in order if one is entry or one.series_id not in trashed]
    return entry, order


def _get_target(session: Session, entry: MenuEntry) -> Target:
    if entry.series_id is not None:
        return session.get_one(Series, entry.series_id)
    return session.get_one(Page, entry.page_id)


def _renumber(order: Sequence[MenuEntry]) -> None:
    for position, entry in enumerate(order, 1):
        if entry.position != position:
            entry.position = position
