"""search availability.

Why: works are found by whether they can be had. Those that say so already leave the index here; what
is missing there is indexed anew after the migrations.

Rules: one schema change a file, since MySQL commits each one at once; upgrade and downgrade keep
rows; constraints are named; both SQLite (batch mode) and MySQL/MariaDB.
"""

from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    number = "rowid" if op.get_bind().dialect.name == "sqlite" else "group_id"
    op.execute(
        f"DELETE FROM search_index WHERE {number} IN"  # noqa: S608 (one of two names of ours)
        " (SELECT id FROM image_group WHERE availability <> '')"
    )


def downgrade() -> None:
    # The words of the version before are a part of these; reconcile sets the rest right.
    pass
