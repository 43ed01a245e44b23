"""import item asked_at.

Why: a file that is retried gets the full time to wait for a passing fault, and its own pace, however
old its import is. For earlier files, which have no value, the start of the import counts.

Rules: one schema change per file, as MySQL commits each at once; upgrade and downgrade keep rows;
constraints are named; works on SQLite (batch mode) and MySQL/MariaDB.
"""

import sqlalchemy as sa
from alembic import op

from imagehub.database import UTCDateTime

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("import_item", sa.Column("asked_at", UTCDateTime(), nullable=True))


def downgrade() -> None:
    op.drop_column("import_item", "asked_at")
