import json
import re
import time
from base64 import b64decode, b64encode, urlsafe_b64decode
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import jwt
import msal
import pytest
import requests
from requests.adapters import HTTPAdapter

from tests.emulators.person import (
    CLIENT_ID,
    REDIRECT_URI,
    SCOPE,
    VERIFIER,
    Person,
    fetch_code,
    make_authorize_url,
    post_token,
    read_answer,
    redeem,
    refresh,
)
from tests.fixtures.onedrive import LOGIN_URL, OneDrive

CLAIMS = {"access_token": {"polids": {"essential": True, "values": ["p1"]}}}
CAPABLE = {"xms_cc": {"values": ["cp1"]}}


def assert_refused(answer: requests.Response, error: str, number: int, status: int = 400) -> None:
    assert answer.status_code == status, answer.text
    body = answer.json()
    assert body["error"] == error
    assert body["error_codes"] == [number]
    assert body["error_description"].startswith(f"AADSTS{number}: ")
    assert {"timestamp", "trace_id", "correlation_id"} <= set(body)


# --- The page -----------------------------------------------------------------------------------


def test_the_page_names_the_account_and_the_scopes(onedrive: OneDrive) -> None:
    page = requests.get(onedrive.to_local(make_authorize_url()), timeout=30)
    assert page.status_code == 200
    for text in ("Demo Artist", "demo.artist@outlook.com", "Files.ReadWrite", ">Consent<"):
        assert text in page.text
    assert "offline_access</li>" not in page.text


def test_the_page_escapes_unusual_values(onedrive: OneDrive) -> None:
    url = make_authorize_url(state='"><script>alert(1)</script>')
    page = requests.get(onedrive.to_local(url), timeout=30)
    assert "<script>alert" not in page.text
    assert read_answer(onedrive.consent(url))["state"] == '"><script>alert(1)</script>'


@pytest.mark.parametrize(("mode", "mark"), [(None, "?"), ("query", "?"), ("fragment", "#")])
def test_consent_redirects_with_code_and_state(
    onedrive: OneDrive, mode: str | None, mark: str
) -> None:
    back = onedrive.consent(make_authorize_url(response_mode=mode))
    assert back.startswith(f"{REDIRECT_URI}{mark}")
    answer = read_answer(back)
    assert answer["state"] == "st&te"
    assert len(answer["code"]) > 40


def test_form_post_sends_the_answer_in_a_form(onedrive: OneDrive) -> None:
    page = requests.post(
        onedrive.to_local(make_authorize_url(response_mode="form_post")),
        data={"decision": "consent"},
        timeout=30,
    )
    assert f'action="{REDIRECT_URI}"' in page.text
    assert 'name="code"' in page.text
    assert 'value="st&amp;te"' in page.text


def test_cancel_redirects_with_access_denied(onedrive: OneDrive) -> None:
    answer = read_answer(onedrive.consent(make_authorize_url(), decision="cancel"))
    assert answer["error"] == "access_denied"
    assert answer["error_description"].startswith("AADSTS65004")
    assert answer["state"] == "st&te"
    assert "code" not in answer


def test_consent_is_skipped_only_if_given_before(onedrive: OneDrive) -> None:
    url = make_authorize_url(prompt="none")
    assert read_answer(onedrive.consent(url))["error"] == "interaction_required"
    Person(onedrive)
    assert "code" in read_answer(onedrive.consent(url))
    onedrive.revoke()
    assert read_answer(onedrive.consent(url))["error"] == "interaction_required"


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"scope": "Mail.Read openid"}, "invalid_scope"),
        ({"code_challenge_method": "S512"}, "invalid_request"),
        ({"claims": "[1]"}, "invalid_request"),
    ],
)
def test_a_bad_request_redirects_with_an_error(
    onedrive: OneDrive, changes: dict[str, str], error: str
) -> None:
    assert read_answer(onedrive.consent(make_authorize_url(**changes)))["error"] == error


@pytest.mark.parametrize(
    ("changes", "number"),
    [
        ({"redirect_uri": "ftp://elsewhere"}, "AADSTS50011"),
        ({"client_id": None}, "AADSTS900144"),
        ({"tenant": "organizations"}, "AADSTS50020"),
        ({"tenant": "00000000-aaaa"}, "AADSTS90002"),
    ],
)
def test_errors_that_cannot_be_sent_back_are_shown(
    onedrive: OneDrive, changes: dict[str, Any], number: str
) -> None:
    page = requests.get(onedrive.to_local(make_authorize_url(**changes)), timeout=30)
    assert page.status_code == 400
    assert number in page.text


def test_a_business_account_signs_in_at_organizations(onedrive_business: OneDrive) -> None:
    assert "code" in read_answer(onedrive_business.consent(make_authorize_url("organizations")))
    page = requests.get(onedrive_business.to_local(make_authorize_url("consumers")), timeout=30)
    assert "AADSTS50020" in page.text


# --- Codes --------------------------------------------------------------------------------------


def test_a_code_gives_tokens_in_the_shape_of_a_personal_account(onedrive: OneDrive) -> None:
    answer = redeem(onedrive, fetch_code(onedrive), client_info="1")
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"].startswith("no-store")
    tokens = answer.json()
    assert tokens["token_type"] == "Bearer"
    assert tokens["expires_in"] == tokens["ext_expires_in"] == 3599
    assert tokens["scope"] == SCOPE
    assert tokens["access_token"].startswith("EwB")
    assert "." not in tokens["access_token"]
    claims = jwt.decode(tokens["id_token"], options={"verify_signature": False})
    assert claims["nonce"] == "once"
    assert claims["tid"] == "9188040d-6c67-4c5b-b112-36a304b66dad"
    info = json.loads(urlsafe_b64decode(tokens["client_info"] + "=="))
    assert info["utid"] == claims["tid"]
    assert info["uid"] == claims["oid"]


def test_business_tokens_are_signed_with_the_published_key(onedrive_business: OneDrive) -> None:
    tokens = redeem(onedrive_business, fetch_code(onedrive_business)).json()
    keys = jwt.PyJWKClient(f"{onedrive_business.url}/common/discovery/v2.0/keys")
    for name, audience in (
        ("access_token", "00000003-0000-0000-c000-000000000000"),
        ("id_token", CLIENT_ID),
    ):
        key = keys.get_signing_key_from_jwt(tokens[name])
        claims = jwt.decode(tokens[name], key, algorithms=["RS256"], audience=audience)
        assert claims["tid"] != "9188040d-6c67-4c5b-b112-36a304b66dad"


def test_a_code_works_once(onedrive: OneDrive) -> None:
    code = fetch_code(onedrive)
    assert redeem(onedrive, code).status_code == 200
    assert_refused(redeem(onedrive, code), "invalid_grant", 54005)


def test_a_refused_redemption_does_not_use_up_the_code(onedrive: OneDrive) -> None:
    code = fetch_code(onedrive)
    assert_refused(redeem(onedrive, code, code_verifier="w" * 64), "invalid_grant", 501481)
    assert redeem(onedrive, code).status_code == 200


@pytest.mark.parametrize(
    ("fields", "error", "number"),
    [
        ({"code": "M.unknown"}, "invalid_grant", 70000),
        ({"code_verifier": None}, "invalid_grant", 501481),
        ({"code_verifier": "wrong"}, "invalid_grant", 501481),
        ({"redirect_uri": REDIRECT_URI + "/"}, "invalid_grant", 50011),
        ({"redirect_uri": None}, "invalid_grant", 50011),
        ({"client_id": "another"}, "invalid_grant", 70000),
        ({"client_id": None}, "invalid_request", 900144),
        ({"scope": "Files.Read.Everything"}, "invalid_scope", 70011),
        ({"scope": "Files.ReadWrite.All"}, "invalid_grant", 65001),
        ({"grant_type": "password"}, "unsupported_grant_type", 70003),
        ({"tenant": "nowhere"}, "invalid_request", 90002),
    ],
)
def test_a_wrong_redemption_is_refused_by_number(
    onedrive: OneDrive, fields: dict[str, str | None], error: str, number: int
) -> None:
    code = fetch_code(onedrive)
    assert_refused(redeem(onedrive, **{"code": code, **fields}), error, number)


def test_a_plain_challenge_is_compared_literally(onedrive: OneDrive) -> None:
    code = fetch_code(onedrive, code_challenge=VERIFIER, code_challenge_method="plain")
    assert redeem(onedrive, code).status_code == 200


def test_no_offline_access_no_refresh_token_no_openid_no_id_token(onedrive: OneDrive) -> None:
    tokens = redeem(onedrive, fetch_code(onedrive, scope="Files.Read")).json()
    assert "refresh_token" not in tokens
    assert "id_token" not in tokens
    assert "client_info" not in tokens


# --- Client secret ------------------------------------------------------------------------------


def test_the_client_secret_is_checked_in_body_and_header(
    start_onedrive: Callable[..., OneDrive],
) -> None:
    onedrive = start_onedrive(client_secret="s e+cret", auto_consent=True)
    code = fetch_code(onedrive)
    assert_refused(redeem(onedrive, code), "invalid_client", 7000218, 401)
    assert_refused(redeem(onedrive, code, client_secret="x"), "invalid_client", 70002, 401)
    basic = b64encode(f"{CLIENT_ID}:s%20e%2Bcret".encode()).decode()
    headers = {"Authorization": f"Basic {basic}"}
    tokens = redeem(onedrive, code, client_id=None, headers=headers)
    assert tokens.status_code == 200
    again = refresh(onedrive, tokens.json()["refresh_token"], client_secret="s e+cret")
    assert again.status_code == 200
    onedrive.set_fault("client_secret_expired")
    late = refresh(onedrive, tokens.json()["refresh_token"], client_secret="s e+cret")
    assert_refused(late, "invalid_client", 7000222, 401)


def test_only_registered_applications_can_sign_in(start_onedrive: Callable[..., OneDrive]) -> None:
    onedrive = start_onedrive(client_id=CLIENT_ID, redirect_uri=REDIRECT_URI)
    page = requests.get(onedrive.to_local(make_authorize_url(client_id="other")), timeout=30)
    assert "AADSTS700016" in page.text
    other = make_authorize_url(redirect_uri="http://localhost:3000/elsewhere")
    assert "AADSTS50011" in requests.get(onedrive.to_local(other), timeout=30).text
    assert "code" in read_answer(onedrive.consent(make_authorize_url()))


# --- Refreshing ---------------------------------------------------------------------------------


def test_refreshing_rotates_and_keeps_the_old_token_valid(onedrive: OneDrive) -> None:
    first = Person(onedrive).tokens
    second = refresh(onedrive, first["refresh_token"], scope=SCOPE).json()
    assert second["refresh_token"] != first["refresh_token"]
    assert second["access_token"] != first["access_token"]
    assert refresh(onedrive, first["refresh_token"]).status_code == 200
    assert refresh(onedrive, second["refresh_token"]).status_code == 200


@pytest.mark.parametrize(
    "scope", ["https://graph.microsoft.com/Files.ReadWrite", "files.readwrite"]
)
def test_scopes_are_returned_literally(onedrive: OneDrive, scope: str) -> None:
    tokens = Person(onedrive).tokens
    assert refresh(onedrive, tokens["refresh_token"], scope=scope).json()["scope"] == scope


def test_a_revoked_grant_fails_and_a_new_sign_in_works(onedrive: OneDrive) -> None:
    person = Person(onedrive)
    onedrive.revoke(50173)
    assert_refused(refresh(onedrive, person.tokens["refresh_token"]), "invalid_grant", 50173)
    assert person.get("/me/drive")["driveType"] == "personal", "the access token lives on"
    fresh = Person(onedrive)
    assert refresh(onedrive, fresh.tokens["refresh_token"]).status_code == 200


@pytest.mark.parametrize(
    ("number", "error"),
    [(50076, "invalid_grant"), (700082, "invalid_grant"), (90033, "temporarily_unavailable")],
)
def test_the_next_token_calls_fail_by_number(onedrive: OneDrive, number: int, error: str) -> None:
    tokens = Person(onedrive).tokens
    onedrive.set_fault("aadsts", code=number, times=2)
    statuses = []
    for _ in range(3):
        answer = refresh(onedrive, tokens["refresh_token"])
        statuses.append(answer.status_code)
        if answer.status_code != 200:
            assert answer.json()["error"] == error
            assert answer.json()["error_codes"] == [number]
    assert statuses[2] == 200
    assert 200 not in statuses[:2]


def test_a_refusal_can_have_any_error_and_claims(onedrive: OneDrive) -> None:
    tokens = Person(onedrive).tokens
    fault = onedrive.set_fault("aadsts", code=50196, error="slow_down", http_status=429)
    answer = refresh(onedrive, tokens["refresh_token"])
    assert (answer.status_code, answer.json()["error"]) == (429, "slow_down")
    onedrive.clear_faults(fault)
    onedrive.set_fault("aadsts", code=53000, claims=CLAIMS)
    document = refresh(onedrive, tokens["refresh_token"]).json()
    assert (document["error"], document["suberror"]) == (
        "interaction_required",
        "additional_action",
    )
    assert json.loads(document["claims"]) == CLAIMS
    claims = json.dumps(CLAIMS)
    assert refresh(onedrive, tokens["refresh_token"], claims=claims).status_code == 400
    tokens = Person(onedrive, claims=claims).tokens
    assert refresh(onedrive, tokens["refresh_token"]).status_code == 200


def test_graph_challenges_only_clients_that_understand_it(onedrive: OneDrive) -> None:
    simple = Person(onedrive)
    able = Person(onedrive, claims=json.dumps({"access_token": CAPABLE}))
    onedrive.set_fault("claims_challenge", claims=CLAIMS)
    assert simple.call("GET", "/me/drive").status_code == 200
    answer = able.call("GET", "/me/drive")
    assert answer.status_code == 401
    header = answer.headers["WWW-Authenticate"]
    assert 'error="insufficient_claims"' in header
    encoded = re.search(r'claims="([^"]+)"', header)
    assert encoded is not None
    assert json.loads(b64decode(encoded[1])) == CLAIMS
    both = json.dumps({"access_token": {**CLAIMS["access_token"], **CAPABLE}})
    able.use(refresh(onedrive, able.tokens["refresh_token"], claims=both))
    assert able.call("GET", "/me/drive").status_code == 200


def test_a_token_expires_at_its_time(onedrive: OneDrive) -> None:
    onedrive.set_fault("token_lifetime", seconds=1, refresh_in=0)
    person = Person(onedrive)
    assert person.tokens["expires_in"] == 1
    assert person.tokens["refresh_in"] == 0
    time.sleep(1.1)
    answer = person.call("GET", "/me/drive")
    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == "InvalidAuthenticationToken"
    assert answer.headers["WWW-Authenticate"].startswith('Bearer realm="", authorization_uri=')


def test_all_access_tokens_can_be_expired_at_once(onedrive: OneDrive) -> None:
    person = Person(onedrive)
    onedrive.expire_access_tokens()
    assert person.refused("GET", "/me") == (401, "InvalidAuthenticationToken")
    tokens = refresh(onedrive, person.tokens["refresh_token"]).json()
    person.session.headers["Authorization"] = f"Bearer {tokens['access_token']}"
    assert person.get("/me")["displayName"] == "Demo Artist"


def test_token_calls_are_in_the_log_without_their_secrets(onedrive: OneDrive) -> None:
    person = Person(onedrive)
    refresh(onedrive, person.tokens["refresh_token"])
    log = onedrive.log()
    grants = [entry["grant_type"] for entry in log if entry["path"].endswith("/token")]
    assert grants == ["authorization_code", "refresh_token"]
    assert onedrive.count_refreshes() == 1
    text = json.dumps(log)
    assert person.tokens["refresh_token"] not in text
    assert VERIFIER not in text


# --- Discovery and MSAL -------------------------------------------------------------------------


def test_the_documents_name_microsofts_own_host(onedrive: OneDrive) -> None:
    document = requests.get(
        f"{onedrive.url}/common/v2.0/.well-known/openid-configuration", timeout=30
    ).json()
    for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
        assert document[name].startswith(f"{LOGIN_URL}/common/")
    unknown = f"{onedrive.url}/nobody.example/v2.0/.well-known/openid-configuration"
    assert requests.get(unknown, timeout=30).status_code == 400


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_instance_discovery_supports_both_versions(onedrive: OneDrive, version: str) -> None:
    document = requests.get(
        f"{onedrive.url}/common/discovery/instance",
        params={
            "api-version": version,
            "authorization_endpoint": f"{LOGIN_URL}/common/oauth2/v2.0/authorize",
        },
        timeout=30,
    ).json()
    assert document["tenant_discovery_endpoint"].startswith(f"{LOGIN_URL}/common/v2.0/")
    assert ("metadata" in document) == (version == "1.1")


class _ToEmulator(HTTPAdapter):
    """Sends requests for Microsoft's sign-in to the emulator, unchanged."""

    def __init__(self, onedrive: OneDrive) -> None:
        super().__init__()
        self.onedrive = onedrive

    def send(self, request: requests.PreparedRequest, *args: Any, **options: Any) -> Any:
        assert request.url is not None
        assert urlsplit(request.url).netloc == "login.microsoftonline.com"
        request.url = self.onedrive.to_local(request.url)
        request.headers["Host"] = urlsplit(self.onedrive.url).netloc
        return super().send(request, *args, **options)


def make_msal_app(onedrive: OneDrive, cache: msal.TokenCache, **options: Any) -> Any:
    session = requests.Session()
    session.mount("https://", _ToEmulator(onedrive))
    return msal.ConfidentialClientApplication(
        CLIENT_ID,
        client_credential="secret",
        authority=f"{LOGIN_URL}/common",
        http_client=session,
        token_cache=cache,
        **options,
    )


@pytest.mark.parametrize("cloud", ["onedrive", "onedrive_business"], ids=["personal", "business"])
@pytest.mark.parametrize("options", [{}, {"instance_discovery": False}])
@pytest.mark.filterwarnings("ignore:response_mode")
def test_unmodified_msal_signs_in_and_refreshes(
    request: pytest.FixtureRequest, cloud: str, options: dict[str, Any]
) -> None:
    onedrive: OneDrive = request.getfixturevalue(cloud)
    cache = msal.SerializableTokenCache()
    scopes = ["Files.ReadWrite", "User.Read"]
    app = make_msal_app(onedrive, cache, **options)
    flow = app.initiate_auth_code_flow(scopes, redirect_uri=REDIRECT_URI)
    result = app.acquire_token_by_auth_code_flow(
        flow, read_answer(onedrive.consent(flow["auth_uri"]))
    )
    assert "error" not in result, result
    assert result["id_token_claims"]["name"] == "Demo Artist"
    (account,) = app.get_accounts()
    assert app.acquire_token_silent(scopes, account)["token_source"] == "cache"

    onedrive.clear_log()
    renewed = app.acquire_token_silent(scopes, account, force_refresh=True)
    assert renewed["token_source"] == "identity_provider"
    assert onedrive.count_refreshes() == 1

    later = msal.SerializableTokenCache()
    later.deserialize(cache.serialize())
    app = make_msal_app(onedrive, later, **options)
    (account,) = app.get_accounts()
    assert app.acquire_token_silent(scopes, account)["access_token"] == renewed["access_token"]
    assert onedrive.count_refreshes() == 1

    onedrive.revoke()
    dead = app.acquire_token_silent_with_error(scopes, account, force_refresh=True)
    assert dead["error"] == "invalid_grant"


@pytest.mark.filterwarnings("ignore:response_mode")
def test_msal_recognizes_a_failing_server(onedrive: OneDrive) -> None:
    cache = msal.SerializableTokenCache()
    app = make_msal_app(onedrive, cache)
    flow = app.initiate_auth_code_flow(["Files.ReadWrite"], redirect_uri=REDIRECT_URI)
    answer = read_answer(onedrive.consent(flow["auth_uri"]))
    onedrive.set_fault("status", status=503, path="/token", times=1)
    with pytest.raises(msal.exceptions.MsalServiceError):
        app.acquire_token_by_auth_code_flow(flow, answer)


def test_signing_out_redirects_to_the_requested_address(onedrive: OneDrive) -> None:
    url = f"{onedrive.url}/common/oauth2/v2.0/logout"
    assert "signed out" in requests.get(url, timeout=30).text
    answer = requests.get(
        url, params={"post_logout_redirect_uri": REDIRECT_URI}, allow_redirects=False, timeout=30
    )
    assert answer.headers["Location"] == REDIRECT_URI


def test_a_wrong_method_is_refused(onedrive: OneDrive) -> None:
    assert post_token(onedrive).status_code == 400
    url = f"{onedrive.url}/common/oauth2/v2.0/token"
    assert requests.get(url, timeout=30).status_code == 405
