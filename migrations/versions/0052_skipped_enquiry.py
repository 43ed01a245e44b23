"""skipped enquiry.

Why: a recipient gets enquiries in the order of their numbers, so one that was spam at its turn would
never be sent on. These are noted, and sent on when somebody says that they are no spam.

Rules: one schema change per file, as MySQL commits each at once; upgrade and downgrade keep rows;
constraints are named; works on SQLite (batch mode) and MySQL/MariaDB.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0052"
down_revision = "0051"
branch_labels = None
depends_on = None

_BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_KEY = sa.String(330).with_variant(mysql.VARCHAR(330, collation="utf8mb4_bin"), "mysql", "mariadb")


def upgrade() -> None:
    op.create_table(
        "skipped_enquiry",
        sa.Column("recipient", _KEY, nullable=False),
        sa.Column("enquiry_id", _BIG_ID, nullable=False),
        sa.ForeignKeyConstraint(
            ["enquiry_id"],
            ["enquiry.id"],
            name=op.f("fk_skipped_enquiry_enquiry_id_enquiry"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["recipient"],
            ["enquiry_recipient.recipient"],
            name=op.f("fk_skipped_enquiry_recipient_enquiry_recipient"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("recipient", "enquiry_id", name=op.f("pk_skipped_enquiry")),
        sa.Index(op.f("ix_skipped_enquiry_enquiry_id"), "enquiry_id"),
    )


def downgrade() -> None:
    op.drop_table("skipped_enquiry")
