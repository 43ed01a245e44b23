"""Bearer tokens of the JSON API."""

import base64
import json
import time
from datetime import timedelta

import jwt
import pytest
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from imagehub.database import now_utc
from imagehub.domain import vault
from imagehub.domain.people import tokens, users
from imagehub.errors import NotAllowedError
from imagehub.models import RevokedToken, User
from tests.domain.people.accounts import KEY, add_user


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
    return vault.derive_key(KEY.current, "bearer tokens")


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
    for key in (KEY.current, "another key that has more than thirty-two characters"):
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
