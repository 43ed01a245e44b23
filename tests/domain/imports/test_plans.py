"""Import plans: what is selected, and how long the import will take."""

from datetime import timedelta

import pytest
from sqlalchemy.orm import Session

from imagehub.domain.imports import plans, reports
from imagehub.errors import InvalidInputError, NotFoundError
from imagehub.models import DriveAccount, Group
from tests.fixtures.import_rows import create, list_items, select_files
from tests.fixtures.importing import ImportHub, make_jpeg
from tests.fixtures.planning import make_plan
from tests.fixtures.site import Site
from tests.imaging.private_data import files


def test_selected_files_and_folders_are_planned_once(studio: ImportHub) -> None:
    chosen = studio.select_folder("Studio")
    ids = tuple(file_id for file_id, _ in chosen.files)
    plan = make_plan(studio, "Studio", items=ids)
    assert plans.describe_plan(studio.session, plan).file_count == 7


def test_a_plan_counts_the_places_that_onedrive_lists(import_hub: ImportHub) -> None:
    hub = import_hub
    hub.put_files("Places", {"a.jpg": files.make_jpeg(), "b.jpg": make_jpeg(1)})
    summary = plans.describe_plan(hub.session, make_plan(hub, "Places"))
    assert (summary.chosen_count, summary.place_count, summary.knows_places) == (2, 1, True)


def test_the_estimate_follows_the_rate_of_earlier_imports(studio: ImportHub) -> None:
    studio.work(studio.create(studio.select_folder("Studio/Inside")))
    plan = make_plan(studio, "Studio")
    summary = plans.describe_plan(studio.session, plan)
    rate = reports.measure_rate(studio.session)
    assert rate is not None
    assert summary.seconds == pytest.approx(rate * summary.chosen_count)


def test_a_retry_days_later_does_not_count_as_days_of_work(either_import_session: Session) -> None:
    session = either_import_session
    job = create(session, select_files(*(str(n) for n in range(10))))
    began_at = job.created_at
    for n, item in enumerate(list_items(session, job), start=1):
        # Nobody worked for a day in the middle; the last file was tried again after two more.
        pause = timedelta(days=(n > 5) + 2 * (n == 10))
        item.state, item.finished_at = "done", began_at + pause + timedelta(seconds=4 * n)
    item.asked_at = item.finished_at - timedelta(seconds=4)
    session.commit()
    assert reports.estimate_seconds_left(session, job.id) == 0
    item.state, item.finished_at = "queued", None
    assert reports.estimate_seconds_left(session, job.id) == pytest.approx(4)
    item.state, item.finished_at = "done", item.asked_at + timedelta(seconds=4)
    job.state = "finished"
    assert reports.measure_rate(session) == pytest.approx(4)
    alone = create(session, select_files("x"))
    (item,) = list_items(session, alone)
    alone.created_at -= timedelta(days=2)
    item.state, item.finished_at = "done", item.asked_at + timedelta(seconds=6)
    alone.state, job.state = "finished", "running"
    assert reports.measure_rate(session) == pytest.approx(6)


def test_files_cannot_be_added_to_a_group_in_the_trash(either_site: Site) -> None:
    group_id = either_site.add_group()
    with either_site.session() as session:
        session.get_one(Group, group_id).state = "trash"
        account = session.query(DriveAccount).one()
        with pytest.raises(NotFoundError):
            plans.create_plan(session, account.id, None, ["f"], [], group_id)


def test_an_empty_and_a_too_large_selection_are_refused(site: Site) -> None:
    with site.session() as session:
        with pytest.raises(InvalidInputError):
            plans.create_plan(session, 1, None, [], [])
        with pytest.raises(InvalidInputError):
            plans.create_plan(session, 1, None, [], [str(n) for n in range(2001)])
        with pytest.raises(InvalidInputError):
            plans.create_plan(session, 1, None, ["x" * 300], [])
