"""share of series.

Why: a share link can show a whole series with its parts, as it is at the moment of the visit, in
place of selected groups.

Rules: one schema change per file, as MySQL commits each at once; upgrade and downgrade keep rows;
constraints are named; works on SQLite (batch mode) and MySQL/MariaDB.
"""

import sqlalchemy as sa
from alembic import op

revision = "0054"
down_revision = "0053"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("share_link", sa.Column("series_id", sa.BigInteger(), nullable=True))


def downgrade() -> None:
    op.drop_column("share_link", "series_id")
