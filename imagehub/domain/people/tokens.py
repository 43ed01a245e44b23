"""Bearer tokens of the JSON API: make, read and revoke them."""

import secrets
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import jwt
from sqlalchemy import delete, insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from imagehub.database import now_utc, own_transaction
from imagehub.domain.vault import SigningKeys
from imagehub.errors import NotAllowedError
from imagehub.models import RevokedToken, User

TOKEN_SECONDS = 3600
_NOT_OURS = "ImageHub did not issue this token."


@dataclass(frozen=True)
class TokenFacts:
    """The claims of a valid token. ``jti`` is its own number, by which it can be revoked."""

    user_id: int
    credentials_version: int
    jti: str
    expires_at: datetime


def make_token(keys: SigningKeys, user: User, now: datetime | None = None) -> str:
    """Make a bearer token for one hour (RFC 7519, HS256) with ``sub``, ``iat``, ``exp``, ``jti``.

    ``ver`` is the version of the password that it belongs to.
    """
    moment = now or now_utc()
    claims = {
        "sub": str(user.id),
        "iat": int(moment.timestamp()),
        "exp": int(moment.timestamp()) + TOKEN_SECONDS,
        "jti": secrets.token_hex(16),
        "ver": user.credentials_version,
    }
    return jwt.encode(claims, keys.derive("bearer tokens")[0], algorithm="HS256")


def get_user_by_token(session: Session, keys: SigningKeys, token: str) -> tuple[User, TokenFacts]:
    """Find the user of a bearer token.

    :raise NotAllowedError: malformed, unsigned, signed with another key, expired, revoked, of a
        disabled account, or made before the password was changed.
    """
    facts = _read_token(keys, token)
    user = session.get(User, facts.user_id)
    if (
        user is None
        or user.disabled_at is not None
        or user.credentials_version != facts.credentials_version
    ):
        raise NotAllowedError("This token is no longer valid. Please sign in again.")
    if session.get(RevokedToken, facts.jti) is not None:
        raise NotAllowedError("This token was revoked. Please sign in again.")
    return user, facts


def revoke_token(session: Session, facts: TokenFacts) -> None:
    """Revoke a token; safe to call twice. Deletes the rows of tokens that have expired since."""
    session.execute(delete(RevokedToken).where(RevokedToken.expires_at < now_utc()))
    _insert_once(session, facts.jti, facts.expires_at)


@own_transaction
def use_up(session: Session, number: str, good_until: datetime) -> bool:
    """Use something that works once, such as a sealed value in a cookie.

    :param number: its random number, at most 64 characters.
    :param good_until: when it expires; the number is remembered until then.
    :return: True for the first who comes with it, False for all others.
    """
    session.execute(delete(RevokedToken).where(RevokedToken.expires_at < now_utc()))
    return _insert_once(session, number, good_until)


def _insert_once(session: Session, number: str, expires_at: datetime) -> bool:
    try:
        with session.begin_nested():
            session.execute(insert(RevokedToken).values(jti=number, expires_at=expires_at))
    except IntegrityError:
        return False
    return True


def _read_token(keys: SigningKeys, token: str) -> TokenFacts:
    try:
        claims = _read_claims(keys, token)
        user_id, version = int(claims["sub"]), int(claims["ver"])
        jti = str(claims["jti"])
        expires_at = datetime.fromtimestamp(int(claims["exp"]), UTC)
    except jwt.ExpiredSignatureError:
        raise NotAllowedError("This token has expired. Please sign in again.") from None
    except (jwt.PyJWTError, KeyError, ValueError, TypeError, OverflowError):
        raise NotAllowedError(_NOT_OURS) from None
    if not 0 < user_id < 1 << 31 or len(jti) > 64:
        raise NotAllowedError(_NOT_OURS)
    return TokenFacts(user_id, version, jti, expires_at)


def _read_claims(keys: SigningKeys, token: str) -> dict[str, Any]:
    *most, last = keys.derive("bearer tokens")
    for key in most:
        with suppress(jwt.InvalidSignatureError):
            return _decode(token, key)
    return _decode(token, last)


def _decode(token: str, key: bytes) -> dict[str, Any]:
    return jwt.decode(
        token,
        key,
        algorithms=["HS256"],
        # A token of this second, made on a machine whose clock is fast, is valid.
        options={"require": ["sub", "iat", "exp", "jti"], "verify_iat": False},
    )
