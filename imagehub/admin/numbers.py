"""Numbers that forms and addresses bring along: of groups, shots, files, pages of a list."""

from collections.abc import Iterable

from flask import request

from imagehub.web.forms import find_number as find_number
from imagehub.web.forms import read_number as read_number


def read_numbers(texts: Iterable[str], kind: str = "group") -> list[int]:
    """Several of them, in their order; empty texts are left out. Raises as :func:`read_number`."""
    return [read_number(text, kind) for text in texts if text]


def read_page_number(name: str = "before") -> int | None:
    """Where a page of a list begins, out of the address; None for the first page.

    :raise NotFoundError: there can be no such page.
    """
    text = request.args.get(name, "")
    return read_number(text, "page") if text else None
