"""share has mark.

Why: the visitors of a share link may see images without the watermark of the gallery.

Rules: one schema change per file, as MySQL commits each at once; upgrade and downgrade keep rows;
works on SQLite (batch mode) and MySQL/MariaDB.
"""

import sqlalchemy as sa
from alembic import op

revision = "0079"
down_revision = "0078"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "share_link", sa.Column("has_mark", sa.Boolean(), nullable=False, server_default=sa.true())
    )


def downgrade() -> None:
    op.drop_column("share_link", "has_mark")
