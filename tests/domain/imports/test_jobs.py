"""Import jobs: groups, numbers, duplicates, reports; on rows alone."""

import threading
from collections.abc import Callable

import pytest
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session, sessionmaker

from imagehub.clients import DriveItem
from imagehub.database import now_utc
from imagehub.domain import file_names
from imagehub.domain.imports import jobs, reports
from imagehub.domain.imports.jobs import Selection
from imagehub.errors import InvalidInputError, NotFoundError
from imagehub.models import Group, ImportItem, ImportJob
from tests.fixtures.import_rows import add_image, create, list_items, select_files


def test_a_new_group_takes_the_folders_name_and_comes_first(import_session: Session) -> None:
    create(import_session, select_files("a", folder="Older"))
    create(import_session, select_files("b", folder="Newer"))
    groups = import_session.scalars(select(Group).order_by(Group.sort_key.desc())).all()
    assert [group.title for group in groups] == ["Newer", "Older"]
    assert [group.folder_name for group in groups] == ["Newer", "Older"]


def test_numbers_and_places_follow_the_list(import_session: Session) -> None:
    items = list_items(import_session, create(import_session, select_files("c", "a", "b")))
    assert [(i.drive_item_id, i.number, i.position) for i in items] == [
        ("c", 1, 1),
        ("a", 2, 2),
        ("b", 3, 3),
    ]


def test_several_selections_make_several_groups(import_session: Session) -> None:
    job = create(import_session, select_files("a", folder="One"), select_files("a", folder="Two"))
    groups = {item.group_id for item in list_items(import_session, job)}
    assert len(groups) == 2
    assert job.item_count == 2


def test_a_file_selected_twice_is_imported_once(import_session: Session) -> None:
    job = create(import_session, select_files("a", "b", "a"))
    assert [(i.drive_item_id, i.state) for i in list_items(import_session, job)] == [
        ("a", "queued"),
        ("b", "queued"),
        ("a", "skipped"),
    ]
    assert import_session.get_one(Group, 1).next_image_number == 3


def test_ids_that_differ_by_case_alone_are_two_files(either_import_session: Session) -> None:
    session = either_import_session
    job = create(session, select_files("01ab", "01AB"))
    assert [i.state for i in list_items(session, job)] == ["queued", "queued"]


def test_a_file_that_the_group_has_is_skipped_and_names_its_image(
    either_import_session: Session,
) -> None:
    session = either_import_session
    create(session, select_files("a"))
    image = add_image(session, 1, "a", 1)
    job = create(session, select_files("b", "a", group=1))
    items = list_items(session, job)
    assert [(i.state, i.image_id) for i in items] == [("queued", None), ("skipped", image.id)]
    assert items[0].number == 2


def test_a_job_with_nothing_left_to_do_is_finished_at_once(import_session: Session) -> None:
    create(import_session, select_files("a"))
    add_image(import_session, 1, "a", 1)
    job = create(import_session, select_files("a", group=1))
    report = reports.describe_job(import_session, job.id)
    assert report.is_finished
    assert (report.skipped_count, report.finished_count) == (1, 1)


def test_places_come_after_images_that_were_moved(import_session: Session) -> None:
    create(import_session, select_files("a"))
    add_image(import_session, 1, "z", 40)
    items = list_items(import_session, create(import_session, select_files("b", group=1)))
    assert items[0].position == 41


def test_concurrent_requests_get_different_numbers(either_import_engine: Engine) -> None:
    with Session(either_import_engine) as session:
        create(session, select_files("a"))

    def ask(name: str) -> None:
        with Session(either_import_engine) as own:
            jobs.create_import(own, 1, None, [select_files(f"{name}1", f"{name}2", group=1)])
            own.commit()

    threads = [threading.Thread(target=ask, args=(f"t{n}",)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with Session(either_import_engine) as session:
        numbers = session.scalars(select(ImportItem.number).where(ImportItem.group_id == 1)).all()
        assert sorted(numbers) == list(range(1, 14))


@pytest.mark.parametrize(
    "selections",
    [
        [],
        [select_files()],
        [select_files("")],
        [select_files("x" * 256)],
        [select_files(*(str(n) for n in range(jobs.MAX_FILES + 1)))],
    ],
    ids=["nothing", "no files", "empty id", "long id", "too many"],
)
def test_what_cannot_be_imported_is_refused(
    import_session: Session, selections: list[Selection]
) -> None:
    with pytest.raises(InvalidInputError):
        jobs.create_import(import_session, 1, None, selections)
    import_session.rollback()
    assert import_session.scalars(select(Group)).all() == []


@pytest.mark.parametrize("number", [5, 0, -2, 1 << 63, 10**30])
def test_an_unknown_group_is_refused(import_session: Session, number: int) -> None:
    with pytest.raises(NotFoundError):
        jobs.create_import(import_session, 1, None, [select_files("a", group=number)])


def test_long_names_are_cut_to_what_the_database_holds(import_session: Session) -> None:
    selection = Selection("F", "n" * 900, None, [("a", "m" * 900)])
    item = list_items(import_session, create(import_session, selection))[0]
    assert (len(item.folder_name), len(item.file_name)) == (400, 400)
    assert len(import_session.get_one(Group, 1).title) == 300


def test_a_report_counts_and_lists_failures(import_session: Session) -> None:
    job = create(import_session, select_files("a", "b", "c", "a"))
    first, second, _, _ = list_items(import_session, job)
    first.state = "done"
    second.state, second.reason = "failed", "This is a folder, not a picture."
    import_session.commit()
    report = reports.describe_job(import_session, job.id)
    assert (report.done_count, report.failed_count, report.queued_count) == (1, 1, 1)
    assert (report.skipped_count, report.item_count, report.finished_count) == (1, 4, 3)
    assert report.failed == (
        reports.FailedItem("b", "b.jpg", "This is a folder, not a picture.", second.id),
    )
    assert not report.is_finished


def test_failed_items_can_be_retried(either_import_session: Session) -> None:
    session = either_import_session
    job = create(session, select_files("a", "b"))
    first, second = list_items(session, job)
    first.state = "done"
    second.state, second.reason, second.attempt_count, second.suspicion = "failed", "No.", 12, 6
    job.state, job.finished_at = "finished", now_utc()
    session.commit()
    assert jobs.retry_items(session, job.id) == 1
    session.commit()
    session.expire_all()
    assert (job.state, job.finished_at) == ("running", None)
    assert (first.state, second.state) == ("done", "queued")
    assert (second.reason, second.attempt_count, second.suspicion) == ("", 0, 0)
    assert jobs.retry_items(session, job.id) == 0


def test_a_report_of_an_unknown_job_is_refused(import_session: Session) -> None:
    for number in (77, 0, -1, 1 << 63):
        with pytest.raises(NotFoundError):
            reports.describe_job(import_session, number)


def test_waiting_ends_with_the_timeout_or_the_job(either_import_engine: Engine) -> None:
    with Session(either_import_engine) as session:
        job_id = create(session, select_files("a")).id
    open_session = sessionmaker(either_import_engine)
    assert reports.wait_for_job(open_session, job_id, 0.1).state == "running"

    def finish() -> None:
        with Session(either_import_engine) as own:
            job = own.get_one(ImportJob, job_id)
            job.state = "finished"
            own.commit()

    later = threading.Timer(0.2, finish)
    later.start()
    try:
        assert reports.wait_for_job(open_session, job_id, 60).is_finished
    finally:
        later.join()


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, True),
        ({"mime_type": ""}, True),
        ({"mime_type": "application/octet-stream"}, True),
        ({"is_folder": True}, False),
        ({"is_package": True}, False),
        ({"size_bytes": 0}, False),
        ({"mime_type": "audio/mpeg"}, False),
        ({"mime_type": "image/svg+xml"}, False),
        ({"mime_type": "Application/Zip"}, False),
        # OneDrive draws these.
        ({"mime_type": "video/mp4"}, True),
        ({"mime_type": "Application/PDF"}, True),
        ({"mime_type": "", "name": "a.NEF"}, True),
    ],
)
def test_files_that_cannot_be_images_are_known_before_the_download(
    changes: dict[str, object], expected: bool
) -> None:
    facts: dict[str, object] = {
        "id": "1",
        "name": "a.jpg",
        "is_folder": False,
        "size_bytes": 10,
        "created_time": "",
        "modified_time": "",
        "mime_type": "image/jpeg",
    }
    make: Callable[..., DriveItem] = DriveItem
    assert file_names.may_be_picture(make(**(facts | changes))) is expected
