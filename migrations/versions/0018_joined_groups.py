"""joined groups.

Why: a group whose shots were joined into another one is kept in the trash with its texts, and its
entry records where the shots went, so that joining can be undone.

Rules: one schema change per file, as MySQL commits each at once; upgrade and downgrade keep rows;
constraints are named; works on SQLite (batch mode) and MySQL/MariaDB.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    kind = sa.Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb")
    op.add_column("trash_entry", sa.Column("joined", kind, nullable=True))


def downgrade() -> None:
    op.drop_column("trash_entry", "joined")
