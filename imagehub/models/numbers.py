"""How often works, series, share links and the gallery were seen and downloaded, by day."""

from datetime import date

from sqlalchemy import BigInteger, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from imagehub.database import Base


class DayCount(Base):
    """The counts of one thing on one day, or in one month. Nothing here is about a person.

    ``kind``: ``group``, ``series`` or ``share`` with the number of the thing as ``object_id``; or
    ``hub`` with 0, for all public pages together. ``span``: ``day``, or ``month`` with its first
    day as ``day``; both are counted at the same time, in UTC. ``visitors`` counts each browser once
    a day; ``frames`` counts how often other sites showed the thing.
    """

    __tablename__ = "day_count"
    __table_args__ = (Index("ix_day_count_most_seen", "kind", "span", "day", "views"),)

    kind: Mapped[str] = mapped_column(String(8), primary_key=True)
    object_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    span: Mapped[str] = mapped_column(String(8), primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    views: Mapped[int] = mapped_column(default=0)
    visitors: Mapped[int] = mapped_column(default=0)
    downloads: Mapped[int] = mapped_column(default=0)
    frames: Mapped[int] = mapped_column(default=0)
