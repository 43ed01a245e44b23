"""Signing in with a second step, in a browser and by a call."""

import time

import pyotp
import pytest
from flask.testing import FlaskClient
from werkzeug.security import generate_password_hash
from werkzeug.test import TestResponse

from imagehub.domain.people import audit, passwords, second_factor, throttle, users
from imagehub.wiring import get_clients
from tests.fixtures.site import NAME, PASSWORD, Site, read_csrf_token

CODE = "/sign-in/code"


@pytest.fixture
def secret(site: Site) -> str:
    """The second step is on; its first code was of some minutes ago."""
    with site.session() as session:
        vault = get_clients(site.app).vault
        user = users.find_user(session, NAME)
        assert vault is not None
        assert user is not None
        made = second_factor.begin(session, vault, user)
        second_factor.confirm(session, vault, user, pyotp.TOTP(made).now())
        row = session.get_one(second_factor.SecondFactor, user.id)
        row.last_step -= 10
        return made


def give_password(client: FlaskClient, **fields: str) -> TestResponse:
    token = read_csrf_token(client)
    form = {"name": NAME, "password": PASSWORD, "csrf_token": token, **fields}
    return client.post("/sign-in", data=form)


def give_code(client: FlaskClient, code: str) -> TestResponse:
    token = read_csrf_token(client, CODE)
    return client.post(CODE, data={"code": code, "csrf_token": token})


def post_sign_out(client: FlaskClient) -> None:
    token = read_csrf_token(client, "/admin/account")
    assert client.post("/sign-out", data={"csrf_token": token}).status_code == 302


def is_signed_in(client: FlaskClient) -> bool:
    return client.get("/admin/").status_code == 200


def test_the_password_alone_opens_nothing(site: Site, secret: str) -> None:
    client = site.client()
    answer = give_password(client, next="/admin/settings")
    assert (answer.status_code, answer.location) == (302, CODE)
    assert not is_signed_in(client)
    assert client.get("/sign-in").status_code == 200
    cookies = answer.headers.getlist("Set-Cookie")
    assert not any(cookie.startswith(("remember_token=", "hub-known")) for cookie in cookies)


def test_the_code_opens_and_goes_on_to_where_one_wanted(site: Site, secret: str) -> None:
    client = site.client()
    give_password(client, next="/admin/settings", remember="on")
    answer = give_code(client, pyotp.TOTP(secret).now())
    assert (answer.status_code, answer.location) == (302, "/admin/settings")
    assert is_signed_in(client)
    client.delete_cookie("hub")
    assert is_signed_in(client), "the wish to be remembered survives the second step"


def test_an_older_hash_is_made_again_at_a_sign_in_by_call(site: Site, secret: str) -> None:
    older = generate_password_hash(PASSWORD, f"scrypt:{passwords.SCRYPT_N // 4}:8:1")
    with site.session() as session:
        user = users.find_user(session, NAME)
        assert user is not None
        user.password_hash = older
    fields = {"username": NAME, "password": PASSWORD, "code": pyotp.TOTP(secret).now()}
    answer = site.post("/login/", json=fields).json
    assert answer is not None
    assert answer["code"] == 2
    with site.session() as session:
        user = users.find_user(session, NAME)
        assert user is not None
        assert user.password_hash.startswith(f"scrypt:{passwords.SCRYPT_N}:8:1$")
        assert user.last_sign_in_at is not None


def test_a_code_opens_one_door(site: Site, secret: str) -> None:
    code = pyotp.TOTP(secret).now()
    first, second = site.client(), site.client()
    give_password(first)
    give_password(second)
    assert give_code(first, code).status_code == 302
    answer = give_code(second, code)
    assert answer.status_code == 401
    assert "This code is wrong or was used before." in answer.text
    assert not is_signed_in(second)


def test_a_recovery_code_opens_once(site: Site, secret: str) -> None:
    with site.session() as session:
        user = users.find_user(session, NAME)
        assert user is not None
        code = second_factor.make_recovery_codes(session, user)[0]
    client = site.client()
    give_password(client)
    assert give_code(client, code).status_code == 302
    assert is_signed_in(client)
    with site.session() as session:
        assert audit.list_entries(session).entries[0].action == "sign_in_by_recovery"
    again = site.client()
    give_password(again)
    assert give_code(again, code).status_code == 401


@pytest.mark.usefixtures("long_waits")
def test_who_guesses_codes_has_to_wait(site: Site, secret: str) -> None:
    client = site.client()
    give_password(client)
    for _ in range(throttle.FREE_TRIES):
        assert give_code(client, "000-000-0").status_code == 401
    answer = give_code(client, pyotp.TOTP(secret).now())
    assert answer.status_code == 429
    assert int(answer.headers["Retry-After"]) > 0
    fresh = site.client()
    give_password(fresh)
    assert give_code(fresh, pyotp.TOTP(secret).now()).status_code == 429, (
        "the wait is not shaken off by beginning again"
    )


@pytest.mark.usefixtures("long_waits")
def test_a_browser_known_from_before_is_not_held_up_by_who_knows_the_password(
    site: Site, secret: str
) -> None:
    with site.session() as session:
        user = users.find_user(session, NAME)
        assert user is not None
        recovery = second_factor.make_recovery_codes(session, user)
    owner, stranger = site.client(), site.client()
    give_password(owner)
    assert give_code(owner, recovery[0]).status_code == 302
    give_password(stranger)
    for _ in range(throttle.FREE_TRIES):
        assert give_code(stranger, "000000").status_code == 401
    assert give_code(stranger, "000000").status_code == 429
    post_sign_out(owner)
    give_password(owner)
    assert give_code(owner, recovery[1]).status_code == 302
    assert is_signed_in(owner)
    assert give_code(stranger, recovery[2]).status_code == 429, "that freed nobody else"


@pytest.mark.usefixtures("long_waits")
def test_a_known_browser_has_a_brake_of_its_own(site: Site, secret: str) -> None:
    with site.session() as session:
        user = users.find_user(session, NAME)
        assert user is not None
        recovery = second_factor.make_recovery_codes(session, user)
    client = site.client()
    give_password(client)
    assert give_code(client, recovery[0]).status_code == 302
    post_sign_out(client)
    give_password(client)
    for _ in range(throttle.FREE_TRIES):
        assert give_code(client, "000000").status_code == 401
    assert give_code(client, recovery[1]).status_code == 429


@pytest.mark.usefixtures("long_waits")
def test_a_browser_known_by_the_password_alone_is_no_known_one(site: Site) -> None:
    """Whoever knew the password had it from many sign-ins, before there was a second step."""
    client = site.signed_in_client()
    with site.session() as session:
        vault = get_clients(site.app).vault
        user = users.find_user(session, NAME)
        assert vault is not None
        assert user is not None
        made = second_factor.begin(session, vault, user)
        second_factor.confirm(session, vault, user, pyotp.TOTP(made).now())
        recovery = second_factor.make_recovery_codes(session, user)
    stranger = site.client()
    give_password(stranger)
    for _ in range(throttle.FREE_TRIES):
        assert give_code(stranger, "000000").status_code == 401
    post_sign_out(client)
    mark = client.get_cookie("hub-known")
    assert mark is not None
    client.set_cookie("hub-known-code", mark.value)
    give_password(client)
    assert give_code(client, recovery[0]).status_code == 429


@pytest.mark.parametrize("method", ["get", "post"])
def test_the_code_is_asked_of_nobody_else(site: Site, secret: str, method: str) -> None:
    client = site.client()
    data = {"code": pyotp.TOTP(secret).now(), "csrf_token": read_csrf_token(client)}
    answer = client.open(CODE, method=method.upper(), data=data if method == "post" else None)
    assert (answer.status_code, answer.location) == (302, "/sign-in")
    assert not is_signed_in(client)


def test_half_a_sign_in_is_forgotten_after_ten_minutes(site: Site, secret: str) -> None:
    client = site.client()
    give_password(client)
    token = read_csrf_token(client, CODE)
    with client.session_transaction() as kept:
        kept["half_signed_in"]["at"] = int(time.time()) - 601
        kept.modified = True
    answer = client.post(CODE, data={"code": pyotp.TOTP(secret).now(), "csrf_token": token})
    assert answer.location == "/sign-in"
    assert not is_signed_in(client)


@pytest.mark.parametrize("method", ["get", "post"])
def test_who_took_too_long_is_told_so_and_still_gets_to_where_they_wanted(
    site: Site, secret: str, method: str
) -> None:
    client = site.client()
    give_password(client, next="/admin/settings")
    token = read_csrf_token(client, CODE)
    with client.session_transaction() as kept:
        kept["half_signed_in"]["at"] = int(time.time()) - 601
        kept.modified = True
    data = {"code": pyotp.TOTP(secret).now(), "csrf_token": token} if method == "post" else None
    answer = client.open(CODE, method=method.upper(), data=data)
    assert answer.location == "/sign-in?next=/admin/settings"
    told = "That took too long, or the password was changed."
    assert told in client.get(answer.location).text
    assert told not in client.get(answer.location).text, "once"


def test_half_a_sign_in_ends_with_the_password(site: Site, secret: str) -> None:
    client = site.client()
    give_password(client)
    token = read_csrf_token(client, CODE)
    site.change_password("quite another password")
    answer = client.post(CODE, data={"code": pyotp.TOTP(secret).now(), "csrf_token": token})
    assert answer.location == "/sign-in"
    assert not is_signed_in(client)


def test_the_form_of_the_code_needs_its_token(site: Site, secret: str) -> None:
    client = site.client()
    give_password(client)
    assert client.post(CODE, data={"code": pyotp.TOTP(secret).now()}).status_code == 400
    assert not is_signed_in(client)


# --- By a call ------------------------------------------------------------------------------------


def test_a_call_needs_the_code_too(site: Site, secret: str) -> None:
    body = {"username": NAME, "password": PASSWORD}
    needed = {"code": 1, "hint": "second_factor_needed"}
    assert site.post("/login/", json=body).json == needed
    assert site.post("/login/", json={**body, "code": "123"}).json == needed
    code = pyotp.TOTP(secret).now()
    answer = site.post("/login/", json={**body, "code": code}).json
    assert answer["code"] == 2
    headers = {"Authorization": f"Bearer {answer['token']}"}
    assert site.get("/auth", headers=headers).json["hint"] == "valid_jwt_token"
    assert site.post("/login/", json={**body, "code": code}).json == needed, "used up"


def test_a_wrong_password_never_tells_of_the_second_step(site: Site, secret: str) -> None:
    body = {"username": NAME, "password": "wrong", "code": pyotp.TOTP(secret).now()}
    answer = site.post("/login/", json=body).json
    assert answer == {"code": 1, "hint": "username or password did not match"}


def test_a_call_without_a_second_step_needs_no_code(site: Site) -> None:
    body = {"username": NAME, "password": PASSWORD}
    assert site.post("/login/", json=body).json["code"] == 2
