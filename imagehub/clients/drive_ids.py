"""Compare ids of OneDrive, which the service does not always write in the same way.

Personal drive ids are 16 hexadecimal digits, but the service omits leading zeros in some answers
and changes case between calls (OneDrive/onedrive-api-docs#1902, abraunegg/onedrive#3072). Ids are
stored and sent back as the service wrote them.
"""

from collections.abc import Iterable


def fold_drive_id(drive_id: str) -> str:
    """Normalise a drive id for comparison."""
    return drive_id.casefold().rjust(16, "0")


def fold_id(item_id: str) -> str:
    """Normalise an item id for comparison; the part before ``!`` is a personal drive's id."""
    drive_id, mark, rest = item_id.partition("!")
    return f"{fold_drive_id(drive_id)}!{rest}" if mark else item_id


def is_same_id(one: str, other: str) -> bool:
    return bool(one) and fold_id(one) == fold_id(other)


def list_spellings(item_id: str) -> list[str]:
    """Return all ways in which the service may write an item's id, for a database query."""
    drive_id, mark, rest = item_id.partition("!")
    if not mark:
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
