"""Check and correct names by the rules of OneDrive, before anything is sent.

Sources: Microsoft's "Addressing resources in a drive" and "Restrictions and limitations in
OneDrive and SharePoint".
"""

import re
import unicodedata

from imagehub.errors import InvalidInputError
from imagehub.messages import Message, mark

MAX_NAME_CHARS = 255
_FORBIDDEN_EVERYWHERE = '"*:<>?/\\|'
# SharePoint can be configured to allow # and %, but a drive does not tell whether it is.
_FORBIDDEN_BUSINESS = _FORBIDDEN_EVERYWHERE + "#%"
_RESERVED = re.compile(r"(\.lock|con|prn|aux|nul|com[0-9]|lpt[0-9]|desktop\.ini)", re.IGNORECASE)


def check_name(
    name: str, kind: str = "business", at_root: bool = False, old_name: str = ""
) -> None:
    """Check that OneDrive accepts this name for a file or folder.

    :param kind: kind of drive; ``personal`` has the milder rules, any other the strict ones.
    :param at_root: the item is directly in the root of the drive.
    :param old_name: the current name of the item: if it contains # or %, the drive allows that.
    :raise InvalidInputError: the sentence says what to change; the field is ``name``.
    """
    fault = _find_fault(name, kind, at_root, old_name)
    if fault:
        raise InvalidInputError(fault, {"name": fault})


def repair_name(name: str, kind: str = "business", at_root: bool = False) -> str:
    """Return the closest name that :func:`check_name` accepts; a file ending is kept."""
    name = unicodedata.normalize("NFC", name.encode("utf-8", "replace").decode("utf-8"))
    forbidden = _get_forbidden(kind)
    name = "".join("_" if char in forbidden or _is_control(char) else char for char in name)
    name = re.sub("_vti_", "_", name, flags=re.IGNORECASE)
    name = name.strip().rstrip(". ")
    if name.startswith("~"):
        name = "_" + name[1:]
    if len(name) > MAX_NAME_CHARS:
        stem, dot, ending = name.rpartition(".")
        if not dot or len(ending) > 15:
            stem, dot, ending = name, "", ""
        name = stem[: MAX_NAME_CHARS - len(dot) - len(ending)].rstrip(". ") + dot + ending
    if not name:
        name = "untitled"
    if _find_fault(name, kind, at_root):  # only reserved words are left
        name = f"_{name}"[:MAX_NAME_CHARS]
    check_name(name, kind, at_root)
    return name


def _find_fault(name: str, kind: str, at_root: bool, old_name: str = "") -> str:
    if not name:
        return mark("The name is empty.")
    if len(name) > MAX_NAME_CHARS:
        return Message("The name is longer than %(limit)s characters.", limit=MAX_NAME_CHARS)
    if any("\ud800" <= char <= "\udfff" or _is_control(char) for char in name):
        return mark("The name contains a character that cannot be shown.")
    for char in _get_forbidden(kind):
        if char in name and not (char in "#%" and char in old_name):
            return Message("OneDrive does not allow the character %(char)s in a name.", char=char)
    if name[0].isspace() or name[-1].isspace():
        return mark("The name may not begin or end with a space.")
    if name.endswith("."):
        return mark("The name may not end with a full stop.")
    if name.startswith("~"):
        return mark("The name may not begin with ~.")
    if _RESERVED.fullmatch(name):
        return Message("OneDrive reserves the name %(name)s.", name=name)
    if "_vti_" in name.lower():
        return mark("OneDrive does not allow _vti_ in a name.")
    if at_root and kind != "personal" and name.lower() == "forms":
        return Message("OneDrive reserves the name %(name)s in the root folder.", name=name)
    return ""


# Bidirectional formatting characters: they could make "gpj.exe" look like "exe.jpg".
_BIDI_CONTROLS = frozenset({"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"})


def _get_forbidden(kind: str) -> str:
    return _FORBIDDEN_EVERYWHERE if kind == "personal" else _FORBIDDEN_BUSINESS


def _is_control(char: str) -> bool:
    return unicodedata.category(char) == "Cc" or unicodedata.bidirectional(char) in _BIDI_CONTROLS
