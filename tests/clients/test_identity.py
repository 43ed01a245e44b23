"""Signing in and refreshing tokens, with both kinds of account."""

import json
import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from prometheus_client.parser import text_string_to_metric_families

from imagehub import metrics
from imagehub.clients.identity import MicrosoftIdentity
from imagehub.clients.sign_in import SignedIn
from imagehub.errors import (
    ConnectionLostError,
    InvalidInputError,
    ServiceBusyError,
    ServiceRefusedError,
)
from tests.clients.connected import (
    CLIENT_ID,
    REDIRECT_URI,
    SCOPES,
    make_identity,
    read_answer,
    sign_in,
)
from tests.fixtures.onedrive import OneDrive


@pytest.fixture
def identity(cloud: OneDrive) -> MicrosoftIdentity:
    return make_identity(cloud)


@pytest.fixture
def signed_in(cloud: OneDrive, identity: MicrosoftIdentity) -> SignedIn:
    return sign_in(cloud, identity)


def make_expired(cloud: OneDrive, identity: MicrosoftIdentity) -> str:
    """Return a token cache whose access token expires in under five minutes."""
    fault = cloud.set_fault("token_lifetime", seconds=299)
    cache = sign_in(cloud, identity).cache
    cloud.clear_faults(fault)
    return cache


# --- Signing in -----------------------------------------------------------------------------------


def test_a_sign_in_uses_the_configured_server_pkce_state_and_nonce(
    cloud: OneDrive, identity: MicrosoftIdentity
) -> None:
    flow = identity.start_sign_in(
        REDIRECT_URI,
        ["Files.Read", "openid", "offline_access"],
        "mia@example.org",
        "select_account",
    )
    assert flow.url.startswith(f"{cloud.url}/common/oauth2/v2.0/authorize?")
    query = {name: values[0] for name, values in parse_qs(urlsplit(flow.url).query).items()}
    assert query["client_id"] == CLIENT_ID
    assert query["redirect_uri"] == REDIRECT_URI
    assert query["response_type"] == "code"
    assert query["code_challenge_method"] == "S256"
    assert query["state"] == flow.state
    assert query["nonce"]
    assert query["login_hint"] == "mia@example.org"
    assert query["prompt"] == "select_account"
    assert set(query["scope"].split()) == {"Files.Read", "openid", "profile", "offline_access"}
    assert flow.flow["code_verifier"] not in flow.url
    assert flow.flow["code_verifier"] not in repr(flow)


def test_a_pending_sign_in_survives_storage_as_json(
    cloud: OneDrive, identity: MicrosoftIdentity
) -> None:
    flow = identity.start_sign_in(REDIRECT_URI, SCOPES)
    answer = read_answer(cloud.consent(flow.url))
    # As in another process: only the stored flow is shared.
    signed_in = make_identity(cloud).finish_sign_in(json.loads(json.dumps(dict(flow.flow))), answer)
    assert signed_in.username
    assert "." in signed_in.home_account_id
    assert signed_in.name
    assert signed_in.tenant_id
    assert set(SCOPES) <= set(signed_in.scopes)
    assert signed_in.cache not in repr(signed_in)


def test_a_code_without_state_is_accepted(cloud: OneDrive, identity: MicrosoftIdentity) -> None:
    flow = identity.start_sign_in(REDIRECT_URI, SCOPES)
    code = read_answer(cloud.consent(flow.url))["code"]
    assert identity.finish_sign_in(flow.flow, {"code": code}).username


def test_a_foreign_state_is_refused_without_a_call(
    cloud: OneDrive, identity: MicrosoftIdentity
) -> None:
    flow = identity.start_sign_in(REDIRECT_URI, SCOPES)
    answer = read_answer(cloud.consent(flow.url))
    for state in ("", "foreign"):
        with pytest.raises(InvalidInputError):
            identity.finish_sign_in(flow.flow, {**answer, "state": state})
    with pytest.raises(InvalidInputError):
        identity.finish_sign_in({}, answer)
    assert cloud.log("POST", "/token") == []


def test_a_person_may_decline(cloud: OneDrive, identity: MicrosoftIdentity) -> None:
    flow = identity.start_sign_in(REDIRECT_URI, SCOPES)
    answer = read_answer(cloud.consent(flow.url, "cancel"))
    assert answer["error"] == "access_denied"
    with pytest.raises(InvalidInputError, match="declined"):
        identity.finish_sign_in(flow.flow, answer)


def test_errors_of_the_sign_in_page_are_distinguished(
    cloud: OneDrive, identity: MicrosoftIdentity
) -> None:
    flow = identity.start_sign_in(REDIRECT_URI, SCOPES)
    cloud.set_fault("authorize_error", error="temporarily_unavailable", times=1)
    with pytest.raises(ServiceBusyError):
        identity.finish_sign_in(flow.flow, read_answer(cloud.consent(flow.url)))
    with pytest.raises(ServiceRefusedError) as caught:
        identity.finish_sign_in(
            flow.flow, {"state": flow.state, "error": "<script>invalid_scope", "code": "x"}
        )
    assert caught.value.reason == "scriptinvalid_scope"


def test_an_answer_without_a_code_is_refused(cloud: OneDrive, identity: MicrosoftIdentity) -> None:
    flow = identity.start_sign_in(REDIRECT_URI, SCOPES)
    with pytest.raises(InvalidInputError) as caught:
        identity.finish_sign_in(flow.flow, {"state": flow.state})
    assert "code" in caught.value.fields


def test_a_code_works_once(cloud: OneDrive, identity: MicrosoftIdentity) -> None:
    flow = identity.start_sign_in(REDIRECT_URI, SCOPES)
    answer = read_answer(cloud.consent(flow.url))
    identity.finish_sign_in(flow.flow, answer)
    with pytest.raises(ServiceRefusedError) as caught:
        identity.finish_sign_in(flow.flow, answer)
    assert caught.value.reason == "bad_code"


def test_a_stolen_code_is_refused_without_the_verifier(
    cloud: OneDrive, identity: MicrosoftIdentity
) -> None:
    flow = identity.start_sign_in(REDIRECT_URI, SCOPES)
    code = read_answer(cloud.consent(flow.url))["code"]
    other = identity.start_sign_in(REDIRECT_URI, SCOPES)
    with pytest.raises(ServiceRefusedError) as caught:
        identity.finish_sign_in(other.flow, {"code": code})
    assert caught.value.reason == "bad_code"


def test_an_id_token_of_another_request_is_refused(
    cloud: OneDrive, identity: MicrosoftIdentity
) -> None:
    flow = identity.start_sign_in(REDIRECT_URI, SCOPES)
    answer = read_answer(cloud.consent(flow.url))
    with pytest.raises(InvalidInputError, match="another request") as caught:
        identity.finish_sign_in({**flow.flow, "nonce": "x" * 16}, answer)
    assert caught.value.__suppress_context__


def test_a_confidential_client_sends_its_secret(
    start_onedrive: Callable[..., OneDrive],
) -> None:
    cloud = start_onedrive(client_secret="right+secret/=", auto_consent=True)
    right = make_identity(cloud, "right+secret/=")
    cache = sign_in(cloud, right).cache
    assert right.refresh_token(cache, SCOPES, force=True).cache
    wrong = make_identity(cloud, "wrong")
    for call in (
        lambda: sign_in(cloud, wrong),
        lambda: wrong.refresh_token(cache, SCOPES, force=True),
    ):
        with pytest.raises(ServiceRefusedError) as caught:
            call()
        assert caught.value.reason == "wrong_client_secret"
    # The grant is still valid: the right secret works at once.
    assert right.refresh_token(cache, SCOPES, force=True).cache


# --- Tokens ---------------------------------------------------------------------------------------


def test_a_fresh_token_needs_no_call(
    cloud: OneDrive, identity: MicrosoftIdentity, signed_in: SignedIn
) -> None:
    cloud.clear_log()
    token = identity.find_cached_token(signed_in.cache, SCOPES)
    assert token is not None
    assert token.token.startswith("EwB") == (cloud.kind == "personal")
    assert datetime.now(UTC) + timedelta(minutes=55) < token.expires_at
    assert token.token not in repr(token)
    assert make_identity(cloud).find_cached_token(signed_in.cache, ["Files.ReadWrite"]) is not None
    assert identity.find_cached_token(signed_in.cache, ["Sites.Read.All"]) is None
    assert cloud.log() == []


def test_a_token_with_less_than_five_minutes_left_is_refreshed(
    cloud: OneDrive, identity: MicrosoftIdentity
) -> None:
    cache = make_expired(cloud, identity)
    assert identity.find_cached_token(cache, SCOPES) is None
    token = identity.refresh_token(cache, SCOPES)
    assert token.cache
    assert token.cache is not None
    assert token.cache != cache
    assert cloud.count_refreshes() == 1
    # The saved cache serves the next call, even in another process.
    again = make_identity(cloud).refresh_token(token.cache, SCOPES)
    assert (again.token, again.cache) == (token.token, None)
    assert cloud.count_refreshes() == 1


def test_every_refresh_returns_a_new_refresh_token(
    cloud: OneDrive, identity: MicrosoftIdentity, signed_in: SignedIn
) -> None:
    seen: set[str] = set()
    cache = signed_in.cache
    for _ in range(3):
        (entry,) = json.loads(cache)["RefreshToken"].values()
        seen.add(entry["secret"])
        cache = identity.refresh_token(cache, SCOPES, force=True).cache or ""
    assert len(seen) == 3


@pytest.mark.parametrize(
    ("code", "words"), [(50173, "password"), (700082, "90 days"), (70000, "revoked")]
)
def test_a_revoked_grant_requires_a_new_sign_in(
    cloud: OneDrive, identity: MicrosoftIdentity, signed_in: SignedIn, code: int, words: str
) -> None:
    cloud.revoke(code)
    with pytest.raises(ConnectionLostError, match=words) as caught:
        identity.refresh_token(signed_in.cache, SCOPES, force=True)
    assert caught.value.code == "invalid_grant"
    assert caught.value.account == signed_in.username
    fresh = sign_in(cloud, identity)
    assert identity.refresh_token(fresh.cache, SCOPES, force=True).cache


def test_replacing_an_expired_client_secret_needs_no_sign_in(
    cloud: OneDrive, identity: MicrosoftIdentity, signed_in: SignedIn
) -> None:
    fault = cloud.set_fault("client_secret_expired")
    with pytest.raises(ServiceRefusedError) as caught:
        identity.refresh_token(signed_in.cache, SCOPES, force=True)
    assert caught.value.reason == "wrong_client_secret"
    cloud.clear_faults(fault)
    assert identity.refresh_token(signed_in.cache, SCOPES, force=True).cache


@pytest.mark.parametrize(
    ("fault", "options"),
    [
        ("status", {"status": 503, "retry_after": 3}),
        ("status", {"status": 429, "retry_after": 3}),
        ("status", {"status": 500}),
        ("garbage", {}),
        ("drop", {}),
        ("aadsts", {"code": 90033}),
    ],
)
def test_the_grant_survives_an_outage(
    cloud: OneDrive,
    identity: MicrosoftIdentity,
    signed_in: SignedIn,
    fault: str,
    options: dict[str, object],
) -> None:
    number = cloud.set_fault(fault, path="/token", **options)
    with pytest.raises(ServiceBusyError) as caught:
        identity.refresh_token(signed_in.cache, SCOPES, force=True)
    assert caught.value.retry_after_seconds == (3 if "retry_after" in options else 30)
    cloud.clear_faults(number)
    assert identity.refresh_token(signed_in.cache, SCOPES, force=True).cache


def test_no_secret_is_logged_anywhere(
    cloud: OneDrive, identity: MicrosoftIdentity, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        flow = identity.start_sign_in(REDIRECT_URI, SCOPES)
        answer = read_answer(cloud.consent(flow.url))
        cache = identity.finish_sign_in(flow.flow, answer).cache
        token = identity.refresh_token(cache, SCOPES, force=True)
        cloud.revoke(50173)
        with pytest.raises(ConnectionLostError):
            identity.refresh_token(token.cache or "", SCOPES, force=True)
    assert "numbers=[50173]" in caplog.text
    secrets = [flow.flow["code_verifier"], answer["code"], token.token]
    for text in (cache, token.cache or ""):
        secrets += [entry["secret"] for entry in json.loads(text)["RefreshToken"].values()]
    for secret in secrets:
        assert secret not in caplog.text


# --- Refresh tokens of another program ------------------------------------------------------------


def take_refresh_token(signed_in: SignedIn) -> str:
    (entry,) = json.loads(signed_in.cache)["RefreshToken"].values()
    return str(entry["secret"])


def test_a_refresh_token_of_the_same_registration_signs_in(
    cloud: OneDrive, identity: MicrosoftIdentity, signed_in: SignedIn
) -> None:
    token = take_refresh_token(signed_in)
    adopted = make_identity(cloud).adopt_refresh_token(token, SCOPES)
    assert adopted.home_account_id == signed_in.home_account_id
    assert adopted.username == signed_in.username
    assert set(SCOPES) <= set(adopted.scopes)
    assert token not in repr(adopted)
    # The connection lives on by itself.
    assert identity.find_cached_token(adopted.cache, SCOPES) is not None
    assert identity.refresh_token(adopted.cache, SCOPES, force=True).token


def test_a_dead_or_foreign_refresh_token_is_refused(
    cloud: OneDrive, identity: MicrosoftIdentity, signed_in: SignedIn
) -> None:
    with pytest.raises(ConnectionLostError):
        identity.adopt_refresh_token("M.C507_BL2.0.U.-of-long-ago", SCOPES)
    cloud.set_fault("aadsts", code=50173)
    with pytest.raises(ConnectionLostError):
        identity.adopt_refresh_token(take_refresh_token(signed_in), SCOPES)


# --- Counting -------------------------------------------------------------------------------------


def test_calls_of_the_sign_in_are_counted_by_operation_and_status(
    cloud: OneDrive, tmp_path: Path
) -> None:
    metrics.start(tmp_path, "web")
    try:
        identity = make_identity(cloud)
        cache = sign_in(cloud, identity).cache
        identity.refresh_token(cache, SCOPES, force=True)
        cloud.set_fault("aadsts", code=50173)
        with pytest.raises(ConnectionLostError):
            identity.refresh_token(cache, SCOPES, force=True)
        text = metrics.render(tmp_path, ()).decode()
    finally:
        metrics.stop()
    counts = {
        (sample.labels["operation"], sample.labels["status"]): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == f"{metrics.GRAPH}_count"
    }
    assert counts == {
        # Discovery, which is kept for a day.
        ("start a sign-in", "200"): 1,
        ("finish a sign-in", "200"): 1,
        ("refresh a token", "200"): 1,
        ("refresh a token", "400"): 1,
    }
