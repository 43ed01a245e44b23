"""translation.

Why: a hub may have several languages, and every text of works, series and pages one in each.

Rules: one schema change per file, as MySQL commits each at once; upgrade and downgrade keep rows;
constraints are named; works on SQLite (batch mode) and MySQL/MariaDB.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0055"
down_revision = "0054"
branch_labels = None
depends_on = None

_BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_LONG_TEXT = sa.Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb")
_OWNERS = {
    "group_id": "image_group",
    "image_id": "image",
    "series_id": "series",
    "page_id": "page",
}


def upgrade() -> None:
    op.create_table(
        "translation",
        sa.Column("id", _BIG_ID, nullable=False),
        *(sa.Column(name, _BIG_ID, nullable=True) for name in _OWNERS),
        sa.Column("language", sa.String(12), nullable=False),
        sa.Column("field", sa.String(20), nullable=False),
        sa.Column("text", _LONG_TEXT, nullable=False),
        *(
            sa.ForeignKeyConstraint(
                [name],
                [f"{table}.id"],
                name=op.f(f"fk_translation_{name}_{table}"),
                ondelete="CASCADE",
            )
            for name, table in _OWNERS.items()
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_translation")),
        *(
            sa.UniqueConstraint(
                name, "language", "field", name=op.f(f"uq_translation_{name}_language_field")
            )
            for name in _OWNERS
        ),
    )


def downgrade() -> None:
    op.drop_table("translation")
