"""Create, find, summarise and start import plans.

A plan consists of database rows from the start, so that a reload or a restart loses nothing.
``imports.reading`` fills it; ``imports.board`` arranges its files.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, groupby

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from imagehub.clients.drive_ids import fold_id
from imagehub.database import MAX_ID, count_rows, get_database_time, make_batches
from imagehub.domain.imports.decisions import save_accepted
from imagehub.domain.imports.jobs import Selection, add_groups, create_import
from imagehub.domain.imports.reports import estimate_seconds
from imagehub.domain.imports.verdicts import UNUSABLE
from imagehub.domain.library.groups import get_group
from imagehub.domain.library.series_edit import create_series
from imagehub.domain.library.series_members import add_members
from imagehub.domain.onedrive import accounts
from imagehub.errors import ConflictError, InvalidInputError, NotFoundError
from imagehub.messages import Message
from imagehub.models import (
    DriveAccount,
    Group,
    ImportJob,
    ImportPlan,
    ImportPlanFile,
    ImportProposal,
)

MAX_SELECTED = 2000
PLANS_PER_PAGE = 20
_ITEMS_PER_STEP = 20


def create_plan(
    session: Session,
    account_id: int,
    user_id: int | None,
    folder_ids: Sequence[str],
    item_ids: Sequence[str],
    target_group: int | None = None,
) -> ImportPlan:
    """Create a plan of selected folders and files, without asking OneDrive.

    :param folder_ids: folders, to be read with their subfolders.
    :param item_ids: files; a folder among them is read like the others.
    :param target_group: the group that all images shall be added to.
    :raise InvalidInputError: nothing or too much is selected, or an id cannot be one.
    :raise NotFoundError: there is no such group.
    """
    folders, items = _drop_repeated(folder_ids), _drop_repeated(item_ids)
    if not folders and not items:
        raise InvalidInputError("Select files or folders first.", {"item": "is empty"})
    if len(folders) + len(items) > MAX_SELECTED:
        raise InvalidInputError(
            Message(
                "More than %(limit)s items are selected. Select their folder instead.",
                limit=f"{MAX_SELECTED:,}",
            )
        )
    if any(not one or len(one) > 255 for one in folders + items):
        raise InvalidInputError("This is not a file in OneDrive.", {"item": "unknown"})
    if target_group is not None:
        get_group(session, target_group)
    waiting = [{"folder": one, "page": ""} for one in folders]
    waiting += [{"items": " ".join(batch)} for batch in make_batches(items, _ITEMS_PER_STEP)]
    plan = ImportPlan(
        user_id=user_id,
        drive_account_id=account_id,
        waiting=json.dumps(waiting),
        way="existing" if target_group is not None else "folder",
        created_at=get_database_time(session),
    )
    session.add(plan)
    session.flush()
    if target_group is not None:
        session.add(ImportProposal(plan_id=plan.id, position=1, group_id=target_group))
        session.flush()
    return plan


def _drop_repeated(item_ids: Iterable[str]) -> list[str]:
    first: dict[str, str] = {}
    for one in item_ids:
        first.setdefault(fold_id(one), one)
    return list(first.values())


def get_plan(session: Session, plan_id: int) -> ImportPlan:
    """:raise NotFoundError: no such plan."""
    plan = session.get(ImportPlan, plan_id) if 0 < plan_id <= MAX_ID else None
    if plan is None:
        raise NotFoundError("import plan", plan_id)
    return plan


def list_open_plans(
    session: Session, before: int | None = None, limit: int = PLANS_PER_PAGE
) -> Sequence[ImportPlan]:
    """List plans that were not started, newest first.

    :param before: the id of the last plan on the previous page.
    """
    statement = select(ImportPlan).where(ImportPlan.state.in_(("reading", "ready")))
    if before is not None:
        statement = statement.where(ImportPlan.id < before)
    return session.scalars(statement.order_by(ImportPlan.id.desc()).limit(limit)).all()


def discard_plan(session: Session, plan: ImportPlan) -> None:
    """Delete a plan; nothing in OneDrive or in the library changes."""
    session.execute(delete(ImportPlan).where(ImportPlan.id == plan.id))
    session.expunge(plan)


@dataclass(frozen=True)
class Summary:
    """A plan in numbers.

    ``verdict_counts``: verdict → files. ``seconds``: how long the import will take at the rate of
    the last imports; None before the first import. ``place_count``: chosen files of which OneDrive
    lists the place; ``knows_places``: it does so on this drive.
    """

    file_count: int
    size_bytes: int
    chosen_count: int
    chosen_bytes: int
    group_count: int
    verdict_counts: Counter[str]
    seconds: float | None
    place_count: int = 0
    knows_places: bool = False

    @property
    def unusable_count(self) -> int:
        return sum(self.verdict_counts[verdict] for verdict in UNUSABLE)


def describe_plan(session: Session, plan: ImportPlan) -> Summary:
    """Count the files, bytes and groups of a plan."""
    file = ImportPlanFile
    size = func.coalesce(func.sum(file.size_bytes), 0)
    verdicts, counts, sizes = Counter[str](), Counter[bool](), Counter[bool]()
    for verdict, is_chosen, file_count, size_bytes in session.execute(
        select(file.verdict, file.is_chosen, func.count(), size)
        .where(file.plan_id == plan.id)
        .group_by(file.verdict, file.is_chosen)
    ):
        verdicts[verdict] += file_count
        counts[is_chosen] += file_count
        sizes[is_chosen] += int(size_bytes)
    account = session.get_one(DriveAccount, plan.drive_account_id)
    chosen = (file.plan_id == plan.id, file.is_chosen.is_(True))
    groups = session.scalar(select(func.count(file.proposal_id.distinct())).where(*chosen))
    places = session.scalar(select(func.count()).where(*chosen, file.has_place.is_(True)))
    return Summary(
        file_count=counts.total(),
        size_bytes=sizes.total(),
        chosen_count=counts[True],
        chosen_bytes=sizes[True],
        group_count=groups or 0,
        verdict_counts=verdicts,
        seconds=estimate_seconds(session, counts[True]),
        place_count=places or 0,
        knows_places=account.drive_kind not in ("business", "documentLibrary"),
    )


def list_unusable(session: Session, plan: ImportPlan, limit: int = 200) -> Sequence[ImportPlanFile]:
    """List files that cannot be imported, with their reasons."""
    return session.scalars(
        select(ImportPlanFile)
        .where(ImportPlanFile.plan_id == plan.id, ImportPlanFile.verdict.in_(UNUSABLE))
        .order_by(ImportPlanFile.verdict, ImportPlanFile.id)
        .limit(limit)
    ).all()


def lock_plan(session: Session, plan: ImportPlan) -> None:
    """Lock a plan until the transaction ends, and read it again.

    An UPDATE comes first, so that SQLite waits for other writers here and not later.

    :raise NotFoundError: the plan was discarded in the meantime.
    """
    lock = update(ImportPlan).where(ImportPlan.id == plan.id).values(version=ImportPlan.version)
    if not count_rows(session, lock):
        raise NotFoundError("import plan", plan.id)
    session.refresh(plan)


def check_account(session: Session, plan: ImportPlan) -> None:
    """:raise ConflictError: another OneDrive is connected than that of the plan."""
    if accounts.get_active_account(session).id != plan.drive_account_id:
        raise ConflictError("These files are in a OneDrive that is no longer connected.")


def check_open(plan: ImportPlan) -> None:
    """:raise ConflictError: the import was started, or the plan is still being read."""
    if plan.state == "started":
        raise ConflictError("This import has already been started.")
    if plan.state != "ready":
        raise ConflictError("OneDrive is still being read for this plan.")


def check_version(session: Session, plan: ImportPlan, version: int) -> None:
    """Lock a plan if it is still the version that a person saw.

    :raise ConflictError: the plan was changed since.
    """
    lock_plan(session, plan)
    if plan.version != version:
        raise ConflictError(
            "The plan was changed in the meantime, perhaps in another window. Check it again."
        )


def set_published(session: Session, plan: ImportPlan, is_published: bool) -> None:
    """Set whether new groups are published at once or stay drafts."""
    lock_plan(session, plan)
    if plan.is_published != is_published:
        plan.is_published = is_published
        plan.version += 1


def set_series(session: Session, plan: ImportPlan, series_id: int | None, title: str) -> None:
    """Set the series that the groups of a plan will join.

    :param title: of a new series; "" for none.
    """
    lock_plan(session, plan)
    tidy = " ".join(title.split())[:300]
    if (plan.series_id, plan.series_title) != (series_id, tidy):
        plan.series_id, plan.series_title = series_id, tidy
        plan.version += 1


# --- Starting the import --------------------------------------------------------------------------


def start_import(
    session: Session, plan: ImportPlan, user_id: int | None, is_published: bool
) -> ImportJob:
    """Make the groups of a board and an import job of its included files.

    The first group of the board comes first in the gallery, and in the series of the plan.

    :raise ConflictError: the import was started already, the plan is still being read, or another
        OneDrive is connected.
    :raise InvalidInputError: no file is included.
    :raise NotFoundError: a group to add to, or the series, is gone.
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
    runs = (_make_selections(groups[proposal], files) for proposal, files in bins.items())
    selections = list(chain.from_iterable(runs))
    job = create_import(session, plan.drive_account_id, user_id, selections)
    if plan.series_title:
        plan.series_id = create_series(session, plan.series_title).id
    if plan.series_id is not None:
        add_members(session, plan.series_id, [groups[proposal] for proposal in bins])
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
    new = {proposal: group for proposal, group in groups.items() if proposal.group_id is None}
    add_groups(session, list(new.values()), is_first_on_top=True)
    save_accepted(session, [(proposal.words, group) for proposal, group in new.items()])
    return {proposal: group.id for proposal, group in groups.items()}


def _make_selections(group: int, files: Sequence[ImportPlanFile]) -> Iterator[Selection]:
    """Yield runs of files of the same folder, so that the order of the board stays."""
    for folder_id, same in groupby(files, key=lambda file: file.folder_id):
        run = list(same)
        ids_and_names = [(file.drive_item_id, file.file_name) for file in run]
        yield Selection(folder_id, run[-1].folder_name, group, ids_and_names)
