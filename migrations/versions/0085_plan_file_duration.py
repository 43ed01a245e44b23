"""plan file duration.

Why: the board of an import plan shows which files are videos, and how long they are, as OneDrive
lists them.

Rules: one schema change per file, as MySQL commits each at once. Upgrade and downgrade keep rows;
works on SQLite and MySQL/MariaDB.
"""

import sqlalchemy as sa
from alembic import op

revision = "0085"
down_revision = "0084"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("import_plan_file", sa.Column("duration_ms", sa.BigInteger(), nullable=True))


def downgrade() -> None:
    op.drop_column("import_plan_file", "duration_ms")
