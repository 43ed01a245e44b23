"""The S3 client: signatures, errors and workarounds."""

import base64
import hashlib
import logging
import re
import socket
import socketserver
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime, parsedate_to_datetime
from pathlib import Path
from threading import Thread
from urllib.parse import parse_qs, urlsplit
from zoneinfo import ZoneInfo

import boto3
import botocore.auth
import pytest
from botocore.config import Config
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from imagehub.clients import ObjectStore
from imagehub.clients.s3 import S3Store, check_key
from imagehub.clients.sigv4 import KEPT_URL_COUNT, WindowSigner
from imagehub.errors import ServiceBusyError, ServiceError, ServiceRefusedError
from tests.clients.s3_relay import Answer, Relay, Seen, refuse, run_relay
from tests.fixtures.s3 import ACCESS_KEY_ID, SECRET_ACCESS_KEY, S3Server
from tests.fixtures.tls import make_certificate
from tests.support import get_free_port

SECRETS = (SECRET_ACCESS_KEY, "X-Amz-Signature", "Signature=")


def make_store(**changes: object) -> S3Store:
    """Return a store that is never called."""
    values: dict[str, object] = {
        "bucket": "pictures",
        "access_key_id": ACCESS_KEY_ID,
        "secret_access_key": SECRET_ACCESS_KEY,
        "endpoint_url": "http://127.0.0.1:9000",
    }
    return S3Store(**(values | changes))  # type: ignore[arg-type]


@pytest.fixture
def relay(s3_server: S3Server) -> Iterator[Relay]:
    with run_relay(s3_server.endpoint_url) as running:
        yield running


@pytest.fixture
def relayed(s3_server: S3Server, relay: Relay) -> S3Store:
    """Return a store in a new bucket that writes through the relay."""
    made = s3_server.make_store(endpoint_url=relay.url)
    made.create_bucket()
    relay.seen.clear()
    return made


def assert_plain(error: ServiceError) -> None:
    """Assert that error and cause are one readable sentence without secrets."""
    text = str(error)
    assert re.fullmatch(r"[A-Z].*\.", text), text
    cause: BaseException | None = error
    while cause is not None:
        assert not any(secret in f"{cause} {cause!r}" for secret in SECRETS), f"{cause!r}"
        cause = cause.__cause__


# --- Signatures -----------------------------------------------------------------------------------


class FixedClock:
    """Make botocore sign for a given time."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = datetime.now(UTC)
        monkeypatch.setattr(botocore.auth, "get_current_datetime", self.get)

    def get(self, remove_tzinfo: bool = True) -> datetime:
        return self.now.replace(tzinfo=None) if remove_tzinfo else self.now


def sign_with_botocore(
    clock: FixedClock, window_start: datetime, window_seconds: int, key: str, **arguments: object
) -> str:
    style = arguments.pop("addressing_style", "path")
    client = boto3.client(
        "s3",
        aws_access_key_id=ACCESS_KEY_ID,
        aws_secret_access_key=SECRET_ACCESS_KEY,
        config=Config(signature_version="s3v4", s3={"addressing_style": style}),
        **arguments,
    )
    return sign_with(client, clock, window_start, window_seconds, key)


def sign_with(
    client: object, clock: FixedClock, window_start: datetime, window_seconds: int, key: str
) -> str:
    clock.now = window_start
    cache_control = f"public, max-age={window_seconds}, immutable"
    url: str = client.generate_presigned_url(  # type: ignore[attr-defined]
        "get_object",
        Params={"Bucket": "pictures", "Key": key, "ResponseCacheControl": cache_control},
        ExpiresIn=2 * window_seconds,
    )
    return url


KEYS = st.lists(st.text(min_size=1, max_size=12), min_size=1, max_size=4).map("/".join)


def is_good_key(key: str) -> bool:
    with suppress(ValueError, UnicodeEncodeError):
        check_key(key).encode()
        return True
    return False


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    key=KEYS.filter(is_good_key),
    now=st.datetimes(datetime(2020, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)),
    window_seconds=st.integers(1, 302_400),
)
@example("renditions/ab/cd/abcd.webp", datetime(2026, 2, 28, 23, 59, 59, tzinfo=UTC), 86_400)
@example("a b/+&=?#%2F~'()*!$,;:@é.webp", datetime(2024, 2, 29, tzinfo=UTC), 302_400)
def test_an_address_equals_botocores_at_the_start_of_the_window(
    monkeypatch: pytest.MonkeyPatch, key: str, now: datetime, window_seconds: int
) -> None:
    with monkeypatch.context() as patch:
        start = datetime.fromtimestamp(int(now.timestamp()) // window_seconds * window_seconds, UTC)
        ours = make_store(presign_window_seconds=window_seconds)
        theirs = sign_with(ours._get_client(), FixedClock(patch), start, window_seconds, key)
        assert ours.make_presigned_url(key, now) == theirs


@pytest.mark.parametrize("style", ["path", "virtual"])
@pytest.mark.parametrize(
    "endpoint_url",
    [
        "http://localhost:9000",
        "https://s3.example.org",
        "https://s3.example.org:443",
        "http://s3.example.org:80",
        "https://s3.example.org:8443/storage",
        "https://S3.Example.org/",
    ],
)
def test_an_address_equals_botocores_for_any_endpoint(
    monkeypatch: pytest.MonkeyPatch, endpoint_url: str, style: str
) -> None:
    start = datetime(2026, 5, 4, tzinfo=UTC)
    # The style of Amazon is virtual.
    private = {"endpoint_url": ""} if style == "virtual" else {}
    ours = make_store(
        public_endpoint_url=endpoint_url, region="eu-west-3", **private
    ).make_presigned_url("a/b c.webp", start)
    assert ours == sign_with_botocore(
        FixedClock(monkeypatch),
        start,
        86_400,
        "a/b c.webp",
        endpoint_url=endpoint_url,
        addressing_style=style,
        region_name="eu-west-3",
    )


def test_the_host_of_an_address_can_be_an_ip_address(monkeypatch: pytest.MonkeyPatch) -> None:
    start = datetime(2026, 5, 4, tzinfo=UTC)
    for endpoint_url in ("http://[::1]:9000", "https://[2001:db8::1]", "http://192.0.2.7"):
        ours = make_store(public_endpoint_url=endpoint_url).make_presigned_url("one", start)
        assert ours == sign_with_botocore(
            FixedClock(monkeypatch),
            start,
            86_400,
            "one",
            endpoint_url=endpoint_url,
            region_name="us-east-1",
        )


@pytest.mark.parametrize("region", ["us-east-1", "eu-central-1", "cn-north-1"])
def test_without_an_endpoint_the_address_is_at_amazon(
    monkeypatch: pytest.MonkeyPatch, region: str
) -> None:
    start = datetime(2026, 5, 4, tzinfo=UTC)
    ours = make_store(endpoint_url="", region=region).make_presigned_url("a/b.webp", start)
    assert "://pictures.s3." in ours
    assert ours == sign_with_botocore(
        FixedClock(monkeypatch),
        start,
        86_400,
        "a/b.webp",
        addressing_style="virtual",
        region_name=region,
    )


def test_an_address_stays_the_same_until_the_window_ends() -> None:
    first, second = make_store(), make_store()
    start = datetime(2026, 5, 4, tzinfo=UTC)
    day = timedelta(days=1)
    url = first.make_presigned_url("one", start)
    assert url == second.make_presigned_url("one", start + day - timedelta(microseconds=1))
    assert url != first.make_presigned_url("one", start + day)
    assert url != first.make_presigned_url("one", start - timedelta(microseconds=1))
    assert url == first.make_presigned_url("one", start)
    assert url != first.make_presigned_url("two", start)


def test_windows_are_the_same_in_every_time_zone() -> None:
    store = make_store()
    here = datetime(2026, 5, 4, 1, 30, tzinfo=ZoneInfo("Pacific/Auckland"))
    assert store.make_presigned_url("one", here) == store.make_presigned_url(
        "one", here.astimezone(UTC)
    )


def test_the_current_time_is_the_default() -> None:
    query = parse_qs(urlsplit(make_store().make_presigned_url("one")).query)
    signed_at = datetime.strptime(query["X-Amz-Date"][0], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    assert timedelta(0) <= datetime.now(UTC) - signed_at < timedelta(days=1, minutes=1)
    assert query["X-Amz-Expires"] == ["172800"]


def test_a_time_without_a_time_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        make_store().make_presigned_url("one", datetime(2026, 5, 4))


def test_the_cache_of_addresses_is_bounded() -> None:
    signer = WindowSigner("http://localhost/b/", "id", "secret", "us-east-1", 60)
    urls = [signer.sign(f"key{number}", 0) for number in range(KEPT_URL_COUNT + 5)]
    assert signer._window.sign.cache_info().currsize == KEPT_URL_COUNT
    assert urls == [signer.sign(f"key{number}", 0) for number in range(KEPT_URL_COUNT + 5)]


def test_signing_needs_no_network_and_no_client() -> None:
    store = make_store()
    store.make_presigned_url("one")
    assert store._client_of_process is None


# --- Settings -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"bucket": ""}, "bucket"),
        ({"access_key_id": ""}, "access key"),
        ({"secret_access_key": ""}, "secret"),
        ({"endpoint_url": "localhost:9000"}, "http://"),
        ({"public_endpoint_url": "ftp://example.org"}, "http://"),
        ({"endpoint_url": "https://me:pw@example.org"}, "password"),
        ({"endpoint_url": "https://example.org?x=1"}, "user"),
        ({"presign_window_seconds": 0}, "7 days"),
        ({"presign_window_seconds": 302_401}, "7 days"),
    ],
)
def test_an_invalid_setting_is_named(changes: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words) as caught:
        make_store(**changes)
    assert SECRET_ACCESS_KEY not in str(caught.value)


def test_the_secret_is_not_in_repr() -> None:
    store = make_store()
    store.make_presigned_url("one")
    assert SECRET_ACCESS_KEY not in repr(store)
    assert SECRET_ACCESS_KEY not in str(store)
    assert SECRET_ACCESS_KEY not in repr(store._signer)


def test_the_secret_is_not_logged(store: ObjectStore, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    store.put_object("one", b"1", "image/webp")
    store.check()
    assert not any(secret in caplog.text for secret in SECRETS)


# --- Requests -------------------------------------------------------------------------------------


def test_an_upload_sends_content_type_and_cache_control(relayed: S3Store, relay: Relay) -> None:
    relayed.put_object("one", b"bytes", "image/webp")
    headers = relay.seen[0].headers
    assert headers["content-type"] == "image/webp"
    assert headers["cache-control"] == "public, max-age=31536000, immutable"


def test_bytes_corrupted_in_transit_are_not_stored(relayed: S3Store, relay: Relay) -> None:
    relay.decide = lambda request: (
        Seen(request.method, request.path, request.headers, b"other")
        if request.method == "PUT"
        else None
    )
    with pytest.raises(ServiceError):
        relayed.put_object("one", b"bytes", "image/webp")
    relay.decide = lambda request: None
    assert relayed.find_object("one") is None


def test_connections_are_kept_alive(s3_server: S3Server) -> None:
    store = s3_server.make_store()
    store.create_bucket()
    for number in range(10):
        store.put_object(f"key{number}", b"1", "image/webp")
    pool = store._get_client()._endpoint.http_session._manager.connection_from_url(  # type: ignore[attr-defined]
        s3_server.endpoint_url
    )
    assert pool.num_connections == 1


def test_batches_are_deleted_with_content_md5_and_without_newer_checksums(
    relayed: S3Store, relay: Relay
) -> None:
    relayed.delete_objects(["one", "two"])
    request = relay.seen[0]
    assert request.method == "POST"
    digest = base64.b64encode(hashlib.md5(request.body).digest()).decode()
    assert request.headers["content-md5"] == digest
    assert "content-md5" in request.headers["authorization"]
    assert not any("checksum" in name for name in request.headers)


def test_a_request_deletes_some_hundred_keys(relayed: S3Store, relay: Relay) -> None:
    relayed.delete_objects(f"none/{number}" for number in range(501))
    assert [request.body.count(b"<Key>") for request in relay.seen] == [250, 250, 1]


@pytest.mark.parametrize(
    "answer",
    [
        refuse("NotImplemented", 501),
        refuse("MethodNotAllowed", 405),
        refuse("MalformedXML"),
        refuse("InvalidArgument"),
        refuse("MissingContentMD5"),
    ],
    ids=lambda answer: answer.body.split(b"Code>")[1].decode(),
)
def test_objects_are_deleted_one_by_one_if_batches_are_refused(
    relayed: S3Store, relay: Relay, answer: Answer
) -> None:
    keys = ["one", "two/three", "four"]
    for key in keys:
        relayed.put_object(key, b"1", "image/webp")
    relay.decide = lambda request: answer if request.method == "POST" else None
    relayed.delete_objects([*keys, "none"])
    assert list(relayed.iter_objects()) == []


def make_delete_answer(*codes: str) -> Answer:
    errors = "".join(f"<Error><Key>k</Key><Code>{code}</Code></Error>" for code in codes)
    return Answer(200, f"<DeleteResult>{errors}</DeleteResult>".encode())


def test_an_undeletable_key_is_an_error(relayed: S3Store, relay: Relay) -> None:
    relay.decide = lambda request: make_delete_answer("NoSuchKey", "AccessDenied")
    with pytest.raises(ServiceRefusedError) as caught:
        relayed.delete_objects(["one", "two", "three"])
    assert caught.value.reason == "access_denied"
    assert str(caught.value) == "1 of 3 objects could not be deleted (AccessDenied)."


def test_a_key_that_is_temporarily_undeletable_can_be_retried(
    relayed: S3Store, relay: Relay
) -> None:
    relay.decide = lambda request: make_delete_answer("AccessDenied", "InternalError")
    with pytest.raises(ServiceBusyError):
        relayed.delete_objects(["one", "two"])
    relay.decide = lambda request: make_delete_answer("NoSuchKey")
    relayed.delete_objects(["one"])


# --- The bucket -----------------------------------------------------------------------------------


def test_a_missing_bucket_is_named(s3_server: S3Server) -> None:
    store = s3_server.make_store(bucket="not-there")
    actions: list[Callable[[], object]] = [
        lambda: store.put_object("one", b"1", "image/webp"),
        lambda: store.get_object("one"),
        lambda: list(store.iter_objects()),
        lambda: store.delete_objects(["one"]),
        store.check,
    ]
    for act in actions:
        with pytest.raises(ServiceRefusedError) as caught:
            act()
        assert caught.value.reason == "no_bucket"
        assert str(caught.value) == "The bucket “not-there” does not exist."


def test_a_bucket_that_may_not_be_created_is_explained(s3_server: S3Server, relay: Relay) -> None:
    relay.decide = lambda request: refuse("AccessDenied", 403) if request.method == "PUT" else None
    with pytest.raises(ServiceRefusedError, match="Create it yourself") as caught:
        s3_server.make_store(endpoint_url=relay.url).create_bucket()
    assert caught.value.reason == "no_bucket"
    assert_plain(caught.value)


def test_a_bucket_of_somebody_else_is_explained(s3_server: S3Server, relay: Relay) -> None:
    answers = iter(
        [
            refuse("NoSuchBucket", 404),
            refuse("BucketAlreadyExists", 409),
            refuse("AccessDenied", 403),
        ]
    )
    relay.decide = lambda request: next(answers)
    with pytest.raises(ServiceRefusedError, match="someone else") as caught:
        s3_server.make_store(endpoint_url=relay.url).create_bucket()
    assert caught.value.reason == "name_taken"


def test_a_bucket_just_created_by_another_process_is_used(
    s3_server: S3Server, relay: Relay
) -> None:
    answers = iter([refuse("NoSuchBucket", 404), refuse("BucketAlreadyOwnedByYou", 409)])
    store = s3_server.make_store()
    store.create_bucket()
    relay.decide = lambda request: next(answers, None)
    s3_server.make_store(endpoint_url=relay.url, bucket=store._bucket).create_bucket()
    assert len(relay.seen) == 3


@pytest.mark.parametrize(
    ("region", "constraints"),
    [("us-east-1", [b""]), ("auto", [b""]), ("eu-west-3", [b"eu-west-3", b""])],
)
def test_the_region_is_sent_if_required_and_omitted_if_refused(
    s3_server: S3Server, relay: Relay, region: str, constraints: list[bytes]
) -> None:
    """The relay acts like Ceph with one zone group, which refuses any constraint."""
    seen: list[bytes] = []

    def decide(request: Seen) -> Answer | None:
        if request.method != "PUT":
            return refuse("NoSuchBucket", 404)
        found = re.search(rb"<LocationConstraint>(.*)</LocationConstraint>", request.body)
        seen.append(found[1] if found else b"")
        return refuse("InvalidLocationConstraint") if found else Answer(200)

    relay.decide = decide
    s3_server.make_store(endpoint_url=relay.url, region=region).create_bucket()
    assert seen == constraints


def test_an_invalid_bucket_name_is_explained(s3_server: S3Server) -> None:
    for bucket in ("ab", "Über"):
        with pytest.raises(ServiceRefusedError) as caught:
            s3_server.make_store(bucket=bucket).create_bucket()
        assert caught.value.reason == "bad_bucket_name"
        assert_plain(caught.value)


# --- Errors ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes", [{"secret_access_key": "wrong-secret"}, {"access_key_id": "somebody"}]
)
def test_wrong_keys_are_distinguished_from_other_errors(
    s3_server: S3Server, changes: dict[str, str]
) -> None:
    store = s3_server.make_store(**changes)
    for act in (store.create_bucket, store.check):
        with pytest.raises(ServiceRefusedError) as caught:
            act()
        assert caught.value.reason == "wrong_credentials"
        assert caught.value.service == "object storage"
        assert_plain(caught.value)


@pytest.mark.parametrize(("minutes", "side"), [(-62, "ahead of"), (62, "behind")])
def test_a_wrong_clock_is_distinguished_from_wrong_keys(
    relayed: S3Store, relay: Relay, monkeypatch: pytest.MonkeyPatch, minutes: int, side: str
) -> None:
    """The relay simulates a moved server clock in signatures and answers."""
    away = timedelta(minutes=minutes)

    def say_moved_date(request: Seen) -> Answer:
        answer = relay.forward(request)
        date = parsedate_to_datetime(answer.headers["Date"]) + away
        return replace(answer, headers={**answer.headers, "Date": format_datetime(date, True)})

    relay.decide = say_moved_date
    FixedClock(monkeypatch).now = datetime.now(UTC) - away
    with pytest.raises(ServiceRefusedError) as caught:
        relayed.put_object("one", b"1", "image/webp")
    assert caught.value.reason == "clock_skew"
    assert f"about 62 minutes {side}" in str(caught.value)
    assert_plain(caught.value)


def test_a_clock_that_is_nearly_too_wrong_fails_the_health_check(
    relayed: S3Store, relay: Relay
) -> None:
    late = format_datetime(datetime.now(UTC) + timedelta(minutes=12), usegmt=True)

    def decide(request: Seen) -> Answer | None:
        if request.method != "HEAD":
            return None
        return Answer(200, b"", {"Date": late, "Content-Length": "64", "Last-Modified": late})

    relay.decide = decide
    with pytest.raises(ServiceRefusedError, match="12 minutes") as caught:
        relayed.check()
    assert caught.value.reason == "clock_skew"
    relay.decide = lambda request: None
    assert list(relayed.iter_objects()) == []


def test_an_unreachable_server_can_be_retried(s3_server: S3Server) -> None:
    address = f"http://127.0.0.1:{get_free_port()}"
    store = s3_server.make_store(endpoint_url=address)
    with pytest.raises(ServiceBusyError, match=address) as caught:
        store.get_object("one")
    assert_plain(caught.value)


def test_a_server_that_never_answers_times_out(s3_server: S3Server) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        store = s3_server.make_store(
            endpoint_url=f"http://127.0.0.1:{silent.getsockname()[1]}", read_timeout_seconds=0.1
        )
        with pytest.raises(ServiceBusyError) as caught:
            store.get_object("one")
    assert_plain(caught.value)


@pytest.fixture
def untrusted_url(tmp_path: Path) -> Iterator[str]:
    """Run a TLS server with an untrusted certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(make_certificate(tmp_path))
    with socketserver.TCPServer(("127.0.0.1", 0), socketserver.BaseRequestHandler) as server:
        server.handle_error = lambda request, address: None  # type: ignore[method-assign]
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield f"https://localhost:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def test_an_untrusted_certificate_is_reported(s3_server: S3Server, untrusted_url: str) -> None:
    with pytest.raises(ServiceRefusedError, match="certificate") as caught:
        s3_server.make_store(endpoint_url=untrusted_url).create_bucket()
    assert caught.value.reason == "bad_certificate"
    assert_plain(caught.value)


def test_an_untrusted_certificate_of_the_public_endpoint_is_reported(
    s3_server: S3Server, untrusted_url: str
) -> None:
    error = check_public(s3_server, untrusted_url)
    assert isinstance(error, ServiceRefusedError)
    assert error.reason == "public_endpoint"
    assert "certificate" in str(error)


@pytest.mark.parametrize(
    "answer",
    [
        Answer(200, b"<html><p>Welcome!</p></html>", {"Content-Type": "text/html"}),
        Answer(404, b"<html><p>Not found", {"Content-Type": "text/html"}),
        Answer(400, b"Bad request"),
    ],
    ids=["page", "not found", "bad request"],
)
def test_a_server_that_is_not_s3_is_reported(
    s3_server: S3Server, relay: Relay, answer: Answer
) -> None:
    relay.decide = lambda request: answer
    with pytest.raises(ServiceRefusedError, match="does not speak S3") as caught:
        s3_server.make_store(endpoint_url=relay.url).create_bucket()
    assert caught.value.reason == "bad_answer"
    assert_plain(caught.value)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (refuse("AccessDenied", 403), "access_denied"),
        (refuse("AuthorizationHeaderMalformed"), "wrong_region"),
        (refuse("RequestTimeTooSkewed", 403), "clock_skew"),
        (refuse("XMinioStorageFull", 507), "quota_full"),
        (refuse("QuotaExceeded", 403), "quota_full"),
        (refuse("SomethingNew", 403), "access_denied"),
        (refuse("SomethingNew", 401), "wrong_credentials"),
        (refuse("SomethingNew", 400), "bad_answer"),
    ],
)
def test_permanent_refusals_have_a_reason_and_are_not_retried(
    relayed: S3Store, relay: Relay, answer: Answer, reason: str
) -> None:
    relay.decide = lambda request: answer
    with pytest.raises(ServiceRefusedError) as caught:
        relayed.put_object("one", b"1", "image/webp")
    assert caught.value.reason == reason
    assert_plain(caught.value)
    assert len(relay.seen) <= (4 if answer.status >= 500 else 1)


@pytest.mark.parametrize(
    "answer",
    [refuse("SlowDown", 503), refuse("InternalError", 500), Answer(502, b"<html>Bad gateway")],
    ids=["slow down", "internal", "gateway"],
)
def test_a_transient_fault_is_retried_automatically(
    relayed: S3Store, relay: Relay, answer: Answer
) -> None:
    answers = iter([answer])
    relay.decide = lambda request: next(answers, None)
    relayed.put_object("one", b"1", "image/webp")
    assert len(relay.seen) == 2


def test_a_busy_server_is_reported_with_its_retry_after(
    relayed: S3Store, relay: Relay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "sleep", lambda seconds: None)  # botocore's pauses between attempts
    relay.decide = lambda request: refuse("SlowDown", 503, Retry_After="7")
    with pytest.raises(ServiceBusyError) as caught:
        relayed.put_object("one", b"1", "image/webp")
    assert caught.value.retry_after_seconds == 7
    assert len(relay.seen) == 4


def test_a_truncated_answer_is_read_again(relayed: S3Store, relay: Relay) -> None:
    relayed.put_object("one", b"all of it", "image/webp")
    answers = iter([Answer(200, b"all of it", cut_after=3)])
    relay.decide = lambda request: next(answers, None)
    assert relayed.get_object("one") == b"all of it"


def test_an_answer_that_is_always_truncated_is_an_error(relayed: S3Store, relay: Relay) -> None:
    relay.decide = lambda request: Answer(200, b"all of it", cut_after=3)
    with pytest.raises(ServiceBusyError) as caught:
        relayed.get_object("one")
    assert_plain(caught.value)


# --- The health check and the public endpoint -----------------------------------------------------


def check_public(s3_server: S3Server, public_endpoint_url: str) -> ServiceError:
    store = s3_server.make_store(public_endpoint_url=public_endpoint_url)
    store.create_bucket()
    with pytest.raises(ServiceError) as caught:
        store.check()
    assert public_endpoint_url in str(caught.value)
    assert "public" in str(caught.value)
    assert_plain(caught.value)
    assert list(store.iter_objects()) == []
    return caught.value


def test_a_proxy_that_preserves_the_host_passes_the_check(
    s3_server: S3Server, relay: Relay
) -> None:
    store = s3_server.make_store(public_endpoint_url=relay.url)
    store.create_bucket()
    store.check()
    assert [request.method for request in relay.seen] == ["GET"]


def test_a_proxy_may_have_the_embedded_server_below_a_path(
    s3_server: S3Server, relay: Relay
) -> None:
    """rclone is at the root of its address, so the proxy removes the path before it is checked."""

    def remove_path(request: Seen) -> Seen:
        assert request.path.startswith("/art/pictures/")
        return replace(request, path=request.path.removeprefix("/art/pictures"))

    relay.decide = remove_path
    public_url = f"{relay.url}/art/pictures"
    store = s3_server.make_store(public_endpoint_url=public_url, is_public_path_removed=True)
    store.create_bucket()
    store.check()
    assert [request.method for request in relay.seen] == ["GET"]


def test_a_proxy_that_changes_the_host_is_reported(s3_server: S3Server, relay: Relay) -> None:
    def change_host(request: Seen) -> Seen:
        headers = {**request.headers, "host": relay.server}
        return Seen(request.method, request.path, headers, request.body)

    relay.decide = change_host
    error = check_public(s3_server, relay.url)
    assert isinstance(error, ServiceRefusedError)
    assert error.reason == "public_endpoint"
    assert "Host header unchanged" in str(error)


def test_an_unreachable_public_endpoint_is_reported(s3_server: S3Server) -> None:
    error = check_public(s3_server, f"http://127.0.0.1:{get_free_port()}")
    assert isinstance(error, ServiceBusyError)
    assert "cannot be reached" in str(error)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (Answer(200, b"<html>A website"), "does not lead to the bucket"),
        (refuse("NoSuchKey", 404), "does not lead to the bucket"),
        (refuse("NoSuchBucket", 404), "does not lead to the bucket"),
        (Answer(404, b"<html>Not found"), "does not lead to the bucket"),
        (Answer(301, b"", {"Location": "https://example.org/"}), "redirects"),
        (refuse("AccessDenied", 403), "refuses a presigned address"),
    ],
)
def test_a_public_endpoint_of_another_server_is_reported(
    s3_server: S3Server, relay: Relay, answer: Answer, words: str
) -> None:
    relay.decide = lambda request: answer
    error = check_public(s3_server, relay.url)
    assert isinstance(error, ServiceRefusedError)
    assert error.reason == "public_endpoint"
    assert words in str(error)


def test_a_busy_public_endpoint_can_be_retried(s3_server: S3Server, relay: Relay) -> None:
    relay.decide = lambda request: Answer(503, b"<html>Soon back")
    assert isinstance(check_public(s3_server, relay.url), ServiceBusyError)


def test_a_netrc_file_does_not_break_the_check(
    store: S3Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password something\n")
    monkeypatch.setenv("NETRC", str(netrc))
    store.check()


def test_bytes_that_differ_from_those_stored_fail_the_check(relayed: S3Store, relay: Relay) -> None:
    relay.decide = lambda request: Answer(200, b"other") if request.method == "GET" else None
    with pytest.raises(ServiceRefusedError, match="did not return the content") as caught:
        relayed.check()
    assert caught.value.reason == "bad_answer"


# --- Scripts of web pages -------------------------------------------------------------------------


@dataclass
class CorsServer:
    """Decides for a relay: keeps CORS rules as Amazon does, none at first."""

    relay: Relay
    rules: bytes = b""
    refuses: bool = False

    def decide(self, request: Seen) -> Answer | None:
        query = request.path.partition("?")[2]
        if query == "cors" and request.method == "PUT":
            if self.refuses:
                return refuse("AccessDenied", 403)
            self.rules = request.body
            return Answer(200)
        if query == "cors":
            return Answer(200, self.rules) if self.rules else refuse("NoSuchCORSConfiguration", 404)
        answer = self.relay.forward(request)
        if not self.rules:
            headers = {k: v for k, v in answer.headers.items() if "access-control" not in k.lower()}
            return replace(answer, headers=headers)
        return answer


def test_a_new_bucket_lets_all_pages_read(s3_server: S3Server, relay: Relay) -> None:
    server = CorsServer(relay)
    relay.decide = server.decide
    store = s3_server.make_store(endpoint_url=relay.url)
    store.create_bucket()
    assert b"<AllowedOrigin>*</AllowedOrigin>" in server.rules
    assert re.findall(rb"<AllowedMethod>(\w+)<", server.rules) == [b"GET", b"HEAD"]
    assert store.check() is True


def test_the_check_sets_a_rule_where_there_is_none(relayed: S3Store, relay: Relay) -> None:
    server = CorsServer(relay)
    relay.decide = server.decide
    assert relayed.check() is True
    assert server.rules
    kept = server.rules = b"<CORSConfiguration><CORSRule></CORSRule></CORSConfiguration>"
    relayed.check()
    assert server.rules == kept, "rules of the owner"


def test_without_rules_the_storage_works_but_not_for_scripts(
    relayed: S3Store, relay: Relay
) -> None:
    server = CorsServer(relay, refuses=True)
    relay.decide = server.decide
    assert relayed.check() is False
    relayed.create_bucket()
    relayed.put_object("one", b"bytes", "image/webp")
    assert relayed.get_object("one") == b"bytes"
