"""Read a manifest into an empty hub. The numbers of groups and images stay, so links go on.

Renditions are rows only; `imagehub rebuild` makes what the object storage lacks. Secrets are not
part of a manifest: accounts of OneDrive have to be connected again, and share links need new
addresses.
"""

import hashlib
import json
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from sqlalchemy import Date, DateTime, delete, exists, insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from imagehub.database import MAX_ID, Base, UTCDateTime, now_utc
from imagehub.domain.imports.site_pictures import Source, keep_source
from imagehub.domain.library import prices
from imagehub.domain.library.facet_index import fill_facets
from imagehub.domain.library.groups import recount_gallery
from imagehub.domain.library.search_index import fill_search
from imagehub.domain.library.series_counts import recount_series
from imagehub.domain.library.series_members import STEP
from imagehub.domain.library.tiles import add_missing_tile_sets
from imagehub.domain.onedrive.accounts import DISCONNECTED
from imagehub.domain.site.manifest import (
    ACCOUNT_FIELDS,
    FORMAT,
    FORMER_SLUG_FIELDS,
    GROUP_FIELDS,
    IMAGE_FIELDS,
    LOGO_FIELDS,
    MENU_FIELDS,
    PAGE_FIELDS,
    RENDITION_FIELDS,
    ROOT_FOLDER,
    SERIES_FIELDS,
    SETTINGS,
    SHARE_FIELDS,
    TAG_FIELDS,
    TRANSLATION_FIELDS,
    TRASH_FIELDS,
    WATCH_FIELDS,
    WATERMARK_FIELDS,
)
from imagehub.domain.sync.schedule import ask_for_check
from imagehub.domain.sync.watched_folders import TREE, find_watch, note_places
from imagehub.domain.translations import is_valid
from imagehub.errors import ConflictError, InvalidInputError
from imagehub.models import (
    DriveAccount,
    FormerSlug,
    Group,
    GroupTag,
    HubSetting,
    Image,
    ImportJob,
    ImportPlan,
    LegacyRow,
    LogoPicture,
    MenuEntry,
    Page,
    Rendition,
    Series,
    SeriesGroup,
    ShareItem,
    ShareLink,
    StoredObject,
    Tag,
    Translation,
    TrashEntry,
    WatchedFolder,
    WatermarkPicture,
)

_MUST_BE_EMPTY = (
    Group, Image, Tag, Series, ShareLink, ImportJob, ImportPlan, StoredObject, LegacyRow, Page
)  # fmt: skip
_BATCH = 500
# Of manifests that were written before shots could be videos.
_NO_VIDEO = {"video_codec": "", "duration_ms": 0, "has_sound": False, "is_loop": False}
# No password has this hash, so that a link with a password opens for nobody.
_NO_PASSWORD = "!"  # noqa: S105 - the opposite of a password


class ManifestError(InvalidInputError):
    """The manifest is not complete, or a line of it cannot be read."""


@dataclass
class Imported:
    """What was read: kind → number of lines. ``unconnected``: names of accounts to connect."""

    counts: dict[str, int] = field(default_factory=dict)
    unconnected: list[str] = field(default_factory=list)


def check_is_empty(session: Session) -> None:
    """:raise ConflictError: the hub has works, share links or imports."""
    for model in _MUST_BE_EMPTY:
        if session.scalar(select(exists().select_from(model))):
            raise ConflictError(
                "This hub is not empty: a manifest can only be read into a hub without groups, "
                "images, tags, series, share links, pages, logos and imports. Nothing was changed."
            )


def read_manifest(session: Session, lines: Iterable[str]) -> Imported:
    """Read a manifest. Flushed, not committed: after an error, roll back.

    A few hundred lines are in memory at once.

    :raise ConflictError: the hub is not empty.
    :raise ManifestError: the manifest is not complete or has a line that cannot be read.
    """
    check_is_empty(session)
    return _Reader(session).read(lines)


class _Reader:
    def __init__(self, session: Session) -> None:
        self._session = session
        self._rows: dict[type[Base], list[dict[str, Any]]] = {}
        self._imported = Imported()
        # Number in the manifest → here.
        self._accounts: dict[int, int] = {}
        self._root: dict[str, Any] | None = None
        self._number = 0

    def read(self, lines: Iterable[str]) -> Imported:
        is_ended, last_group, kind = False, 0, ""
        for self._number, line in enumerate(lines, 1):
            if is_ended:
                raise self._make_fault("There is a line after the end.")
            try:
                row = json.loads(line)
                before, kind = kind, row.pop("kind")
            except (ValueError, AttributeError, KeyError, TypeError, RecursionError):
                raise self._make_fault("This is no line of a manifest.") from None
            if self._number == 1:
                last_group = self._read_header(kind, row)
            elif kind == "end":
                if row.get("counts") != self._imported.counts:
                    raise self._make_fault("Lines are missing.")
                is_ended = True
            else:
                if kind != before:
                    self._flush()
                self._read_line(kind, row)
                counts = self._imported.counts
                counts[kind] = counts.get(kind, 0) + 1
        if not is_ended:
            raise self._make_fault("The manifest is not complete.")
        self._flush()
        self._finish(last_group)
        return self._imported

    def _make_fault(self, reason: str) -> ManifestError:
        return ManifestError(f"Line {self._number}: {reason} Nothing was changed.")

    def _read_header(self, kind: str, row: Mapping[str, Any]) -> int:
        if kind != "header" or not isinstance(row.get("format"), int):
            raise self._make_fault("This is no manifest of ImageHub.")
        if row["format"] != FORMAT:
            raise self._make_fault("Another version of ImageHub wrote this manifest.")
        last = row.get("last_group")
        return last if isinstance(last, int) and 0 <= last <= MAX_ID else 0

    def _read_line(self, kind: str, row: dict[str, Any]) -> None:
        try:
            read = _READERS[kind]
        except (KeyError, TypeError):
            raise self._make_fault("It is of an unknown kind.") from None
        try:
            read(self, row)
        except (KeyError, ValueError, TypeError, AttributeError):
            raise self._make_fault("Its fields are not those of this version.") from None
        if max(map(len, self._rows.values()), default=0) >= _BATCH:
            self._flush()

    # --- Lines ------------------------------------------------------------------------------------

    def _read_setting(self, row: dict[str, Any]) -> None:
        name, value = row["name"], row["value"]
        if name not in SETTINGS:
            raise KeyError(name)
        if name == ROOT_FOLDER and isinstance(value, dict):
            # Written after the accounts, whose numbers may change.
            self._root = value
            return
        self._keep_setting(name, value)

    def _keep_setting(self, name: str, value: Any) -> None:
        text = json.dumps(value, ensure_ascii=False)
        self._session.merge(HubSetting(name=name, value=text, updated_at=now_utc()))
        self._session.flush()

    def _read_account(self, row: dict[str, Any]) -> None:
        values = _pick(DriveAccount, row, ACCOUNT_FIELDS)
        number = values.pop("id")
        home = DriveAccount.home_account_id == values["home_account_id"]
        known = self._session.scalar(select(DriveAccount.id).where(home))
        if known is None:
            if self._session.scalar(select(exists().where(DriveAccount.is_active))):
                values["is_active"] = False
            if self._session.get(DriveAccount, number) is None:
                values["id"] = number
            account = DriveAccount(**values, state=DISCONNECTED, token_cache=b"")
            self._session.add(account)
            self._session.flush()
            known = account.id
            self._imported.unconnected.append(account.username or account.name)
        self._accounts[number] = known

    def _read_logo(self, row: dict[str, Any]) -> None:
        self._add_picture(LogoPicture, _pick(LogoPicture, row, LOGO_FIELDS), row)

    def _read_watermark(self, row: dict[str, Any]) -> None:
        values = _pick(WatermarkPicture, row, WATERMARK_FIELDS)
        self._add_picture(WatermarkPicture, values, row)

    def _add_picture(
        self, model: type[Base], values: dict[str, Any], row: Mapping[str, Any]
    ) -> None:
        """Add a picture of the site at once: its source is kept beside it."""
        self._insert_objects([_pick(StoredObject, row, ("size_bytes",)) | values])
        self._add(model, values)
        self._flush()
        if (source := row["source"]) is not None and source["account"] in self._accounts:
            kept = Source(self._accounts[source["account"]], str(source["item"]))
            keep_source(self._session, values["object_key"], kept)

    def _read_tag(self, row: dict[str, Any]) -> None:
        self._add(Tag, _pick(Tag, row, TAG_FIELDS))

    def _read_group(self, row: dict[str, Any]) -> None:
        values = _pick(Group, prices.NONE | row, GROUP_FIELDS)
        if not prices.is_valid(*(values[name] for name in prices.FIELDS)):
            raise ValueError("price")
        self._add(Group, values)
        for position, tag_id in enumerate(row["tags"]):
            self._add(GroupTag, {"group_id": row["id"], "tag_id": tag_id, "position": position})
        if row["trash"] is not None:
            self._add(
                TrashEntry, {"group_id": row["id"], **_pick(TrashEntry, row["trash"], TRASH_FIELDS)}
            )

    def _read_image(self, row: dict[str, Any]) -> None:
        values = _pick(Image, _NO_VIDEO | row, IMAGE_FIELDS)
        if values["drive_account_id"] is not None:
            values["drive_account_id"] = self._accounts[values["drive_account_id"]]
        self._add(Image, values)
        for one in row["renditions"]:
            rendition = _pick(Rendition, one, RENDITION_FIELDS)
            self._add(Rendition, {"image_id": row["id"], **rendition})

    def _read_share(self, row: dict[str, Any]) -> None:
        values = _pick(ShareLink, {"series_id": None, "takes_lists": False} | row, SHARE_FIELDS)
        # Nobody has the secret of this address.
        values["token_hash"] = hashlib.sha256(secrets.token_bytes(32)).hexdigest()
        values["password_hash"] = _NO_PASSWORD if row["has_password"] else ""
        self._add(ShareLink, values)
        for position, group_id in enumerate(row["groups"], 1):
            item = {"share_id": row["id"], "group_id": group_id, "position": position}
            self._add(ShareItem, item)

    def _read_series(self, row: dict[str, Any]) -> None:
        self._add(Series, {**_pick(Series, _NEW_IN_SERIES | row, SERIES_FIELDS), "shown_count": 0})
        for number, group_id in enumerate(row["groups"], 1):
            member = {"series_id": row["id"], "group_id": group_id, "position": number * STEP}
            self._add(SeriesGroup, {**member, "is_shown": False})

    def _read_watch(self, row: dict[str, Any]) -> None:
        """Watch a folder again. As when it was chosen, the files in it now are not imported."""
        values = _pick(WatchedFolder, {"series_id": None} | row, WATCH_FIELDS)
        account_id = self._accounts[values.pop("drive_account_id")]
        if find_watch(self._session, account_id, values["item_id"]) is None:
            self._session.add(WatchedFolder(drive_account_id=account_id, **values))
            note_places(self._session, account_id, [values["item_id"]], TREE)
            ask_for_check(self._session, account_id)

    def _read_page(self, row: dict[str, Any]) -> None:
        row["kind"] = row.pop("page_kind")
        self._add(Page, _pick(Page, row, PAGE_FIELDS))

    def _read_menu(self, row: dict[str, Any]) -> None:
        values = _pick(MenuEntry, {"series_id": None} | row, MENU_FIELDS)
        if (values["page_id"] is None) == (values["series_id"] is None):
            raise ValueError("menu")
        self._add(MenuEntry, values)

    def _read_former_slug(self, row: dict[str, Any]) -> None:
        self._add(FormerSlug, _pick(FormerSlug, row, FORMER_SLUG_FIELDS))

    def _read_translation(self, row: dict[str, Any]) -> None:
        values = _pick(Translation, row, TRANSLATION_FIELDS)
        if not is_valid(values):
            raise ValueError("translation")
        self._add(Translation, values)

    # --- Rows -------------------------------------------------------------------------------------

    def _add(self, model: type[Base], row: dict[str, Any]) -> None:
        self._rows.setdefault(model, []).append(row)

    def _flush(self) -> None:
        """Insert the rows that wait, those first that others refer to."""
        if renditions := self._rows.get(Rendition):
            self._insert_objects(renditions)
        try:
            for model in _ORDER:
                if rows := self._rows.pop(model, None):
                    self._session.execute(insert(model), rows)
        except IntegrityError:
            raise self._make_fault(
                "A line up to here refers to something that is not in the manifest, or comes twice."
            ) from None

    def _insert_objects(self, renditions: Sequence[Mapping[str, Any]]) -> None:
        """Insert rows of objects. They count as stored until the storage is compared."""
        sizes = {one["object_key"]: one["size_bytes"] for one in renditions}
        known = self._session.scalars(
            select(StoredObject.key).where(StoredObject.key.in_(list(sizes)))
        )
        for key in known:
            del sizes[key]
        if sizes:
            rows = [{"key": key, "size_bytes": size} for key, size in sizes.items()]
            self._session.execute(insert(StoredObject), rows)

    def _finish(self, last_group: int) -> None:
        """Use up the numbers that groups had, count the gallery and fill the search index."""
        if self._root is not None and self._root.get("account") in self._accounts:
            account_id = self._accounts[self._root["account"]]
            self._keep_setting(ROOT_FOLDER, self._root | {"account": account_id})
        if last_group and self._session.get(Group, last_group) is None:
            self._session.execute(insert(Group), [{"id": last_group}])
            self._session.execute(delete(Group).where(Group.id == last_group))
        self._session.expunge_all()
        add_missing_tile_sets(self._session)
        recount_gallery(self._session)
        recount_series(self._session)
        for fill in (fill_search, fill_facets):
            after = 0
            while after := fill(self._session, after):
                self._session.expunge_all()


_READERS: Mapping[str, Any] = {
    "setting": _Reader._read_setting,
    "account": _Reader._read_account,
    "logo": _Reader._read_logo,
    "watermark": _Reader._read_watermark,
    "tag": _Reader._read_tag,
    "group": _Reader._read_group,
    "image": _Reader._read_image,
    "series": _Reader._read_series,
    "share": _Reader._read_share,
    "watch": _Reader._read_watch,
    "page": _Reader._read_page,
    "menu": _Reader._read_menu,
    "former_slug": _Reader._read_former_slug,
    "translation": _Reader._read_translation,
}
# Manifests of earlier versions have none of these.
_NEW_IN_SERIES: dict[str, Any] = {
    "folder_id": "",
    "trashed_at": None,
    "before_trash": None,
    "first_day": None,
    "last_day": None,
}
_ORDER = (
    LogoPicture, WatermarkPicture, Tag, Group, GroupTag, TrashEntry, Image, Rendition, Series,
    SeriesGroup, ShareLink, ShareItem, Page, MenuEntry, FormerSlug, Translation,
)  # fmt: skip


def _pick(model: type[Base], row: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """Return the values of a line for a table.

    :raise KeyError, TypeError, ValueError: a field is missing or has another type.
    """
    columns = model.__table__.columns
    values = {}
    for name in names:
        value, kind = row[name], columns[name].type
        if value is not None and isinstance(kind, DateTime | UTCDateTime):
            value = datetime.fromisoformat(value)
        elif value is not None and isinstance(kind, Date):
            value = date.fromisoformat(value)
        elif value is not None and not isinstance(value, _TYPES[kind.python_type]):
            raise TypeError(name)
        if value is None and not columns[name].nullable:
            raise ValueError(name)
        values[name] = value
    return values


_TYPES: Mapping[type, Any] = {int: int, str: str, bool: bool, float: (int, float)}
