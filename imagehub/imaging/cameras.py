"""Name cameras as a person would, and recognise impossible capture times."""

import re
from datetime import UTC, datetime, timedelta

# Photography was published in 1839. Earlier times come from faulty clocks and programs.
_FIRST_YEAR = 1840


def name_camera(make: str, model: str) -> str:
    """Join maker and model without the maker's legal form, and without repeating it."""
    make = _clean_maker(make)
    if not make or not model:
        return make or model
    words = model.split()
    while words and words[0].casefold() == make.casefold():
        words = words[1:]
    rest = " ".join(words)
    if rest.casefold().startswith(make.casefold()):
        return rest
    return f"{make} {rest}".strip()


def _clean_maker(make: str) -> str:
    """Remove the legal form: "NIKON CORPORATION" becomes "NIKON"."""
    tails = (
        r"(?i)([\s,]+(corporation|corp\.?|co\.?,? ?ltd\.?|ltd\.?|inc\.?|gmbh|imaging|electric|"
        r"optical|company|techwin|camera ag|digital camera|co\.?))+$"
    )
    return re.sub(tails, "", make)


def is_possible_time(taken_at: datetime, now: datetime | None = None) -> bool:
    """Tell whether a picture can have been taken then: not before 1840, not after tomorrow.

    :param taken_at: with or without a time zone; a clock without one may be a day ahead of UTC.
    """
    latest = (now or datetime.now(UTC)).astimezone(UTC).date() + timedelta(days=1)
    return taken_at.year >= _FIRST_YEAR and taken_at.date() <= latest
