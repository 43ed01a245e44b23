"""All accounts: list them, disable and enable them."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from imagehub.database import MAX_ID, now_utc
from imagehub.domain.people import api_tokens
from imagehub.errors import InvalidInputError, NotFoundError
from imagehub.messages import mark
from imagehub.models import SecondFactor, SignInSession, User


@dataclass(frozen=True)
class ListedAdmin:
    """An account in the list of all."""

    user: User
    has_two_factor: bool


def list_admins(session: Session) -> Sequence[ListedAdmin]:
    """List all accounts by name, disabled ones last."""
    users = session.scalars(
        select(User).order_by(User.disabled_at.is_not(None), User.name_key, User.id)
    ).all()
    protected = set(
        session.scalars(select(SecondFactor.user_id).where(SecondFactor.confirmed_at.is_not(None)))
    )
    return [ListedAdmin(user, user.id in protected) for user in users]


def get_admin(session: Session, user_id: int) -> User:
    """:raise NotFoundError: no such account."""
    user = session.get(User, user_id) if 0 < user_id <= MAX_ID else None
    if user is None:
        raise NotFoundError("account", user_id)
    return user


def disable_admin(session: Session, user_id: int) -> User:
    """Disable an account, and end its sessions, sign-in tokens and API tokens at once.

    Safe to call twice. The caller must hold no uncommitted change.

    :raise InvalidInputError: it is the only enabled account.
    :raise NotFoundError: no such account.
    """
    # The lock comes first: of two admins who disable each other, one must see the other's change.
    session.execute(update(User).values(language=User.language))
    user = session.get(User, get_admin(session, user_id).id, populate_existing=True)
    assert user is not None
    if user.disabled_at is not None:
        return user
    others = select(User.id).where(User.disabled_at.is_(None), User.id != user_id).limit(1)
    if session.scalars(others).first() is None:
        only = mark(
            "This is the only account that can sign in. Create or enable another one first."
        )
        raise InvalidInputError(only)
    user.disabled_at = now_utc()
    _end_access(session, user)
    return user


def enable_admin(session: Session, user_id: int) -> User:
    """Enable an account again; it signs in as before. Safe to call twice.

    :raise NotFoundError: no such account.
    """
    user = get_admin(session, user_id)
    if user.disabled_at is not None:
        user.disabled_at = None
        # What a request that was under way opened meanwhile must not work from now on.
        _end_access(session, user)
    return user


def _end_access(session: Session, user: User) -> None:
    user.credentials_version += 1
    session.execute(delete(SignInSession).where(SignInSession.user_id == user.id))
    api_tokens.revoke_all_tokens(session, user)
    session.flush()
