"""new series of plan.

Why: an import can make a new series of its groups, whose title is entered on its plan.

Rules: one schema change per file, as MySQL commits each at once; upgrade and downgrade keep rows;
constraints are named; works on SQLite (batch mode) and MySQL/MariaDB.
"""

import sqlalchemy as sa
from alembic import op

revision = "0066"
down_revision = "0065"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "import_plan", sa.Column("series_title", sa.String(300), nullable=False, server_default="")
    )


def downgrade() -> None:
    op.drop_column("import_plan", "series_title")
