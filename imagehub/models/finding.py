"""Tags, and the full-text index of groups.

``search_index`` has one row for each group and no model: it is a full-text table of SQLite (FTS5)
or an InnoDB table with FULLTEXT indexes, with the same text (see ``domain.library.search_index``).
"""

from typing import Any

from sqlalchemy import Connection, ForeignKey, Index, MetaData, String, event, text
from sqlalchemy.dialects import mysql
from sqlalchemy.orm import Mapped, mapped_column

from imagehub.database import Base
from imagehub.models.library import BigId

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


def create_search_index(connection: Connection) -> None:
    """Create the empty full-text index of this database."""
    is_sqlite = connection.dialect.name == "sqlite"
    connection.execute(text(_SQLITE_INDEX if is_sqlite else _MYSQL_INDEX))


@event.listens_for(Base.metadata, "after_create")
def _create_with_all(_metadata: MetaData, connection: Connection, **options: Any) -> None:
    """Create the index too when all tables are created without migrations."""
    if Tag.__table__ in options.get("tables", ()):
        create_search_index(connection)


@event.listens_for(Base.metadata, "before_drop")
def _drop_with_all(_metadata: MetaData, connection: Connection, **_options: Any) -> None:
    connection.execute(text("DROP TABLE IF EXISTS search_index"))


class Tag(Base):
    """A tag. ``name_key`` is the case-folded name; ``slug`` is used in its address. A tag that no
    group has any more is deleted."""

    __tablename__ = "tag"
    __table_args__ = ({"sqlite_autoincrement": True},)

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(100))
    name_key: Mapped[str] = mapped_column(
        String(200).with_variant(mysql.VARCHAR(200, collation="utf8mb4_bin"), "mysql", "mariadb"),
        unique=True,
    )
    slug: Mapped[str] = mapped_column(
        String(120).with_variant(mysql.VARCHAR(120, collation="utf8mb4_bin"), "mysql", "mariadb"),
        unique=True,
    )


class GroupTag(Base):
    """A tag of a group. ``position`` keeps the order in which they were entered."""

    __tablename__ = "group_tag"
    __table_args__ = (Index("ix_group_tag_tag", "tag_id", "group_id"),)

    group_id: Mapped[int] = mapped_column(
        BigId, ForeignKey("image_group.id", ondelete="CASCADE"), primary_key=True
    )
    tag_id: Mapped[int] = mapped_column(ForeignKey("tag.id", ondelete="CASCADE"), primary_key=True)
    position: Mapped[int] = mapped_column(default=0)
