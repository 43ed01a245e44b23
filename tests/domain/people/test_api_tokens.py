"""Tokens for the admin's own programs."""

from datetime import timedelta

import pytest
from sqlalchemy.orm import Session

from imagehub.database import now_utc
from imagehub.domain.people import api_tokens, users
from imagehub.errors import InvalidInputError, NotAllowedError, NotFoundError
from imagehub.models import ApiToken, User
from tests.fixtures.site import NAME


@pytest.fixture
def user(either_session: Session) -> User:
    found = users.find_user(either_session, NAME)
    assert found is not None
    return found


def create(session: Session, user: User, days: int | None = 30) -> tuple[ApiToken, str]:
    row, token = api_tokens.create_token(session, user, "  Back  up ", "read", days)
    session.commit()
    return row, token


def test_a_token_stands_for_its_person(either_session: Session, user: User) -> None:
    row, token = create(either_session, user)
    assert row.name == "Back up"
    found, same = api_tokens.get_by_token(either_session, token)
    assert (found.id, same.id, same.scope) == (user.id, row.id, "read")


def test_only_its_hash_is_kept(either_session: Session, user: User) -> None:
    row, token = create(either_session, user)
    assert token.startswith("hub_")
    assert len(token) > 40
    assert token not in str(row.__dict__)
    assert row.tail == token[-4:]


def test_its_use_is_noted(either_session: Session, user: User) -> None:
    row, token = create(either_session, user)
    assert row.last_used_at is None
    api_tokens.get_by_token(either_session, token)
    either_session.rollback()
    used_at = either_session.get_one(ApiToken, row.id).last_used_at
    assert used_at is not None
    assert now_utc() - used_at < timedelta(minutes=1)


@pytest.mark.parametrize("token", ["", "hub_", "hub_" + "a" * 43, "\ud800", "hub_ü"])
def test_what_nobody_made_is_refused(either_session: Session, user: User, token: str) -> None:
    create(either_session, user)
    with pytest.raises(NotAllowedError):
        api_tokens.get_by_token(either_session, token)


def test_a_token_ends_on_its_day(either_session: Session, user: User) -> None:
    row, token = create(either_session, user)
    row.expires_at = now_utc() - timedelta(seconds=1)
    either_session.commit()
    with pytest.raises(NotAllowedError, match="expired"):
        api_tokens.get_by_token(either_session, token)
    assert [one.id for one in api_tokens.list_tokens(either_session, user)] == [row.id]


def test_a_token_may_have_no_end(either_session: Session, user: User) -> None:
    row, token = create(either_session, user, None)
    assert row.expires_at is None
    api_tokens.get_by_token(either_session, token)


def test_an_ended_token_opens_nothing(either_session: Session, user: User) -> None:
    row, token = create(either_session, user)
    assert api_tokens.revoke_token(either_session, user, row.id) == "Back up"
    with pytest.raises(NotAllowedError):
        api_tokens.get_by_token(either_session, token)
    with pytest.raises(NotFoundError):
        api_tokens.revoke_token(either_session, user, row.id)


def test_nobody_ends_the_token_of_somebody_else(either_session: Session, user: User) -> None:
    other = users.create_admin(either_session, "Grace", "another good password")
    row, token = create(either_session, other)
    with pytest.raises(NotFoundError):
        api_tokens.revoke_token(either_session, user, row.id)
    assert api_tokens.revoke_all_tokens(either_session, user) == 0
    either_session.commit()
    api_tokens.get_by_token(either_session, token)
    either_session.delete(other)
    either_session.commit()


@pytest.mark.parametrize(
    ("name", "scope", "days", "fault"),
    [
        ("", "read", 30, "name"),
        (" \t", "read", 30, "name"),
        ("x" * 101, "read", 30, "name"),
        ("a\x07b", "read", 30, "name"),
        ("ok", "admin", 30, "scope"),
        ("ok", "", 30, "scope"),
        ("ok", "read", 0, "days"),
        ("ok", "read", 4000, "days"),
    ],
)
def test_what_cannot_be_used_is_refused(
    either_session: Session, user: User, name: str, scope: str, days: int, fault: str
) -> None:
    with pytest.raises(InvalidInputError) as caught:
        api_tokens.create_token(either_session, user, name, scope, days)
    assert list(caught.value.fields) == [fault]
