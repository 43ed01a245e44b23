"""images outside.

Why: an original that lies outside the root folder is no longer called missing. Which of the missing
ones that is about, the next look through OneDrive finds out: it asks for all of them again.

Rules: one schema change a file, since MySQL commits each one at once; upgrade and downgrade keep
rows; constraints are named; both SQLite (batch mode) and MySQL/MariaDB.
"""

from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("UPDATE image SET drive_doubt = 2 WHERE drive_state = 'missing'")


def downgrade() -> None:
    # The version before knows neither this state nor this doubt.
    op.execute("UPDATE image SET drive_state = 'missing' WHERE drive_state = 'outside'")
    op.execute("UPDATE image SET drive_doubt = 2 WHERE drive_doubt > 2")
