"""Share links, and the works that their visitors mark."""

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, String, true
from sqlalchemy.orm import Mapped, mapped_column

from imagehub.database import Base, UTCDateTime, now_utc
from imagehub.models.columns import UserRef


class ShareLink(Base):
    """An address that shows selected groups, including drafts, to whoever has it.

    One with a ``series_id`` shows that series with its parts instead, and has no items. It is no
    foreign key, as a link must not forget what it was for: without its series it has ended.
    ``token_hash``: SHA-256 of the secret in the address, in hexadecimal digits; the secret is not
    stored. ``password_hash`` is "" for a link without a password. ``takes_lists``: visitors may
    mark works and send them as a list. ``has_mark``: images have the watermark of the gallery, if
    there is one.
    """

    __tablename__ = "share_link"
    __table_args__ = ({"sqlite_autoincrement": True},)

    id: Mapped[int] = mapped_column(primary_key=True)
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    title: Mapped[str] = mapped_column(String(300), default="")
    series_id: Mapped[int | None] = mapped_column(BigInteger)
    password_hash: Mapped[str] = mapped_column(String(255), default="")
    may_download: Mapped[bool] = mapped_column(default=False)
    takes_lists: Mapped[bool] = mapped_column(default=False)
    has_mark: Mapped[bool] = mapped_column(default=True, server_default=true())
    view_count: Mapped[int] = mapped_column(default=0)
    user_id: Mapped[UserRef | None]
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, default=now_utc)
    expires_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    revoked_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    last_viewed_at: Mapped[datetime | None] = mapped_column(UTCDateTime)


class ShareItem(Base):
    """A group of a share link, in the order of ``position``."""

    __tablename__ = "share_item"

    share_id: Mapped[int] = mapped_column(
        ForeignKey("share_link.id", ondelete="CASCADE"), primary_key=True
    )
    group_id: Mapped[int] = mapped_column(
        ForeignKey("image_group.id", ondelete="CASCADE"), primary_key=True, index=True
    )
    position: Mapped[int] = mapped_column(default=0)


class ShareMark(Base):
    """A work that a visitor of a share link has marked, with a line about it, not yet sent.

    ``visitor``: SHA-256 of the secret in the visitor's cookie, in hexadecimal digits.
    """

    __tablename__ = "share_mark"

    share_id: Mapped[int] = mapped_column(
        ForeignKey("share_link.id", ondelete="CASCADE"), primary_key=True
    )
    visitor: Mapped[str] = mapped_column(String(64), primary_key=True)
    group_id: Mapped[int] = mapped_column(
        ForeignKey("image_group.id", ondelete="CASCADE"), primary_key=True, index=True
    )
    line: Mapped[str] = mapped_column(String(500), default="")
    changed_at: Mapped[datetime] = mapped_column(UTCDateTime, default=now_utc, index=True)
