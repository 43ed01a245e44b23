"""Find and convert tables of MySQL and MariaDB that cannot store every character.

Tables name their character set since version 0.1.0; those made before have that of the database,
which is often ``latin1`` or ``utf8mb3``.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, inspect, text
from sqlalchemy.exc import DBAPIError

from imagehub.database import CHARSET, COLLATION, Base
from imagehub.runtime.supervisor import StartError

_EXACT_COLLATION = "utf8mb4_bin"
# The only foreign key over text: rendition.object_key to stored_object.key.
TEXT_KEY = "fk_rendition_object_key_stored_object"
# A text column in SHOW CREATE TABLE, whose other facts are kept as they are.
_COLUMN = re.compile(
    r"^\s+`(?P<name>[^`]+)` (?P<type>(?:var)?char\(\d+\)|(?:tiny|medium|long)?text)"
    r"(?: CHARACTER SET \w+)?(?: COLLATE (?P<collation>\w+))?(?P<rest>.*?),?$",
    re.MULTILINE | re.IGNORECASE,
)


def find_wrong_tables(connection: Connection) -> dict[str, str]:
    """Map our tables that have another character set or collation to what they have.

    The full-text index is ASCII on purpose. Returns nothing for SQLite.
    """
    if connection.dialect.name == "sqlite":
        return {}
    found = connection.execute(
        text(
            "SELECT table_name AS name, table_collation AS collation"
            " FROM information_schema.tables"
            " WHERE table_schema = DATABASE() AND table_name IN :names"
            " AND table_collation <> :right"
            " UNION SELECT table_name, collation_name FROM information_schema.columns"
            " WHERE table_schema = DATABASE() AND table_name IN :names"
            " AND collation_name NOT IN (:right, :exact)"
        ).bindparams(bindparam("names", expanding=True)),
        {
            "names": [*Base.metadata.tables, "alembic_version"],
            "right": COLLATION,
            "exact": _EXACT_COLLATION,
        },
    )
    return {name: collation for name, collation in sorted(map(tuple, found))}


def convert_tables(connection: Connection) -> Sequence[str]:
    """Convert tables that cannot store every character. Rows keep their values.

    Every statement is committed by the server at once; a conversion that is interrupted continues
    with the next call.

    :return: the names of the converted tables.
    :raise StartError: the server refuses to convert a table.
    """
    names = sorted(find_wrong_tables(connection))
    if connection.dialect.name == "sqlite" or not inspect(connection).has_table("rendition"):
        return names
    has_key = any(key["name"] == TEXT_KEY for key in _list_keys(connection))
    if has_key and not {"rendition", "stored_object"}.isdisjoint(names):
        # Some versions of MariaDB refuse to change a column of a key, whatever foreign_key_checks.
        _execute(connection, "rendition", f"DROP FOREIGN KEY {TEXT_KEY}")
        has_key = False
    for name in names:
        _convert(connection, name)
    if not has_key:
        _execute(
            connection,
            "rendition",
            f"ADD CONSTRAINT {TEXT_KEY} FOREIGN KEY (object_key) REFERENCES stored_object (`key`)",
        )
    return names


def _list_keys(connection: Connection) -> Sequence[Mapping[str, Any]]:
    return inspect(connection).get_foreign_keys("rendition")


def _convert(connection: Connection, name: str) -> None:
    statement = connection.execute(text(f"SHOW CREATE TABLE `{name}`")).one()[1]
    changes = [f"DEFAULT CHARACTER SET {CHARSET} COLLATE {COLLATION}"]
    for column in _COLUMN.finditer(statement):
        is_exact = (column["collation"] or "").lower().endswith("_bin")
        collation = _EXACT_COLLATION if is_exact else COLLATION
        changes.append(
            f"MODIFY `{column['name']}` {column['type']} CHARACTER SET {CHARSET}"
            f" COLLATE {collation}{column['rest']}"
        )
    _execute(connection, name, ", ".join(changes))


def _execute(connection: Connection, name: str, changes: str) -> None:
    try:
        # Not text(): a default value may contain a colon.
        connection.exec_driver_sql(f"ALTER TABLE `{name}` {changes}".replace("%", "%%"))
    except DBAPIError as error:
        raise StartError(
            f"The table {name} cannot be converted to {CHARSET}: {error.orig}. Allow the database "
            "user to ALTER tables, or convert it yourself."
        ) from error
