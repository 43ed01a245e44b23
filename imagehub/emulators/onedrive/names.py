"""Which names the service accepts.

Source: "Addressing driveItems" of Microsoft Graph and the list of invalid names of OneDrive and
SharePoint.
"""

import re
import unicodedata
from urllib.parse import unquote_to_bytes

from .server import Refusal

_FORBIDDEN = frozenset('/\\*<>?:|"')
_RESERVED = frozenset(
    [".lock", "con", "prn", "aux", "nul", "desktop.ini"]
    + [f"{device}{digit}" for device in ("com", "lpt") for digit in range(10)]
)
PATH_LIMIT_CHARS = 400
_NAME_LIMIT_CHARS = 255


def make_name_key(name: str) -> str:
    """Return a key that ignores case and the encoding of accents."""
    return unicodedata.normalize("NFC", name).casefold()


def find_fault_in_name(name: str, kind: str, is_folder: bool, at_root: bool) -> str | None:
    """Return what is wrong with a name, as a sentence, or None.

    :param kind: ``personal`` or ``business``.
    """
    lowered = name.lower()
    if not name or not name.strip() or name in (".", ".."):
        return "The name is empty."
    if len(name) > _NAME_LIMIT_CHARS:
        return "The name is too long."
    if any(char in _FORBIDDEN or ord(char) < 32 or ord(char) == 127 for char in name):
        return "The name contains a character that is not allowed."
    if any(0xD800 <= ord(char) <= 0xDFFF for char in name):
        return "The name is not valid Unicode."
    if name != name.strip(" "):
        return "The name starts or ends with a space."
    if lowered in _RESERVED or lowered.startswith("~$") or "_vti_" in lowered:
        return "The name is reserved."
    if is_folder and name.endswith("."):
        return "The name of a folder cannot end with a full stop."
    if is_folder and kind == "business" and name.startswith("~"):
        return "The name of a folder cannot start with a tilde."
    if kind == "business" and at_root and lowered == "forms":
        return "The name is reserved at this place."
    return None


def check_name(name: object, kind: str, is_folder: bool, at_root: bool) -> str:
    """Return the name if it is valid.

    :raise Refusal: 400 invalidRequest, the service would not accept this name.
    """
    if not isinstance(name, str):
        raise Refusal(400, "invalidRequest", "The name must be a string.")
    fault = find_fault_in_name(name, kind, is_folder, at_root)
    if fault is not None:
        raise Refusal(400, "invalidRequest", fault, inner="invalidPath")
    return name


def decode_colons(path: str) -> str:
    """Undo the percent-encoding of the colons and slashes that address an item by its path.

    Microsoft's SDKs encode an id with a path as one segment: ``items/{id}%3A%2Fa%2Fb.jpg%3A``.
    Names contain neither sign, so this cannot be mistaken for a part of a name.
    """

    def decode(segment: re.Match[str]) -> str:
        return re.sub("%2f", "/", re.sub("%3a", ":", segment[0], flags=re.I), flags=re.I)

    return re.sub(r"[^/]*(?:%3a|:%2f)[^/]*", decode, path, flags=re.I)


def decode_segment(segment: str) -> str:
    """Undo the percent-encoding of one part of a path.

    :raise Refusal: 400, it is not UTF-8.
    """
    try:
        return unquote_to_bytes(segment).decode("utf-8")
    except UnicodeDecodeError:
        raise Refusal(
            400, "invalidRequest", "The path is not encoded as UTF-8.", inner="invalidPath"
        ) from None
