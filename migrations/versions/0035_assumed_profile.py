"""assumed profile.

Why: the colours of a CMYK original without a profile are an assumption, which is named with the
image. Images that are imported already are not CMYK, or were converted without a profile: "".

Rules: one schema change per file, as MySQL commits each at once; upgrade and downgrade keep rows;
constraints are named; works on SQLite (batch mode) and MySQL/MariaDB.
"""

import sqlalchemy as sa
from alembic import op

revision = "0035"
down_revision = "0034"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "image", sa.Column("assumed_profile", sa.String(40), nullable=False, server_default="")
    )


def downgrade() -> None:
    op.drop_column("image", "assumed_profile")
