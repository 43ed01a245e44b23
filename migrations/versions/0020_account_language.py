"""account language and facts of activity entries.

Why: the admin pages are shown in the account's language, and an entry of the activity log is
rendered in the reader's language from the action, the name, the count and other values. Entries
that were written before keep their sentence in ``words``.

Rules: upgrade and downgrade keep rows; constraints are named; works on SQLite (batch mode) and
MySQL/MariaDB. Adding a column can be repeated by hand where MySQL stopped half-way.
"""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

# (table, column, type, default)
COLUMNS = (
    ("user", "language", sa.String(8), ""),
    ("audit_entry", "action", sa.String(40), ""),
    ("audit_entry", "subject", sa.String(300), ""),
    ("audit_entry", "count", sa.Integer(), "1"),
    ("audit_entry", "details", sa.String(2000), ""),
)


def upgrade() -> None:
    for table, name, kind, default in COLUMNS:
        op.add_column(table, sa.Column(name, kind, nullable=False, server_default=default))


def downgrade() -> None:
    for table, name, _kind, _default in COLUMNS:
        op.drop_column(table, name)
