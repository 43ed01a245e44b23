"""People who may sign in: their names, passwords, bearer tokens, and the brake on guessing.

Names compare without case and in Unicode's compatibility form. Passwords are kept as scrypt
hashes. A token or session carries the number of the password it was made with, so that a new
password ends all of them.
"""

import hashlib
import hmac
import ipaddress
import math
import secrets
import unicodedata
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import jwt
from sqlalchemy import CursorResult, case, delete, insert, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session
from werkzeug.security import check_password_hash, generate_password_hash

from imagehub.database import now_utc, run_in_own_transaction
from imagehub.errors import (
    ConflictError,
    InvalidInputError,
    NotAllowedError,
    TooManyTriesError,
)
from imagehub.models import RevokedToken, SignInFailure, SignInSession, User

MIN_PASSWORD_CHARS = 8
MAX_PASSWORD_CHARS = 1024
MAX_NAME_CHARS = 150
TOKEN_SECONDS = 3600
WRONG_SENTENCE = "username or password did not match"

# Five tries are free, then each failure doubles the wait. A name never waits long, so that nobody
# can lock its owner out by failing on purpose; an address may.
FREE_TRIES = 5
FIRST_WAIT_SECONDS = 2
LONGEST_NAME_WAIT_SECONDS = 30
LONGEST_ADDRESS_WAIT_SECONDS = 900
FORGET_FAILURES_AFTER = timedelta(hours=6)

# Checked where nobody has the name, so that both cases cost one scrypt with the same parameters.
# It is the hash of 32 random bytes that were thrown away.
_NOBODYS_HASH = (
    "scrypt:32768:8:1$al6NRo063KMBBg0G$"
    "79f4f7411d1a7bdbc1633f759741e35dca88363a5720ded7d89901362866075d"
    "dabb3998f4a01458d044bb58bed54533a09a2310aca9c3c19020826a5646c75f"
)


# --- Names and passwords --------------------------------------------------------------------------


def make_name_key(name: str) -> str:
    """The form in which two spellings of one name are equal."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold()).strip()


def find_user(session: Session, name: str) -> User | None:
    """The person of that name, whatever its case."""
    key = make_name_key(name)
    user = session.scalars(select(User).where(User.name_key == key)).one_or_none()
    # MySQL's usual collations call "é" and "e" equal; a sign-in must not.
    return user if user is not None and user.name_key == key else None


def has_admins(session: Session) -> bool:
    """Whether there is anybody who may sign in."""
    return session.scalars(select(User.id).limit(1)).first() is not None


def create_admin(session: Session, name: str, password: str) -> User:
    """Add a person who may sign in. Flushed, not committed.

    :raise InvalidInputError: the name or the password cannot be used; ``fields`` says why.
    :raise ConflictError: somebody has that name.
    """
    user = User(password_hash=_hash_password(password))
    _set_name(session, user, name)
    session.add(user)
    _flush_name(session)
    return user


def change_name(session: Session, user: User, name: str) -> None:
    """Give a person another name. Raises as :func:`create_admin`."""
    _set_name(session, user, name)
    _flush_name(session)


def change_password(session: Session, user: User, password: str) -> None:
    """Set a new password; every token and session made before ends with it.

    :raise InvalidInputError: too short or too long.
    """
    user.password_hash = _hash_password(password)
    user.credentials_version += 1
    session.execute(delete(SignInSession).where(SignInSession.user_id == user.id))
    session.flush()


def check_password(user: User, password: str) -> bool:
    """Whether this is the person's password. Takes about 50 ms on purpose."""
    return len(password) <= MAX_PASSWORD_CHARS and check_password_hash(user.password_hash, password)


def _hash_password(password: str) -> str:
    if len(password) < MIN_PASSWORD_CHARS:
        fault = f"A password needs at least {MIN_PASSWORD_CHARS} characters."
    elif len(password) > MAX_PASSWORD_CHARS:
        fault = f"A password has at most {MAX_PASSWORD_CHARS} characters."
    else:
        return generate_password_hash(password, "scrypt")
    raise InvalidInputError(fault, {"password": fault})


def _set_name(session: Session, user: User, name: str) -> None:
    name = unicodedata.normalize("NFC", name).strip()
    key = make_name_key(name)
    fault = ""
    if not key:
        fault = "A name is needed."
    elif len(name) > MAX_NAME_CHARS or len(key) > MAX_NAME_CHARS:
        fault = f"A name has at most {MAX_NAME_CHARS} characters."
    elif any(unicodedata.category(char) in ("Cc", "Cs") for char in name):
        fault = "The name holds a character that cannot be shown."
    if fault:
        raise InvalidInputError(fault, {"name": fault})
    holder = session.scalars(select(User.id).where(User.name_key == key)).first()
    if holder is not None and holder != user.id:
        raise ConflictError("Somebody has this name already.")
    user.name, user.name_key = name, key


def _flush_name(session: Session) -> None:
    try:
        session.flush()
    except IntegrityError as error:
        session.rollback()
        raise ConflictError("Somebody has this name already.") from error


# --- Signing in -----------------------------------------------------------------------------------


def sign_in(
    session: Session,
    secret_key: str,
    name: str,
    password: str,
    address: str,
    device_mark: str = "",
) -> User:
    """Check a name and a password, and count failures against the name and the address.

    The try is counted before the password is looked at and taken back when it was right, so that
    many tries at the same moment are counted like those one after the other. The caller must hold
    no uncommitted change, and commits afterwards.

    :param address: the caller's IP address.
    :param device_mark: what :func:`make_device_mark` gave this browser after an earlier success.
        Its failures are counted by themselves, so that strangers who fail on purpose, from however
        many addresses or from the owner's own (all who come through one proxy may share it), never
        keep the owner waiting at a browser that was used before.
    :raise NotAllowedError: wrong, with the same words and in the same time for unknown names.
    :raise TooManyTriesError: nothing was checked; ``retry_after_seconds`` says when it may be.
    """
    name_key = make_name_key(name)
    address_counter = None
    if is_mark(secret_key, device_mark, name_key):
        name_counter = _make_counter_key(secret_key, "device", device_mark)
    else:
        address_counter = _make_counter_key(secret_key, "address", _simplify_address(address))
        name_counter = _make_counter_key(secret_key, "name", name_key)
    _count_tries(session, address_counter, name_counter)

    user = find_user(session, name)
    stored = user.password_hash if user is not None else _NOBODYS_HASH
    is_right = check_password_hash(stored, password[:MAX_PASSWORD_CHARS])
    if user is None or not is_right or len(password) > MAX_PASSWORD_CHARS:
        raise NotAllowedError(WRONG_SENTENCE)

    user_id = user.id
    session.rollback()  # Ends the reading, so that the short transaction is not kept waiting.
    run_in_own_transaction(session, lambda own: _take_back(own, address_counter, name_counter))
    found = session.get(User, user_id)
    if found is None:
        raise NotAllowedError(WRONG_SENTENCE)
    found.last_sign_in_at = now_utc()
    session.flush()
    return found


def _take_back(session: Session, address_counter: str | None, name_counter: str) -> None:
    if address_counter is not None:
        session.execute(
            update(SignInFailure)
            .where(SignInFailure.key == address_counter)
            .values(failed_count=SignInFailure.failed_count - 1, blocked_until=None)
            .execution_options(synchronize_session=False)
        )
    session.execute(delete(SignInFailure).where(SignInFailure.key == name_counter))
    delete_old_failures(session)


def make_device_mark(secret_key: str, user: User) -> str:
    """What a browser keeps after a success, to be known again. It opens nothing by itself."""
    return make_mark(secret_key, user.name_key)


def make_mark(secret_key: str, subject: str) -> str:
    """A random number with a signature that binds it to the subject."""
    number = secrets.token_hex(8)
    return f"{number}.{_sign_mark(secret_key, number, subject)}"


def is_mark(secret_key: str, mark: str, subject: str) -> bool:
    """Whether :func:`make_mark` made it for this subject."""
    number, _, signature = mark.partition(".")
    expected = _sign_mark(secret_key, number, subject)
    return hmac.compare_digest(signature.encode("utf-8", "replace"), expected.encode())


def _sign_mark(secret_key: str, number: str, subject: str) -> str:
    text = f"{number}:{subject}".encode("utf-8", "replace")
    return hmac.new(_derive_key(secret_key, "known devices"), text, hashlib.sha256).hexdigest()


def delete_old_failures(session: Session, now: datetime | None = None) -> int:
    """Forget counters that nothing has moved for long.

    :return: how many there were.
    """
    before = (now or now_utc()) - FORGET_FAILURES_AFTER
    return _run(session, delete(SignInFailure).where(SignInFailure.last_failed_at < before))


def count_attempt(
    session: Session,
    secret_key: str,
    kind: str,
    value: str,
    longest_wait_seconds: float = LONGEST_NAME_WAIT_SECONDS,
) -> None:
    """Count a try of something else that could be guessed: a code, a password asked for again.

    Call it before looking, and :func:`forget_attempts` when it was right. A transaction of its
    own: the caller must hold no uncommitted change.

    :param kind: what is guessed; with ``value`` it names the counter.
    :raise TooManyTriesError: it has to wait; nothing was counted.
    """
    key = _make_counter_key(secret_key, kind, value)
    run_in_own_transaction(
        session, lambda own: _count_try(own, key, longest_wait_seconds, now_utc())
    )


def forget_attempts(session: Session, secret_key: str, kind: str, value: str) -> None:
    """Take back what :func:`count_attempt` counted."""
    key = _make_counter_key(secret_key, kind, value)
    run_in_own_transaction(
        session, lambda own: own.execute(delete(SignInFailure).where(SignInFailure.key == key))
    )


def check_password_again(session: Session, secret_key: str, user: User, password: str) -> None:
    """Make sure that it is really the person who sits there, before something grave.

    The caller must hold no uncommitted change.

    :raise InvalidInputError: not their password; ``fields`` names ``password``.
    :raise TooManyTriesError: nothing was checked.
    """
    user_id = user.id
    session.rollback()
    count_attempt(session, secret_key, "password again", str(user_id))
    if not check_password(user, password):
        fault = "This is not your password."
        raise InvalidInputError(fault, {"password": fault})
    session.rollback()
    forget_attempts(session, secret_key, "password again", str(user_id))


def _count_tries(session: Session, address_counter: str | None, name_counter: str) -> None:
    """Count one try against both, or against neither; without an address against the name alone.

    :raise TooManyTriesError: one of the two has to wait.
    """

    def count(own: Session) -> None:
        now = now_utc()
        if address_counter is not None:
            _count_try(own, address_counter, LONGEST_ADDRESS_WAIT_SECONDS, now)
        _count_try(own, name_counter, LONGEST_NAME_WAIT_SECONDS, now)

    run_in_own_transaction(session, count)


def _count_try(session: Session, key: str, longest_wait_seconds: float, now: datetime) -> None:
    """Add one to a counter and set its wait, all in one statement's row lock.

    :raise TooManyTriesError: the wait is not over; nothing was counted.
    """
    forgotten = SignInFailure.last_failed_at < now - FORGET_FAILURES_AFTER
    for _ in range(3):
        counted = _run(
            session,
            update(SignInFailure)
            .where(
                SignInFailure.key == key,
                or_(SignInFailure.blocked_until.is_(None), SignInFailure.blocked_until <= now),
            )
            # MySQL works from left to right and would see the new moment in the comparison.
            .ordered_values(
                (
                    SignInFailure.failed_count,
                    case((forgotten, 1), else_=SignInFailure.failed_count + 1),
                ),
                (SignInFailure.last_failed_at, now),
            )
            .execution_options(synchronize_session=False),
        )
        row = session.execute(
            select(SignInFailure.failed_count, SignInFailure.blocked_until).where(
                SignInFailure.key == key
            )
        ).one_or_none()
        if row is None:
            try:
                with session.begin_nested():
                    session.execute(
                        insert(SignInFailure).values(key=key, failed_count=1, last_failed_at=now)
                    )
                return
            except IntegrityError:
                continue  # Another try made the row in this very moment: count on that one.
        if not counted:
            wait = (row.blocked_until - now).total_seconds() if row.blocked_until else 1.0
            raise TooManyTriesError(max(1, math.ceil(wait)))
        if row.failed_count >= FREE_TRIES:
            doublings = min(row.failed_count - FREE_TRIES, 20)
            wait = min(FIRST_WAIT_SECONDS * 2**doublings, longest_wait_seconds)
            session.execute(
                update(SignInFailure)
                .where(SignInFailure.key == key)
                .values(blocked_until=now + timedelta(seconds=wait))
                .execution_options(synchronize_session=False)
            )
        return
    raise TooManyTriesError(1)


def _make_counter_key(secret_key: str, kind: str, value: str) -> str:
    """A keyed hash, so that the table tells nobody which names and addresses were tried."""
    text = f"{kind}:{value}".encode("utf-8", "replace")
    return hmac.new(_derive_key(secret_key, "sign-in failures"), text, hashlib.sha256).hexdigest()


def _simplify_address(address: str) -> str:
    """An IPv4 address as it is; of IPv6 the /64 network, all of which one customer has."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped is not None:
            return str(ip.ipv4_mapped)
        return str(ipaddress.ip_network((ip, 64), strict=False))
    return str(ip)


# --- Bearer tokens --------------------------------------------------------------------------------


@dataclass(frozen=True)
class TokenFacts:
    """What a good token says. ``jti`` is its own number, under which it can be revoked."""

    user_id: int
    credentials_version: int
    jti: str
    expires_at: datetime


def make_token(secret_key: str, user: User, now: datetime | None = None) -> str:
    """A bearer token for one hour (RFC 7519, HS256) with ``sub``, ``iat``, ``exp`` and ``jti``.

    ``ver`` is the number of the password it was made with.
    """
    moment = now or now_utc()
    claims = {
        "sub": str(user.id),
        "iat": int(moment.timestamp()),
        "exp": int(moment.timestamp()) + TOKEN_SECONDS,
        "jti": secrets.token_hex(16),
        "ver": user.credentials_version,
    }
    return jwt.encode(claims, _derive_key(secret_key, "bearer tokens"), algorithm="HS256")


def get_user_by_token(session: Session, secret_key: str, token: str) -> tuple[User, TokenFacts]:
    """The person a bearer token stands for.

    :raise NotAllowedError: malformed, unsigned, signed by somebody else, expired, revoked, or made
        with a password that has been changed since.
    """
    facts = _read_token(secret_key, token)
    user = session.get(User, facts.user_id)
    if user is None or user.credentials_version != facts.credentials_version:
        raise NotAllowedError("This token is no longer good. Please sign in again.")
    if session.get(RevokedToken, facts.jti) is not None:
        raise NotAllowedError("This token was revoked. Please sign in again.")
    return user, facts


def revoke_token(session: Session, facts: TokenFacts) -> None:
    """End a token before its time. Safe to call twice. Clears away what expired meanwhile."""
    session.execute(delete(RevokedToken).where(RevokedToken.expires_at < now_utc()))
    if session.get(RevokedToken, facts.jti) is None:
        session.add(RevokedToken(jti=facts.jti, expires_at=facts.expires_at))
        try:
            with session.begin_nested():
                session.flush()
        except IntegrityError:
            pass  # Revoked twice in one moment: it is revoked.


def use_up(session: Session, number: str, good_until: datetime) -> bool:
    """Use up something that is good once, such as a sealed word in a cookie.

    A transaction of its own: the caller must hold no uncommitted change.

    :param number: its random number, at most 64 characters.
    :param good_until: when it is worth nothing anyway; until then the number is remembered.
    :return: True for whoever comes first with it, False for all who come later.
    """

    def note(own: Session) -> bool:
        own.execute(delete(RevokedToken).where(RevokedToken.expires_at < now_utc()))
        try:
            with own.begin_nested():
                own.execute(insert(RevokedToken).values(jti=number, expires_at=good_until))
        except IntegrityError:
            return False
        return True

    return run_in_own_transaction(session, note)


def _read_token(secret_key: str, token: str) -> TokenFacts:
    try:
        claims = jwt.decode(
            token,
            _derive_key(secret_key, "bearer tokens"),
            algorithms=["HS256"],
            # A token of this very second, made on a machine whose clock is ahead, is good.
            options={"require": ["sub", "iat", "exp", "jti"], "verify_iat": False},
        )
        user_id, version = int(claims["sub"]), int(claims["ver"])
        jti = str(claims["jti"])
        expires_at = datetime.fromtimestamp(int(claims["exp"]), UTC)
    except jwt.ExpiredSignatureError:
        raise NotAllowedError("This token has expired. Please sign in again.") from None
    except (jwt.PyJWTError, KeyError, ValueError, TypeError, OverflowError):
        raise NotAllowedError("This is not a token that ImageHub made.") from None
    if not 0 < user_id < 1 << 31 or len(jti) > 64:
        raise NotAllowedError("This is not a token that ImageHub made.")
    return TokenFacts(user_id, version, jti, expires_at)


def _derive_key(secret_key: str, purpose: str) -> bytes:
    """A key of its own for each purpose, so that no signature of one passes for another's."""
    return hmac.new(secret_key.encode(), f"imagehub {purpose}".encode(), hashlib.sha256).digest()


def _run(session: Session, statement: Any) -> int:
    """How many rows the statement found."""
    return int(cast("CursorResult[Any]", session.execute(statement)).rowcount)
