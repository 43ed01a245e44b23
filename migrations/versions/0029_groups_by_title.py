"""groups by title.

Why: a page of the library that is sorted by title is a range of this index.

Rules: one schema change per file, as MySQL commits each at once; upgrade and downgrade keep rows;
constraints are named; works on SQLite (batch mode) and MySQL/MariaDB.
"""

from alembic import op

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_image_group_state_title", "image_group", ["state", "title_key", "id"])


def downgrade() -> None:
    op.drop_index("ix_image_group_state_title", table_name="image_group")
