"""What was brought over from the first version of ImageHub."""

from datetime import datetime

from sqlalchemy import BigInteger, String
from sqlalchemy.orm import Mapped, mapped_column

from imagehub.database import Base, UTCDateTime, now_utc
from imagehub.models.columns import make_exact_type


class LegacyRow(Base):
    """A row of the first version that is in the hub, so that it is not brought over again.

    ``kind``: ``image``, ``user`` or ``token``. ``row_key``: the row's own key in its table.
    ``group_number``: of an image's group. ``target_id``: the image or the user, which may have been
    deleted since. ``name``: of the picture or the user.
    """

    __tablename__ = "legacy_row"

    kind: Mapped[str] = mapped_column(String(16), primary_key=True)
    row_key: Mapped[str] = mapped_column(make_exact_type(100), primary_key=True)
    group_number: Mapped[int | None] = mapped_column(BigInteger, index=True)
    target_id: Mapped[int | None] = mapped_column(BigInteger)
    name: Mapped[str] = mapped_column(String(400), default="")
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, default=now_utc)
