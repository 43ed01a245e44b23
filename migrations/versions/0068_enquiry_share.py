"""enquiry share.

Why: a list of works that a visitor of a share link sends is an enquiry with that link.

Rules: one schema change per file, as MySQL commits each at once; upgrade and downgrade keep rows;
constraints are named; works on SQLite (batch mode) and MySQL/MariaDB.
"""

import sqlalchemy as sa
from alembic import op

revision = "0068"
down_revision = "0067"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("enquiry") as batch:
        batch.add_column(sa.Column("share_id", sa.Integer(), nullable=True))
        batch.add_column(sa.Column("work_count", sa.Integer(), nullable=False, server_default="0"))
        batch.create_foreign_key(
            op.f("fk_enquiry_share_id_share_link"),
            "share_link",
            ["share_id"],
            ["id"],
            ondelete="SET NULL",
        )
        batch.create_index("ix_enquiry_share_id", ["share_id", "id"])


def downgrade() -> None:
    with op.batch_alter_table("enquiry") as batch:
        batch.drop_constraint(op.f("fk_enquiry_share_id_share_link"), type_="foreignkey")
        batch.drop_index("ix_enquiry_share_id")
        batch.drop_column("work_count")
        batch.drop_column("share_id")
