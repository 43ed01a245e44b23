"""drive watch.

Why: changes, moves and deletions in OneDrive are detected. This needs the position in each account's
list of changes, the folders of the drive as a tree, and the drive's data about each image.

Rules: upgrade and downgrade keep rows; constraints are named; works on SQLite (batch mode) and
MySQL/MariaDB.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

from imagehub.database import UTCDateTime

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

DRIVE_ID = sa.String(length=255).with_variant(
    mysql.VARCHAR(255, collation="utf8mb4_bin"), "mysql", "mariadb"
)
SEALED = sa.LargeBinary(length=65_535).with_variant(mysql.BLOB(), "mysql", "mariadb")
IMAGE_COLUMNS = (
    ("drive_hash", sa.String(length=40), ""),
    ("drive_size_bytes", sa.BigInteger(), "0"),
    ("drive_doubt", sa.SmallInteger(), "0"),
)
INDEXES = (
    ("ix_image_drive_doubt", ["drive_account_id", "drive_doubt", "id"]),
    ("ix_image_folder_id", ["folder_id"]),
)


def upgrade() -> None:
    op.create_table(
        "drive_watch",
        sa.Column("drive_account_id", sa.Integer(), nullable=False),
        sa.Column("drive_id", DRIVE_ID, nullable=False),
        sa.Column("root_id", DRIVE_ID, nullable=False),
        sa.Column("link", SEALED, nullable=False),
        sa.Column("is_full", sa.Boolean(), nullable=False),
        sa.Column("step", sa.String(length=16), nullable=False),
        sa.Column("run_number", sa.Integer(), nullable=False),
        sa.Column("asked_at", UTCDateTime(), nullable=True),
        sa.Column("tried_at", UTCDateTime(), nullable=True),
        sa.Column("advanced_at", UTCDateTime(), nullable=True),
        sa.Column("checked_at", UTCDateTime(), nullable=True),
        sa.Column("next_at", UTCDateTime(), nullable=True),
        sa.Column("failure_count", sa.Integer(), nullable=False),
        sa.Column("problem", sa.String(length=500), nullable=False),
        sa.ForeignKeyConstraint(
            ["drive_account_id"],
            ["drive_account.id"],
            name=op.f("fk_drive_watch_drive_account_id_drive_account"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("drive_account_id", name=op.f("pk_drive_watch")),
    )
    op.create_table(
        "drive_folder",
        sa.Column("drive_account_id", sa.Integer(), nullable=False),
        sa.Column("item_id", DRIVE_ID, nullable=False),
        sa.Column("parent_id", DRIVE_ID, nullable=False),
        sa.Column("name", sa.String(length=400), nullable=False),
        sa.Column("is_deleted", sa.Boolean(), nullable=False),
        sa.Column("run_number", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["drive_account_id"],
            ["drive_account.id"],
            name=op.f("fk_drive_folder_drive_account_id_drive_account"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("drive_account_id", "item_id", name=op.f("pk_drive_folder")),
    )
    op.create_index("ix_drive_folder_parent", "drive_folder", ["drive_account_id", "parent_id"])
    for name, kind, default in IMAGE_COLUMNS:
        op.add_column("image", sa.Column(name, kind, nullable=False, server_default=default))
    # Of Live Photos the drive lists another size and hash than it sends.
    op.execute(
        "UPDATE image SET drive_hash = quick_xor_hash, drive_size_bytes = size_bytes"
        " WHERE mime_type NOT IN ('image/heic', 'image/heif')"
    )
    for name, columns in INDEXES:
        op.create_index(name, "image", columns)


def downgrade() -> None:
    # MariaDB needs an index for each foreign key; this one may be in use for it.
    for name, _columns in reversed(INDEXES):
        op.drop_index(name, table_name="image")
    for name, _kind, _default in reversed(IMAGE_COLUMNS):
        op.drop_column("image", name)
    op.drop_table("drive_folder")
    op.drop_table("drive_watch")
