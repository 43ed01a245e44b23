"""share mark.

Why: the works that a visitor of a share link has marked survive a reload, also without a script.

Rules: one schema change per file, as MySQL commits each at once; upgrade and downgrade keep rows;
constraints are named; works on SQLite (batch mode) and MySQL/MariaDB.
"""

import sqlalchemy as sa
from alembic import op

from imagehub.database import UTCDateTime

revision = "0070"
down_revision = "0069"
branch_labels = None
depends_on = None

_BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "share_mark",
        sa.Column("share_id", sa.Integer(), nullable=False),
        sa.Column("visitor", sa.String(64), nullable=False),
        sa.Column("group_id", _BIG_ID, nullable=False),
        sa.Column("line", sa.String(500), nullable=False),
        sa.Column("changed_at", UTCDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["share_id"],
            ["share_link.id"],
            name=op.f("fk_share_mark_share_id_share_link"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["group_id"],
            ["image_group.id"],
            name=op.f("fk_share_mark_group_id_image_group"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("share_id", "visitor", "group_id", name=op.f("pk_share_mark")),
        sa.Index(op.f("ix_share_mark_group_id"), "group_id"),
        sa.Index(op.f("ix_share_mark_changed_at"), "changed_at"),
    )


def downgrade() -> None:
    op.drop_table("share_mark")
