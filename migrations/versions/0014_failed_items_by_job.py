"""failed items by job.

Why: the home page of the admin lists the newest imports with failed items; this index finds them
without reading all failed items.

Rules: one schema change per file, as MySQL commits each at once; upgrade and downgrade keep rows;
constraints are named; works on SQLite (batch mode) and MySQL/MariaDB.
"""

from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_import_item_state_job", "import_item", ["state", "job_id"])


def downgrade() -> None:
    op.drop_index("ix_import_item_state_job", table_name="import_item")
