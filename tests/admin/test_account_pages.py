"""The account's page: name, password, second step, sessions, tokens."""

import re

import pyotp
import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from imagehub.domain.people import audit, throttle, users
from tests.admin.pages import follow, read_toasts, send
from tests.fixtures.site import NAME, PASSWORD, Site, read_csrf_token

ACCOUNT = "/admin/account"
CODE = re.compile(r"\b[a-z0-9]{4}(?:-[a-z0-9]{4}){5}\b")
PHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Safari/604.1"


@pytest.fixture
def client(site: Site) -> FlaskClient:
    return site.signed_in_client()


def sign_in(site: Site, password: str = PASSWORD, agent: str = PHONE) -> FlaskClient:
    client = site.client()
    answer = client.post(
        "/sign-in",
        data={"name": NAME, "password": password, "csrf_token": read_csrf_token(client)},
        headers={"User-Agent": agent},
    )
    assert answer.status_code in (302, 401)
    return client


def is_signed_in(client: FlaskClient) -> bool:
    return client.get(ACCOUNT).status_code == 200


def list_words(site: Site) -> list[str]:
    """The lines of the log, new to old."""
    with site.session() as session:
        return [audit.describe(entry) for entry in audit.list_entries(session).entries]


# --- Name and password ----------------------------------------------------------------------------


def test_a_name_is_changed(site: Site, client: FlaskClient) -> None:
    answer = send(client, f"{ACCOUNT}/name", name=" Ada Lovelace ", password=PASSWORD)
    assert answer.location == ACCOUNT
    assert "You are signed in as Ada Lovelace." in client.get(ACCOUNT).text
    with site.session() as session:
        assert users.find_user(session, "ada lovelace") is not None
    assert list_words(site)[0] == "Changed the account’s name from “Ada” to “Ada Lovelace”."


def test_a_name_that_cannot_be_used_is_told_beside_the_field(
    site: Site, client: FlaskClient
) -> None:
    with site.session() as session:
        users.create_admin(session, "Grace", "another good password")
    for name, fault in (("", "Enter a name."), ("GRACE", "This name is taken.")):
        answer = send(client, f"{ACCOUNT}/name", name=name, password=PASSWORD)
        assert answer.status_code == 422
        assert fault in answer.text
        assert 'id="name-words"' in answer.text


@pytest.mark.parametrize("password", ["wrong", ""])
def test_a_name_is_not_changed_without_the_password(
    site: Site, client: FlaskClient, password: str
) -> None:
    answer = send(client, f"{ACCOUNT}/name", name="Mallory", password=password)
    assert answer.status_code == 422
    assert 'id="name-password-words"' in answer.text
    assert 'value="Mallory"' in answer.text, "what was typed stays"
    with site.session() as session:
        assert users.find_user(session, "Mallory") is None


def test_a_new_password_ends_all_other_sessions_and_keeps_this_one(
    site: Site, client: FlaskClient
) -> None:
    other = sign_in(site)
    assert is_signed_in(other)
    new = "four words in a row"
    answer = send(client, f"{ACCOUNT}/password", password=PASSWORD, new=new, again=new)
    assert answer.location == ACCOUNT
    assert is_signed_in(client)
    assert not is_signed_in(other)
    assert not is_signed_in(sign_in(site))
    assert is_signed_in(sign_in(site, new))


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ({"password": "wrong", "new": "x" * 9, "again": "x" * 9}, "This is not your password."),
        (
            {"password": PASSWORD, "new": "x" * 9, "again": "x" * 8},
            "passwords do not match.",
        ),
        ({"password": PASSWORD, "new": "short", "again": "short"}, "at least 8 characters"),
        ({"password": "", "new": "x" * 9, "again": "x" * 9}, "This is not your password."),
        ({}, "This is not your password."),
    ],
)
def test_a_password_is_not_changed_by_mistake(
    site: Site, client: FlaskClient, fields: dict[str, str], fault: str
) -> None:
    answer = send(client, f"{ACCOUNT}/password", **fields)
    assert answer.status_code == 422
    assert fault in answer.text
    assert is_signed_in(sign_in(site))


@pytest.mark.usefixtures("long_waits")
def test_who_guesses_the_password_at_an_open_browser_has_to_wait(client: FlaskClient) -> None:
    """Whichever form is used for it."""
    token = read_csrf_token(client, ACCOUNT)
    forms = ["second-step", "name", "sessions/end", "sessions/end-others", "tokens", "password"]
    assert len(forms) == throttle.FREE_TRIES + 1
    statuses = [
        client.post(
            f"{ACCOUNT}/{form}",
            data={"csrf_token": token, "password": f"guess of {form}", "session": "7"},
        ).status_code
        for form in forms
    ]
    assert statuses == [422] * throttle.FREE_TRIES + [429]


# --- Language -------------------------------------------------------------------------------------


def read_language(client: FlaskClient, path: str) -> str:
    page = client.get(path, headers={"Accept-Language": "en"}).text
    return page.split('<html lang="', 1)[1].split('"', 1)[0]


def test_the_account_sets_the_language_of_the_admin_pages_alone(
    site: Site, client: FlaskClient
) -> None:
    assert read_language(client, ACCOUNT) == "en"
    answer = send(client, f"{ACCOUNT}/language", language="de")
    assert answer.location == ACCOUNT
    assert "Sprache geändert." in read_toasts(client)
    assert read_language(client, ACCOUNT) == read_language(client, "/admin/activity") == "de"
    assert read_language(client, "/") == "en"
    # Another browser of the same person shows it too; nobody else does.
    assert read_language(site.signed_in_client(), ACCOUNT) == "de"
    assert read_language(site.client(), "/sign-in") == "en"
    send(client, f"{ACCOUNT}/language", language="")
    assert read_language(client, ACCOUNT) == "en"
    assert 'lang="de"' in client.get(ACCOUNT, headers={"Accept-Language": "de"}).text


def test_a_language_that_does_not_exist_is_refused(client: FlaskClient) -> None:
    assert send(client, f"{ACCOUNT}/language", language="tlh").status_code == 422


@pytest.mark.parametrize(
    ("password", "fault"),
    [
        ("qwertyuiop", "one of the most common ones"),
        ("adaadaada1", "little more than the account’s name"),
        ("ImageHub-2026", "little more than the title of this site"),
    ],
)
def test_a_new_password_that_is_guessed_first_is_refused_at_its_field(
    client: FlaskClient, password: str, fault: str
) -> None:
    fields = {"password": PASSWORD, "new": password, "again": password}
    answer = send(client, f"{ACCOUNT}/password", **fields)
    assert answer.status_code == 422
    assert 'id="new-words"' in answer.text
    assert fault in answer.text


# --- The second step ------------------------------------------------------------------------------


def switch_on(client: FlaskClient) -> tuple[str, list[str]]:
    """By the pages; the secret and the recovery codes."""
    answer = send(client, f"{ACCOUNT}/second-step", password=PASSWORD)
    assert answer.location == f"{ACCOUNT}/second-step"
    page = client.get(answer.location).text
    found = re.search(r'<code class="secret">([A-Z2-7 ]+)</code>', page)
    assert found is not None
    secret = found.group(1).replace(" ", "")
    assert "<svg" in page
    done = send(
        client,
        f"{ACCOUNT}/second-step/confirm",
        f"{ACCOUNT}/second-step",
        code=pyotp.TOTP(secret).now(),
    )
    return secret, CODE.findall(follow(client, done).text)


def test_the_second_step_is_switched_on_with_a_code(site: Site, client: FlaskClient) -> None:
    _, codes = switch_on(client)
    assert len(codes) == 10
    assert "10 recovery codes left" in client.get(ACCOUNT).text
    assert sign_in(site).get("/sign-in/code").status_code == 200
    page = client.get(f"{ACCOUNT}/second-step")
    assert page.location == ACCOUNT, "the secret is shown no more"
    assert not any(code in client.get(ACCOUNT).text for code in codes)


@pytest.mark.parametrize("has_codes", [True, False], ids=["first came", "first was dropped"])
def test_a_second_click_on_switch_it_on_shows_the_codes_or_says_what_to_do(
    client: FlaskClient, has_codes: bool
) -> None:
    """Without a script nothing stops it, and the browser may drop the answer to the first."""
    send(client, f"{ACCOUNT}/second-step", password=PASSWORD)
    page = client.get(f"{ACCOUNT}/second-step").text
    secret = re.search(r'class="secret">([A-Z2-7 ]+)<', page)
    assert secret is not None
    code = pyotp.TOTP(secret.group(1).replace(" ", "")).now()
    fields = {"csrf_token": read_csrf_token(client, f"{ACCOUNT}/second-step"), "code": code}
    cookie = client.get_cookie("hub")
    assert cookie is not None
    first = client.post(f"{ACCOUNT}/second-step/confirm", data=fields)
    if not has_codes:
        client.set_cookie("hub", cookie.value)
    second = client.post(f"{ACCOUNT}/second-step/confirm", data=fields)
    assert first.status_code == second.status_code == 303
    answer = client.get(second.location, follow_redirects=True)
    assert len(CODE.findall(answer.text)) == (10 if has_codes else 0)
    told = (
        "Two-factor authentication is on. If you have not seen its recovery codes, create new ones."
    )
    assert (told in answer.text) != has_codes


def test_a_wrong_code_switches_nothing_on(site: Site, client: FlaskClient) -> None:
    send(client, f"{ACCOUNT}/second-step", password=PASSWORD)
    before = client.get(f"{ACCOUNT}/second-step").text
    answer = send(
        client, f"{ACCOUNT}/second-step/confirm", f"{ACCOUNT}/second-step", code="nonsense"
    )
    assert answer.status_code == 422
    assert "This is not the current code." in answer.text
    secret = re.search(r'class="secret">([A-Z2-7 ]+)<', before)
    assert secret is not None
    assert secret.group(1) in answer.text, "the app need not scan again"
    assert is_signed_in(sign_in(site))


def test_the_secret_is_not_shown_without_the_password(client: FlaskClient) -> None:
    assert client.get(f"{ACCOUNT}/second-step").location == ACCOUNT
    answer = send(client, f"{ACCOUNT}/second-step", password="wrong")
    assert answer.status_code == 422
    assert client.get(f"{ACCOUNT}/second-step").location == ACCOUNT
    answer = send(client, f"{ACCOUNT}/second-step/confirm", code="123456")
    assert answer.location == ACCOUNT


def test_switching_it_off_asks_for_the_password(site: Site, client: FlaskClient) -> None:
    switch_on(client)
    assert send(client, f"{ACCOUNT}/second-step/end", password="wrong").status_code == 422
    assert "recovery codes left" in client.get(ACCOUNT).text
    assert send(client, f"{ACCOUNT}/second-step/end", password=PASSWORD).location == ACCOUNT
    assert is_signed_in(sign_in(site))
    assert "Turned off two-factor authentication." in list_words(site)


def test_new_recovery_codes_ask_for_the_password(client: FlaskClient) -> None:
    _, old = switch_on(client)
    assert send(client, f"{ACCOUNT}/recovery-codes", password="wrong").status_code == 422
    answer = send(client, f"{ACCOUNT}/recovery-codes", password=PASSWORD)
    assert not CODE.search(answer.text + str(answer.headers))
    page = follow(client, answer)
    assert "no-store" in page.headers["Cache-Control"]
    new = CODE.findall(page.text)
    assert len(new) == 10
    assert not set(old) & set(new)
    # A reload makes no others, which would put an end to those that were just written down.
    assert client.get(answer.location).location == ACCOUNT
    assert "10 recovery codes left" in client.get(ACCOUNT).text


# --- Sessions -------------------------------------------------------------------------------------


def test_sessions_are_listed_in_words(site: Site, client: FlaskClient) -> None:
    sign_in(site)
    page = client.get(ACCOUNT).text
    assert "Safari on iPhone" in page
    assert page.count("This session") == page.count("data-this-session") == 1
    assert "127.0.0.1" in page


def test_a_session_is_ended_from_another(site: Site, client: FlaskClient) -> None:
    other = sign_in(site)
    assert is_signed_in(other)
    number = re.findall(r'name="session" value="(\d+)"', client.get(ACCOUNT).text)
    assert len(number) == 1, "one's own is ended by signing out"
    send(client, f"{ACCOUNT}/sessions/end", session=number[0], password=PASSWORD)
    assert list_words(site)[0] == "Signed out a session in Safari on iPhone."
    assert not is_signed_in(other)
    assert is_signed_in(client)
    again = send(client, f"{ACCOUNT}/sessions/end", session=number[0], password=PASSWORD)
    assert again.status_code == 404


@pytest.mark.parametrize("password", ["wrong", ""])
def test_no_session_is_ended_without_the_password(
    site: Site, client: FlaskClient, password: str
) -> None:
    other = sign_in(site)
    number = re.findall(r'name="session" value="(\d+)"', client.get(ACCOUNT).text)[0]
    for act, fields, shown in (
        ("end", {"session": number}, f"session-password-{number}"),
        ("end", {"session": "999999"}, "others-password"),  # It has ended meanwhile.
        ("end-others", {}, "others-password"),
    ):
        answer = send(client, f"{ACCOUNT}/sessions/{act}", password=password, **fields)
        assert answer.status_code == 422
        assert f'id="{shown}-words"' in answer.text, "beside the field of the form that was sent"
        assert answer.text.count("This is not your password.") == 1
        assert answer.text.count('<details class="ask" open>') == 1
    assert is_signed_in(other)
    assert is_signed_in(client)


def test_a_remembered_session_that_was_ended_does_not_come_back(
    site: Site, client: FlaskClient
) -> None:
    other = site.client()
    token = read_csrf_token(other)
    form = {"name": NAME, "password": PASSWORD, "csrf_token": token, "remember": "on"}
    other.post("/sign-in", data=form)
    other.delete_cookie("hub")
    assert is_signed_in(other)
    send(client, f"{ACCOUNT}/sessions/end-others", password=PASSWORD)
    assert not is_signed_in(other)
    other.delete_cookie("hub")
    assert not is_signed_in(other)


def test_signing_out_ends_the_session_for_whoever_kept_its_cookie(
    site: Site, client: FlaskClient
) -> None:
    cookie = client.get_cookie("hub")
    assert cookie is not None
    client.post("/sign-out", data={"csrf_token": read_csrf_token(client, ACCOUNT)})
    thief = site.client()
    thief.set_cookie("hub", cookie.value)
    assert not is_signed_in(thief)


@pytest.mark.parametrize("number", ["", "0", "-1", "999999", "x", "²", "9" * 30])
def test_a_session_that_is_not_there_is_404(client: FlaskClient, number: str) -> None:
    answer = send(client, f"{ACCOUNT}/sessions/end", session=number, password=PASSWORD)
    assert answer.status_code == 404


# --- Tokens ---------------------------------------------------------------------------------------


def ask_for_token(client: FlaskClient, **fields: str) -> TestResponse:
    """Send the form; what is not said is as below."""
    usual = {"name": "Backup", "scope": "read", "days": "30", "password": PASSWORD}
    return send(client, f"{ACCOUNT}/tokens", **(usual | fields))


def create_token(client: FlaskClient, scope: str = "read", days: str = "30") -> str:
    answer = ask_for_token(client, scope=scope, days=days)
    page = follow(client, answer).text
    found = re.search(r"hub_[\w-]{43}", page)
    assert found is not None, page
    return found.group(0)


def test_a_token_is_shown_once(site: Site, client: FlaskClient) -> None:
    token = create_token(client)
    page = client.get(ACCOUNT).text
    assert token not in page
    assert "Backup" in page
    assert f"…{token[-4:]}" in page
    assert list_words(site)[0] == "Created the API token “Backup” for reading."


def test_a_reload_makes_no_second_token(site: Site, client: FlaskClient) -> None:
    answer = ask_for_token(client)
    # On its way to the page the token is sealed, and in no address.
    assert "hub_" not in answer.text + str(answer.headers)
    shown = client.get(answer.location)
    assert re.search(r"hub_[\w-]{43}", shown.text)
    for page in (answer, shown):
        assert "no-store" in page.headers["Cache-Control"]
    reloaded = client.get(answer.location).text
    assert "hub_" not in reloaded
    assert reloaded.count('name="token" value="') == 1


def test_a_token_is_shown_to_the_session_that_made_it_alone(
    site: Site, client: FlaskClient
) -> None:
    ask_for_token(client)
    client.post("/sign-out", data={"csrf_token": read_csrf_token(client, "/admin/shares")})
    form = {"name": NAME, "password": PASSWORD, "csrf_token": read_csrf_token(client)}
    client.post("/sign-in", data=form)
    page = client.get(ACCOUNT).text
    assert "Backup" in page
    assert "hub_" not in page


def test_a_token_may_do_what_its_scope_says(site: Site, client: FlaskClient) -> None:
    reading = {"Authorization": f"Bearer {create_token(client)}"}
    writing = {"Authorization": f"Bearer {create_token(client, 'write')}"}
    body = {"image_list": {}}
    for headers in (reading, writing):
        assert site.get("/admin/groups", headers=headers).json == {"data": []}
        assert site.get("/auth", headers=headers).status_code == 200
    refused = site.post("/admin/delete/image", json=body, headers=reading)
    assert refused.status_code == 403
    assert refused.json == {"detail": "This token may read, but change nothing."}
    # These change something though they may be asked by GET.
    for path in (
        "add-folder?folder_name=x",
        "rename?item_id=x&new_name=y",
        "delete-folder?folder_id=x",
    ):
        assert site.get(f"/admin/onedrive/{path}", headers=reading).status_code == 403
    assert site.post("/admin/delete/image", json=body, headers=writing).status_code == 200
    assert not is_signed_in_by(site, writing)


def is_signed_in_by(site: Site, headers: dict[str, str]) -> bool:
    """Whether a token opens pages."""
    return site.get(ACCOUNT, headers=headers).status_code == 200


def test_a_token_ends_when_told(site: Site, client: FlaskClient) -> None:
    headers = {"Authorization": f"Bearer {create_token(client)}"}
    number = re.findall(r'name="token" value="(\d+)"', client.get(ACCOUNT).text)[0]
    send(client, f"{ACCOUNT}/tokens/end", token=number)
    assert "was revoked" in read_toasts(client)
    answer = site.get("/admin/groups", headers=headers)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_a_token_ends_itself_by_the_call(site: Site, client: FlaskClient) -> None:
    headers = {"Authorization": f"Bearer {create_token(client)}"}
    assert site.post("/auth/revoke", headers=headers).json["hint"] == "token_revoked"
    assert site.get("/auth", headers=headers).status_code == 401


def test_a_new_password_ends_tokens_where_that_is_asked_for(
    site: Site, client: FlaskClient
) -> None:
    headers = {"Authorization": f"Bearer {create_token(client)}"}
    first, second = "first new password", "second new password"
    send(client, f"{ACCOUNT}/password", password=PASSWORD, new=first, again=first)
    assert site.get("/auth", headers=headers).status_code == 200
    send(client, f"{ACCOUNT}/password", password=first, new=second, again=second, end_tokens="on")
    assert site.get("/auth", headers=headers).status_code == 401


def test_a_token_without_a_name_is_refused_beside_the_field(client: FlaskClient) -> None:
    answer = ask_for_token(client, name=" ", scope="write", days="x")
    assert answer.status_code == 422
    assert 'id="token-name-words"' in answer.text
    assert "hub_" not in answer.text


def test_no_token_is_made_without_the_password(site: Site, client: FlaskClient) -> None:
    for password in ("", "not my password"):
        typed = {"name": "Night backup", "scope": "write", "days": "never"}
        answer = ask_for_token(client, password=password, **typed)
        assert answer.status_code == 422
        assert re.search(r'id="token-password-words">.*This is not your password\.', answer.text)
        assert 'value="Night backup"' in answer.text
        for kept in ("write", "never"):
            assert f'<option value="{kept}" selected>' in answer.text
        assert "not my password" not in answer.text
    assert 'name="token" value="' not in client.get(ACCOUNT).text
    assert not any("Created the API token" in words for words in list_words(site))
    assert ask_for_token(client, password=PASSWORD).status_code == 303


def test_no_token_and_no_code_is_kept_by_caches_or_shown_in_the_log(
    site: Site, client: FlaskClient
) -> None:
    answer = ask_for_token(client, days="never")
    assert "no-store" in answer.headers["Cache-Control"]
    _, codes = switch_on(client)
    log = "\n".join(list_words(site)) + client.get("/admin/activity").text
    assert "hub_" not in log
    assert not any(code in log for code in codes)
    assert PASSWORD not in log
