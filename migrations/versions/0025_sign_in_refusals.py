"""sign-in refusals.

Why: a refusal of Microsoft's sign-in for an unknown reason is believed only when it is repeated
some minutes later, so the first one is noted; a claims challenge is kept for the next sign-in.

Rules: upgrade and downgrade keep rows; constraints are named; works on SQLite (batch mode) and
MySQL/MariaDB. Adding a column can be repeated by hand where MySQL stopped half-way.
"""

import sqlalchemy as sa
from alembic import op

from imagehub.database import UTCDateTime

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None

COLUMNS = (
    ("refused_at", UTCDateTime()),
    ("doubted_at", UTCDateTime()),
    ("claims_challenge", sa.Text()),
)


def upgrade() -> None:
    for name, kind in COLUMNS:
        op.add_column("drive_account", sa.Column(name, kind, nullable=True))


def downgrade() -> None:
    for name, _kind in COLUMNS:
        op.drop_column("drive_account", name)
