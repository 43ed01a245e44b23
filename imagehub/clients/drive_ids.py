"""The ids and names of OneDrive's items: compare ids, check and correct names.

Personal drive ids are 16 hexadecimal digits, but the service omits leading zeros in some answers
and changes case between calls (OneDrive/onedrive-api-docs#1902, abraunegg/onedrive#3072). Ids are
stored and sent back as the service wrote them.

Sources for names: Microsoft's "Addressing resources in a drive" and "Restrictions and limitations
in OneDrive and SharePoint".
"""

import re
import unicodedata
from collections.abc import Iterable

from imagehub.errors import InvalidInputError
from imagehub.messages import Message, mark

_MAX_CHARS = 255
_FORBIDDEN = '"*:<>?/\\|'
_RESERVED = re.compile(r"(\.lock|con|prn|aux|nul|com[0-9]|lpt[0-9]|desktop\.ini)", re.IGNORECASE)
# Bidirectional formatting characters: they could make "gpj.exe" look like "exe.jpg".
_BIDI_CONTROLS = frozenset({"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"})


def fold_drive_id(drive_id: str) -> str:
    """Normalise a drive id for comparison."""
    return drive_id.casefold().rjust(16, "0")


def fold_id(item_id: str) -> str:
    """Normalise an item id for comparison; the part before ``!`` is a personal drive's id."""
    drive_id, sign, rest = item_id.partition("!")
    return f"{fold_drive_id(drive_id)}!{rest}" if sign else item_id


def is_same_id(one: str, other: str) -> bool:
    return bool(one) and fold_id(one) == fold_id(other)


def list_spellings(item_id: str) -> list[str]:
    """Return all ways in which the service may write an item's id, for a database query."""
    drive_id, sign, rest = item_id.partition("!")
    if not sign:
        return [item_id]
    short = drive_id.lstrip("0") or "0"
    spellings = {drive_id}
    for length in {len(short), 16, len(drive_id)}:
        digits = short.rjust(length, "0")
        spellings |= {digits.upper(), digits.lower()}
    return sorted(f"{digits}!{rest}" for digits in spellings)


def list_all_spellings(item_ids: Iterable[str]) -> list[str]:
    """The same for many items, each once."""
    return sorted({spelling for item_id in item_ids for spelling in list_spellings(item_id)})


def check_name(name: str, kind: str = "business", at_root: bool = False) -> None:
    """Check that OneDrive accepts this name for a file or folder.

    ``#`` and ``%`` are accepted: an organisation may forbid them, but only OneDrive's answer tells.

    :param kind: kind of drive; ``personal`` has the milder rules, any other the strict ones.
    :param at_root: the item is directly in the root of the drive.
    :raise InvalidInputError: the sentence says what to change; the field is ``name``.
    """
    fault = _find_fault(name, kind, at_root)
    if fault:
        raise InvalidInputError(fault, {"name": fault})


def repair_name(name: str, kind: str = "business", at_root: bool = False) -> str:
    """Return the closest name that :func:`check_name` accepts; a file ending is kept."""
    name = unicodedata.normalize("NFC", name.encode("utf-8", "replace").decode("utf-8"))
    name = "".join("_" if char in _FORBIDDEN or _is_control(char) else char for char in name)
    name = re.sub("_vti_", "_", name, flags=re.IGNORECASE)
    name = name.strip().rstrip(". ")
    if name.startswith("~"):
        name = "_" + name[1:]
    if len(name) > _MAX_CHARS:
        stem, dot, ending = name.rpartition(".")
        if not dot or len(ending) > 15:
            stem, dot, ending = name, "", ""
        name = stem[: _MAX_CHARS - len(dot) - len(ending)].rstrip(". ") + dot + ending
    if not name:
        name = "untitled"
    if _find_fault(name, kind, at_root):  # only reserved words are left
        name = f"_{name}"[:_MAX_CHARS]
    check_name(name, kind, at_root)
    return name


def _find_fault(name: str, kind: str, at_root: bool) -> str:
    if not name:
        return mark("The name is empty.")
    if len(name) > _MAX_CHARS:
        return Message("The name is longer than %(limit)s characters.", limit=_MAX_CHARS)
    if any("\ud800" <= char <= "\udfff" or _is_control(char) for char in name):
        return mark("The name contains a character that cannot be shown.")
    for char in _FORBIDDEN:
        if char in name:
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


def _is_control(char: str) -> bool:
    return unicodedata.category(char) == "Cc" or unicodedata.bidirectional(char) in _BIDI_CONTROLS
