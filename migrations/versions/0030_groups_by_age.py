"""groups by age.

Why: a page of the library with the newest groups first is a range of this index.

Rules: one schema change per file, as MySQL commits each at once; upgrade and downgrade keep rows;
constraints are named; works on SQLite (batch mode) and MySQL/MariaDB.
"""

from alembic import op

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_image_group_state_created", "image_group", ["state", "created_at", "id"])


def downgrade() -> None:
    op.drop_index("ix_image_group_state_created", table_name="image_group")
