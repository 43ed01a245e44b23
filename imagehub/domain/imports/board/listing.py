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
    first: int
    is_whole: bool


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
    proposal_id, order = ImportPlanFile.proposal_id, (ImportPlanFile.position, ImportPlanFile.id)
    own = (
        ImportPlanFile.plan_id == plan.id,
        proposal_id.in_([proposal.id for proposal in proposals]),
    )
    chosen = func.sum(case((ImportPlanFile.is_chosen, 1), else_=0))
    counts = {
        row[0]: (row[1], int(row[2]))
        for row in session.execute(
            select(proposal_id, func.count(), chosen).where(*own).group_by(proposal_id)
        )
    }
    place = func.row_number().over(partition_by=proposal_id, order_by=order).label("place")
    ranked = select(ImportPlanFile.id, place).where(*own).subquery()
    is_part = ranked.c.place.between(first + 1, first + FILES_SHOWN_WHOLE)
    files: dict[int | None, list[ImportPlanFile]] = defaultdict(list)
    for file in session.scalars(
        select(ImportPlanFile)
        .join(ranked, ranked.c.id == ImportPlanFile.id)
        .where(case((proposal_id == whole, is_part), else_=ranked.c.place <= FILES_SHOWN))
        .order_by(*order)
    ):
        files[file.proposal_id].append(file)
    bins = []
    for one in proposals:
        is_whole = one.id == whole
        file_counts = counts.get(one.id, (0, 0))
        bins.append(Bin(one, files[one.id], *file_counts, first if is_whole else 0, is_whole))
    return bins


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
    is_called = or_(
        ImportProposal.title == wanted, func.lower(ImportProposal.title) == wanted.lower()
    )
    query = select(ImportProposal.id).where(ImportProposal.plan_id == plan.id, is_called)
    found = session.scalars(query.limit(2)).all()
    if not found:
        words = Message("No group in this plan is called “%(title)s”.", title=wanted)
        raise InvalidInputError(words, {"to": "unknown"})
    if len(found) > 1:
        words = Message(
            "Several groups are called “%(title)s”. Rename one of them first.", title=wanted
        )
        raise InvalidInputError(words, {"to": "ambiguous"})
    return found[0]
