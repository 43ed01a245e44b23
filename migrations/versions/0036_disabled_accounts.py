"""disabled accounts.

Why: an account can be disabled, and enabled again; the time says since when. Those that exist are
enabled.

Rules: one schema change per file, as MySQL commits each at once; upgrade and downgrade keep rows;
constraints are named; works on SQLite (batch mode) and MySQL/MariaDB.
"""

import sqlalchemy as sa
from alembic import op

from imagehub.database import UTCDateTime

revision = "0036"
down_revision = "0035"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("user", sa.Column("disabled_at", UTCDateTime(), nullable=True))


def downgrade() -> None:
    op.drop_column("user", "disabled_at")
