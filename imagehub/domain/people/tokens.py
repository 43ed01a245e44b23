"""Bearer tokens of the JSON API: make, read and revoke them."""

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime

import jwt
from sqlalchemy import delete, insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from imagehub.database import now_utc, run_in_own_transaction
from imagehub.domain.vault import derive_key
from imagehub.errors import (
    NotAllowedError,
)
from imagehub.models import RevokedToken, User

TOKEN_SECONDS = 3600


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
    return jwt.encode(claims, derive_key(secret_key, "bearer tokens"), algorithm="HS256")


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
            derive_key(secret_key, "bearer tokens"),
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
