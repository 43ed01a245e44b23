"""series trashed at.

Why: a deleted series can be restored for 30 days. Since when it is in the trash, says this column.

Rules: one schema change per file, as MySQL commits each at once; upgrade and downgrade keep rows;
constraints are named; works on SQLite (batch mode) and MySQL/MariaDB.
"""

import sqlalchemy as sa
from alembic import op

from imagehub.database import UTCDateTime

revision = "0072"
down_revision = "0071"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("series", sa.Column("trashed_at", UTCDateTime(), nullable=True))


def downgrade() -> None:
    op.drop_column("series", "trashed_at")
