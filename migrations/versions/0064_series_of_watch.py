"""series of watch.

Why: new files of a watched folder can join a series.

Rules: one schema change per file, as MySQL commits each at once; upgrade and downgrade keep rows;
constraints are named; works on SQLite (batch mode) and MySQL/MariaDB.
"""

import sqlalchemy as sa
from alembic import op

revision = "0064"
down_revision = "0063"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("watched_folder", sa.Column("series_id", sa.BigInteger(), nullable=True))


def downgrade() -> None:
    op.drop_column("watched_folder", "series_id")
