"""Faults of the sign-in server, which must not be mistaken for a lost connection."""

import json
import logging
import time
from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import pytest

from imagehub.clients.identity import MicrosoftIdentity
from imagehub.errors import ConnectionLostError, ServiceBusyError, ServiceRefusedError
from tests.clients.scripted import Answer, ScriptedServer, run_scripted_server
from tests.support import get_free_port

DISCOVERY = "/common/v2.0/.well-known/openid-configuration"
TOKEN = "/common/oauth2/v2.0/token"
HOST = "https://login.microsoftonline.com/common/oauth2/v2.0"
SCOPES = ["Files.Read", "User.Read"]
CLAIMS = '{"access_token":{"acrs":{"essential":true,"value":"c1"}}}'


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with run_scripted_server() as script:
        script.say(
            DISCOVERY,
            Answer(
                200,
                {"authorization_endpoint": f"{HOST}/authorize", "token_endpoint": f"{HOST}/token"},
            ),
        )
        yield script


def make_identity(server: ScriptedServer, secret: str = "s3cret") -> MicrosoftIdentity:
    return MicrosoftIdentity("client", secret, server.url, timeout_seconds=5)


def make_cache(
    scopes: str = "Files.Read User.Read", seconds: int = 3600, token: str = "EwB-cached"
) -> str:
    """Return a token cache in MSAL's format."""
    common = {
        "home_account_id": "uid.utid",
        "environment": "login.microsoftonline.com",
        "client_id": "client",
    }
    now = int(time.time())
    access = {
        **common,
        "credential_type": "AccessToken",
        "secret": token,
        "target": scopes,
        "realm": "common",
        "token_type": "Bearer",
        "cached_at": str(now),
        "expires_on": str(now + seconds),
        "extended_expires_on": str(now + seconds),
    }
    refresh = {
        **common,
        "credential_type": "RefreshToken",
        "secret": "M.C5-refresh-secret",
        "target": scopes,
        "last_modification_time": str(now),
    }
    account = {
        "home_account_id": "uid.utid",
        "environment": "login.microsoftonline.com",
        "realm": "common",
        "local_account_id": "uid",
        "username": "mia@example.org",
        "authority_type": "MSSTS",
        "account_source": "authorization_code",
    }
    start = "uid.utid-login.microsoftonline.com"
    words = scopes.lower()
    return json.dumps(
        {
            "AccessToken": {f"{start}-accesstoken-client-common-{words}": access},
            "RefreshToken": {f"{start}-refreshtoken-client--{words}": refresh},
            "Account": {f"{start}-common": account},
        }
    )


def make_error(error: str, number: int = 0, **more: object) -> dict[str, object]:
    return {
        "error": error,
        "error_description": f"AADSTS{number}: words.",
        "error_codes": [number],
        "trace_id": "trace-1",
        "correlation_id": "correlation-1",
        **more,
    }


def make_tokens(**more: object) -> dict[str, object]:
    return {
        "token_type": "Bearer",
        "scope": "Files.Read User.Read",
        "expires_in": 3599,
        "access_token": "EwB-new",
        "refresh_token": "M.C5-rotated",
        **more,
    }


def test_a_cached_token_needs_no_call(server: ScriptedServer) -> None:
    token = make_identity(server).find_cached_token(make_cache(), ["Files.Read"])
    assert token is not None
    assert token.token == "EwB-cached"
    assert token.cache is None
    assert not token.cache
    assert server.asked == []


@pytest.mark.parametrize(
    "cache",
    [
        "",
        "not json",
        "{}",
        make_cache(seconds=299),
        make_cache(seconds=-5),
        make_cache(scopes="User.Read"),
    ],
)
def test_tokens_that_expire_within_five_minutes_are_not_used(
    server: ScriptedServer, cache: str
) -> None:
    assert make_identity(server).find_cached_token(cache, ["Files.Read"]) is None
    assert server.asked == []


def test_scopes_are_recognised_in_every_spelling(server: ScriptedServer) -> None:
    cache = make_cache(scopes="https://graph.microsoft.com/files.read user.read")
    scopes = ["Files.Read", "openid", "offline_access", "profile"]
    assert make_identity(server).find_cached_token(cache, scopes) is not None


def test_a_token_of_another_app_registration_is_not_used(server: ScriptedServer) -> None:
    identity = MicrosoftIdentity("other", "s", server.url)
    assert identity.find_cached_token(make_cache(), ["Files.Read"]) is None


def test_a_refresh_answers_from_the_cache_unless_forced(server: ScriptedServer) -> None:
    server.say(TOKEN, Answer(200, make_tokens()))
    identity = make_identity(server)
    assert not identity.refresh_token(make_cache(), SCOPES).cache
    assert server.asked == []
    token = identity.refresh_token(make_cache(), SCOPES, force=True)
    assert token.token == "EwB-new" and token.cache
    assert token.cache is not None
    assert "M.C5-rotated" in token.cache
    assert "M.C5-refresh-secret" not in token.cache


def test_discovery_is_requested_once_for_many_refreshes(server: ScriptedServer) -> None:
    server.say(TOKEN, Answer(200, make_tokens()))
    identity = make_identity(server)
    for _ in range(3):
        identity.refresh_token(make_cache(seconds=0), SCOPES)
    assert len(server.list_asked(DISCOVERY)) == 1
    assert len(server.list_asked(TOKEN)) == 3


def test_errors_are_not_cached(server: ScriptedServer) -> None:
    server.say(TOKEN, Answer(400, make_error("invalid_grant", 50076)), Answer(200, make_tokens()))
    identity = make_identity(server)
    with pytest.raises(ConnectionLostError):
        identity.refresh_token(make_cache(seconds=0), SCOPES)
    assert identity.refresh_token(make_cache(seconds=0), SCOPES).token == "EwB-new"


@pytest.mark.parametrize(
    ("error", "number", "words"),
    [
        ("invalid_grant", 70008, "not used for 90 days"),
        ("invalid_grant", 700082, "90 days"),
        ("invalid_grant", 50173, "password was changed"),
        ("invalid_grant", 70000, "revoked"),
        ("invalid_grant", 50076, "two-factor"),
        ("interaction_required", 50079, "two-factor"),
        ("consent_required", 65001, "consent"),
        ("invalid_grant", 99999, "must be reconnected"),
    ],
)
def test_a_revoked_grant_is_explained_in_one_sentence(
    server: ScriptedServer, error: str, number: int, words: str
) -> None:
    server.say(TOKEN, Answer(400, make_error(error, number)))
    with pytest.raises(ConnectionLostError, match=words) as caught:
        make_identity(server).refresh_token(make_cache(seconds=0), SCOPES)
    assert caught.value.code == error
    assert caught.value.account == "mia@example.org"
    assert "AADSTS" not in str(caught.value)


@pytest.mark.parametrize(
    ("status", "error", "number"),
    [(401, "invalid_client", 7000222), (400, "unauthorized_client", 700016)],
)
def test_a_wrong_client_secret_is_not_a_revoked_grant(
    server: ScriptedServer, status: int, error: str, number: int
) -> None:
    server.say(TOKEN, Answer(status, make_error(error, number)))
    with pytest.raises(ServiceRefusedError) as caught:
        make_identity(server).refresh_token(make_cache(seconds=0), SCOPES)
    assert caught.value.reason == "wrong_client_secret"


@pytest.mark.parametrize(
    "answer",
    [
        Answer(500, b"<html>"),
        Answer(503, make_error("temporarily_unavailable", 90033)),
        Answer(504),
        Answer(200, b"<html>a proxy's page</html>"),
        Answer(200, b"[]"),
        Answer(429, b""),
        Answer(429, make_error("too_many_requests")),
        Answer(400, make_error("temporarily_unavailable", 90033)),
        Answer(hang_up=True),
        Answer(200, b'{"access', {"Content-Length": "500"}),
    ],
)
def test_a_failing_server_is_busy_and_keeps_the_grant(
    server: ScriptedServer, answer: Answer
) -> None:
    server.say(TOKEN, answer)
    with pytest.raises(ServiceBusyError):
        make_identity(server).refresh_token(make_cache(seconds=0), SCOPES)


@pytest.mark.parametrize(
    ("answer", "seconds"),
    [
        (make_error("invalid_grant", 50196), 300),
        (make_error("invalid_grant", 90033), 30),
        (make_error("invalid_grant", 50089), 30),
        (make_error("invalid_grant", 50000), 30),
        (make_error("interaction_required", 70012, suberror="bad_token"), 30),
        (make_error("server_error"), 30),
        ({"error": "invalid_grant", "error_description": "AADSTS50196: A loop."}, 300),
    ],
)
def test_a_passing_refusal_is_busy_whatever_its_error(
    server: ScriptedServer, answer: dict[str, object], seconds: float
) -> None:
    server.say(TOKEN, Answer(400, answer))
    with pytest.raises(ServiceBusyError) as caught:
        make_identity(server).refresh_token(make_cache(seconds=0), SCOPES)
    assert caught.value.retry_after_seconds == seconds


@pytest.mark.parametrize(
    ("error", "number", "more", "words"),
    [
        ("invalid_grant", 53003, {}, "access policy blocks ImageHub"),
        ("interaction_required", 53000, {}, "managed device"),
        ("invalid_grant", 50105, {}, "does not allow this account"),
        ("invalid_grant", 90094, {}, "must consent"),
        ("invalid_grant", 54000, {}, "AADSTS54000"),
        ("invalid_grant", 0, {"suberror": "message_only"}, "refuses access"),
    ],
)
def test_a_refusal_for_the_administrator_is_told_apart(
    server: ScriptedServer, error: str, number: int, more: dict[str, str], words: str
) -> None:
    server.say(TOKEN, Answer(400, make_error(error, number, claims=CLAIMS, **more)))
    with pytest.raises(ServiceRefusedError, match=words) as caught:
        make_identity(server).refresh_token(make_cache(seconds=0), SCOPES)
    assert (caught.value.reason, caught.value.claims) == ("needs_administrator", CLAIMS)


@pytest.mark.parametrize(
    ("error", "number", "words"),
    [
        ("invalid_grant", 50011, "redirect address"),
        ("invalid_request", 50194, "IMAGEHUB_MS_TENANT"),
        ("invalid_resource", 650057, "permission"),
        ("invalid_scope", 70011, "permission"),
        ("invalid_grant", 50001, "AADSTS50001"),
        ("invalid_request", 0, "app registration"),
    ],
)
def test_a_wrong_registration_is_told_apart(
    server: ScriptedServer, error: str, number: int, words: str
) -> None:
    server.say(TOKEN, Answer(400, make_error(error, number)))
    with pytest.raises(ServiceRefusedError, match=words) as caught:
        make_identity(server).refresh_token(make_cache(seconds=0), SCOPES)
    assert caught.value.reason == "wrong_registration"


@pytest.mark.parametrize(
    ("error", "number", "more", "is_certain"),
    [
        ("invalid_grant", 50173, {}, True),
        ("invalid_grant", 99999, {"suberror": "bad_token"}, True),
        ("interaction_required", 99999, {}, True),
        ("invalid_grant", 99999, {"claims": CLAIMS}, True),
        ("invalid_grant", 99999, {"claims": "not JSON"}, False),
        ("invalid_grant", 99999, {}, False),
        ("invalid_grant", 165004, {}, False),
        ("a_new_error", 99999, {}, False),
    ],
)
def test_only_a_known_cause_is_certain(
    server: ScriptedServer, error: str, number: int, more: dict[str, str], is_certain: bool
) -> None:
    server.say(TOKEN, Answer(400, make_error(error, number, **more)))
    with pytest.raises(ConnectionLostError) as caught:
        make_identity(server).refresh_token(make_cache(seconds=0), SCOPES)
    assert caught.value.is_certain is is_certain
    assert caught.value.claims == (CLAIMS if more.get("claims") == CLAIMS else "")


def test_claims_are_requested_with_the_token_and_at_the_sign_in(server: ScriptedServer) -> None:
    server.say(TOKEN, Answer(200, make_tokens()))
    identity = make_identity(server)
    identity.refresh_token(make_cache(), SCOPES, claims=CLAIMS)
    form = parse_qs(server.list_asked(TOKEN)[0].body.decode())
    wanted = {"acrs": {"essential": True, "value": "c1"}, "xms_cc": {"values": ["cp1"]}}
    assert json.loads(form["claims"][0]) == {"access_token": wanted}
    flow = identity.start_sign_in("http://localhost/cb", SCOPES, claims=CLAIMS)
    query = parse_qs(urlsplit(flow.url).query)
    assert json.loads(query["claims"][0]) == {"access_token": wanted}
    assert flow.flow["claims_challenge"] == CLAIMS


def test_retry_after_is_passed_on(server: ScriptedServer) -> None:
    server.say(TOKEN, Answer(503, b"", {"Retry-After": "77"}))
    with pytest.raises(ServiceBusyError) as caught:
        make_identity(server).refresh_token(make_cache(seconds=0), SCOPES)
    assert caught.value.retry_after_seconds == 77


def test_an_unreachable_server_is_busy() -> None:
    identity = MicrosoftIdentity("client", "s", f"http://127.0.0.1:{get_free_port()}")
    with pytest.raises(ServiceBusyError):
        identity.refresh_token(make_cache(seconds=0), SCOPES)
    with pytest.raises(ServiceBusyError):
        identity.start_sign_in("http://localhost/cb", SCOPES)


def test_an_unknown_tenant_is_a_permanent_error(server: ScriptedServer) -> None:
    server.say(DISCOVERY, Answer(400, make_error("invalid_tenant", 90002)))
    with pytest.raises(ServiceRefusedError) as caught:
        make_identity(server).start_sign_in("http://localhost/cb", SCOPES)
    assert caught.value.reason == "bad_answer"


def test_without_a_client_id_nothing_is_sent(server: ScriptedServer) -> None:
    with pytest.raises(ServiceRefusedError, match="client ID"):
        MicrosoftIdentity("", "", server.url).start_sign_in("http://localhost/cb", SCOPES)
    assert server.asked == []


@pytest.mark.parametrize("cache", ["", "{}", "garbage"])
def test_an_empty_cache_means_not_connected(server: ScriptedServer, cache: str) -> None:
    with pytest.raises(ConnectionLostError) as caught:
        make_identity(server).refresh_token(cache, SCOPES)
    assert caught.value.code == "no_account"


def test_an_account_without_a_refresh_token_must_sign_in_again(server: ScriptedServer) -> None:
    cache = json.loads(make_cache(seconds=0))
    del cache["RefreshToken"]
    with pytest.raises(ConnectionLostError) as caught:
        make_identity(server).refresh_token(json.dumps(cache), SCOPES)
    assert caught.value.code == "no_refresh_token"


def test_the_log_has_numbers_and_trace_but_no_token(
    server: ScriptedServer, caplog: pytest.LogCaptureFixture
) -> None:
    identity = make_identity(server)
    server.say(
        TOKEN,
        Answer(400, make_error("invalid_grant", 50173, suberror="bad_token")),
        Answer(200, b"EwB-in-a-broken-answer"),
        Answer(200, make_tokens()),
    )
    with caplog.at_level(logging.DEBUG):
        with pytest.raises(ConnectionLostError):
            identity.refresh_token(make_cache(seconds=0), SCOPES)
        with pytest.raises(ServiceBusyError):
            identity.refresh_token(make_cache(seconds=0), SCOPES)
        identity.refresh_token(make_cache(seconds=0), SCOPES)
    assert "numbers=[50173] trace_id=trace-1" in caplog.text
    for secret in ("M.C5", "EwB", "s3cret"):
        assert secret not in caplog.text


def test_a_public_client_sends_no_secret(server: ScriptedServer) -> None:
    server.say(TOKEN, Answer(200, make_tokens()))
    make_identity(server, secret="").refresh_token(make_cache(seconds=0), SCOPES)
    asked = server.list_asked(TOKEN)[0]
    assert b"client_secret" not in asked.body
    assert "authorization" not in asked.headers


def test_addresses_of_another_server_are_accepted_in_its_discovery_document(
    server: ScriptedServer,
) -> None:
    own = f"{server.url}/common/oauth2/v2.0"
    server.say(
        DISCOVERY,
        Answer(
            200, {"authorization_endpoint": f"{own}/authorize", "token_endpoint": f"{own}/token"}
        ),
    )
    server.say(TOKEN, Answer(200, make_tokens()))
    identity = make_identity(server)
    assert identity.refresh_token(make_cache(seconds=0), SCOPES).cache
    flow = identity.start_sign_in("http://localhost/cb", SCOPES)
    assert flow.url.startswith(f"{own}/authorize?")
