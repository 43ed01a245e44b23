"""Which names OneDrive accepts, known before anything is sent.

Sources: Microsoft's "Addressing resources in a drive" and "Restrictions and limitations in
OneDrive and SharePoint".
"""

import re
import unicodedata

from imagehub.errors import InvalidInputError

MAX_NAME_CHARS = 255
_FORBIDDEN_EVERYWHERE = '"*:<>?/\\|'
# SharePoint can be told to allow these two, but a drive does not say whether it was.
_FORBIDDEN_BUSINESS = _FORBIDDEN_EVERYWHERE + "#%"
_RESERVED = re.compile(r"(\.lock|con|prn|aux|nul|com[0-9]|lpt[0-9]|desktop\.ini)", re.IGNORECASE)


def check_name(
    name: str, kind: str = "business", at_root: bool = False, old_name: str = ""
) -> None:
    """Make sure that OneDrive will take this name for a file or folder.

    :param kind: kind of drive: ``personal`` has the milder rules, anything else the strict ones.
    :param at_root: the name is to stand directly in the drive's own root.
    :param old_name: what the item is called so far: a # or % in it shows that this drive takes it.
    :raise InvalidInputError: with one sentence that says what to change; its field is ``name``.
    """
    fault = _find_fault(name, kind, at_root, old_name)
    if fault:
        raise InvalidInputError(fault, {"name": fault})


def repair_name(name: str, kind: str = "business", at_root: bool = False) -> str:
    """The nearest name that :func:`check_name` accepts; the ending of a file name is kept."""
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
    if _find_fault(name, kind, at_root):  # what is left is a reserved word
        name = f"_{name}"[:MAX_NAME_CHARS]
    check_name(name, kind, at_root)
    return name


def _find_fault(name: str, kind: str, at_root: bool, old_name: str = "") -> str:
    if not name:
        return "The name is empty."
    if len(name) > MAX_NAME_CHARS:
        return f"The name is longer than {MAX_NAME_CHARS} characters."
    if any("\ud800" <= char <= "\udfff" or _is_control(char) for char in name):
        return "The name holds a character that cannot be shown."
    for char in _get_forbidden(kind):
        if char in name and not (char in "#%" and char in old_name):
            return f"OneDrive does not allow the character {char} in a name."
    if name[0].isspace() or name[-1].isspace():
        return "The name may not begin or end with a space."
    if name.endswith("."):
        return "The name may not end with a full stop."
    if name.startswith("~"):
        return "The name may not begin with ~."
    if _RESERVED.fullmatch(name):
        return f"OneDrive keeps the name {name} for itself."
    if "_vti_" in name.lower():
        return "OneDrive does not allow _vti_ in a name."
    if at_root and kind != "personal" and name.lower() == "forms":
        return f"OneDrive keeps the name {name} for itself in the topmost folder."
    return ""


_TURNS = frozenset({"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"})


def _get_forbidden(kind: str) -> str:
    return _FORBIDDEN_EVERYWHERE if kind == "personal" else _FORBIDDEN_BUSINESS


def _is_control(char: str) -> bool:
    # Whatever turns the direction of reading would let "gpj.exe" look like "exe.jpg".
    return unicodedata.category(char) == "Cc" or unicodedata.bidirectional(char) in _TURNS
