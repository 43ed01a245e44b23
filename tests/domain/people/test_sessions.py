"""Browsers in which somebody is signed in."""

from datetime import timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from imagehub.database import now_utc
from imagehub.domain.people import sessions, users
from imagehub.errors import NotFoundError
from imagehub.models import SignInSession, User
from tests.fixtures.site import NAME

FIREFOX = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0"


@pytest.fixture
def user(either_session: Session) -> User:
    found = users.find_user(either_session, NAME)
    assert found is not None
    return found


def open_session(session: Session, user: User, is_remembered: bool = False) -> tuple[str, int]:
    """The cookie and the number of a new session."""
    opened = sessions.open_session(session, user, "192.0.2.1", FIREFOX, is_remembered)
    session.commit()
    return user.get_id(), opened.id


def let_time_pass(session: Session, session_id: int, time: timedelta) -> None:
    row = session.get_one(SignInSession, session_id)
    row.last_seen_at = now_utc() - time
    session.commit()


def test_a_cookie_stands_for_the_person_it_was_made_for(
    either_session: Session, user: User
) -> None:
    cookie, number = open_session(either_session, user)
    found = sessions.find_session(either_session, cookie)
    assert found is not None
    assert (found[0].name, found[1].id) == (NAME, number)


def test_the_table_does_not_hold_what_the_cookie_says(either_session: Session, user: User) -> None:
    cookie, number = open_session(either_session, user)
    row = either_session.get_one(SignInSession, number)
    word = cookie.split(".", 2)[2]
    assert len(word) >= 32
    assert word not in str(row.__dict__)


def test_two_sessions_have_two_words(either_session: Session, user: User) -> None:
    assert open_session(either_session, user)[0] != open_session(either_session, user)[0]


def test_a_changed_cookie_stands_for_nobody(either_session: Session, user: User) -> None:
    cookie, _ = open_session(either_session, user)
    head, version, word = cookie.split(".", 2)
    for wrong in (
        f"{head}.{version}.{word[:-1]}",
        f"{head}.{version}.{word}x",
        f"{head}.{int(version) + 1}.{word}",
        f"{int(head) + 1}.{version}.{word}",
        f"{head}.{version}.",
        f"{head}.{version}",
        head,
        "",
        "x.1." + word,
        "²." + version + "." + word,
        "9" * 40 + ".1." + word,
        f"-{head}.{version}.{word}",
    ):
        assert sessions.find_session(either_session, wrong) is None, wrong


def test_a_new_password_ends_every_session(either_session: Session, user: User) -> None:
    cookies = [open_session(either_session, user)[0] for _ in range(3)]
    password_hash = user.password_hash
    users.change_password(either_session, user, "quite another password")
    either_session.commit()
    try:
        assert [sessions.find_session(either_session, cookie) for cookie in cookies] == [None] * 3
        assert sessions.list_sessions(either_session, user) == []
    finally:
        user.password_hash, user.credentials_version = password_hash, 1
        either_session.commit()


@pytest.mark.parametrize(
    ("is_remembered", "lives", "is_dead"),
    [
        (False, timedelta(hours=23), timedelta(hours=25)),
        (True, timedelta(days=29), timedelta(days=31)),
    ],
)
def test_a_session_ends_when_nobody_comes_back(
    either_session: Session,
    user: User,
    is_remembered: bool,
    lives: timedelta,
    is_dead: timedelta,
) -> None:
    cookie, number = open_session(either_session, user, is_remembered)
    let_time_pass(either_session, number, lives)
    assert sessions.find_session(either_session, cookie) is not None
    assert len(sessions.list_sessions(either_session, user)) == 1
    let_time_pass(either_session, number, is_dead)
    assert sessions.find_session(either_session, cookie) is None
    assert sessions.list_sessions(either_session, user) == []


@pytest.mark.parametrize("is_remembered", [False, True])
def test_a_session_ends_after_90_days_however_often_it_is_used(
    either_session: Session, user: User, is_remembered: bool
) -> None:
    cookie, number = open_session(either_session, user, is_remembered)
    row = either_session.get_one(SignInSession, number)
    for age, is_open in (
        (timedelta(days=89, hours=23), True),
        (timedelta(days=90, hours=1), False),
    ):
        row.created_at = now_utc() - age
        row.last_seen_at = now_utc()
        either_session.commit()
        assert (sessions.find_session(either_session, cookie) is not None) == is_open
        assert len(sessions.list_sessions(either_session, user)) == is_open
    assert either_session.scalar(select(SignInSession.id).where(sessions.is_over(now_utc())))


def test_a_visit_is_noted_with_its_address(either_session: Session, user: User) -> None:
    _, number = open_session(either_session, user)
    let_time_pass(either_session, number, timedelta(hours=5))
    row = either_session.get_one(SignInSession, number)
    sessions.note_seen(either_session, row, "198.51.100.7")
    either_session.rollback()
    row = either_session.get_one(SignInSession, number)
    assert now_utc() - row.last_seen_at < timedelta(minutes=1)
    assert row.address == "198.51.100.7"


def test_one_session_is_ended_and_no_other(either_session: Session, user: User) -> None:
    first, number = open_session(either_session, user)
    second, _ = open_session(either_session, user)
    sessions.end_session(either_session, user, number)
    assert sessions.find_session(either_session, first) is None
    assert sessions.find_session(either_session, second) is not None
    with pytest.raises(NotFoundError):
        sessions.end_session(either_session, user, number)


def test_nobody_ends_the_session_of_somebody_else(either_session: Session, user: User) -> None:
    other = users.create_admin(either_session, "Grace", "another good password")
    cookie, number = open_session(either_session, other)
    with pytest.raises(NotFoundError):
        sessions.end_session(either_session, user, number)
    assert sessions.find_session(either_session, cookie) is not None
    either_session.delete(other)
    either_session.commit()


def test_all_but_one_are_ended(either_session: Session, user: User) -> None:
    open_session(either_session, user)
    open_session(either_session, user)
    kept, number = open_session(either_session, user)
    assert sessions.end_other_sessions(either_session, user, number) == 2
    assert [one.id for one in sessions.list_sessions(either_session, user)] == [number]
    assert sessions.find_session(either_session, kept) is not None


@pytest.mark.parametrize(
    ("agent", "words"),
    [
        (FIREFOX, "Firefox on Windows"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like "
         "Gecko) Version/18.0 Mobile/15E148 Safari/604.1", "Safari on iPhone"),
        ("Mozilla/5.0 (Linux; Android 15; Pixel 9) AppleWebKit/537.36 (KHTML, like Gecko) "
         "Chrome/140.0.0.0 Mobile Safari/537.36", "Chrome on Android"),
        ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) "
         "Chrome/140.0.0.0 Safari/537.36 Edg/140.0.0.0", "Edge on Mac"),
        ("curl/8.5.0", "curl"),
        ("", "an unknown browser"),
        ("<script>", "an unknown browser"),
    ],
)  # fmt: skip
def test_a_browser_is_named_in_words(agent: str, words: str) -> None:
    assert sessions.describe_browser(agent) == words
