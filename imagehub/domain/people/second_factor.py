"""Two-factor authentication: six digits from an authenticator app, or a recovery code.

Source: RFC 6238 (TOTP: 30 seconds, SHA-1, six digits) and the key URI format of authenticator apps.
"""

import hmac
import io
import unicodedata
from datetime import datetime

import pyotp
import segno
from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from imagehub.clients import Vault
from imagehub.database import count_rows, end_read, now_utc
from imagehub.domain.people import passwords, throttle
from imagehub.domain.people.sessions import hash_secret
from imagehub.domain.vault import SigningKeys
from imagehub.errors import ConflictError, InvalidInputError, NotAllowedError
from imagehub.messages import mark
from imagehub.models import RecoveryCode, SecondFactor, User

STEP_SECONDS = 30
RECOVERY_CODE_COUNT = 10
# NIST SP 800-63B, 5.1.2.2: from 112 bits on, a plain hash protects them. These have 120.
RECOVERY_CODE_GROUPS = 6
_RECOVERY_CODE_CHARS = 4 * RECOVERY_CODE_GROUPS
# Those made before had 80 bits in the letters of RFC 4648; they work until they are replaced.
_FORMER_CODE_CHARS = 16
# The characters of new codes lack these letters.
_MISTAKEN = str.maketrans("oil", "011")
WRONG_SENTENCE = mark(
    "This code is wrong or was used before. If the next one is refused too, check the clock on "
    "your phone, or use a recovery code."
)
_ON_ALREADY = mark("Two-factor authentication is already on, or was not set up.")
# An attacker who gets this far knows the password, so the wait may grow longer than for a name. The
# owner does not share it at a browser that has sent a right code before: see ``make_device_mark``.
LONGEST_WAIT_SECONDS = 600


def is_on(session: Session, user_id: int) -> bool:
    """Tell whether this person's sign-in asks for a code."""
    return _find_confirmed(session, user_id) is not None


def begin(session: Session, vault: Vault, user: User) -> str:
    """Create a secret for an authenticator app; :func:`confirm` turns it on.

    :return: the secret in base32, the same until it is confirmed.
    :raise ConflictError: two-factor authentication is on already.
    """
    row = session.get(SecondFactor, user.id)
    if row is not None and row.confirmed_at is not None:
        raise ConflictError("Two-factor authentication is already on.")
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
    """Turn two-factor authentication on with the first code of the app.

    :return: recovery codes, to be shown once.
    :raise InvalidInputError: not the current code; ``fields`` names ``code``.
    :raise ConflictError: it was not set up, or is on already.
    """
    row = session.get(SecondFactor, user.id)
    if row is None or row.confirmed_at is not None:
        raise ConflictError(_ON_ALREADY)
    step = _find_step(_open(vault, row), code, now or now_utc())
    if step is None:
        fault = mark("This is not the current code. Check the clock on your phone.")
        raise InvalidInputError(fault, {"code": fault})
    # Of two concurrent requests one finds the row unconfirmed; the codes of the other would replace
    # its own.
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
    keys: SigningKeys,
    user: User,
    code: str,
    now: datetime | None = None,
    device_mark: str = "",
) -> bool:
    """Check a code at a sign-in and use it up. The caller commits, and must hold no change.

    :param code: of the app, or a recovery code; spaces and hyphens do not matter.
    :param device_mark: what :func:`make_device_mark` gave this browser. Its wrong codes are
        counted by themselves.
    :return: whether it was a recovery code.
    :raise NotAllowedError: wrong, or used before.
    :raise TooManyTriesError: nothing was checked.
    """
    user_id = user.id
    counter = _name_counter(session, keys, user_id, device_mark)
    throttle.count_attempt(session, keys, "code", counter, LONGEST_WAIT_SECONDS)
    row = _find_confirmed(session, user_id)
    if row is not None:
        if _use_code(session, vault, row, code, now or now_utc()):
            return False
        if _use_recovery(session, user_id, code):
            return True
    raise NotAllowedError(WRONG_SENTENCE)


def forget_attempts(
    session: Session, keys: SigningKeys, user_id: int, device_mark: str = ""
) -> None:
    """Reset the counter of wrong codes, after a success has been committed."""
    counter = _name_counter(session, keys, user_id, device_mark)
    throttle.forget_attempts(session, keys, "code", counter)


def make_device_mark(session: Session, keys: SigningKeys, user_id: int) -> str:
    """Make what a browser keeps after a right code, to be recognised; "" without a second factor.

    It is not the mark of ``users.make_device_mark``: whoever knows the password may have collected
    any number of those, each with free attempts of its own.
    """
    row = _find_confirmed(session, user_id)
    return "" if row is None else throttle.make_mark(keys, _name_factor(row))


def _name_counter(session: Session, keys: SigningKeys, user_id: int, device_mark: str) -> str:
    row = _find_confirmed(session, user_id)
    is_known = row is not None and throttle.is_mark(keys, device_mark, _name_factor(row))
    end_read(session)
    return f"{user_id} {device_mark}" if is_known else str(user_id)


def _name_factor(row: SecondFactor) -> str:
    """Name a second factor so that it differs from the one the person had before."""
    assert row.confirmed_at is not None
    return f"second factor of {row.user_id} since {int(row.confirmed_at.timestamp())}"


def turn_off(session: Session, user: User) -> bool:
    """Turn two-factor authentication off; whether it was on or set up."""
    session.execute(delete(RecoveryCode).where(RecoveryCode.user_id == user.id))
    return bool(count_rows(session, delete(SecondFactor).where(SecondFactor.user_id == user.id)))


def make_recovery_codes(session: Session, user: User) -> list[str]:
    """Create recovery codes of 120 bits in place of all older ones, to be shown once."""
    session.execute(delete(RecoveryCode).where(RecoveryCode.user_id == user.id))
    codes = []
    for _ in range(RECOVERY_CODE_COUNT):
        code = passwords.make_easy_secret(RECOVERY_CODE_GROUPS)
        codes.append(code)
        session.add(RecoveryCode(user_id=user.id, code_hash=hash_secret(_read_recovery(code))))
    session.flush()
    return codes


def count_recovery_codes(session: Session, user: User) -> int:
    """Count the unused recovery codes."""
    return session.scalar(select(func.count()).where(RecoveryCode.user_id == user.id)) or 0


def make_uri(secret: str, name: str, issuer: str) -> str:
    """Make the key URI that authenticator apps read from the QR code."""
    return pyotp.TOTP(secret).provisioning_uri(name=name, issuer_name=issuer)


def draw_qr(uri: str, title: str) -> str:
    """Draw the QR code as an ``<svg>`` element: dark on light in every theme."""
    drawn = io.BytesIO()
    segno.make(uri, error="m").save(
        drawn, kind="svg", xmldecl=False, svgns=True, border=4, scale=1, omitsize=True,
        dark="#111", light="#fff", title=title,
    )  # fmt: skip
    return drawn.getvalue().decode()


def _find_confirmed(session: Session, user_id: int) -> SecondFactor | None:
    row = session.get(SecondFactor, user_id)
    return row if row is not None and row.confirmed_at is not None else None


def _open(vault: Vault, row: SecondFactor) -> str:
    try:
        return vault.open(row.secret)
    except ValueError:
        # The key was replaced without keeping the old one: recovery codes still work.
        return ""


def _find_step(secret: str, code: str, now: datetime) -> int | None:
    """Find the time step of a code: the current, the previous or the next (RFC 6238, 5.2)."""
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
    if step is None:
        return False
    # Of two concurrent requests with one code, one finds the row unchanged.
    is_unused = (SecondFactor.user_id == row.user_id, SecondFactor.last_step < step)
    return count_rows(session, update(SecondFactor).where(*is_unused).values(last_step=step)) > 0


def _use_recovery(session: Session, user_id: int, code: str) -> bool:
    plain = _read_recovery(code)
    if len(plain) not in (_RECOVERY_CODE_CHARS, _FORMER_CODE_CHARS):
        return False
    own = (RecoveryCode.user_id == user_id, RecoveryCode.code_hash == hash_secret(plain))
    return count_rows(session, delete(RecoveryCode).where(*own)) > 0


def _read_recovery(code: str) -> str:
    """Read a code as it was typed: in any case, with any separators, with O for 0 and I for 1."""
    letters = unicodedata.normalize("NFKC", code).casefold()
    plain = "".join(char for char in letters if char.isalnum())
    return plain.translate(_MISTAKEN) if len(plain) == _RECOVERY_CODE_CHARS else plain
