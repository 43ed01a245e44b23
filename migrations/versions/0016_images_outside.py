"""images outside.

Why: an original outside the root folder no longer counts as missing. The next check of OneDrive looks
up all missing originals again and finds out which ones are outside.

Rules: one schema change per file, as MySQL commits each at once; upgrade and downgrade keep rows;
constraints are named; works on SQLite (batch mode) and MySQL/MariaDB.
"""

from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("UPDATE image SET drive_doubt = 2 WHERE drive_state = 'missing'")


def downgrade() -> None:
    # The older version knows neither of these states.
    op.execute("UPDATE image SET drive_state = 'missing' WHERE drive_state = 'outside'")
    op.execute("UPDATE image SET drive_doubt = 2 WHERE drive_doubt > 2")
