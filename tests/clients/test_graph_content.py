"""Parts of one original, always of the same version."""

import random
from collections.abc import Callable, Iterator

import pytest

from imagehub.clients import DriveItem
from imagehub.clients.graph_bytes import ByteReader, Source
from imagehub.clients.graph_content import GraphContent
from imagehub.errors import ServiceBusyError
from tests.clients.scripted import Answer, Asked, ScriptedServer, make_caller, run_scripted_server

DATA = random.Random(8).randbytes(300_001)
ITEM = DriveItem("1", "a.jpg", False, len(DATA), "", "")


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with run_scripted_server() as script:
        yield script


@pytest.fixture
def content(server: ScriptedServer) -> GraphContent:
    source = Source("open a file", server.url + "/bytes", lambda: server.url + "/bytes")
    return GraphContent(ITEM, ByteReader(make_caller(server)), source)


def serve(data: bytes = DATA, **headers: str) -> Callable[[Asked], Answer]:
    """Answer with the range that is asked for."""

    def answer(asked: Asked) -> Answer:
        wanted = asked.headers.get("range")
        if wanted is None:
            return Answer(200, data, headers)
        first, _, last = wanted.removeprefix("bytes=").partition("-")
        start, end = int(first), min(len(data), int(last or len(data)) + 1)
        content_range = {"Content-Range": f"bytes {start}-{end - 1}/{len(data)}"}
        return Answer(206, data[start:end], {**content_range, **headers})

    return answer


def test_parts_are_read_without_the_rest(server: ScriptedServer, content: GraphContent) -> None:
    server.say("/bytes", serve(ETag='"1"'))
    assert content.fetch_size() == len(DATA)
    assert content.read(10, 90) == DATA[10:100]
    assert len(server.asked) == 1, "the head came with the size"
    assert content.read(200_000, 5) == DATA[200_000:200_005]
    assert server.asked[1].headers["range"] == "bytes=200000-200004"
    assert b"".join(content.iter_bytes(299_000)) == DATA[299_000:]
    assert b"".join(content.iter_bytes()) == DATA


def test_a_server_that_ignores_ranges_sends_no_byte_too_many(
    server: ScriptedServer, content: GraphContent
) -> None:
    server.say("/bytes", Answer(200, DATA))
    assert content.fetch_size() == len(DATA)
    assert content.read(70_000, 5) == DATA[70_000:70_005]
    assert b"".join(content.iter_bytes(100_000, 100_003)) == DATA[100_000:100_003]


@pytest.mark.parametrize(
    "other", [serve(ETag='"2"'), serve(DATA + b"x", ETag='"1"'), serve(DATA[:-1])]
)
def test_parts_of_another_version_are_refused(
    server: ScriptedServer, content: GraphContent, other: Callable[[Asked], Answer]
) -> None:
    server.say("/bytes", serve(ETag='"1"'), other)
    content.fetch_size()
    with pytest.raises(ServiceBusyError, match="changed"):
        content.read(200_000, 5)
    with pytest.raises(ServiceBusyError, match="changed"):
        content.iter_bytes()


def test_an_empty_file_has_no_parts(server: ScriptedServer, content: GraphContent) -> None:
    server.say("/bytes", Answer(416, b"no", {"Content-Range": "bytes */0"}), Answer(200, b""))
    assert content.fetch_size() == 0
    assert b"".join(content.iter_bytes()) == b""
