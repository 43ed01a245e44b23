"""offered item.

Why: a file with other content that has the name and folder of a missing original is offered in its
place. The next check looks for one for each original that is missing now.

Rules: one schema change per file, as MySQL commits each at once; upgrade and downgrade keep rows;
constraints are named; works on SQLite (batch mode) and MySQL/MariaDB.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None


EXACT = sa.String(255).with_variant(mysql.VARCHAR(255, collation="utf8mb4_bin"), "mysql", "mariadb")


def upgrade() -> None:
    op.add_column("image", sa.Column("offered_item_id", EXACT, nullable=False, server_default=""))
    op.execute(
        "UPDATE image SET drive_doubt = -1 WHERE drive_state = 'missing' AND drive_doubt = 0"
    )


def downgrade() -> None:
    op.execute("UPDATE image SET drive_doubt = 0 WHERE drive_doubt < 0")
    op.drop_column("image", "offered_item_id")
