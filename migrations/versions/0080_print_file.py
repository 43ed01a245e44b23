"""print file.

Why: catalogues, price lists and wall labels are made by a worker, which takes minutes, and kept in
object storage for a while.

Rules: one schema change per file, as MySQL commits each at once; upgrade and downgrade keep rows;
constraints are named; works on SQLite (batch mode) and MySQL/MariaDB.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

from imagehub.database import UTCDateTime

revision = "0080"
down_revision = "0079"
branch_labels = None
depends_on = None

_BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_LONG_TEXT = sa.Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb")


def upgrade() -> None:
    op.create_table(
        "print_file",
        sa.Column("id", _BIG_ID, nullable=False),
        sa.Column("kind", sa.String(12), nullable=False),
        sa.Column("title", sa.String(300), nullable=False),
        sa.Column("series_id", _BIG_ID, nullable=True),
        sa.Column("options", _LONG_TEXT, nullable=False),
        sa.Column("groups", _LONG_TEXT, nullable=False),
        sa.Column("work_count", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(12), nullable=False),
        sa.Column("owner", sa.String(64), nullable=False),
        sa.Column("due_at", UTCDateTime(), nullable=False),
        sa.Column("attempt_count", sa.Integer(), nullable=False),
        sa.Column("done_count", sa.Integer(), nullable=False),
        sa.Column("reason", sa.String(500), nullable=False),
        sa.Column("problems", _LONG_TEXT, nullable=False),
        sa.Column("object_key", sa.String(200), nullable=False),
        sa.Column("part_count", sa.Integer(), nullable=False),
        sa.Column("page_count", sa.Integer(), nullable=False),
        sa.Column("size_bytes", _BIG_ID, nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=True),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("expires_at", UTCDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["series_id"],
            ["series.id"],
            name=op.f("fk_print_file_series_id_series"),
            ondelete="SET NULL",
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["user.id"], name=op.f("fk_print_file_user_id_user"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_print_file")),
        sa.Index("ix_print_file_state_due", "state", "due_at"),
        sa.Index(op.f("ix_print_file_object_key"), "object_key"),
        sa.Index(op.f("ix_print_file_expires_at"), "expires_at"),
        sa.Index(op.f("ix_print_file_user_id"), "user_id"),
        sqlite_autoincrement=True,
    )


def downgrade() -> None:
    op.drop_table("print_file")
