"""joined groups.

Why: a group whose shots were joined into another one lies in the trash with its words, and its entry
knows which shots went where, so that all of it can be taken back.

Rules: one schema change a file, since MySQL commits each one at once; upgrade and downgrade keep
rows; constraints are named; both SQLite (batch mode) and MySQL/MariaDB.
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
