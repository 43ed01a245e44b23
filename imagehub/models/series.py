"""Series: exhibitions, albums and bodies of work, each with groups in an order of its own."""

from datetime import date, datetime

from sqlalchemy import BigInteger, Date, ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from imagehub.database import Base, UTCDateTime, now_utc
from imagehub.models.columns import BigId, DriveId


class Series(Base):
    """A series. One with a ``parent_id`` is a part of another series, which has none itself.

    ``state``: ``published``, ``draft`` or ``trash``; a part of a draft is not shown either.
    ``trashed_at``, ``before_trash``: since when it is in the trash, and JSON of what to restore
    (see ``domain.library.series_trash``). ``position``: its place among the series beside it, the
    lowest first. ``first_day`` and ``last_day`` are those of an exhibition; ``dates`` is a text
    that visitors read instead, such as "2019–2024". ``chosen_cover_id``: the group whose cover
    stands for the series; if visitors do not see it, or there is none, the first shown group.
    ``shown_count`` is derived: how many of its groups visitors see. ``folder_id``: the folder of
    OneDrive that it was made from, "" for none. ``version`` increases with every edit by a person.
    """

    __tablename__ = "series"
    __table_args__ = (
        Index("ix_series_parent_position", "parent_id", "position", "id"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    parent_id: Mapped[int | None] = mapped_column(ForeignKey("series.id", ondelete="SET NULL"))
    state: Mapped[str] = mapped_column(String(16), default="draft")
    title: Mapped[str] = mapped_column(String(300), default="")
    dates: Mapped[str] = mapped_column(String(300), default="")
    first_day: Mapped[date | None] = mapped_column(Date)
    last_day: Mapped[date | None] = mapped_column(Date)
    place: Mapped[str] = mapped_column(String(300), default="")
    text: Mapped[str] = mapped_column(Text, default="")
    position: Mapped[int] = mapped_column(default=0)
    chosen_cover_id: Mapped[int | None] = mapped_column(
        ForeignKey("image_group.id", ondelete="SET NULL")
    )
    folder_id: Mapped[str] = mapped_column(DriveId, default="")
    shown_count: Mapped[int] = mapped_column(default=0)
    version: Mapped[int] = mapped_column(default=1)
    trashed_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    before_trash: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, default=now_utc)
    updated_at: Mapped[datetime] = mapped_column(UTCDateTime, default=now_utc, onupdate=now_utc)


class SeriesGroup(Base):
    """A group in a series. ``position`` orders the groups of the series, the lowest first.

    ``is_shown`` is derived: a copy of the group's, so that a page of a series is a range of an
    index.
    """

    __tablename__ = "series_group"
    __table_args__ = (
        Index("ix_series_group_shown", "series_id", "is_shown", "position", "group_id"),
        Index("ix_series_group_position", "series_id", "position", "group_id"),
        Index("ix_series_group_group", "group_id", "series_id"),
    )

    series_id: Mapped[int] = mapped_column(
        ForeignKey("series.id", ondelete="CASCADE"), primary_key=True
    )
    group_id: Mapped[int] = mapped_column(
        ForeignKey("image_group.id", ondelete="CASCADE"), primary_key=True
    )
    position: Mapped[int] = mapped_column(BigInteger, default=0)
    is_shown: Mapped[bool] = mapped_column(default=False)
