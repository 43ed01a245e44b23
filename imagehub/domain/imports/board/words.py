"""What the files of a board say: accept it for a proposed group, or discard it.

The decisions of a person are kept with the proposal until the import is started. Files for a group
that exists already are left out: its page proposes what they say after the import.
"""

from collections import defaultdict
from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from imagehub.domain.imports.board.proposals import MAX_TITLE_CHARS, get_proposal
from imagehub.domain.imports.decisions import Decision, read_decision, write_decision
from imagehub.domain.imports.plans import lock_plan
from imagehub.domain.library.found_words import Hub, Present, Proposal, make_titles, propose
from imagehub.errors import InvalidInputError
from imagehub.imaging.words import FoundWords as Words
from imagehub.imaging.words import parse_words, write_words
from imagehub.models import ImportPlan, ImportPlanFile, ImportProposal

NOTHING = write_words(Words())
# Files of a group that are asked, in its order.
_FILES_ASKED = 40
_PROPOSALS_AT_ONCE = 200


def list_found(
    session: Session, hub: Hub, plan: ImportPlan, shown: Sequence[ImportProposal]
) -> dict[int, list[Proposal]]:
    """List what the included files of proposed groups say: id of the proposal → values."""
    new = {one.id: one for one in shown if one.group_id is None}
    if not new:
        return {}
    place = func.row_number().over(
        partition_by=ImportPlanFile.proposal_id,
        order_by=(ImportPlanFile.position, ImportPlanFile.id),
    )
    ranked = (
        select(ImportPlanFile.id, place.label("place"))
        .where(
            ImportPlanFile.plan_id == plan.id,
            ImportPlanFile.proposal_id.in_(new),
            ImportPlanFile.is_chosen.is_(True),
            ImportPlanFile.words.is_not(None),
            ImportPlanFile.words != NOTHING,
        )
        .subquery()
    )
    file = ImportPlanFile
    rows: Sequence[Any] = session.execute(
        select(file.proposal_id, file.file_name, file.folder_name, file.words)
        .join(ranked, ranked.c.id == file.id)
        .where(ranked.c.place <= _FILES_ASKED)
        .order_by(file.proposal_id, file.position, file.id)
    ).all()
    files: dict[int, list[tuple[str, str, str]]] = defaultdict(list)
    for proposal_id, file_name, folder_name, words in rows:
        files[proposal_id].append((file_name, folder_name, words))
    found = {}
    for proposal_id, some in files.items():
        proposal = new[proposal_id]
        titles = set().union(*(make_titles(name, folder) for name, folder, _ in some))
        decision = read_decision(proposal.words)
        present = Present(
            fields={**decision.accepted, "title": proposal.title},
            tags=(),
            made_titles=titles,
            hub=hub,
            decided=decision.decided,
        )
        proposals = propose(present, [parse_words(words) for *_, words in some])
        if proposals:
            found[proposal_id] = proposals
    return found


def count_read(session: Session, plan: ImportPlan, last_id: int) -> tuple[int, int]:
    """Count the included files that were looked into, and those that shall be.

    :param last_id: of the last file that shall be.
    """
    asked = (
        ImportPlanFile.plan_id == plan.id,
        ImportPlanFile.is_chosen.is_(True),
        ImportPlanFile.id <= last_id,
    )
    read, total = session.execute(
        select(func.count(ImportPlanFile.words), func.count()).where(*asked)
    ).one()
    return read, total


def decide(
    session: Session,
    hub: Hub,
    plan: ImportPlan,
    proposal_id: int,
    names: Collection[str] | None,
    *,
    is_accepted: bool,
) -> None:
    """Accept or discard what the files of a proposed group say.

    :param names: fields; None for all.
    :raise NotFoundError: there is no such proposal in the plan.
    :raise InvalidInputError: a field is not proposed.
    """
    lock_plan(session, plan)
    proposal = get_proposal(session, plan, proposal_id)
    found = list_found(session, hub, plan, [proposal]).get(proposal_id, [])
    wanted = [one for one in found if names is None or one.name in names]
    if names and not wanted:
        raise InvalidInputError("This is no longer proposed.", dict.fromkeys(names, "unknown"))
    _keep(proposal, wanted, is_accepted=is_accepted)
    plan.version += 1
    session.flush()


def decide_all(session: Session, hub: Hub, plan: ImportPlan, *, is_accepted: bool) -> None:
    """Accept or discard all that the files of a plan say."""
    lock_plan(session, plan)
    after = 0
    while True:
        some = session.scalars(
            select(ImportProposal)
            .where(ImportProposal.plan_id == plan.id, ImportProposal.id > after)
            .order_by(ImportProposal.id)
            .limit(_PROPOSALS_AT_ONCE)
        ).all()
        if not some:
            break
        after = some[-1].id
        found = list_found(session, hub, plan, some)
        for proposal in some:
            _keep(proposal, found.get(proposal.id, ()), is_accepted=is_accepted)
    plan.version += 1
    session.flush()


def _keep(proposal: ImportProposal, wanted: Sequence[Proposal], *, is_accepted: bool) -> None:
    if not wanted:
        return
    decision = read_decision(proposal.words)
    accepted = dict(decision.accepted)
    if is_accepted:
        for one in wanted:
            if one.name == "title":
                proposal.title = one.value[:MAX_TITLE_CHARS]
            else:
                accepted[one.name] = one.value
    decided = dict.fromkeys([*decision.decided, *(one.name for one in wanted)])
    proposal.words = write_decision(Decision(accepted, list(decided)))
