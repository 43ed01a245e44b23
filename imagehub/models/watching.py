"""Folders of OneDrive whose new files are imported automatically."""

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from imagehub.database import Base, UTCDateTime
from imagehub.models.columns import AccountKey, DriveId, UserRef


class WatchedFolder(Base):
    """A watched folder. ``path``: for people, as it was when somebody chose it.

    ``way``: how its files are grouped (see ``WAYS`` of ``domain.imports.grouping``). ``is_ready``:
    the files that it held at first are known, so all others are new. ``series_id``: the series that
    new groups join, while it exists. ``problem``: why it could not be listed the last time, as a
    sentence.
    """

    __tablename__ = "watched_folder"
    __table_args__ = (
        UniqueConstraint("drive_account_id", "item_id"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    drive_account_id: Mapped[int] = mapped_column(
        ForeignKey("drive_account.id", ondelete="CASCADE")
    )
    item_id: Mapped[str] = mapped_column(DriveId)
    path: Mapped[str] = mapped_column(String(1000))
    way: Mapped[str] = mapped_column(String(16))
    is_published: Mapped[bool]
    is_ready: Mapped[bool] = mapped_column(default=False)
    series_id: Mapped[int | None] = mapped_column(BigInteger)
    user_id: Mapped[UserRef | None]
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    problem: Mapped[str] = mapped_column(String(500), default="")


class WatchedItem(Base):
    """What is known of an item in a watched folder.

    ``state``: ``folder``, whose files are to be listed, ``tree``, also those in all folders below
    it, ``waiting``, a new file that may still be written, or ``known``, one that is never imported
    automatically, or not again. ``size_bytes``, ``etag``: of a waiting file since ``seen_at``.
    ``job_id``: the import that took it.
    """

    __tablename__ = "watched_item"
    __table_args__ = (Index("ix_watched_item_state", "drive_account_id", "state", "seen_at"),)

    drive_account_id: Mapped[AccountKey]
    item_id: Mapped[str] = mapped_column(DriveId, primary_key=True)
    state: Mapped[str] = mapped_column(String(16))
    size_bytes: Mapped[int] = mapped_column(BigInteger, default=0)
    etag: Mapped[str] = mapped_column(String(255), default="")
    found_at: Mapped[datetime] = mapped_column(UTCDateTime)
    seen_at: Mapped[datetime] = mapped_column(UTCDateTime)
    job_id: Mapped[int | None] = mapped_column(BigInteger)
