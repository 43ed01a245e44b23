"""menu entry series.

Why: a series can be in the menus beside the pages of text.

Rules: one schema change per file, as MySQL commits each at once; upgrade and downgrade keep rows;
constraints are named; works on SQLite (batch mode) and MySQL/MariaDB.
"""

import sqlalchemy as sa
from alembic import op

revision = "0082"
down_revision = "0081"
branch_labels = None
depends_on = None

_BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_KEY = "fk_menu_entry_series_id_series"
_UNIQUE = "uq_menu_entry_series_id_place"


def upgrade() -> None:
    with op.batch_alter_table("menu_entry") as batch:
        batch.add_column(sa.Column("series_id", _BIG_ID, nullable=True))
        batch.create_unique_constraint(op.f(_UNIQUE), ["series_id", "place"])
        batch.create_foreign_key(op.f(_KEY), "series", ["series_id"], ["id"], ondelete="CASCADE")


def downgrade() -> None:
    with op.batch_alter_table("menu_entry") as batch:
        batch.drop_constraint(op.f(_KEY), type_="foreignkey")
        batch.drop_constraint(op.f(_UNIQUE), type_="unique")
        batch.drop_column("series_id")
