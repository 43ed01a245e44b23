"""Pages of text, and the menus in the header and the footer."""

from datetime import datetime

from sqlalchemy import ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from imagehub.database import Base, UTCDateTime, now_utc
from imagehub.models.columns import BigId, LongText, make_exact_type


class Page(Base):
    """A page of text in Markdown, such as an imprint.

    ``kind``: a key of ``KINDS`` of ``domain.site.pages``. ``slug`` is the last part of its address.
    ``state``: ``draft`` or ``published``. ``version`` is increased with every edit, to detect
    concurrent ones.
    """

    __tablename__ = "page"
    __table_args__ = ({"sqlite_autoincrement": True},)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    kind: Mapped[str] = mapped_column(String(20), default="free")
    title: Mapped[str] = mapped_column(String(200))
    slug: Mapped[str] = mapped_column(make_exact_type(80), unique=True)
    text: Mapped[str] = mapped_column(LongText, default="")
    state: Mapped[str] = mapped_column(String(12), default="draft")
    version: Mapped[int] = mapped_column(default=1)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, default=now_utc)
    updated_at: Mapped[datetime] = mapped_column(UTCDateTime, default=now_utc)


class MenuEntry(Base):
    """The place of a page or a series in a menu; visitors see it while they see that.

    One of the two ids is set. ``place``: ``header`` or ``footer``; ``position`` orders the entries
    of a place.
    """

    __tablename__ = "menu_entry"
    __table_args__ = (
        UniqueConstraint("page_id", "place"),
        UniqueConstraint("series_id", "place"),
        Index("ix_menu_entry_place_position", "place", "position"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    place: Mapped[str] = mapped_column(String(12))
    position: Mapped[int] = mapped_column(default=0)
    page_id: Mapped[int | None] = mapped_column(ForeignKey("page.id", ondelete="CASCADE"))
    series_id: Mapped[int | None] = mapped_column(ForeignKey("series.id", ondelete="CASCADE"))


class FormerSlug(Base):
    """An address that a page had, which leads to the page until another one takes it."""

    __tablename__ = "former_slug"

    slug: Mapped[str] = mapped_column(make_exact_type(80), primary_key=True)
    page_id: Mapped[int] = mapped_column(ForeignKey("page.id", ondelete="CASCADE"), index=True)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, default=now_utc)
