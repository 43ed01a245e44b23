"""Accounts: names, passwords, signing in."""

import hashlib
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy.orm import Session
from werkzeug.security import generate_password_hash

from imagehub.database import now_utc
from imagehub.domain.people import passwords, users
from imagehub.errors import ConflictError, InvalidInputError, NotAllowedError
from imagehub.models import User
from tests.domain.people.accounts import KEY, PASSWORD, add_user


@pytest.fixture
def scrypt_calls(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The costs (n·r·p) of the hashes that are computed."""
    calls: list[int] = []
    compute: Callable[..., bytes] = hashlib.scrypt

    def note(password: bytes, **options: Any) -> bytes:
        calls.append(options["n"] * options["r"] * options["p"])
        return compute(password, **options)

    monkeypatch.setattr(hashlib, "scrypt", note)
    return calls


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


def test_a_password_is_kept_as_a_scrypt_hash_alone(
    real_password_hashes: None, light_session: Session
) -> None:
    user = add_user(light_session)
    assert user.password_hash.startswith("scrypt:131072:8:1$")
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


def test_unknown_names_disabled_accounts_and_older_hashes_cost_the_same(
    light_session: Session, scrypt_calls: list[int]
) -> None:
    """Not by the clock, which depends on the machine: by the parameters that make the cost."""
    add_user(light_session)
    older = add_user(light_session, "Older")
    older.password_hash = generate_password_hash(PASSWORD, f"scrypt:{passwords.SCRYPT_N // 4}:8:1")
    disabled = add_user(light_session, "Disabled")
    disabled.disabled_at = now_utc()
    light_session.commit()
    for name, password in (
        ("Ada", "wrong"),
        ("Nobody", "wrong"),
        ("Older", "wrong"),
        ("Disabled", "wrong"),
        ("Disabled", PASSWORD),
    ):
        scrypt_calls.clear()
        with pytest.raises(NotAllowedError):
            users.sign_in(light_session, KEY, name, password, "192.0.2.1")
        light_session.rollback()
        assert sum(scrypt_calls) == passwords.SCRYPT_N * 8, name


def test_an_older_hash_is_made_again_at_a_right_sign_in(light_session: Session) -> None:
    user = add_user(light_session)
    version = user.credentials_version
    older = generate_password_hash(PASSWORD, f"scrypt:{passwords.SCRYPT_N // 4}:8:1")
    user.password_hash = older
    light_session.commit()
    with pytest.raises(NotAllowedError):
        users.sign_in(light_session, KEY, "Ada", "wrong", "192.0.2.1")
    light_session.commit()
    assert user.password_hash == older
    users.sign_in(light_session, KEY, "Ada", PASSWORD, "192.0.2.1")
    light_session.commit()
    fresh = user.password_hash
    assert fresh.startswith(f"scrypt:{passwords.SCRYPT_N}:8:1$")
    assert user.credentials_version == version, "sessions and tokens stay"
    users.sign_in(light_session, KEY, "Ada", PASSWORD, "192.0.2.1")
    light_session.commit()
    assert user.password_hash == fresh


def test_a_password_longer_than_any_is_wrong_and_not_cut_to_fit(light_session: Session) -> None:
    users.create_admin(light_session, "Ada", "p" * 1024)
    light_session.commit()
    users.sign_in(light_session, KEY, "Ada", "p" * 1024, "192.0.2.1")
    light_session.commit()
    with pytest.raises(NotAllowedError):
        users.sign_in(light_session, KEY, "Ada", "p" * 1025, "192.0.2.1")


def test_a_password_that_is_changed_while_it_is_checked_does_not_sign_in(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = add_user(session)
    check = passwords.is_right

    def change_meanwhile(stored: str, password: str) -> bool:
        is_right = check(stored, password)
        with Session(session.get_bind()) as other:
            users.change_password(other, other.get_one(User, user_id), "another good password")
            other.commit()
        return is_right

    user_id = user.id
    session.commit()
    monkeypatch.setattr(passwords, "is_right", change_meanwhile)
    with pytest.raises(NotAllowedError):
        users.sign_in(session, KEY, "Ada", PASSWORD, "192.0.2.1")
    session.rollback()
    monkeypatch.undo()
    assert users.sign_in(session, KEY, "Ada", "another good password", "192.0.2.1")
