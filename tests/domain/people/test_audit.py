"""The log of what people did."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import update
from sqlalchemy.orm import Session

from imagehub.database import now_utc
from imagehub.domain.people import audit, users
from imagehub.models import AuditEntry, User
from tests.fixtures.site import NAME


@pytest.fixture
def user(either_session: Session) -> User:
    found = users.find_user(either_session, NAME)
    assert found is not None
    return found


def test_a_line_says_who_what_when_and_from_where(either_session: Session, user: User) -> None:
    audit.record(either_session, user, "rename", "group", 7, "Renamed “Wellen”.", "192.0.2.9")
    either_session.commit()
    [entry] = audit.list_entries(either_session).entries
    assert (entry.actor_name, entry.verb, entry.kind, entry.key) == (NAME, "rename", "group", "7")
    assert (entry.words, entry.address) == ("Renamed “Wellen”.", "192.0.2.9")


def list_words(session: Session) -> list[str]:
    session.rollback()
    return [entry.words for entry in audit.list_entries(session).entries]


def test_failed_sign_ins_are_counted_by_address(either_session: Session, user: User) -> None:
    for _ in range(3):
        audit.record_failed_sign_in(either_session, None, "192.0.2.9")
    audit.record_failed_sign_in(either_session, user, "192.0.2.9")
    audit.record_failed_sign_in(either_session, user, "2001:db8::1")
    assert list_words(either_session) == [
        f"1 failed try to sign in, with the name “{NAME}”.",
        f"4 failed tries to sign in, the last one with the name “{NAME}”.",
    ]
    # An hour later another line begins.
    hour_ago = now_utc() - audit.COUNTED_TOGETHER
    either_session.execute(update(AuditEntry).values(at=hour_ago))
    either_session.commit()
    audit.record_failed_sign_in(either_session, None, "192.0.2.9")
    words = list_words(either_session)
    assert words[0] == "1 failed try to sign in, with a name that nobody has."
    assert len(words) == 3


def test_failures_from_ever_more_addresses_do_not_fill_the_log(either_session: Session) -> None:
    for number in range(audit.MAX_FAILING_ADDRESSES):
        address = f"192.0.2.{number}"
        audit.record(either_session, None, "fail_sign_in", "account", "", "1 try", address)
    either_session.commit()
    for number in range(3):
        audit.record_failed_sign_in(either_session, None, f"198.51.100.{number}")
    first, second = list_words(either_session)[:2]
    assert first.startswith("3 failed tries to sign in, from many addresses")
    assert second == "1 try"
    # Those that have a line are still counted there.
    audit.record_failed_sign_in(either_session, None, "192.0.2.99")
    assert "1 try" in list_words(either_session)[1]


def test_failures_at_the_same_moment_are_all_counted(either_session: Session) -> None:
    engine = either_session.get_bind()
    audit.record_failed_sign_in(either_session, None, "192.0.2.9")

    def fail(_: int) -> None:
        with Session(engine) as own:
            audit.record_failed_sign_in(own, None, "192.0.2.9")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(fail, range(8)))
    [words] = list_words(either_session)
    assert words.startswith("9 failed tries")


def test_what_is_done_again_and_again_is_one_line(either_session: Session, user: User) -> None:
    for words in ("Moved “A”.", "Moved “A”.", "Moved “B”.", "Moved “A”."):
        audit.record_once(either_session, user, "order", "group", 1, words)
    audit.record_once(either_session, user, "order", "group", 2, "Moved “A”.")
    words = [entry.words for entry in audit.list_entries(either_session).entries]
    assert words == ["Moved “A”.", "Moved “A”.", "Moved “B”.", "Moved “A”."]


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
    other = users.create_admin(either_session, "Grace", "another good password")
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
