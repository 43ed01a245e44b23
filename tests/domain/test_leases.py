"""Leases, on both databases."""

import multiprocessing
import threading
from datetime import UTC, datetime, timedelta

from sqlalchemy import Engine, create_engine, select, update
from sqlalchemy.orm import Session

from imagehub.database import get_database_time, make_engine_options
from imagehub.domain.leases import (
    acquire_lease,
    get_lease_seconds,
    make_owner,
    release_lease,
)
from imagehub.models import Lease


def let_time_pass(session: Session, name: str) -> None:
    """The lease's time is over, as if nobody had renewed it for long."""
    session.execute(
        update(Lease)
        .where(Lease.name == name)
        .values(held_until=datetime.now(UTC) - timedelta(hours=1))
    )
    session.commit()


def test_a_lease_has_one_holder(session: Session) -> None:
    assert acquire_lease(session, "work", "anna", 60)
    assert not acquire_lease(session, "work", "bert", 60)
    assert acquire_lease(session, "other work", "bert", 60)


def test_its_holder_may_take_it_again(session: Session) -> None:
    assert acquire_lease(session, "work", "anna", 5)
    assert acquire_lease(session, "work", "anna", 600)
    assert 590 < get_lease_seconds(session, "work") <= 600


def test_a_released_lease_is_free_at_once(session: Session) -> None:
    acquire_lease(session, "work", "anna", 60)
    assert release_lease(session, "work", "anna")
    assert get_lease_seconds(session, "work") == 0
    assert acquire_lease(session, "work", "bert", 60)


def test_nobody_releases_a_lease_of_somebody_else(session: Session) -> None:
    acquire_lease(session, "work", "anna", 60)
    assert not release_lease(session, "work", "bert")
    assert not acquire_lease(session, "work", "bert", 60)


def test_a_lease_dies_with_its_holder(session: Session) -> None:
    acquire_lease(session, "work", "anna", 60)
    let_time_pass(session, "work")
    assert get_lease_seconds(session, "work") == 0
    assert acquire_lease(session, "work", "bert", 60)


def test_owners_are_all_different() -> None:
    assert len({make_owner() for _ in range(1000)}) == 1000


def test_the_database_knows_the_time(session: Session) -> None:
    assert abs(get_database_time(session) - datetime.now(UTC)) < timedelta(minutes=1)


def test_of_many_threads_that_ask_for_a_new_name_one_gets_it(engine: Engine) -> None:
    for round_number in range(5):
        got: list[bool] = []
        barrier = threading.Barrier(8)

        def ask(name: str, got: list[bool] = got, barrier: threading.Barrier = barrier) -> None:
            with Session(engine) as session:
                barrier.wait()
                got.append(acquire_lease(session, name, make_owner(), 60))

        threads = [threading.Thread(target=ask, args=(f"work {round_number}",)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(got) == [False] * 7 + [True]


def count_up(url: str, rounds: int) -> None:
    """Under a lease, read a number and write it back one higher: without it, counts get lost."""
    engine = create_engine(url, **make_engine_options(url))
    owner = make_owner()
    with Session(engine) as session:
        for _ in range(rounds):
            while not acquire_lease(session, "count", owner, 60):
                threading.Event().wait(0.005)
            row = select(Lease.owner).where(Lease.name == "number")
            number = int(session.scalar(row) or 0)
            session.rollback()
            session.execute(
                update(Lease).where(Lease.name == "number").values(owner=str(number + 1))
            )
            session.commit()
            release_lease(session, "count", owner)
    engine.dispose()


def test_processes_that_take_turns_lose_no_count(database_url: str, session: Session) -> None:
    session.add(Lease(name="number", owner="0", held_until=datetime.now(UTC)))
    session.commit()
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["imagehub.domain.leases"])
    processes = [context.Process(target=count_up, args=(database_url, 10)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(300)
    assert [process.exitcode for process in processes] == [0, 0, 0, 0]
    session.expire_all()
    assert session.scalar(select(Lease.owner).where(Lease.name == "number")) == "40"
