"""Downloads from file servers that misbehave."""

import hashlib
import io
import logging
import random
from collections.abc import Callable, Iterator

import pytest

from imagehub.clients import DriveItem
from imagehub.clients.graph_bytes import ByteReader, QuickXorHash, Source, add_listing
from imagehub.errors import PictureTooLargeError, ServiceBusyError, ServiceRefusedError
from tests.clients.scripted import Answer, Asked, ScriptedServer, make_caller, run_scripted_server

DATA = random.Random(7).randbytes(700_001)


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with run_scripted_server() as script:
        yield script


@pytest.fixture
def reader(server: ScriptedServer) -> ByteReader:
    return ByteReader(make_caller(server))


def make_source(server: ScriptedServer, renew: Callable[[], str] | None = None) -> Source:
    def fail() -> str:
        raise AssertionError("a fresh address was not needed")

    return Source("download a file", server.url + "/bytes?tempauth=signature", renew or fail)


def copy(reader: ByteReader, source: Source, max_bytes: int = 10_000_000) -> bytes:
    target = io.BytesIO()
    result = reader.copy_source(source, target, max_bytes)
    data = target.getvalue()
    quick_xor = QuickXorHash()
    quick_xor.update(data)
    assert result.size_bytes == len(data)
    assert result.sha256 == hashlib.sha256(data).hexdigest()
    assert result.quick_xor_hash == quick_xor.base64()
    return data


def serve(stop: int = len(DATA), shift: int = 0, **headers: str) -> Callable[[Asked], Answer]:
    """Announce all bytes from the range's start, but drop the connection at ``stop``."""

    def answer(asked: Asked) -> Answer:
        wanted = asked.headers.get("range", "")
        start = int(wanted.removeprefix("bytes=").removesuffix("-") or 0) + shift
        promised = {"Content-Length": str(len(DATA) - start), **headers}
        if wanted:
            promised["Content-Range"] = f"bytes {start}-{len(DATA) - 1}/{len(DATA)}"
        return Answer(206 if wanted else 200, DATA[start : max(start, stop)], promised)

    return answer


def test_a_file_is_downloaded_whole_without_a_token(
    server: ScriptedServer, reader: ByteReader
) -> None:
    server.say("/bytes", Answer(200, DATA))
    assert copy(reader, make_source(server)) == DATA
    assert "authorization" not in server.asked[0].headers
    assert server.asked[0].headers["accept-encoding"] == "identity"


def test_a_dropped_connection_resumes_where_it_broke(
    server: ScriptedServer, reader: ByteReader
) -> None:
    server.say("/bytes", serve(400_000, ETag='"1"'), serve(ETag='"1"'))
    assert copy(reader, make_source(server)) == DATA
    start = int(server.asked[1].headers["range"].removeprefix("bytes=").removesuffix("-"))
    assert 0 < start <= 400_000
    assert server.asked[1].headers["if-range"] == '"1"'


def test_a_server_that_ignores_ranges_duplicates_no_bytes(
    server: ScriptedServer, reader: ByteReader
) -> None:
    server.say("/bytes", serve(400_000), Answer(200, DATA))
    assert copy(reader, make_source(server)) == DATA


def test_parts_of_different_versions_are_not_combined(
    server: ScriptedServer, reader: ByteReader
) -> None:
    server.say("/bytes", serve(400_000, ETag='"1"'), Answer(200, DATA[::-1], {"ETag": '"2"'}))
    with pytest.raises(ServiceBusyError, match="changed"):
        copy(reader, make_source(server))


def test_a_part_that_leaves_a_gap_is_refused(server: ScriptedServer, reader: ByteReader) -> None:
    server.say("/bytes", serve(400_000), serve(shift=1))
    with pytest.raises(ServiceRefusedError):
        copy(reader, make_source(server))


def test_a_connection_that_always_breaks_is_given_up(
    server: ScriptedServer, reader: ByteReader, caplog: pytest.LogCaptureFixture
) -> None:
    server.say("/bytes", serve(10))
    with caplog.at_level(logging.DEBUG), pytest.raises(ServiceBusyError) as caught:
        copy(reader, make_source(server))
    assert len(server.asked) == 6
    assert "signature" not in caplog.text
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_an_expired_address_is_renewed_once(
    server: ScriptedServer, reader: ByteReader, status: int
) -> None:
    server.say("/bytes", Answer(status))
    server.say("/fresh", Answer(200, DATA))
    assert copy(reader, make_source(server, lambda: server.url + "/fresh")) == DATA


def test_an_address_that_expires_midway_is_renewed(
    server: ScriptedServer, reader: ByteReader
) -> None:
    server.say("/bytes", serve(400_000), Answer(403))
    server.say("/fresh", serve())
    assert copy(reader, make_source(server, lambda: server.url + "/fresh")) == DATA


def test_an_address_that_expires_again_is_given_up(
    server: ScriptedServer, reader: ByteReader
) -> None:
    server.say("/bytes", Answer(404))
    with pytest.raises(ServiceBusyError):
        copy(reader, make_source(server, lambda: server.url + "/bytes"))
    assert len(server.asked) == 2


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_busy_file_server_is_retried(
    server: ScriptedServer, reader: ByteReader, status: int
) -> None:
    server.say(
        "/bytes",
        Answer(status, headers={"Retry-After": "0.05"}),
        Answer(hang_up=True),
        Answer(200, DATA),
    )
    assert copy(reader, make_source(server)) == DATA


def test_a_download_over_the_limit_is_aborted(server: ScriptedServer, reader: ByteReader) -> None:
    server.say("/bytes", Answer(200, DATA))
    with pytest.raises(PictureTooLargeError):
        copy(reader, make_source(server), max_bytes=len(DATA) - 1)


def test_redirects_are_followed_only_to_safe_addresses(
    server: ScriptedServer, reader: ByteReader
) -> None:
    server.say("/bytes", Answer(302, headers={"Location": "/moved"}))
    server.say("/moved", Answer(200, DATA))
    assert copy(reader, make_source(server)) == DATA
    server.say("/moved", Answer(302, headers={"Location": "http://169.254.169.254/latest"}))
    with pytest.raises(ServiceRefusedError):
        copy(reader, make_source(server))
    server.say("/moved", Answer(302, headers={"Location": "/bytes"}))
    with pytest.raises(ServiceRefusedError, match="endlessly"):
        copy(reader, make_source(server))


@pytest.mark.parametrize(
    "url", ["", None, 5, "/relative", "file:///etc/passwd", "http://10.0.0.1/x", "ftp://a/b"]
)
def test_an_unsafe_address_is_refused(server: ScriptedServer, url: object) -> None:
    with pytest.raises(ServiceRefusedError) as caught:
        make_caller(server).check_content_url(url, "read")
    assert caught.value.reason == "bad_answer"


def test_any_https_address_may_be_opened(server: ScriptedServer) -> None:
    url = "https://public.am.files.1drv.com/y4m"
    assert make_caller(server).check_content_url(url, "read") == url


def test_an_infected_file_is_distinguished(server: ScriptedServer, reader: ByteReader) -> None:
    server.say("/bytes", Answer(403, headers={"X-Virus-Infected": "Eicar"}))
    with pytest.raises(ServiceRefusedError) as caught:
        copy(reader, make_source(server))
    assert caught.value.reason == "malware"


def test_stopping_early_closes_the_connection(server: ScriptedServer, reader: ByteReader) -> None:
    def answer(asked: Asked) -> Answer:
        return Answer(200, DATA)

    server.say("/bytes", answer)
    source = make_source(server)
    response = reader.open_source(source)
    chunks = reader.iter_source(source, response, 1000)
    assert next(chunks) == DATA[:1000]
    chunks.close()
    assert response.raw.closed


def test_a_thumbnail_that_is_too_large_is_refused(
    server: ScriptedServer, reader: ByteReader
) -> None:
    server.say("/bytes", Answer(200, DATA, {"Content-Type": "image/jpeg"}))
    url = server.url + "/bytes"
    assert reader.read_small(url, len(DATA), "read") == (DATA, "image/jpeg")
    with pytest.raises(ServiceRefusedError):
        reader.read_small(url, len(DATA) - 1, "read")


@pytest.mark.parametrize(
    ("name", "mime_type", "listed_bytes", "listed_hash", "expected"),
    [
        ("a.jpg", "image/jpeg", 11, "aCgDG9jwBhDc4Q1yawMZAAAAAAA=", True),
        ("a.jpg", "image/jpeg", 11, "", True),
        ("a.jpg", "image/jpeg", 12, "", False),
        ("a.jpg", "image/jpeg", 11, "AAAAAAAAAAAAAAAAAAAAAAAAAAA=", False),
        ("a.HEIC", "", 9_000_000, "AAAAAAAAAAAAAAAAAAAAAAAAAAA=", True),
        ("live", "image/heif", 9_000_000, "", True),
    ],
)
def test_size_and_hash_must_match_except_for_live_photos(
    server: ScriptedServer,
    reader: ByteReader,
    name: str,
    mime_type: str,
    listed_bytes: int,
    listed_hash: str,
    expected: bool,
) -> None:
    server.say("/bytes", Answer(200, b"hello world"))
    result = reader.copy_source(make_source(server), io.BytesIO(), 100)
    item = DriveItem(
        "1", name, False, listed_bytes, "", "", mime_type=mime_type, quick_xor_hash=listed_hash
    )
    assert add_listing(result, item).is_as_listed is expected
