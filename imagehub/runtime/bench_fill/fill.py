"""Insert made-up groups in batches, each of which is committed."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from sqlalchemy import Connection, Engine, case, func, insert, literal, select, text
from sqlalchemy.orm import Session

from imagehub.database import Base, make_batches
from imagehub.domain.library.facet_index import refresh_facets
from imagehub.domain.library.groups import recount_gallery
from imagehub.domain.library.likeness_index import refresh_likeness
from imagehub.domain.library.search_index import add_to_search
from imagehub.models import (
    DriveAccount,
    Group,
    GroupTag,
    Image,
    ImportItem,
    ImportJob,
    PrivateData,
    Rendition,
    StoredObject,
    Tag,
    Translation,
    TrashEntry,
)
from imagehub.runtime.bench_fill.around import fill_around
from imagehub.runtime.bench_fill.draw import Drawer, Drawn
from imagehub.runtime.supervisor import StartError

RENDITION_SIZES_PX = (480, 720, 960, 1920)
_ACCOUNT_ID = 1
_GROUPS_PER_BATCH = 1000
_GROUPS_PER_INDEXING = 200
_SAY_SECONDS = 10.0


def fill_hub(
    engine: Engine,
    group_count: int,
    image_count: int,
    say: Callable[[str], None] = lambda _line: None,
    seed: int = 1,
) -> None:
    """Fill a migrated, empty database with published groups, drafts and a trash.

    Memory does not grow with the number of groups. No object is stored: the pictures cannot be
    loaded, and ``imagehub reconcile`` would find all of them missing.

    :param image_count: at least one for each group.
    :param say: gets lines about the progress.
    :raise StartError: the hub has works or a OneDrive, or there are too few images.
    """
    if image_count < group_count:
        raise StartError("Each group needs an image: --images must not be less than --groups.")
    began = said = time.monotonic()
    with (
        _open_unchecked(engine) as connection,
        Session(connection) as session,
        ThreadPoolExecutor(1) as drawing,
    ):
        _require_empty(session)
        drawer = Drawer(group_count, image_count, _ACCOUNT_ID, seed)
        session.execute(insert(DriveAccount), [_make_account()])
        session.execute(insert(Tag), drawer.list_tags())
        done = 0
        # The next groups are drawn while the database inserts these.
        following = drawing.submit(drawer.draw, _GROUPS_PER_BATCH)
        while done < group_count:
            drawn = following.result()
            following = drawing.submit(drawer.draw, _GROUPS_PER_BATCH)
            _insert(session, drawn)
            session.commit()
            done += len(drawn.groups)
            now = time.monotonic()
            if now - said > _SAY_SECONDS or done == group_count:
                said = now
                say(f"{done:,} of {group_count:,} groups, {done / (now - began):,.0f} a second")
        recount_gallery(session)
        session.commit()
        fill_around(session, group_count, seed)
        session.commit()
        _analyze(connection)


def _require_empty(session: Session) -> None:
    for model in (Group, Image, StoredObject, DriveAccount):
        if session.execute(select(literal(1)).select_from(model).limit(1)).first():
            raise StartError(
                "This hub has works or a OneDrive account. bench-fill fills an empty database "
                "only; set IMAGEHUB_DATABASE_URL or IMAGEHUB_DATA_DIR to another one."
            )


@contextmanager
def _open_unchecked(engine: Engine) -> Iterator[Connection]:
    """Open a connection that does not check foreign keys: all rows are consistent."""
    with engine.connect() as connection:
        if connection.dialect.name != "sqlite":
            connection.execute(text("SET foreign_key_checks = 0, unique_checks = 0"))
            connection.commit()
        try:
            yield connection
        finally:
            # Nobody else may get this connection.
            connection.invalidate()


def _make_account() -> dict[str, object]:
    """Return the row of an account without tokens: workers leave it alone."""
    return {
        "id": _ACCOUNT_ID,
        "home_account_id": "bench-fill",
        "name": "Made-up works",
        "state": "disconnected",
        "is_active": False,
        "token_cache": b"",
    }


def _insert(session: Session, drawn: Drawn) -> None:
    many: tuple[tuple[type[Base], list[dict[str, object]]], ...] = (
        (Group, drawn.groups),
        (Image, drawn.images),
        (GroupTag, drawn.tags),
        (TrashEntry, drawn.trash),
        (PrivateData, drawn.private),
        (Translation, drawn.translations),
    )
    for model, rows in many:
        if rows:
            session.connection().execute(insert(model), rows)
    first, last = drawn.images[0]["id"], drawn.images[-1]["id"]
    for size_px in RENDITION_SIZES_PX:
        _insert_renditions(session, first, last, size_px)
    _insert_import(session, drawn)
    for groups in make_batches(drawn.groups, _GROUPS_PER_INDEXING):
        add_to_search(session, [group["id"] for group in groups])
        refresh_likeness(session, [group["id"] for group in groups])
        refresh_facets(session, [group["id"] for group in groups])


def _insert_renditions(session: Session, first: int, last: int, size_px: int) -> None:
    """Insert a rendition of each image and its object, inside of the database."""
    is_these = Image.id.between(first, last)
    # 64 hexadecimal digits, as of a hash: those of the original, ending with the size.
    digits = func.substr(Image.sha256, 1, 60).concat(f"{size_px:04}")
    key = (
        literal("renditions/")
        .concat(func.substr(Image.sha256, 1, 2))
        .concat("/")
        .concat(func.substr(Image.sha256, 3, 2))
        .concat("/")
        .concat(digits)
        .concat(".webp")
    )
    is_wide = Image.width_px >= Image.height_px
    width = case((is_wide, size_px), else_=Image.width_px * size_px // Image.height_px)
    height = case((is_wide, Image.height_px * size_px // Image.width_px), else_=size_px)
    # 30 to 90 kB at 960 pixels.
    size_bytes = size_px * size_px // 30 + Image.id % 100 * (size_px * size_px // 1500)
    objects = select(key, size_bytes, Image.created_at, literal(False)).where(is_these)
    session.execute(
        insert(StoredObject).from_select(
            ["key", "size_bytes", "created_at", "is_deleting"], objects, include_defaults=False
        )
    )
    renditions = select(
        Image.id, literal(size_px), literal("image/webp"), width, height, size_bytes, key
    ).where(is_these)
    names = ["image_id", "size_px", "mime_type", "width_px", "height_px", "size_bytes"]
    session.execute(
        insert(Rendition).from_select([*names, "object_key"], renditions, include_defaults=False)
    )


def _insert_import(session: Session, drawn: Drawn) -> None:
    """Insert the finished import of these groups; one file in five hundred failed."""
    moment = drawn.groups[-1]["created_at"]
    job = ImportJob(
        drive_account_id=_ACCOUNT_ID,
        state="finished",
        item_count=len(drawn.images),
        created_at=moment,
        last_activity_at=moment,
        finished_at=moment,
    )
    session.add(job)
    session.flush()
    items = []
    for row in drawn.images:
        if not row["drive_item_id"]:
            continue
        has_failed = row["id"] % 500 == 0
        items.append(
            {
                "job_id": job.id,
                "group_id": row["group_id"],
                "drive_item_id": row["drive_item_id"] + ("-2" if has_failed else ""),
                "file_name": row["name"],
                "folder_id": row["folder_id"],
                "folder_name": row["folder_name"],
                "number": row["number"],
                "position": row["position"],
                "state": "failed" if has_failed else "done",
                "reason": "The file is damaged." if has_failed else "",
                "available_at": moment,
                "image_id": None if has_failed else row["id"],
                "size_bytes": row["size_bytes"],
                "finished_at": moment,
                "asked_at": moment,
            }
        )
    session.connection().execute(insert(ImportItem), items)


def _analyze(connection: Connection) -> None:
    """Let the database count its rows, so that it plans queries as in a grown hub."""
    names = ", ".join(f"`{table.name}`" for table in Base.metadata.sorted_tables)
    is_sqlite = connection.dialect.name == "sqlite"
    connection.execute(text("ANALYZE" if is_sqlite else f"ANALYZE TABLE {names}, search_index"))
    connection.commit()
