"""The connection's page, with the OneDrive emulator and S3 behind it."""

import logging
import re
from dataclasses import replace
from datetime import timedelta
from html import unescape
from typing import Any
from urllib.parse import parse_qs, unquote_plus, urlsplit

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select, update
from werkzeug.test import TestResponse

from imagehub.database import db, now_utc
from imagehub.domain import leases
from imagehub.domain.imports.jobs import Selection, create_import
from imagehub.domain.onedrive import accounts
from imagehub.models import DriveAccount, ImportItem
from tests.admin.pages import send
from tests.fixtures.importing import make_jpeg
from tests.fixtures.site import ConnectedSite, Site, read_csrf_token

PAGE = "/admin/connection"
ROOT = f"{PAGE}/root-folder"


def connect(site: ConnectedSite, client: FlaskClient, **fields: str) -> TestResponse:
    """Press the button, sign in at Microsoft, and come back."""
    url = read_way(send(client, f"{PAGE}/connect", PAGE, **fields))
    return client.get("/admin/onedrive/callback", query_string=site.consent(url))


def read_way(answer: TestResponse) -> str:
    """Where the page leads on to by itself, and by its link."""
    assert answer.status_code == 200
    found = re.search(r'<meta http-equiv="refresh" content="0;url=([^"]+)">', answer.text)
    assert found is not None, answer.text
    assert f'href="{found.group(1)}">Continue to Microsoft</a>' in answer.text
    return unescape(found.group(1))


@pytest.fixture
def client(connected_site: ConnectedSite) -> FlaskClient:
    return connected_site.signed_in_client()


# --- Connecting -----------------------------------------------------------------------------------


def test_before_the_first_connection_the_page_says_what_comes(
    unconnected_site: ConnectedSite,
) -> None:
    page = unconnected_site.signed_in_client().get(PAGE).text
    assert "OneDrive is not connected yet" in page
    assert "Connect OneDrive" in page
    assert "http://localhost/admin/onedrive/callback" in page


def test_without_an_app_registration_the_page_says_what_to_set(site: Site) -> None:
    hub = site.app.extensions["imagehub"]
    hub.settings = hub.given = replace(hub.given, ms_client_id="")
    page = site.signed_in_client().get(PAGE).text
    assert "IMAGEHUB_MS_CLIENT_ID" in page
    assert '<button class="button">Connect' not in page


def test_reading_is_asked_for_first_and_changing_when_it_is_needed(
    unconnected_site: ConnectedSite,
) -> None:
    site, client = unconnected_site, unconnected_site.signed_in_client()
    answer = send(client, f"{PAGE}/connect", PAGE, access="read")
    url = read_way(answer)
    assert url.startswith(f"{site.onedrive.login_url}/common/oauth2/v2.0/authorize?")
    assert answer.headers["Cache-Control"] == "private, no-store"
    assert answer.headers["Referrer-Policy"] == "same-origin", "Microsoft is told of no page"
    assert "form-action 'self';" in answer.headers["Content-Security-Policy"]
    asked = parse_qs(urlsplit(url).query)["scope"][0].split()
    assert any(scope.endswith("Files.Read") for scope in asked)
    assert not any("ReadWrite" in scope for scope in asked)
    back = client.get("/admin/onedrive/callback", query_string=site.consent(url))
    assert back.location == PAGE
    page = client.get(PAGE).text
    assert "Allow uploads and changes" in page
    assert "<dd>read</dd>" in page

    assert (
        connect(site, client, access="write", next="/admin/settings").location == "/admin/settings"
    )
    page = client.get(PAGE).text
    assert "Allow uploads and changes" not in page
    assert "<dd>read, upload and change</dd>" in page


def test_afterwards_one_goes_on_to_this_hub_alone(unconnected_site: ConnectedSite) -> None:
    client = unconnected_site.signed_in_client()
    answer = connect(unconnected_site, client, next="https://evil.example/")
    assert answer.location == PAGE


def test_the_account_and_its_health_are_told(client: FlaskClient) -> None:
    page = client.get(PAGE).text
    for words in (
        "OneDrive is connected",
        "Personal OneDrive",
        "of 5.4",
        "Last response",
        "extends it by 90 days",
    ):
        assert words in page, words
    assert "by Ada" in page


def test_an_account_without_a_onedrive_is_reported(unconnected_site: ConnectedSite) -> None:
    site, client = unconnected_site, unconnected_site.signed_in_client()
    fault = site.onedrive.set_fault(
        "status", status=404, code="itemNotFound", path=r"/v1\.0/me/drive"
    )
    told = "This Microsoft account has no OneDrive yet. Sign in to onedrive.com once"
    assert connect(site, client, next="/admin/drive").location == PAGE
    page = client.get(PAGE).text
    assert "This account has no OneDrive" in page
    assert page.count(told) == 2, "in the note and in the toast"
    assert ">OneDrive is connected" not in page
    send(client, f"{PAGE}/check", PAGE)
    assert client.get(PAGE).text.count(told) == 2
    drive = client.get("/admin/drive")
    assert drive.status_code == 404
    assert told in drive.text
    assert "The root folder is gone" not in drive.text
    site.onedrive.clear_faults(fault)
    page = client.get(PAGE).text
    assert told not in page
    assert "OneDrive is connected" in page


def test_who_declines_comes_back_to_words(unconnected_site: ConnectedSite) -> None:
    client = unconnected_site.signed_in_client()
    answer = send(client, f"{PAGE}/connect", PAGE, access="read")
    url = unconnected_site.onedrive.consent(read_way(answer), "cancel")
    back = client.get("/admin/onedrive/callback?" + urlsplit(url).query)
    assert back.location == PAGE
    page = client.get(PAGE).text
    assert 'class="toast is-fault"' in page
    assert "OneDrive is not connected yet" in page


def test_a_sign_in_that_somebody_else_began_connects_nothing(
    unconnected_site: ConnectedSite,
) -> None:
    """Else a stranger could plant their own drive by a link."""
    client = unconnected_site.signed_in_client()
    url = read_way(send(client, f"{PAGE}/connect", PAGE, access="read"))
    for planted in ("code=planted&state=planted", "code=planted", "error=access_denied", ""):
        client.get(f"/admin/onedrive/callback?{planted}")
        page = client.get(PAGE).text
        assert "OneDrive is not connected yet" in page
        assert "This sign-in was not started here" in page
    # None of these has used up the sign-in that is under way.
    client.get("/admin/onedrive/callback", query_string=unconnected_site.consent(url))
    assert "OneDrive is connected" in client.get(PAGE).text


def test_disconnecting_forgets_the_tokens(
    connected_site: ConnectedSite, client: FlaskClient
) -> None:
    send(client, f"{PAGE}/disconnect", PAGE)
    with connected_site.session() as session:
        assert accounts.get_active_account(session).token_cache == b""
    page = client.get(PAGE).text
    assert "OneDrive is disconnected" in page
    assert ">Reconnect</button>" in page
    assert connect(connected_site, client, access="write").location == PAGE
    assert "OneDrive is connected" in client.get(PAGE).text


def test_an_earlier_account_is_told_connected_again_and_ended(
    connected_site: ConnectedSite, client: FlaskClient
) -> None:
    """Its tokens are kept, since images came from it."""
    connected_site.add_group(["a.jpg"])
    with connected_site.session() as session:
        earlier = accounts.get_active_account(session)
        number, name = earlier.id, earlier.username
        earlier.is_active = False
        vault = connected_site.app.extensions["imagehub"].clients.vault
        cache = vault.seal("{}")
        session.add(DriveAccount(home_account_id="b", username="b@example.com", token_cache=cache))
    page = client.get(PAGE).text
    assert re.search(rf"<td>{name}</td>\s*<td><span[^>]*>connected<", page)
    assert "A previous account" not in client.get("/admin/").text

    with connected_site.session() as session:
        earlier = session.get_one(DriveAccount, number)
        earlier.state, earlier.state_reason = "needs_reconnect", "The sign-in was withdrawn."
    home = client.get("/admin/").text
    assert "A previous account must be reconnected" in home
    assert f"{name}: The sign-in was withdrawn." in home
    assert "The sign-in was withdrawn." in client.get(PAGE).text
    assert connect(connected_site, client, account=str(number)).location == PAGE
    page = client.get(PAGE).text
    assert "<dd>b@example.com</dd>" in page, "the other one is active still"
    assert "A previous account" not in client.get("/admin/").text

    send(client, f"{PAGE}/disconnect", PAGE, account=str(number))
    with connected_site.session() as session:
        assert session.get_one(DriveAccount, number).token_cache == b""
        assert accounts.get_active_account(session).username == "b@example.com"
    page = client.get(PAGE).text
    assert f"The OneDrive of {name} is disconnected." in page
    assert 'id="earlier"' not in page
    for strange in ("999", "x"):
        assert send(client, f"{PAGE}/disconnect", PAGE, account=strange).status_code == 404


def test_a_lost_connection_says_what_to_do_and_is_found_again(
    connected_site: ConnectedSite, client: FlaskClient
) -> None:
    connected_site.onedrive.revoke(access_tokens=True)
    send(client, f"{PAGE}/check", PAGE)
    page = client.get(PAGE).text
    assert "OneDrive must be reconnected" in page
    assert "nothing has to be imported again" in page
    assert ">Reconnect</button>" in page
    home = client.get("/admin/").text
    assert "Mend it" in home or "Connect OneDrive" in home
    with connected_site.session() as session:
        account = accounts.get_active_account(session)
        chosen = Selection("folder", "Art", None, [("item", "a.jpg")])
        create_import(session, account.id, None, [chosen])
        later = now_utc() + timedelta(minutes=2)
        waits = {"available_at": later, "reason": "It waits.", "waits_for_access": True}
        session.execute(update(ImportItem).values(waits))
    connect(connected_site, client, access="write")
    with connected_site.session() as session:
        item = session.scalars(select(ImportItem)).one()
        assert (item.state, item.reason) == ("queued", "")
        assert item.available_at < later, "the import goes on"
    send(client, f"{PAGE}/check", PAGE)
    assert "OneDrive responds, and the root folder exists." in client.get(PAGE).text


def test_a_sign_in_again_asks_for_what_notifications_need_if_that_was_allowed(
    connected_site: ConnectedSite, client: FlaskClient
) -> None:
    def read_scopes(**fields: str) -> set[str]:
        url = read_way(send(client, f"{PAGE}/connect", PAGE, **fields))
        return set(parse_qs(urlsplit(url).query)["scope"][0].split())

    assert "Files.ReadWrite.All" not in read_scopes(access="write")
    connect(connected_site, client, access="wide")
    for access in ("read", "write"):
        assert "Files.ReadWrite.All" in read_scopes(access=access)
    assert "Files.ReadWrite.All" not in read_scopes(access="write", another="on")
    # The single-page app's sign-in, too.
    connected_site.onedrive.revoke(access_tokens=True)
    send(client, f"{PAGE}/check", PAGE)
    answer = connected_site.get("/admin/onedrive/connect", headers=connected_site.bearer())
    assert "Files.ReadWrite.All" in unquote_plus(answer.text)


def test_a_refused_client_secret_is_told_apart_and_checked_again(
    connected_site: ConnectedSite, client: FlaskClient
) -> None:
    fault = connected_site.onedrive.set_fault("client_secret_expired")
    connected_site.onedrive.expire_access_tokens()
    send(client, f"{PAGE}/check", PAGE)
    page = client.get(PAGE).text
    assert "Microsoft refuses the client secret" in page
    assert "You do not have to sign in at Microsoft again." in page
    assert "it has expired" not in page, "the sign-in lives on"
    connected_site.onedrive.clear_faults(fault)
    with connected_site.session() as session:
        account = accounts.get_active_account(session)
        name = f"refresh-quiet:{account.id}"
        assert leases.get_lease_seconds(session, name) > 0, "Microsoft is left in peace for a while"
        leases.release_lease(session, name, "quiet")
    assert "Check connection" in page
    send(client, f"{PAGE}/check", PAGE)
    assert "OneDrive is connected" in client.get(PAGE).text


def end_quiet_time(site: ConnectedSite) -> None:
    with site.session() as session:
        name = f"refresh-quiet:{accounts.get_active_account(session).id}"
        leases.release_lease(session, name, "quiet")


@pytest.mark.parametrize(
    ("number", "state", "head", "reason", "may_sign_in"),
    [
        (53003, "needs_administrator", "The organisation refuses access", "blocks ImageHub", True),
        (
            50194,
            "wrong_registration",
            "Microsoft refuses the app registration",
            "IMAGEHUB_MS_TENANT",
            False,
        ),
    ],
)
def test_a_refusal_that_others_can_end_is_told_everywhere(
    connected_site: ConnectedSite,
    client: FlaskClient,
    number: int,
    state: str,
    head: str,
    reason: str,
    may_sign_in: bool,
) -> None:
    fault = connected_site.onedrive.set_fault("aadsts", code=number)
    connected_site.onedrive.expire_access_tokens()
    send(client, f"{PAGE}/check", PAGE)
    page = client.get(PAGE).text
    assert f'data-state="{state}"' in page
    assert f"<h2>{head}</h2>" in page
    assert reason in page
    assert "it can be used again once Microsoft accepts it" in page
    assert "Check connection" in page
    assert (">Reconnect</button>" in page) == may_sign_in
    home = client.get("/admin/").text
    assert head in home
    assert reason in home
    drive = client.get("/admin/drive")
    assert drive.status_code == 502
    assert reason in drive.text
    assert f'href="{PAGE}">Open connection</a>' in drive.text
    answer = connected_site.call("/admin/onedrive/connect")
    assert (answer["code"], answer["hint"]) == (0, "connection_failed")
    assert reason in answer["reason"]
    assert answer["url"].startswith(connected_site.onedrive.url)
    answer = connected_site.call("/admin/onedrive/folders")
    assert answer["hint"] == "refresh_token_expired_need_manual_authorization"
    assert reason in answer["reason"]

    connected_site.onedrive.clear_faults(fault)
    end_quiet_time(connected_site)
    assert client.get("/admin/drive").status_code == 200
    assert "<h2>OneDrive is connected</h2>" in client.get(PAGE).text
    assert head not in client.get("/admin/").text


def test_a_passing_refusal_is_told_and_asks_for_no_sign_in(
    connected_site: ConnectedSite, client: FlaskClient
) -> None:
    connected_site.onedrive.set_fault("aadsts", code=50196)
    connected_site.onedrive.expire_access_tokens()
    drive = client.get("/admin/drive")
    assert drive.status_code == 503
    assert "sign-in is busy" in drive.text
    page = client.get(PAGE).text
    assert "<h2>OneDrive is connected</h2>" in page
    assert 'data-hook="refused"' in page
    assert 'data-note="sign-in-refused"' not in client.get("/admin/").text
    answer = connected_site.call("/admin/onedrive/folders")
    assert answer["code"] == 99
    assert "sign-in is busy" in answer["reason"]
    with connected_site.session() as session:
        account = accounts.get_active_account(session)
        assert account.refused_at is not None
        account.refused_at -= timedelta(hours=1)
    assert 'data-note="sign-in-refused"' in client.get("/admin/").text


def test_an_unknown_refusal_keeps_the_connection_until_it_is_repeated(
    connected_site: ConnectedSite, client: FlaskClient
) -> None:
    connected_site.onedrive.set_fault("aadsts", code=99999)
    connected_site.onedrive.expire_access_tokens()
    assert client.get("/admin/drive").status_code == 503
    assert 'data-state="connected"' in client.get(PAGE).text
    end_quiet_time(connected_site)
    with connected_site.session() as session:
        account = accounts.get_active_account(session)
        assert account.doubted_at is not None
        account.doubted_at -= timedelta(minutes=6)
    assert client.get("/admin/drive").status_code == 409
    assert 'data-state="needs_reconnect"' in client.get(PAGE).text


def test_a_claims_challenge_leads_to_a_sign_in_that_satisfies_it(
    connected_site: ConnectedSite, client: FlaskClient
) -> None:
    claims = {"access_token": {"polids": {"essential": True, "values": ["p1"]}}}
    connected_site.onedrive.set_fault("aadsts", code=50076, claims=claims)
    connected_site.onedrive.set_fault("claims_challenge", claims=claims)
    assert client.get("/admin/drive").status_code == 409
    page = client.get(PAGE).text
    assert 'data-state="needs_reconnect"' in page
    assert "two-factor authentication" in page
    connect(connected_site, client, access="write")
    assert "<h2>OneDrive is connected</h2>" in client.get(PAGE).text
    assert client.get("/admin/drive").status_code == 200


def test_the_organisation_refuses_a_sign_in_in_words(unconnected_site: ConnectedSite) -> None:
    client = unconnected_site.signed_in_client()
    unconnected_site.onedrive.set_fault(
        "authorize_error",
        error="access_denied",
        description="AADSTS90094: The grant requires admin permission.",
    )
    connect(unconnected_site, client)
    page = client.get(PAGE).text
    assert "must consent to ImageHub" in page
    assert "declined" not in page


def test_a_client_id_that_went_missing_is_told_and_no_fault_of_the_secret(
    connected_site: ConnectedSite,
) -> None:
    without = connected_site.restart(ms_client_id="")
    client = without.signed_in_client()
    send(client, f"{PAGE}/check", PAGE)
    page = client.get(PAGE).text
    assert "<h2>The client ID is missing</h2>" in page
    assert "Set <code>IMAGEHUB_MS_CLIENT_ID</code> on the server" in page
    assert "Check connection" in page
    assert "The client ID is missing" in client.get("/admin/").text
    for told in (page, client.get("/admin/").text):
        assert "make a new one" not in told
        assert "Microsoft refuses the client secret" not in told

    with without.session() as session:
        accounts.get_active_account(session).state = "needs_reconnect"
    page = client.get(PAGE).text
    assert "Set <code>IMAGEHUB_MS_CLIENT_ID</code> on the server" in page
    assert ">Reconnect</button>" not in page
    with without.app.app_context():
        db.engine.dispose()


def test_a_pause_and_a_full_drive_are_told(
    connected_site: ConnectedSite, client: FlaskClient
) -> None:
    connected_site.onedrive.set_fault("quota_full")
    send(client, f"{PAGE}/check", PAGE)
    assert "Almost full: uploads fail" in client.get(PAGE).text
    connected_site.onedrive.set_fault("status", status=429, retry_after=30, path="/v1.0")
    send(client, f"{PAGE}/check", PAGE)
    assert re.search(
        r"OneDrive is throttling requests. ImageHub tries again <time[^>]*>in a moment</time>",
        client.get(PAGE).text,
    )


def read_microsofts_tokens(site: ConnectedSite) -> set[str]:
    with site.session() as session:
        account = accounts.get_active_account(session)
        vault = site.app.extensions["imagehub"].clients.vault
        tokens = set(re.findall(r'"secret": ?"([^"]{16,})"', vault.open(account.token_cache)))
    assert len(tokens) >= 2, "an access token and a refresh token"
    return tokens


def test_no_answer_and_no_log_holds_a_token_of_microsofts(
    connected_site: ConnectedSite, client: FlaskClient, caplog: pytest.LogCaptureFixture
) -> None:
    """All pages and calls of the admin, with the numbers and ids of things that are there."""
    caplog.set_level(logging.DEBUG)
    site = connected_site
    site.put_files("Kunst", {"front.jpg": make_jpeg(1)})
    group = site.add_group(["a.jpg"])
    folder_id, files = site.find_folder("Kunst")
    plan = send(client, "/admin/import/plan", PAGE, item=folder_id).location
    there = {
        "item_id": folder_id,
        "path": "Kunst",
        "number": group,
        "shot": 1,
        "verdict": "known",
        "group": group,
        "file": 1,
        "key": "unknown",
        "name": "title",
        "kind": "works",
        "language": "de",
    }
    fields = {"item": files["front.jpg"], "folder": folder_id, "name": "x.jpg", "access": "write"}
    body = {
        "folder": folder_id, "name": "y.jpg", "size": 9, "items": [folder_id], "path": ["z"],
        "paths": ["y.jpg"], "item_id": files["front.jpg"], "new_name": "z.jpg",
        "folder_id": folder_id, "file_name": "z.jpg", "folder_name": "z",
    }  # fmt: skip
    secrets = read_microsofts_tokens(site) | {"a-secret-of-the-app"}
    site.onedrive.expire_access_tokens()  # So that one is refreshed on the way.
    token = read_csrf_token(client, PAGE)
    addresses = site.app.url_map.bind("localhost")
    seen: list[tuple[str, str]] = []

    def call(method: str, path: str, **options: Any) -> None:
        for headers in (site.bearer(), {"X-CSRFToken": token}):
            # Only one of the two is who the address is for.
            one = site.client() if "Authorization" in headers else client
            answer = one.open(path, method=method, headers=headers, **options)
            text = f"{answer.headers}\n{answer.get_data(as_text=True)}"
            seen.append((f"{method} {path}", text))

    call("GET", plan)
    for rule in site.app.url_map.iter_rules():
        if not rule.endpoint.startswith("admin.") or rule.endpoint == "admin.disconnect_onedrive":
            continue
        given = dict(rule.defaults or {})
        path = addresses.build(
            rule.endpoint,
            {name: there[name] for name in rule.arguments - set(given)} | given,
        )
        if "GET" in (rule.methods or set()):
            call("GET", path)
        if "POST" in (rule.methods or set()):
            call("POST", path, data=fields)
            call("POST", path, json=body)
    assert site.onedrive.count_refreshes() >= 1
    secrets |= read_microsofts_tokens(site)
    seen.append(("the log", caplog.text))
    assert [where for where, text in seen if any(secret in text for secret in secrets)] == []
    assert "/v1.0/me/drive" in caplog.text, "what is said to OneDrive is in the log"


# --- The client secret's end ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("days", "head", "words"),
    [
        # A day away from each limit, since it may be midnight between the form and the page.
        (
            -2,
            "The client secret has expired",
            "It expired on {day}, and OneDrive cannot be reached.",
        ),
        (1, "The client secret expires soon", "It expires on {day}. Before then, create a new one"),
        (
            13,
            "The client secret expires soon",
            "It expires on {day}. Before then, create a new one",
        ),
        (16, "", ""),
    ],
)
def test_the_secrets_end_is_kept_and_warned_of(
    client: FlaskClient, days: int, head: str, words: str
) -> None:
    end = now_utc().date() + timedelta(days=days)
    send(client, f"{PAGE}/secret-end", PAGE, secret_end=end.isoformat())
    assert f'value="{end.isoformat()}"' in client.get(PAGE).text
    home, page = client.get("/admin/").text, client.get(PAGE).text
    if head:
        told = words.format(day=f"{end:%-d %B %Y}")
        assert head in home
        assert told in home
        assert told in page
    else:
        assert "The client secret" not in home
        assert "Create a new one" not in page


def test_a_secret_that_was_taken_away_is_not_warned_of(
    connected_site: ConnectedSite, client: FlaskClient
) -> None:
    send(client, f"{PAGE}/secret-end", PAGE, secret_end="2020-01-31")
    assert "The client secret has expired" in client.get("/admin/").text
    hub = connected_site.app.extensions["imagehub"]
    hub.settings = hub.given = replace(hub.given, ms_client_secret="")
    assert "The client secret has expired" not in client.get("/admin/").text


def test_home_asks_when_the_secret_expires(client: FlaskClient) -> None:
    assert "Enter when the client secret expires" in client.get("/admin/").text
    end = now_utc().date() + timedelta(days=300)
    send(client, f"{PAGE}/secret-end", PAGE, secret_end=end.isoformat())
    assert "Enter when the client secret expires" not in client.get("/admin/").text


def test_a_date_of_the_environment_wins(connected_site: ConnectedSite, client: FlaskClient) -> None:
    send(client, f"{PAGE}/secret-end", PAGE, secret_end="2020-01-31")
    hub, end = connected_site.app.extensions["imagehub"], now_utc().date() + timedelta(days=300)
    hub.settings = hub.given = replace(hub.given, ms_client_secret_expires=end)
    assert "The client secret has expired" not in client.get("/admin/").text
    page = client.get(PAGE).text
    assert "IMAGEHUB_MS_CLIENT_SECRET_EXPIRES" in page
    assert 'name="secret_end"' not in page
    answer = send(client, f"{PAGE}/secret-end", PAGE, secret_end="2027-05-31")
    assert answer.status_code in (302, 303, 403)
    assert f"{end:%-d %B %Y}" in client.get(PAGE).text


def test_a_day_that_is_none_is_not_kept(client: FlaskClient) -> None:
    answer = send(client, f"{PAGE}/secret-end", PAGE, secret_end="soon")
    assert answer.status_code == 422
    assert "Enter a date like 2027-05-31." in answer.text
