"""Shortlists: the works of a share link that a visitor marks, writes a line about, and sends.

Marks are rows until they are sent or for thirty days, found by the hash of a secret in the
visitor's cookie. What is sent is an enquiry with works, in the inbox like any other. Both hold only
works that the link shows at that moment.
"""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import delete, func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from imagehub.database import count_rows, now_utc, own_transaction
from imagehub.domain.enquiries import inbox
from imagehub.domain.enquiries.inbox import Letter, ListedWork, ShareList, Signs
from imagehub.domain.library import series_edit
from imagehub.domain.people.sessions import hash_secret
from imagehub.domain.sharing import links
from imagehub.domain.vault import SigningKeys
from imagehub.errors import InvalidInputError, NotFoundError, TooManyEnquiriesError
from imagehub.messages import Message, mark
from imagehub.models import Enquiry, Group, Series, ShareLink, ShareMark

MAX_WORKS = 200
MAX_LINE_CHARS = 500
KEPT = timedelta(days=30)
# Of all visitors of a link; so many rows take about a megabyte.
MAX_MARKS_OF_SHARE = 5000
_SECRET_BYTES = 18


@dataclass(frozen=True)
class MarkedWork:
    """A work that a visitor has marked, and what they write about it."""

    group: Group
    line: str


def make_visitor_secret() -> str:
    """Make the secret of a visitor's cookie."""
    return secrets.token_urlsafe(_SECRET_BYTES)


def _check(share: ShareLink) -> None:
    if not share.takes_lists:
        raise NotFoundError("page", "")


# --- Marks ----------------------------------------------------------------------------------------


def list_marks(session: Session, share: ShareLink, secret: str) -> list[MarkedWork]:
    """List the works that a visitor has marked and the link still shows, in the link's order."""
    if not share.takes_lists or not secret:
        return []
    rows = session.execute(
        select(ShareMark.group_id, ShareMark.line)
        .where(ShareMark.share_id == share.id, ShareMark.visitor == hash_secret(secret))
        .limit(MAX_WORKS)
    )
    lines = {group_id: line for group_id, line in rows}
    groups = links.find_shared_groups(session, share, list(lines)) if lines else ()
    return [MarkedWork(group, lines[group.id]) for group in groups]


def set_mark(session: Session, share: ShareLink, secret: str, number: int, is_marked: bool) -> None:
    """Mark a work, or remove its mark. Flushed, not committed.

    :raise NotFoundError: the link takes no lists, or does not show this work.
    :raise InvalidInputError: the visitor has marked too many.
    :raise TooManyEnquiriesError: all visitors of the link together have.
    """
    _check(share)
    visitor, now = hash_secret(secret), now_utc()
    mine = (ShareMark.share_id == share.id, ShareMark.visitor == visitor)
    if not is_marked:
        session.execute(delete(ShareMark).where(*mine, ShareMark.group_id == number))
        return
    links.get_shared_group(session, share, number)
    marked = set(session.scalars(select(ShareMark.group_id).where(*mine)))
    if number in marked:
        return
    if len(marked) >= MAX_WORKS:
        raise InvalidInputError(Message("A list can have at most %(num)s works.", num=MAX_WORKS))
    some = select(ShareMark.group_id).where(ShareMark.share_id == share.id)
    some_rows = some.limit(MAX_MARKS_OF_SHARE).subquery()
    if (session.scalar(select(func.count()).select_from(some_rows)) or 0) >= MAX_MARKS_OF_SHARE:
        raise TooManyEnquiriesError(3600)
    session.execute(update(ShareMark).where(*mine).values(changed_at=now))
    try:
        with session.begin_nested():
            session.add(ShareMark(share_id=share.id, visitor=visitor, group_id=number))
    except IntegrityError:  # A double click.
        return


def save_lines(session: Session, share: ShareLink, secret: str, lines: Mapping[int, str]) -> None:
    """Save what a visitor writes about marked works; other works are left out.

    :param lines: group → text.
    :raise NotFoundError: the link takes no lists.
    :raise InvalidInputError: ``fields`` names the lines that are too long.
    """
    _check(share)
    tidied = {number: tidy_line(text) for number, text in lines.items()}
    _check_lines(tidied)
    rows = session.scalars(
        select(ShareMark).where(
            ShareMark.share_id == share.id, ShareMark.visitor == hash_secret(secret)
        )
    )
    for row in rows:
        line = tidied.get(row.group_id, row.line)
        if line != row.line:
            row.line, row.changed_at = line, now_utc()
    session.flush()


def tidy_line(text: str) -> str:
    """Return a text as one line without control characters."""
    return " ".join(inbox.drop_controls(text).split())


def _check_lines(lines: Mapping[int, str]) -> None:
    fault = Message("Use at most %(num)s characters.", num=MAX_LINE_CHARS)
    faults = {f"line-{one}": fault for one, text in lines.items() if len(text) > MAX_LINE_CHARS}
    if faults:
        raise InvalidInputError(mark("Please check the marked fields."), faults)


@own_transaction
def delete_old_marks(session: Session) -> int:
    """Delete the marks that were not sent in time; return how many there were."""
    return count_rows(session, delete(ShareMark).where(ShareMark.changed_at < now_utc() - KEPT))


# --- Sending --------------------------------------------------------------------------------------


def send_list(
    session: Session,
    keys: SigningKeys,
    share: ShareLink,
    secret: str,
    letter: Letter,
    lines: Mapping[int, str],
    signs: Signs,
    *,
    address: str,
    language: str,
) -> Enquiry:
    """Receive the list of a visitor, and delete their marks. Flushed, not committed.

    :param lines: group → what is written about it, in place of what was saved.
    :raise InvalidInputError: no marked work is shown any more, or a line is too long.
    :raise TooManyEnquiriesError: as ``inbox.receive``.
    """
    _check(share)
    tidied = {number: tidy_line(text) for number, text in lines.items()}
    _check_lines(tidied)
    marks = list_marks(session, share, secret)
    if not marks:
        raise InvalidInputError(mark("Your list is empty. Add works to it first."))
    works = [
        ListedWork(one.group.id, one.group.title, tidied.get(one.group.id, one.line))
        for one in marks
    ]
    name = str(links.name_shares(session, [share])[share.id])
    share_list = ShareList(share.id, name, works)
    received = inbox.receive(
        session, keys, letter, signs, address=address, listed=share_list, language=language
    )
    session.execute(
        delete(ShareMark).where(
            ShareMark.share_id == share.id, ShareMark.visitor == hash_secret(secret)
        )
    )
    session.flush()
    return received


# --- What an admin makes of a list ----------------------------------------------------------------


def _list_living(session: Session, enquiry: Enquiry) -> list[int]:
    """Return the works of a list that are not in the trash, in its order."""
    numbers = [one.group_id for one in enquiry.works if one.group_id is not None]
    living = select(Group.id).where(Group.id.in_(numbers), Group.state != "trash")
    alive = set(session.scalars(living)) if numbers else set()
    found = [number for number in numbers if number in alive]
    if not found:
        raise InvalidInputError(mark("None of these works is in the library any more."))
    return found


def share_list(session: Session, number: int, user_id: int, title: str) -> tuple[ShareLink, str]:
    """Create a share link to the works of a list, with the options of its own link.

    :param number: of the enquiry.
    :return: as ``links.create_share``.
    :raise InvalidInputError: none of the works is left.
    """
    enquiry = inbox.get_enquiry(session, number)
    origin = session.get(ShareLink, enquiry.share_id) if enquiry.share_id else None
    groups = _list_living(session, enquiry)
    share, token = links.create_share(
        session,
        user_id,
        groups,
        title,
        may_download=origin is not None and origin.may_download,
        takes_lists=origin is not None and origin.takes_lists,
        has_mark=origin is None or origin.has_mark,
    )
    if origin is not None:
        share.password_hash = origin.password_hash
        if origin.expires_at is not None and origin.expires_at > share.created_at:
            share.expires_at = origin.expires_at
    session.flush()
    return share, token


def make_series(session: Session, number: int, title: str) -> Series:
    """Create a draft series of the works of a list. Raises as :func:`share_list`."""
    enquiry = inbox.get_enquiry(session, number)
    return series_edit.create_series(session, title, _list_living(session, enquiry))
