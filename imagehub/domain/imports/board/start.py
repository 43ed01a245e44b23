"""Start the import of a plan: make its groups and an import job."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby

from sqlalchemy import select
from sqlalchemy.orm import Session

from imagehub.database import get_database_time
from imagehub.domain.imports.jobs import Selection, add_groups, create_import
from imagehub.domain.imports.plans import check_account, check_open, lock_plan
from imagehub.domain.library.groups import get_group
from imagehub.errors import InvalidInputError
from imagehub.models import Group, ImportJob, ImportPlan, ImportPlanFile, ImportProposal


def start_import(
    session: Session, plan: ImportPlan, user_id: int | None, is_published: bool
) -> ImportJob:
    """Make the groups of a board and an import job of its included files.

    The first group of the board comes first in the gallery.

    :raise ConflictError: the import was started already, the plan is still being read, or another
        OneDrive is connected.
    :raise InvalidInputError: no file is included.
    :raise NotFoundError: a group to add to is gone.
    """
    check_account(session, plan)
    lock_plan(session, plan)
    check_open(plan)
    rows = session.execute(
        select(ImportPlanFile, ImportProposal)
        .join(ImportProposal, ImportProposal.id == ImportPlanFile.proposal_id)
        .where(ImportPlanFile.plan_id == plan.id, ImportPlanFile.is_chosen.is_(True))
        .order_by(
            ImportProposal.position, ImportProposal.id, ImportPlanFile.position, ImportPlanFile.id
        )
    ).all()
    if not rows:
        raise InvalidInputError("No file is included in this import.", {"file": "is empty"})
    bins: dict[ImportProposal, list[ImportPlanFile]] = defaultdict(list)
    for file, proposal in rows:
        bins[proposal].append(file)
    groups = _make_groups(session, bins, "published" if is_published else "draft")
    selections = [
        selection
        for proposal, files in bins.items()
        for selection in _make_selections(groups[proposal], files)
    ]
    job = create_import(session, plan.drive_account_id, user_id, selections)
    plan.state, plan.job_id, plan.is_published = "started", job.id, is_published
    session.flush()
    return job


def _make_groups(
    session: Session, bins: Mapping[ImportProposal, Sequence[ImportPlanFile]], state: str
) -> dict[ImportProposal, int]:
    """Map each proposal to the id of its group; make the new groups."""
    now = get_database_time(session)
    groups: dict[ImportProposal, Group] = {}
    for proposal, files in bins.items():
        if proposal.group_id is not None:
            groups[proposal] = get_group(session, proposal.group_id)
        else:
            folder = files[0].folder_name
            groups[proposal] = Group(
                state=state, title=proposal.title, folder_name=folder, created_at=now
            )
    new = [group for proposal, group in groups.items() if proposal.group_id is None]
    add_groups(session, new, is_first_on_top=True)
    return {proposal: group.id for proposal, group in groups.items()}


def _make_selections(group: int, files: Sequence[ImportPlanFile]) -> Iterator[Selection]:
    """Yield runs of files of the same folder, so that the order of the board stays."""
    for folder_id, same in groupby(files, key=lambda file: file.folder_id):
        run = list(same)
        ids_and_names = [(file.drive_item_id, file.file_name) for file in run]
        yield Selection(folder_id, run[-1].folder_name, group, ids_and_names)
