"""People who may sign in: names, passwords, tokens and the brake on guessing."""

import base64
import json
import threading
import time
from datetime import timedelta

import jwt
import pytest
from sqlalchemy import Engine, func, select, update
from sqlalchemy.orm import Session

from imagehub.database import now_utc
from imagehub.domain import vault
from imagehub.domain.people import throttle, tokens, users
from imagehub.errors import (
    ConflictError,
    InvalidInputError,
    NotAllowedError,
    TooManyTriesError,
)
from imagehub.models import RevokedToken, SignInFailure, User

KEY = "a key that has more than thirty-two characters"
PASSWORD = "correct horse battery"


@pytest.fixture(autouse=True)
def stopped_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits are counted against one moment, however long a slow machine takes to hash."""
    moment = now_utc()
    monkeypatch.setattr(users, "now_utc", lambda: moment)


def add_user(session: Session, name: str = "Ada") -> User:
    user = users.create_admin(session, name, PASSWORD)
    session.commit()
    return user


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


# --- Names and passwords --------------------------------------------------------------------------


def test_a_name_is_found_whatever_its_case(session: Session) -> None:
    user = add_user(session, "Zoë Straße")
    for spelling in ("zoë straße", "ZOË STRASSE", " Zoe\u0308 Straße "):
        found = users.find_user(session, spelling)
        assert found is not None
        assert found.id == user.id
    assert users.find_user(session, "Zoe Strasse") is None, "an accent is part of a name"


def test_two_people_cannot_have_one_name(session: Session) -> None:
    add_user(session, "Ada")
    with pytest.raises(ConflictError):
        users.create_admin(session, "ADA", PASSWORD)


def test_a_name_can_be_changed_and_its_case_too(session: Session) -> None:
    user = add_user(session, "Ada")
    add_user(session, "Grace")
    users.change_name(session, user, "ADA")
    users.change_name(session, user, "Ada Lovelace")
    with pytest.raises(ConflictError):
        users.change_name(session, user, "grace")


@pytest.mark.parametrize("name", ["", "  ", "a\0b", "a\nb", "n" * 151, "ß" * 100])
def test_a_name_that_cannot_be_used_is_refused(light_session: Session, name: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        users.create_admin(light_session, name, PASSWORD)
    assert "name" in caught.value.fields


@pytest.mark.parametrize("password", ["", "short77", "p" * 1025])
def test_a_password_too_short_or_too_long_is_refused(light_session: Session, password: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        users.create_admin(light_session, "Ada", password)
    assert "password" in caught.value.fields


def test_a_password_is_kept_as_a_scrypt_hash_alone(light_session: Session) -> None:
    user = add_user(light_session)
    assert user.password_hash.startswith("scrypt:")
    assert PASSWORD not in user.password_hash
    assert users.check_password(user, PASSWORD)
    assert not users.check_password(user, PASSWORD + " ")


# --- Signing in -----------------------------------------------------------------------------------


def test_the_right_password_signs_in_and_is_remembered(session: Session) -> None:
    user = add_user(session)
    assert users.sign_in(session, KEY, "ada", PASSWORD, "192.0.2.1").id == user.id
    session.commit()
    assert user.last_sign_in_at is not None


def test_a_wrong_password_and_an_unknown_name_read_the_same(light_session: Session) -> None:
    add_user(light_session)
    sentences = set()
    for name in ("Ada", "Nobody"):
        with pytest.raises(NotAllowedError) as caught:
            users.sign_in(light_session, KEY, name, "wrong", "192.0.2.1")
        sentences.add(str(caught.value))
    assert sentences == {"username or password did not match"}


def test_an_unknown_name_costs_the_same_hash_as_a_known_one(light_session: Session) -> None:
    """Not by the clock, which depends on the machine: by the parameters that make the cost."""
    user = add_user(light_session)
    assert users._NOBODYS_HASH.split("$")[0] == user.password_hash.split("$")[0]
    assert len(users._NOBODYS_HASH) == len(user.password_hash)


def test_a_password_longer_than_any_is_wrong_and_not_cut_to_fit(light_session: Session) -> None:
    users.create_admin(light_session, "Ada", "p" * 1024)
    light_session.commit()
    users.sign_in(light_session, KEY, "Ada", "p" * 1024, "192.0.2.1")
    light_session.commit()
    with pytest.raises(NotAllowedError):
        users.sign_in(light_session, KEY, "Ada", "p" * 1025, "192.0.2.1")


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
    mark = throttle.make_device_mark(KEY, user)
    for i in range(5):
        try_wrong(light_session, "Ada", f"192.0.2.{i}")
    assert try_wrong(light_session, "Ada", "192.0.2.77") > 0
    users.sign_in(light_session, KEY, "Ada", PASSWORD, "198.51.100.1", mark)
    light_session.commit()
    assert try_wrong(light_session, "Ada", "192.0.2.78") > 0, "strangers wait on"


def test_a_known_browser_does_not_wait_for_strangers_with_the_same_address(
    light_session: Session,
) -> None:
    mark = throttle.make_device_mark(KEY, add_user(light_session))
    for i in range(5):
        try_wrong(light_session, f"nobody {i}", "192.0.2.1")
    assert try_wrong(light_session, "Ada", "192.0.2.1") > 0
    users.sign_in(light_session, KEY, "Ada", PASSWORD, "192.0.2.1", mark)
    light_session.commit()
    assert try_wrong(light_session, "Ada", "192.0.2.1") > 0, "strangers wait on"


def test_a_known_browser_has_a_brake_of_its_own(light_session: Session) -> None:
    mark = throttle.make_device_mark(KEY, add_user(light_session))
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
        change.format(throttle.make_device_mark(KEY, other)),
        throttle.make_device_mark(KEY, other),
        throttle.make_device_mark("another key " * 4, other),
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


def test_tries_at_the_same_moment_are_counted_one_by_one(engine: Engine) -> None:
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


# --- Bearer tokens --------------------------------------------------------------------------------


def test_a_token_stands_for_its_user_for_an_hour(light_session: Session) -> None:
    user = add_user(light_session)
    token = tokens.make_token(KEY, user)
    found, facts = tokens.get_user_by_token(light_session, KEY, token)
    assert found is user
    claims = jwt.decode(token, options={"verify_signature": False})
    assert claims["sub"] == str(user.id)
    assert claims["exp"] - claims["iat"] == 3600
    assert claims["jti"] == facts.jti
    assert jwt.get_unverified_header(token)["alg"] == "HS256"


def test_two_tokens_have_two_numbers(light_session: Session) -> None:
    user = add_user(light_session)
    numbers = {
        tokens.get_user_by_token(light_session, KEY, tokens.make_token(KEY, user))[1].jti
        for _ in range(2)
    }
    assert len(numbers) == 2


def _make_claims(user: User) -> dict[str, object]:
    now = int(time.time())
    return {
        "sub": str(user.id),
        "iat": now,
        "exp": now + 600,
        "jti": "0" * 32,
        "ver": user.credentials_version,
    }


def _encode_unsigned(claims: dict[str, object], alg: str) -> str:
    parts = [json.dumps({"alg": alg, "typ": "JWT"}), json.dumps(claims)]
    return ".".join(base64.urlsafe_b64encode(p.encode()).rstrip(b"=").decode() for p in parts) + "."


@pytest.fixture
def signing_key() -> bytes:
    return vault.derive_key(KEY, "bearer tokens")


def test_the_claims_of_these_tests_are_good_when_signed_rightly(
    light_session: Session, signing_key: bytes
) -> None:
    user = add_user(light_session)
    token = jwt.encode(_make_claims(user), signing_key, "HS256")
    assert tokens.get_user_by_token(light_session, KEY, token)[0] is user


@pytest.mark.parametrize("alg", ["none", "None", "NONE", "nOnE", ""])
def test_an_unsigned_token_is_refused(light_session: Session, alg: str) -> None:
    user = add_user(light_session)
    with pytest.raises(NotAllowedError):
        tokens.get_user_by_token(light_session, KEY, _encode_unsigned(_make_claims(user), alg))


@pytest.mark.parametrize("alg", ["HS384", "HS512"])
def test_another_algorithm_is_refused_with_the_right_key(
    light_session: Session, signing_key: bytes, alg: str
) -> None:
    user = add_user(light_session)
    token = jwt.encode(_make_claims(user), signing_key + b"0" * 32, alg)
    with pytest.raises(NotAllowedError):
        tokens.get_user_by_token(light_session, KEY, token)


def test_a_token_signed_with_another_key_is_refused(light_session: Session) -> None:
    user = add_user(light_session)
    for key in (KEY, "another key that has more than thirty-two characters"):
        with pytest.raises(NotAllowedError):
            tokens.get_user_by_token(
                light_session, KEY, jwt.encode(_make_claims(user), key, "HS256")
            )


@pytest.mark.parametrize(
    ("claim", "value"),
    [
        ("exp", 0),
        ("exp", "later"),
        ("exp", None),
        ("exp", 1e400),
        ("sub", None),
        ("sub", 1),
        ("sub", "x"),
        ("sub", "-1"),
        ("sub", "9" * 30),
        ("sub", "2"),
        ("iat", None),
        ("jti", None),
        ("jti", "j" * 65),
        ("jti", 5),
        ("ver", None),
        ("ver", 2),
        ("ver", [1]),
    ],
)
def test_a_token_with_a_bad_claim_is_refused(
    light_session: Session, signing_key: bytes, claim: str, value: object
) -> None:
    claims = _make_claims(add_user(light_session))
    if value is None:
        del claims[claim]
    else:
        claims[claim] = value
    with pytest.raises(NotAllowedError):
        tokens.get_user_by_token(light_session, KEY, jwt.encode(claims, signing_key, "HS256"))


@pytest.mark.parametrize("token", ["", ".", "..", "a.b.c", "é.é.é", "x" * 9000, "\0"])
def test_what_is_no_token_is_refused(light_session: Session, token: str) -> None:
    with pytest.raises(NotAllowedError):
        tokens.get_user_by_token(light_session, KEY, token)


def test_an_expired_token_is_refused(light_session: Session) -> None:
    user = add_user(light_session)
    token = tokens.make_token(KEY, user, now_utc() - timedelta(seconds=3601))
    with pytest.raises(NotAllowedError, match="expired"):
        tokens.get_user_by_token(light_session, KEY, token)
    fresh = tokens.make_token(KEY, user, now_utc() - timedelta(seconds=3500))
    tokens.get_user_by_token(light_session, KEY, fresh)


def test_a_token_ends_with_the_password_it_was_made_with(light_session: Session) -> None:
    user = add_user(light_session)
    token = tokens.make_token(KEY, user)
    users.change_password(light_session, user, "another password")
    with pytest.raises(NotAllowedError):
        tokens.get_user_by_token(light_session, KEY, token)


def test_a_revoked_token_is_refused_and_others_are_not(session: Session) -> None:
    user = add_user(session)
    token, other = tokens.make_token(KEY, user), tokens.make_token(KEY, user)
    _, facts = tokens.get_user_by_token(session, KEY, token)
    tokens.revoke_token(session, facts)
    tokens.revoke_token(session, facts)
    session.commit()
    with pytest.raises(NotAllowedError, match="revoked"):
        tokens.get_user_by_token(session, KEY, token)
    tokens.get_user_by_token(session, KEY, other)


def test_revoked_tokens_are_forgotten_once_they_would_have_expired(session: Session) -> None:
    user = add_user(session)
    for _ in range(2):
        _, facts = tokens.get_user_by_token(session, KEY, tokens.make_token(KEY, user))
        tokens.revoke_token(session, facts)
        session.execute(update(RevokedToken).values(expires_at=now_utc() - timedelta(hours=1)))
        session.commit()
    assert session.scalar(select(func.count()).select_from(RevokedToken)) == 1
