"""Groups with their images and tags, the trash, and the objects in the bucket.

``search_index`` has one row for each group and no model: it is a full-text table of SQLite (FTS5)
or an InnoDB table with FULLTEXT indexes, with the same text (see ``domain.library.search_index``).
"""

import re
import unicodedata
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Connection,
    DateTime,
    ForeignKey,
    Index,
    MetaData,
    SmallInteger,
    String,
    Text,
    UniqueConstraint,
    event,
    false,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column, relationship, validates

from imagehub.database import Base, UTCDateTime, now_utc
from imagehub.models.columns import BigId, DriveId, LongText, UserRef, make_exact_type

TITLE_KEY_CHARS = 100


def make_title_key(title: str) -> str:
    """Return what groups are sorted by title by, on both databases in the same way.

    Case and accents do not count, numbers count as such (Study 2 before Study 10), and groups
    without a title come last.
    """
    plain = unicodedata.normalize("NFKD", title.casefold())
    plain = " ".join("".join(c for c in plain if not unicodedata.combining(c)).split())
    key = re.sub(r"[0-9]+", lambda number: number[0].zfill(8), plain)
    return f"0{key}"[:TITLE_KEY_CHARS] if key else "1"


class Group(Base):
    """One work with its shots. Its id is its public number and is never reused.

    ``state``: ``published``, ``draft`` or ``trash``. A group in the trash also has a
    ``TrashEntry``, and only the page of the trash shows it.
    ``is_shown`` (published and at least one image), ``image_count`` and ``cover_id`` are derived:
    only ``refresh_group`` of ``domain.library`` writes them, and it updates ``gallery_bucket``.
    ``chosen_cover_id`` is the shot that a person set as cover; if it is not in the group, the cover
    is the first shot. ``availability``: "", ``available``, ``reserved``, ``sold`` or
    ``not_for_sale``. ``price``: an exact amount as text, ``1250`` or ``1250.50``; ``currency``: its
    ISO 4217 code, "" for the hub's; ``price_shown``: a key of ``SHOWN`` of
    ``domain.library.prices``. The gallery is in descending order of ``sort_key``. ``title_key`` is
    derived from ``title``, to sort by it. ``tiles``: whether its images may have tiles, "" (as the
    hub), ``on`` or ``off``. ``creator``, ``copyright_notice`` and ``license_url``: "" is as the hub
    (see ``domain.library.credits``). ``words_decided``: fields for which a person has accepted or
    discarded what the files say, separated by spaces (see ``domain.library.found_words``).
    """

    __tablename__ = "image_group"
    __table_args__ = (
        # One gallery page is a range of this index.
        Index("ix_image_group_shown_sort", "is_shown", "sort_key", "id"),
        Index("ix_image_group_sort_key", "sort_key", "id"),
        Index("ix_image_group_state_sort", "state", "sort_key", "id"),
        Index("ix_image_group_state_title", "state", "title_key", "id"),
        Index("ix_image_group_state_created", "state", "created_at", "id"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    state: Mapped[str] = mapped_column(String(16), default="published")
    title: Mapped[str] = mapped_column(String(300), default="")
    title_key: Mapped[str] = mapped_column(
        make_exact_type(TITLE_KEY_CHARS), default="", server_default=""
    )
    text: Mapped[str] = mapped_column(Text, default="")
    folder_name: Mapped[str] = mapped_column(String(400), default="")
    medium: Mapped[str] = mapped_column(String(300), default="")
    dimensions: Mapped[str] = mapped_column(String(300), default="")
    year: Mapped[str] = mapped_column(String(40), default="")
    edition: Mapped[str] = mapped_column(String(300), default="")
    availability: Mapped[str] = mapped_column(String(20), default="")
    price: Mapped[str] = mapped_column(String(20), default="", server_default="")
    currency: Mapped[str] = mapped_column(String(3), default="", server_default="")
    price_shown: Mapped[str] = mapped_column(
        String(10), default="nowhere", server_default="nowhere"
    )
    tiles: Mapped[str] = mapped_column(String(8), default="", server_default="")
    creator: Mapped[str] = mapped_column(String(300), default="", server_default="")
    copyright_notice: Mapped[str] = mapped_column(String(300), default="", server_default="")
    license_url: Mapped[str] = mapped_column(String(300), default="", server_default="")
    words_decided: Mapped[str] = mapped_column(String(100), default="", server_default="")
    sort_key: Mapped[int] = mapped_column(BigInteger, default=0)
    is_shown: Mapped[bool] = mapped_column(default=False)
    image_count: Mapped[int] = mapped_column(default=0)
    cover_id: Mapped[int | None] = mapped_column(BigId)
    chosen_cover_id: Mapped[int | None] = mapped_column(BigInteger)
    next_image_number: Mapped[int] = mapped_column(default=1)
    # Increased with every edit by a person, to detect concurrent edits.
    version: Mapped[int] = mapped_column(default=1)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, default=now_utc)
    updated_at: Mapped[datetime] = mapped_column(UTCDateTime, default=now_utc, onupdate=now_utc)

    images: Mapped[list["Image"]] = relationship(
        back_populates="group", order_by="(Image.position, Image.number)", passive_deletes=True
    )

    @validates("title")
    def _note_title(self, _name: str, title: str) -> str:
        self.title_key = make_title_key(title)
        return title


class GalleryBucket(Base):
    """The number of shown groups with a ``sort_key`` in one range.

    ``bucket`` is ``sort_key >> 30`` (1,024 groups at a distance of 2^20): with these counts any
    page is found, and all pages are counted, without reading the groups before it.
    """

    __tablename__ = "gallery_bucket"

    bucket: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    shown_count: Mapped[int] = mapped_column(default=0)


class Image(Base):
    """One shot of a group, with facts about its original in OneDrive.

    ``number`` counts from 1 within the group and is never reused; ``position`` orders the shots.
    ``width_px`` and ``height_px`` are the upright original's, 0 if they are unknown.
    ``preview_reason``: why the renditions are made from the preview that OneDrive draws; "" if they
    are made from the original. ``taken_at`` is the camera's clock, without a time zone.
    ``thumbhash`` is base64. ``assumed_profile``: the colour profile that was assumed for CMYK
    without one. ``drive_state``: ``ok``, ``changed`` or ``missing`` in OneDrive, ``outside`` of the
    root folder, or ``absent``: the picture came from the first version and no file in OneDrive is
    known; there is no account then, and ``drive_item_id`` is "". ``drive_hash`` and
    ``drive_size_bytes`` are what OneDrive listed for the file that the renditions were made from,
    "" and 0 if unknown. ``drive_doubt``: what the next check has to find out (see
    ``domain.sync.state``). ``offered_item_id``: a file with other content that has the name and
    folder of a missing original, or "". ``private_state``: whether the original
    says something private: "" if it was not looked at, else ``none``, ``removable`` or ``fixed``
    (see ``PrivateData``). ``words_state``: whether it says something about the picture: "" if it
    was not looked at, else ``none``, ``open`` or ``seen`` by a person (see ``FoundWords``).
    ``role``: see ``ROLES`` of ``domain.library``. ``has_alt`` is derived
    from ``alt``, for the list of shots without one; it is true in the trash. ``finish``: which
    watermark and credits its renditions have (see ``domain.library.finish``); ``is_unfinished``:
    they may have to be changed. ``video_codec``: one of ``PLAYABLE`` of ``imaging.video``, "" if it
    is no video; ``duration_ms``: 0 if the length is not known; ``is_loop``: it is to be played in a
    loop without sound. The renditions of a video are made from the preview that OneDrive draws.
    """

    __tablename__ = "image"
    __table_args__ = (
        UniqueConstraint("group_id", "number"),
        UniqueConstraint("group_id", "drive_account_id", "drive_item_id"),
        Index("ix_image_group_position", "group_id", "position", "number"),
        Index("ix_image_drive_item", "drive_item_id"),
        Index("ix_image_has_alt", "has_alt", "group_id"),
        Index("ix_image_drive_state", "drive_state", "group_id"),
        Index("ix_image_drive_hash", "drive_hash"),
        Index("ix_image_drive_doubt", "drive_account_id", "drive_doubt", "id"),
        Index("ix_image_folder_id", "folder_id"),
        Index("ix_image_private_state", "private_state", "id"),
        Index("ix_image_words_state", "words_state", "group_id"),
        Index(
            "ix_image_preview_reason",
            "preview_reason",
            "group_id",
            # Nearly all images have none, so SQLite would take the index for useless.
            sqlite_where=text("preview_reason != ''"),
        ),
        Index("ix_image_is_unfinished", "is_unfinished", "id"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    group_id: Mapped[int] = mapped_column(ForeignKey("image_group.id", ondelete="CASCADE"))
    number: Mapped[int]
    position: Mapped[int]
    name: Mapped[str] = mapped_column(String(400))
    alt: Mapped[str] = mapped_column(String(1000), default="")
    has_alt: Mapped[bool] = mapped_column(default=False)
    role: Mapped[str] = mapped_column(String(20), default="")
    drive_account_id: Mapped[int | None] = mapped_column(ForeignKey("drive_account.id"), index=True)
    drive_item_id: Mapped[str] = mapped_column(DriveId)
    drive_state: Mapped[str] = mapped_column(String(16), default="ok")
    drive_hash: Mapped[str] = mapped_column(String(40), default="")
    drive_size_bytes: Mapped[int] = mapped_column(BigInteger, default=0)
    drive_doubt: Mapped[int] = mapped_column(SmallInteger, default=0)
    offered_item_id: Mapped[str] = mapped_column(DriveId, default="")
    private_state: Mapped[str] = mapped_column(String(12), default="")
    words_state: Mapped[str] = mapped_column(String(8), default="", server_default="")
    folder_id: Mapped[str] = mapped_column(DriveId, default="")
    folder_name: Mapped[str] = mapped_column(String(400), default="")
    mime_type: Mapped[str] = mapped_column(String(100), default="")
    preview_reason: Mapped[str] = mapped_column(String(500), default="")
    size_bytes: Mapped[int] = mapped_column(BigInteger, default=0)
    sha256: Mapped[str] = mapped_column(String(64), default="", index=True)
    quick_xor_hash: Mapped[str] = mapped_column(String(40), default="", index=True)
    etag: Mapped[str] = mapped_column(String(255), default="")
    ctag: Mapped[str] = mapped_column(String(255), default="")
    width_px: Mapped[int] = mapped_column(default=0)
    height_px: Mapped[int] = mapped_column(default=0)
    thumbhash: Mapped[str] = mapped_column(String(64), default="")
    dominant_color: Mapped[str] = mapped_column(String(7), default="")
    assumed_profile: Mapped[str] = mapped_column(String(40), default="")
    taken_at: Mapped[datetime | None] = mapped_column(DateTime)
    camera: Mapped[str] = mapped_column(String(200), default="")
    lens: Mapped[str] = mapped_column(String(200), default="")
    exposure_seconds: Mapped[float | None]
    f_number: Mapped[float | None]
    iso: Mapped[int | None]
    focal_length_mm: Mapped[float | None]
    latitude: Mapped[float | None]
    longitude: Mapped[float | None]
    finish: Mapped[str] = mapped_column(String(16), default="", server_default="")
    is_unfinished: Mapped[bool] = mapped_column(default=False, server_default=false())
    video_codec: Mapped[str] = mapped_column(String(20), default="", server_default="")
    duration_ms: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    has_sound: Mapped[bool] = mapped_column(default=False, server_default=false())
    is_loop: Mapped[bool] = mapped_column(default=False, server_default=false())
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, default=now_utc)
    updated_at: Mapped[datetime] = mapped_column(UTCDateTime, default=now_utc, onupdate=now_utc)

    group: Mapped[Group] = relationship(back_populates="images")
    renditions: Mapped[list["Rendition"]] = relationship(
        back_populates="image",
        order_by="Rendition.size_px",
        cascade="all, delete-orphan",
        passive_deletes=True,
    )

    @property
    def is_video(self) -> bool:
        return bool(self.video_codec)

    @validates("alt")
    def _note_alt(self, _name: str, alt: str) -> str:
        self.has_alt = bool(alt.strip())
        return alt


class PrivateData(Base):
    """What an original says about places, people and devices, and how to remove it.

    ``drive_hash``, ``drive_size_bytes`` and ``ctag``: OneDrive's listing of the file that was
    looked at; ``size_bytes``: of what it sends. ``kinds``: see ``imaging.private_data``, separated
    by spaces. ``blanks``: the bytes to replace, as JSON. ``is_removable``: they remove all of it.
    """

    __tablename__ = "private_data"

    image_id: Mapped[int] = mapped_column(
        ForeignKey("image.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    drive_hash: Mapped[str] = mapped_column(String(40), default="")
    drive_size_bytes: Mapped[int] = mapped_column(BigInteger, default=0)
    ctag: Mapped[str] = mapped_column(String(255), default="")
    size_bytes: Mapped[int] = mapped_column(BigInteger, default=0)
    kinds: Mapped[str] = mapped_column(String(40), default="")
    is_removable: Mapped[bool] = mapped_column(default=True)
    blanks: Mapped[str] = mapped_column(LongText, default="[]")
    looked_at: Mapped[datetime] = mapped_column(UTCDateTime, default=now_utc)


class FoundWords(Base):
    """What an original says about its picture: title, caption, keywords, artist and rights.

    ``words``: JSON, see ``imaging.words``. What was discarded is no longer in it. Only originals
    that say something have a row.
    """

    __tablename__ = "found_words"

    image_id: Mapped[int] = mapped_column(
        ForeignKey("image.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    words: Mapped[str] = mapped_column(LongText, default="{}")


class StoredObject(Base):
    """An object that is in the bucket or is about to be stored.

    The row is committed before the object is stored and deleted after it, so an object without a
    row is always an orphan. A key that ends with a slash is the prefix of all tiles of an image,
    and ``size_bytes`` is their sum. ``pinned_until``: an import is using this key.
    ``is_deleting``: it must not be used any more.
    """

    __tablename__ = "stored_object"

    key: Mapped[str] = mapped_column(String(120), primary_key=True)
    size_bytes: Mapped[int] = mapped_column(BigInteger, default=0)
    pinned_until: Mapped[datetime | None] = mapped_column(UTCDateTime, index=True)
    is_deleting: Mapped[bool] = mapped_column(default=False, index=True)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, default=now_utc)


class Rendition(Base):
    """A rendition of an image. ``size_px`` is 480, 720, 960 or 1920, the longest side that was
    asked for; ``width_px`` and ``height_px`` are its real size (never enlarged). ``marked_key``:
    the same with the hub's watermark, "" if it has none."""

    __tablename__ = "rendition"
    __table_args__ = (
        UniqueConstraint("image_id", "size_px", "mime_type"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    image_id: Mapped[int] = mapped_column(ForeignKey("image.id", ondelete="CASCADE"))
    size_px: Mapped[int]
    mime_type: Mapped[str] = mapped_column(String(32), default="image/webp")
    width_px: Mapped[int]
    height_px: Mapped[int]
    size_bytes: Mapped[int]
    object_key: Mapped[str] = mapped_column(ForeignKey("stored_object.key"), index=True)
    marked_key: Mapped[str] = mapped_column(String(120), default="", server_default="", index=True)
    marked_bytes: Mapped[int] = mapped_column(default=0, server_default="0")

    image: Mapped[Image] = relationship(back_populates="renditions")


class WatermarkPicture(Base):
    """The picture of the watermark: one row at most. ``name``: of its file in OneDrive."""

    __tablename__ = "watermark_picture"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    object_key: Mapped[str] = mapped_column(String(120))
    name: Mapped[str] = mapped_column(String(400))


class LogoPicture(Base):
    """A picture that stands for the title of the site. ``name``: of its file in OneDrive.

    A row never changes; the number of a deleted one is not used again.
    """

    __tablename__ = "logo_picture"
    __table_args__ = {"sqlite_autoincrement": True}  # noqa: RUF012 - SQLAlchemy's

    id: Mapped[int] = mapped_column(primary_key=True)
    object_key: Mapped[str] = mapped_column(String(120))
    name: Mapped[str] = mapped_column(String(400))
    width_px: Mapped[int]
    height_px: Mapped[int]
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, default=now_utc)


class TileSet(Base):
    """The tiles of an image, or why it has none. Only images of more than 2,000 pixels have a row.

    ``state``: ``waiting`` for a decision or for tiles, ``making``, ``ready``, ``off`` (not wanted)
    or ``failed`` for ``reason``. ``object_key``: the prefix of the stored tiles, which ends with a
    slash; "" if there are none. It is a key of ``stored_object``, whose size is that of all tiles.
    ``sha256``, ``width_px`` and ``height_px`` are those of the original that they were made from:
    tiles of another version of the original are not shown. ``due_at``: when a worker may take a
    row that waits, or take over one of ``making``, whose ``owner`` renews it.
    """

    __tablename__ = "tile_set"
    __table_args__ = (
        Index("ix_tile_set_state", "state", "image_id"),
        Index("ix_tile_set_object_key", "object_key"),
    )

    image_id: Mapped[int] = mapped_column(
        ForeignKey("image.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    state: Mapped[str] = mapped_column(String(12), default="waiting")
    object_key: Mapped[str] = mapped_column(String(120), default="")
    sha256: Mapped[str] = mapped_column(String(64), default="")
    width_px: Mapped[int] = mapped_column(default=0)
    height_px: Mapped[int] = mapped_column(default=0)
    tile_count: Mapped[int] = mapped_column(default=0)
    size_bytes: Mapped[int] = mapped_column(BigInteger, default=0)
    percent: Mapped[int] = mapped_column(default=0)
    reason: Mapped[str] = mapped_column(String(500), default="")
    attempt_count: Mapped[int] = mapped_column(default=0)
    owner: Mapped[str] = mapped_column(String(64), default="")
    due_at: Mapped[datetime] = mapped_column(UTCDateTime, default=now_utc)
    updated_at: Mapped[datetime] = mapped_column(UTCDateTime, default=now_utc, onupdate=now_utc)


class Tag(Base):
    """A tag. ``name_key`` is the case-folded name; ``slug`` is used in its address. A tag that no
    group has any more is deleted."""

    __tablename__ = "tag"
    __table_args__ = ({"sqlite_autoincrement": True},)

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(100))
    name_key: Mapped[str] = mapped_column(make_exact_type(200), unique=True)
    slug: Mapped[str] = mapped_column(make_exact_type(120), unique=True)


class GroupTag(Base):
    """A tag of a group. ``position`` keeps the order in which they were entered."""

    __tablename__ = "group_tag"
    __table_args__ = (Index("ix_group_tag_tag", "tag_id", "group_id"),)

    group_id: Mapped[int] = mapped_column(
        ForeignKey("image_group.id", ondelete="CASCADE"), primary_key=True
    )
    tag_id: Mapped[int] = mapped_column(ForeignKey("tag.id", ondelete="CASCADE"), primary_key=True)
    position: Mapped[int] = mapped_column(default=0)


class TrashEntry(Base):
    """A group in the trash: its ``state`` is ``trash``, and ``state_before`` is its earlier state.

    Shots that were deleted from a group are in a group that was created for them; ``origin_id`` is
    then the group that they belonged to. ``joined``: for a group that was joined into another one,
    what was moved there (see ``Joined`` of ``domain.library``).
    """

    __tablename__ = "trash_entry"

    group_id: Mapped[int] = mapped_column(
        ForeignKey("image_group.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    origin_id: Mapped[int | None] = mapped_column(BigInteger)
    joined: Mapped[str | None] = mapped_column(LongText)
    state_before: Mapped[str] = mapped_column(String(16))
    user_id: Mapped[UserRef | None]
    trashed_at: Mapped[datetime] = mapped_column(UTCDateTime, default=now_utc, index=True)


# FTS5 keeps indexes of prefixes beside that of words; each word begins with two signs of ours,
# so these are of the first one, two and three letters of a word.
_SQLITE_INDEX = """
CREATE VIRTUAL TABLE search_index USING fts5(
    title, words, hidden, tokenize = "ascii tokenchars '_'", prefix = '3 4 5'
)
"""
_MYSQL_INDEX = """
CREATE TABLE search_index (
    group_id BIGINT NOT NULL,
    title TEXT NOT NULL,
    words MEDIUMTEXT NOT NULL,
    hidden MEDIUMTEXT NOT NULL,
    CONSTRAINT pk_search_index PRIMARY KEY (group_id),
    FULLTEXT INDEX ft_search_index_title (title),
    FULLTEXT INDEX ft_search_index_words (words),
    FULLTEXT INDEX ft_search_index_hidden (hidden)
) ENGINE=InnoDB DEFAULT CHARACTER SET ascii COLLATE ascii_bin
"""


@event.listens_for(Base.metadata, "after_create")
def _create_with_all(_metadata: MetaData, connection: Connection, **options: Any) -> None:
    """Create the full-text index too when all tables are created without migrations."""
    if Tag.__table__ in options.get("tables", ()):
        is_sqlite = connection.dialect.name == "sqlite"
        connection.execute(text(_SQLITE_INDEX if is_sqlite else _MYSQL_INDEX))


@event.listens_for(Base.metadata, "before_drop")
def _drop_with_all(_metadata: MetaData, connection: Connection, **_options: Any) -> None:
    connection.execute(text("DROP TABLE IF EXISTS search_index"))
