"""notice.

Why: messages about what needs attention are sent once, by one of several workers, and again only
after a day. So it is noted what each recipient was told.

Rules: one schema change per file, as MySQL commits each at once; upgrade and downgrade keep rows;
constraints are named; works on SQLite (batch mode) and MySQL/MariaDB.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

from imagehub.database import UTCDateTime

revision = "0042"
down_revision = "0041"
branch_labels = None
depends_on = None

_KEY = sa.String(330).with_variant(mysql.VARCHAR(330, collation="utf8mb4_bin"), "mysql", "mariadb")


def upgrade() -> None:
    op.create_table(
        "notice",
        sa.Column("recipient", _KEY, nullable=False),
        sa.Column("kind", sa.String(40), nullable=False),
        sa.Column("since_at", UTCDateTime(), nullable=False),
        sa.Column("is_over", sa.Boolean(), nullable=False),
        sa.Column("level", sa.Integer(), nullable=False),
        sa.Column("told_at", UTCDateTime(), nullable=True),
        sa.Column("told_level", sa.Integer(), nullable=False),
        sa.Column("failure_count", sa.Integer(), nullable=False),
        sa.Column("next_at", UTCDateTime(), nullable=True),
        sa.Column("problem", sa.String(500), nullable=False),
        sa.PrimaryKeyConstraint("recipient", "kind", name=op.f("pk_notice")),
    )


def downgrade() -> None:
    op.drop_table("notice")
