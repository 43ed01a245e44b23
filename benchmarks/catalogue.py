"""Fill a database with a catalogue of any size, by SQL only.

For the benchmarks of pages and the tests of query plans.
"""

from sqlalchemy import text
from sqlalchemy.engine import Connection, Engine

from imagehub.domain.library.groups import BUCKET_SHIFT
from imagehub.domain.library.order import FIRST_SORT_KEY, SORT_STEP

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

        moment = "'2024-05-01 12:30:00'"
        run(
            "INSERT INTO drive_account (id, home_account_id, username, name, tenant_id, is_active,"
            " state, state_reason, state_code, token_cache, token_version, scopes, connected_at,"
            " drive_id, drive_kind) VALUES (1, 'load', '', '', '', 1, 'connected', '', '', '', 1,"
            f" '', {moment}, '', '')"
        )
        run(
            "INSERT INTO image_group (id, state, title, text, folder_name, medium, dimensions,"
            " year, edition, availability, sort_key, is_shown, image_count, cover_id,"
            " next_image_number, version, created_at, updated_at)"
            f" SELECT seq, 'published', {_join(connection, 'W', 'seq')},"
            f" '', 'Works', '', '', '', '', '', {FIRST_SORT_KEY} + seq * {SORT_STEP}, 1,"
            f" {SHOTS_PER_GROUP},"
            f" (seq - 1) * {SHOTS_PER_GROUP} + 1, {SHOTS_PER_GROUP + 1}, 1, {moment}, {moment}"
            f" FROM {numbers(group_count)}"
        )
        run(
            "INSERT INTO image (id, group_id, number, position, name, alt, drive_account_id,"
            " drive_item_id, drive_state, folder_id, folder_name, mime_type, size_bytes, sha256,"
            " quick_xor_hash, etag, ctag, width_px, height_px, thumbhash, dominant_color, camera,"
            " role, lens, has_alt, drive_hash, drive_size_bytes, drive_doubt, created_at,"
            " updated_at)"
            f" SELECT seq, {_div(connection, '(seq - 1)', SHOTS_PER_GROUP)} + 1,"
            f" (seq - 1) % {SHOTS_PER_GROUP} + 1, (seq - 1) % {SHOTS_PER_GROUP} + 1,"
            f" {_join(connection, 'front ', 'seq', '.jpg')}, 'A picture', 1,"
            f" {_join(connection, 'ITEM!', 'seq')}, 'ok', 'FOLDER!1', 'Works', 'image/jpeg',"
            f" 4000000, '', '', '', '', 4000, 3000, '1QcSHQRnh493V4dIh4eXh1h4kJUI', '#aa8866', '',"
            f" '', '', 1, '', 0, 0, {moment}, {moment} FROM {numbers(image_count)}"
        )
        for size in RENDITION_SIZES:
            key = _join(connection, f"renditions/aa/bb/{'0' * 44}-{size}-", "seq", ".webp")
            run(
                "INSERT INTO stored_object (`key`, size_bytes, is_deleting, created_at)"
                f" SELECT {key}, 20000, 0, {moment} FROM {numbers(image_count)}"
            )
            run(
                "INSERT INTO rendition (image_id, size_px, mime_type, width_px, height_px,"
                f" size_bytes, object_key) SELECT seq, {size}, 'image/webp', {size},"
                f" {size * 3 // 4}, 20000, {key} FROM {numbers(image_count)}"
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


def _join(connection: Connection, *parts: str) -> str:
    """Return the SQL of this database for joining texts; ``seq`` is the column."""
    words = [part if part == "seq" else "'" + part + "'" for part in parts]
    if connection.dialect.name == "sqlite":
        return " || ".join(words)
    return "CONCAT(" + ", ".join(words) + ")"


def _div(connection: Connection, left: str, right: int) -> str:
    operator = "/" if connection.dialect.name == "sqlite" else "DIV"
    return f"{left} {operator} {right}"
