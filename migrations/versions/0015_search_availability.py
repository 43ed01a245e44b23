"""search availability.

Why: works are found by their availability. Works that have one are removed from the index here; all
that are missing there are indexed again after the migrations.

Rules: one schema change per file, as MySQL commits each at once; upgrade and downgrade keep rows;
constraints are named; works on SQLite (batch mode) and MySQL/MariaDB.
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
    # The older version indexes a part of these words; reconcile corrects the rest.
    pass
