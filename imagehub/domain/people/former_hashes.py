"""Check passwords against the bcrypt hashes of the first version, until they are hashed anew.

An account that came from the first version keeps its hash until its first sign-in.
"""

import re

import bcrypt

_BCRYPT = re.compile(r"\$2[abxy]\$(\d\d)\$[./A-Za-z0-9]{53}")
# The first version's library ignored what follows; today's refuses longer passwords.
_MAX_BYTES = 72


def find_rounds(stored: str) -> int | None:
    """Return the binary logarithm of a bcrypt hash's rounds, None for another kind of hash."""
    found = _BCRYPT.fullmatch(stored)
    return int(found[1]) if found else None


def is_right(stored: str, password: str) -> bool:
    """Check a password against a bcrypt hash."""
    try:
        return bool(bcrypt.checkpw(password.encode()[:_MAX_BYTES], stored.encode()))
    except ValueError:
        return False
