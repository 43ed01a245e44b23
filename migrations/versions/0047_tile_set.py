"""tile set.

Why: large originals get tiles for deep zoom. One row says of an image what tiles it has, or why it
has none; images of more than 2,000 pixels that are here already get a row that waits for a worker.

Rules: upgrade and downgrade keep rows; constraints are named; works on SQLite (batch mode) and
MySQL/MariaDB.
"""

import sqlalchemy as sa
from alembic import op

from imagehub.database import UTCDateTime, now_utc
from imagehub.models.columns import BigId

revision = "0047"
down_revision = "0046"
branch_labels = None
depends_on = None


def upgrade() -> None:
    table = op.create_table(
        "tile_set",
        sa.Column("image_id", BigId, autoincrement=False, nullable=False),
        sa.Column("state", sa.String(12), nullable=False),
        sa.Column("object_key", sa.String(120), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("width_px", sa.Integer(), nullable=False),
        sa.Column("height_px", sa.Integer(), nullable=False),
        sa.Column("tile_count", sa.Integer(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("percent", sa.Integer(), nullable=False),
        sa.Column("reason", sa.String(500), nullable=False),
        sa.Column("attempt_count", sa.Integer(), nullable=False),
        sa.Column("owner", sa.String(64), nullable=False),
        sa.Column("due_at", UTCDateTime(), nullable=False),
        sa.Column("updated_at", UTCDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["image_id"],
            ["image.id"],
            name=op.f("fk_tile_set_image_id_image"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("image_id", name=op.f("pk_tile_set")),
        sa.Index("ix_tile_set_state", "state", "image_id"),
        sa.Index("ix_tile_set_object_key", "object_key"),
    )
    image = sa.table("image", sa.column("id"), sa.column("width_px"), sa.column("height_px"))
    now = now_utc()
    values = [
        now if column.name.endswith("_at") else 0 if column.type.python_type is int else ""
        for column in table.columns
        if column.name not in ("image_id", "state")
    ]
    types = [column.type for column in table.columns if column.name not in ("image_id", "state")]
    large = sa.select(
        image.c.id,
        sa.literal("waiting"),
        *(sa.literal(value, kind) for value, kind in zip(values, types, strict=True)),
    ).where(sa.or_(image.c.width_px > 2000, image.c.height_px > 2000))
    names = [column.name for column in table.columns]
    op.execute(table.insert().from_select(names, large))


def downgrade() -> None:
    op.drop_table("tile_set")
