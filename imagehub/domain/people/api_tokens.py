"""API tokens: for a person's own programs, with a name, a scope and an expiry date."""

import secrets
from datetime import datetime, timedelta
from typing import Literal

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from imagehub.database import count_rows, now_utc, own_transaction
from imagehub.domain.people.sessions import hash_secret
from imagehub.errors import InvalidInputError, NotAllowedError, NotFoundError
from imagehub.messages import Message, mark
from imagehub.models import ApiToken, User

# Tells them from the tokens of a sign-in, and lets secret scanners find them.
PREFIX = "hub_"
SCOPES = ("read", "write")
LIFETIMES_DAYS = (30, 90, 365)
MAX_NAME_CHARS = 100
_NOTE_USE_AFTER = timedelta(minutes=1)

Scope = Literal["read", "write"]


def create_token(
    session: Session, user: User, name: str, scope: str, days: int | None
) -> tuple[ApiToken, str]:
    """Create a token. Flushed, not committed.

    :param days: how long it is valid; None until it is revoked.
    :return: its row, and the token itself, of which only a hash is stored.
    :raise InvalidInputError: ``fields`` says which of ``name``, ``scope``, ``days``.
    """
    name = " ".join(name.split())
    faults: dict[str, str] = {}
    if not name:
        faults["name"] = mark("Enter a name.")
    elif len(name) > MAX_NAME_CHARS or not name.isprintable():
        faults["name"] = Message(
            "A name can have at most %(num)s printable characters.", num=MAX_NAME_CHARS
        )
    if scope not in SCOPES:
        faults["scope"] = mark("Select a scope.")
    if days is not None and not 0 < days <= 3650:
        faults["days"] = mark("Select when the token expires.")
    if faults:
        raise InvalidInputError(next(iter(faults.values())), faults)
    token = PREFIX + secrets.token_urlsafe(32)
    row = ApiToken(
        user_id=user.id,
        name=name,
        scope=scope,
        token_hash=hash_secret(token),
        tail=token[-4:],
        expires_at=now_utc() + timedelta(days=days) if days else None,
    )
    session.add(row)
    session.flush()
    return row, token


def get_by_token(session: Session, token: str) -> tuple[User, ApiToken]:
    """Find the user of a token, and its row; save when it was used, at most once a minute.

    The caller must hold no uncommitted change.

    :raise NotAllowedError: unknown, revoked or expired.
    """
    found = session.execute(
        select(User, ApiToken)
        .join(ApiToken, ApiToken.user_id == User.id)
        .where(ApiToken.token_hash == hash_secret(token), User.disabled_at.is_(None))
    ).one_or_none()
    if found is None:
        raise NotAllowedError("ImageHub did not issue this token, or it was revoked.")
    user, row = found
    now = now_utc()
    if row.expires_at is not None and row.expires_at <= now:
        raise NotAllowedError("This token has expired. Please create a new one.")
    if row.last_used_at is None or now - row.last_used_at > _NOTE_USE_AFTER:
        _save_use(session, row.id, now)
    return user, row


@own_transaction
def _save_use(session: Session, token_id: int, now: datetime) -> None:
    session.execute(update(ApiToken).where(ApiToken.id == token_id).values(last_used_at=now))


def list_tokens(session: Session, user: User) -> list[ApiToken]:
    """List a person's tokens, the newest first, expired ones too."""
    own = select(ApiToken).where(ApiToken.user_id == user.id)
    return list(session.scalars(own.order_by(ApiToken.id.desc())))


def revoke_token(session: Session, user: User, token_id: int) -> str:
    """Revoke one of a person's tokens.

    :return: its name.
    :raise NotFoundError: no such token of theirs.
    """
    row = session.get(ApiToken, token_id)
    if row is None or row.user_id != user.id:
        raise NotFoundError("token", token_id)
    session.delete(row)
    session.flush()
    return row.name


def revoke_all_tokens(session: Session, user: User) -> int:
    """Revoke all of a person's tokens; how many they were."""
    return count_rows(session, delete(ApiToken).where(ApiToken.user_id == user.id))
