"""The second factor: six digits from an authenticator app, or a recovery code.

Source: RFC 6238 (TOTP: 30 seconds, SHA-1, six digits) and the key URI format of authenticator apps.
"""

import base64
import hashlib
import hmac
import io
import secrets
from datetime import datetime

import pyotp
import segno
from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from imagehub.clients import Vault
from imagehub.database import count_rows, now_utc
from imagehub.domain.people import throttle
from imagehub.errors import ConflictError, InvalidInputError, NotAllowedError
from imagehub.models import RecoveryCode, SecondFactor, User

STEP_SECONDS = 30
RECOVERY_CODE_COUNT = 10
WRONG_SENTENCE = "This code is not right, or it has been used."
_ON_ALREADY = "The second step is on already, or was not begun."
# Whoever gets as far as this knows the password, so that the wait may grow longer than there. The
# owner does not wait with them at a browser that has given a code before: see ``make_device_mark``.
LONGEST_WAIT_SECONDS = 600


def is_on(session: Session, user_id: int) -> bool:
    """Whether this person's sign-in asks for a code."""
    return _find_confirmed(session, user_id) is not None


def begin(session: Session, vault: Vault, user: User) -> str:
    """Make a secret for an authenticator app; it counts once :func:`confirm` has seen a code.

    :return: the secret in base32. Asking again gives the same until it is confirmed.
    :raise ConflictError: there is a second factor already.
    """
    row = session.get(SecondFactor, user.id)
    if row is not None and row.confirmed_at is not None:
        raise ConflictError("The second step is on already.")
    if row is not None:
        try:
            return vault.open(row.secret)
        except ValueError:
            session.delete(row)
            session.flush()
    secret = pyotp.random_base32()
    session.add(SecondFactor(user_id=user.id, secret=vault.seal(secret)))
    session.flush()
    return secret


def confirm(
    session: Session, vault: Vault, user: User, code: str, now: datetime | None = None
) -> list[str]:
    """Switch the second factor on with the first code of the app.

    :return: recovery codes, to be shown once.
    :raise InvalidInputError: not the code of this moment; ``fields`` names ``code``.
    :raise ConflictError: nothing was begun, or it is on already.
    """
    row = session.get(SecondFactor, user.id)
    if row is None or row.confirmed_at is not None:
        raise ConflictError(_ON_ALREADY)
    step = _find_step(_open(vault, row), code, now or now_utc())
    if step is None:
        fault = "This is not the code of this moment. Is the clock of your phone right?"
        raise InvalidInputError(fault, {"code": fault})
    # Of two clicks at once, one finds the row as it was: the codes of the other would end its own.
    is_first = count_rows(
        session,
        update(SecondFactor)
        .where(SecondFactor.user_id == user.id, SecondFactor.confirmed_at.is_(None))
        .values(confirmed_at=now or now_utc(), last_step=step),
    )
    if not is_first:
        raise ConflictError(_ON_ALREADY)
    return make_recovery_codes(session, user)


def check(
    session: Session,
    vault: Vault,
    secret_key: str,
    user: User,
    code: str,
    now: datetime | None = None,
    device_mark: str = "",
) -> bool:
    """Check a code at a sign-in and use it up. The caller commits, and must hold no change.

    :param code: of the app, or a recovery code; spaces and hyphens do not matter.
    :param device_mark: what :func:`make_device_mark` gave this browser. Its wrong codes are
        counted by themselves.
    :return: whether it was a recovery code, of which there is one less now.
    :raise NotAllowedError: wrong, or used before.
    :raise TooManyTriesError: nothing was checked.
    """
    user_id = user.id
    counter = _name_counter(session, secret_key, user_id, device_mark)
    throttle.count_attempt(session, secret_key, "code", counter, LONGEST_WAIT_SECONDS)
    row = _find_confirmed(session, user_id)
    if row is None:
        raise NotAllowedError(WRONG_SENTENCE)
    if _use_code(session, vault, row, code, now or now_utc()):
        return False
    if _use_recovery(session, user_id, code):
        return True
    raise NotAllowedError(WRONG_SENTENCE)


def forget_attempts(session: Session, secret_key: str, user_id: int, device_mark: str = "") -> None:
    """After a success has been committed: wrong codes before it count no more."""
    counter = _name_counter(session, secret_key, user_id, device_mark)
    throttle.forget_attempts(session, secret_key, "code", counter)


def make_device_mark(session: Session, secret_key: str, user_id: int) -> str:
    """What a browser keeps after a code was right, to be known again; "" without a second factor.

    It is not the mark of the passwords: of those, who knows the password may have gathered any
    number before the second factor was switched on, each good for some tries of its own.
    """
    row = _find_confirmed(session, user_id)
    return "" if row is None else throttle.make_mark(secret_key, _name_factor(row))


def _name_counter(session: Session, secret_key: str, user_id: int, device_mark: str) -> str:
    row = _find_confirmed(session, user_id)
    is_known = row is not None and throttle.is_mark(secret_key, device_mark, _name_factor(row))
    session.rollback()  # Ends the reading, so that the short transaction is not kept waiting.
    return f"{user_id} {device_mark}" if is_known else str(user_id)


def _name_factor(row: SecondFactor) -> str:
    """One person's second factor, and not the one that they had before."""
    assert row.confirmed_at is not None
    return f"second factor of {row.user_id} since {int(row.confirmed_at.timestamp())}"


def turn_off(session: Session, user: User) -> bool:
    """Ask for the password alone again; whether there was a second factor, confirmed or not."""
    session.execute(delete(RecoveryCode).where(RecoveryCode.user_id == user.id))
    return bool(count_rows(session, delete(SecondFactor).where(SecondFactor.user_id == user.id)))


def make_recovery_codes(session: Session, user: User) -> list[str]:
    """New recovery codes in place of all older ones, to be shown once. 80 bits each."""
    session.execute(delete(RecoveryCode).where(RecoveryCode.user_id == user.id))
    codes = []
    for _ in range(RECOVERY_CODE_COUNT):
        plain = base64.b32encode(secrets.token_bytes(10)).decode().lower()
        codes.append("-".join(plain[at : at + 4] for at in range(0, 16, 4)))
        session.add(RecoveryCode(user_id=user.id, code_hash=_hash(plain)))
    session.flush()
    return codes


def count_recovery_codes(session: Session, user: User) -> int:
    """How many are left."""
    query = select(func.count()).select_from(RecoveryCode).where(RecoveryCode.user_id == user.id)
    return session.scalar(query) or 0


def make_uri(secret: str, name: str, issuer: str) -> str:
    """The address that authenticator apps read from the QR code."""
    return pyotp.TOTP(secret).provisioning_uri(name=name, issuer_name=issuer)


def draw_qr(uri: str) -> str:
    """The QR code as an ``<svg>`` element: dark on light, whatever the page's theme."""
    drawn = io.BytesIO()
    segno.make(uri, error="m").save(
        drawn, kind="svg", xmldecl=False, svgns=True, border=4, scale=1, omitsize=True,
        dark="#111", light="#fff", title="QR code for the authenticator app",
    )  # fmt: skip
    return drawn.getvalue().decode()


def reseal(session: Session, vault: Vault) -> int:
    """Encrypt all secrets anew with the first of the vault's keys; how many there were."""
    count = 0
    for row in session.scalars(select(SecondFactor)):
        try:
            row.secret = vault.seal(vault.open(row.secret))
        except ValueError:
            continue
        count += 1
    session.flush()
    return count


def _find_confirmed(session: Session, user_id: int) -> SecondFactor | None:
    row = session.get(SecondFactor, user_id)
    return row if row is not None and row.confirmed_at is not None else None


def _open(vault: Vault, row: SecondFactor) -> str:
    try:
        return vault.open(row.secret)
    except ValueError:
        # The key was changed without the old one beside it: recovery codes still open the door.
        return ""


def _find_step(secret: str, code: str, now: datetime) -> int | None:
    """The 30 seconds that a code belongs to: these, those before or those after (RFC 6238, 5.2)."""
    digits = "".join(code.split()).replace("-", "")
    if not secret or len(digits) != 6 or not digits.isascii():
        return None
    this = int(now.timestamp()) // STEP_SECONDS
    totp = pyotp.TOTP(secret)
    found = None
    for step in (this - 1, this, this + 1):
        if hmac.compare_digest(totp.generate_otp(step), digits):
            found = step
    return found


def _use_code(session: Session, vault: Vault, row: SecondFactor, code: str, now: datetime) -> bool:
    step = _find_step(_open(vault, row), code, now)
    # Of two that come with one code, one finds the row as it was.
    return step is not None and bool(
        count_rows(
            session,
            update(SecondFactor)
            .where(SecondFactor.user_id == row.user_id, SecondFactor.last_step < step)
            .values(last_step=step),
        )
    )


def _use_recovery(session: Session, user_id: int, code: str) -> bool:
    plain = "".join(code.split()).replace("-", "").lower()
    return len(plain) == 16 and bool(
        count_rows(
            session,
            delete(RecoveryCode).where(
                RecoveryCode.user_id == user_id, RecoveryCode.code_hash == _hash(plain)
            ),
        )
    )


def _hash(plain: str) -> str:
    return hashlib.sha256(plain.encode("utf-8", "replace")).hexdigest()
