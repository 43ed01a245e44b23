"""drive subscription.

Why: OneDrive notifies the hub of changes. A notification is taken only at the random address of the
account's subscription and with its secret.

Rules: one schema change per file, as MySQL commits each at once; upgrade and downgrade keep rows;
constraints are named; works on SQLite (batch mode) and MySQL/MariaDB.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

from imagehub.database import UTCDateTime

revision = "0040"
down_revision = "0039"
branch_labels = None
depends_on = None


def _exact(length: int) -> sa.types.TypeEngine[str]:
    exact = mysql.VARCHAR(length, collation="utf8mb4_bin")
    return sa.String(length).with_variant(exact, "mysql", "mariadb")


def upgrade() -> None:
    op.create_table(
        "drive_subscription",
        sa.Column("drive_account_id", sa.Integer(), nullable=False),
        sa.Column("key", _exact(64), nullable=False),
        sa.Column("base_url", sa.String(1000), nullable=False),
        sa.Column("secret_hash", sa.String(64), nullable=False),
        sa.Column("subscription_id", _exact(255), nullable=False),
        sa.Column("expires_at", UTCDateTime(), nullable=True),
        sa.Column("tried_at", UTCDateTime(), nullable=False),
        sa.Column("next_at", UTCDateTime(), nullable=False),
        sa.Column("notified_at", UTCDateTime(), nullable=True),
        sa.Column("failure_count", sa.Integer(), nullable=False),
        sa.Column("problem", sa.String(500), nullable=False),
        sa.ForeignKeyConstraint(
            ["drive_account_id"],
            ["drive_account.id"],
            name=op.f("fk_drive_subscription_drive_account_id_drive_account"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("drive_account_id", name=op.f("pk_drive_subscription")),
        sa.UniqueConstraint("key", name=op.f("uq_drive_subscription_key")),
    )


def downgrade() -> None:
    op.drop_table("drive_subscription")
