"""Name cameras as a person would."""

import re


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
