"""The activity log."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import update
from sqlalchemy.orm import Session

from imagehub.database import now_utc
from imagehub.domain.people import audit, users
from imagehub.domain.people.actions import ACTIONS, KINDS
from imagehub.messages import Message, PluralMessage
from imagehub.models import AuditEntry, User
from tests.fixtures.site import NAME


@pytest.fixture
def user(either_session: Session) -> User:
    found = users.find_user(either_session, NAME)
    assert found is not None
    return found


def test_an_entry_says_who_what_when_and_from_where(either_session: Session, user: User) -> None:
    audit.record(either_session, user, "set_cover", 7, name="Wellen", address="192.0.2.9")
    either_session.commit()
    [entry] = audit.list_entries(either_session).entries
    assert (entry.actor_name, entry.verb, entry.kind, entry.key) == (NAME, "change", "group", "7")
    assert (entry.action, entry.subject, entry.address) == ("set_cover", "Wellen", "192.0.2.9")
    assert audit.describe(entry) == "Changed the cover of “Wellen”."


def list_words(session: Session) -> list[str]:
    session.rollback()
    return [audit.describe(entry) for entry in audit.list_entries(session).entries]


def test_a_sentence_is_made_in_the_readers_language(either_session: Session, user: User) -> None:
    """Nothing of it is stored in one language, and names are never translated."""
    audit.record(either_session, user, "delete_groups", names=["Title", "Waves"])
    audit.record(either_session, user, "edit_group", 1, name="Title", fields=["Title", "Tags"])
    either_session.commit()
    german = {
        "Edited “%(name)s”: %(fields)s.": "„%(name)s“ bearbeitet: %(fields)s.",
        "Deleted %(num)s groups: %(names)s.": "%(num)s Gruppen gelöscht: %(names)s.",
        "“%(name)s”": "„%(name)s“",
        "Title": "Titel",
        "Tags": "Schlagwörter",
    }

    def translate(text: str) -> str:
        if isinstance(text, PluralMessage):
            return german[text.plural if text.values["num"] > 1 else text.template] % text.values
        return german[text.template] % text.values if isinstance(text, Message) else german[text]

    entries = audit.list_entries(either_session).entries
    assert [audit.describe(entry, translate) for entry in entries] == [
        "„Title“ bearbeitet: Titel, Schlagwörter.",
        "2 Gruppen gelöscht: „Title“, „Waves“.",
    ]
    assert list_words(either_session) == [
        "Edited “Title”: Title, Tags.",
        "Deleted 2 groups: “Title”, “Waves”.",
    ]


def test_entries_of_older_versions_keep_their_sentence(either_session: Session) -> None:
    either_session.add(AuditEntry(verb="change", kind="group", words="Renamed 3 “Wellen”."))
    either_session.commit()
    assert list_words(either_session) == ["Renamed 3 “Wellen”."]


@pytest.mark.parametrize("name", sorted(ACTIONS))
def test_every_action_has_a_sentence_that_its_facts_fill(name: str) -> None:
    facts = {
        "before": "A",
        "shot": "B",
        "folder": "C",
        "file": "D",
        "agent": "curl/8",
        "language": "de",
    }
    facts["day"] = "2027-05-31"
    entry = AuditEntry(action=name, subject="Waves", count=3, details=json.dumps(facts))
    assert ACTIONS[name].kind in KINDS
    assert audit.describe(entry).endswith(".")
    assert "%" not in audit.describe(entry)


def test_failed_sign_ins_are_counted_by_address(either_session: Session, user: User) -> None:
    for _ in range(3):
        audit.record_failed_sign_in(either_session, None, "192.0.2.9")
    audit.record_failed_sign_in(either_session, user, "192.0.2.9")
    audit.record_failed_sign_in(either_session, user, "2001:db8::1")
    assert list_words(either_session) == [
        f"1 failed sign-in with the name “{NAME}”.",
        f"4 failed sign-ins, the last with the name “{NAME}”.",
    ]
    # An hour later another entry begins.
    hour_ago = now_utc() - audit.COUNTED_TOGETHER
    either_session.execute(update(AuditEntry).values(at=hour_ago))
    either_session.commit()
    audit.record_failed_sign_in(either_session, None, "192.0.2.9")
    words = list_words(either_session)
    assert words[0] == "1 failed sign-in with an unknown name."
    assert len(words) == 3


def test_digits_in_a_name_are_no_count(either_session: Session, user: User) -> None:
    for name in ("2024 1,000 tulips.jpg", "b.jpg", "2024 1,000 tulips.jpg"):
        audit.count_action(
            either_session, user.id, "upload_files", "folder", name=name, is_listed=True
        )
    assert list_words(either_session) == [
        "Started uploading 2 files to OneDrive: “2024 1,000 tulips.jpg”, “b.jpg”."
    ]


def test_more_names_than_there_is_room_for_are_counted(either_session: Session) -> None:
    for number in range(30):
        name = f"{number} " + "x" * 200
        audit.count_action(either_session, None, "upload_files", name=name, is_listed=True)
    [words] = list_words(either_session)
    assert words.startswith("Started uploading 30 files to OneDrive: “0 xxx")
    assert words.endswith("x”, ….")


def test_failures_from_ever_more_addresses_do_not_fill_the_log(either_session: Session) -> None:
    for number in range(audit.MAX_FAILING_ADDRESSES):
        address = f"192.0.2.{number}"
        audit.record(either_session, None, "fail_sign_in_unknown", address=address)
    either_session.commit()
    for number in range(3):
        audit.record_failed_sign_in(either_session, None, f"198.51.100.{number}")
    first, second = list_words(either_session)[:2]
    assert first == "3 failed sign-ins from many addresses, the last with an unknown name."
    assert second == "1 failed sign-in with an unknown name."
    # Those that have a line are still counted there.
    audit.record_failed_sign_in(either_session, None, "192.0.2.99")
    assert "2 failed sign-ins, the last with an unknown name." in list_words(either_session)


def test_failures_at_the_same_moment_are_all_counted(either_session: Session) -> None:
    engine = either_session.get_bind()
    audit.record_failed_sign_in(either_session, None, "192.0.2.9")

    def fail(_: int) -> None:
        with Session(engine) as own:
            audit.record_failed_sign_in(own, None, "192.0.2.9")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(fail, range(8)))
    [words] = list_words(either_session)
    assert words.startswith("9 failed sign-ins")


def test_a_repeated_action_adds_no_second_entry(either_session: Session, user: User) -> None:
    for name in ("A", "A", "B", "A"):
        audit.record(either_session, user, "move_group", 1, name=name, is_repeated=True)
    audit.record(either_session, user, "move_group", 2, name="A", is_repeated=True)
    subjects = [entry.subject for entry in audit.list_entries(either_session).entries]
    assert subjects == ["A", "A", "B", "A"]


def test_pages_follow_each_other_without_gap_or_overlap(
    either_session: Session, user: User
) -> None:
    for number in range(7):
        audit.record(either_session, user, "set_cover", number, name=f"{number}")
    seen = []
    before = None
    for _ in range(3):
        page = audit.list_entries(either_session, before=before, limit=3)
        seen += [entry.subject for entry in page.entries]
        before = page.next_before
        # What is added meanwhile does not move the pages that follow.
        audit.record(either_session, user, "set_cover", 9, name="new")
    assert seen == ["6", "5", "4", "3", "2", "1", "0"]
    assert before is None


@pytest.mark.parametrize("before", [10**30, 1 << 63, -(10**30), 0])
def test_a_page_before_a_number_that_no_line_has_is_still_a_page(
    either_session: Session, user: User, before: int
) -> None:
    audit.record(either_session, user, "set_cover", 1, name="one")
    names = [entry.subject for entry in audit.list_entries(either_session, before=before).entries]
    assert names == (["one"] if before > 0 else [])


def test_filters_work_together(either_session: Session, user: User) -> None:
    audit.record(either_session, user, "set_cover", 1, name="mine")
    audit.record(either_session, None, "set_cover", 1, name="nobody's")
    audit.record(either_session, user, "revoke_token", 1, name="token")
    found = audit.list_entries(either_session, actor=NAME, kind="group").entries
    assert [entry.subject for entry in found] == ["mine"]
    assert len(audit.list_entries(either_session, kind="group").entries) == 2
    assert audit.list_entries(either_session, actor="Somebody else").entries == []
    assert audit.list_actors(either_session) == [NAME]


def test_a_line_outlives_its_person(either_session: Session) -> None:
    other = users.create_admin(either_session, "Grace", "another good password")
    audit.record(either_session, other, "delete_images", 3)
    either_session.commit()
    either_session.delete(other)
    either_session.commit()
    either_session.expire_all()
    [entry] = audit.list_entries(either_session).entries
    assert (entry.actor_id, entry.actor_name) == (None, "Grace")


def test_what_is_too_long_is_cut_and_not_refused(either_session: Session, user: User) -> None:
    names = ["n" * 999] * 50
    audit.record(either_session, user, "move_items", "y" * 999, names=names, folder="f" * 999)
    either_session.commit()
    [entry] = audit.list_entries(either_session).entries
    assert (len(entry.subject), entry.count) == (300, 50)
    assert len(entry.details) <= audit.MAX_DETAILS_CHARS
    assert audit.describe(entry).endswith("…”, ….")
