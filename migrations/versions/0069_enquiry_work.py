"""enquiry work.

Why: the works of a list that a visitor has sent, each with a line.

Rules: one schema change per file, as MySQL commits each at once; upgrade and downgrade keep rows;
constraints are named; works on SQLite (batch mode) and MySQL/MariaDB.
"""

import sqlalchemy as sa
from alembic import op

revision = "0069"
down_revision = "0068"
branch_labels = None
depends_on = None

_BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "enquiry_work",
        sa.Column("enquiry_id", _BIG_ID, nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("group_id", _BIG_ID, nullable=True),
        sa.Column("title", sa.String(300), nullable=False),
        sa.Column("line", sa.String(500), nullable=False),
        sa.ForeignKeyConstraint(
            ["enquiry_id"],
            ["enquiry.id"],
            name=op.f("fk_enquiry_work_enquiry_id_enquiry"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["group_id"],
            ["image_group.id"],
            name=op.f("fk_enquiry_work_group_id_image_group"),
            ondelete="SET NULL",
        ),
        sa.PrimaryKeyConstraint("enquiry_id", "position", name=op.f("pk_enquiry_work")),
        sa.Index(op.f("ix_enquiry_work_group_id"), "group_id"),
    )


def downgrade() -> None:
    op.drop_table("enquiry_work")
