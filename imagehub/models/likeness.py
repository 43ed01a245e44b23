"""What the covers of works look like, to find similar ones."""

from sqlalchemy import ForeignKey, Index, LargeBinary, SmallInteger, String
from sqlalchemy.dialects import mysql
from sqlalchemy.orm import Mapped, mapped_column

from imagehub.database import Base

LOOK_BYTES = 56
_Look = LargeBinary(LOOK_BYTES).with_variant(mysql.VARBINARY(LOOK_BYTES), "mysql", "mariadb")


class Likeness(Base):
    """How the cover of a shown group looks: ``look`` is made by ``imaging.likeness``.

    ``thumbhash``: of the cover that it was made from. A group whose cover has none has a row with
    an empty ``look``, and no bands.
    """

    __tablename__ = "likeness"

    group_id: Mapped[int] = mapped_column(
        ForeignKey("image_group.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    thumbhash: Mapped[str] = mapped_column(String(64), default="")
    look: Mapped[bytes] = mapped_column(_Look, default=b"")


class LikenessBand(Base):
    """A part of a look: groups that have the same ``bits`` in a ``band`` may be similar."""

    __tablename__ = "likeness_band"
    __table_args__ = (Index("ix_likeness_band_group", "group_id"),)

    band: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    bits: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    group_id: Mapped[int] = mapped_column(
        ForeignKey("image_group.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
