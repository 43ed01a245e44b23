"""Make the renditions and tiles of all images again from OneDrive, a few at a time.

The images are handed to the workers as the remakes of imports. How far this is, is kept in the
database together with the items of the last step, so that it goes on where it was stopped and makes
nothing twice. Only a few items wait at any time: people's own imports come in between, and while
OneDrive throttles the account, none is added, so that visitors have what OneDrive allows.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, delete, func, select, true, update
from sqlalchemy.orm import Session

from imagehub.clients import Clients
from imagehub.database import MAX_ID, count_rows, end_read, get_database_time
from imagehub.domain.imports.jobs import OPEN_STATES, add_remakes
from imagehub.domain.library.tiles import remake_all
from imagehub.domain.onedrive.accounts import CONNECTED
from imagehub.models import (
    DriveAccount,
    HubSetting,
    Image,
    ImportItem,
    Rendition,
    StoredObject,
    TileSet,
)

_STATE = "rebuild"
# After a pause that OneDrive asked for, others come first for this long.
GIVE_WAY = timedelta(seconds=30)
# An item that is due later than this waits for another attempt.
_SOON = timedelta(seconds=5)
_MOST_WAITING = 1000


@dataclass(frozen=True)
class Progress:
    """How far a rebuild is: all images up to ``after_id`` were handed over.

    ``group``: only this group; None for all. ``missing_only``: only images that lack an object.
    ``last_id``: the newest image when it began; later ones are made by their imports.
    ``jobs``: account → import. ``without``: images that have no original in OneDrive now.
    """

    group: int | None = None
    missing_only: bool = False
    last_id: int = MAX_ID
    after_id: int = 0
    jobs: dict[int, int] = field(default_factory=dict)
    seen: int = 0
    asked: int = 0
    complete: int = 0
    without: int = 0


def find_progress(session: Session, group: int | None, missing_only: bool) -> Progress | None:
    """Find a rebuild of the same images that was stopped.

    One of missing objects begins anew: it finds those that it has made.
    """
    text = session.scalar(select(HubSetting.value).where(HubSetting.name == _STATE))
    end_read(session)
    if text is None:
        return None
    values = json.loads(text)
    values["jobs"] = {int(account): job for account, job in values["jobs"].items()}
    found = Progress(**values)
    return found if (found.group, found.missing_only) == (group, missing_only) else None


def begin(session: Session, group: int | None, missing_only: bool) -> Progress:
    """Begin a rebuild of the images that are there now."""
    last_id = session.scalar(select(func.max(Image.id))) or 0
    end_read(session)
    return Progress(group, missing_only, last_id)


def count_images(session: Session, group: int | None) -> int:
    count = session.scalar(select(func.count()).select_from(Image).where(_is_wanted(group))) or 0
    end_read(session)
    return count


def _is_wanted(group: int | None) -> ColumnElement[bool]:
    return true() if group is None else Image.group_id == group


def hand_over(
    session: Session,
    clients: Clients,
    progress: Progress,
    count: int,
    note_without: Callable[[str], None],
) -> Progress | None:
    """Hand the next images to the workers, who are woken after the commit.

    :param session: holds no uncommitted change; the caller commits.
    :param count: how many at most.
    :param note_without: called with the name of each image that has no original now.
    :return: the new progress; None if no image is left.
    :raise ServiceError: the object storage cannot be asked.
    """
    rows = session.execute(
        select(Image.id, Image.group_id, Image.number, Image.name, DriveAccount.state)
        .outerjoin(DriveAccount, DriveAccount.id == Image.drive_account_id)
        .where(Image.id > progress.after_id, Image.id <= progress.last_id)
        .where(_is_wanted(progress.group))
        .order_by(Image.id)
        .limit(count)
    ).all()
    end_read(session)
    if not rows:
        return None
    usable = [row.id for row in rows if row.state == CONNECTED]
    wanted = tiled = usable
    if progress.missing_only:
        wanted = _list_incomplete(session, clients, usable)
        tiled = _list_without_tiles(session, clients, usable)
    for row in rows:
        if row.state != CONNECTED:
            note_without(name_image(row))
    # The import must not take the bytes for stored.
    used = select(Rendition.object_key).where(Rendition.image_id.in_(wanted))
    forget = update(StoredObject).where(StoredObject.key.in_(used), ~StoredObject.is_deleting)
    count_rows(session, forget.values(size_bytes=0))
    jobs = dict(progress.jobs)
    asked = add_remakes(session, wanted, jobs)
    remake_all(session, tiled)
    progress = replace(
        progress,
        after_id=rows[-1].id,
        jobs=jobs,
        seen=progress.seen + len(rows),
        asked=progress.asked + asked,
        complete=progress.complete + len(usable) - len(wanted),
        without=progress.without + len(rows) - len(usable),
    )
    if not progress.missing_only:  # Else the storage itself says what was done.
        _keep(session, progress)
    return progress


def name_image(row: Any) -> str:
    return f"group {row.group_id}, shot {row.number} ({row.name})"


def _list_incomplete(session: Session, clients: Clients, image_ids: Sequence[int]) -> list[int]:
    """List the images without renditions, or of which the storage lacks an object."""
    rows = session.execute(
        select(Rendition.image_id, Rendition.object_key, Rendition.size_bytes).where(
            Rendition.image_id.in_(image_ids)
        )
    ).all()
    end_read(session)
    complete, broken = set(), set()
    for row in rows:
        if row.image_id in broken:
            continue
        stored = clients.store.find_object(row.object_key)
        if stored is None or stored.size_bytes != row.size_bytes:
            broken.add(row.image_id)
        complete.add(row.image_id)
    return [one for one in image_ids if one in broken or one not in complete]


def _list_without_tiles(session: Session, clients: Clients, image_ids: Sequence[int]) -> list[int]:
    """List the images of which the storage lacks tiles."""
    rows = session.execute(
        select(TileSet.image_id, TileSet.object_key, TileSet.size_bytes).where(
            TileSet.image_id.in_(image_ids), TileSet.object_key != ""
        )
    ).all()
    end_read(session)
    return [
        row.image_id
        for row in rows
        if sum(one.size_bytes for one in clients.store.iter_objects(row.object_key))
        != row.size_bytes
    ]


def _keep(session: Session, progress: Progress) -> None:
    session.merge(HubSetting(name=_STATE, value=json.dumps(progress.__dict__)))
    session.flush()


def forget_progress(session: Session) -> None:
    """Forget a rebuild that has ended. Flushed, not committed."""
    session.execute(delete(HubSetting).where(HubSetting.name == _STATE))


# --- The workers' side ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Outcome:
    """The items of a rebuild. ``due``: they are, or are about to be, worked on."""

    done: int = 0
    failed: int = 0
    due: int = 0
    retried_later: int = 0

    @property
    def is_open(self) -> bool:
        return bool(self.due or self.retried_later)

    def count_free(self, window: int) -> int:
        """Return how many images may be handed over now."""
        if self.retried_later >= _MOST_WAITING:
            return 0
        return max(0, window - self.due)


def read_outcome(session: Session, jobs: Sequence[int]) -> Outcome:
    """Count the items of the imports of a rebuild."""
    soon = get_database_time(session) + _SOON
    is_later = (ImportItem.state == "queued") & (ImportItem.available_at > soon)
    later = session.scalar(
        select(func.count()).select_from(ImportItem).where(ImportItem.job_id.in_(jobs), is_later)
    )
    counts = dict(
        session.execute(
            select(ImportItem.state, func.count())
            .where(ImportItem.job_id.in_(jobs))
            .group_by(ImportItem.state)
        ).all()
    )
    end_read(session)
    retried_later = later or 0
    return Outcome(
        done=counts.get("done", 0),
        failed=sum(counts.get(state, 0) for state in ("failed", "left_out", "skipped")),
        due=sum(counts.get(state, 0) for state in OPEN_STATES) - retried_later,
        retried_later=retried_later,
    )


def list_failures(session: Session, jobs: Sequence[int], known: set[int]) -> list[tuple[str, str]]:
    """List the failures that are not known yet, as names and reasons; they are known then."""
    rows = session.execute(
        select(
            ImportItem.id,
            ImportItem.group_id,
            ImportItem.number,
            ImportItem.file_name.label("name"),
            ImportItem.reason,
        )
        .where(
            ImportItem.job_id.in_(jobs),
            ImportItem.state.in_(("failed", "skipped")),
            ImportItem.id.not_in(known),
        )
        .order_by(ImportItem.id)
        .limit(100)
    ).all()
    end_read(session)
    known.update(row.id for row in rows)
    return [(name_image(row), row.reason) for row in rows]


def must_give_way(session: Session) -> bool:
    """Tell whether OneDrive throttles a connected account, or did so a moment ago."""
    connected = DriveAccount.state == CONNECTED
    latest = session.scalar(select(func.max(DriveAccount.paused_until)).where(connected))
    now = get_database_time(session)
    end_read(session)
    return latest is not None and latest + GIVE_WAY > now
