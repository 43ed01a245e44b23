"""group title key.

Why: the library can be sorted by title, without case and accents, on both databases in the same way.
The keys of the groups that exist are computed here as the model does it for others.

Rules: one schema change per file, as MySQL commits each at once; upgrade and downgrade keep rows;
constraints are named; works on SQLite (batch mode) and MySQL/MariaDB.
"""

import re
import unicodedata

import sqlalchemy as sa
from alembic import op

from imagehub.models.columns import make_exact_type

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None


_CHARS = 100
_BATCH = 1000


def upgrade() -> None:
    key = sa.Column("title_key", make_exact_type(_CHARS), nullable=False, server_default="")
    op.add_column("image_group", key)
    groups = sa.table("image_group", sa.column("id"), sa.column("title"), sa.column("title_key"))
    change = (
        groups.update()
        .where(groups.c.id == sa.bindparam("number"))
        .values(title_key=sa.bindparam("new"))
    )
    connection, last = op.get_bind(), 0
    while True:
        some = sa.select(groups.c.id, groups.c.title).where(groups.c.id > last)
        rows = connection.execute(some.order_by(groups.c.id).limit(_BATCH)).all()
        if not rows:
            return
        keys = [{"number": row.id, "new": _make_key(row.title)} for row in rows]
        connection.execute(change, keys)
        last = rows[-1].id


def downgrade() -> None:
    op.drop_column("image_group", "title_key")


def _make_key(title: str) -> str:
    plain = unicodedata.normalize("NFKD", title.casefold())
    plain = " ".join("".join(c for c in plain if not unicodedata.combining(c)).split())
    key = re.sub(r"[0-9]+", lambda number: number[0].zfill(8), plain)
    return f"0{key}"[:_CHARS] if key else "1"
