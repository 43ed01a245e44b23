"""Arrange a board: rename, join and split proposals, move files, include them; undo changes.

Functions that get the id of a file or proposal raise NotFoundError if it is not in the plan.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, func, select, update
from sqlalchemy.orm import Session

from imagehub.domain.file_names import make_file_title, make_work_title
from imagehub.domain.imports.board.proposals import (
    MAX_TITLE_CHARS,
    add_proposals,
    delete_empty_proposals,
    get_files,
    get_proposal,
    place_files,
    shift_proposals,
)
from imagehub.domain.imports.decisions import read_decision, write_decision
from imagehub.domain.imports.jobs import MAX_FILES
from imagehub.domain.imports.plans import lock_plan
from imagehub.domain.imports.verdicts import IMPORTABLE, VERDICTS
from imagehub.errors import ConflictError, InvalidInputError, NotFoundError
from imagehub.models import ImportPlan, ImportPlanFile, ImportProposal


def rename_proposal(session: Session, plan: ImportPlan, proposal_id: int, title: str) -> None:
    """Give a new group another title; a group that exists already keeps its own."""
    lock_plan(session, plan)
    proposal = get_proposal(session, plan, proposal_id)
    fresh = " ".join(title.split())[:MAX_TITLE_CHARS]
    if proposal.group_id is None and proposal.title != fresh:
        proposal.title = fresh
        plan.version += 1


def move_files(
    session: Session,
    plan: ImportPlan,
    file_ids: Sequence[int],
    to: int | None,
    before: int | None = None,
) -> int:
    """Move files into another proposal, or into a new one; empty proposals are deleted.

    :param to: a proposal's id; None makes a new one, right after that of the first file.
    :param before: the file to put them before; None puts them at the end.
    :return: the proposal's id.
    """
    lock_plan(session, plan)
    files = get_files(session, plan, file_ids)
    if to is None:
        first = files[0]
        source = session.get(ImportProposal, first.proposal_id) if first.proposal_id else None
        after = source.position if source else 0
        shift_proposals(session, plan, after, 1)
        (to,) = add_proposals(session, plan, after + 1, [make_work_title(first.file_name)])
    target = get_proposal(session, plan, to)
    moved = {file.id for file in files}
    others = [file for file in _list_files(session, target) if file.id not in moved]
    at = next((n for n, file in enumerate(others) if file.id == before), len(others))
    _fill(target, others[:at] + files + others[at:])
    delete_empty_proposals(session, plan)
    plan.version += 1
    return target.id


def join_with_previous(session: Session, plan: ImportPlan, proposal_id: int) -> None:
    """Move the files of a proposal to the end of the one before it.

    :raise InvalidInputError: it is the first.
    """
    lock_plan(session, plan)
    proposal = get_proposal(session, plan, proposal_id)
    previous = session.scalars(
        select(ImportProposal)
        .where(ImportProposal.plan_id == plan.id, ImportProposal.position < proposal.position)
        .order_by(ImportProposal.position.desc(), ImportProposal.id.desc())
        .limit(1)
    ).first()
    if previous is None:
        raise InvalidInputError("There is no group before this one.")
    _fill(previous, [*_list_files(session, previous), *_list_files(session, proposal)])
    delete_empty_proposals(session, plan)
    plan.version += 1


def split_proposal(session: Session, plan: ImportPlan, proposal_id: int) -> None:
    """Make a proposal of each file; the first file stays where it is."""
    lock_plan(session, plan)
    proposal = get_proposal(session, plan, proposal_id)
    files = session.execute(
        select(ImportPlanFile.id, ImportPlanFile.file_name)
        .where(ImportPlanFile.plan_id == plan.id, ImportPlanFile.proposal_id == proposal.id)
        .order_by(ImportPlanFile.position, ImportPlanFile.id)
    ).all()[1:]
    first = proposal.position + 1
    shift_proposals(session, plan, proposal.position, len(files))
    fresh = add_proposals(session, plan, first, [make_file_title(file.file_name) for file in files])
    places = [(file.id, proposal_id, 1) for file, proposal_id in zip(files, fresh, strict=True)]
    place_files(session, places)
    plan.version += 1


def include_files(
    session: Session, plan: ImportPlan, file_ids: Sequence[int], is_included: bool
) -> None:
    """Include files in the import or exclude them. What cannot be imported stays excluded."""
    lock_plan(session, plan)
    for file in get_files(session, plan, file_ids):
        file.is_chosen = is_included and VERDICTS[file.verdict].is_importable
    plan.version += 1


def include_proposal(
    session: Session, plan: ImportPlan, proposal_id: int, is_included: bool
) -> None:
    """Include the files of a proposal or exclude them.

    Files that the plan excluded at first, such as duplicates, are included only if the proposal has
    no others.
    """
    lock_plan(session, plan)
    get_proposal(session, plan, proposal_id)
    own = (ImportPlanFile.plan_id == plan.id, ImportPlanFile.proposal_id == proposal_id)
    fresh = [verdict for verdict in IMPORTABLE if not VERDICTS[verdict].is_excluded]
    has_fresh = session.scalar(
        select(ImportPlanFile.id).where(*own, ImportPlanFile.verdict.in_(fresh)).limit(1)
    )
    verdicts = fresh if is_included and has_fresh is not None else IMPORTABLE
    _include(session, plan, is_included, *own, ImportPlanFile.verdict.in_(verdicts))


def include_verdict(session: Session, plan: ImportPlan, verdict: str, is_included: bool) -> None:
    """Include all files of a verdict or exclude them.

    :raise InvalidInputError: no such verdict, or its files cannot be imported.
    """
    if verdict not in IMPORTABLE:
        raise InvalidInputError("These files cannot be imported.", {"verdict": "unknown"})
    lock_plan(session, plan)
    own = ImportPlanFile.plan_id == plan.id
    _include(session, plan, is_included, own, ImportPlanFile.verdict == verdict)


def _include(
    session: Session, plan: ImportPlan, is_included: bool, *chosen: ColumnElement[bool]
) -> None:
    session.execute(
        update(ImportPlanFile)
        .where(*chosen)
        .values(is_chosen=is_included)
        .execution_options(synchronize_session="fetch")
    )
    plan.version += 1


def _list_files(session: Session, proposal: ImportProposal) -> Sequence[ImportPlanFile]:
    own = (
        ImportPlanFile.plan_id == proposal.plan_id,
        ImportPlanFile.proposal_id == proposal.id,
    )
    order = (ImportPlanFile.position, ImportPlanFile.id)
    return session.scalars(select(ImportPlanFile).where(*own).order_by(*order)).all()


def _fill(proposal: ImportProposal, files: Sequence[ImportPlanFile]) -> None:
    for position, file in enumerate(files, start=1):
        file.proposal_id, file.position = proposal.id, position


# --- Undo -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Layout:
    """The arrangement of a board.

    ``proposals``: proposal id → (position, title, id of the group to add to, what was decided about
    the words of the files). ``files``: file id →
    (proposal id, position, whether it will be imported).
    """

    proposals: Mapping[int, tuple[int, str, int | None, str | None]]
    files: Mapping[int, tuple[int | None, int, bool]]


def read_layout(session: Session, plan: ImportPlan) -> Layout:
    """Read the arrangement of a board."""
    session.flush()
    one, file = ImportProposal, ImportPlanFile
    proposals = select(one.id, one.position, one.title, one.group_id, one.words).where(
        one.plan_id == plan.id
    )
    files = select(file.id, file.proposal_id, file.position, file.is_chosen).where(
        file.plan_id == plan.id
    )
    return Layout(
        {
            row.id: (row.position, row.title, row.group_id, row.words)
            for row in session.execute(proposals)
        },
        {row.id: (row.proposal_id, row.position, row.is_chosen) for row in session.execute(files)},
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
    """
    lock_plan(session, plan)
    if plan.version != version:
        raise ConflictError("The plan has changed since then, so this can no longer be undone.")
    there = set(session.scalars(select(ImportProposal.id).where(ImportProposal.plan_id == plan.id)))
    highest = session.scalar(select(func.max(ImportProposal.id))) or 0
    for proposal_id, (position, title, group_id, words) in layout.proposals.items():
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
        # It comes back from a browser.
        proposal.words = write_decision(read_decision(words)) if words else None
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
