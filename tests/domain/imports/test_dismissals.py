"""Dismissing failed files and retrying dismissed ones, on rows alone."""

import threading

import pytest
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from imagehub.database import now_utc, own_transaction
from imagehub.domain.imports import claims, dismissals, jobs, reports
from imagehub.domain.imports.jobs import Selection
from imagehub.domain.library import edit, trash
from imagehub.domain.library.groups import refresh_group
from imagehub.errors import NotFoundError
from imagehub.models import Group, ImportItem, ImportJob, TrashEntry
from tests.fixtures.import_rows import add_image, create, list_items, select_files


def fail_all(session: Session, *selections: Selection) -> ImportJob:
    """A finished import whose files all failed."""
    job = create(session, *selections)
    for item in list_items(session, job):
        item.state, item.reason = "failed", f"{item.file_name} is broken."
    job.state, job.finished_at = "finished", now_utc()
    session.commit()
    return job


def dismiss(session: Session, job: ImportJob, item_id: int | None = None) -> dismissals.Dismissed:
    left = dismissals.dismiss_failed(session, job.id, None, item_id)
    session.commit()
    session.expire_all()
    return left


def take(session: Session, job: ImportJob, item_id: int | None = None) -> int:
    count = dismissals.retry_dismissed(session, job.id, item_id)
    session.commit()
    session.expire_all()
    return count


def list_states(session: Session, job: ImportJob) -> list[str]:
    return [item.state for item in list_items(session, job)]


def test_dismissed_files_are_no_longer_reported_and_keep_their_reason(
    either_import_session: Session,
) -> None:
    session = either_import_session
    job = fail_all(session, select_files("a", "b"))
    assert len(reports.list_failed_jobs(session)) == 1
    assert dismiss(session, job).item_count == 2
    assert reports.list_failed_jobs(session) == []
    report = reports.describe_job(session, job.id)
    assert (report.failed_count, report.dismissed_count, report.finished_count) == (0, 2, 2)
    assert [(item.file_name, item.reason) for item in report.dismissed] == [
        ("a.jpg", "a.jpg is broken."),
        ("b.jpg", "b.jpg is broken."),
    ]
    assert (report.failed, report.is_finished) == ((), True)


def test_dismissing_twice_does_nothing_more(import_session: Session) -> None:
    job = fail_all(import_session, select_files("a"))
    assert dismiss(import_session, job) == dismissals.Dismissed(1, 1)
    assert dismiss(import_session, job) == dismissals.Dismissed(0, 0)
    assert len(import_session.scalars(select(TrashEntry)).all()) == 1


def test_items_that_did_not_fail_stay_as_they_are(import_session: Session) -> None:
    job = create(import_session, select_files("a", "b", "c", "d"))
    before = ["queued", "running", "done", "failed"]
    for item, state in zip(list_items(import_session, job), before, strict=True):
        item.state = state
    import_session.commit()
    assert dismiss(import_session, job).item_count == 1
    assert list_states(import_session, job) == ["queued", "running", "done", "left_out"]
    assert job.state == "running"


def test_one_file_is_dismissed_and_retried(import_session: Session) -> None:
    job = fail_all(import_session, select_files("a", "b"))
    other = fail_all(import_session, select_files("c"))
    first, second = list_items(import_session, job)
    assert dismiss(import_session, other, first.id) == dismissals.Dismissed(0, 0)
    assert dismiss(import_session, job, second.id) == dismissals.Dismissed(1, 0)
    assert list_states(import_session, job) == ["failed", "left_out"]
    assert dismiss(import_session, job, first.id) == dismissals.Dismissed(1, 1)
    assert take(import_session, job, first.id) == 1
    assert list_states(import_session, job) == ["queued", "left_out"]


def test_failed_files_are_retried_without_the_dismissed_ones(
    import_session: Session,
) -> None:
    job = fail_all(import_session, select_files("a", "b"))
    dismiss(import_session, job, list_items(import_session, job)[0].id)
    assert jobs.retry_items(import_session, job.id) == 1
    import_session.commit()
    import_session.expire_all()
    assert list_states(import_session, job) == ["left_out", "queued"]


@pytest.mark.parametrize("state", ["published", "draft"])
def test_the_empty_group_moves_to_the_trash_and_is_restored(
    either_import_session: Session, state: str
) -> None:
    session = either_import_session
    job = fail_all(session, select_files("a", "b"), select_files("c", folder="Prints"))
    for group in session.scalars(select(Group)):
        group.state = state
    session.commit()
    facts = select(Group.id, Group.title, Group.sort_key, Group.version).order_by(Group.id)
    before = session.execute(facts).all()
    assert dismiss(session, job) == dismissals.Dismissed(3, 2)
    assert set(session.scalars(select(Group.state))) == {"trash"}
    assert [thing.group.title for thing in trash.list_trash(session)[0]] == ["Prints", "Oils"]
    first = list_items(session, job)[0]
    assert take(session, job, first.id) == 1
    assert [group.state for group in session.scalars(select(Group))] == [state, "trash"]
    assert take(session, job) == 2
    assert [group.state for group in session.scalars(select(Group))] == [state, state]
    assert [
        (g.id, g.title, g.sort_key, g.version) for g in session.scalars(select(Group))
    ] == before
    assert session.scalars(select(TrashEntry)).all() == []
    assert (job.state, job.finished_at, first.reason) == ("running", None, "")


def test_a_group_with_an_image_stays(import_session: Session) -> None:
    job = fail_all(import_session, select_files("a", "b"))
    add_image(import_session, 1, "z", 9)
    refresh_group(import_session, 1)
    import_session.commit()
    assert dismiss(import_session, job) == dismissals.Dismissed(2, 0)
    assert import_session.get_one(Group, 1).state == "published"


@pytest.mark.parametrize(
    "field", ["title", "text", "medium", "dimensions", "year", "edition", "price", "tags"]
)
def test_an_edited_group_stays(import_session: Session, field: str) -> None:
    job = fail_all(import_session, select_files("a"))
    edit.save_group(import_session, 1, edit.Edit(1, {field: "1999"}, {}))
    import_session.commit()
    assert dismiss(import_session, job) == dismissals.Dismissed(1, 0)
    assert import_session.get_one(Group, 1).state == "published"


def test_a_group_that_another_import_waits_to_fill_stays(import_session: Session) -> None:
    job = fail_all(import_session, select_files("a"))
    create(import_session, select_files("b", group=1))
    assert dismiss(import_session, job) == dismissals.Dismissed(1, 0)
    assert import_session.get_one(Group, 1).state == "published"


def test_a_group_with_a_failed_file_of_another_import_stays_until_that_is_dismissed(
    either_import_session: Session,
) -> None:
    session = either_import_session
    job = fail_all(session, select_files("a"))
    other = fail_all(session, select_files("b", group=1))
    assert dismiss(session, job) == dismissals.Dismissed(1, 0)
    assert dismiss(session, other) == dismissals.Dismissed(1, 1)
    assert take(session, job) == 1
    assert session.get_one(Group, 1).state == "published"


def test_a_group_that_a_person_deleted_stays_in_the_trash(import_session: Session) -> None:
    job = fail_all(import_session, select_files("a"))
    trash.trash_groups(import_session, [1], None)
    import_session.commit()
    assert dismiss(import_session, job) == dismissals.Dismissed(1, 0)
    assert take(import_session, job) == 1
    assert import_session.get_one(Group, 1).state == "trash"


def test_a_group_that_a_person_restored_is_not_deleted_again(import_session: Session) -> None:
    job = fail_all(import_session, select_files("a"))
    dismiss(import_session, job)
    trash.restore(import_session, 1)
    import_session.commit()
    take(import_session, job)
    list_items(import_session, job)[0].state = "failed"
    import_session.commit()
    assert dismiss(import_session, job) == dismissals.Dismissed(1, 0)
    assert import_session.get_one(Group, 1).state == "published"


def test_files_whose_group_is_gone_are_dismissed_too(import_session: Session) -> None:
    job = fail_all(import_session, select_files("a"))
    dismiss(import_session, job)
    trash.purge(import_session, [1])
    import_session.commit()
    assert list_items(import_session, job)[0].group_id is None
    assert take(import_session, job) == 1


@pytest.mark.parametrize("number", [77, 0, -1, 1 << 63])
def test_an_unknown_import_is_refused(import_session: Session, number: int) -> None:
    with pytest.raises(NotFoundError):
        dismissals.dismiss_failed(import_session, number, None)
    with pytest.raises(NotFoundError):
        dismissals.retry_dismissed(import_session, number)


def test_many_at_the_same_time_leave_nothing_half_done(either_import_engine: Engine) -> None:
    """Dismissing, retrying and claiming at once: each item ends in one state, with its group."""
    with Session(either_import_engine) as session:
        groups = [select_files(f"a{n}", f"b{n}", folder=f"Folder {n}") for n in range(12)]
        job_id = fail_all(session, *groups).id
    faults: list[BaseException] = []

    def run(kind: str) -> None:
        try:
            with Session(either_import_engine) as own:
                for _ in range(4):
                    if kind == "leave":
                        own_transaction(dismissals.dismiss_failed)(own, job_id, None)
                    elif kind == "take":
                        own_transaction(dismissals.retry_dismissed)(own, job_id)
                    else:
                        while claims.claim_item(own, job_id, kind) is not None:
                            pass
        except BaseException as fault:
            faults.append(fault)

    threads = [threading.Thread(target=run, args=(k,)) for k in ("leave", "take", "worker") * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    with Session(either_import_engine) as session:
        in_trash = set(session.scalars(select(TrashEntry.group_id)))
        assert in_trash == set(session.scalars(select(Group.id).where(Group.state == "trash")))
        by_group: dict[int | None, set[str]] = {}
        for group_id, state in session.execute(select(ImportItem.group_id, ImportItem.state)):
            by_group.setdefault(group_id, set()).add(state)
        assert len(by_group) == 12
        for group_id, states in by_group.items():
            assert states <= {"left_out", "queued", "running"}
            # What waits or is in hand has a group to come into.
            assert (group_id in in_trash) == (states == {"left_out"})
