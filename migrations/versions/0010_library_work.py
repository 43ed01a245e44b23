"""library work.

Why: works have an edition and an availability, shots have a role, and one shot can be set as the
cover; files are recognised by their hash, and the lists of open work have indexes.

Rules: upgrade and downgrade keep rows; constraints are named; works on SQLite (batch mode) and
MySQL/MariaDB.
"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

GROUP_COLUMNS = (
    ("edition", sa.String(length=300), ""),
    ("availability", sa.String(length=20), ""),
)
INDEXES = (
    ("ix_image_group_state_sort", "image_group", ["state", "sort_key", "id"]),
    ("ix_image_has_alt", "image", ["has_alt", "group_id"]),
    ("ix_image_drive_state", "image", ["drive_state", "group_id"]),
    ("ix_image_quick_xor_hash", "image", ["quick_xor_hash"]),
    ("ix_import_item_state_group", "import_item", ["state", "group_id"]),
)


def upgrade() -> None:
    for name, kind, default in GROUP_COLUMNS:
        op.add_column("image_group", sa.Column(name, kind, nullable=False, server_default=default))
    op.add_column("image_group", sa.Column("chosen_cover_id", sa.BigInteger(), nullable=True))
    op.add_column(
        "image", sa.Column("role", sa.String(length=20), nullable=False, server_default="")
    )
    op.add_column(
        "image", sa.Column("has_alt", sa.Boolean(), nullable=False, server_default=sa.false())
    )
    op.execute("UPDATE image SET has_alt = 1 WHERE alt <> ''")
    for name, table, columns in INDEXES:
        op.create_index(name, table, columns)


def downgrade() -> None:
    for name, table, _columns in INDEXES:
        op.drop_index(name, table_name=table)
    for table, names in (
        ("image", ("role", "has_alt")),
        ("image_group", ("edition", "availability", "chosen_cover_id")),
    ):
        for name in names:
            op.drop_column(table, name)
