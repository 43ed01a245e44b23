"""image finish.

Why: it tells which watermark and which credits the renditions of an image have, so that they are
made again only where these have changed. Images whose work was changed are found by index.

Rules: one schema change per file, as MySQL commits each at once: one statement adds the columns and
the index. Upgrade and downgrade keep rows; works on SQLite and MySQL/MariaDB.
"""

import sqlalchemy as sa
from alembic import op

revision = "0077"
down_revision = "0076"
branch_labels = None
depends_on = None

INDEX = "ix_image_is_unfinished"


def upgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        op.add_column(
            "image", sa.Column("finish", sa.String(16), nullable=False, server_default="")
        )
        flag = sa.Column("is_unfinished", sa.Boolean(), nullable=False, server_default=sa.false())
        op.add_column("image", flag)
        op.create_index(INDEX, "image", ["is_unfinished", "id"])
        return
    op.execute(
        "ALTER TABLE image ADD COLUMN finish VARCHAR(16) NOT NULL DEFAULT '',"
        f" ADD COLUMN is_unfinished BOOL NOT NULL DEFAULT 0, ADD INDEX {INDEX} (is_unfinished, id)"
    )


def downgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        op.drop_index(INDEX, "image")
        op.drop_column("image", "finish")
        op.drop_column("image", "is_unfinished")
        return
    op.execute(
        f"ALTER TABLE image DROP INDEX {INDEX}, DROP COLUMN finish, DROP COLUMN is_unfinished"
    )
