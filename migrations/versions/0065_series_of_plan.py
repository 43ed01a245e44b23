"""series of plan.

Why: the groups of an import can be put into a series, which is chosen on its plan.

Rules: one schema change per file, as MySQL commits each at once; upgrade and downgrade keep rows;
constraints are named; works on SQLite (batch mode) and MySQL/MariaDB.
"""

import sqlalchemy as sa
from alembic import op

revision = "0065"
down_revision = "0064"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("import_plan", sa.Column("series_id", sa.BigInteger(), nullable=True))


def downgrade() -> None:
    op.drop_column("import_plan", "series_id")
