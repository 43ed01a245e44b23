"""The board of an import plan: proposed groups, arranged by a person, then made real.

Each change locks the plan and raises its version. :func:`start_import` turns the board into groups
and an import job.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import case, delete, func, insert, or_, select, update
from sqlalchemy.orm import Session

from imagehub.database import MAX_ID, get_database_time, make_batches
from imagehub.domain.imports.grouping import (
    WAYS,
    FileFacts,
    begin_large,
    make_bundles,
    make_title,
    split_stem,
)
from imagehub.domain.imports.jobs import MAX_FILES, Selection, create_import
from imagehub.domain.imports.plans import (
    UNUSABLE,
    VERDICTS,
    check_open,
    get_living_group,
    lock_plan,
)
from imagehub.domain.library.order import SORT_STEP, make_first_sort_key
from imagehub.domain.library.search_index import add_to_search
from imagehub.errors import ConflictError, InvalidInputError, NotFoundError
from imagehub.models import Group, ImportJob, ImportPlan, ImportPlanFile, ImportProposal

BINS_PER_PAGE = 60
FILES_SHOWN = 120
FILES_SHOWN_WHOLE = 1000
TITLES_LISTED = 1000
MAX_TITLE_CHARS = 300

# --- Laying out -----------------------------------------------------------------------------------


def propose(session: Session, plan: ImportPlan, way: str, target_group: int | None = None) -> None:
    """Lay the board out anew: proposals by one of :data:`WAYS`.

    :raise InvalidInputError: no such way, or ``existing`` without a group.
    :raise NotFoundError: there is no such group.
    """
    if way not in WAYS:
        raise InvalidInputError("There is no such way to make groups.", {"way": "unknown"})
    target = None
    if way == "existing":
        if target_group is None:
            raise InvalidInputError("Choose the group to add to.", {"group": "is empty"})
        target = get_living_group(session, target_group)
    lock_plan(session, plan)
    session.execute(delete(ImportProposal).where(ImportProposal.plan_id == plan.id))
    rows = session.execute(
        select(
            ImportPlanFile.id,
            ImportPlanFile.file_name,
            ImportPlanFile.folder_id,
            ImportPlanFile.folder_name,
            ImportPlanFile.taken_at,
        )
        .where(
            ImportPlanFile.plan_id == plan.id,
            ImportPlanFile.verdict.not_in(UNUSABLE),
        )
        # In the order in which they were read; their positions are those of the board before.
        .order_by(ImportPlanFile.id)
    )
    bundles = make_bundles(way, [FileFacts(*row) for row in rows])
    if target is not None:
        bundles = [(target.title, files) for _, files in bundles]
    proposal_ids = _add_proposals(
        session, plan, 1, [title for title, _ in bundles], target.id if target else None
    )
    _place_files(
        session,
        [
            (file.id, proposal_id, position)
            for proposal_id, (_, files) in zip(proposal_ids, bundles, strict=True)
            for position, file in enumerate(files, start=1)
        ],
    )
    plan.way = way
    plan.version += 1
    session.flush()


def lay_out(session: Session, plan: ImportPlan) -> None:
    """Lay the board out for the first time, as the plan asks for from its beginning."""
    target = session.scalars(
        select(ImportProposal.group_id).where(
            ImportProposal.plan_id == plan.id, ImportProposal.group_id.is_not(None)
        )
    ).first()
    propose(session, plan, plan.way, target)


def _add_proposals(
    session: Session,
    plan: ImportPlan,
    first: int,
    titles: Sequence[str],
    group_id: int | None = None,
) -> Sequence[int]:
    """New proposals at positions from ``first`` on, which must be free; their ids in order."""
    if not titles:
        return ()
    rows = [
        {
            "plan_id": plan.id,
            "position": position,
            "title": title[:MAX_TITLE_CHARS],
            "group_id": group_id,
        }
        for position, title in enumerate(titles, start=first)
    ]
    session.execute(insert(ImportProposal), rows)
    return session.scalars(
        select(ImportProposal.id)
        .where(
            ImportProposal.plan_id == plan.id,
            ImportProposal.position.between(first, first + len(titles) - 1),
        )
        .order_by(ImportProposal.position)
    ).all()


def _place_files(session: Session, places: Sequence[tuple[int, int, int]]) -> None:
    """Put files into proposals: (file id, proposal id, position); one statement for 500 of them."""
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


# --- Looking at it --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Bin:
    """A proposal with its files: at most ``FILES_SHOWN`` are loaded, or ``FILES_SHOWN_WHOLE`` from
    the place ``first`` on (0 is the first) where it ``is_whole``; ``file_count`` counts all that
    lie in it, ``chosen_count`` those to be imported."""

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
    """A page of the board's proposals, in order.

    :param after: the position of the proposal that the page before ended with.
    :param whole: the id of a proposal of which more is wanted than a glance,
    :param first: from this place on.
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
    """The titles of the board's first ``TITLES_LISTED`` proposals, in order."""
    return session.scalars(
        select(ImportProposal.title)
        .where(ImportProposal.plan_id == plan.id, ImportProposal.title != "")
        .order_by(ImportProposal.position, ImportProposal.id)
        .limit(TITLES_LISTED)
    ).all()


def get_proposal_by_title(session: Session, plan: ImportPlan, title: str) -> int:
    """The id of the one proposal of this title, whether its letters are large or small.

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
        raise InvalidInputError(f"No group on the board is called “{wanted}”.", {"to": "unknown"})
    if len(found) > 1:
        raise InvalidInputError(
            f"More than one group is called “{wanted}”. Give the one that you mean another title.",
            {"to": "ambiguous"},
        )
    return found[0]


# --- Arranging ------------------------------------------------------------------------------------


def rename_proposal(session: Session, plan: ImportPlan, proposal_id: int, title: str) -> None:
    """:raise NotFoundError: no such proposal on this board."""
    lock_plan(session, plan)
    proposal = _get_proposal(session, plan, proposal_id)
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
    """Move files into another proposal, or split them off into a new one.

    Proposals that are empty afterwards go.

    :param to: a proposal's id; None makes a new one, right after that of the first file.
    :param before: the file that they shall stand in front of; None puts them at the end.
    :return: the proposal's id.
    :raise NotFoundError: a file or the proposal is not on this board.
    """
    lock_plan(session, plan)
    files = _get_files(session, plan, file_ids)
    if to is None:
        first = files[0]
        source = session.get(ImportProposal, first.proposal_id) if first.proposal_id else None
        title = begin_large(split_stem(first.file_name))
        target = _insert_proposal(session, plan, source.position if source else 0, title)
    else:
        target = _get_proposal(session, plan, to)
    moved = {file.id for file in files}
    others = [
        file
        for file in session.scalars(
            select(ImportPlanFile)
            .where(ImportPlanFile.plan_id == plan.id, ImportPlanFile.proposal_id == target.id)
            .order_by(ImportPlanFile.position, ImportPlanFile.id)
        )
        if file.id not in moved
    ]
    at = next((n for n, file in enumerate(others) if file.id == before), len(others))
    for position, file in enumerate(others[:at] + files + others[at:], start=1):
        file.proposal_id, file.position = target.id, position
    session.flush()
    _drop_empty(session, plan)
    plan.version += 1
    return target.id


def join_proposals(session: Session, plan: ImportPlan, proposal_ids: Sequence[int]) -> int:
    """Put the files of all these proposals into the first of them.

    :raise InvalidInputError: fewer than two.
    :raise NotFoundError: one is not on this board.
    """
    lock_plan(session, plan)
    proposals = sorted(
        (_get_proposal(session, plan, one) for one in dict.fromkeys(proposal_ids)),
        key=lambda one: (one.position, one.id),
    )
    if len(proposals) < 2:
        raise InvalidInputError("Choose at least two groups to join.", {"proposal": "too few"})
    first = proposals[0]
    files = session.scalars(
        select(ImportPlanFile)
        .join(ImportProposal, ImportProposal.id == ImportPlanFile.proposal_id)
        .where(ImportProposal.id.in_([one.id for one in proposals]))
        .order_by(ImportProposal.position, ImportPlanFile.position, ImportPlanFile.id)
    ).all()
    for position, file in enumerate(files, start=1):
        file.proposal_id, file.position = first.id, position
    session.flush()
    _drop_empty(session, plan)
    plan.version += 1
    return first.id


def join_with_previous(session: Session, plan: ImportPlan, proposal_id: int) -> int:
    """Put a proposal's files into the one before it.

    :raise InvalidInputError: it is the first.
    """
    proposal = _get_proposal(session, plan, proposal_id)
    previous = session.scalars(
        select(ImportProposal.id)
        .where(ImportProposal.plan_id == plan.id, ImportProposal.position < proposal.position)
        .order_by(ImportProposal.position.desc(), ImportProposal.id.desc())
        .limit(1)
    ).first()
    if previous is None:
        raise InvalidInputError("There is no group before this one.")
    return join_proposals(session, plan, [previous, proposal_id])


def split_proposal(session: Session, plan: ImportPlan, proposal_id: int) -> None:
    """Make a proposal of each of its files; the first stays where it is.

    :raise NotFoundError: no such proposal on this board.
    """
    lock_plan(session, plan)
    proposal = _get_proposal(session, plan, proposal_id)
    files = session.execute(
        select(ImportPlanFile.id, ImportPlanFile.file_name)
        .where(ImportPlanFile.plan_id == plan.id, ImportPlanFile.proposal_id == proposal.id)
        .order_by(ImportPlanFile.position, ImportPlanFile.id)
    ).all()[1:]
    first = proposal.position + 1
    _shift(session, plan, proposal.position, len(files))
    fresh = _add_proposals(session, plan, first, [make_title(file.file_name) for file in files])
    places = [(file.id, proposal_id, 1) for file, proposal_id in zip(files, fresh, strict=True)]
    _place_files(session, places)
    plan.version += 1


def choose_files(
    session: Session, plan: ImportPlan, file_ids: Sequence[int], is_chosen: bool
) -> None:
    """Take files into the import, or leave them out. What cannot be imported stays out.

    :raise NotFoundError: a file is not on this board.
    """
    lock_plan(session, plan)
    for file in _get_files(session, plan, file_ids):
        file.is_chosen = is_chosen and VERDICTS[file.verdict][2]
    plan.version += 1


def choose_proposal(session: Session, plan: ImportPlan, proposal_id: int, is_chosen: bool) -> None:
    """Leave out a whole proposal, or take it in again.

    Files that the plan left out from the first, since the hub has them, are taken in only where
    there are no others.

    :raise NotFoundError: no such proposal on this board.
    """
    lock_plan(session, plan)
    _get_proposal(session, plan, proposal_id)
    own = (ImportPlanFile.plan_id == plan.id, ImportPlanFile.proposal_id == proposal_id)
    possible = [verdict for verdict, facts in VERDICTS.items() if facts[2]]
    fresh = [verdict for verdict in possible if not VERDICTS[verdict][1]]
    has_fresh = session.scalar(
        select(ImportPlanFile.id).where(*own, ImportPlanFile.verdict.in_(fresh)).limit(1)
    )
    verdicts = fresh if is_chosen and has_fresh is not None else possible
    session.execute(
        update(ImportPlanFile)
        .where(*own, ImportPlanFile.verdict.in_(verdicts))
        .values(is_chosen=is_chosen)
        .execution_options(synchronize_session="fetch")
    )
    plan.version += 1


def choose_verdict(session: Session, plan: ImportPlan, verdict: str, is_chosen: bool) -> None:
    """Take in or leave out all files that the same thing stands against.

    :raise InvalidInputError: no such verdict, or one that nothing helps against.
    """
    if verdict not in VERDICTS or not VERDICTS[verdict][2]:
        raise InvalidInputError("These files cannot be imported.", {"verdict": "unknown"})
    lock_plan(session, plan)
    session.execute(
        update(ImportPlanFile)
        .where(ImportPlanFile.plan_id == plan.id, ImportPlanFile.verdict == verdict)
        .values(is_chosen=is_chosen)
        .execution_options(synchronize_session="fetch")
    )
    plan.version += 1


# --- Taking back ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Layout:
    """How a board is arranged: proposal id → (position, title, group to add to), and
    file id → (proposal id, position, whether it comes in)."""

    proposals: Mapping[int, tuple[int, str, int | None]]
    files: Mapping[int, tuple[int | None, int, bool]]


def read_layout(session: Session, plan: ImportPlan) -> Layout:
    """The board as it is now."""
    session.flush()
    proposals = session.execute(
        select(
            ImportProposal.id,
            ImportProposal.position,
            ImportProposal.title,
            ImportProposal.group_id,
        ).where(ImportProposal.plan_id == plan.id)
    )
    files = session.execute(
        select(
            ImportPlanFile.id,
            ImportPlanFile.proposal_id,
            ImportPlanFile.position,
            ImportPlanFile.is_chosen,
        ).where(ImportPlanFile.plan_id == plan.id)
    )
    return Layout(
        {row.id: (row.position, row.title, row.group_id) for row in proposals},
        {row.id: (row.proposal_id, row.position, row.is_chosen) for row in files},
    )


def compare_layouts(before: Layout, after: Layout) -> Layout:
    """What of ``before`` is no longer so: the part that :func:`restore_layout` needs."""
    return Layout(
        {key: one for key, one in before.proposals.items() if after.proposals.get(key) != one},
        {key: one for key, one in before.files.items() if after.files.get(key) != one},
    )


def restore_layout(session: Session, plan: ImportPlan, version: int, layout: Layout) -> None:
    """Put proposals and files back as they were; proposals that are empty then go.

    :param version: the board's version that the change to be taken back led to.
    :raise ConflictError: the board was changed since.
    :raise NotFoundError: a file or proposal does not belong to this board.
    """
    lock_plan(session, plan)
    if plan.version != version:
        raise ConflictError("The board was changed since; this cannot be undone any more.")
    there = set(session.scalars(select(ImportProposal.id).where(ImportProposal.plan_id == plan.id)))
    highest = session.scalar(select(func.max(ImportProposal.id))) or 0
    for proposal_id, (position, title, group_id) in layout.proposals.items():
        if proposal_id in there:
            proposal = _get_proposal(session, plan, proposal_id)
        # A proposal comes back under its number, which no other board may have by now.
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
        for file in _get_files(session, plan, list(layout.files)):
            proposal_to, file.position, is_chosen = layout.files[file.id]
            if proposal_to is not None and proposal_to not in there:
                raise NotFoundError("proposed group", proposal_to)
            file.proposal_id = proposal_to
            file.is_chosen = is_chosen and VERDICTS[file.verdict][2]
    session.flush()
    _drop_empty(session, plan)
    plan.version += 1


# --- Parts of changes -----------------------------------------------------------------------------


def _get_proposal(session: Session, plan: ImportPlan, proposal_id: int) -> ImportProposal:
    proposal = session.get(ImportProposal, proposal_id) if 0 < proposal_id <= MAX_ID else None
    if proposal is None or proposal.plan_id != plan.id:
        raise NotFoundError("proposed group", proposal_id)
    return proposal


def _get_files(session: Session, plan: ImportPlan, file_ids: Sequence[int]) -> list[ImportPlanFile]:
    """In the order that they have on the board."""
    wanted = set(file_ids)
    if not wanted:
        raise InvalidInputError("Choose pictures first.", {"file": "is empty"})
    found: list[ImportPlanFile] = []
    for ids in make_batches(sorted(wanted)):
        found += session.scalars(
            select(ImportPlanFile).where(
                ImportPlanFile.plan_id == plan.id, ImportPlanFile.id.in_(ids)
            )
        )
    if len(found) != len(wanted):
        raise NotFoundError("file in this plan", "")
    places = dict(
        session.execute(
            select(ImportProposal.id, ImportProposal.position).where(
                ImportProposal.plan_id == plan.id
            )
        ).all()
    )
    found.sort(key=lambda f: (places.get(f.proposal_id or 0, 0), f.position, f.id))
    return found


def _insert_proposal(session: Session, plan: ImportPlan, after: int, title: str) -> ImportProposal:
    _shift(session, plan, after, 1)
    fresh = ImportProposal(plan_id=plan.id, position=after + 1, title=title[:MAX_TITLE_CHARS])
    session.add(fresh)
    session.flush()
    return fresh


def _shift(session: Session, plan: ImportPlan, after: int, by: int) -> None:
    """Make room for proposals behind a position."""
    session.flush()
    session.execute(
        update(ImportProposal)
        .where(ImportProposal.plan_id == plan.id, ImportProposal.position > after)
        .values(position=ImportProposal.position + by)
        .execution_options(synchronize_session="fetch")
    )


def _drop_empty(session: Session, plan: ImportPlan) -> None:
    is_used = (
        select(ImportPlanFile.id)
        .where(ImportPlanFile.plan_id == plan.id, ImportPlanFile.proposal_id == ImportProposal.id)
        .exists()
    )
    session.execute(
        delete(ImportProposal)
        .where(ImportProposal.plan_id == plan.id, ~is_used)
        .execution_options(synchronize_session="fetch")
    )


# --- Starting -------------------------------------------------------------------------------------


def start_import(
    session: Session, plan: ImportPlan, user_id: int | None, is_published: bool
) -> ImportJob:
    """Make the groups of the board and an import of its chosen files.

    The board's first group comes first in the gallery. The caller commits, and then calls
    ``queue.enqueue_job``.

    :raise ConflictError: it was started already, or is still being read.
    :raise InvalidInputError: no file is chosen.
    :raise NotFoundError: a group to add to is gone.
    """
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
        raise InvalidInputError("No picture is chosen for this import.", {"file": "is empty"})
    bins: dict[int, list[ImportPlanFile]] = defaultdict(list)
    proposals: dict[int, ImportProposal] = {}
    for file, proposal in rows:
        bins[proposal.id].append(file)
        proposals[proposal.id] = proposal
    groups = _make_groups(session, proposals, bins, "published" if is_published else "draft")
    selections = [
        selection
        for proposal_id, files in bins.items()
        for selection in _make_selections(groups[proposal_id], files)
    ]
    job = create_import(session, plan.drive_account_id, user_id, selections)
    plan.state, plan.job_id, plan.is_published = "started", job.id, is_published
    session.flush()
    return job


def _make_groups(
    session: Session,
    proposals: Mapping[int, ImportProposal],
    bins: Mapping[int, Sequence[ImportPlanFile]],
    state: str,
) -> dict[int, int]:
    """Proposal → number of its group, made where it is a new one."""
    numbers: dict[int, int] = {}
    made: dict[int, Group] = {}
    new = [one for one in proposals.values() if one.group_id is None]
    sort_key = make_first_sort_key(session) + SORT_STEP * (len(new) - 1)
    now = get_database_time(session)
    for proposal in proposals.values():
        if proposal.group_id is not None:
            numbers[proposal.id] = get_living_group(session, proposal.group_id).id
            continue
        made[proposal.id] = Group(
            state=state,
            title=proposal.title,
            folder_name=bins[proposal.id][0].folder_name,
            sort_key=sort_key,
            created_at=now,
        )
        session.add(made[proposal.id])
        sort_key -= SORT_STEP
    session.flush()
    for groups in make_batches(made.values()):
        add_to_search(session, [group.id for group in groups])
    return numbers | {proposal_id: group.id for proposal_id, group in made.items()}


def _make_selections(group: int, files: Sequence[ImportPlanFile]) -> Iterator[Selection]:
    """Runs of files of the same folder, so that the order of the board stays."""
    run: list[tuple[str, str]] = []
    for at, file in enumerate(files):
        run.append((file.drive_item_id, file.file_name))
        following = files[at + 1] if at + 1 < len(files) else None
        if following is None or following.folder_id != file.folder_id:
            yield Selection(file.folder_id, file.folder_name, group, tuple(run))
            run = []
