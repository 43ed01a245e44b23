"""price.

Why: a work has a price: its amount as text, so that it stays exact, its currency, "" for the hub's,
and who sees it. Nobody sees a price before somebody says so.

Rules: one schema change per file, as MySQL commits each at once: one statement adds the three
columns. Upgrade and downgrade keep rows; works on SQLite and MySQL/MariaDB.
"""

import sqlalchemy as sa
from alembic import op

revision = "0043"
down_revision = "0042"
branch_labels = None
depends_on = None

COLUMNS = {"price": (20, ""), "currency": (3, ""), "price_shown": (10, "nowhere")}


def upgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        for name, (length, default) in COLUMNS.items():
            column = sa.Column(name, sa.String(length), nullable=False, server_default=default)
            op.add_column("image_group", column)
        return
    added = ", ".join(
        f"ADD COLUMN {name} VARCHAR({length}) NOT NULL DEFAULT '{default}'"
        for name, (length, default) in COLUMNS.items()
    )
    op.execute(f"ALTER TABLE image_group {added}")


def downgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        for name in COLUMNS:
            op.drop_column("image_group", name)
        return
    op.execute("ALTER TABLE image_group " + ", ".join(f"DROP COLUMN {name}" for name in COLUMNS))
