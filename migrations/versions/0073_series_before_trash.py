"""series before trash.

Why: a series that is restored is in the state that it had, and has its parts again.

Rules: one schema change per file, as MySQL commits each at once; upgrade and downgrade keep rows;
constraints are named; works on SQLite (batch mode) and MySQL/MariaDB.
"""

import sqlalchemy as sa
from alembic import op

revision = "0073"
down_revision = "0072"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("series", sa.Column("before_trash", sa.Text(), nullable=True))


def downgrade() -> None:
    op.drop_column("series", "before_trash")
