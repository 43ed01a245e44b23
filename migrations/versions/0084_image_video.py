"""image video.

Why: a shot may be a video. Tiles show how long it is, and pages how it plays, without another
statement: the facts are columns of the image.

Rules: one schema change per file, as MySQL commits each at once: one statement adds the columns.
Upgrade and downgrade keep rows; works on SQLite and MySQL/MariaDB.
"""

import sqlalchemy as sa
from alembic import op

revision = "0084"
down_revision = "0083"
branch_labels = None
depends_on = None

COLUMNS = ("video_codec", "duration_ms", "has_sound", "is_loop")


def upgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        for column in (
            sa.Column("video_codec", sa.String(20), nullable=False, server_default=""),
            sa.Column("duration_ms", sa.BigInteger(), nullable=False, server_default="0"),
            sa.Column("has_sound", sa.Boolean(), nullable=False, server_default=sa.false()),
            sa.Column("is_loop", sa.Boolean(), nullable=False, server_default=sa.false()),
        ):
            op.add_column("image", column)
        return
    op.execute(
        "ALTER TABLE image ADD COLUMN video_codec VARCHAR(20) NOT NULL DEFAULT '',"
        " ADD COLUMN duration_ms BIGINT NOT NULL DEFAULT 0,"
        " ADD COLUMN has_sound BOOL NOT NULL DEFAULT 0,"
        " ADD COLUMN is_loop BOOL NOT NULL DEFAULT 0"
    )


def downgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        for name in COLUMNS:
            op.drop_column("image", name)
        return
    op.execute("ALTER TABLE image " + ", ".join(f"DROP COLUMN {name}" for name in COLUMNS))
