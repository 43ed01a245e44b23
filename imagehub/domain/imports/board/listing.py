"""List the proposals of a board with their files, and find one by its title."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import case, func, or_, select
from sqlalchemy.orm import Session

from imagehub.errors import InvalidInputError
from imagehub.messages import Message
from imagehub.models import ImportPlan, ImportPlanFile, ImportProposal

BINS_PER_PAGE = 60
FILES_SHOWN = 120
FILES_SHOWN_WHOLE = 1000
TITLES_LISTED = 1000


@dataclass(frozen=True)
class Bin:
    """A proposal with some of its files.

    ``files`` holds the first ``FILES_SHOWN``; if ``is_whole``, up to ``FILES_SHOWN_WHOLE`` from the
    place ``first`` on (0 is the first). ``file_count`` counts all files, ``chosen_count`` those to
    be imported.
    """

    proposal: ImportProposal
    files: Sequence[ImportPlanFile]
    file_count: int
    chosen_count: int
    first: int = 0
    is_whole: bool = False


def list_bins(
    session: Session,
    plan: ImportPlan,
    after: int = 0,
    limit: int = BINS_PER_PAGE,
    whole: int = 0,
    first: int = 0,
) -> Sequence[Bin]:
    """List a page of proposals in order.

    :param after: the position of the last proposal on the previous page.
    :param whole: the id of a proposal to show with up to ``FILES_SHOWN_WHOLE`` files.
    :param first: the place of the first file shown of that proposal.
    """
    proposals = session.scalars(
        select(ImportProposal)
        .where(ImportProposal.plan_id == plan.id, ImportProposal.position > after)
        .order_by(ImportProposal.position, ImportProposal.id)
        .limit(limit)
    ).all()
    if not proposals:
        return ()
    ids = [proposal.id for proposal in proposals]
    counts = {
        row[0]: (row[1], int(row[2]))
        for row in session.execute(
            select(
                ImportPlanFile.proposal_id,
                func.count(),
                func.sum(case((ImportPlanFile.is_chosen, 1), else_=0)),
            )
            .where(ImportPlanFile.plan_id == plan.id, ImportPlanFile.proposal_id.in_(ids))
            .group_by(ImportPlanFile.proposal_id)
        )
    }
    ranked = (
        select(
            ImportPlanFile.id,
            func.row_number()
            .over(
                partition_by=ImportPlanFile.proposal_id,
                order_by=(ImportPlanFile.position, ImportPlanFile.id),
            )
            .label("place"),
        )
        .where(ImportPlanFile.plan_id == plan.id, ImportPlanFile.proposal_id.in_(ids))
        .subquery()
    )
    files: dict[int | None, list[ImportPlanFile]] = defaultdict(list)
    for file in session.scalars(
        select(ImportPlanFile)
        .join(ranked, ranked.c.id == ImportPlanFile.id)
        .where(
            case(
                (
                    ImportPlanFile.proposal_id == whole,
                    ranked.c.place.between(first + 1, first + FILES_SHOWN_WHOLE),
                ),
                else_=ranked.c.place <= FILES_SHOWN,
            )
        )
        .order_by(ImportPlanFile.position, ImportPlanFile.id)
    ):
        files[file.proposal_id].append(file)
    return [
        Bin(
            one,
            files[one.id],
            *counts.get(one.id, (0, 0)),
            first=first if one.id == whole else 0,
            is_whole=one.id == whole,
        )
        for one in proposals
    ]


def list_titles(session: Session, plan: ImportPlan) -> Sequence[str]:
    """List the titles of the first ``TITLES_LISTED`` proposals in order."""
    return session.scalars(
        select(ImportProposal.title)
        .where(ImportProposal.plan_id == plan.id, ImportProposal.title != "")
        .order_by(ImportProposal.position, ImportProposal.id)
        .limit(TITLES_LISTED)
    ).all()


def get_proposal_by_title(session: Session, plan: ImportPlan, title: str) -> int:
    """Return the id of the only proposal with this title; upper and lower case are equal.

    :raise InvalidInputError: there is none, or more than one.
    """
    wanted = " ".join(title.split())
    found = session.scalars(
        select(ImportProposal.id)
        .where(
            ImportProposal.plan_id == plan.id,
            or_(ImportProposal.title == wanted, func.lower(ImportProposal.title) == wanted.lower()),
        )
        .limit(2)
    ).all()
    if not found:
        raise InvalidInputError(
            Message("No group in this plan is called “%(title)s”.", title=wanted), {"to": "unknown"}
        )
    if len(found) > 1:
        raise InvalidInputError(
            Message(
                "Several groups are called “%(title)s”. Rename one of them first.", title=wanted
            ),
            {"to": "ambiguous"},
        )
    return found[0]
