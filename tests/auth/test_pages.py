"""Signing in and out with a browser."""

import re
from pathlib import Path
from urllib.parse import unquote

import pytest
from flask.testing import FlaskClient
from sqlalchemy import delete
from werkzeug.test import TestResponse

from imagehub.domain.people import audit, throttle
from imagehub.models import User
from imagehub.web.access import get_local_target
from tests.fixtures.site import NAME, PASSWORD, Site, make_site, read_csrf_token


def sign_in(client: FlaskClient, **fields: str) -> TestResponse:
    form = {"name": NAME, "password": PASSWORD, "csrf_token": read_csrf_token(client), **fields}
    return client.post("/sign-in", data=form)


def is_signed_in(client: FlaskClient) -> bool:
    """The form sends on whoever has signed in."""
    return client.get("/sign-in").status_code == 302


def test_the_form_signs_in_and_goes_on_to_the_admin_pages(site: Site) -> None:
    client = site.client()
    answer = sign_in(client)
    assert answer.status_code == 302
    assert answer.location == "/admin/"
    assert is_signed_in(client)


def test_the_form_goes_on_to_where_somebody_wanted_to_go(site: Site) -> None:
    client = site.client()
    html = client.get("/sign-in?next=/admin/groups/7%3Fa%3Db").text
    found = re.search(r'<form method="post" action="([^"]+)"', html)
    assert found is not None
    form = {"name": NAME, "password": PASSWORD, "csrf_token": read_csrf_token(client)}
    assert client.post(found.group(1), data=form).location == "/admin/groups/7?a=b"


def test_a_switch_of_language_or_colours_comes_back_to_the_form(site: Site) -> None:
    client = site.client()
    html = client.get("/sign-in?next=/admin/library").text
    switches = re.findall(r'href="(/preferences[^"]+)"', html)
    assert len(switches) == 2
    for switch in switches:
        assert (
            unquote(client.get(switch.replace("&amp;", "&")).location)
            == "/sign-in?next=/admin/library"
        )
    assert "Anmelden" in client.get("/sign-in").text


@pytest.mark.parametrize(
    "target",
    [
        "", "https://evil.example", "//evil.example", "/\\evil.example", "\\\\evil.example",
        "/\t/evil.example", "/a\\b", "javascript:alert(1)", "admin", " //evil.example",
        "/\n/evil.example", "///evil.example", "/sign-in", "/" + "a" * 3000,
    ],
)  # fmt: skip
def test_a_foreign_or_broken_target_is_left_out(site: Site, target: str) -> None:
    if target != "/sign-in":
        with site.app.test_request_context():
            assert get_local_target(target) == "/admin/"
    assert sign_in(site.client(), next=target).location == "/admin/"


@pytest.mark.parametrize("name", [NAME, "Nobody", ""])
def test_a_wrong_password_shows_the_form_again(site: Site, name: str) -> None:
    client = site.client()
    answer = sign_in(client, name=name, password="wrong")
    assert answer.status_code == 401
    assert "The name or the password is wrong." in answer.text
    assert not is_signed_in(client)


def test_the_form_does_not_give_back_the_password(site: Site) -> None:
    assert "wrong-but-secret" not in sign_in(site.client(), password="wrong-but-secret").text


def test_failed_tries_are_in_the_log_without_what_was_typed(site: Site) -> None:
    site_client = site.client()
    sign_in(site_client, password="wrong-but-secret")
    sign_in(site_client, name="hunter2")
    site.post("/login/", json={"username": NAME, "password": "wrong-but-secret"})
    page = site.signed_in_client().get("/admin/activity").text
    assert f"3 failed sign-ins, the last with the name “{NAME}”." in page
    assert "<td>Unknown</td>" in page, "nobody knows who it was"
    assert "wrong-but-secret" not in page
    assert "hunter2" not in page


def test_what_was_typed_is_shown_as_text(site: Site) -> None:
    answer = sign_in(site.client(), name='"><script>x</script>', password="wrong")
    assert "<script>x" not in answer.text


def test_a_form_without_its_token_is_refused(site: Site) -> None:
    client = site.client()
    for token in ("", "x", read_csrf_token(site.client())):
        answer = client.post(
            "/sign-in", data={"name": NAME, "password": PASSWORD, "csrf_token": token}
        )
        assert answer.status_code == 400
    assert not is_signed_in(client)


def test_a_form_that_was_open_for_too_long_is_shown_afresh(site: Site) -> None:
    client = site.client()
    read_csrf_token(client)
    form = {"name": NAME, "password": "a secret word", "csrf_token": "of an earlier session"}
    answer = client.post("/sign-in?next=/admin/library", data=form)
    assert answer.status_code == 400
    assert "This page was open for too long." in answer.text
    assert f'value="{NAME}"' in answer.text
    assert "a secret word" not in answer.text
    token = answer.text.split('name="csrf_token" value="', 1)[1].split('"', 1)[0]
    again = {"name": NAME, "password": PASSWORD, "csrf_token": token}
    assert client.post("/sign-in?next=/admin/library", data=again).location == "/admin/library"


def test_who_has_signed_in_in_another_tab_meanwhile_goes_on(site: Site) -> None:
    client = site.client()
    form = {"name": NAME, "password": PASSWORD, "csrf_token": read_csrf_token(client)}
    sign_in(client)
    answer = client.post("/sign-in?next=/admin/library", data=form)
    assert (answer.status_code, answer.location) == (302, "/admin/library")


def test_a_browser_that_sends_no_cookie_is_told_so_and_where_to_go(tmp_path: Path) -> None:
    """As one does that opened a hub with an https address by http: cookies are for https alone."""
    site = make_site(tmp_path, public_url="https://hub.example.org")
    client = site.app.test_client(use_cookies=False)
    form = {"name": NAME, "password": PASSWORD, "csrf_token": read_csrf_token(client)}
    answer = client.post("/sign-in", data=form)
    assert answer.status_code == 400
    assert "Your browser did not send the cookie" in answer.text
    assert "https://hub.example.org/sign-in" in answer.text


def test_the_form_says_so_while_nobody_may_sign_in(site: Site) -> None:
    words = "There is no account yet."
    assert words not in site.get("/sign-in").text
    with site.session() as session:
        session.execute(delete(User))
    page = site.get("/sign-in").text
    assert words in page
    assert "<code>imagehub create-admin NAME</code>" in page


def test_the_form_is_kept_by_no_cache(site: Site) -> None:
    assert site.get("/sign-in").headers["Cache-Control"] == "private, no-store"


@pytest.mark.usefixtures("long_waits")
def test_the_form_is_throttled_together_with_the_call(site: Site) -> None:
    for i in range(5):
        site.post(
            "/login/",
            json={"username": NAME, "password": "wrong"},
            environ_base={"REMOTE_ADDR": f"192.0.2.{i}"},
        )
    answer = sign_in(site.client())
    assert answer.status_code == 429
    assert 1 <= int(answer.headers["Retry-After"]) <= throttle.LONGEST_NAME_WAIT_SECONDS
    assert re.search(r"Try again in \d+ seconds?\.", answer.text)


@pytest.mark.usefixtures("long_waits")
def test_a_browser_used_before_is_not_held_up_by_strangers(site: Site) -> None:
    client = site.signed_in_client()
    client.delete_cookie("hub")
    for i in range(6):
        site.post(
            "/login/",
            json={"username": NAME, "password": "wrong"},
            environ_base={"REMOTE_ADDR": f"192.0.2.{i}"},
        )
    assert sign_in(site.client()).status_code == 429
    assert sign_in(client).status_code == 302


def test_signing_out_takes_a_post_with_a_token(site: Site) -> None:
    client = site.signed_in_client()
    assert client.get("/sign-out").status_code == 405
    assert client.post("/sign-out").status_code == 400
    assert is_signed_in(client)
    token = get_token(client, site)
    assert client.post("/sign-out", data={"csrf_token": token}).status_code == 302
    assert not is_signed_in(client)
    with site.session() as session:
        entry = audit.list_entries(session).entries[0]
        assert (entry.actor_name, entry.verb, entry.kind) == (NAME, "sign_out", "account")
        assert audit.describe(entry).startswith("Signed out in ")


def test_signing_out_leaves_nothing_behind(site: Site) -> None:
    client = site.client()
    sign_in(client, remember="on")
    token = get_token(client, site)
    with client.session_transaction() as kept:
        kept["after_connection"] = "/admin/drive"
    client.post("/sign-out", data={"csrf_token": token})
    assert client.get_cookie("remember_token") is None
    assert client.get_cookie("hub") is None


def test_a_browser_whose_session_was_ended_elsewhere_is_a_strangers(site: Site) -> None:
    client = site.signed_in_client()
    assert "Manage" in client.get("/").text
    site.change_password("quite another password")
    client.get("/sign-in")
    assert "Manage" not in client.get("/").text


def test_who_is_signed_out_already_may_sign_out(site: Site) -> None:
    client = site.signed_in_client()
    token = get_token(client, site)
    site.change_password("quite another password")
    assert client.post("/sign-out", data={"csrf_token": token}).location == "/"


def get_token(client: FlaskClient, site: Site) -> str:
    """A CSRF token of this browser's session, as any of its pages would hold it."""
    from flask import session
    from flask_wtf.csrf import generate_csrf

    with client.session_transaction() as kept:
        raw = kept.get("csrf_token")
    with site.app.test_request_context():
        if raw:
            session["csrf_token"] = raw
        token = generate_csrf()
        raw = session["csrf_token"]
    with client.session_transaction() as kept:
        kept["csrf_token"] = raw
    return str(token)


def test_a_session_ends_with_the_password_it_was_made_with(site: Site) -> None:
    client = site.signed_in_client()
    site.change_password("quite another password")
    assert not is_signed_in(client)


def test_a_browser_that_was_told_to_remembers(site: Site) -> None:
    client = site.client()
    answer = sign_in(client, remember="on")
    cookies = answer.headers.getlist("Set-Cookie")
    assert any(c.startswith("remember_token=") and "HttpOnly" in c for c in cookies)
    client.delete_cookie("hub")
    assert is_signed_in(client)
    site.change_password("quite another password")
    client.delete_cookie("hub")
    assert not is_signed_in(client)


def test_a_browser_that_was_not_told_to_forgets(site: Site) -> None:
    client = site.client()
    cookies = sign_in(client).headers.getlist("Set-Cookie")
    assert not any(cookie.startswith("remember_token=") for cookie in cookies)
    [session] = [cookie for cookie in cookies if cookie.startswith("hub=")]
    assert "Expires" not in session
    assert "Max-Age" not in session


def test_signing_in_makes_a_new_session(site: Site) -> None:
    """A session id or token that somebody put into the browser before is worth nothing."""
    client = site.client()
    with client.session_transaction() as kept:
        kept["planted"] = "x"
    sign_in(client)
    with client.session_transaction() as kept:
        assert "planted" not in kept


def test_cookies_are_safe_on_https(tmp_path: Path) -> None:
    site = make_site(tmp_path, public_url="https://hub.example.org")
    client = site.client()
    base = "https://hub.example.org"
    html = client.get("/sign-in", base_url=base).text
    token = html.split('name="csrf_token" value="', 1)[1].split('"', 1)[0]
    answer = client.post(
        "/sign-in",
        base_url=base,
        headers={"Referer": f"{base}/sign-in"},
        data={"name": NAME, "password": PASSWORD, "csrf_token": token, "remember": "on"},
    )
    assert answer.status_code == 302
    cookies = answer.headers.getlist("Set-Cookie")
    assert len(cookies) == 3
    for cookie in cookies:
        assert "Secure" in cookie
        assert "HttpOnly" in cookie
        assert "SameSite=Lax" in cookie
    assert any(cookie.startswith("__Host-hub=") for cookie in cookies)


def test_a_stranger_is_sent_to_the_form_and_back(site: Site) -> None:
    answer = site.get("/admin/onedrive/callback?code=a&state=b")
    assert answer.status_code == 302
    assert answer.location == "/sign-in?next=/admin/onedrive/callback?code%3Da%26state%3Db"
