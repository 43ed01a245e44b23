"""series.

Why: exhibitions, albums and bodies of work are lists of groups with a title, a text and an order of
their own; a group may be in several.

Rules: upgrade and downgrade keep rows; constraints are named; works on SQLite (batch mode) and
MySQL/MariaDB.
"""

import sqlalchemy as sa
from alembic import op

from imagehub.database import UTCDateTime

revision = "0049"
down_revision = "0048"
branch_labels = None
depends_on = None

BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "series",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("parent_id", BIG_ID, nullable=True),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("title", sa.String(300), nullable=False),
        sa.Column("dates", sa.String(300), nullable=False),
        sa.Column("place", sa.String(300), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("chosen_cover_id", BIG_ID, nullable=True),
        sa.Column("shown_count", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("updated_at", UTCDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["parent_id"],
            ["series.id"],
            name=op.f("fk_series_parent_id_series"),
            ondelete="SET NULL",
        ),
        sa.ForeignKeyConstraint(
            ["chosen_cover_id"],
            ["image_group.id"],
            name=op.f("fk_series_chosen_cover_id_image_group"),
            ondelete="SET NULL",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_series")),
        sa.Index("ix_series_parent_position", "parent_id", "position", "id"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "series_group",
        sa.Column("series_id", BIG_ID, nullable=False),
        sa.Column("group_id", BIG_ID, nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("is_shown", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["series_id"],
            ["series.id"],
            name=op.f("fk_series_group_series_id_series"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["group_id"],
            ["image_group.id"],
            name=op.f("fk_series_group_group_id_image_group"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("series_id", "group_id", name=op.f("pk_series_group")),
        sa.Index("ix_series_group_shown", "series_id", "is_shown", "position", "group_id"),
        sa.Index("ix_series_group_position", "series_id", "position", "group_id"),
        sa.Index("ix_series_group_group", "group_id", "series_id"),
    )


def downgrade() -> None:
    op.drop_table("series_group")
    op.drop_table("series")
