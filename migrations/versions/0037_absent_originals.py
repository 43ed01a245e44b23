"""absent originals.

Why: a picture of the first version may have no file in OneDrive; its image belongs to no account.

Rules: one schema change per file, as MySQL commits each at once; upgrade and downgrade keep rows;
constraints are named; works on SQLite (batch mode) and MySQL/MariaDB.
"""

import sqlalchemy as sa
from alembic import op

revision = "0037"
down_revision = "0036"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _set_nullable(True)


def downgrade() -> None:
    image = sa.table(
        "image",
        sa.column("id", sa.Integer),
        sa.column("drive_account_id", sa.Integer),
        sa.column("drive_item_id", sa.String),
        sa.column("drive_state", sa.String),
    )
    account_id = op.get_bind().scalar(sa.text("SELECT MIN(id) FROM drive_account"))
    is_absent = image.c.drive_account_id.is_(None)
    if account_id is None:
        # There is no account that the image could name.
        op.execute(image.delete().where(is_absent))
    else:
        values = {
            "drive_account_id": account_id,
            "drive_item_id": sa.literal("absent-") + sa.cast(image.c.id, sa.String(20)),
            "drive_state": "missing",
        }
        op.execute(image.update().where(is_absent).values(values))
    _set_nullable(False)


def _set_nullable(is_nullable: bool) -> None:
    """SQLite copies the table, and with it would forget which ids were used."""
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    query = "SELECT seq FROM sqlite_sequence WHERE name = 'image'"
    highest = op.get_bind().scalar(sa.text(query)) if is_sqlite else None
    with op.batch_alter_table("image", table_kwargs={"sqlite_autoincrement": True}) as batch:
        batch.alter_column("drive_account_id", existing_type=sa.Integer(), nullable=is_nullable)
    if highest is not None:
        last = sa.text("UPDATE sqlite_sequence SET seq = :seq WHERE name = 'image'")
        op.execute(last.bindparams(seq=highest))
