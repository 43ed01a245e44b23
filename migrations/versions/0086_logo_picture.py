"""logo picture.

Why: logos are fetched from OneDrive and kept in object storage; their rows keep the objects from
being deleted as unused, and give each logo a number that a look names.

Rules: one schema change per file, as MySQL commits each at once; upgrade and downgrade keep rows;
constraints are named; works on SQLite (batch mode) and MySQL/MariaDB.
"""

import sqlalchemy as sa
from alembic import op

revision = "0086"
down_revision = "0085"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "logo_picture",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("object_key", sa.String(120), nullable=False),
        sa.Column("name", sa.String(400), nullable=False),
        sa.Column("width_px", sa.Integer(), nullable=False),
        sa.Column("height_px", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_logo_picture")),
        sqlite_autoincrement=True,
    )


def downgrade() -> None:
    op.drop_table("logo_picture")
