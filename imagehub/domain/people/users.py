"""Accounts of people who may sign in: names, passwords, signing in.

Names compare without case and in Unicode's compatibility form. A token or session carries the
version of the password it was made with, so that a new password ends all of them.
"""

import unicodedata
from collections.abc import Collection
from contextlib import suppress

from sqlalchemy import delete, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from imagehub.database import count_rows, end_read, now_utc
from imagehub.domain.people import passwords, throttle
from imagehub.domain.vault import SigningKeys
from imagehub.errors import BusyError, ConflictError, InvalidInputError, NotAllowedError
from imagehub.messages import Message, mark
from imagehub.models import SignInSession, User

MAX_NAME_CHARS = 150
WRONG_SENTENCE = "username or password did not match"


# --- Names and passwords --------------------------------------------------------------------------


def make_name_key(name: str) -> str:
    """Normalise a name, so that two spellings of it are equal."""
    return passwords.fold(name).strip()


def find_user(session: Session, name: str) -> User | None:
    """Find a person by name, in whatever case."""
    key = make_name_key(name)
    user = session.scalars(select(User).where(User.name_key == key)).one_or_none()
    # MySQL's usual collations call "é" and "e" equal; a sign-in must not.
    return user if user is not None and user.name_key == key else None


def has_admins(session: Session) -> bool:
    """Tell whether there is an account at all."""
    return session.scalars(select(User.id).limit(1)).first() is not None


def create_admin(session: Session, name: str, password: str, site_title: str = "") -> User:
    """Create an account. Flushed, not committed.

    :param site_title: which the password must not resemble.
    :raise InvalidInputError: the name or the password cannot be used; ``fields`` says why.
    :raise ConflictError: the name is taken.
    """
    passwords.check_new_password(password, name, site_title)
    user = User(password_hash=passwords.make_hash(password))
    change_name(session, user, name)
    return user


def change_name(session: Session, user: User, name: str) -> None:
    """Name or rename an account. Raises as :func:`create_admin`."""
    name = unicodedata.normalize("NFC", name).strip()
    key = make_name_key(name)
    fault = ""
    if not key:
        fault = mark("Enter a name.")
    elif len(name) > MAX_NAME_CHARS or len(key) > MAX_NAME_CHARS:
        fault = Message("A name can have at most %(num)s characters.", num=MAX_NAME_CHARS)
    elif any(unicodedata.category(char) in ("Cc", "Cs") for char in name):
        fault = mark("The name contains a character that cannot be shown.")
    if fault:
        raise InvalidInputError(fault, {"name": fault})
    holder = session.scalars(select(User.id).where(User.name_key == key)).first()
    if holder is not None and holder != user.id:
        raise ConflictError("This name is taken.")
    user.name, user.name_key = name, key
    session.add(user)
    try:
        session.flush()
    except IntegrityError as error:
        raise ConflictError("This name is taken.") from error


def change_language(session: Session, user: User, language: str, known: Collection[str]) -> None:
    """Set the language of a person's admin pages; "" for that of any visitor.

    :raise InvalidInputError: not one of the known languages.
    """
    if language and language not in known:
        raise InvalidInputError("There is no such language.", {"language": "unknown"})
    user.language = language
    session.flush()


def change_password(session: Session, user: User, password: str, site_title: str = "") -> None:
    """Set a new password, and end all sessions and sign-in tokens of the account.

    :param site_title: which the password must not resemble.
    :raise InvalidInputError: too short, too long, or easy to guess.
    """
    passwords.check_new_password(password, user.name, site_title)
    user.password_hash = passwords.make_hash(password)
    user.credentials_version += 1
    session.execute(delete(SignInSession).where(SignInSession.user_id == user.id))
    session.flush()


def check_password(user: User, password: str) -> bool:
    """Tell whether this is the person's password. Takes about half a second on purpose.

    :raise BusyError: nothing was checked.
    """
    return passwords.is_right(user.password_hash, password)


# --- Signing in -----------------------------------------------------------------------------------


def sign_in(
    session: Session,
    keys: SigningKeys,
    name: str,
    password: str,
    address: str,
    device_mark: str = "",
) -> User:
    """Check a name and a password, with login throttling.

    The attempt is counted before the password is checked and uncounted when it was right, so that
    concurrent attempts are counted like those one after the other. A hash with other parameters
    than new ones is replaced. The caller must hold no uncommitted change, and commits afterwards.

    :param address: IP address of the caller.
    :param device_mark: what :func:`make_device_mark` gave this browser after an earlier success.
    :raise NotAllowedError: wrong, with the same words and in the same time for unknown names and
        disabled accounts.
    :raise TooManyTriesError: nothing was checked; ``retry_after_seconds`` says when it will be.
    """
    counters = throttle.make_counters(keys, make_name_key(name), address, device_mark)
    attempts = throttle.count_sign_in(session, counters)

    user = find_user(session, name)
    user_id, stored, version = 0, "", 0
    if user is not None and user.disabled_at is None:
        user_id, stored, version = user.id, user.password_hash, user.credentials_version
    end_read(session)
    with throttle.unless_busy(session, attempts):
        is_right = passwords.is_right(stored, password)
    if not is_right:
        raise NotAllowedError(WRONG_SENTENCE)

    throttle.forget_sign_in(session, counters)
    fresh = stored
    if passwords.is_outdated(stored):
        with suppress(BusyError):
            fresh = passwords.make_hash(password)
    found = session.get(User, user_id)
    # A new version: the password was changed or the account disabled in between.
    if found is None or found.credentials_version != version:
        raise NotAllowedError(WRONG_SENTENCE)
    if fresh != stored:
        # Unless another sign-in has just replaced it too.
        same = (User.id == user_id, User.password_hash == stored)
        count_rows(session, update(User).where(*same).values(password_hash=fresh))
    found.last_sign_in_at = now_utc()
    session.flush()
    return found


def make_device_mark(keys: SigningKeys, user: User) -> str:
    """Make what a browser keeps after a success, to be recognised at the next sign-in."""
    return throttle.make_mark(keys, user.name_key)


def check_password_again(session: Session, keys: SigningKeys, user: User, password: str) -> None:
    """Ask for the password again before something grave, with throttling of its own.

    The caller must hold no uncommitted change.

    :raise InvalidInputError: not their password; ``fields`` names ``password``.
    :raise TooManyTriesError: nothing was checked.
    """
    user_id, stored = user.id, user.password_hash
    end_read(session)
    attempt = throttle.count_attempt(session, keys, "password again", str(user_id))
    with throttle.unless_busy(session, [attempt]):
        is_right = passwords.is_right(stored, password)
    if not is_right:
        fault = mark("This is not your password.")
        raise InvalidInputError(fault, {"password": fault})
    end_read(session)
    throttle.forget_attempts(session, keys, "password again", str(user_id))
