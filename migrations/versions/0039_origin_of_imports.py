"""origin of imports.

Why: log lines and traces of a worker name the request that started an import.

Rules: one schema change per file, as MySQL commits each at once; upgrade and downgrade keep rows;
constraints are named; works on SQLite (batch mode) and MySQL/MariaDB.
"""

import sqlalchemy as sa
from alembic import op

revision = "0039"
down_revision = "0038"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "import_job", sa.Column("origin", sa.String(128), nullable=False, server_default="")
    )


def downgrade() -> None:
    op.drop_column("import_job", "origin")
