"""failed items by job.

Why: the admin's first page names the newest imports with failed items; it should find them without
reading all failed items of all times.

Rules: one schema change a file, since MySQL commits each one at once; upgrade and downgrade keep
rows; constraints are named; both SQLite (batch mode) and MySQL/MariaDB.
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
