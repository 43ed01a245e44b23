"""The inbox: what visitors have written, until it is deleted."""

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, func, or_, select
from sqlalchemy.orm import Session, selectinload

from imagehub.config_values import read_email
from imagehub.database import count_rows, end_read, make_batches, now_utc, own_transaction
from imagehub.domain.enquiries import spam
from imagehub.domain.people.throttle import count_attempt, simplify_address
from imagehub.domain.vault import SigningKeys
from imagehub.errors import (
    InvalidInputError,
    NotFoundError,
    TooManyEnquiriesError,
    TooManyTriesError,
)
from imagehub.messages import Message, mark
from imagehub.models import Enquiry, EnquiryWork, Group

STATES = {"new": mark("New"), "answered": mark("Answered"), "spam": mark("Spam")}
FILTERS = {**STATES, "all": mark("All")}
PER_PAGE = 50
LISTS_PER_PAGE = 20
MAX_COUNTED = 99
MAX_NAME_CHARS = 200
MAX_EMAIL_CHARS = 254
MAX_MESSAGE_CHARS = 5000
MAX_NOTE_CHARS = 5000
SPAM_KEPT = timedelta(days=30)
# What all visitors together may send. Each address is throttled beside that.
MAX_PER_HOUR, MAX_PER_DAY = 60, 300
_LONGEST_WAIT_SECONDS = 3600.0
# A form that is sent twice, such as by a double click, is one enquiry.
_SENT_TWICE = timedelta(minutes=10)
_REPEATED_WITHIN = timedelta(days=30)


# --- Receiving ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Letter:
    """What a visitor has written, as it is stored."""

    name: str
    email: str
    message: str


@dataclass(frozen=True)
class Signs:
    """How a form was sent, for the search for spam; see ``spam.find_reason``."""

    trap: str = ""
    seconds: float | None = None


@dataclass(frozen=True)
class ListedWork:
    """A work of a list: its number, its title, and what the visitor writes about it."""

    group_id: int
    title: str
    line: str = ""


@dataclass(frozen=True)
class ShareList:
    """The works of a share link that a visitor sends, and the name of the link."""

    share_id: int
    name: str
    works: Sequence[ListedWork]


def tidy_letter(name: str, email: str, message: str, *, needs_message: bool = True) -> Letter:
    """Check and tidy what a visitor has typed.

    :raise InvalidInputError: ``fields`` says for each wrong field what is wrong.
    """
    letter = Letter(
        " ".join(drop_controls(name).split()),
        _tidy_email(email),
        drop_controls(message.replace("\r\n", "\n").replace("\r", "\n")).strip(),
    )
    faults: dict[str, str] = {}
    if not _is_visible(letter.name):
        faults["name"] = mark("Enter your name.")
    elif len(letter.name) > MAX_NAME_CHARS:
        faults["name"] = Message("Use at most %(num)s characters.", num=MAX_NAME_CHARS)
    if not letter.email:
        faults["email"] = mark("Enter an e-mail address like ada@example.org.")
    if needs_message and not _is_visible(letter.message):
        faults["message"] = mark("Write a message.")
    elif len(letter.message) > MAX_MESSAGE_CHARS:
        faults["message"] = Message("Use at most %(num)s characters.", num=MAX_MESSAGE_CHARS)
    if faults:
        raise InvalidInputError(mark("Please check the marked fields."), faults)
    return letter


def drop_controls(text: str) -> str:
    """Return a text without control characters, except tabs and line breaks."""
    return "".join(c for c in text if c in "\n\t" or unicodedata.category(c) not in ("Cc", "Cs"))


def _is_visible(text: str) -> bool:
    return any(one.isprintable() and not one.isspace() for one in text)


def _tidy_email(text: str) -> str:
    """Return an address that may stand in a header; its domain in ASCII. "" if it is none."""
    text = text.strip()
    if len(text) > MAX_EMAIL_CHARS:  # Encoding a long domain takes seconds.
        return ""
    local, at, domain = text.rpartition("@")
    try:
        found = read_email(f"{local}{at}{domain.encode('idna').decode()}")
    except ValueError:  # That of an unknown encoding included.
        return ""
    return found if "." in domain else ""


def receive(
    session: Session,
    keys: SigningKeys,
    letter: Letter,
    signs: Signs,
    *,
    address: str,
    group: Group | None = None,
    listed: ShareList | None = None,
    language: str = "en",
) -> Enquiry:
    """Take an enquiry in, as new or as spam. Flushed, not committed.

    :param group: the work that it is about; None for a list, and in general.
    :param address: IP address of the visitor, which is not stored.
    :param session: holds no uncommitted change.
    :raise TooManyEnquiriesError: this address has sent several just now, or all together have.
    """
    end_read(session)
    try:
        count_attempt(session, keys, "enquiry", simplify_address(address), _LONGEST_WAIT_SECONDS)
    except TooManyTriesError as error:
        raise TooManyEnquiriesError(error.retry_after_seconds) from error
    works = listed.works if listed is not None else ()
    text = "\n".join([letter.message, *(one.line for one in works)]).strip()
    numbers = "".join(f"\n{listed.share_id} {one.group_id}" for one in works) if listed else ""
    now, text_hash = now_utc(), spam.hash_text(text + numbers)
    group_id = group.id if group is not None else None
    same = (Enquiry.text_hash == text_hash, Enquiry.email == letter.email)
    twice = session.scalar(
        select(Enquiry).where(
            *same, Enquiry.group_id.is_(None) if group is None else Enquiry.group_id == group.id,
            Enquiry.created_at > now - _SENT_TWICE,
        ).limit(1)
    )  # fmt: skip
    if twice is not None:
        return twice
    _check_flood(session, now)
    is_repeated = session.scalar(
        select(Enquiry.id).where(
            Enquiry.text_hash == text_hash, Enquiry.email != letter.email,
            Enquiry.created_at > now - _REPEATED_WITHIN,
        ).limit(1)
    ) is not None  # fmt: skip
    reason = spam.find_reason(
        letter.name,
        text,
        trap=signs.trap,
        seconds=signs.seconds,
        is_repeated=is_repeated,
    )
    enquiry = Enquiry(
        state="spam" if reason else "new",
        spam_reason=reason,
        group_id=group_id,
        work=group.title if group is not None else listed.name[:300] if listed else "",
        name=letter.name,
        email=letter.email,
        message=letter.message,
        text_hash=text_hash,
        language=language,
        created_at=now,
        changed_at=now,
        share_id=listed.share_id if listed else None,
        work_count=len(works),
        works=[
            EnquiryWork(position=place, group_id=one.group_id, title=one.title, line=one.line)
            for place, one in enumerate(works, start=1)
        ],
    )
    session.add(enquiry)
    session.flush()
    return enquiry


def _check_flood(session: Session, now: datetime) -> None:
    for most, age in ((MAX_PER_HOUR, timedelta(hours=1)), (MAX_PER_DAY, timedelta(days=1))):
        recent = select(Enquiry.id).where(Enquiry.created_at > now - age).limit(most).subquery()
        if (session.scalar(select(func.count()).select_from(recent)) or 0) >= most:
            raise TooManyEnquiriesError(600)


# --- Reading --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Page:
    """Enquiries from new to old. ``next_before`` is the ``before`` of the following page."""

    enquiries: Sequence[Enquiry]
    next_before: int | None


def list_enquiries(
    session: Session, state: str = "new", words: str = "", before: int | None = None
) -> Page:
    """List a page of the inbox.

    :param state: a key of ``FILTERS``.
    :param words: all of them are in the name, address, message, note or title of the work.
    """
    query = select(Enquiry).order_by(Enquiry.id.desc()).limit(PER_PAGE + 1)
    if state != "all":
        query = query.where(Enquiry.state == state)
    if before is not None:
        query = query.where(Enquiry.id < before)
    for word in words.split()[:10]:
        columns = (Enquiry.name, Enquiry.email, Enquiry.message, Enquiry.work, Enquiry.note)
        query = query.where(or_(*(one.icontains(word, autoescape=True) for one in columns)))
    found = session.scalars(query).all()
    following = found[PER_PAGE - 1].id if len(found) > PER_PAGE else None
    return Page(found[:PER_PAGE], following)


def get_enquiry(session: Session, number: int) -> Enquiry:
    """:raise NotFoundError: there is no such enquiry."""
    enquiry = session.get(Enquiry, number)
    if enquiry is None:
        raise NotFoundError("enquiry", number)
    return enquiry


def count_state(session: Session, state: str) -> int:
    """Count the enquiries of a state, up to one more than ``MAX_COUNTED``."""
    found = select(Enquiry.id).where(Enquiry.state == state).limit(MAX_COUNTED + 1).subquery()
    return session.scalar(select(func.count()).select_from(found)) or 0


def list_of_share(session: Session, share_id: int, before: int | None = None) -> Page:
    """List a page of the lists that visitors of a share link have sent, without spam."""
    query = (
        select(Enquiry)
        .where(Enquiry.share_id == share_id, Enquiry.state != "spam")
        .order_by(Enquiry.id.desc())
        .limit(LISTS_PER_PAGE + 1)
        .options(selectinload(Enquiry.works))
    )
    if before is not None:
        query = query.where(Enquiry.id < before)
    found = session.scalars(query).all()
    following = found[LISTS_PER_PAGE - 1].id if len(found) > LISTS_PER_PAGE else None
    return Page(found[:LISTS_PER_PAGE], following)


def count_lists(session: Session, share_ids: Sequence[int]) -> dict[int, int]:
    """Count the lists that visitors of share links have sent, without spam: link → number."""
    query = (
        select(Enquiry.share_id, func.count())
        .where(Enquiry.share_id.in_(share_ids), Enquiry.state != "spam")
        .group_by(Enquiry.share_id)
    )
    return {share_id: count for share_id, count in session.execute(query) if share_id is not None}


# --- Acts -----------------------------------------------------------------------------------------


def get_some(session: Session, numbers: Sequence[int]) -> list[Enquiry]:
    """Return the enquiries of these numbers that exist, from new to old.

    :raise InvalidInputError: none was selected.
    :raise NotFoundError: none of them exists any more.
    """
    if not numbers:
        raise InvalidInputError(mark("Select enquiries first."), {"enquiry": "is empty"})
    found = [
        one
        for batch in make_batches(sorted(set(numbers), reverse=True))
        for one in session.scalars(select(Enquiry).where(Enquiry.id.in_(batch)))
    ]
    if not found:
        raise NotFoundError("enquiry", numbers[0])
    return sorted(found, key=lambda one: -one.id)


def set_state(
    session: Session, numbers: Sequence[int], state: str, user_id: int | None = None
) -> list[Enquiry]:
    """Set the state of enquiries; return those that had another one. Raises as ``get_some``.

    :param user_id: of whoever answered.
    """
    changed = [one for one in get_some(session, numbers) if one.state != state]
    for one in changed:
        one.state, one.changed_at = state, now_utc()
        one.user_id = user_id if state == "answered" else one.user_id
        if state != "spam":
            one.spam_reason = ""
    session.flush()
    return changed


def save_note(session: Session, number: int, note: str) -> Enquiry:
    """Save what people note about an enquiry. :raise InvalidInputError: it is too long."""
    enquiry = get_enquiry(session, number)
    note = drop_controls(note.replace("\r\n", "\n")).strip()
    if len(note) > MAX_NOTE_CHARS:
        fault = Message("Use at most %(num)s characters.", num=MAX_NOTE_CHARS)
        raise InvalidInputError(fault, {"note": fault})
    enquiry.note = note
    session.flush()
    return enquiry


def delete_enquiries(session: Session, numbers: Sequence[int]) -> int:
    """Delete enquiries for good; return how many. Raises as ``get_some``."""
    found = get_some(session, numbers)
    for one in found:
        session.delete(one)
    session.flush()
    return len(found)


def export(enquiries: Sequence[Enquiry]) -> list[dict[str, Any]]:
    """Return all that is stored of enquiries, for whoever wrote them."""
    return [
        {
            "number": one.id,
            "share_number": one.share_id,
            "received": one.created_at.isoformat(timespec="seconds"),
            "name": one.name,
            "email": one.email,
            "message": one.message,
            "work": one.work,
            "work_number": one.group_id,
            "works": [
                {"number": work.group_id, "title": work.title, "line": work.line}
                for work in one.works
            ],
            "language": one.language,
            "state": one.state,
            "note": one.note,
            "changed": one.changed_at.isoformat(timespec="seconds"),
        }
        for one in enquiries
    ]


# --- The end --------------------------------------------------------------------------------------


def find_age(months: int) -> timedelta:
    """Return how long an enquiry is kept."""
    return timedelta(days=months * 365 / 12)


@own_transaction
def delete_expired(session: Session, months: int) -> int:
    """Delete enquiries whose time is over, and spam earlier; return how many they were."""
    now = now_utc()
    spam_end = max(now - SPAM_KEPT, now - find_age(months))
    is_old = Enquiry.created_at < now - find_age(months)
    is_old_spam = (Enquiry.state == "spam") & (Enquiry.created_at < spam_end)
    return count_rows(session, delete(Enquiry).where(or_(is_old, is_old_spam)))


def describe_states(session: Session) -> Mapping[str, int]:
    """Count the enquiries of each state, up to one more than ``MAX_COUNTED``."""
    return {state: count_state(session, state) for state in STATES}
