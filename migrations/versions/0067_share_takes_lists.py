"""share takes lists.

Why: visitors of a share link can send a list of its works, unless the link does not take any. Those
that were created before do not until somebody turns it on.

Rules: one schema change per file, as MySQL commits each at once; upgrade and downgrade keep rows;
constraints are named; works on SQLite (batch mode) and MySQL/MariaDB.
"""

import sqlalchemy as sa
from alembic import op

revision = "0067"
down_revision = "0066"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "share_link",
        sa.Column("takes_lists", sa.Boolean(), nullable=False, server_default=sa.false()),
    )


def downgrade() -> None:
    with op.batch_alter_table("share_link") as batch:
        batch.drop_column("takes_lists")
