"""series first day.

Why: dates of an exhibition are shown in the language of the visitor, and told to search engines.

Rules: one schema change per file, as MySQL commits each at once; upgrade and downgrade keep rows;
constraints are named; works on SQLite (batch mode) and MySQL/MariaDB.
"""

import sqlalchemy as sa
from alembic import op

revision = "0074"
down_revision = "0073"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("series", sa.Column("first_day", sa.Date(), nullable=True))


def downgrade() -> None:
    op.drop_column("series", "first_day")
