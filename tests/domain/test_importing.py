"""Asking for an import: groups, numbers, doubles, reports. Rows alone; nobody works on them."""

import threading
from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import Engine, create_engine, select
from sqlalchemy.orm import Session, sessionmaker

from imagehub.clients import DriveItem
from imagehub.database import Base, make_engine_options, now_utc
from imagehub.domain import importing
from imagehub.domain.importing import Selection
from imagehub.errors import InvalidInputError, NotFoundError
from imagehub.models import DriveAccount, Group, Image, ImportItem, ImportJob


def make_engine(url: str) -> Engine:
    """An empty database with one connected account."""
    made = create_engine(url, **make_engine_options(url))
    Base.metadata.create_all(made)
    with Session(made) as session:
        session.add(DriveAccount(home_account_id="a", token_cache=b"-"))
        session.commit()
    return made


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    """Each kind in turn."""
    made = make_engine(database_url)
    yield made
    made.dispose()


@pytest.fixture
def either_session(engine: Engine) -> Iterator[Session]:
    """On each kind of database in turn."""
    with Session(engine) as made:
        yield made


@pytest.fixture
def session(sqlite_url: str) -> Iterator[Session]:
    engine = make_engine(sqlite_url)
    with Session(engine) as made:
        yield made
    engine.dispose()


def select_files(*ids: str, group: int | None = None, folder: str = "Oils") -> Selection:
    return Selection("F1", folder, group, [(file_id, f"{file_id}.jpg") for file_id in ids])


def create(session: Session, *selections: Selection) -> ImportJob:
    job = importing.create_import(session, 1, None, selections)
    session.commit()
    return job


def list_items(session: Session, job: ImportJob) -> list[ImportItem]:
    return list(
        session.scalars(
            select(ImportItem).where(ImportItem.job_id == job.id).order_by(ImportItem.id)
        )
    )


def add_image(session: Session, group_id: int, file_id: str, number: int) -> Image:
    image = Image(
        group_id=group_id,
        number=number,
        position=number,
        name="x",
        drive_account_id=1,
        drive_item_id=file_id,
    )
    session.add(image)
    session.commit()
    return image


def test_a_new_group_takes_the_folders_name_and_comes_first(session: Session) -> None:
    create(session, select_files("a", folder="Older"))
    create(session, select_files("b", folder="Newer"))
    groups = session.scalars(select(Group).order_by(Group.sort_key.desc())).all()
    assert [group.title for group in groups] == ["Newer", "Older"]
    assert [group.folder_name for group in groups] == ["Newer", "Older"]


def test_numbers_and_places_follow_the_list(session: Session) -> None:
    items = list_items(session, create(session, select_files("c", "a", "b")))
    assert [(i.drive_item_id, i.number, i.position) for i in items] == [
        ("c", 1, 1),
        ("a", 2, 2),
        ("b", 3, 3),
    ]


def test_several_selections_make_several_groups(session: Session) -> None:
    job = create(session, select_files("a", folder="One"), select_files("a", folder="Two"))
    groups = {item.group_id for item in list_items(session, job)}
    assert len(groups) == 2
    assert job.item_count == 2


def test_a_file_chosen_twice_is_imported_once(session: Session) -> None:
    job = create(session, select_files("a", "b", "a"))
    assert [(i.drive_item_id, i.state) for i in list_items(session, job)] == [
        ("a", "queued"),
        ("b", "queued"),
        ("a", "skipped"),
    ]
    assert session.get_one(Group, 1).next_image_number == 3


def test_ids_that_differ_by_case_alone_are_two_files(either_session: Session) -> None:
    session = either_session
    job = create(session, select_files("01ab", "01AB"))
    assert [i.state for i in list_items(session, job)] == ["queued", "queued"]


def test_a_file_that_the_group_has_is_skipped_and_names_its_image(either_session: Session) -> None:
    session = either_session
    create(session, select_files("a"))
    image = add_image(session, 1, "a", 1)
    job = create(session, select_files("b", "a", group=1))
    items = list_items(session, job)
    assert [(i.state, i.image_id) for i in items] == [("queued", None), ("skipped", image.id)]
    assert items[0].number == 2


def test_a_job_with_nothing_left_to_do_is_finished_at_once(session: Session) -> None:
    create(session, select_files("a"))
    add_image(session, 1, "a", 1)
    job = create(session, select_files("a", group=1))
    report = importing.describe_job(session, job.id)
    assert report.is_finished
    assert (report.skipped_count, report.progress) == (1, 1.0)


def test_places_come_after_images_that_were_moved(session: Session) -> None:
    create(session, select_files("a"))
    add_image(session, 1, "z", 40)
    items = list_items(session, create(session, select_files("b", group=1)))
    assert items[0].position == 41


def test_requests_at_the_same_time_get_numbers_of_their_own(engine: Engine) -> None:
    with Session(engine) as session:
        create(session, select_files("a"))

    def ask(name: str) -> None:
        with Session(engine) as own:
            importing.create_import(own, 1, None, [select_files(f"{name}1", f"{name}2", group=1)])
            own.commit()

    threads = [threading.Thread(target=ask, args=(f"t{n}",)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with Session(engine) as session:
        numbers = session.scalars(select(ImportItem.number).where(ImportItem.group_id == 1)).all()
        assert sorted(numbers) == list(range(1, 14))


@pytest.mark.parametrize(
    "selections",
    [
        [],
        [select_files()],
        [select_files("")],
        [select_files("x" * 256)],
        [select_files(*(str(n) for n in range(importing.MAX_FILES + 1)))],
    ],
    ids=["nothing", "no files", "empty id", "long id", "too many"],
)
def test_what_cannot_be_imported_is_refused(session: Session, selections: list[Selection]) -> None:
    with pytest.raises(InvalidInputError):
        importing.create_import(session, 1, None, selections)
    session.rollback()
    assert session.scalars(select(Group)).all() == []


@pytest.mark.parametrize("number", [5, 0, -2, 1 << 63, 10**30])
def test_an_unknown_group_is_refused(session: Session, number: int) -> None:
    with pytest.raises(NotFoundError):
        importing.create_import(session, 1, None, [select_files("a", group=number)])


def test_long_names_are_cut_to_what_the_database_holds(session: Session) -> None:
    selection = Selection("F", "n" * 900, None, [("a", "m" * 900)])
    item = list_items(session, create(session, selection))[0]
    assert (len(item.folder_name), len(item.file_name)) == (400, 400)
    assert len(session.get_one(Group, 1).title) == 300


def test_a_report_counts_and_lists_failures(session: Session) -> None:
    job = create(session, select_files("a", "b", "c", "a"))
    first, second, _, _ = list_items(session, job)
    first.state = "done"
    second.state, second.reason = "failed", "This is a folder, not a picture."
    session.commit()
    report = importing.describe_job(session, job.id)
    assert (report.done_count, report.failed_count, report.queued_count) == (1, 1, 1)
    assert (report.skipped_count, report.item_count, report.progress) == (1, 4, 0.75)
    assert report.failed == (
        importing.FailedItem("b", "b.jpg", "This is a folder, not a picture.", second.id),
    )
    assert not report.is_finished


def test_the_newest_imports_are_listed_first(session: Session) -> None:
    jobs = [create(session, select_files(f"f{n}")).id for n in range(3)]
    reports = importing.list_jobs(session, limit=2)
    assert [report.id for report in reports] == [jobs[2], jobs[1]]
    assert all(report.created_at is not None for report in reports)


def test_failed_items_can_be_tried_again(either_session: Session) -> None:
    session = either_session
    job = create(session, select_files("a", "b"))
    first, second = list_items(session, job)
    first.state = "done"
    second.state, second.reason, second.attempt_count, second.suspicion = "failed", "No.", 12, 6
    job.state, job.finished_at = "finished", now_utc()
    session.commit()
    assert importing.retry_items(session, job.id) == 1
    session.commit()
    session.expire_all()
    assert (job.state, job.finished_at) == ("running", None)
    assert (first.state, second.state) == ("done", "queued")
    assert (second.reason, second.attempt_count, second.suspicion) == ("", 0, 0)
    assert importing.retry_items(session, job.id) == 0


def test_a_report_of_no_job_is_refused(session: Session) -> None:
    for number in (77, 0, -1, 1 << 63):
        with pytest.raises(NotFoundError):
            importing.describe_job(session, number)


def test_waiting_ends_with_the_time_or_with_the_job(engine: Engine) -> None:
    with Session(engine) as session:
        job_id = create(session, select_files("a")).id
    open_session = sessionmaker(engine)
    assert importing.wait_for_job(open_session, job_id, 0.1).state == "running"

    def finish() -> None:
        with Session(engine) as own:
            job = own.get_one(ImportJob, job_id)
            job.state = "finished"
            own.commit()

    later = threading.Timer(0.2, finish)
    later.start()
    try:
        assert importing.wait_for_job(open_session, job_id, 60).is_finished
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
        ({"mime_type": "video/mp4"}, False),
        ({"mime_type": "image/svg+xml"}, False),
        ({"mime_type": "Application/PDF"}, False),
    ],
)
def test_what_is_certainly_no_picture_is_known_before_the_download(
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
    assert importing.may_be_picture(make(**(facts | changes))) is expected
