"""Pages of text: read, create, edit, publish and delete them."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlalchemy import Select, delete, func, select, update
from sqlalchemy.orm import Session

from imagehub.database import MAX_ID, count_rows, now_utc
from imagehub.domain.library.search import MAX_QUERY_CHARS, MAX_WORDS
from imagehub.domain.library.search_index import fold
from imagehub.domain.library.slugs import MAX_SLUG_CHARS, make_slug
from imagehub.domain.site import menu
from imagehub.domain.site.menu import is_first_of_kind
from imagehub.domain.translations import list_words
from imagehub.errors import ConflictError, InvalidInputError, NotFoundError
from imagehub.markdown import MAX_CHARS, make_plain
from imagehub.messages import Message, mark
from imagehub.models import FormerSlug, MenuEntry, Page

# All are listed at once, and searched.
MAX_PAGES = 100
MAX_TITLE_CHARS = 200
DRAFT, PUBLISHED = "draft", "published"


@dataclass(frozen=True)
class Kind:
    """A kind of pages: its name, the address of a new one, and the menu that it goes into."""

    name: str
    slug: str
    place: str


KINDS = {
    "about": Kind(mark("About"), "about", "header"),
    "cv": Kind(mark("CV"), "cv", "header"),
    "contact": Kind(mark("Contact"), "contact", "header"),
    "imprint": Kind(mark("Imprint"), "imprint", "footer"),
    "privacy": Kind(mark("Privacy"), "privacy", "footer"),
    "free": Kind(mark("Other page"), "", "header"),
}
FIELD_NAMES = {"title": mark("Title"), "slug": mark("Address"), "text": mark("Text")}


def list_pages(session: Session) -> Sequence[Page]:
    """List all pages by their titles; there are at most ``MAX_PAGES``."""
    return session.scalars(select(Page).order_by(Page.title, Page.id)).all()


def list_published(session: Session) -> Sequence[Page]:
    """List the pages that visitors see, by their titles."""
    published = select(Page).where(Page.state == PUBLISHED)
    return session.scalars(published.order_by(Page.title, Page.id)).all()


def get_page(session: Session, number: int) -> Page:
    """:raise NotFoundError: there is no such page."""
    page = session.get(Page, number) if 0 < number <= MAX_ID else None
    if page is None:
        raise NotFoundError("page", number)
    return page


def get_published(session: Session, slug: str) -> Page:
    """Find a page that visitors see by the last part of its address.

    :raise NotFoundError: there is none, or it is a draft.
    """
    return _get_shown(session, select(Page).where(Page.slug == slug[: MAX_SLUG_CHARS + 1]), slug)


def get_moved(session: Session, slug: str) -> Page:
    """Find a page that visitors see by the last part of an address that it had before.

    :raise NotFoundError: there is none, or it is a draft.
    """
    former = select(Page).join(FormerSlug, FormerSlug.page_id == Page.id)
    return _get_shown(session, former.where(FormerSlug.slug == slug[: MAX_SLUG_CHARS + 1]), slug)


def _get_shown(session: Session, pages: Select[Any], slug: str) -> Page:
    page: Page | None = session.scalar(pages.where(Page.state == PUBLISHED))
    if page is None:
        raise NotFoundError("page", slug[:MAX_SLUG_CHARS])
    return page


def list_former_slugs(session: Session, number: int) -> Sequence[str]:
    """List the earlier addresses of a page that still lead to it, the newest first."""
    former = select(FormerSlug.slug).where(FormerSlug.page_id == number)
    return session.scalars(former.order_by(FormerSlug.created_at.desc(), FormerSlug.slug)).all()


def find_first(session: Session, kind: str) -> Page | None:
    """Find the published page of a kind; of several, the oldest."""
    return session.scalar(select(Page).where(is_first_of_kind(kind)))


def find_pages(session: Session, query: str) -> list[Page]:
    """Find the published pages that contain all words of a query, in any of their languages.

    As for works, only the first twelve words count.
    """
    words = fold(query[:MAX_QUERY_CHARS]).split()[:MAX_WORDS]
    published = list_published(session) if words else ()
    translated = list_words(session, Page.__tablename__, [page.id for page in published])
    return [
        page
        for page in published
        if _has_words([page.title, page.text, *(one.text for one in translated[page.id])], words)
    ]


def _has_words(texts: Sequence[str], words: Sequence[str]) -> bool:
    folded = "\n".join(map(_fold_plain, texts))
    return all(word in folded for word in words)


# Titles and texts of all pages in two languages. Suggestions are searched for at each key, and
# parsing Markdown takes milliseconds.
@lru_cache(maxsize=4 * MAX_PAGES)
def _fold_plain(text: str) -> str:
    return fold(make_plain(text))


def create_page(session: Session, kind: str, title: str, text: str = "") -> Page:
    """Create a draft, and put it at the end of the menu that its kind belongs to.

    :raise InvalidInputError: the kind is unknown, the title empty, or there are too many pages.
    """
    if kind not in KINDS:
        raise InvalidInputError(mark("Choose a kind of page."), {"kind": kind})
    if (session.scalar(select(func.count()).select_from(Page)) or 0) >= MAX_PAGES:
        raise InvalidInputError(Message("There are already %(count)s pages.", count=MAX_PAGES))
    title = _read_title(title)
    page = Page(kind=kind, title=title, text=_read_text(text))
    page.slug = _find_free(session, KINDS[kind].slug or make_slug(title))
    session.add(page)
    session.execute(delete(FormerSlug).where(FormerSlug.slug == page.slug))
    session.flush()
    menu.append_entry(session, KINDS[kind].place, page)
    return page


def save_page(
    session: Session, number: int, version: int, title: str, slug: str, text: str
) -> list[str]:
    """Change a page; return the names of the fields that changed.

    :raise ConflictError: someone else has changed it since ``version``.
    :raise InvalidInputError: the title is empty, or the address taken.
    """
    page = lock_page(session, number)
    if page.version != version:
        raise ConflictError(mark("Someone else changed this page while you were editing."))
    title, text = _read_title(title), _read_text(text)
    slug = make_slug(slug) or make_slug(title)
    taken = select(Page.id).where(Page.slug == slug, Page.id != page.id)
    if session.scalar(taken) is not None:
        fault = mark("Another page has this address.")
        raise InvalidInputError(fault, {"slug": fault})
    values = {"title": title, "slug": slug, "text": text}
    changed = [name for name, value in values.items() if getattr(page, name) != value]
    if "slug" in changed:
        _keep_slug(session, page, slug)
    for name in changed:
        setattr(page, name, values[name])
    if changed:
        _touch(page)
    return changed


def set_state(session: Session, number: int, state: str) -> Page:
    """Publish a page, or make it a draft again."""
    page = lock_page(session, number)
    if page.state != state:
        page.state = state
        _touch(page)
    return page


def delete_page(session: Session, number: int) -> Page:
    """Delete a page and its places in the menus; return it as it was."""
    page = lock_page(session, number)
    session.execute(delete(MenuEntry).where(MenuEntry.page_id == page.id))
    session.delete(page)
    return page


def set_places(session: Session, number: int, places: Sequence[str]) -> bool:
    """Put a page at the end of the menus that it is not in, and take it out of others.

    :return: whether anything changed.
    """
    return menu.set_places(session, lock_page(session, number), places)


def _keep_slug(session: Session, page: Page, slug: str) -> None:
    """Keep the old address of a published page; its new one is no longer that of another page."""
    session.execute(delete(FormerSlug).where(FormerSlug.slug == slug))
    if page.state == PUBLISHED:
        session.add(FormerSlug(slug=page.slug, page_id=page.id))
        session.flush()


def lock_page(session: Session, number: int) -> Page:
    """Lock a page's row until the end of the transaction, and read it.

    An update that changes nothing locks it on both databases: SQLite has no FOR UPDATE.

    :raise NotFoundError: there is no such page.
    """
    lock = update(Page).where(Page.id == number).values(version=Page.version)
    if not 0 < number <= MAX_ID or not count_rows(session, lock):
        raise NotFoundError("page", number)
    return session.get_one(Page, number, populate_existing=True)


def _touch(page: Page) -> None:
    page.version += 1
    page.updated_at = now_utc()


def tidy_text(field: str, text: str) -> str:
    """Return a title or a text as it is stored; it may be empty.

    :raise InvalidInputError: it is too long.
    """
    return _tidy_title(text) if field == "title" else _read_text(text)


def _read_title(text: str) -> str:
    title = _tidy_title(text)
    if not title:
        fault = mark("Enter a title.")
        raise InvalidInputError(fault, {"title": fault})
    return title


def _tidy_title(text: str) -> str:
    title = " ".join(text.split())
    if len(title) > MAX_TITLE_CHARS:
        long = Message("This is too long: at most %(count)s characters.", count=MAX_TITLE_CHARS)
        raise InvalidInputError(long, {"title": long})
    return title


def _read_text(text: str) -> str:
    text = text.replace("\r\n", "\n").strip()
    if len(text) > MAX_CHARS:
        long = Message("This is too long: at most %(count)s characters.", count=MAX_CHARS)
        raise InvalidInputError(long, {"text": long})
    return text


def _find_free(session: Session, slug: str) -> str:
    slug = slug or "page"
    taken = set(session.scalars(select(Page.slug)))
    if slug not in taken:
        return slug
    numbered = (f"{slug[: MAX_SLUG_CHARS - 4]}-{n}" for n in range(2, MAX_PAGES + 3))
    return next(one for one in numbered if one not in taken)
