"""import item asked_at.

Why: a file that is tried again may wait for a passing fault as long as one that was just asked for,
however old its import is; and its pace is that of the new try. Files of imports before have none:
the import's own beginning holds for them.

Rules: one schema change a file, since MySQL commits each one at once; upgrade and downgrade keep
rows; constraints are named; both SQLite (batch mode) and MySQL/MariaDB.
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
