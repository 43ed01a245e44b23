"""preview reason index.

Why: videos that were imported before they could be played are told by the reason of their preview.
Home and the library count them on every visit, which must not read all images.

Rules: one schema change per file, as MySQL commits each at once: it only adds an index. Upgrade and
downgrade keep rows; works on SQLite and MySQL/MariaDB.
"""

import sqlalchemy as sa
from alembic import op

revision = "0088"
down_revision = "0086"
branch_labels = None
depends_on = None

INDEX = "ix_image_preview_reason"


def upgrade() -> None:
    op.create_index(
        INDEX,
        "image",
        ["preview_reason", "group_id"],
        sqlite_where=sa.text("preview_reason != ''"),
    )


def downgrade() -> None:
    op.drop_index(INDEX, "image")
