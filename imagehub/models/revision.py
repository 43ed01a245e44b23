"""A mark that changes with everything visitors can see, so that pages can be kept until then."""

import secrets
from typing import Any

from sqlalchemy import BigInteger, Connection, Engine, event
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.sql.dml import UpdateBase

from imagehub.database import Base

# No public page or call reads these tables. A change of any other table, also one that is not
# known here, changes the mark.
PRIVATE_TABLES = frozenset(
    {
        "api_token",
        "audit_entry",
        "day_count",
        "drive_account",
        "drive_copy",
        "drive_folder",
        "drive_watch",
        "enquiry",
        "found_words",
        "enquiry_recipient",
        "enquiry_work",
        "import_item",
        "import_job",
        "import_plan",
        "import_plan_file",
        "import_proposal",
        "lease",
        "legacy_row",
        "pending_sign_in",
        "print_file",
        "recovery_code",
        "revoked_token",
        "second_factor",
        "share_item",
        "share_link",
        "share_mark",
        "sign_in_failure",
        "sign_in_session",
        "skipped_enquiry",
        "stored_object",
        "upload_session",
        "user",
        "watermark_picture",
    }
)
# An option of a connection that migrates: the table may not exist yet. The last step of a migration
# changes the mark.
IS_MIGRATING = "imagehub_is_migrating"
_CHANGED = "gallery_changed"


class GalleryRevision(Base):
    """The mark: one row. It is random, since a counter could repeat after a restored backup."""

    __tablename__ = "gallery_revision"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    mark: Mapped[int] = mapped_column(BigInteger)


@event.listens_for(Engine, "after_execute")
def _note_change(
    connection: Connection, statement: Any, _many: Any, _one: Any, _options: Any, result: Any
) -> None:
    """Note a change of a public table, whether by the ORM or by a statement of its own."""
    if not isinstance(statement, UpdateBase):
        return
    # Checks of OneDrive run many statements that find no row.
    found_none = not statement.is_insert and not result.returns_rows and result.rowcount == 0
    if not found_none and getattr(statement.table, "name", "") not in PRIVATE_TABLES:
        connection.info[_CHANGED] = True


@event.listens_for(Engine, "commit")
def _change_mark(connection: Connection) -> None:
    """Change the mark with the transaction, as its last statement.

    All transactions that change public tables update the same row, so none of them may wait for
    another one after that.
    """
    is_changed = connection.info.pop(_CHANGED, False)
    if not is_changed or connection.get_execution_options().get(IS_MIGRATING):
        return
    mark = secrets.randbits(63)
    changed = connection.exec_driver_sql(f"UPDATE gallery_revision SET mark = {mark}")  # noqa: S608
    if not changed.rowcount:
        connection.exec_driver_sql(f"INSERT INTO gallery_revision VALUES (1, {mark})")  # noqa: S608


@event.listens_for(Engine, "rollback")
def _forget_change(connection: Connection) -> None:
    if not connection.invalidated:
        connection.info.pop(_CHANGED, None)
