"""drive copy.

Why: an original that is deleted in OneDrive and created again, as many editors save, has a new id. The
check remembers files with the content of originals, so that an image can be linked to another one
when its own is gone.

Rules: one schema change per file, as MySQL commits each at once; upgrade and downgrade keep rows;
constraints are named; works on SQLite (batch mode) and MySQL/MariaDB.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


EXACT = sa.String(255).with_variant(mysql.VARCHAR(255, collation="utf8mb4_bin"), "mysql", "mariadb")


def upgrade() -> None:
    op.create_table(
        "drive_copy",
        sa.Column("drive_account_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("item_id", EXACT, nullable=False),
        sa.Column("quick_xor_hash", sa.String(length=40), nullable=False),
        sa.ForeignKeyConstraint(
            ["drive_account_id"],
            ["drive_account.id"],
            name=op.f("fk_drive_copy_drive_account_id_drive_account"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("drive_account_id", "item_id", name=op.f("pk_drive_copy")),
    )
    op.create_index("ix_drive_copy_hash", "drive_copy", ["drive_account_id", "quick_xor_hash"])


def downgrade() -> None:
    op.drop_table("drive_copy")
