"""menu entry.

Why: pages are reached from menus in the header and the footer, in an order that people choose.

Rules: one schema change per file, as MySQL commits each at once; upgrade and downgrade keep rows;
constraints are named; works on SQLite (batch mode) and MySQL/MariaDB.
"""

import sqlalchemy as sa
from alembic import op

revision = "0051"
down_revision = "0050"
branch_labels = None
depends_on = None

_BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "menu_entry",
        sa.Column("id", _BIG_ID, nullable=False),
        sa.Column("place", sa.String(12), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("page_id", _BIG_ID, nullable=False),
        sa.ForeignKeyConstraint(
            ["page_id"], ["page.id"], name=op.f("fk_menu_entry_page_id_page"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_menu_entry")),
        sa.UniqueConstraint("page_id", "place", name=op.f("uq_menu_entry_page_id_place")),
        sa.Index("ix_menu_entry_place_position", "place", "position"),
    )


def downgrade() -> None:
    op.drop_table("menu_entry")
