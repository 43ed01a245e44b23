"""choice of downloads.

Why: new hubs send originals to visitors without place and personal data. A hub that has images
keeps sending them as they are until an admin chooses, which Home asks for.

Rules: upgrade and downgrade keep rows; works on SQLite and MySQL/MariaDB.
"""

from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op

from imagehub.database import UTCDateTime

revision = "0034"
down_revision = "0033"
branch_labels = None
depends_on = None

SETTING = sa.table(
    "hub_setting",
    sa.column("name", sa.String),
    sa.column("value", sa.String),
    sa.column("updated_at", UTCDateTime),
)
CHOICE = "downloads_to_choose"


def upgrade() -> None:
    connection = op.get_bind()
    image = sa.table("image", sa.column("id"))
    has_images = connection.execute(sa.select(image.c.id).limit(1)).first()
    names = set(connection.scalars(sa.select(SETTING.c.name)))
    if has_images and not names & {"downloads", CHOICE}:
        now = datetime.now(UTC)
        rows = [("downloads", '"as-is"'), (CHOICE, "true")]
        op.bulk_insert(
            SETTING, [{"name": name, "value": value, "updated_at": now} for name, value in rows]
        )


def downgrade() -> None:
    # The older version knows only "off"; anything else is the default.
    none = (SETTING.c.name == "downloads") & (SETTING.c.value == '"none"')
    op.execute(sa.update(SETTING).where(none).values(value='"off"'))
    other = (SETTING.c.name == "downloads") & (SETTING.c.value != '"off"')
    op.execute(sa.delete(SETTING).where(other | (SETTING.c.name == CHOICE)))
