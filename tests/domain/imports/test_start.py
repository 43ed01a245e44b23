"""Starting the import of a plan, small and large."""

import pytest
from sqlalchemy import func, insert, select
from sqlalchemy.orm import Session

from imagehub.domain.imports import plans
from imagehub.domain.imports.board import changes, proposals
from imagehub.errors import ConflictError
from imagehub.models import (
    DriveAccount,
    Group,
    ImportItem,
    ImportJob,
    ImportPlan,
    ImportPlanFile,
)
from tests.fixtures.database import count_statements
from tests.fixtures.importing import ImportHub
from tests.fixtures.planning import find_files, find_proposal, make_plan
from tests.fixtures.site import Site


def test_an_import_follows_the_board(studio: ImportHub) -> None:
    plan = make_plan(studio, "Studio")
    to = find_proposal(studio, plan, "Inside")
    before = find_files(studio, plan, "IMG_2.jpg")[0]
    changes.move_files(studio.session, plan, find_files(studio, plan, "mill_2.jpg"), to, before)
    changes.include_files(
        studio.session, plan, find_files(studio, plan, "harbour-front.jpg"), False
    )
    job = plans.start_import(studio.session, plan, studio.user_id, False)
    job_id = job.id
    studio.session.commit()
    assert studio.work(job_id) == ["done"] * 5
    groups = studio.session.query(Group).order_by(Group.sort_key.desc()).all()
    assert [(group.title, group.state) for group in groups] == [
        ("Studio", "draft"),
        ("Inside", "draft"),
    ]
    names = [
        [image.name for image in sorted(studio.list_images(group.id), key=lambda i: i.position)]
        for group in groups
    ]
    assert names == [["harbour-back.jpg", "mill_1.jpg"], ["IMG_1.jpg", "mill_2.jpg", "IMG_2.jpg"]]
    with pytest.raises(ConflictError):
        plans.start_import(studio.session, plan, studio.user_id, True)


def test_a_plan_can_add_to_an_existing_group(studio: ImportHub) -> None:
    studio.work(studio.create(studio.put_pictures("Old", 1, first=40)))
    group = studio.get_only_group()
    plan = make_plan(studio, "Studio")
    proposals.propose(studio.session, plan, "existing", group.id)
    job_id = plans.start_import(studio.session, plan, None, True).id
    studio.session.commit()
    studio.work(job_id)
    assert len(studio.list_images(group.id)) == 7
    assert studio.get_only_group().title == "Old"


MANY = 2_000


def test_thousands_of_images_become_a_group_each_in_few_statements(either_site: Site) -> None:
    either_site.add_group()
    with either_site.session() as session, count_statements() as counted:
        account = session.query(DriveAccount).one()
        plan = plans.create_plan(session, account.id, None, ["f"], [])
        files = [
            {
                "plan_id": plan.id,
                "position": n,
                "drive_item_id": f"file-{n}",
                "file_name": f"{n:05}.jpg",
                "folder_id": "f",
                "folder_name": "Thousands",
                "quick_xor_hash": f"hash-{n}",
            }
            for n in range(MANY)
        ]
        session.execute(insert(ImportPlanFile), files)
        plan.state = "ready"
        for step in (
            lambda: proposals.propose(session, plan, "one"),
            lambda: check_tail(session, plan),
            lambda: changes.split_proposal(session, plan, find_first(session, plan)),
            lambda: proposals.propose(session, plan, "each"),
            lambda: plans.describe_plan(session, plan),
            lambda: proposals.list_bins(session, plan),
            lambda: plans.start_import(session, plan, None, True),
        ):
            counted.clear()
            step()
            session.flush()
            # SQLite needs no way to the server, and is told of each new group by itself.
            others = [one for one in counted if not one.startswith("INSERT INTO image_group")]
            assert len(others) < 30 * MANY / 1000, others[-1][:200]
            is_sqlite = session.get_bind().dialect.name == "sqlite"
            assert is_sqlite or len(counted) < 30 * MANY / 1000
        job = session.get_one(ImportJob, plan.job_id)
        assert job.item_count == MANY
        items = session.execute(
            select(
                func.count(ImportItem.group_id.distinct()),
                func.min(ImportItem.number),
                func.max(ImportItem.number),
                func.max(ImportItem.position),
            ).where(ImportItem.job_id == job.id)
        ).one()
        assert tuple(items) == (MANY, 1, 1, 1)
        titles = session.scalars(
            select(Group.title)
            .join(ImportItem, ImportItem.group_id == Group.id)
            .order_by(Group.sort_key.desc())
            .limit(2)
        ).all()
        assert titles == ["00000", "00001"]
        # Numbers are taken: who adds to one of these groups now comes second.
        group_id = session.scalar(select(func.max(ImportItem.group_id)))
        assert session.get_one(Group, group_id).next_image_number == 2


def find_first(session: Session, plan: ImportPlan) -> int:
    return proposals.list_bins(session, plan)[0].proposal.id


def check_tail(session: Session, plan: ImportPlan) -> None:
    """The last pictures of the only group are shown where somebody goes on to them."""
    (one,) = proposals.list_bins(session, plan, whole=find_first(session, plan), first=MANY - 3)
    names = [f"{n:05}.jpg" for n in range(MANY - 3, MANY)]
    assert [file.file_name for file in one.files] == names
