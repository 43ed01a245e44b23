"""Login throttling: count failed sign-ins by name and by address."""

import hashlib
import hmac
import ipaddress
import math
import secrets
from datetime import datetime, timedelta

from sqlalchemy import case, delete, insert, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from imagehub.database import count_rows, now_utc, run_in_own_transaction
from imagehub.domain.vault import derive_key
from imagehub.errors import (
    TooManyTriesError,
)
from imagehub.models import SignInFailure, User

# Five tries are free, then each failure doubles the wait. A name never waits long, so that nobody
# can lock its owner out by failing on purpose; an address may.
FREE_TRIES = 5
FIRST_WAIT_SECONDS = 2
LONGEST_NAME_WAIT_SECONDS = 30
LONGEST_ADDRESS_WAIT_SECONDS = 900
FORGET_FAILURES_AFTER = timedelta(hours=6)


def take_back_attempt(session: Session, address_counter: str | None, name_counter: str) -> None:
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
    return hmac.new(derive_key(secret_key, "known devices"), text, hashlib.sha256).hexdigest()


def delete_old_failures(session: Session, now: datetime | None = None) -> int:
    """Forget counters that nothing has moved for long.

    :return: how many there were.
    """
    before = (now or now_utc()) - FORGET_FAILURES_AFTER
    return count_rows(session, delete(SignInFailure).where(SignInFailure.last_failed_at < before))


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
    key = make_counter_key(secret_key, kind, value)
    run_in_own_transaction(
        session, lambda own: _count_try(own, key, longest_wait_seconds, now_utc())
    )


def forget_attempts(session: Session, secret_key: str, kind: str, value: str) -> None:
    """Take back what :func:`count_attempt` counted."""
    key = make_counter_key(secret_key, kind, value)
    run_in_own_transaction(
        session, lambda own: own.execute(delete(SignInFailure).where(SignInFailure.key == key))
    )


def count_tries(session: Session, address_counter: str | None, name_counter: str) -> None:
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
        counted = count_rows(
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


def make_counter_key(secret_key: str, kind: str, value: str) -> str:
    """A keyed hash, so that the table tells nobody which names and addresses were tried."""
    text = f"{kind}:{value}".encode("utf-8", "replace")
    return hmac.new(derive_key(secret_key, "sign-in failures"), text, hashlib.sha256).hexdigest()


def simplify_address(address: str) -> str:
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
