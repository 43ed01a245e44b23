"""accepts mismatch.

Why: a file that OneDrive sends with other content than it lists fails after a few tries; a person can
import it anyway.

Rules: one schema change per file, as MySQL commits each at once; upgrade and downgrade keep rows;
constraints are named; works on SQLite (batch mode) and MySQL/MariaDB.
"""

import sqlalchemy as sa
from alembic import op

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None


def upgrade() -> None:
    column = sa.Column("accepts_mismatch", sa.Boolean(), nullable=False, server_default=sa.false())
    op.add_column("import_item", column)


def downgrade() -> None:
    op.drop_column("import_item", "accepts_mismatch")
