"""menu entry without page.

Why: an entry of a series in a menu has no page.

Rules: one schema change per file, as MySQL commits each at once; constraints are named; works on
SQLite (batch mode) and MySQL/MariaDB. A downgrade deletes the entries of series.
"""

import sqlalchemy as sa
from alembic import op

revision = "0083"
down_revision = "0082"
branch_labels = None
depends_on = None

_BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    _allow_null(is_nullable=True)


def downgrade() -> None:
    op.execute("DELETE FROM menu_entry WHERE page_id IS NULL")
    _allow_null(is_nullable=False)


def _allow_null(*, is_nullable: bool) -> None:
    with op.batch_alter_table("menu_entry") as batch:
        batch.alter_column("page_id", existing_type=_BIG_ID, nullable=is_nullable)
