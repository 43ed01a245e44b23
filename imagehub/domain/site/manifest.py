"""Write a manifest: all that a hub knows of its works, as lines of JSON, without any secret.

The first line is the header, the last one counts the others, so that a manifest that was cut off is
noticed. In between there are, in this order: ``setting``, ``account`` (of OneDrive, without
tokens), ``logo`` and ``watermark`` with the files that they were made from, ``tag``, ``group`` with
its tags and its place in the trash, ``image`` with its renditions, ``series`` with its groups
(those that are parts of others last), ``share`` with its groups, ``watch`` for a watched folder,
``page`` of text, ``menu`` entry of a page or a series, ``former_slug`` of a page, ``translation``
of a text of a group, an image, a series or a page.
Numbers are those of the hub. A rendition's key contains the SHA-256 of its bytes.

A column of groups, images, tags and renditions is exported unless it is named here; of the other
tables only the columns that are named here are. What is left out: accounts of people and what
protects them, the activity log, imports and their plans, and what checks of OneDrive have noted,
which the next check finds again.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import date
from importlib import metadata
from typing import Any

from sqlalchemy import Connection, Engine, select

from imagehub.domain.imports.site_pictures import find_source
from imagehub.domain.site.settings import SITE_FIELDS
from imagehub.models import (
    DriveAccount,
    FormerSlug,
    Group,
    GroupTag,
    HubSetting,
    Image,
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

FORMAT = 1
_PAGE = 500

ROOT_FOLDER = "root_folder"
SETTINGS = (*SITE_FIELDS, ROOT_FOLDER)
ACCOUNT_FIELDS = (
    "id", "home_account_id", "username", "name", "tenant_id", "is_active", "drive_id", "drive_kind",
)  # fmt: skip
SHARE_FIELDS = (
    "id", "title", "may_download", "takes_lists", "has_mark", "view_count", "created_at",
    "expires_at", "revoked_at", "last_viewed_at", "series_id",
)  # fmt: skip
WATCH_FIELDS = (
    "drive_account_id", "item_id", "path", "way", "is_published", "series_id", "created_at",
)  # fmt: skip
LOGO_FIELDS = ("id", "object_key", "name", "width_px", "height_px", "created_at")
WATERMARK_FIELDS = ("id", "object_key", "name")
PAGE_FIELDS = tuple(column.name for column in Page.__table__.columns)
TRANSLATION_FIELDS = (
    "group_id", "image_id", "series_id", "page_id", "language", "field", "text",
)  # fmt: skip
FORMER_SLUG_FIELDS = ("slug", "page_id", "created_at")
MENU_FIELDS = ("page_id", "series_id", "place", "position")
TRASH_FIELDS = ("origin_id", "joined", "state_before", "trashed_at")
# Workers look into originals again, and checks of OneDrive ask their questions again.
_IMAGE_LEFT_OUT = frozenset(
    {"drive_doubt", "offered_item_id", "private_state", "words_state", "finish"}
)
GROUP_FIELDS = tuple(column.name for column in Group.__table__.columns)
IMAGE_FIELDS = tuple(
    column.name for column in Image.__table__.columns if column.name not in _IMAGE_LEFT_OUT
)
TAG_FIELDS = tuple(column.name for column in Tag.__table__.columns)
SERIES_FIELDS = tuple(
    column.name for column in Series.__table__.columns if column.name != "shown_count"
)
RENDITION_FIELDS = tuple(
    column.name
    for column in Rendition.__table__.columns
    # Workers make those with a watermark again.
    if column.name not in ("id", "image_id", "marked_key", "marked_bytes")
)

# Every table is exported, or named here with a reason (see ``tests/test_structure.py``).
_EXPORTED_MODELS = (
    DriveAccount,
    FormerSlug,
    Group,
    GroupTag,
    HubSetting,
    Image,
    LogoPicture,
    MenuEntry,
    Page,
    Rendition,
    Series,
    SeriesGroup,
    ShareItem,
    ShareLink,
    Tag,
    Translation,
    TrashEntry,
    WatchedFolder,
    WatermarkPicture,
)
EXPORTED_TABLES = frozenset(model.__tablename__ for model in _EXPORTED_MODELS)
LEFT_OUT_TABLES: Mapping[str, str] = {
    "api_token": "a secret of a person",
    "audit_entry": "what people did, with their addresses",
    "day_count": "numbers of the visitors of one hub",
    "drive_copy": "found again by the next check of OneDrive",
    "drive_folder": "found again by the next check of OneDrive",
    "drive_subscription": "belongs to the address of one hub",
    "drive_watch": "found again by the next check of OneDrive",
    "enquiry": "what visitors wrote in confidence",
    "enquiry_recipient": "messages that one hub has sent",
    "enquiry_work": "what visitors wrote in confidence",
    "facet_entry": "made from the groups",
    "facet_value": "made from the groups",
    "found_words": "found again by workers",
    "gallery_bucket": "counted again",
    "gallery_revision": "belongs to one database",
    "import_item": "work of one hub",
    "import_job": "work of one hub",
    "import_plan": "work of one hub",
    "import_plan_file": "work of one hub",
    "import_proposal": "work of one hub",
    "lease": "held by running programs",
    "legacy_row": "keys of the first version's tables",
    "likeness": "made from the covers",
    "likeness_band": "made from the covers",
    "notice": "messages that one hub has sent",
    "pending_sign_in": "a secret that lasts for minutes",
    "print_file": "can be made again",
    "private_data": "found again by workers",
    "recovery_code": "a secret of a person",
    "revoked_token": "protects accounts of people",
    "second_factor": "a secret of a person",
    "share_mark": "what visitors have not sent yet",
    "sign_in_failure": "protects accounts of people",
    "sign_in_session": "a secret of a person",
    "skipped_enquiry": "messages that one hub has sent",
    "stored_object": "made from the renditions and pictures",
    "tile_set": "made again by workers",
    "upload_session": "a secret that lasts for hours",
    "user": "accounts of people",
    "watched_item": "found again by the next check of OneDrive",
}


@contextmanager
def open_snapshot(engine: Engine) -> Iterator[Connection]:
    """Open a connection whose reads all see the database of one moment; others may write."""
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            connection.exec_driver_sql("BEGIN")
        else:
            connection = connection.execution_options(isolation_level="REPEATABLE READ")
            connection.exec_driver_sql("START TRANSACTION WITH CONSISTENT SNAPSHOT")
        yield connection
        connection.rollback()


def iter_lines(connection: Connection) -> Iterator[str]:
    """Yield the lines of a manifest, each with its line break.

    A few hundred rows are in memory at once.

    :param connection: of :func:`open_snapshot`.
    """
    yield _make_line(
        "header",
        {
            "format": FORMAT,
            "program": f"imagehub {metadata.version('imagehub')}",
            "last_group": _find_last_group(connection),
        },
    )
    counts: dict[str, int] = {}
    for kind, row in _iter_rows(connection):
        counts[kind] = counts.get(kind, 0) + 1
        yield _make_line(kind, row)
    yield _make_line("end", {"counts": counts})


def _make_line(kind: str, row: Mapping[str, Any]) -> str:
    text = json.dumps({"kind": kind, **row}, ensure_ascii=False, default=_write_value)
    # Lone surrogates, which SQLite stores, are no UTF-8.
    return re.sub("[\ud800-\udfff]", lambda one: f"\\u{ord(one[0]):04x}", text) + "\n"


def _write_value(value: Any) -> str:
    if isinstance(value, date):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} cannot be part of a manifest")


def _find_last_group(connection: Connection) -> int:
    """Return the highest number that a group ever had, as numbers are never used again."""
    name = Group.__tablename__
    if connection.dialect.name == "sqlite":
        found = connection.exec_driver_sql(
            "SELECT seq FROM sqlite_sequence WHERE name = ?", (name,)
        ).scalar()
        return int(found or 0)
    # The only place that is always current: information_schema keeps old numbers for a day.
    words = str(connection.exec_driver_sql(f"SHOW CREATE TABLE {name}").one()[1])
    following = re.search(r"\bAUTO_INCREMENT=(\d+)", words)
    return int(following[1]) - 1 if following else 0


def _iter_rows(connection: Connection) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the kind and the fields of each line between the first and the last."""
    for row in _iter_table(connection, HubSetting, ("name", "value"), "name"):
        if row["name"] in SETTINGS:
            yield "setting", {"name": row["name"], "value": json.loads(row["value"])}
    for row in _iter_table(connection, DriveAccount, ACCOUNT_FIELDS):
        yield "account", row
    for kind, model, names in (
        ("logo", LogoPicture, LOGO_FIELDS),
        ("watermark", WatermarkPicture, WATERMARK_FIELDS),
    ):
        for row in _iter_table(connection, model, names):
            yield kind, row | _describe_object(connection, row["object_key"])
    for row in _iter_table(connection, Tag, TAG_FIELDS):
        yield "tag", row
    for page in _iter_pages(connection, Group, GROUP_FIELDS):
        ids = [row["id"] for row in page]
        tags = _read_parts(connection, GroupTag, "group_id", ids, ("tag_id",), "position")
        trash = _read_parts(connection, TrashEntry, "group_id", ids, TRASH_FIELDS)
        for row in page:
            row["tags"] = [part["tag_id"] for part in tags.get(row["id"], ())]
            row["trash"] = next(iter(trash.get(row["id"], ())), None)
            yield "group", row
    for page in _iter_pages(connection, Image, IMAGE_FIELDS):
        ids = [row["id"] for row in page]
        renditions = _read_parts(connection, Rendition, "image_id", ids, RENDITION_FIELDS, "id")
        for row in page:
            row["renditions"] = renditions.get(row["id"], [])
            yield "image", row
    yield from _iter_series(connection)
    for page in _iter_pages(connection, ShareLink, (*SHARE_FIELDS, "password_hash")):
        ids = [row["id"] for row in page]
        items = _read_parts(connection, ShareItem, "share_id", ids, ("group_id",), "position")
        for row in page:
            row["has_password"] = bool(row.pop("password_hash"))
            row["groups"] = [part["group_id"] for part in items.get(row["id"], ())]
            yield "share", row
    for row in _iter_table(connection, WatchedFolder, ("id", *WATCH_FIELDS)):
        del row["id"]
        yield "watch", row
    for row in _iter_table(connection, Page, PAGE_FIELDS):
        # The kind of a line is that of the thing.
        row["page_kind"] = row.pop("kind")
        yield "page", row
    for row in _iter_table(connection, MenuEntry, ("id", *MENU_FIELDS)):
        del row["id"]
        yield "menu", row
    for row in _iter_table(connection, FormerSlug, FORMER_SLUG_FIELDS, "slug"):
        yield "former_slug", row
    for row in _iter_table(connection, Translation, ("id", *TRANSLATION_FIELDS)):
        del row["id"]
        yield "translation", row


def _describe_object(connection: Connection, key: str) -> dict[str, Any]:
    """Return the size of a picture of the site, and the file that it was made from."""
    size = select(StoredObject.size_bytes).where(StoredObject.key == key)
    source = find_source(connection, key)
    return {
        "size_bytes": connection.execute(size).scalar() or 0,
        "source": None if source is None else asdict(source),
    }


def _iter_series(connection: Connection) -> Iterator[tuple[str, dict[str, Any]]]:
    columns = Series.__table__.columns
    query = select(*(columns[name] for name in SERIES_FIELDS))
    rows = connection.execute(query.order_by(columns["parent_id"].is_not(None), columns["id"]))
    # There are few series, each perhaps with many groups.
    for row in [dict(found) for found in rows.mappings()]:
        members = _read_parts(
            connection, SeriesGroup, "series_id", [row["id"]], ("group_id",), "position"
        )
        row["groups"] = [part["group_id"] for part in members.get(row["id"], ())]
        yield "series", row


def _iter_table(
    connection: Connection, model: Any, names: Sequence[str], key: str = "id"
) -> Iterator[dict[str, Any]]:
    for page in _iter_pages(connection, model, names, key):
        yield from page


def _iter_pages(
    connection: Connection, model: Any, names: Sequence[str], key: str = "id"
) -> Iterator[list[dict[str, Any]]]:
    """Yield the rows of a table by its key, some hundred at once."""
    columns = model.__table__.columns
    query = select(*(columns[name] for name in names)).order_by(columns[key]).limit(_PAGE)
    page = [dict(row) for row in connection.execute(query).mappings()]
    while page:
        last = page[-1][key]
        yield page
        page = [
            dict(row) for row in connection.execute(query.where(columns[key] > last)).mappings()
        ]


def _read_parts(
    connection: Connection,
    model: Any,
    owner: str,
    owner_ids: Sequence[int],
    names: Sequence[str],
    order: str = "",
) -> dict[int, list[dict[str, Any]]]:
    """Read the rows that belong to some others: id of the owner → rows."""
    columns = model.__table__.columns
    wanted = dict.fromkeys((owner, *names))
    query = select(*(columns[name] for name in wanted)).where(columns[owner].in_(owner_ids))
    # A second column, so that the order is always the same.
    orders = [columns[order], columns[names[0]]] if order else []
    found: dict[int, list[dict[str, Any]]] = {}
    for row in connection.execute(query.order_by(columns[owner], *orders)).mappings():
        found.setdefault(row[owner], []).append({name: row[name] for name in names})
    return found
