"""likeness.

Why: the page of a work shows similar works. What covers look like is compared by bands of a
perceptual hash and of colours, each a range of an index, so that no page reads all works.

Rules: upgrade and downgrade keep rows; constraints are named; works on SQLite (batch mode) and
MySQL/MariaDB. Workers make the rows of existing groups.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0081"
down_revision = "0080"
branch_labels = None
depends_on = None

BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
LOOK = sa.LargeBinary(56).with_variant(mysql.VARBINARY(56), "mysql", "mariadb")


def upgrade() -> None:
    op.create_table(
        "likeness",
        sa.Column("group_id", BIG_ID, autoincrement=False, nullable=False),
        sa.Column("thumbhash", sa.String(64), nullable=False),
        sa.Column("look", LOOK, nullable=False),
        sa.ForeignKeyConstraint(
            ["group_id"],
            ["image_group.id"],
            name=op.f("fk_likeness_group_id_image_group"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("group_id", name=op.f("pk_likeness")),
    )
    op.create_table(
        "likeness_band",
        sa.Column("band", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("bits", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("group_id", BIG_ID, autoincrement=False, nullable=False),
        sa.ForeignKeyConstraint(
            ["group_id"],
            ["image_group.id"],
            name=op.f("fk_likeness_band_group_id_image_group"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("band", "bits", "group_id", name=op.f("pk_likeness_band")),
        sa.Index("ix_likeness_band_group", "group_id"),
    )


def downgrade() -> None:
    op.drop_table("likeness_band")
    op.drop_table("likeness")
