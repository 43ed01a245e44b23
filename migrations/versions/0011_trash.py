"""trash.

Why: what an admin deletes can be restored for thirty days.

Rules: one schema change per file, as MySQL commits each at once; upgrade and downgrade keep rows;
constraints are named; works on SQLite (batch mode) and MySQL/MariaDB.
"""

import sqlalchemy as sa
from alembic import op

from imagehub.database import UTCDateTime

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "trash_entry",
        sa.Column("group_id", BIG_ID, autoincrement=False, nullable=False),
        sa.Column("origin_id", sa.BigInteger(), nullable=True),
        sa.Column("state_before", sa.String(length=16), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=True),
        sa.Column("trashed_at", UTCDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["group_id"],
            ["image_group.id"],
            name=op.f("fk_trash_entry_group_id_image_group"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["user_id"],
            ["user.id"],
            name=op.f("fk_trash_entry_user_id_user"),
            ondelete="SET NULL",
        ),
        sa.PrimaryKeyConstraint("group_id", name=op.f("pk_trash_entry")),
    )
    op.create_index(op.f("ix_trash_entry_trashed_at"), "trash_entry", ["trashed_at"])
    op.create_index(op.f("ix_trash_entry_user_id"), "trash_entry", ["user_id"])


def downgrade() -> None:
    # An older version does not know this state; as drafts the works stay hidden.
    op.execute("UPDATE image_group SET state = 'draft' WHERE state = 'trash'")
    op.drop_table("trash_entry")
