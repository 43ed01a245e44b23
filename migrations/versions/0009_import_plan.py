"""import plans.

Why: the selection and grouping of files before an import must survive a reload and a restart.

Rules: one schema change per file, as MySQL commits each at once; upgrade and downgrade keep rows;
constraints are named; works on SQLite (batch mode) and MySQL/MariaDB.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

from imagehub.database import UTCDateTime

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def exact(length: int) -> sa.String:
    """Text that is compared letter by letter on MySQL too."""
    column = mysql.VARCHAR(length, collation="utf8mb4_bin")
    return sa.String(length).with_variant(column, "mysql", "mariadb")


def upgrade() -> None:
    op.create_table(
        "import_plan",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=True),
        sa.Column("drive_account_id", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("way", sa.String(length=16), nullable=False),
        sa.Column("is_published", sa.Boolean(), nullable=False),
        sa.Column(
            "waiting",
            sa.Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb"),
            nullable=False,
        ),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("job_id", sa.BigInteger(), nullable=True),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"],
            ["user.id"],
            name=op.f("fk_import_plan_user_id_user"),
            ondelete="SET NULL",
        ),
        sa.ForeignKeyConstraint(
            ["drive_account_id"],
            ["drive_account.id"],
            name=op.f("fk_import_plan_drive_account_id_drive_account"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_import_plan")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_import_plan_state", "import_plan", ["state", "id"])
    op.create_index(op.f("ix_import_plan_user_id"), "import_plan", ["user_id"])
    op.create_index(op.f("ix_import_plan_drive_account_id"), "import_plan", ["drive_account_id"])
    op.create_table(
        "import_proposal",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("plan_id", BIG_ID, nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("title", sa.String(length=300), nullable=False),
        sa.Column("group_id", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["plan_id"],
            ["import_plan.id"],
            name=op.f("fk_import_proposal_plan_id_import_plan"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_import_proposal")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_import_proposal_plan_position", "import_proposal", ["plan_id", "position", "id"]
    )
    op.create_table(
        "import_plan_file",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("plan_id", BIG_ID, nullable=False),
        sa.Column("proposal_id", BIG_ID, nullable=True),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("drive_item_id", exact(255), nullable=False),
        sa.Column("file_name", sa.String(length=400), nullable=False),
        sa.Column("folder_id", exact(255), nullable=False),
        sa.Column("folder_name", sa.String(length=400), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("quick_xor_hash", sa.String(length=40), nullable=False),
        sa.Column("taken_at", sa.DateTime(), nullable=True),
        sa.Column("verdict", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.String(length=500), nullable=False),
        sa.Column("is_chosen", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["plan_id"],
            ["import_plan.id"],
            name=op.f("fk_import_plan_file_plan_id_import_plan"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["proposal_id"],
            ["import_proposal.id"],
            name=op.f("fk_import_plan_file_proposal_id_import_proposal"),
            ondelete="SET NULL",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_import_plan_file")),
        sa.UniqueConstraint(
            "plan_id", "drive_item_id", name=op.f("uq_import_plan_file_plan_id_drive_item_id")
        ),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_import_plan_file_place",
        "import_plan_file",
        ["plan_id", "proposal_id", "position", "id"],
    )
    op.create_index("ix_import_plan_file_verdict", "import_plan_file", ["plan_id", "verdict", "id"])
    op.create_index(op.f("ix_import_plan_file_proposal_id"), "import_plan_file", ["proposal_id"])


def downgrade() -> None:
    op.drop_table("import_plan_file")
    op.drop_table("import_proposal")
    op.drop_table("import_plan")
