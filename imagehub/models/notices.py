"""Messages about what needs attention."""

from datetime import datetime

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from imagehub.database import Base, UTCDateTime
from imagehub.models.columns import make_exact_type


class Notice(Base):
    """What one recipient was told about one kind of what needs attention.

    ``since_at``: since when it needs attention, or, if ``is_over``, no longer does. ``level`` grows
    when it gets worse; ``told_level`` is that of the last message, 0 if the recipient knows of
    nothing. ``failure_count``, ``next_at``, ``problem``: failures to send since the last success.
    """

    __tablename__ = "notice"

    recipient: Mapped[str] = mapped_column(make_exact_type(330), primary_key=True)
    kind: Mapped[str] = mapped_column(String(40), primary_key=True)
    since_at: Mapped[datetime] = mapped_column(UTCDateTime)
    is_over: Mapped[bool] = mapped_column(default=False)
    level: Mapped[int] = mapped_column(default=1)
    told_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    told_level: Mapped[int] = mapped_column(default=0)
    failure_count: Mapped[int] = mapped_column(default=0)
    next_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    problem: Mapped[str] = mapped_column(String(500), default="")
