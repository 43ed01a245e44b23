"""given share titles.

Why: a share link without a title stored the title of its first work, so that a link to several works
could not tell its own title from that one. Now only a title that was entered is stored.

Rules: one schema change per file, as MySQL commits each at once; upgrade and downgrade keep rows;
constraints are named; works on SQLite (batch mode) and MySQL/MariaDB.
"""

from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

_FIRST_TITLE = """
    SELECT image_group.title
    FROM share_item JOIN image_group ON image_group.id = share_item.group_id
    WHERE share_item.share_id = share_link.id
    ORDER BY share_item.position, share_item.group_id
    LIMIT 1
"""


def upgrade() -> None:
    op.execute(f"UPDATE share_link SET title = '' WHERE title = ({_FIRST_TITLE})")  # noqa: S608


def downgrade() -> None:
    op.execute(f"UPDATE share_link SET title = coalesce(({_FIRST_TITLE}), '') WHERE title = ''")  # noqa: S608
