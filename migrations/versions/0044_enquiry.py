"""enquiry.

Why: visitors can write to the hub's people, about a work or in general. What they write is kept
until it is deleted or its time is over.

Rules: one schema change per file, as MySQL commits each at once; upgrade and downgrade keep rows;
constraints are named; works on SQLite (batch mode) and MySQL/MariaDB.
"""

import sqlalchemy as sa
from alembic import op

from imagehub.database import UTCDateTime

revision = "0044"
down_revision = "0043"
branch_labels = None
depends_on = None

_BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "enquiry",
        sa.Column("id", _BIG_ID, nullable=False),
        sa.Column("state", sa.String(12), nullable=False),
        sa.Column("spam_reason", sa.String(12), nullable=False),
        sa.Column("group_id", _BIG_ID, nullable=True),
        sa.Column("work", sa.String(300), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("email", sa.String(254), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("text_hash", sa.String(64), nullable=False),
        sa.Column("language", sa.String(8), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=True),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("changed_at", UTCDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["group_id"],
            ["image_group.id"],
            name=op.f("fk_enquiry_group_id_image_group"),
            ondelete="SET NULL",
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["user.id"], name=op.f("fk_enquiry_user_id_user"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_enquiry")),
        sa.Index("ix_enquiry_state_id", "state", "id"),
        sa.Index("ix_enquiry_text_hash", "text_hash", "created_at"),
        sa.Index(op.f("ix_enquiry_group_id"), "group_id"),
        sa.Index(op.f("ix_enquiry_user_id"), "user_id"),
        sa.Index(op.f("ix_enquiry_created_at"), "created_at"),
        sqlite_autoincrement=True,
    )


def downgrade() -> None:
    op.drop_table("enquiry")
