"""image hash index.

Why: the check looks up the originals that have the content of a new file.

Rules: one schema change per file, as MySQL commits each at once; upgrade and downgrade keep rows;
constraints are named; works on SQLite (batch mode) and MySQL/MariaDB.
"""

from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_image_drive_hash", "image", ["drive_hash"])


def downgrade() -> None:
    op.drop_index("ix_image_drive_hash", "image")
