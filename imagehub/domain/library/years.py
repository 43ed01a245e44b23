"""Years of works: a number or a range, such as ``1911``, ``1911–1913`` or ``c. 1911``."""

import re
import unicodedata

from imagehub.errors import InvalidInputError

_ABOUT = r"(?P<about>c\.?|ca\.?|circa|um)"
_YEAR = re.compile(
    rf"(?:{_ABOUT}\s*)?(?P<first>[0-9]{{1,4}})(?:\s*[-‐‑‒–—−/]\s*(?P<last>[0-9]{{1,4}}))?",
    re.IGNORECASE,
)


def tidy_year(text: str) -> str:
    """Return a year as it is stored: ``1911``, ``1911–1913``, ``c. 1911``; "" for an empty text.

    The last year of a range may be shortened: ``1911-13``.

    :raise InvalidInputError: the text is not a year or a range, or the range ends before it begins.
    """
    plain = " ".join(unicodedata.normalize("NFKC", text).split())
    if not plain:
        return ""
    found = _YEAR.fullmatch(plain)
    if found is None or not int(found["first"]):
        raise InvalidInputError(
            "Enter a year or a range of years, such as 2019 or 2019–2021.", {"year": "unreadable"}
        )
    first, last = found["first"], found["last"] or ""
    if len(first) == 4 and len(last) == 2:
        last = first[:2] + last
    if last and int(last) < int(first):
        raise InvalidInputError("The range of years ends before it begins.", {"year": "reversed"})
    years = first if not last or int(last) == int(first) else f"{first}–{last}"
    return f"c. {years}" if found["about"] else years


def make_iso_year(text: str) -> str:
    """Return a stored year for machines: ``1911``, ``1911/1913``; "" if it is not one.

    Source: ISO 8601-1, 5.5.2.3 (intervals); years have four digits.
    """
    found = _YEAR.fullmatch(text)
    years = [found["first"], found["last"]] if found else []
    return "/".join(f"{int(year):04d}" for year in years if year)


def find_years(text: str) -> tuple[int, int] | None:
    """Return the first and the last year of a stored year; None if it is not one."""
    found = _YEAR.fullmatch(text)
    if found is None:
        return None
    first, last = int(found["first"]), int(found["last"] or found["first"])
    return (first, last) if 0 < first <= last else None
