"""Undo changes of a board: compare layouts and restore the earlier one."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from imagehub.domain.imports.board.proposals import (
    MAX_TITLE_CHARS,
    delete_empty_proposals,
    get_files,
    get_proposal,
)
from imagehub.domain.imports.jobs import MAX_FILES
from imagehub.domain.imports.plans import lock_plan
from imagehub.domain.imports.verdicts import VERDICTS
from imagehub.errors import ConflictError, NotFoundError
from imagehub.models import ImportPlan, ImportPlanFile, ImportProposal


@dataclass(frozen=True)
class Layout:
    """The arrangement of a board.

    ``proposals``: proposal id → (position, title, id of the group to add to). ``files``: file id →
    (proposal id, position, whether it will be imported).
    """

    proposals: Mapping[int, tuple[int, str, int | None]]
    files: Mapping[int, tuple[int | None, int, bool]]


def read_layout(session: Session, plan: ImportPlan) -> Layout:
    """Read the arrangement of a board."""
    session.flush()
    own = ImportProposal
    proposals = session.execute(
        select(own.id, own.position, own.title, own.group_id).where(own.plan_id == plan.id)
    )
    file = ImportPlanFile
    files = session.execute(
        select(file.id, file.proposal_id, file.position, file.is_chosen).where(
            file.plan_id == plan.id
        )
    )
    return Layout(
        {row.id: (row.position, row.title, row.group_id) for row in proposals},
        {row.id: (row.proposal_id, row.position, row.is_chosen) for row in files},
    )


def compare_layouts(before: Layout, after: Layout) -> Layout:
    """Return the part of ``before`` that changed, for :func:`restore_layout`."""
    return Layout(
        {key: one for key, one in before.proposals.items() if after.proposals.get(key) != one},
        {key: one for key, one in before.files.items() if after.files.get(key) != one},
    )


def restore_layout(session: Session, plan: ImportPlan, version: int, layout: Layout) -> None:
    """Restore proposals and files; proposals that are empty afterwards are deleted.

    :param version: the version of the plan after the change that is undone.
    :raise ConflictError: the plan was changed since.
    :raise NotFoundError: a file or proposal does not belong to this plan.
    """
    lock_plan(session, plan)
    if plan.version != version:
        raise ConflictError("The plan has changed since then, so this can no longer be undone.")
    there = set(session.scalars(select(ImportProposal.id).where(ImportProposal.plan_id == plan.id)))
    highest = session.scalar(select(func.max(ImportProposal.id))) or 0
    for proposal_id, (position, title, group_id) in layout.proposals.items():
        if proposal_id in there:
            proposal = get_proposal(session, plan, proposal_id)
        # A deleted proposal gets its old id back, which no other plan may use by now.
        elif not 0 < proposal_id <= highest + MAX_FILES or (
            session.get(ImportProposal, proposal_id) is not None
        ):
            raise NotFoundError("proposed group", proposal_id)
        else:
            proposal = ImportProposal(id=proposal_id, plan_id=plan.id)
            session.add(proposal)
            there.add(proposal_id)
        proposal.position, proposal.title = position, title[:MAX_TITLE_CHARS]
        proposal.group_id = group_id
    session.flush()
    if layout.files:
        for file in get_files(session, plan, list(layout.files)):
            proposal_to, file.position, is_chosen = layout.files[file.id]
            if proposal_to is not None and proposal_to not in there:
                raise NotFoundError("proposed group", proposal_to)
            file.proposal_id = proposal_to
            file.is_chosen = is_chosen and VERDICTS[file.verdict].is_importable
    delete_empty_proposals(session, plan)
    plan.version += 1
