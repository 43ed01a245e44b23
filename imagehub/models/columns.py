"""Types of columns that several tables have."""

from typing import Annotated

from sqlalchemy import BigInteger, ForeignKey, Integer, LargeBinary, String, Text
from sqlalchemy.dialects import mysql
from sqlalchemy.orm import mapped_column


def make_exact_type(length: int) -> String:
    """Return a type for texts that MySQL's usual collations would call equal by mistake."""
    exact = mysql.VARCHAR(length, collation="utf8mb4_bin")
    return String(length).with_variant(exact, "mysql", "mariadb")


# SQLite generates ids for INTEGER PRIMARY KEY only.
BigId = BigInteger().with_variant(Integer, "sqlite")
DriveId = make_exact_type(255)  # Ids of drive items may differ by case alone.
LongText = Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb")


class SealedBinary(LargeBinary):
    """What ``domain.vault`` encrypted; found by this type when the key is changed."""


Sealed = SealedBinary(length=65_535).with_variant(mysql.BLOB(), "mysql", "mariadb")
UserRef = Annotated[int, mapped_column(ForeignKey("user.id", ondelete="SET NULL"), index=True)]
AccountKey = Annotated[
    int,
    mapped_column(
        ForeignKey("drive_account.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    ),
]
