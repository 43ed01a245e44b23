"""Print files: catalogues, price lists and wall labels as PDF."""

from datetime import datetime

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from imagehub.database import Base, UTCDateTime, now_utc
from imagehub.models.columns import BigId, LongText, UserRef


class PrintFile(Base):
    """A PDF that a worker makes of works, or has made.

    ``kind``: a key of ``domain.prints.files.KINDS``. ``options``: JSON of ``PrintOptions``.
    ``groups``: JSON, the numbers of the works in their order. ``state``: ``waiting``, ``making``,
    ``ready``, ``failed`` or ``cancelled``; ``due_at``: when a worker may take it up.
    ``object_key`` is the prefix of its parts in object storage, "" if there are none.
    ``problems``: JSON, a list of work and sentence. ``expires_at``: when it is deleted.
    """

    __tablename__ = "print_file"
    __table_args__ = (
        Index("ix_print_file_state_due", "state", "due_at"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    kind: Mapped[str] = mapped_column(String(12))
    title: Mapped[str] = mapped_column(String(300))
    series_id: Mapped[int | None] = mapped_column(ForeignKey("series.id", ondelete="SET NULL"))
    options: Mapped[str] = mapped_column(LongText)
    groups: Mapped[str] = mapped_column(LongText)
    work_count: Mapped[int] = mapped_column(default=0)
    state: Mapped[str] = mapped_column(String(12), default="waiting")
    owner: Mapped[str] = mapped_column(String(64), default="")
    due_at: Mapped[datetime] = mapped_column(UTCDateTime, default=now_utc)
    attempt_count: Mapped[int] = mapped_column(default=0)
    done_count: Mapped[int] = mapped_column(default=0)
    reason: Mapped[str] = mapped_column(String(500), default="")
    problems: Mapped[str] = mapped_column(LongText, default="[]")
    object_key: Mapped[str] = mapped_column(String(200), default="", index=True)
    part_count: Mapped[int] = mapped_column(default=0)
    page_count: Mapped[int] = mapped_column(default=0)
    size_bytes: Mapped[int] = mapped_column(BigId, default=0)
    user_id: Mapped[UserRef | None]
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, default=now_utc)
    expires_at: Mapped[datetime] = mapped_column(UTCDateTime, default=now_utc, index=True)
