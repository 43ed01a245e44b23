"""words of import plan files.

Why: the board shows what files say about their pictures, and keeps what a person decides about it
until the import. NULL: nobody has looked, or decided.

Rules: one schema change per file, as MySQL commits each at once; upgrade and downgrade keep rows;
works on SQLite (batch mode) and MySQL/MariaDB.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0059"
down_revision = "0058"
branch_labels = None
depends_on = None

_LONG = sa.Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb")


def upgrade() -> None:
    op.add_column("import_plan_file", sa.Column("words", _LONG, nullable=True))


def downgrade() -> None:
    op.drop_column("import_plan_file", "words")
