"""words state.

Why: it tells which originals were not looked into yet for words, and which say something that
nobody has decided about. Both are read by index: the first by workers, the second by the library.

Rules: one schema change per file, as MySQL commits each at once: one statement adds the column and
its index. Upgrade and downgrade keep rows; works on SQLite and MySQL/MariaDB.
"""

import sqlalchemy as sa
from alembic import op

revision = "0057"
down_revision = "0056"
branch_labels = None
depends_on = None

INDEX = "ix_image_words_state"


def upgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        column = sa.Column("words_state", sa.String(8), nullable=False, server_default="")
        op.add_column("image", column)
        op.create_index(INDEX, "image", ["words_state", "group_id"])
        return
    op.execute(
        "ALTER TABLE image ADD COLUMN words_state VARCHAR(8) NOT NULL DEFAULT '',"
        f" ADD INDEX {INDEX} (words_state, group_id)"
    )


def downgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        op.drop_index(INDEX, "image")
        op.drop_column("image", "words_state")
        return
    op.execute(f"ALTER TABLE image DROP INDEX {INDEX}, DROP COLUMN words_state")
