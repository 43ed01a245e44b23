"""Disabling and enabling accounts."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from sqlalchemy import delete, update
from sqlalchemy.orm import Session

from imagehub.database import now_utc
from imagehub.domain.people import admins, api_tokens, sessions, tokens, users
from imagehub.errors import InvalidInputError, NotAllowedError, NotFoundError
from imagehub.models import ApiToken, SignInSession, User
from tests.domain.people.accounts import KEY, PASSWORD
from tests.fixtures.site import NAME


@pytest.fixture
def ada(either_session: Session) -> Iterator[User]:
    """The admin of the site, whose accounts are as before afterwards."""
    found = users.find_user(either_session, NAME)
    assert found is not None
    yield found
    either_session.rollback()
    either_session.execute(delete(User).where(User.name != NAME))
    either_session.execute(update(User).values(disabled_at=None))
    either_session.commit()


@pytest.fixture
def grace(either_session: Session, ada: User) -> User:
    made = users.create_admin(either_session, "Grace", PASSWORD)
    either_session.commit()
    return made


def test_a_disabled_account_loses_all_access_at_once(
    either_session: Session, ada: User, grace: User
) -> None:
    sessions.open_session(either_session, grace, "192.0.2.1", "", True)
    cookie, bearer = grace.get_id(), tokens.make_token(KEY, grace)
    _, token = api_tokens.create_token(either_session, grace, "Backup", "write", None)
    sessions.open_session(either_session, ada, "192.0.2.1", "", True)
    either_session.commit()

    admins.disable_admin(either_session, grace.id)
    either_session.commit()
    for model in (SignInSession, ApiToken):
        assert either_session.query(model).filter_by(user_id=grace.id).count() == 0
    assert sessions.find_session(either_session, cookie) is None
    with pytest.raises(NotAllowedError):
        tokens.get_user_by_token(either_session, KEY, bearer)
    with pytest.raises(NotAllowedError):
        api_tokens.get_by_token(either_session, token)
    with pytest.raises(NotAllowedError):
        users.sign_in(either_session, KEY, "Grace", PASSWORD, "192.0.2.1")
    either_session.rollback()
    assert sessions.find_session(either_session, ada.get_id()) is not None

    admins.enable_admin(either_session, grace.id)
    either_session.commit()
    assert users.sign_in(either_session, KEY, "Grace", PASSWORD, "192.0.2.1").id == grace.id
    assert sessions.find_session(either_session, cookie) is None
    with pytest.raises(NotAllowedError):
        tokens.get_user_by_token(either_session, KEY, bearer)


def test_what_was_opened_while_the_account_was_being_disabled_is_void(
    either_session: Session, ada: User, grace: User
) -> None:
    """As by a sign-in that checked the password before, and is committed after."""
    admins.disable_admin(either_session, grace.id)
    sessions.open_session(either_session, grace, "192.0.2.1", "", True)
    cookie, bearer = grace.get_id(), tokens.make_token(KEY, grace)
    _, token = api_tokens.create_token(either_session, grace, "Backup", "write", None)
    either_session.commit()

    def assert_void() -> None:
        assert sessions.find_session(either_session, cookie) is None
        with pytest.raises(NotAllowedError):
            tokens.get_user_by_token(either_session, KEY, bearer)
        with pytest.raises(NotAllowedError):
            api_tokens.get_by_token(either_session, token)

    assert_void()
    admins.enable_admin(either_session, grace.id)
    either_session.commit()
    assert_void()


def test_the_last_enabled_account_stays(either_session: Session, ada: User, grace: User) -> None:
    admins.disable_admin(either_session, grace.id)
    either_session.commit()
    for _ in range(2):
        with pytest.raises(InvalidInputError) as caught:
            admins.disable_admin(either_session, ada.id)
        assert "only account that can sign in" in str(caught.value)
        either_session.rollback()
        admins.disable_admin(either_session, grace.id)  # Once more changes nothing.
        either_session.commit()
    for number in (0, 999, 1 << 64):
        with pytest.raises(NotFoundError):
            admins.disable_admin(either_session, number)


def test_two_who_disable_each_other_do_not_both_succeed(
    either_session: Session, ada: User, grace: User
) -> None:
    engine, both = either_session.get_bind(), Barrier(2)
    ids = [ada.id, grace.id]
    either_session.rollback()

    def disable(user_id: int) -> bool:
        with Session(engine) as session:
            session.get(User, user_id)
            session.rollback()
            both.wait(30)
            try:
                admins.disable_admin(session, user_id)
            except InvalidInputError:
                return False
            session.commit()
            return True

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(disable, ids)) == [False, True]


def test_accounts_are_listed_with_the_disabled_ones_last(
    either_session: Session, ada: User, grace: User
) -> None:
    ada.disabled_at = now_utc()
    users.create_admin(either_session, "bob", PASSWORD)
    either_session.commit()
    assert [one.user.name for one in admins.list_admins(either_session)] == ["bob", "Grace", NAME]
    assert not any(one.has_two_factor for one in admins.list_admins(either_session))
