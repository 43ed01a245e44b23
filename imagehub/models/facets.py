"""The index of filters: what visitors can choose works by, and the works that have it."""

from sqlalchemy import BigInteger, ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from imagehub.database import Base
from imagehub.models.columns import BigId, make_exact_type

LABEL_CHARS = 120


class FacetValue(Base):
    """Something that works are filtered by, such as a year, a medium or a colour.

    ``facet``: one of ``domain.library.facet_index``. ``slug``: what it is called in addresses;
    ``label``: for people, the first spelling that was entered. ``shown_count`` is derived: how many
    entries it has.
    """

    __tablename__ = "facet_value"
    __table_args__ = (
        UniqueConstraint("facet", "slug"),
        Index("ix_facet_value_count", "facet", "shown_count"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    facet: Mapped[str] = mapped_column(String(12))
    slug: Mapped[str] = mapped_column(make_exact_type(120))
    label: Mapped[str] = mapped_column(String(LABEL_CHARS), default="")
    shown_count: Mapped[int] = mapped_column(default=0)


class FacetEntry(Base):
    """A shown group that has a value; groups that visitors do not see have no entries.

    ``sort_key`` is a copy of the group's, so that the works with a value are a range of an index,
    in the order of the gallery. ``value_id`` is no foreign key: each entry would lock the row of
    the value, whose count all imports change.
    """

    __tablename__ = "facet_entry"
    __table_args__ = (
        Index("ix_facet_entry_sort", "value_id", "sort_key", "group_id"),
        Index("ix_facet_entry_group", "group_id", "value_id"),
    )

    value_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    group_id: Mapped[int] = mapped_column(
        ForeignKey("image_group.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    sort_key: Mapped[int] = mapped_column(BigInteger, default=0)
