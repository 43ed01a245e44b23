"""series of folder.

Why: a series made from a folder of OneDrive is found again by the id of the folder, also after
the folder was renamed.

Rules: one schema change per file, as MySQL commits each at once; upgrade and downgrade keep rows;
constraints are named; works on SQLite (batch mode) and MySQL/MariaDB.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0063"
down_revision = "0062"
branch_labels = None
depends_on = None

DRIVE_ID = sa.String(255).with_variant(
    mysql.VARCHAR(255, collation="utf8mb4_bin"), "mysql", "mariadb"
)


def upgrade() -> None:
    op.add_column("series", sa.Column("folder_id", DRIVE_ID, nullable=False, server_default=""))


def downgrade() -> None:
    op.drop_column("series", "folder_id")
