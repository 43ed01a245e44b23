"""Fill a database with a catalogue of any size, by SQL only.

For the benchmarks of pages and the tests of query plans.
"""

from typing import Any

from sqlalchemy import Column, LargeBinary, String, text
from sqlalchemy.engine import Connection, Engine

from imagehub.database import Base, UTCDateTime
from imagehub.domain.library.groups import BUCKET_SHIFT
from imagehub.domain.library.order import FIRST_SORT_KEY, SORT_STEP
from imagehub.models import DriveAccount, Group, Image, Rendition, StoredObject

MOMENT = "2024-05-01 12:30:00"
SHOTS_PER_GROUP = 2
RENDITION_SIZES = (480, 960, 1920)


def fill_catalogue(engine: Engine, image_count: int) -> None:
    """Insert published groups of two shots with three renditions each, and their other rows."""
    group_count = image_count // SHOTS_PER_GROUP
    with engine.begin() as connection:
        is_sqlite = connection.dialect.name == "sqlite"
        if not is_sqlite:
            connection.execute(text("SET foreign_key_checks=0, unique_checks=0"))

        def numbers(count: int) -> str:
            if is_sqlite:
                return (
                    f"(WITH RECURSIVE n(seq) AS (SELECT 1 UNION ALL SELECT seq + 1 FROM n "
                    f"WHERE seq < {count}) SELECT seq FROM n) AS numbers"
                )
            return f"seq_1_to_{count}"

        def run(statement: str) -> None:
            connection.execute(text(statement))

        def fill(model: type[Base], source: str, **values: str) -> None:
            """Insert rows; columns that are not named get their default, "" or 0."""
            columns = {}
            table = model.metadata.tables[model.__tablename__]
            for column in table.columns:
                if column.name in values:
                    columns[column.name] = values[column.name]
                elif not column.nullable and column is not table.autoincrement_column:
                    columns[column.name] = _write_default(column)
            names = ", ".join(f"`{name}`" for name in columns)
            terms = ", ".join(columns.values())
            run(f"INSERT INTO {model.__tablename__} ({names}) SELECT {terms} {source}")

        fill(DriveAccount, "", id="1", home_account_id="'load'", state="'connected'")
        groups, images = f"FROM {numbers(group_count)}", f"FROM {numbers(image_count)}"
        fill(
            Group,
            groups,
            id="seq",
            state="'published'",
            title=_join(connection, "W", "seq"),
            folder_name="'Works'",
            sort_key=f"{FIRST_SORT_KEY} + seq * {SORT_STEP}",
            is_shown="1",
            image_count=str(SHOTS_PER_GROUP),
            cover_id=f"(seq - 1) * {SHOTS_PER_GROUP} + 1",
            next_image_number=str(SHOTS_PER_GROUP + 1),
        )
        number = f"(seq - 1) % {SHOTS_PER_GROUP} + 1"
        fill(
            Image,
            images,
            id="seq",
            group_id=f"{_div(connection, '(seq - 1)', SHOTS_PER_GROUP)} + 1",
            number=number,
            position=number,
            name=_join(connection, "front ", "seq", ".jpg"),
            alt="'A picture'",
            has_alt="1",
            drive_account_id="1",
            drive_item_id=_join(connection, "ITEM!", "seq"),
            folder_id="'FOLDER!1'",
            folder_name="'Works'",
            mime_type="'image/jpeg'",
            size_bytes="4000000",
            width_px="4000",
            height_px="3000",
            thumbhash="'1QcSHQRnh493V4dIh4eXh1h4kJUI'",
            dominant_color="'#aa8866'",
        )
        for size in RENDITION_SIZES:
            key = _join(connection, f"renditions/aa/bb/{'0' * 44}-{size}-", "seq", ".webp")
            fill(StoredObject, images, key=key, size_bytes="20000")
            fill(
                Rendition,
                images,
                image_id="seq",
                size_px=str(size),
                width_px=str(size),
                height_px=str(size * 3 // 4),
                size_bytes="20000",
                object_key=key,
            )
        bucket = f"(sort_key >> {BUCKET_SHIFT})"
        run(
            "INSERT INTO gallery_bucket (bucket, shown_count)"
            f" SELECT {bucket}, count(*) FROM image_group WHERE is_shown = 1 GROUP BY {bucket}"
        )
    with engine.connect() as connection:
        analyze = "ANALYZE TABLE image_group, image, rendition, gallery_bucket"
        connection.execute(text("ANALYZE" if is_sqlite else analyze))
        connection.commit()


def _write_default(column: Column[Any]) -> str:
    """Return the SQL of a column's value in a new row."""
    if column.default is not None and column.default.is_scalar:
        value = column.default.arg  # type: ignore[attr-defined] # has one if it is scalar
        return str(int(value)) if isinstance(value, bool | int) else f"'{value}'"
    if isinstance(column.type, UTCDateTime):
        return f"'{MOMENT}'"
    return "''" if isinstance(column.type, String | LargeBinary) else "0"


def _join(connection: Connection, *parts: str) -> str:
    """Return the SQL of this database for joining texts; ``seq`` is the column."""
    words = [part if part == "seq" else "'" + part + "'" for part in parts]
    if connection.dialect.name == "sqlite":
        return " || ".join(words)
    return "CONCAT(" + ", ".join(words) + ")"


def _div(connection: Connection, left: str, right: int) -> str:
    operator = "/" if connection.dialect.name == "sqlite" else "DIV"
    return f"{left} {operator} {right}"
