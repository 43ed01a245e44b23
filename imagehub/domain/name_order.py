"""Sort names the way people expect.

The order is the same in a folder of the drive, in its script, and in the groups of an import.
"""

import re
import unicodedata

# Letters that Unicode does not decompose.
_BARE_LETTERS = str.maketrans({"ł": "l", "ø": "o", "đ": "d", "ı": "i", "æ": "ae", "œ": "oe"})
_UNLIKE_LETTERS = re.compile(r"(\d+)|[\W_]")
_ENDING = re.compile(r"(?<=.)\.[^.\s]{1,5}\Z", re.DOTALL)


def make_name_key(name: str) -> str:
    """Make a text by which names sort, compared in the order of UTF-16.

    Signs come before numbers and numbers before letters. Numbers compare by value (``shot 2``
    before ``shot 10``), letters without case and accents, the extension last (``shot.jpg`` before
    ``shot 2.jpg``). The name itself decides between equal keys, so no two names have the same key.
    """
    folded = unicodedata.normalize("NFKD", name.casefold().translate(_BARE_LETTERS))
    bare = "".join(char for char in folded if not unicodedata.combining(char))
    ending = _ENDING.search(bare)
    cut = ending.start() if ending else len(bare)
    parts = (_UNLIKE_LETTERS.sub(_rank, part) for part in (bare[:cut], bare[cut:]))
    return " ".join((*parts, name))


def make_sort_key(name: str) -> bytes:
    """Make bytes that sort as :func:`make_name_key` in the order of UTF-16."""
    return make_name_key(name).encode("utf-16-be", "surrogatepass")


def _rank(found: re.Match[str]) -> str:
    """Put a number's length in front of it, since a longer number is larger."""
    if not found[1]:
        return f"!{found[0]}"
    digits = str(int(found[1]))
    return f"0{chr(32 + len(digits))}{digits}"
