"""series last day.

Why: as the first day of a series, see the migration before.

Rules: one schema change per file, as MySQL commits each at once; upgrade and downgrade keep rows;
constraints are named; works on SQLite (batch mode) and MySQL/MariaDB.
"""

import sqlalchemy as sa
from alembic import op

revision = "0075"
down_revision = "0074"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("series", sa.Column("last_day", sa.Date(), nullable=True))


def downgrade() -> None:
    op.drop_column("series", "last_day")
