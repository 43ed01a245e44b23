"""upload sessions.

Why: any web server can resume an upload that another one started. The addresses of open upload
sessions were files on one machine; they are short-lived, so none are migrated.

Rules: upgrade and downgrade keep rows; constraints are named; works on SQLite (batch mode) and
MySQL/MariaDB.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

from imagehub.database import UTCDateTime

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

SEALED = sa.LargeBinary(length=65_535).with_variant(mysql.BLOB(), "mysql", "mariadb")


def upgrade() -> None:
    op.create_table(
        "upload_session",
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("drive_account_id", sa.Integer(), nullable=False),
        sa.Column("address", SEALED, nullable=False),
        sa.Column("begun_at", UTCDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["drive_account_id"],
            ["drive_account.id"],
            name=op.f("fk_upload_session_drive_account_id_drive_account"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_upload_session")),
    )
    for column in ("drive_account_id", "begun_at"):
        op.create_index(op.f(f"ix_upload_session_{column}"), "upload_session", [column])


def downgrade() -> None:
    op.drop_table("upload_session")
