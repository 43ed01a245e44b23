"""Texts in the other languages of the hub; texts in the main language are in the other tables."""

from sqlalchemy import ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from imagehub.database import Base
from imagehub.models.columns import BigId, LongText


class Translation(Base):
    """A field of a group, an image, a series or a page in another language; never empty.

    One of the four ids is set. ``field``: the name of its column, see ``FIELDS`` of
    ``domain.translations``.
    """

    __tablename__ = "translation"
    __table_args__ = (
        UniqueConstraint("group_id", "language", "field"),
        UniqueConstraint("image_id", "language", "field"),
        UniqueConstraint("series_id", "language", "field"),
        UniqueConstraint("page_id", "language", "field"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    group_id: Mapped[int | None] = mapped_column(ForeignKey("image_group.id", ondelete="CASCADE"))
    image_id: Mapped[int | None] = mapped_column(ForeignKey("image.id", ondelete="CASCADE"))
    series_id: Mapped[int | None] = mapped_column(ForeignKey("series.id", ondelete="CASCADE"))
    page_id: Mapped[int | None] = mapped_column(ForeignKey("page.id", ondelete="CASCADE"))
    language: Mapped[str] = mapped_column(String(12))
    field: Mapped[str] = mapped_column(String(20))
    text: Mapped[str] = mapped_column(LongText)
