"""The order of names as people look for them: the same in a folder of the drive, with a script and
without, and in the groups that an import makes."""

import re
import unicodedata

# Letters that Unicode does not take apart into a bare one and its accent.
_BARE_LETTERS = str.maketrans({"ł": "l", "ø": "o", "đ": "d", "ı": "i", "æ": "ae", "œ": "oe"})
_UNLIKE_LETTERS = re.compile(r"(\d+)|[\W_]")
_ENDING = re.compile(r"(?<=.)\.[^.\s]{1,5}\Z", re.DOTALL)


def make_name_key(name: str) -> str:
    """For sorting as people do: signs before numbers before letters, numbers by their size
    (``shot 2`` before ``shot 10``), letters in any case and without their accents, and the ending
    last (``shot.jpg`` before ``shot 2.jpg``). What is equal that far goes by the name as it is
    written, so that no two names have one key.

    Browsers compare texts in the order of UTF-16; so must whoever wants the order that they show.
    """
    folded = unicodedata.normalize("NFKD", name.casefold().translate(_BARE_LETTERS))
    bare = "".join(char for char in folded if not unicodedata.combining(char))
    ending = _ENDING.search(bare)
    cut = ending.start() if ending else len(bare)
    parts = (_UNLIKE_LETTERS.sub(_rank, part) for part in (bare[:cut], bare[cut:]))
    return " ".join((*parts, name))


def make_sort_key(name: str) -> bytes:
    """:func:`make_name_key` in the order of UTF-16."""
    return make_name_key(name).encode("utf-16-be", "surrogatepass")


def _rank(found: re.Match[str]) -> str:
    """A number begins with how long it is, for the longer one is the larger."""
    if not found[1]:
        return f"!{found[0]}"
    digits = str(int(found[1]))
    return f"0{chr(32 + len(digits))}{digits}"
