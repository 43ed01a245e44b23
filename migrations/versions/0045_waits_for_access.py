"""import items that wait for access.

Why: a sign-in at Microsoft lets the items go on that waited for it, and no others, which wait for a
preview or a service. Those that wait at the moment are tried again by themselves within minutes.

Rules: one schema change per file, as MySQL commits each at once; upgrade and downgrade keep rows;
constraints are named; works on SQLite (batch mode) and MySQL/MariaDB.
"""

import sqlalchemy as sa
from alembic import op

revision = "0045"
down_revision = "0044"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "import_item",
        sa.Column("waits_for_access", sa.Boolean(), nullable=False, server_default=sa.false()),
    )


def downgrade() -> None:
    op.drop_column("import_item", "waits_for_access")
