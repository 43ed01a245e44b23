"""Tell which enquiries look like spam. They are marked, never dropped: people decide."""

import hashlib
import re

from imagehub.messages import mark

# Why an enquiry was taken for spam.
REASONS = {
    "trap": mark("A field that people do not see was filled in."),
    "fast": mark("It was sent within seconds of opening the form."),
    "links": mark("It consists of web addresses, or has many of them."),
    "repeated": mark("The same text came from another address before."),
}
# Nobody reads a form, fills in three fields and sends it within this time.
LEAST_SECONDS = 3.0
MAX_LINKS = 2
# Shorter texts, such as “Is this work available?”, are the same by chance.
LEAST_REPEATED_CHARS = 80
_LINK = re.compile(r"https?://|www\.|\[url|<a\s", re.IGNORECASE)


def hash_text(message: str) -> str:
    """Return the SHA-256 of a text without case and white space, in hexadecimal digits."""
    return hashlib.sha256("".join(message.casefold().split()).encode()).hexdigest()


def find_reason(
    name: str, message: str, *, trap: str, seconds: float | None, is_repeated: bool
) -> str:
    """Return why an enquiry looks like spam, a key of ``REASONS``; "" if it does not.

    :param trap: the value of the field that people do not see.
    :param seconds: between opening the form and sending it; None if that is not known.
    :param is_repeated: the same text came from another mail address.
    """
    if trap.strip():
        return "trap"
    if seconds is None or seconds < LEAST_SECONDS:
        return "fast"
    links = len(_LINK.findall(message))
    words = [word for word in message.split() if not _LINK.match(word)]
    if _LINK.search(name) or links > MAX_LINKS or (links and len(words) < 3):
        return "links"
    return "repeated" if is_repeated and len(message) >= LEAST_REPEATED_CHARS else ""
