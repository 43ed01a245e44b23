"""A plan before an import: what was chosen, what stands against it, what it would come to.

A plan is rows from the first moment, so that a reload or a restart loses nothing. It is filled by
``domain.imports.reading``; its files then lie on the board of ``domain.imports.board``.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from imagehub.clients.drive_ids import fold_id
from imagehub.database import MAX_ID, count_rows, get_database_time, make_batches
from imagehub.domain.imports.history import expect_seconds
from imagehub.errors import ConflictError, InvalidInputError, NotFoundError
from imagehub.models import Group, ImportPlan, ImportPlanFile, ImportProposal

# What may stand against a file: (name for people, whether it is left out at first, and whether it
# can be imported all the same).
VERDICTS: Mapping[str, tuple[str, bool, bool]] = {
    "": ("Ready", False, True),
    "known": ("In the hub already", True, True),
    "same": ("Same picture as another file", True, True),
    "name": ("Same name as another file", False, True),
    "doubtful": ("Perhaps no picture", True, True),
    "unsupported": ("Cannot be imported", True, False),
    "too_large": ("Too large", True, False),
    "refused": ("OneDrive does not show it", True, False),
}
UNUSABLE = tuple(verdict for verdict, facts in VERDICTS.items() if not facts[2])
MAX_CHOSEN = 2000
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
    """Write down what was chosen; nothing is asked of OneDrive yet.

    :param folder_ids: folders, to be read with all folders in them.
    :param item_ids: files (a folder among them is read as one).
    :param target_group: the group that all shall be added to.
    :raise InvalidInputError: nothing chosen, too much by hand, or an id that cannot be one.
    :raise NotFoundError: there is no such group.
    """
    folders, items = _drop_repeated(folder_ids), _drop_repeated(item_ids)
    if not folders and not items:
        raise InvalidInputError("Choose files or folders first.", {"item": "is empty"})
    if len(folders) + len(items) > MAX_CHOSEN:
        raise InvalidInputError(
            f"More than {MAX_CHOSEN:,} things at once; choose their folder instead."
        )
    if any(not one or len(one) > 255 for one in folders + items):
        raise InvalidInputError("This is not a file of OneDrive.", {"item": "unknown"})
    if target_group is not None:
        get_living_group(session, target_group)
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


def _drop_repeated(item_ids: Sequence[str]) -> list[str]:
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
    """Plans that were not started, newest first.

    :param before: the number of the plan that the page before ended with.
    """
    statement = select(ImportPlan).where(ImportPlan.state.in_(("reading", "ready")))
    if before is not None:
        statement = statement.where(ImportPlan.id < before)
    return session.scalars(statement.order_by(ImportPlan.id.desc()).limit(limit)).all()


def delete_plan(session: Session, plan: ImportPlan) -> None:
    """Forget a plan; nothing of OneDrive or of the hub changes."""
    session.execute(delete(ImportPlan).where(ImportPlan.id == plan.id))
    session.expunge(plan)


@dataclass(frozen=True)
class Summary:
    """A plan in numbers. ``verdict_counts``: verdict → files. ``seconds`` is what the import is
    expected to take by the rate measured last; None where nothing was ever measured."""

    file_count: int
    size_bytes: int
    chosen_count: int
    chosen_bytes: int
    group_count: int
    verdict_counts: Mapping[str, int]
    seconds: float | None

    @property
    def unusable_count(self) -> int:
        return sum(self.verdict_counts.get(verdict, 0) for verdict in UNUSABLE)


def describe_plan(session: Session, plan: ImportPlan) -> Summary:
    """What the plan comes to, before anything happens."""
    total = chosen = total_bytes = chosen_bytes = 0
    verdicts: Counter[str] = Counter()
    for verdict, is_chosen, count, size in session.execute(
        select(
            ImportPlanFile.verdict,
            ImportPlanFile.is_chosen,
            func.count(),
            func.coalesce(func.sum(ImportPlanFile.size_bytes), 0),
        )
        .where(ImportPlanFile.plan_id == plan.id)
        .group_by(ImportPlanFile.verdict, ImportPlanFile.is_chosen)
    ):
        total, total_bytes = total + count, total_bytes + int(size)
        verdicts[verdict] += count
        if is_chosen:
            chosen, chosen_bytes = chosen + count, chosen_bytes + int(size)
    groups = session.scalar(
        select(func.count(ImportPlanFile.proposal_id.distinct())).where(
            ImportPlanFile.plan_id == plan.id, ImportPlanFile.is_chosen.is_(True)
        )
    )
    return Summary(
        file_count=total,
        size_bytes=total_bytes,
        chosen_count=chosen,
        chosen_bytes=chosen_bytes,
        group_count=groups or 0,
        verdict_counts=dict(verdicts),
        seconds=expect_seconds(session, chosen),
    )


def list_unusable(session: Session, plan: ImportPlan, limit: int = 200) -> Sequence[ImportPlanFile]:
    """Files that cannot be imported, with their reasons."""
    return session.scalars(
        select(ImportPlanFile)
        .where(
            ImportPlanFile.plan_id == plan.id,
            ImportPlanFile.verdict.in_(UNUSABLE),
        )
        .order_by(ImportPlanFile.verdict, ImportPlanFile.id)
        .limit(limit)
    ).all()


def lock_plan(session: Session, plan: ImportPlan) -> None:
    """Two who change the same board do so one after the other; each sees what the other did.

    A change comes first: SQLite then waits for other writers here and not half-way.
    """
    found = count_rows(
        session,
        update(ImportPlan).where(ImportPlan.id == plan.id).values(version=ImportPlan.version),
    )
    if not found:
        raise NotFoundError("import plan", plan.id)
    session.refresh(plan)


def check_open(plan: ImportPlan) -> None:
    """:raise ConflictError: the import has begun, or the plan is still being read."""
    if plan.state == "started":
        raise ConflictError("This import has begun already.")
    if plan.state != "ready":
        raise ConflictError("OneDrive is still being read for this plan.")


def check_version(session: Session, plan: ImportPlan, version: int) -> None:
    """Hold the plan until the transaction ends, if its board is still the one that somebody saw.

    :raise ConflictError: the board was changed since.
    """
    lock_plan(session, plan)
    if plan.version != version:
        raise ConflictError(
            "The board was changed meanwhile, maybe in another window. Look at it once more."
        )


def set_published(session: Session, plan: ImportPlan, is_published: bool) -> None:
    """Keep whether new groups are shown at once, or stay drafts."""
    lock_plan(session, plan)
    if plan.is_published != is_published:
        plan.is_published = is_published
        plan.version += 1


def get_living_group(session: Session, group_id: int) -> Group:
    """:raise NotFoundError: there is no such group, or it is in the trash."""
    group = session.get(Group, group_id) if 0 < group_id <= MAX_ID else None
    if group is None or group.state == "trash":
        raise NotFoundError("group", group_id)
    return group
