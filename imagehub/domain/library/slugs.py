"""Words of a text as a part of an address."""

import re
import unicodedata

MAX_SLUG_CHARS = 80


def make_slug(text: str) -> str:
    """Return a text for addresses: letters and digits of any script, separated by hyphens.

    Spellings that differ in case, spaces or punctuation have the same one; "" if nothing is left.
    """
    words = re.sub(r"[\W_]+", "-", unicodedata.normalize("NFC", text).casefold()).strip("-")
    return words[:MAX_SLUG_CHARS].rstrip("-")
