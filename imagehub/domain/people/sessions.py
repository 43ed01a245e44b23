"""Sessions: one browser in which a person is signed in.

The browser's cookie is ``<user id>.<password version>.<random word>``; the table holds the word's
SHA-256. A session ends when it was not used for a while, 90 days after the sign-in in any case,
when it is signed out, or when the password changes.
"""

import hashlib
import re
import secrets
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, delete, or_, select, update
from sqlalchemy.orm import Session

from imagehub.database import count_rows, now_utc, own_transaction
from imagehub.errors import NotFoundError
from imagehub.messages import Message, mark
from imagehub.models import SignInSession, User

# Browsers drop a session that is not remembered when they are closed; the table does after a day.
IDLE = timedelta(days=1)
IDLE_REMEMBERED = timedelta(days=30)
# From the sign-in on, however often the session is used.
LONGEST = timedelta(days=90)
_NOTE_SEEN_AFTER = timedelta(minutes=1)


def open_session(
    session: Session, user: User, address: str, browser: str, is_remembered: bool
) -> SignInSession:
    """Open a session. Flushed, not committed.

    ``user.get_id()`` is the browser's cookie from then on.

    :param browser: the User-Agent header.
    """
    word = secrets.token_urlsafe(24)
    opened = SignInSession(
        user_id=user.id,
        word_hash=hash_secret(word),
        is_remembered=is_remembered,
        address=address[:64],
        browser=browser[:400],
    )
    session.add(opened)
    session.flush()
    user.session_word = word
    return opened


def find_session(session: Session, cookie: str) -> tuple[User, SignInSession] | None:
    """Find the user and session of a cookie; None for one that has ended.

    :param cookie: what :meth:`imagehub.models.User.get_id` returned.
    """
    head, _, tail = cookie.partition(".")
    version, _, word = tail.partition(".")
    if not (head.isascii() and head.isdecimal() and len(head) < 10 and word):
        return None
    row = session.execute(
        select(User, SignInSession)
        .join(SignInSession, SignInSession.user_id == User.id)
        .where(
            SignInSession.word_hash == hash_secret(word),
            User.id == int(head),
            User.disabled_at.is_(None),
        )
    ).one_or_none()
    if row is None:
        return None
    user, opened = row
    now, idle = now_utc(), IDLE_REMEMBERED if opened.is_remembered else IDLE
    if now - opened.last_seen_at > idle or now - opened.created_at > LONGEST:
        return None
    if version != str(user.credentials_version):
        return None
    user.session_word = word
    return user, opened


def note_seen(session: Session, opened: SignInSession, address: str) -> None:
    """Save when and from where the session was last used, at most once a minute.

    The caller must hold no uncommitted change.
    """
    now, address = now_utc(), address[:64]
    if now - opened.last_seen_at >= _NOTE_SEEN_AFTER or opened.address != address:
        _save_seen(session, opened.id, now, address)


@own_transaction
def _save_seen(session: Session, session_id: int, now: datetime, address: str) -> None:
    session.execute(
        update(SignInSession)
        .where(SignInSession.id == session_id)
        .values(last_seen_at=now, address=address)
    )


def is_over(now: datetime) -> ColumnElement[bool]:
    """Make the condition for the rows of sessions that have ended by themselves."""
    seen_at = SignInSession.last_seen_at
    return or_(
        SignInSession.created_at < now - LONGEST,
        seen_at < now - IDLE_REMEMBERED,
        ~SignInSession.is_remembered & (seen_at < now - IDLE),
    )


def list_sessions(session: Session, user: User) -> list[SignInSession]:
    """List a person's open sessions, the last used first."""
    own = select(SignInSession).where(SignInSession.user_id == user.id, ~is_over(now_utc()))
    order = (SignInSession.last_seen_at.desc(), SignInSession.id.desc())
    return list(session.scalars(own.order_by(*order)))


def end_session(session: Session, user: User, session_id: int) -> str:
    """End one of a person's sessions.

    :return: the User-Agent header that it was opened with.
    :raise NotFoundError: no such session of theirs.
    """
    this_one = (SignInSession.id == session_id, SignInSession.user_id == user.id)
    browser = session.scalar(select(SignInSession.browser).where(*this_one))
    if browser is None or not count_rows(session, delete(SignInSession).where(*this_one)):
        raise NotFoundError("session", session_id)
    return browser


def end_other_sessions(session: Session, user: User, kept_id: int) -> int:
    """End all sessions of a person except one; how many they were."""
    others = (SignInSession.user_id == user.id, SignInSession.id != kept_id)
    return count_rows(session, delete(SignInSession).where(*others))


def hash_secret(secret: str) -> str:
    """Return the SHA-256 of a random secret, by which it is found without being stored."""
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()


# Newer browsers first: many of them also name older ones.
_BROWSERS = (
    (r"Edg(e|A|iOS)?/", "Edge"),
    (r"OPR/|Opera", "Opera"),
    (r"SamsungBrowser/", "Samsung Internet"),
    (r"Firefox/|FxiOS/", "Firefox"),
    (r"Chrome/|CriOS/|Chromium/", "Chrome"),
    (r"Safari/", "Safari"),
    (r"curl/", "curl"),
)
_SYSTEMS = (
    (r"iPhone", "iPhone"),
    (r"iPad", "iPad"),
    (r"Android", "Android"),
    (r"Windows", "Windows"),
    (r"Mac OS X|Macintosh", "Mac"),
    (r"CrOS", "ChromeOS"),
    (r"Linux|X11", "Linux"),
)


def describe_browser(user_agent: str) -> str:
    """Guess browser and system from a User-Agent header: ``Firefox on Windows``."""
    browser = next((name for sign, name in _BROWSERS if re.search(sign, user_agent)), "")
    system = next((name for sign, name in _SYSTEMS if re.search(sign, user_agent)), "")
    if browser and system:
        return Message("%(browser)s on %(system)s", browser=browser, system=system)
    return browser or system or mark("an unknown browser")
