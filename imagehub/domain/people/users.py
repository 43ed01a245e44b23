"""Accounts of people who may sign in: names, passwords, signing in.

Names compare without case and in Unicode's compatibility form. Passwords are kept as scrypt
hashes. A token or session carries the version of the password it was made with, so that a new
password ends all of them.
"""

import unicodedata
from collections.abc import Collection

from sqlalchemy import delete, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session
from werkzeug.security import check_password_hash, generate_password_hash

from imagehub.database import end_read, now_utc
from imagehub.domain.people import throttle
from imagehub.errors import ConflictError, InvalidInputError, NotAllowedError
from imagehub.messages import Message, mark
from imagehub.models import SignInSession, User

MIN_PASSWORD_CHARS = 8
MAX_PASSWORD_CHARS = 1024
MAX_NAME_CHARS = 150
WRONG_SENTENCE = "username or password did not match"

# Checked for unknown names, so that both cases cost one scrypt with the same parameters. It is the
# hash of 32 random bytes that nobody kept.
_NOBODYS_HASH = (
    "scrypt:32768:8:1$al6NRo063KMBBg0G$"
    "79f4f7411d1a7bdbc1633f759741e35dca88363a5720ded7d89901362866075d"
    "dabb3998f4a01458d044bb58bed54533a09a2310aca9c3c19020826a5646c75f"
)


# --- Names and passwords --------------------------------------------------------------------------


def make_name_key(name: str) -> str:
    """Normalise a name, so that two spellings of it are equal."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold()).strip()


def find_user(session: Session, name: str) -> User | None:
    """Find a person by name, in whatever case."""
    key = make_name_key(name)
    user = session.scalars(select(User).where(User.name_key == key)).one_or_none()
    # MySQL's usual collations call "é" and "e" equal; a sign-in must not.
    return user if user is not None and user.name_key == key else None


def has_admins(session: Session) -> bool:
    """Tell whether there is an account at all."""
    return session.scalars(select(User.id).limit(1)).first() is not None


def create_admin(session: Session, name: str, password: str) -> User:
    """Create an account. Flushed, not committed.

    :raise InvalidInputError: the name or the password cannot be used; ``fields`` says why.
    :raise ConflictError: the name is taken.
    """
    user = User(password_hash=_hash_password(password))
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


def change_password(session: Session, user: User, password: str) -> None:
    """Set a new password, and end all sessions and sign-in tokens of the account.

    :raise InvalidInputError: too short or too long.
    """
    user.password_hash = _hash_password(password)
    user.credentials_version += 1
    session.execute(delete(SignInSession).where(SignInSession.user_id == user.id))
    session.flush()


def check_password(user: User, password: str) -> bool:
    """Tell whether this is the person's password. Takes about 50 ms on purpose."""
    return len(password) <= MAX_PASSWORD_CHARS and check_password_hash(user.password_hash, password)


def _hash_password(password: str) -> str:
    if len(password) < MIN_PASSWORD_CHARS:
        fault = Message("A password must have at least %(num)s characters.", num=MIN_PASSWORD_CHARS)
    elif len(password) > MAX_PASSWORD_CHARS:
        fault = Message("A password can have at most %(num)s characters.", num=MAX_PASSWORD_CHARS)
    else:
        return generate_password_hash(password, "scrypt")
    raise InvalidInputError(fault, {"password": fault})


# --- Signing in -----------------------------------------------------------------------------------


def sign_in(
    session: Session, secret_key: str, name: str, password: str, address: str, device_mark: str = ""
) -> User:
    """Check a name and a password, with login throttling.

    The attempt is counted before the password is checked and uncounted when it was right, so that
    concurrent attempts are counted like those one after the other. The caller must hold no
    uncommitted change, and commits afterwards.

    :param address: IP address of the caller.
    :param device_mark: what :func:`make_device_mark` gave this browser after an earlier success.
    :raise NotAllowedError: wrong, with the same words and in the same time for unknown names.
    :raise TooManyTriesError: nothing was checked; ``retry_after_seconds`` says when it will be.
    """
    counters = throttle.make_counters(secret_key, make_name_key(name), address, device_mark)
    throttle.count_sign_in(session, counters)

    user = find_user(session, name)
    stored = user.password_hash if user is not None else _NOBODYS_HASH
    is_right = check_password_hash(stored, password[:MAX_PASSWORD_CHARS])
    if user is None or not is_right or len(password) > MAX_PASSWORD_CHARS:
        raise NotAllowedError(WRONG_SENTENCE)

    user_id = user.id
    end_read(session)
    throttle.forget_sign_in(session, counters)
    found = session.get(User, user_id)
    if found is None:
        raise NotAllowedError(WRONG_SENTENCE)
    found.last_sign_in_at = now_utc()
    session.flush()
    return found


def make_device_mark(secret_key: str, user: User) -> str:
    """Make what a browser keeps after a success, to be recognised at the next sign-in."""
    return throttle.make_mark(secret_key, user.name_key)


def check_password_again(session: Session, secret_key: str, user: User, password: str) -> None:
    """Ask for the password again before something grave, with throttling of its own.

    The caller must hold no uncommitted change.

    :raise InvalidInputError: not their password; ``fields`` names ``password``.
    :raise TooManyTriesError: nothing was checked.
    """
    user_id = user.id
    end_read(session)
    throttle.count_attempt(session, secret_key, "password again", str(user_id))
    if not check_password(user, password):
        fault = mark("This is not your password.")
        raise InvalidInputError(fault, {"password": fault})
    end_read(session)
    throttle.forget_attempts(session, secret_key, "password again", str(user_id))
