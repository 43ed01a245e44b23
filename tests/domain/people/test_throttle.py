"""Login throttling: who guesses has to wait, and nobody else."""

import threading
from datetime import timedelta

import pytest
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from imagehub.database import now_utc
from imagehub.domain.people import passwords, throttle, users
from imagehub.domain.vault import SigningKeys
from imagehub.errors import BusyError, NotAllowedError, TooManyTriesError
from imagehub.models import SignInFailure
from tests.domain.people.accounts import KEY, PASSWORD, add_user


@pytest.fixture(autouse=True)
def stopped_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Count all waits from one moment, however long a slow machine takes to hash."""
    moment = now_utc()
    monkeypatch.setattr(throttle, "now_utc", lambda: moment)


def try_wrong(session: Session, name: str = "Ada", address: str = "192.0.2.1") -> int:
    """Fail to sign in; 0 where it was looked at, else the seconds to wait."""
    try:
        users.sign_in(session, KEY, name, "wrong", address)
    except NotAllowedError:
        return 0
    except TooManyTriesError as error:
        return error.retry_after_seconds
    pytest.fail("a wrong password was taken")


def let_time_pass(session: Session, seconds: float) -> None:
    """Move all counters into the past."""
    for row in session.scalars(select(SignInFailure)):
        row.last_failed_at -= timedelta(seconds=seconds)
        if row.blocked_until is not None:
            row.blocked_until -= timedelta(seconds=seconds)
    session.commit()


@pytest.mark.parametrize("name", ["Ada", "Nobody"])
def test_five_tries_are_free_then_a_name_has_to_wait(session: Session, name: str) -> None:
    add_user(session)
    waits = [try_wrong(session, name, f"192.0.2.{i}") for i in range(6)]
    assert waits[:5] == [0, 0, 0, 0, 0]
    assert waits[5] == 2


def test_the_wait_for_a_name_doubles_but_stays_short(light_session: Session) -> None:
    add_user(light_session)
    for i in range(5):
        try_wrong(light_session, "Ada", f"192.0.2.{i}")
    waits = []
    for i in range(7):
        waits.append(try_wrong(light_session, "Ada", f"198.51.100.{i}"))
        let_time_pass(light_session, waits[-1])
        assert try_wrong(light_session, "Ada", f"203.0.113.{i}") == 0
    assert waits == [2, 4, 8, 16, 30, 30, 30]


def test_the_wait_for_an_address_ends_at_a_quarter_of_an_hour(light_session: Session) -> None:
    waits = []
    for i in range(20):
        wait = try_wrong(light_session, f"name {i}", "192.0.2.1")
        if wait:
            waits.append(wait)
            let_time_pass(light_session, wait)
    assert waits[0] == 2
    for i in range(10):
        wait = try_wrong(light_session, f"another {i}", "192.0.2.1")
        if wait:
            waits.append(wait)
            let_time_pass(light_session, wait)
    assert max(waits) == 900
    assert try_wrong(light_session, "Ada", "192.0.2.2") == 0, "others are not stopped"


def test_while_it_waits_even_the_right_password_is_not_looked_at(light_session: Session) -> None:
    add_user(light_session)
    for i in range(5):
        try_wrong(light_session, "Ada", f"192.0.2.{i}")
    with pytest.raises(TooManyTriesError):
        users.sign_in(light_session, KEY, "Ada", PASSWORD, "198.51.100.1")
    let_time_pass(light_session, 2)
    users.sign_in(light_session, KEY, "Ada", PASSWORD, "198.51.100.1")


def test_success_starts_the_names_counter_anew(session: Session) -> None:
    add_user(session)
    for i in range(4):
        try_wrong(session, "Ada", f"192.0.2.{i}")
    users.sign_in(session, KEY, "Ada", PASSWORD, "192.0.2.9")
    session.commit()
    waits = [try_wrong(session, "Ada", f"198.51.100.{i}") for i in range(6)]
    assert waits == [0, 0, 0, 0, 0, 2]


def test_success_does_not_count_against_the_address(light_session: Session) -> None:
    add_user(light_session)
    for _ in range(8):
        users.sign_in(light_session, KEY, "Ada", PASSWORD, "192.0.2.1")
        light_session.commit()


def test_all_addresses_of_one_ipv6_network_count_as_one(light_session: Session) -> None:
    waits = [try_wrong(light_session, f"name {i}", f"2001:db8:1:2::{i}") for i in range(6)]
    assert waits == [0, 0, 0, 0, 0, 2]
    assert try_wrong(light_session, "name", "2001:db8:1:3::1") == 0


def test_an_ipv4_address_written_as_ipv6_is_the_same(light_session: Session) -> None:
    for i in range(5):
        try_wrong(light_session, f"name {i}", "::ffff:192.0.2.1")
    assert try_wrong(light_session, "name", "192.0.2.1") == 2


def test_a_browser_known_from_before_is_not_held_up_by_strangers(light_session: Session) -> None:
    user = add_user(light_session)
    mark = users.make_device_mark(KEY, user)
    for i in range(5):
        try_wrong(light_session, "Ada", f"192.0.2.{i}")
    assert try_wrong(light_session, "Ada", "192.0.2.77") > 0
    users.sign_in(light_session, KEY, "Ada", PASSWORD, "198.51.100.1", mark)
    light_session.commit()
    assert try_wrong(light_session, "Ada", "192.0.2.78") > 0, "strangers wait on"


def test_a_known_browser_does_not_wait_for_strangers_with_the_same_address(
    light_session: Session,
) -> None:
    mark = users.make_device_mark(KEY, add_user(light_session))
    for i in range(5):
        try_wrong(light_session, f"nobody {i}", "192.0.2.1")
    assert try_wrong(light_session, "Ada", "192.0.2.1") > 0
    users.sign_in(light_session, KEY, "Ada", PASSWORD, "192.0.2.1", mark)
    light_session.commit()
    assert try_wrong(light_session, "Ada", "192.0.2.1") > 0, "strangers wait on"


def test_a_known_browser_has_a_counter_of_its_own(light_session: Session) -> None:
    mark = users.make_device_mark(KEY, add_user(light_session))
    for i in range(5):
        with pytest.raises(NotAllowedError):
            users.sign_in(light_session, KEY, "Ada", "wrong", f"192.0.2.{i}", mark)
    with pytest.raises(TooManyTriesError):
        users.sign_in(light_session, KEY, "Ada", PASSWORD, "192.0.2.9", mark)


@pytest.mark.parametrize("change", ["{}x", "x{}", "", ".", "é.é", "a.b.c"])
def test_a_forged_mark_makes_no_browser_known(light_session: Session, change: str) -> None:
    add_user(light_session)
    other = users.create_admin(light_session, "Grace", PASSWORD)
    light_session.commit()
    for i in range(5):
        try_wrong(light_session, "Ada", f"192.0.2.{i}")
    for mark in (
        change.format(users.make_device_mark(KEY, other)),
        users.make_device_mark(KEY, other),
        users.make_device_mark(SigningKeys("another key " * 4), other),
    ):
        with pytest.raises(TooManyTriesError):
            users.sign_in(light_session, KEY, "Ada", PASSWORD, "198.51.100.1", mark)


def test_old_failures_are_forgotten(light_session: Session) -> None:
    for i in range(5):
        try_wrong(light_session, "Ada", f"192.0.2.{i}")
    let_time_pass(light_session, 7 * 3600)
    assert try_wrong(light_session, "Ada", "192.0.2.1") == 0
    assert try_wrong(light_session, "Ada", "192.0.2.2") == 0
    assert throttle.delete_old_failures(light_session) == 3, "those of the other addresses"


def test_the_table_of_failures_names_nobody(light_session: Session) -> None:
    try_wrong(light_session, "Ada", "192.0.2.1")
    keys = list(light_session.scalars(select(SignInFailure.key)))
    assert len(keys) == 2
    assert all(len(key) == 64 and set(key) <= set("0123456789abcdef") for key in keys)


def test_tries_at_the_same_moment_are_counted_one_by_one(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    # All of them may wait for their hashes.
    monkeypatch.setattr(passwords, "_places", threading.BoundedSemaphore(12))
    with Session(engine) as session:
        add_user(session)
    outcomes: list[int] = []

    def guess(number: int) -> None:
        with Session(engine) as session:
            outcomes.append(try_wrong(session, "Ada", f"192.0.2.{number}"))

    threads = [threading.Thread(target=guess, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(outcomes) == 12
    assert outcomes.count(0) == 5
    with Session(engine) as session:
        counts = session.scalars(select(SignInFailure.failed_count)).all()
        assert max(counts) == outcomes.count(0), "each look at the password was counted"


def test_an_attempt_that_was_not_checked_does_not_count(
    either_session: Session,
) -> None:
    """Under load an owner would otherwise be kept waiting for attempts that nobody checked."""
    for _ in range(throttle.FREE_TRIES - 1):
        try_wrong(either_session)
    places = 1 + passwords.MAX_WAITING_THREADS
    assert all(passwords._places.acquire(blocking=False) for _ in range(places))
    try:
        for _ in range(3):
            with pytest.raises(BusyError):
                users.sign_in(either_session, KEY, "Ada", PASSWORD, "192.0.2.1")
            either_session.rollback()
    finally:
        passwords._places.release(places)
    rows = either_session.execute(
        select(SignInFailure.failed_count, SignInFailure.blocked_until)
    ).all()
    assert [tuple(row) for row in rows] == [(throttle.FREE_TRIES - 1, None)] * 2
    either_session.rollback()
    try_wrong(either_session)
    with pytest.raises(TooManyTriesError):
        users.sign_in(either_session, KEY, "Ada", PASSWORD, "192.0.2.1")
