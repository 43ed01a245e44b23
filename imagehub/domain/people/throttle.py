"""Login throttling: count failed attempts by name, address and browser, and make guessers wait.

Five attempts are free, then each failure doubles the wait. A name never waits long, so that nobody
can lock its owner out by failing on purpose; an address may.
"""

import ipaddress
import math
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import case, delete, insert, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from imagehub.database import count_rows, now_utc, own_transaction
from imagehub.domain.vault import SigningKeys
from imagehub.errors import BusyError, TooManyTriesError
from imagehub.models import SignInFailure

FREE_TRIES = 5
FIRST_WAIT_SECONDS = 2
LONGEST_NAME_WAIT_SECONDS = 30
LONGEST_ADDRESS_WAIT_SECONDS = 900
FORGET_FAILURES_AFTER = timedelta(hours=6)


# --- Signing in -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class SignInCounters:
    """The counters of one sign-in; ``address`` is None at a browser that was used before."""

    name: str
    address: str | None


def make_counters(
    keys: SigningKeys, name_key: str, address: str, device_mark: str = ""
) -> SignInCounters:
    """Choose the counters of a sign-in.

    :param device_mark: what :func:`make_mark` gave this browser after an earlier success. Its
        failures are counted by themselves, so that strangers who fail on purpose, from however
        many addresses or from the owner's own (all users of one proxy may share it), never keep
        the owner waiting at a browser that was used before.
    """
    if is_mark(keys, device_mark, name_key):
        return SignInCounters(_make_key(keys, "device", device_mark), None)
    return SignInCounters(
        _make_key(keys, "name", name_key),
        _make_key(keys, "address", simplify_address(address)),
    )


@own_transaction
def count_sign_in(session: Session, counters: SignInCounters) -> "list[Attempt]":
    """Count an attempt to sign in, before the password is checked.

    :return: what :func:`unless_busy` takes back.
    :raise TooManyTriesError: one of the counters has to wait; nothing was counted.
    """
    now, counted = now_utc(), []
    if counters.address is not None:
        counted = [_count_try(session, counters.address, LONGEST_ADDRESS_WAIT_SECONDS, now)]
    return [*counted, _count_try(session, counters.name, LONGEST_NAME_WAIT_SECONDS, now)]


@own_transaction
def forget_sign_in(session: Session, counters: SignInCounters) -> None:
    """Reset the name's counter and uncount the attempt of the address, after a success."""
    if counters.address is not None:
        failure = update(SignInFailure).where(SignInFailure.key == counters.address)
        fewer = SignInFailure.failed_count - 1
        session.execute(failure.values(failed_count=fewer, blocked_until=None))
    session.execute(delete(SignInFailure).where(SignInFailure.key == counters.name))
    delete_old_failures(session)


# --- Other things that could be guessed -----------------------------------------------------------


@own_transaction
def count_attempt(
    session: Session,
    keys: SigningKeys,
    kind: str,
    value: str,
    longest_wait_seconds: float = LONGEST_NAME_WAIT_SECONDS,
) -> "Attempt":
    """Count an attempt to guess a code, or a password that is asked for again.

    Call it before the check, and :func:`forget_attempts` after a success.

    :param kind: what is guessed; with ``value`` it names the counter.
    :return: what :func:`unless_busy` takes back.
    :raise TooManyTriesError: it has to wait; nothing was counted.
    """
    return _count_try(session, _make_key(keys, kind, value), longest_wait_seconds, now_utc())


@own_transaction
def forget_attempts(session: Session, keys: SigningKeys, kind: str, value: str) -> None:
    """Reset the counter of :func:`count_attempt`."""
    key = _make_key(keys, kind, value)
    session.execute(delete(SignInFailure).where(SignInFailure.key == key))


def delete_old_failures(session: Session, now: datetime | None = None) -> int:
    """Delete counters without a recent failure; how many they were."""
    before = (now or now_utc()) - FORGET_FAILURES_AFTER
    return count_rows(session, delete(SignInFailure).where(SignInFailure.last_failed_at < before))


# --- Attempts that were not checked ---------------------------------------------------------------


@dataclass(frozen=True)
class Attempt:
    """An attempt that was counted. ``blocked_until`` is the wait that it began."""

    key: str
    blocked_until: datetime | None


@contextmanager
def unless_busy(session: Session, attempts: Sequence[Attempt]) -> Iterator[None]:
    """Take attempts back if the check of the password is refused because of too much load."""
    try:
        yield
    except BusyError:
        _take_back(session, attempts)
        raise


@own_transaction
def _take_back(session: Session, attempts: Sequence[Attempt]) -> None:
    for attempt in attempts:
        own, until = SignInFailure.key == attempt.key, SignInFailure.blocked_until
        is_counted = (own, SignInFailure.failed_count > 0)
        fewer = SignInFailure.failed_count - 1
        session.execute(update(SignInFailure).where(*is_counted).values(failed_count=fewer))
        # Nobody else was counted during a wait, so it is still this one or over.
        if attempt.blocked_until is not None:
            is_own_wait = (own, until == attempt.blocked_until)
            session.execute(update(SignInFailure).where(*is_own_wait).values(blocked_until=None))


# --- Marks of browsers ----------------------------------------------------------------------------


def make_mark(keys: SigningKeys, subject: str) -> str:
    """Make what a browser keeps to be recognised: a random number, signed for the subject.

    It gives no access by itself.
    """
    number = secrets.token_hex(8)
    return f"{number}.{keys.sign('known devices', f'{number}:{subject}')}"


def is_mark(keys: SigningKeys, mark: str, subject: str) -> bool:
    """Tell whether :func:`make_mark` made it for this subject."""
    number, _, signature = mark.partition(".")
    return keys.is_signature(signature, "known devices", f"{number}:{subject}")


# --- Counters -------------------------------------------------------------------------------------


def _count_try(session: Session, key: str, longest_wait_seconds: float, now: datetime) -> Attempt:
    """Add one to a counter and set its wait, under the lock of its row.

    :raise TooManyTriesError: the wait is not over; nothing was counted.
    """
    own = SignInFailure.key == key
    is_old = SignInFailure.last_failed_at < now - FORGET_FAILURES_AFTER
    next_count = case((is_old, 1), else_=SignInFailure.failed_count + 1)
    for _ in range(3):
        counted = count_rows(
            session,
            update(SignInFailure)
            .where(
                own, or_(SignInFailure.blocked_until.is_(None), SignInFailure.blocked_until <= now)
            )
            # MySQL assigns from left to right: the comparison must see the old moment.
            .ordered_values(
                (SignInFailure.failed_count, next_count), (SignInFailure.last_failed_at, now)
            ),
        )
        row = session.execute(
            select(SignInFailure.failed_count, SignInFailure.blocked_until).where(own)
        ).one_or_none()
        if row is None:
            try:
                with session.begin_nested():
                    session.execute(
                        insert(SignInFailure).values(key=key, failed_count=1, last_failed_at=now)
                    )
                return Attempt(key, None)
            except IntegrityError:
                continue  # A concurrent attempt inserted the row: update that one.
        if not counted:
            wait = (row.blocked_until - now).total_seconds() if row.blocked_until else 1.0
            raise TooManyTriesError(max(1, math.ceil(wait)))
        until = None
        if row.failed_count >= FREE_TRIES:
            doublings = min(row.failed_count - FREE_TRIES, 20)
            wait = min(FIRST_WAIT_SECONDS * 2**doublings, longest_wait_seconds)
            until = now + timedelta(seconds=wait)
            session.execute(update(SignInFailure).where(own).values(blocked_until=until))
        return Attempt(key, until)
    raise TooManyTriesError(1)


def _make_key(keys: SigningKeys, kind: str, value: str) -> str:
    """Make a counter's key: a keyed hash, so that the table holds no names and addresses."""
    return keys.sign("sign-in failures", f"{kind}:{value}")


def simplify_address(address: str) -> str:
    """Keep an IPv4 address; of IPv6 only the /64 network, all of which one customer has."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped is not None:
            return str(ip.ipv4_mapped)
        return str(ipaddress.ip_network((ip, 64), strict=False))
    return str(ip)
