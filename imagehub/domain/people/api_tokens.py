"""Tokens for the admin's own programs: named, of one scope, with an end, shown once."""

import hashlib
import secrets
from datetime import timedelta
from typing import Literal

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from imagehub.database import count_rows, now_utc, run_in_own_transaction
from imagehub.errors import InvalidInputError, NotAllowedError, NotFoundError
from imagehub.models import ApiToken, User

# By this they are told from the tokens of a sign-in, and found by scanners for lost secrets.
PREFIX = "hub_"
SCOPES = ("read", "write")
LIFETIMES_DAYS = (30, 90, 365)
MAX_NAME_CHARS = 100
_NOTE_USE_AFTER = timedelta(minutes=1)

Scope = Literal["read", "write"]


def create_token(
    session: Session, user: User, name: str, scope: str, days: int | None
) -> tuple[ApiToken, str]:
    """Make a token. Flushed, not committed.

    :param days: how long it is good; None until it is ended.
    :return: its row, and the token itself, which nobody can find out again.
    :raise InvalidInputError: ``fields`` says which of ``name``, ``scope``, ``days``.
    """
    name = " ".join(name.split())
    faults = {}
    if not name:
        faults["name"] = "A name is needed, to know it by later."
    elif len(name) > MAX_NAME_CHARS or not name.isprintable():
        faults["name"] = f"A name has at most {MAX_NAME_CHARS} characters that can be shown."
    if scope not in SCOPES:
        faults["scope"] = "Please choose what it may do."
    if days is not None and not 0 < days <= 3650:
        faults["days"] = "Please choose how long it shall be good."
    if faults:
        raise InvalidInputError(next(iter(faults.values())), faults)
    token = PREFIX + secrets.token_urlsafe(32)
    row = ApiToken(
        user_id=user.id,
        name=name,
        scope=scope,
        token_hash=_hash(token),
        tail=token[-4:],
        expires_at=now_utc() + timedelta(days=days) if days else None,
    )
    session.add(row)
    session.flush()
    return row, token


def get_by_token(session: Session, token: str) -> tuple[User, ApiToken]:
    """Whom a token stands for, and its row; remembers that it was used.

    That is a transaction of its own: the caller must hold no uncommitted change.

    :raise NotAllowedError: unknown, ended or run out.
    """
    found = session.execute(
        select(User, ApiToken)
        .join(ApiToken, ApiToken.user_id == User.id)
        .where(ApiToken.token_hash == _hash(token))
    ).one_or_none()
    if found is None:
        raise NotAllowedError("This is not a token that ImageHub made, or it was ended.")
    user, row = found
    now = now_utc()
    if row.expires_at is not None and row.expires_at <= now:
        raise NotAllowedError("This token has expired. Please make a new one.")
    if row.last_used_at is None or now - row.last_used_at > _NOTE_USE_AFTER:
        statement = update(ApiToken).where(ApiToken.id == row.id).values(last_used_at=now)
        run_in_own_transaction(session, lambda own: own.execute(statement))
    return user, row


def list_tokens(session: Session, user: User) -> list[ApiToken]:
    """A person's tokens, the newest first, those that have run out too."""
    return list(
        session.scalars(
            select(ApiToken).where(ApiToken.user_id == user.id).order_by(ApiToken.id.desc())
        )
    )


def end_token(session: Session, user: User, token_id: int) -> str:
    """End one of a person's tokens; its name.

    :raise NotFoundError: no such token of theirs.
    """
    row = session.get(ApiToken, token_id)
    if row is None or row.user_id != user.id:
        raise NotFoundError("token", token_id)
    name = row.name
    session.delete(row)
    session.flush()
    return name


def end_all_tokens(session: Session, user: User) -> int:
    """End all of a person's tokens; how many there were."""
    statement = delete(ApiToken).where(ApiToken.user_id == user.id)
    return count_rows(session, statement)


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()
