"""Numbers that forms and addresses bring along: of groups, shots, files, pages of a list."""

import re
from collections.abc import Iterable

from flask import request

from imagehub.database import MAX_ID
from imagehub.errors import NotFoundError

# As many digits as the highest id has. More are never read: `int` takes time with the square of
# their count, and refuses more than 4,300 with an error that is not ours.
_NUMBER = re.compile(r"[0-9]{1,19}")


def find_number(text: str) -> int | None:
    """The number from 1 to the highest id that the text is; None where it is anything else.

    Digits of other scripts count as anything else, though `int` would read them.
    """
    if not _NUMBER.fullmatch(text):
        return None
    number = int(text)
    return number if 0 < number <= MAX_ID else None


def read_number(text: str, kind: str = "group") -> int:
    """The same for what has to be there.

    :param kind: what bears the number, in the words of the site.
    :raise NotFoundError: it is no number, so there is nothing of that number.
    """
    number = find_number(text)
    if number is None:
        raise NotFoundError(kind, text[:40])
    return number


def read_numbers(texts: Iterable[str], kind: str = "group") -> list[int]:
    """Several of them, in their order; empty texts are left out. Raises as :func:`read_number`."""
    return [read_number(text, kind) for text in texts if text]


def read_page_number(name: str = "before") -> int | None:
    """Where a page of a list begins, out of the address; None for the first page.

    :raise NotFoundError: there can be no such page.
    """
    text = request.args.get(name, "")
    return read_number(text, "page") if text else None
