"""Find and convert tables of MySQL and MariaDB that cannot store every character.

Tables name their character set since version 0.1.0; those made before have that of the database,
which is often ``latin1`` or ``utf8mb3``.
"""

import re
from collections.abc import Sequence

from sqlalchemy import Connection, ForeignKeyConstraint, String, bindparam, inspect, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.schema import AddConstraint

from imagehub.database import CHARSET, COLLATION, Base
from imagehub.runtime.supervisor import StartError

_EXACT_COLLATION = "utf8mb4_bin"
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
    if connection.dialect.name == "sqlite":
        return names
    keys = _list_text_keys(connection)
    for key in keys:
        is_touched = not {key.table.name, key.referred_table.name}.isdisjoint(names)
        if is_touched and key.name in _list_names(connection, key.table.name):
            # Some versions of MariaDB refuse to change a column of a key, whatever
            # foreign_key_checks.
            _execute(connection, key.table.name, f"DROP FOREIGN KEY {key.name}")
    for name in names:
        _convert(connection, name)
    for key in keys:
        if key.name not in _list_names(connection, key.table.name):
            statement = str(AddConstraint(key).compile(dialect=connection.dialect))
            _execute(connection, key.table.name, statement.split(" ", 3)[3])
    return names


def _list_text_keys(connection: Connection) -> list[ForeignKeyConstraint]:
    """List the foreign keys over text of the tables that exist already."""
    exist = set(inspect(connection).get_table_names())
    return [
        key
        for table in Base.metadata.sorted_tables
        for key in table.foreign_key_constraints
        if {table.name, key.referred_table.name} <= exist
        and any(isinstance(column.type, String) for column in key.columns)
    ]


def _list_names(connection: Connection, table: str) -> set[str | None]:
    return {key["name"] for key in inspect(connection).get_foreign_keys(table)}


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
