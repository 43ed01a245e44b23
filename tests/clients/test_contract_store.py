"""The contract of an object store, on each available S3 server."""

import hashlib
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import pytest
import requests

from imagehub.clients import ObjectStore
from imagehub.clients.s3 import S3Store
from imagehub.errors import NotFoundError
from tests.fixtures.s3 import S3Server

DAY = timedelta(days=1)


def make_key(data: bytes) -> str:
    digest = hashlib.sha256(data).hexdigest()
    return f"renditions/{digest[:2]}/{digest[2:4]}/{digest}.webp"


def fetch(url: str, method: str = "GET", data: bytes | None = None) -> requests.Response:
    return requests.request(method, url, data=data, timeout=20)


def test_a_stored_object_is_returned_unchanged(s3_store: ObjectStore) -> None:
    data = bytes(range(256)) * 500
    s3_store.put_object(make_key(data), data, "image/webp")
    assert s3_store.get_object(make_key(data)) == data


def test_an_empty_object_can_be_stored(s3_store: ObjectStore) -> None:
    s3_store.put_object("renditions/empty", b"", "image/webp")
    assert s3_store.get_object("renditions/empty") == b""


def test_storing_again_overwrites(s3_store: ObjectStore) -> None:
    s3_store.put_object("renditions/one", b"first", "image/webp")
    s3_store.put_object("renditions/one", b"the second", "image/avif")
    assert s3_store.get_object("renditions/one") == b"the second"
    found = s3_store.find_object("renditions/one")
    assert found is not None
    assert (found.size_bytes, found.content_type) == (10, "image/avif")


def test_object_metadata_is_found_without_its_bytes(s3_store: ObjectStore) -> None:
    s3_store.put_object("renditions/one.webp", b"12345", "image/webp")
    found = s3_store.find_object("renditions/one.webp")
    assert found is not None
    assert (found.key, found.size_bytes, found.content_type) == (
        "renditions/one.webp",
        5,
        "image/webp",
    )


def test_finding_a_missing_object_gives_none_and_getting_it_fails(s3_store: ObjectStore) -> None:
    assert s3_store.find_object("renditions/none") is None
    with pytest.raises(NotFoundError) as caught:
        s3_store.get_object("renditions/none")
    assert (caught.value.kind, caught.value.key) == ("object", "renditions/none")


def test_a_prefix_of_a_key_is_not_an_object(s3_store: ObjectStore) -> None:
    s3_store.put_object("renditions/ab/cd/one.webp", b"1", "image/webp")
    assert s3_store.find_object("renditions/ab") is None
    with pytest.raises(NotFoundError):
        s3_store.get_object("renditions/ab")


@pytest.mark.parametrize(
    "key",
    [
        "renditions/with space.webp",
        "renditions/a+b=c&d.webp",
        "renditions/100%25.webp",
        "renditions/(1)!*'.webp",
        "renditions/Ä/日本.webp",
        "renditions/semi;colon@at,comma$.webp",
        "renditions/~tilde-_.webp",
    ],
)
def test_any_key_can_be_stored_listed_fetched_by_a_browser_and_deleted(
    s3_store: ObjectStore, key: str
) -> None:
    s3_store.put_object(key, b"data", "image/webp")
    assert s3_store.get_object(key) == b"data"
    assert [item.key for item in s3_store.iter_objects()] == [key]
    assert fetch(s3_store.make_presigned_url(key)).content == b"data"
    s3_store.delete_objects([key])
    assert s3_store.find_object(key) is None


@pytest.mark.parametrize("key", ["", "/a", "a/", "a//b", "a/../b", "./a", ".."])
def test_a_key_that_servers_and_browsers_read_differently_is_refused(
    s3_store: ObjectStore, key: str
) -> None:
    attempts: list[Callable[[], object]] = [
        lambda: s3_store.put_object(key, b"", "image/webp"),
        lambda: s3_store.get_object(key),
        lambda: s3_store.find_object(key),
        lambda: s3_store.delete_objects([key]),
        lambda: s3_store.make_presigned_url(key),
    ]
    for attempt in attempts:
        with pytest.raises(ValueError, match="key"):
            attempt()


def test_creating_the_bucket_again_changes_nothing(s3_store: ObjectStore) -> None:
    s3_store.put_object("renditions/one", b"1", "image/webp")
    s3_store.create_bucket()
    assert s3_store.get_object("renditions/one") == b"1"


def test_several_processes_may_create_the_bucket_at_once(any_s3_server: S3Server) -> None:
    bucket = any_s3_server.make_store()._bucket
    stores = [any_s3_server.make_store(bucket=bucket) for _ in range(6)]
    with ThreadPoolExecutor(6) as threads:
        list(threads.map(S3Store.create_bucket, stores))
    stores[0].put_object("renditions/one", b"1", "image/webp")
    assert stores[5].get_object("renditions/one") == b"1"
    stores[0].delete_objects(["renditions/one"])


def test_objects_are_listed_in_key_order_below_a_prefix(s3_store: ObjectStore) -> None:
    keys = ["r/B", "r/a/b", "r/a-b", "r/a.x", "r/ab", "r/é", "s/x", "q"]
    for key in keys:
        s3_store.put_object(key, key.encode(), "text/plain")
    listed = list(s3_store.iter_objects("r/"))
    assert [item.key for item in listed] == sorted(
        (key for key in keys if key.startswith("r/")), key=str.encode
    )
    assert [item.size_bytes for item in listed] == [len(item.key.encode()) for item in listed]
    assert [item.key for item in s3_store.iter_objects("r/a")] == [
        "r/a-b",
        "r/a.x",
        "r/a/b",
        "r/ab",
    ]
    assert list(s3_store.iter_objects("none/")) == []


def test_more_than_one_page_is_listed_and_deleted(s3_store: ObjectStore) -> None:
    keys = [f"renditions/{number % 7}/{number:04}" for number in range(1003)]
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda key: s3_store.put_object(key, b"x", "image/webp"), keys))
    assert [item.key for item in s3_store.iter_objects("renditions/")] == sorted(keys)
    s3_store.delete_objects(key for key in keys if key != keys[500])
    assert [item.key for item in s3_store.iter_objects()] == [keys[500]]


def test_deleting_a_missing_object_is_not_an_error(s3_store: ObjectStore) -> None:
    s3_store.put_object("renditions/one", b"1", "image/webp")
    s3_store.delete_objects(["renditions/none", "renditions/one", "no/such/folder/at/all"])
    s3_store.delete_objects([])
    assert list(s3_store.iter_objects()) == []


def test_threads_share_one_store(s3_store: ObjectStore) -> None:
    def store_and_read(number: int) -> bool:
        data = str(number).encode() * 1000
        s3_store.put_object(make_key(data), data, "image/webp")
        return s3_store.get_object(make_key(data)) == data

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(store_and_read, range(60)))


def test_the_same_picture_can_be_stored_concurrently(s3_store: ObjectStore) -> None:
    pictures = [str(number).encode() * 5000 for number in range(20)]

    def store_all(_: int) -> None:
        for data in pictures:
            s3_store.put_object(make_key(data), data, "image/webp")

    with ThreadPoolExecutor(2) as threads:
        list(threads.map(store_all, range(2)))
    assert [s3_store.get_object(make_key(data)) for data in pictures] == pictures


def test_storing_and_deleting_can_run_concurrently(s3_store: ObjectStore) -> None:
    def store_and_delete(number: int) -> None:
        data = str(number).encode() * 1000
        s3_store.put_object(make_key(data), data, "image/webp")
        if number % 2:
            s3_store.delete_objects([make_key(data)])

    with ThreadPoolExecutor(6) as threads:
        list(threads.map(store_and_delete, range(100)))
    kept = sorted(make_key(str(number).encode() * 1000) for number in range(0, 100, 2))
    assert [item.key for item in s3_store.iter_objects()] == kept


def test_a_forked_process_uses_its_own_connections(s3_store: ObjectStore) -> None:
    s3_store.put_object("renditions/one", b"parent", "image/webp")
    child = os.fork()
    if child == 0:
        status = 1
        try:
            for number in range(20):
                s3_store.put_object(f"renditions/child{number}", b"child", "image/webp")
            status = 0 if s3_store.get_object("renditions/one") == b"parent" else 1
        finally:
            os._exit(status)
    for _ in range(20):
        assert s3_store.get_object("renditions/one") == b"parent"
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert s3_store.get_object("renditions/child19") == b"child"


# --- Presigned addresses --------------------------------------------------------------------------


@pytest.fixture
def key(s3_store: ObjectStore) -> str:
    s3_store.put_object("renditions/ab/cd/one.webp", b"picture", "image/webp")
    return "renditions/ab/cd/one.webp"


def test_a_browser_gets_type_and_cache_lifetime(s3_store: ObjectStore, key: str) -> None:
    answer = fetch(s3_store.make_presigned_url(key))
    assert (answer.status_code, answer.content) == (200, b"picture")
    assert answer.headers["Content-Type"] == "image/webp"
    assert answer.headers["Cache-Control"] == "public, max-age=86400, immutable"


def test_an_address_made_at_the_end_of_a_window_lasts_another_window(
    s3_store: ObjectStore, key: str
) -> None:
    now = datetime.now(UTC)
    assert fetch(s3_store.make_presigned_url(key, now - DAY)).content == b"picture"


def test_an_expired_address_is_refused(s3_store: ObjectStore, key: str) -> None:
    answer = fetch(s3_store.make_presigned_url(key, datetime.now(UTC) - 2 * DAY))
    assert answer.status_code in (400, 403)
    assert b"picture" not in answer.content


def change_last_digit(url: str) -> str:
    return url[:-1] + ("0" if url[-1] != "0" else "1")


@pytest.mark.parametrize(
    "tamper",
    [
        change_last_digit,
        lambda url: url.replace("one.webp", "two.webp"),
        lambda url: url.replace("X-Amz-Expires=172800", "X-Amz-Expires=604800"),
        lambda url: url.replace("max-age%3D86400", "max-age%3D99999"),
        lambda url: url.replace("response-cache-control=", "response-content-type="),
        lambda url: url + "&response-content-type=text%2Fhtml",
        lambda url: url.partition("&X-Amz-Signature")[0],
        lambda url: url.partition("?")[0],
    ],
    ids=[
        "signature",
        "key",
        "longer life",
        "cache time",
        "parameter",
        "added parameter",
        "no signature",
        "anonymous",
    ],
)
def test_a_changed_address_is_refused(
    s3_store: ObjectStore, key: str, tamper: Callable[[str], str]
) -> None:
    s3_store.put_object("renditions/ab/cd/two.webp", b"picture", "image/webp")
    url = s3_store.make_presigned_url(key)
    assert tamper(url) != url
    answer = fetch(tamper(url))
    assert answer.status_code in (400, 403)
    assert b"picture" not in answer.content


def test_an_address_permits_only_reading(s3_store: ObjectStore, key: str) -> None:
    url = s3_store.make_presigned_url(key)
    assert fetch(url, "PUT", b"other").status_code in (400, 403)
    assert fetch(url, "DELETE").status_code in (400, 403)
    assert s3_store.get_object(key) == b"picture"


def test_strangers_may_not_list_the_bucket(s3_store: ObjectStore, key: str) -> None:
    parts = urlsplit(s3_store.make_presigned_url(key))
    bucket = parts.path.removesuffix(f"/{key}")
    for path in (bucket, "/"):
        answer = fetch(f"{parts.scheme}://{parts.netloc}{path}?list-type=2")
        # OpenStack Swift answers 404 and 412, as unsigned addresses belong to its own API.
        assert answer.status_code in (400, 403, 404, 412)
        assert key.encode() not in answer.content


def test_the_address_of_a_missing_object_gives_404(s3_store: ObjectStore) -> None:
    assert fetch(s3_store.make_presigned_url("renditions/none")).status_code == 404


def test_a_page_of_another_origin_may_read_the_bytes(s3_store: ObjectStore, key: str) -> None:
    answer = requests.get(
        s3_store.make_presigned_url(key),
        headers={"Origin": "https://gallery.example"},
        timeout=20,
    )
    assert answer.headers["Access-Control-Allow-Origin"] in ("*", "https://gallery.example")


def test_the_health_check_leaves_no_object(s3_store: ObjectStore) -> None:
    s3_store.check()
    assert list(s3_store.iter_objects()) == []
