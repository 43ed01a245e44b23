"""Pins, marks and deletions of stored objects, on both databases with a real S3 server."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta

import pytest
from sqlalchemy import Engine, create_engine, select, update
from sqlalchemy.orm import Session

from imagehub.clients import Clients
from imagehub.clients.s3 import S3Store
from imagehub.database import make_engine_options, now_utc
from imagehub.domain.library import groups, images
from imagehub.domain.objects import bookkeeping
from imagehub.errors import ServiceBusyError
from imagehub.models import DriveAccount, Group, Image, Rendition, StoredObject
from tests.fixtures.database import create_tables
from tests.fixtures.s3 import S3Server


def make_key(number: int) -> str:
    return f"renditions/00/{number:02x}/{number:064x}.webp"


@dataclass
class Books:
    """A database and a bucket."""

    engine: Engine
    session: Session
    clients: Clients
    store: S3Store

    def put(self, *numbers: int) -> list[str]:
        """Objects with their rows, as if an import had pinned, written and not yet used them."""
        keys = [make_key(n) for n in numbers]
        bookkeeping.pin_keys(self.session, keys)
        for key in keys:
            self.store.put_object(key, b"x" * 10, "image/webp")
        return keys

    def add_image(self, *numbers: int, group_id: int = 1) -> int:
        """An image that uses these objects; its id."""
        keys = [make_key(n) for n in numbers]
        until, _ = bookkeeping.pin_keys(self.session, keys)
        for key in keys:
            self.store.put_object(key, b"x" * 10, "image/webp")
        group = self.session.get(Group, group_id)
        if group is None:
            self.session.add(Group(id=group_id, title="G", sort_key=1 << 50))
            self.session.flush()
        count = len(self.session.scalars(select(Image.id).where(Image.group_id == group_id)).all())
        image = Image(
            group_id=group_id,
            number=count + 1,
            position=count + 1,
            name="x",
            drive_account_id=1,
            drive_item_id=f"{group_id}-{count}",
        )
        self.session.add(image)
        self.session.flush()
        bookkeeping.use_keys(self.session, dict.fromkeys(keys, 10), until)
        for n, key in enumerate(keys):
            self.session.add(
                Rendition(
                    image_id=image.id,
                    size_px=480 + n,
                    width_px=1,
                    height_px=1,
                    size_bytes=10,
                    object_key=key,
                )
            )
        groups.refresh_group(self.session, group_id)
        image_id = image.id
        self.session.commit()
        return image_id

    def unpin(self) -> None:
        self.session.execute(update(StoredObject).values(pinned_until=None))
        self.session.commit()

    def list_rows(self) -> list[str]:
        self.session.rollback()
        return list(self.session.scalars(select(StoredObject.key).order_by(StoredObject.key)))

    def list_objects(self) -> list[str]:
        return [item.key for item in self.store.iter_objects()]


def refuse(account_id: int) -> object:
    raise AssertionError("no drive is needed here")


@pytest.fixture
def make_books(store: S3Store) -> Iterator[Callable[[str], Books]]:
    engines = []

    def make(url: str) -> Books:
        engine = create_engine(url, **make_engine_options(url))
        engines.append(engine)
        create_tables(engine)
        session = Session(engine, expire_on_commit=False)
        session.add(DriveAccount(home_account_id="a", token_cache=b"-"))
        session.commit()
        clients = Clients(store, None, refuse, refuse, None)  # type: ignore[arg-type]
        return Books(engine, session, clients, store)

    yield make
    for engine in engines:
        engine.dispose()


@pytest.fixture
def books(make_books: Callable[[str], Books], sqlite_url: str) -> Iterator[Books]:
    made = make_books(sqlite_url)
    yield made
    made.session.close()


@pytest.fixture
def either_books(make_books: Callable[[str], Books], database_url: str) -> Iterator[Books]:
    made = make_books(database_url)
    yield made
    made.session.close()


def test_a_used_key_is_reported_as_stored(books: Books) -> None:
    _, stored = bookkeeping.pin_keys(books.session, [make_key(1), make_key(2)])
    assert stored == frozenset()
    books.add_image(1)
    _, stored = bookkeeping.pin_keys(books.session, [make_key(1), make_key(2)])
    assert stored == {make_key(1)}


def test_a_pinned_object_is_not_deleted(either_books: Books) -> None:
    books = either_books
    keys = books.put(1, 2)
    assert bookkeeping.delete_unused(books.session, books.clients, keys) == 0
    assert books.list_objects() == books.list_rows() == keys


def test_an_unpinned_object_that_nothing_uses_is_deleted(either_books: Books) -> None:
    books = either_books
    keys = books.put(1, 2, 3)
    books.unpin()
    assert bookkeeping.delete_unused(books.session, books.clients, keys[:2]) == 2
    assert books.list_objects() == books.list_rows() == keys[2:]


def test_an_expired_pin_does_not_protect(books: Books) -> None:
    keys = books.put(1)
    books.session.execute(update(StoredObject).values(pinned_until=now_utc() - timedelta(hours=1)))
    books.session.commit()
    assert bookkeeping.delete_unused(books.session, books.clients, keys) == 1


def test_deleting_images_keeps_shared_objects(either_books: Books) -> None:
    books = either_books
    first = books.add_image(1, 2, 3)
    books.add_image(3, 4)
    keys = images.delete_images(books.session, [first, first, 999])
    books.session.commit()
    assert keys == [make_key(1), make_key(2), make_key(3)]
    assert bookkeeping.delete_unused(books.session, books.clients, keys) == 2
    assert books.list_objects() == books.list_rows() == [make_key(3), make_key(4)]
    group = books.session.get_one(Group, 1)
    assert (group.image_count, group.is_shown) == (1, True)


def test_deleting_the_last_image_hides_the_group(books: Books) -> None:
    image_id = books.add_image(1)
    assert groups.count_shown_groups(books.session) == 1
    images.delete_images(books.session, [image_id])
    books.session.commit()
    group = books.session.get_one(Group, 1, populate_existing=True)
    assert (group.image_count, group.is_shown, group.cover_id) == (0, False, None)
    assert groups.count_shown_groups(books.session) == 0


def test_a_key_being_deleted_cannot_be_pinned(either_books: Books) -> None:
    books = either_books
    keys = books.put(1)
    books.unpin()
    marked, deadline = bookkeeping.mark_unused(books.session, keys)
    assert marked == keys
    with pytest.raises(ServiceBusyError):
        bookkeeping.pin_keys(books.session, [keys[0], make_key(2)], wait_seconds=0.3)
    assert books.list_rows() == keys, "a pin that fails leaves nothing"
    bookkeeping.delete_marked(books.session, books.clients, marked, deadline)
    _, stored = bookkeeping.pin_keys(books.session, keys)
    assert stored == frozenset()


def test_a_marked_key_cannot_be_used(either_books: Books) -> None:
    books = either_books
    key = make_key(1)
    until, _ = bookkeeping.pin_keys(books.session, [key])
    bookkeeping.mark_unused(books.session, [key], pins_until=now_utc() + timedelta(days=1))
    with pytest.raises(bookkeeping.KeyGoneError):
        bookkeeping.use_keys(books.session, {key: 10}, until)
    books.session.rollback()


def test_removing_an_earlier_pin_keeps_a_later_one(books: Books) -> None:
    key = make_key(1)
    early, _ = bookkeeping.pin_keys(books.session, [key])
    late, _ = bookkeeping.pin_keys(books.session, [key])
    assert late > early
    bookkeeping.use_keys(books.session, {key: 10}, early)
    books.session.commit()
    assert books.session.scalars(select(StoredObject.pinned_until)).one() == late
    bookkeeping.use_keys(books.session, {key: 10}, late)
    books.session.commit()
    assert books.session.scalars(select(StoredObject.pinned_until)).one() is None


def test_marks_stay_while_the_store_is_unreachable(books: Books, s3_server: S3Server) -> None:
    keys = books.put(1, 2)
    books.unpin()
    away = s3_server.make_store(
        endpoint_url="http://127.0.0.1:9", connect_timeout_seconds=0.2, read_timeout_seconds=0.2
    )
    gone = Clients(away, None, refuse, refuse, None)  # type: ignore[arg-type]
    assert bookkeeping.delete_unused(books.session, gone, keys) == 0
    assert books.list_rows() == keys
    # Nobody else touches them until their deleter's time is over.
    assert bookkeeping.finish_deletions(books.session, books.clients) == 0
    books.session.execute(update(StoredObject).values(pinned_until=now_utc()))
    books.session.commit()
    assert bookkeeping.finish_deletions(books.session, books.clients) == 2
    assert books.list_objects() == books.list_rows() == []


def test_objects_left_unused_are_deleted_by_the_sweep(books: Books, s3_server: S3Server) -> None:
    used, keys = books.add_image(9), books.put(1, 2)
    books.unpin()
    assert bookkeeping.leave_unused(books.session, [*keys, make_key(9)]) == 2
    books.session.commit()
    assert books.list_objects() == sorted([*keys, make_key(9)])
    with pytest.raises(ServiceBusyError):
        bookkeeping.pin_keys(books.session, keys, wait_seconds=0.2)
    # The sweep does not wait for anybody's time to be over.
    assert bookkeeping.finish_deletions(books.session, books.clients) == 2
    assert books.list_objects() == books.list_rows() == [make_key(9)]
    assert used


def test_more_keys_than_one_batch_are_deleted(books: Books) -> None:
    count = bookkeeping.BATCH + 20
    books.session.add_all(StoredObject(key=make_key(n), size_bytes=1) for n in range(count))
    books.session.commit()
    keys = [make_key(n) for n in range(count)]
    assert bookkeeping.delete_unused(books.session, books.clients, keys) == count
    assert books.list_rows() == []


def test_concurrent_pins_and_deletions_never_lose_bytes(either_books: Books) -> None:
    """Pinning, writing and using one key races against deleting it; bytes must outlive the row."""
    books = either_books
    key = make_key(1)
    rounds = 12
    used: list[int] = []

    def use() -> None:
        with Session(books.engine) as session:
            for _ in range(rounds):
                until, stored = bookkeeping.pin_keys(session, [key], wait_seconds=120)
                if key not in stored:
                    books.store.put_object(key, b"x" * 10, "image/webp")
                try:
                    bookkeeping.use_keys(session, {key: 10}, until)
                except bookkeeping.KeyGoneError:
                    session.rollback()
                    continue
                # At this moment a rendition would be committed: the bytes have to be there.
                assert books.store.find_object(key) is not None
                used.append(1)
                session.commit()

    def delete() -> None:
        with Session(books.engine) as session:
            for _ in range(rounds * 2):
                bookkeeping.delete_unused(session, books.clients, [key])

    failures: list[BaseException] = []

    def guard(work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=guard, args=(work,)) for work in (use, use, delete, delete)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert used
