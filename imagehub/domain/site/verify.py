"""Check that nothing of a hub is missing: rows, objects and originals, and what a manifest names.

Nothing is changed, and the hub may be in use. Everything is read a page at a time.
"""

import hashlib
import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import exists, func, or_, select
from sqlalchemy.orm import Session

from imagehub.clients import Clients, Drive
from imagehub.clients.drive_ids import list_spellings
from imagehub.database import end_read, make_batches
from imagehub.domain.onedrive.accounts import CONNECTED
from imagehub.domain.site.comparison import Comparison, ReconcileReport, iter_rows
from imagehub.domain.site.manifest_import import ManifestError
from imagehub.domain.sync.state import ABSENT, has_changed
from imagehub.errors import ConnectionLostError, ImageHubError, NotFoundError, ServiceBusyError
from imagehub.models import (
    DriveAccount,
    Group,
    Image,
    LogoPicture,
    Rendition,
    Series,
    StoredObject,
    TileSet,
    WatchedFolder,
    WatermarkPicture,
)

_ASK_BATCH = 20
_LONGEST_WAIT_SECONDS = 60.0

# Pictures of the site: kind of line in a manifest → table.
_PICTURES: Mapping[str, Any] = {"logo": LogoPicture, "watermark": WatermarkPicture}

# What can be found: meaning, and whether something is missing then.
FINDINGS: Mapping[str, tuple[str, bool]] = {
    "lost": ("objects missing or with another size", True),
    "damaged": ("objects with another content than their names say", True),
    "bare": ("images without renditions", True),
    "unknown": ("objects without a row", False),
    "unused": ("objects that no image uses", False),
    "gone": ("originals that are not in OneDrive", True),
    "outside": ("originals outside of the root folder", True),
    "unread": ("originals that cannot be looked up", True),
    "changed": ("originals with another content in OneDrive", False),
    "group": ("groups of the manifest that the hub lacks", True),
    "image": ("images of the manifest that the hub lacks", True),
    "series": ("series of the manifest that the hub lacks", True),
    "watch": ("watched folders of the manifest that the hub lacks", True),
    "picture": ("logos and pictures of watermarks of the manifest that the hub lacks", True),
    "rendition": ("renditions of the manifest that the storage lacks", True),
}


@dataclass
class Verification:
    """What was looked at and found.

    ``note``: called with the kind of a finding (see ``FINDINGS``) and what it is about.
    """

    note: Callable[[str, str], None] = lambda _kind, _what: None
    counts: dict[str, int] = field(default_factory=dict)
    object_count: int = 0
    original_count: int = 0
    manifest_count: int = 0

    def add(self, kind: str, what: str) -> None:
        self.counts[kind] = self.counts.get(kind, 0) + 1
        self.note(kind, what)

    @property
    def lacks_something(self) -> bool:
        return any(FINDINGS[kind][1] for kind in self.counts)


# --- The two stores -------------------------------------------------------------------------------


def verify_stores(
    session: Session, clients: Clients, found: Verification, is_deep: bool = False
) -> None:
    """Compare the rows with the object storage.

    :param session: holds no uncommitted change.
    :param is_deep: read each object, and compare its content with its name.
    :raise ServiceError: the storage cannot be read.
    """

    def is_damaged(key: str) -> bool:
        if not is_deep:
            return False
        try:
            data = clients.store.get_object(key)
        except NotFoundError:
            return False  # Deleted since it was listed, with its row.
        return hashlib.sha256(data).hexdigest() not in key

    report = ReconcileReport(is_dry_run=True)
    stores = Comparison(session, clients, report, False, found.add, is_damaged)
    stores.compare()
    found.object_count = report.object_count
    columns = [Image.__table__.columns[name] for name in ("id", "group_id", "number")]
    without = select(*columns).where(~exists().where(Rendition.image_id == Image.id))
    for row in iter_rows(session, without, Image.id):
        found.add("bare", f"group {row.group_id}, shot {row.number}")


def name_users(session: Session, key: str) -> str:
    """Name the images, or pictures of the site, that use an object, for a person."""
    rows = session.execute(
        select(Image.id, Image.group_id, Image.number)
        .outerjoin(Rendition, Rendition.image_id == Image.id)
        .outerjoin(TileSet, TileSet.image_id == Image.id)
        .where(
            or_(
                Rendition.object_key == key,
                Rendition.marked_key == key,
                TileSet.object_key == key,
            )
        )
        .distinct()  # A small image may have the same rendition in all sizes.
        .order_by(Image.id)
        .limit(3)
    ).all()
    end_read(session)
    words = [f"group {row.group_id}, shot {row.number}" for row in rows]
    for kind, model in _PICTURES.items():
        names = session.scalars(select(model.name).where(model.object_key == key).distinct())
        words += [f"{kind} {name}" for name in names]
    end_read(session)
    return ", ".join(words)


# --- Originals ------------------------------------------------------------------------------------


def verify_originals(session: Session, clients: Clients, found: Verification) -> None:
    """Ask OneDrive for every original. While it is busy, wait."""
    states = {
        row.id: row.state for row in session.execute(select(DriveAccount.id, DriveAccount.state))
    }
    columns = (
        "id", "group_id", "number", "name", "drive_account_id", "drive_item_id", "drive_state",
        "drive_hash", "drive_size_bytes", "etag", "ctag",
    )  # fmt: skip
    query = select(*(Image.__table__.columns[name] for name in columns))
    for batch in make_batches(iter_rows(session, query, Image.id), _ASK_BATCH):
        found.original_count += len(batch)
        by_account: dict[int, list[Any]] = {}
        for row in batch:
            if row.drive_state == ABSENT or row.drive_account_id is None:
                found.add("gone", _name_image(row))
            elif states.get(row.drive_account_id) != CONNECTED:
                found.add("unread", f"{_name_image(row)}: its account is not connected")
            else:
                by_account.setdefault(row.drive_account_id, []).append(row)
        for account_id, rows in by_account.items():
            _ask_for_originals(clients.open_drive(account_id), rows, found)


def _name_image(row: Any) -> str:
    return f"group {row.group_id}, shot {row.number} ({row.name})"


def _ask_for_originals(drive: Drive, rows: Sequence[Any], found: Verification) -> None:
    waiting = list(rows)
    while waiting:
        answers = _find_items(drive, waiting)
        if isinstance(answers, ImageHubError):
            for row in waiting:
                found.add("unread", f"{_name_image(row)}: {answers}")
            return
        busy: list[Any] = []
        seconds = 1.0
        for row, answer in zip(waiting, answers, strict=True):
            if isinstance(answer.error, ServiceBusyError):
                busy.append(row)
                seconds = max(seconds, answer.error.retry_after_seconds or 0.0)
            elif answer.error is not None:
                found.add("unread", f"{_name_image(row)}: {answer.error}")
            elif answer.item is None:
                found.add("outside" if answer.is_outside else "gone", _name_image(row))
            elif has_changed(row, answer.item):
                found.add("changed", _name_image(row))
        waiting = busy
        if waiting:
            time.sleep(min(seconds, _LONGEST_WAIT_SECONDS))


def _find_items(drive: Drive, rows: Sequence[Any]) -> Any:
    try:
        return drive.find_items([row.drive_item_id for row in rows])
    except (ConnectionLostError, NotFoundError) as error:
        return error


# --- A manifest -----------------------------------------------------------------------------------


def verify_manifest(
    session: Session, clients: Clients, found: Verification, lines: Iterable[str]
) -> None:
    """Compare a manifest with the hub: what it names must be there.

    :raise ManifestError: it is not complete or no manifest.
    """
    is_ended = False
    for batch in make_batches(_iter_named(lines)):
        found.manifest_count += len(batch)
        ids: dict[str, set[int]] = {"group": set(), "image": set()}
        keys: dict[str, str] = {}
        for kind, row in batch:
            if kind in ids:
                ids[kind].add(row["id"])
            for one in row.get("renditions", ()) if kind == "image" else ():
                keys[one["object_key"]] = f"group {row['group_id']}, shot {row['number']}"
            if kind in _PICTURES:
                model = _PICTURES[kind]
                used = exists().where(model.object_key == row["object_key"])
                if not session.scalar(select(used)):
                    found.add("picture", f"{kind} {row['name']}")
            if kind == "series" and session.get(Series, row["id"]) is None:
                found.add(kind, f"{row['title']} ({row['id']})")
            if kind == "watch" and not _is_watched(session, row["item_id"]):
                found.add(kind, row["path"])
            is_ended = is_ended or kind == "end"
        for kind, model in (("group", Group), ("image", Image)):
            known = set(session.scalars(select(model.id).where(model.id.in_(ids[kind]))))
            for number in sorted(ids[kind] - known):
                found.add(kind, f"{kind} {number}")
        _verify_keys(session, clients, found, keys)
    if not is_ended:
        raise ManifestError("The manifest is not complete.")


def _is_watched(session: Session, item_id: str) -> bool:
    spelt = WatchedFolder.item_id.in_(list_spellings(item_id))
    return bool(session.scalar(select(exists().where(spelt))))


def _iter_named(lines: Iterable[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    for number, line in enumerate(lines, 1):
        try:
            row = json.loads(line)
            yield row["kind"], row
        except (ValueError, KeyError, TypeError):
            raise ManifestError(f"Line {number} is no line of a manifest.") from None


def _verify_keys(
    session: Session, clients: Clients, found: Verification, keys: Mapping[str, str]
) -> None:
    """Check keys of the manifest that the hub does not know; the others were compared already."""
    for some in make_batches(keys):
        known = set(session.scalars(select(StoredObject.key).where(StoredObject.key.in_(some))))
        end_read(session)
        for key in some:
            if key not in known and clients.store.find_object(key) is None:
                found.add("rendition", f"{key} ({keys[key]})")


def count_images(session: Session) -> int:
    count = session.scalar(select(func.count()).select_from(Image)) or 0
    end_read(session)
    return count
