"""day_count.

Why: how often works, series, share links and the gallery were seen and downloaded, by day and by
month, without anything about a person.

Rules: one schema change per file, as MySQL commits each at once. Upgrade and downgrade keep rows;
works on SQLite and MySQL/MariaDB.
"""

import sqlalchemy as sa
from alembic import op

revision = "0062"
down_revision = "0061"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "day_count",
        sa.Column("kind", sa.String(8), nullable=False),
        sa.Column("object_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("span", sa.String(8), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("views", sa.Integer(), nullable=False),
        sa.Column("visitors", sa.Integer(), nullable=False),
        sa.Column("downloads", sa.Integer(), nullable=False),
        sa.Column("frames", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "object_id", "span", "day", name=op.f("pk_day_count")),
        sa.Index("ix_day_count_most_seen", "kind", "span", "day", "views"),
    )


def downgrade() -> None:
    op.drop_table("day_count")
