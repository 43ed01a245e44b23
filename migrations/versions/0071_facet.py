"""facet.

Why: visitors filter works by year, medium, availability, tag, colour and orientation. A page of
works with a value must cost the same however many works there are.

Rules: upgrade and downgrade keep rows; constraints are named; works on SQLite (batch mode) and
MySQL/MariaDB. The entries of existing groups are made after the migration, as the search index is.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0071"
down_revision = "0070"
branch_labels = None
depends_on = None

BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
SLUG = sa.String(120).with_variant(mysql.VARCHAR(120, collation="utf8mb4_bin"), "mysql", "mariadb")


def upgrade() -> None:
    op.create_table(
        "facet_value",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("facet", sa.String(12), nullable=False),
        sa.Column("slug", SLUG, nullable=False),
        sa.Column("label", sa.String(120), nullable=False),
        sa.Column("shown_count", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_facet_value")),
        sa.UniqueConstraint("facet", "slug", name=op.f("uq_facet_value_facet_slug")),
        sa.Index("ix_facet_value_count", "facet", "shown_count"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "facet_entry",
        sa.Column("value_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("group_id", BIG_ID, autoincrement=False, nullable=False),
        sa.Column("sort_key", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["group_id"],
            ["image_group.id"],
            name=op.f("fk_facet_entry_group_id_image_group"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("value_id", "group_id", name=op.f("pk_facet_entry")),
        sa.Index("ix_facet_entry_sort", "value_id", "sort_key", "group_id"),
        sa.Index("ix_facet_entry_group", "group_id", "value_id"),
    )


def downgrade() -> None:
    op.drop_table("facet_entry")
    op.drop_table("facet_value")
