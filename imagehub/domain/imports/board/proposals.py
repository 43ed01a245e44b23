"""Propose the groups of a plan; find, store and list proposals and their files."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import case, delete, exists, func, insert, or_, select, update
from sqlalchemy.orm import Session

from imagehub.database import MAX_ID, make_batches
from imagehub.domain.imports.grouping import WAYS, FileFacts, make_bundles
from imagehub.domain.imports.plans import lock_plan
from imagehub.domain.imports.verdicts import IMPORTABLE
from imagehub.domain.library.groups import get_group
from imagehub.errors import InvalidInputError, NotFoundError
from imagehub.messages import Message
from imagehub.models import ImportPlan, ImportPlanFile, ImportProposal

MAX_TITLE_CHARS = 300
BINS_PER_PAGE = 60
FILES_SHOWN = 120
FILES_SHOWN_WHOLE = 1000
TITLES_LISTED = 1000


def propose(session: Session, plan: ImportPlan, way: str, target_group: int | None = None) -> None:
    """Replace all proposals of a plan by new ones.

    :param way: one of ``grouping.WAYS``.
    :param target_group: the group that ``existing`` adds to.
    :raise InvalidInputError: no such way, or ``existing`` without a group.
    :raise NotFoundError: there is no such group.
    """
    if way not in WAYS:
        raise InvalidInputError("This way of grouping does not exist.", {"way": "unknown"})
    target = None
    if way == "existing":
        if target_group is None:
            raise InvalidInputError("Select the group to add to.", {"group": "is empty"})
        target = get_group(session, target_group)
    lock_plan(session, plan)
    session.execute(delete(ImportProposal).where(ImportProposal.plan_id == plan.id))
    file = ImportPlanFile
    rows = session.execute(
        select(file.id, file.file_name, file.folder_id, file.folder_name, file.taken_at)
        .where(file.plan_id == plan.id, file.verdict.in_(IMPORTABLE))
        # In the order in which they were read; their positions are those of the old proposals.
        .order_by(file.id)
    )
    bundles = make_bundles(way, [FileFacts(*row) for row in rows])
    if target is not None:
        bundles = [(target.title, files) for _, files in bundles]
    titles = [title for title, _ in bundles]
    proposal_ids = add_proposals(session, plan, 1, titles, target.id if target else None)
    places = [
        (facts.id, proposal_id, position)
        for proposal_id, (_, files) in zip(proposal_ids, bundles, strict=True)
        for position, facts in enumerate(files, start=1)
    ]
    place_files(session, places)
    plan.way = way
    plan.version += 1
    session.flush()


def propose_first(session: Session, plan: ImportPlan) -> None:
    """Make the first proposals of a plan, in the way it was created with."""
    target = session.scalars(
        select(ImportProposal.group_id).where(
            ImportProposal.plan_id == plan.id, ImportProposal.group_id.is_not(None)
        )
    ).first()
    propose(session, plan, plan.way, target)


def get_proposal(session: Session, plan: ImportPlan, proposal_id: int) -> ImportProposal:
    """:raise NotFoundError: no such proposal in this plan."""
    proposal = session.get(ImportProposal, proposal_id) if 0 < proposal_id <= MAX_ID else None
    if proposal is None or proposal.plan_id != plan.id:
        raise NotFoundError("proposed group", proposal_id)
    return proposal


def get_files(session: Session, plan: ImportPlan, file_ids: Sequence[int]) -> list[ImportPlanFile]:
    """Load files in the order of the board.

    :raise InvalidInputError: no file is given.
    :raise NotFoundError: a file is not in this plan.
    """
    wanted = set(file_ids)
    if not wanted:
        raise InvalidInputError("Select files first.", {"file": "is empty"})
    found: list[ImportPlanFile] = []
    for ids in make_batches(sorted(wanted)):
        found += session.scalars(
            select(ImportPlanFile).where(
                ImportPlanFile.plan_id == plan.id, ImportPlanFile.id.in_(ids)
            )
        )
    if len(found) != len(wanted):
        raise NotFoundError("file in this plan", "")
    own = ImportProposal.plan_id == plan.id
    rows = session.execute(select(ImportProposal.id, ImportProposal.position).where(own))
    places = dict(rows.all())
    found.sort(key=lambda f: (places.get(f.proposal_id or 0, 0), f.position, f.id))
    return found


def add_proposals(
    session: Session,
    plan: ImportPlan,
    first: int,
    titles: Sequence[str],
    group_id: int | None = None,
) -> Sequence[int]:
    """Insert proposals at positions from ``first`` on, which must be free; return their ids."""
    if not titles:
        return ()
    rows = [
        {"position": position, "title": title[:MAX_TITLE_CHARS]}
        for position, title in enumerate(titles, start=first)
    ]
    same = {"plan_id": plan.id, "group_id": group_id}
    session.execute(insert(ImportProposal), [row | same for row in rows])
    place = ImportProposal.position
    own = (ImportProposal.plan_id == plan.id, place.between(first, first + len(titles) - 1))
    return session.scalars(select(ImportProposal.id).where(*own).order_by(place)).all()


def place_files(session: Session, places: Sequence[tuple[int, int, int]]) -> None:
    """Put files into proposals: (file id, proposal id, position); one statement for 500 files."""
    for batch in make_batches(places):
        proposals = {file_id: proposal_id for file_id, proposal_id, _ in batch}
        positions = {file_id: position for file_id, _, position in batch}
        session.execute(
            update(ImportPlanFile)
            .where(ImportPlanFile.id.in_(proposals))
            .values(
                proposal_id=case(proposals, value=ImportPlanFile.id),
                position=case(positions, value=ImportPlanFile.id),
            )
            .execution_options(synchronize_session=False)
        )
    session.flush()
    session.expire_all()


def shift_proposals(session: Session, plan: ImportPlan, after: int, by: int) -> None:
    """Make room for ``by`` proposals behind a position."""
    session.flush()
    session.execute(
        update(ImportProposal)
        .where(ImportProposal.plan_id == plan.id, ImportProposal.position > after)
        .values(position=ImportProposal.position + by)
        .execution_options(synchronize_session="fetch")
    )


def delete_empty_proposals(session: Session, plan: ImportPlan) -> None:
    """Delete the proposals that hold no file any more."""
    session.flush()
    is_used = exists().where(
        ImportPlanFile.plan_id == plan.id, ImportPlanFile.proposal_id == ImportProposal.id
    )
    session.execute(
        delete(ImportProposal)
        .where(ImportProposal.plan_id == plan.id, ~is_used)
        .execution_options(synchronize_session="fetch")
    )


# --- Listing --------------------------------------------------------------------------------------


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
