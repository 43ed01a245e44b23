"""group tiles.

Why: tiles show the original's whole detail, so each group can have them on or off, whatever the
hub's setting is; "" follows the hub.

Rules: upgrade and downgrade keep rows; constraints are named; works on SQLite (batch mode) and
MySQL/MariaDB.
"""

import sqlalchemy as sa
from alembic import op

revision = "0048"
down_revision = "0047"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "image_group", sa.Column("tiles", sa.String(8), nullable=False, server_default="")
    )


def downgrade() -> None:
    op.drop_column("image_group", "tiles")
