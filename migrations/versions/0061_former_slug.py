"""former slug.

Why: links to a page of text go on when the page gets another address.

Rules: one schema change per file, as MySQL commits each at once; upgrade and downgrade keep rows;
constraints are named; works on SQLite (batch mode) and MySQL/MariaDB.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

from imagehub.database import UTCDateTime

revision = "0061"
down_revision = "0060"
branch_labels = None
depends_on = None

_BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_SLUG = sa.String(80).with_variant(mysql.VARCHAR(80, collation="utf8mb4_bin"), "mysql", "mariadb")


def upgrade() -> None:
    op.create_table(
        "former_slug",
        sa.Column("slug", _SLUG, nullable=False),
        sa.Column("page_id", _BIG_ID, nullable=False),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["page_id"], ["page.id"], name=op.f("fk_former_slug_page_id_page"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("slug", name=op.f("pk_former_slug")),
        sa.Index("ix_former_slug_page_id", "page_id"),
    )


def downgrade() -> None:
    op.drop_table("former_slug")
