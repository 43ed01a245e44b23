"""Transactions that commit on their own, and the end of reading."""

import pytest
from sqlalchemy import select
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from imagehub.database import end_read, own_transaction
from imagehub.models import Tag


class Deadlock(Exception):
    """What PyMySQL raises: the error's number comes first."""


def add_tag(session: Session, name: str) -> None:
    session.add(Tag(name=name, name_key=name.casefold(), slug=name.casefold()))


def test_its_change_outlives_the_caller(session: Session) -> None:
    @own_transaction
    def keep(session: Session, name: str, *, twice: bool) -> str:
        add_tag(session, name)
        return name * 2 if twice else name

    assert keep(session, "Sea", twice=True) == "SeaSea"
    session.rollback()
    assert session.scalars(select(Tag.name)).all() == ["Sea"]


def test_it_runs_again_after_a_lost_race(session: Session) -> None:
    tries = []

    @own_transaction
    def lose_twice(session: Session) -> int:
        add_tag(session, f"Try {len(tries)}")
        session.flush()
        tries.append(1)
        if len(tries) < 3:
            raise OperationalError("UPDATE", {}, Deadlock(1213, "Deadlock found"))
        return len(tries)

    assert lose_twice(session) == 3
    assert session.scalars(select(Tag.name)).all() == ["Try 2"]


def test_other_failures_come_through_and_leave_nothing(session: Session) -> None:
    @own_transaction
    def fail(session: Session) -> None:
        add_tag(session, "Sea")
        session.flush()
        raise OperationalError("UPDATE", {}, Deadlock(1114, "The table is full"))

    with pytest.raises(OperationalError):
        fail(session)
    assert session.scalars(select(Tag)).all() == []


def test_the_end_of_reading_refuses_to_lose_changes(session: Session) -> None:
    session.scalars(select(Tag)).all()
    end_read(session)
    add_tag(session, "Sea")
    with pytest.raises(RuntimeError):
        end_read(session)
