"""enquiry recipient.

Why: each enquiry is sent once to each recipient of messages, by one of several workers. So it is
noted up to which enquiry each recipient has got them, and when to try again.

Rules: one schema change per file, as MySQL commits each at once; upgrade and downgrade keep rows;
constraints are named; works on SQLite (batch mode) and MySQL/MariaDB.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

from imagehub.database import UTCDateTime

revision = "0046"
down_revision = "0045"
branch_labels = None
depends_on = None

_KEY = sa.String(330).with_variant(mysql.VARCHAR(330, collation="utf8mb4_bin"), "mysql", "mariadb")


def upgrade() -> None:
    op.create_table(
        "enquiry_recipient",
        sa.Column("recipient", _KEY, nullable=False),
        sa.Column("last_id", sa.BigInteger(), nullable=False),
        sa.Column("failure_count", sa.Integer(), nullable=False),
        sa.Column("next_at", UTCDateTime(), nullable=True),
        sa.Column("problem", sa.String(500), nullable=False),
        sa.PrimaryKeyConstraint("recipient", name=op.f("pk_enquiry_recipient")),
    )


def downgrade() -> None:
    op.drop_table("enquiry_recipient")
