"""search index.

Why: visitors search for works by words. SQLite and MySQL have different full-text indexes, so this
table has no model; it is filled from the groups after the migrations.

Rules: one schema change per file, as MySQL commits each at once; upgrade and downgrade keep rows;
constraints are named; works on SQLite (batch mode) and MySQL/MariaDB.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

SQLITE = """
CREATE VIRTUAL TABLE search_index USING fts5(
    title, words, hidden, tokenize = "ascii tokenchars '_'", prefix = '3 4 5'
)
"""
MYSQL = """
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


def upgrade() -> None:
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    op.execute(sa.text(SQLITE if is_sqlite else MYSQL))


def downgrade() -> None:
    op.execute(sa.text("DROP TABLE search_index"))
