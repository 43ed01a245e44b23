"""watched folder.

Why: new files of watched folders are imported automatically. Which files are known must outlive
their images, so that none is imported again that somebody deleted.

Rules: upgrade and downgrade keep rows; constraints are named; works on SQLite (batch mode) and
MySQL/MariaDB.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

from imagehub.database import UTCDateTime

revision = "0041"
down_revision = "0040"
branch_labels = None
depends_on = None

DRIVE_ID = sa.String(length=255).with_variant(
    mysql.VARCHAR(255, collation="utf8mb4_bin"), "mysql", "mariadb"
)


def upgrade() -> None:
    op.create_table(
        "watched_folder",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("drive_account_id", sa.Integer(), nullable=False),
        sa.Column("item_id", DRIVE_ID, nullable=False),
        sa.Column("path", sa.String(1000), nullable=False),
        sa.Column("way", sa.String(16), nullable=False),
        sa.Column("is_published", sa.Boolean(), nullable=False),
        sa.Column("is_ready", sa.Boolean(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=True),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("problem", sa.String(500), nullable=False),
        sa.ForeignKeyConstraint(
            ["drive_account_id"],
            ["drive_account.id"],
            name=op.f("fk_watched_folder_drive_account_id_drive_account"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["user_id"],
            ["user.id"],
            name=op.f("fk_watched_folder_user_id_user"),
            ondelete="SET NULL",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_watched_folder")),
        sa.UniqueConstraint(
            "drive_account_id", "item_id", name=op.f("uq_watched_folder_drive_account_id_item_id")
        ),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_watched_folder_user_id"), "watched_folder", ["user_id"])
    op.create_table(
        "watched_item",
        sa.Column("drive_account_id", sa.Integer(), nullable=False),
        sa.Column("item_id", DRIVE_ID, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("etag", sa.String(255), nullable=False),
        sa.Column("found_at", UTCDateTime(), nullable=False),
        sa.Column("seen_at", UTCDateTime(), nullable=False),
        sa.Column("job_id", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["drive_account_id"],
            ["drive_account.id"],
            name=op.f("fk_watched_item_drive_account_id_drive_account"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("drive_account_id", "item_id", name=op.f("pk_watched_item")),
        sa.Index("ix_watched_item_state", "drive_account_id", "state", "seen_at"),
    )


def downgrade() -> None:
    op.drop_table("watched_item")
    op.drop_table("watched_folder")
