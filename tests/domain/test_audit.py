"""The log of what people did."""

import pytest
from sqlalchemy.orm import Session

from imagehub.domain import accounts, audit
from imagehub.models import User
from tests.fixtures.site import NAME


@pytest.fixture
def user(either_session: Session) -> User:
    found = accounts.find_user(either_session, NAME)
    assert found is not None
    return found


def test_a_line_says_who_what_when_and_from_where(either_session: Session, user: User) -> None:
    audit.record(either_session, user, "rename", "group", 7, "Renamed “Wellen”.", "192.0.2.9")
    either_session.commit()
    [entry] = audit.list_entries(either_session).entries
    assert (entry.actor_name, entry.verb, entry.kind, entry.key) == (NAME, "rename", "group", "7")
    assert (entry.words, entry.address) == ("Renamed “Wellen”.", "192.0.2.9")


def test_pages_follow_each_other_without_gap_or_overlap(
    either_session: Session, user: User
) -> None:
    for number in range(7):
        audit.record(either_session, user, "change", "group", number, f"{number}")
    seen = []
    before = None
    for _ in range(3):
        page = audit.list_entries(either_session, before=before, limit=3)
        seen += [entry.words for entry in page.entries]
        before = page.next_before
        # What is added meanwhile does not move the pages that follow.
        audit.record(either_session, user, "change", "group", 9, "new")
    assert seen == ["6", "5", "4", "3", "2", "1", "0"]
    assert before is None


@pytest.mark.parametrize("before", [10**30, 1 << 63, -(10**30), 0])
def test_a_page_before_a_number_that_no_line_has_is_still_a_page(
    either_session: Session, user: User, before: int
) -> None:
    audit.record(either_session, user, "change", "group", 1, "one")
    words = [entry.words for entry in audit.list_entries(either_session, before=before).entries]
    assert words == (["one"] if before > 0 else [])


def test_filters_work_together(either_session: Session, user: User) -> None:
    audit.record(either_session, user, "change", "group", 1, "mine")
    audit.record(either_session, None, "change", "group", 1, "nobody's")
    audit.record(either_session, user, "end", "token", 1, "token")
    words = [e.words for e in audit.list_entries(either_session, actor=NAME, kind="group").entries]
    assert words == ["mine"]
    assert len(audit.list_entries(either_session, kind="group").entries) == 2
    assert audit.list_entries(either_session, actor="Somebody else").entries == []
    assert audit.list_actors(either_session) == [NAME]


def test_a_line_outlives_its_person(either_session: Session) -> None:
    other = accounts.create_admin(either_session, "Grace", "another good password")
    audit.record(either_session, other, "delete", "image", 3, "Took it out.")
    either_session.commit()
    either_session.delete(other)
    either_session.commit()
    either_session.expire_all()
    [entry] = audit.list_entries(either_session).entries
    assert (entry.actor_id, entry.actor_name) == (None, "Grace")


def test_what_is_too_long_is_cut_and_not_refused(either_session: Session, user: User) -> None:
    audit.record(either_session, user, "v" * 99, "k" * 99, "y" * 999, "w" * 999, "a" * 99)
    either_session.commit()
    [entry] = audit.list_entries(either_session).entries
    assert len(entry.words) == 500
    assert entry.words.endswith("…")
