"""The page of all accounts: disable and enable them."""

import re

import pytest
from flask.testing import FlaskClient

from imagehub.domain.people import api_tokens, audit, tokens, users
from imagehub.models import User
from imagehub.wiring import get_signing_keys
from tests.admin.pages import read_toasts, send
from tests.fixtures.site import NAME, PASSWORD, Site, read_csrf_token

ADMINS = "/admin/account/admins"
GRACES_PASSWORD = "another good password"


@pytest.fixture
def client(site: Site) -> FlaskClient:
    return site.signed_in_client()


@pytest.fixture
def grace(site: Site) -> int:
    with site.session() as session:
        return users.create_admin(session, "Grace", GRACES_PASSWORD).id


def sign_in(site: Site, name: str, password: str) -> FlaskClient:
    client = site.client()
    form = {"name": name, "password": password, "csrf_token": read_csrf_token(client)}
    client.post("/sign-in", data=form)
    return client


def is_signed_in(client: FlaskClient) -> bool:
    return client.get("/admin/account").status_code == 200


def get_id(site: Site, name: str = NAME) -> int:
    with site.session() as session:
        user = users.find_user(session, name)
        assert user is not None
        return user.id


def list_states(client: FlaskClient) -> dict[int, str]:
    html = client.get(ADMINS).text
    return {
        int(id): state for id, state in re.findall(r'data-user="(\d+)" data-state="(\w+)"', html)
    }


def test_an_account_is_disabled_and_enabled_again(
    site: Site, client: FlaskClient, grace: int
) -> None:
    other = sign_in(site, "Grace", GRACES_PASSWORD)
    assert is_signed_in(other)
    with site.session() as session:
        user = session.get_one(User, grace)
        _, token = api_tokens.create_token(session, user, "Backup", "read", None)
        bearer = tokens.make_token(get_signing_keys(site.app), user)

    def list_statuses() -> list[int]:
        return [
            site.get("/auth", headers={"Authorization": f"Bearer {one}"}).status_code
            for one in (token, bearer)
        ]

    assert list_statuses() == [200, 200]
    answer = send(client, f"{ADMINS}/disable", ADMINS, user=str(grace), password=PASSWORD)
    assert (answer.status_code, answer.location) == (303, ADMINS)
    toast = read_toasts(client, ADMINS)
    assert "The account “Grace” was disabled." in toast
    assert f'action="{ADMINS}/enable"' in toast, "it can be undone"
    assert f'name="user" value="{grace}"' in toast
    assert list_states(client) == {get_id(site): "enabled", grace: "disabled"}
    assert not is_signed_in(other)
    assert list_statuses() == [401, 401]
    form = {"username": "Grace", "password": GRACES_PASSWORD}
    wrong = {"code": 1, "hint": "username or password did not match"}
    assert site.post("/login/", json=form).json == wrong
    assert not is_signed_in(sign_in(site, "Grace", GRACES_PASSWORD))
    assert is_signed_in(client)

    send(client, f"{ADMINS}/enable", ADMINS, user=str(grace))
    assert "The account “Grace” was enabled." in read_toasts(client, ADMINS)
    assert is_signed_in(sign_in(site, "Grace", GRACES_PASSWORD))
    assert not is_signed_in(other)
    assert list_statuses() == [401, 401]
    with site.session() as session:
        log = [audit.describe(one) for one in audit.list_entries(session).entries]
    assert "Disabled the account “Grace”." in log
    assert "Enabled the account “Grace” again." in log


def read_field(page: str, name: str) -> str:
    """Return the open form's field of this name with its fault."""
    form = page.split('<details class="ask" open>', 1)[1].split("</form>", 1)[0]
    return next(part for part in form.split("<p ")[1:] if f'name="{name}"' in part)


def test_disabling_asks_for_the_password(site: Site, client: FlaskClient, grace: int) -> None:
    answer = send(client, f"{ADMINS}/disable", ADMINS, user=str(grace), password="wrong")
    assert answer.status_code == 422
    assert "This is not your password." in read_field(answer.text, "password")
    assert '<details class="ask" open>' in answer.text
    assert list_states(client)[grace] == "enabled"
    assert (
        send(client, f"{ADMINS}/disable", ADMINS, password=PASSWORD, user="99").status_code == 404
    )


def test_ones_own_account_is_disabled_only_when_it_is_said(
    site: Site, client: FlaskClient, grace: int
) -> None:
    own = str(get_id(site))
    assert "This is your own account." in client.get(ADMINS).text
    answer = send(client, f"{ADMINS}/disable", ADMINS, user=own, password=PASSWORD)
    assert answer.status_code == 422
    fault = "Confirm that you want to disable your own account."
    assert fault in read_field(answer.text, "own")
    assert fault not in read_field(answer.text, "password")
    assert is_signed_in(client)
    answer = send(client, f"{ADMINS}/disable", ADMINS, user=own, password=PASSWORD, own="1")
    assert answer.location == "/sign-in"
    assert not is_signed_in(client)
    assert not is_signed_in(sign_in(site, NAME, PASSWORD))
    with site.session() as session:
        entry = audit.list_entries(session, actor=NAME).entries[0]
        assert (entry.action, entry.subject) == ("disable_account", NAME)


def test_the_only_account_cannot_be_disabled(site: Site, client: FlaskClient, grace: int) -> None:
    send(client, f"{ADMINS}/disable", ADMINS, user=str(grace), password=PASSWORD)
    assert f'action="{ADMINS}/disable"' not in client.get(ADMINS).text
    own = str(get_id(site))
    answer = send(client, f"{ADMINS}/disable", ADMINS, user=own, password=PASSWORD, own="1")
    assert answer.status_code == 422
    fault = "This is the only account that can sign in."
    assert fault in answer.text
    assert fault not in read_field(answer.text, "own") + read_field(answer.text, "password")
    assert is_signed_in(client)


def test_the_account_page_leads_to_all_accounts(client: FlaskClient) -> None:
    assert f'href="{ADMINS}"' in client.get("/admin/account").text


def test_while_many_passwords_are_checked_pages_and_calls_say_so(
    site: Site, client: FlaskClient, all_places_taken: None
) -> None:
    words = "Many passwords are being checked."
    stranger = site.client()
    form = {"name": NAME, "password": PASSWORD, "csrf_token": read_csrf_token(stranger)}
    refused = stranger.post("/sign-in", data=form)
    call = site.post("/login/", json={"username": NAME, "password": PASSWORD})
    again = send(client, "/admin/account/password", password=PASSWORD, new="x", again="x")
    disabled = send(client, f"{ADMINS}/disable", ADMINS, user="1", own="1", password=PASSWORD)
    share = {"group": site.add_group(), "password": PASSWORD, "wants_password": "1"}
    shared = send(client, "/admin/shares", ADMINS, **share)
    for answer in (refused, call, again, disabled, shared):
        assert answer.status_code == 429
        assert words in answer.text
        assert answer.headers["Retry-After"] == "5"
