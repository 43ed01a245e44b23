"""Calling Graph: retries, waits, batches, and the error for each answer."""

import json
import logging
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Iterator

import pytest

from imagehub.clients.graph_http import LostAnswerError
from imagehub.errors import (
    ConflictError,
    ConnectionLostError,
    ImageHubError,
    NotFoundError,
    ServiceBusyError,
    ServiceRefusedError,
)
from tests.clients.scripted import (
    TOKEN,
    Answer,
    Asked,
    Pause,
    ScriptedServer,
    make_caller,
    open_graph,
    run_scripted_server,
)
from tests.support import get_free_port


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with run_scripted_server() as script:
        yield script


def make_graph_error(code: str, *inner: str) -> dict[str, object]:
    error: dict[str, object] = {"code": code, "message": "m"}
    place = error
    for name in inner:
        place["innerError"] = {"code": name}
        place = place["innerError"]  # type: ignore[assignment]
    return {"error": error}


def test_a_call_carries_token_user_agent_and_request_id(server: ScriptedServer) -> None:
    server.say("/v1.0/x", Answer(200, {"id": "1"}))
    assert make_caller(server).get_json("/x", "look") == {"id": "1"}
    headers = server.asked[0].headers
    assert headers["authorization"] == f"Bearer {TOKEN}"
    assert headers["user-agent"].startswith("NONISV|ImageHub|ImageHub/")
    assert len(headers["client-request-id"]) == 36


def test_a_netrc_file_does_not_replace_the_token(
    server: ScriptedServer, tmp_path, monkeypatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login a password b\n")
    monkeypatch.setenv("NETRC", str(netrc))
    server.say("/v1.0/x", Answer(200, {}))
    make_caller(server).get_json("/x", "look")
    assert server.asked[0].headers["authorization"] == f"Bearer {TOKEN}"


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504, 509])
def test_a_transient_error_is_retried(server: ScriptedServer, status: int) -> None:
    server.say("/v1.0/x", Answer(status, b"<html>"), Answer(status), Answer(200, {"ok": 1}))
    assert make_caller(server).get_json("/x", "look") == {"ok": 1}
    assert len(server.asked) == 3
    assert len({asked.headers["client-request-id"] for asked in server.asked}) == 3


@pytest.mark.parametrize("status", [500, 502, 504])
def test_unsafe_calls_are_not_retried_after_an_ambiguous_error(
    server: ScriptedServer, status: int
) -> None:
    server.say("/v1.0/x", Answer(status), Answer(201, {}))
    with pytest.raises(LostAnswerError):
        make_caller(server).send("POST", "/x", "make", body={}, may_repeat=False)
    assert len(server.asked) == 1


@pytest.mark.parametrize("status", [429, 503, 509])
def test_calls_that_were_not_started_are_always_retried(
    server: ScriptedServer, status: int
) -> None:
    server.say("/v1.0/x", Answer(status), Answer(201, {}))
    response = make_caller(server).send("POST", "/x", "make", body={}, may_repeat=False)
    assert response.status_code == 201


def test_a_dropped_connection_is_retried(server: ScriptedServer) -> None:
    server.say("/v1.0/x", Answer(hang_up=True), Answer(200, {"ok": 1}))
    assert make_caller(server).get_json("/x", "look") == {"ok": 1}


def test_a_dropped_connection_of_an_unsafe_call_is_a_lost_answer(
    server: ScriptedServer,
) -> None:
    server.say("/v1.0/x", Answer(hang_up=True), Answer(201, {}))
    with pytest.raises(LostAnswerError):
        make_caller(server).send("POST", "/x", "make", body={}, may_repeat=False)
    assert len(server.asked) == 1


def test_an_unreachable_service_is_busy_not_a_lost_answer() -> None:
    caller = open_graph(
        f"http://127.0.0.1:{get_free_port()}/v1.0", max_wait_seconds=0.2, backoff_seconds=0.001
    )
    with pytest.raises(ServiceBusyError) as caught:
        caller.send("POST", "/x", "make", body={}, may_repeat=False)
    assert not isinstance(caught.value, LostAnswerError)
    assert "cannot be reached" in str(caught.value)


def test_a_wait_that_is_too_long_is_an_error_with_its_length(server: ScriptedServer) -> None:
    server.say("/v1.0/x", Answer(429, headers={"Retry-After": "120"}))
    with pytest.raises(ServiceBusyError) as caught:
        make_caller(server).get_json("/x", "look")
    assert caught.value.retry_after_seconds == 120
    assert len(server.asked) == 1


def test_a_fraction_of_a_second_is_waited_for(server: ScriptedServer) -> None:
    moments: list[float] = []

    def answer(asked: Asked) -> Answer:
        moments.append(time.monotonic())
        return Answer(200, {}) if len(moments) > 1 else Answer(429, headers={"Retry-After": "0.25"})

    server.say("/v1.0/x", answer)
    make_caller(server).get_json("/x", "look")
    assert moments[1] - moments[0] >= 0.25


def test_one_throttled_call_pauses_all_threads_of_the_account(server: ScriptedServer) -> None:
    pause = Pause()
    lock = threading.Lock()
    moments: list[float] = []
    throttled_at: list[float] = []

    def answer(asked: Asked) -> Answer:
        with lock:
            if not throttled_at:
                throttled_at.append(time.monotonic())
                return Answer(429, make_graph_error("activityLimitReached"), {"Retry-After": "0.6"})
            moments.append(time.monotonic())
        return Answer(200, {})

    server.say("/v1.0/x", answer)
    first = make_caller(server, get_pause=pause.get, set_pause=pause.set, max_wait_seconds=0.1)
    with pytest.raises(ServiceBusyError):  # it may not wait itself, but pauses the others
        first.get_json("/x", "look")

    def call() -> None:
        caller = make_caller(server, get_pause=pause.get, set_pause=pause.set)
        caller.get_json("/x", "look")

    threads = [threading.Thread(target=call) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(moments) == 8
    assert min(moments) - throttled_at[0] >= 0.6


def test_a_paused_account_sends_nothing_if_the_wait_is_too_long(server: ScriptedServer) -> None:
    caller = make_caller(server, get_pause=lambda: 99.0, set_pause=lambda seconds: None)
    with pytest.raises(ServiceBusyError) as caught:
        caller.get_json("/x", "look")
    assert caught.value.retry_after_seconds == 99
    assert server.asked == []


def test_a_refused_token_is_renewed_once(server: ScriptedServer) -> None:
    refused: list[str] = []

    def get_token(refused_token: str = "", claims: str = "") -> str:
        refused.append(refused_token)
        return "new" if refused_token else "old"

    def answer(asked: Asked) -> Answer:
        good = asked.headers["authorization"] == "Bearer new"
        return (
            Answer(200, {}) if good else Answer(401, make_graph_error("InvalidAuthenticationToken"))
        )

    server.say("/v1.0/x", answer)
    make_caller(server, get_token=get_token).get_json("/x", "look")
    assert refused == ["", "old"]


CLAIMS = '{"access_token":{"acrs":{"essential":true,"value":"c1"}}}'


def make_challenge(claims: str = CLAIMS, error: str = "insufficient_claims") -> Answer:
    header = f'Bearer realm="", error="{error}", claims="{b64encode(claims.encode()).decode()}"'
    body = make_graph_error("InvalidAuthenticationToken")
    return Answer(401, body, {"WWW-Authenticate": header})


def test_a_claims_challenge_is_passed_on_for_the_next_token(server: ScriptedServer) -> None:
    asked_for: list[tuple[str, str]] = []

    def get_token(refused_token: str = "", claims: str = "") -> str:
        asked_for.append((refused_token, claims))
        return "new" if claims else "old"

    server.say("/v1.0/x", make_challenge(), Answer(200, {}))
    make_caller(server, get_token=get_token).get_json("/x", "look")
    assert asked_for == [("", ""), ("old", CLAIMS)]


@pytest.mark.parametrize(
    "answer",
    [
        make_challenge(error="invalid_token"),
        make_challenge("no JSON"),
        make_challenge("[]"),
        Answer(401, b"", {"WWW-Authenticate": 'Bearer error="insufficient_claims", claims="ä"'}),
        Answer(401, b"", {"WWW-Authenticate": 'Bearer error="insufficient_claims"'}),
    ],
)
def test_what_is_no_claims_challenge_is_a_refused_token(
    server: ScriptedServer, answer: Answer
) -> None:
    noted: list[tuple[str, str]] = []
    server.say("/v1.0/x", answer)
    caller = make_caller(
        server, require_sign_in=lambda token, claims: noted.append((token, claims))
    )
    with pytest.raises(ConnectionLostError) as caught:
        caller.get_json("/x", "look")
    assert (caught.value.code, caught.value.claims, noted) == ("unauthenticated", "", [])


def test_a_challenge_that_a_new_token_does_not_satisfy_needs_a_sign_in(
    server: ScriptedServer,
) -> None:
    noted: list[tuple[str, str]] = []
    server.say("/v1.0/x", make_challenge())
    caller = make_caller(
        server,
        get_token=lambda refused_token="", claims="": "new" if refused_token else "old",
        require_sign_in=lambda token, claims: noted.append((token, claims)),
    )
    with pytest.raises(ConnectionLostError) as caught:
        caller.get_json("/x", "look")
    assert (caught.value.code, caught.value.claims) == ("insufficient_claims", CLAIMS)
    assert noted == [("new", CLAIMS)]


def test_a_token_refused_twice_means_the_connection_is_lost(server: ScriptedServer) -> None:
    server.say("/v1.0/x", Answer(401, make_graph_error("InvalidAuthenticationToken")))
    with pytest.raises(ConnectionLostError):
        make_caller(server).get_json("/x", "look")
    assert len(server.asked) == 2


@pytest.mark.parametrize(
    ("status", "codes", "kind", "reason"),
    [
        (404, ("itemNotFound",), NotFoundError, ""),
        (409, ("nameAlreadyExists",), ServiceRefusedError, "name_taken"),
        (409, ("conflict",), ConflictError, ""),
        (412, ("resourceModified",), ConflictError, ""),
        (412, ("notAllowed",), ConflictError, ""),
        (423, ("accessDenied",), ServiceRefusedError, "locked"),
        (423, ("resourceLocked",), ServiceRefusedError, "locked"),
        (507, ("quotaLimitReached",), ServiceRefusedError, "quota_full"),
        (507, (), ServiceRefusedError, "quota_full"),
        (403, ("accessDenied",), ServiceRefusedError, "forbidden"),
        (403, ("accessDenied", "malwareDetected"), ServiceRefusedError, "malware"),
        (501, ("notSupported",), ServiceRefusedError, "not_supported"),
        (405, (), ServiceRefusedError, "not_supported"),
        (400, ("invalidRequest", "pathIsTooLong"), ServiceRefusedError, "path_too_long"),
        (500, ("generalException", "pathIsTooLong"), ServiceRefusedError, "path_too_long"),
        (400, ("invalidRequest", "invalidPath"), ServiceRefusedError, "forbidden_name"),
        (400, ("badArgument",), ServiceRefusedError, "bad_request"),
        (410, ("resyncRequired",), ServiceRefusedError, "gone"),
    ],
)
def test_a_permanent_error_has_its_class_and_is_not_retried(
    server: ScriptedServer,
    status: int,
    codes: tuple[str, ...],
    kind: type[ImageHubError],
    reason: str,
) -> None:
    server.say("/v1.0/x", Answer(status, make_graph_error(*codes) if codes else b"<html>"))
    with pytest.raises(kind) as caught:
        make_caller(server).get_json("/x", "look", "key")
    assert getattr(caught.value, "reason", "") == reason
    assert str(caught.value).endswith(".")
    assert len(server.asked) == 1


def test_the_nested_code_is_found_in_either_spelling(server: ScriptedServer) -> None:
    body = {"error": {"code": "invalidRequest", "innererror": {"code": "pathIsTooLong"}}}
    server.say("/v1.0/x", Answer(400, body))
    with pytest.raises(ServiceRefusedError) as caught:
        make_caller(server).get_json("/x", "look")
    assert caught.value.reason == "path_too_long"


@pytest.mark.parametrize("body", [b"", b"<html>", b"[1]", b'"x"', b"{", b"\xff\xfe", b"null"])
def test_an_answer_that_is_not_a_json_object_is_unreadable(
    server: ScriptedServer, body: bytes
) -> None:
    server.say("/v1.0/x", Answer(200, body))
    with pytest.raises(ServiceRefusedError) as caught:
        make_caller(server).get_json("/x", "look")
    assert caught.value.reason == "bad_answer"


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/v1.0/x",
        "http://127.0.0.1:1/v1.0/x",
        "http://127.0.0.1@evil.example/x",
        "HTTPS://EVIL.example/x",
    ],
)
def test_the_token_is_never_sent_to_another_server(server: ScriptedServer, url: str) -> None:
    with pytest.raises(ServiceRefusedError) as caught:
        make_caller(server).get_json(url, "look")
    assert caught.value.reason == "bad_answer"
    assert server.asked == []


def test_a_redirect_is_not_followed_with_the_token(server: ScriptedServer) -> None:
    server.say("/v1.0/x", Answer(302, headers={"Location": server.url + "/elsewhere"}))
    assert make_caller(server).send("GET", "/x", "look").status_code == 302
    assert len(server.asked) == 1


def test_the_log_has_the_ids_for_support_and_no_secret(
    server: ScriptedServer, caplog: pytest.LogCaptureFixture
) -> None:
    headers = {"request-id": "req-1", "x-ms-ags-diagnostic": "{ring}"}
    server.say("/v1.0/x", Answer(403, make_graph_error("accessDenied"), headers))
    with caplog.at_level(logging.DEBUG), pytest.raises(ServiceRefusedError):
        make_caller(server).get_json("/x?$skiptoken=page-secret", "look")
    request_id = server.asked[0].headers["client-request-id"]
    assert f"client-request-id={request_id} request-id=req-1" in caplog.text
    assert "{ring}" in caplog.text
    assert TOKEN not in caplog.text
    assert "page-secret" not in caplog.text


# --- Batches --------------------------------------------------------------------------------------

Part = dict[str, object]


def say_parts(server: ScriptedServer, *rounds: Callable[[str], Part]) -> None:
    """Answer each batch with a function of every address in it, in reverse order."""

    def make(say: Callable[[str], Part]) -> Callable[[Asked], Answer]:
        def answer(asked: Asked) -> Answer:
            parts = [
                {"id": one["id"], "headers": {}, **say(one["url"])}
                for one in json.loads(asked.body)["requests"]
            ]
            return Answer(200, {"responses": parts[::-1]})

        return answer

    server.say("/v1.0/$batch", *(make(say) for say in rounds))


def list_batches(server: ScriptedServer) -> list[list[str]]:
    return [
        [one["url"] for one in json.loads(asked.body)["requests"]]
        for asked in server.list_asked("/v1.0/$batch")
    ]


def test_many_items_are_requested_in_batches_of_twenty_in_order(server: ScriptedServer) -> None:
    say_parts(server, lambda url: {"status": 200, "body": {"id": url}})
    paths = {f"key {number}": f"/items/{number}?$select=id" for number in range(45)}
    found = make_caller(server).get_many(paths, "look")
    assert found == {key: {"id": path} for key, path in paths.items()}
    assert list(found) == list(paths)
    assert [len(batch) for batch in list_batches(server)] == [20, 20, 5]
    assert {asked.method for asked in server.asked} == {"POST"}


def test_each_part_of_a_batch_has_its_own_result(server: ScriptedServer) -> None:
    def say(url: str) -> Part:
        if url == "/gone":
            return {"status": 404, "body": make_graph_error("itemNotFound")}
        if url == "/closed":
            return {"status": 403, "body": make_graph_error("accessDenied")}
        return {"status": 200, "body": {"id": url}}

    say_parts(server, say)
    server.say("/v1.0/closed", Answer(403, make_graph_error("accessDenied")))
    paths = {"a": "/a", "g": "/gone", "c": "/closed"}
    found = make_caller(server).get_many(paths, "look")
    assert found["a"] == {"id": "/a"}
    assert isinstance(found["g"], NotFoundError) and found["g"].key == "g"
    assert isinstance(found["c"], ServiceRefusedError) and found["c"].reason == "forbidden"


def test_only_throttled_parts_are_retried_after_the_wait(
    server: ScriptedServer,
) -> None:
    moments: list[float] = []

    def first(url: str) -> Part:
        moments.append(time.monotonic())
        if url == "/b":
            return {"status": 429, "headers": {"Retry-After": "0.3"}}
        return {"status": 503} if url == "/c" else {"status": 200, "body": {"id": url}}

    def second(url: str) -> Part:
        moments.append(time.monotonic())
        return {"status": 200, "body": {"id": url}}

    say_parts(server, first, second)
    pause = Pause()
    caller = make_caller(server, get_pause=pause.get, set_pause=pause.set)
    paths = {name: f"/{name}" for name in "abcd"}
    assert caller.get_many(paths, "look") == {name: {"id": f"/{name}"} for name in "abcd"}
    assert list_batches(server) == [["/a", "/b", "/c", "/d"], ["/b", "/c"]]
    assert moments[-1] - moments[3] >= 0.3


def test_answered_parts_count_if_the_rest_is_throttled_too_long(
    server: ScriptedServer,
) -> None:
    pauses: list[float] = []
    say_parts(
        server,
        lambda url: (
            {"status": 429, "headers": {"retry-after": "120"}}
            if url == "/3"
            else {"status": 200, "body": {"id": url}}
        ),
    )
    caller = make_caller(server, get_pause=lambda: 0.0, set_pause=pauses.append)
    found = caller.get_many({str(n): f"/{n}" for n in range(45)}, "look")
    assert pauses == [120], "nobody calls for this account now"
    assert len(list_batches(server)) == 1
    busy = {key for key, one in found.items() if isinstance(one, ServiceBusyError)}
    assert busy == {"3", *map(str, range(20, 45))}
    error = found["3"]
    assert isinstance(error, ServiceBusyError) and error.retry_after_seconds == 120


@pytest.mark.parametrize(
    "refused",
    [
        Answer(424, make_graph_error("FailedDependency")),
        Answer(404, make_graph_error("itemNotFound")),
        Answer(400, make_graph_error("BadRequest")),
        Answer(200, {"responses": "?"}),
        Answer(200, {"responses": [{"id": 7, "status": 200}, "x"]}),
        Answer(200, b"<html>"),
    ],
)
def test_without_batches_items_are_requested_one_by_one(
    server: ScriptedServer, refused: Answer
) -> None:
    server.say("/v1.0/$batch", refused)
    server.say("/v1.0/a", Answer(200, {"id": "a"}))
    server.say("/v1.0/b", Answer(409, make_graph_error("conflict")))
    found = make_caller(server).get_many({"a": "/a", "b": "/b", "c": "/c"}, "look")
    assert found["a"] == {"id": "a"}
    assert isinstance(found["b"], ServiceRefusedError)
    assert isinstance(found["c"], NotFoundError)


def test_a_part_that_refuses_the_token_renews_it(server: ScriptedServer) -> None:
    refused: list[str] = []

    def get_token(refused_token: str = "", claims: str = "") -> str:
        refused.append(refused_token)
        return "new" if "old" in refused else "old"

    def answer(asked: Asked) -> Answer:
        good = asked.headers["authorization"] == "Bearer new"
        return Answer(200, {"id": asked.path}) if good else Answer(401)

    say_parts(server, lambda url: {"status": 401})
    for name in "ab":
        server.say(f"/v1.0/{name}", answer)
    found = make_caller(server, get_token=get_token).get_many({"a": "/a", "b": "/b"}, "look")
    assert found == {"a": {"id": "/v1.0/a"}, "b": {"id": "/v1.0/b"}}
    assert refused.count("old") == 1


def test_a_lost_connection_is_not_the_result_of_one_part(server: ScriptedServer) -> None:
    server.say("/v1.0/$batch", Answer(401))
    with pytest.raises(ConnectionLostError):
        make_caller(server).get_many({"a": "/a", "b": "/b"}, "look")
