"""Read titles, the role and the order of shots from the names of files and folders."""

import re
import unicodedata
from collections.abc import Sequence

from imagehub.clients import DriveItem
from imagehub.domain.name_order import make_sort_key

# Words that describe a shot of a work, not the work.
_SHOT_WORDS = frozenset(
    (
        "front", "back", "detail", "details", "left", "right", "top", "bottom", "side", "verso",
        "recto", "signature", "signed", "view", "angle", "insitu", "situ", "installation", "frame",
        "framed", "unframed", "edge", "close", "closeup", "copy", "final", "edit", "edited", "web",
        "print", "hires", "lores", "hr", "lr", "full", "large", "small", "crop", "cropped",
        "vorn", "vorne", "vorderseite", "hinten", "rückseite", "signatur",
        "reverse", "ausschnitt",
    )
)  # fmt: skip
# Words for the shot that shows the whole work.
_FRONT_WORDS = frozenset(("front", "recto", "full", "vorn", "vorne", "vorderseite"))
# The words for each role of ``domain.library.edit.ROLES``. The first role with a matching word
# counts: a signature on the back is a signature.
_ROLE_WORDS = {
    "signature": {"signature", "signed", "signatur"},
    "detail": {"detail", "details", "close", "closeup", "ausschnitt"},
    "place": {"insitu", "situ", "installation", "room", "raum", "wall", "wand"},
    "back": {"back", "verso", "reverse", "hinten", "rückseite"},
    "front": {"front", "recto", "vorn", "vorne", "vorderseite"},
}
_ALL_ROLE_WORDS = frozenset[str]().union(*_ROLE_WORDS.values())
# Prefixes that cameras and scanners give to every file; the number is part of the name then.
_CAMERA_WORDS = frozenset(
    (
        "img", "image", "dsc", "dscn", "dscf", "dcim", "pict", "pic", "pxl", "p", "photo", "foto",
        "scan", "vlc", "mvi", "sam", "imag", "wp", "gopr", "dji", "screenshot", "untitled", "bild",
    )
)  # fmt: skip


def get_folder_title(folder: DriveItem) -> str:
    """Return a folder's name; "" for the top folder of a drive, whose name is no title."""
    return "" if "root" in folder.raw else folder.name


def make_group_title(folder_name: str, first_file_name: str) -> str:
    """Title a group after its folder, or after the work in the top folder of a drive."""
    return folder_name or make_work_title(first_file_name)


def make_work_title(file_name: str) -> str:
    """Title a work after one of its files: ``harbour-2_front.jpg`` → ``Harbour``."""
    return capitalize_first(split_stem(file_name))


def make_file_title(file_name: str) -> str:
    """Turn a file name into a title: no extension, spaces instead of hyphens."""
    words = re.sub(r"[\s_\-]+", " ", _strip_extension(file_name)).strip()
    return capitalize_first(words or file_name)


def capitalize_first(words: str) -> str:
    """Make the first letter a capital and leave the others as they are."""
    return words[:1].upper() + words[1:]


def split_stem(file_name: str) -> str:
    """Return the part of a file name that names the work.

    ``Harbour-2_front (1).jpg`` → ``Harbour``.
    Numbers and words for a shot are removed from the end while something more than a camera's
    prefix remains: ``IMG_4711`` stays whole.
    """
    base = _strip_extension(file_name)
    words = _split_words(base)
    kept = words[: _count_work_words(words)]
    if len(kept) == 1 and (kept[0].isdigit() or kept[0].casefold() in _CAMERA_WORDS):
        kept = words
    return " ".join(kept) or base


def guess_role(file_name: str) -> str:
    """Guess the role of a shot from its file name: ``Harbour back 2.jpg`` is a ``back``.

    Words count at the end of the name, or anywhere if all words are role words: ``Back to the
    harbour.jpg`` and ``A quiet room.jpg`` are works. Returns "" if the name says nothing.
    """
    words = [word.casefold() for word in _split_words(_strip_extension(file_name))]
    is_all = all(_is_shot_word(word) or word in _ALL_ROLE_WORDS for word in words)
    found = set(words if is_all else words[_count_work_words(words) :])
    return next((role for role, known in _ROLE_WORDS.items() if found & known), "")


def make_shot_key(file_name: str) -> tuple[bytes, bool, bytes]:
    """Make a sort key for shots: by work, the front first, then by name (2 before 10).

    The front comes first because the first shot of a group is its cover.
    """
    words = {word.casefold() for word in _split_words(_strip_extension(file_name))}
    stem = split_stem(file_name)
    work = "" if stem.casefold() in _SHOT_WORDS else stem
    is_front = not words.isdisjoint(_FRONT_WORDS) or not any(map(_is_shot_word, words))
    return make_sort_key(work.casefold()), not is_front, make_sort_key(file_name)


def _count_work_words(words: Sequence[str]) -> int:
    """Count the words before the shot words at the end; at least one."""
    count = len(words)
    while count > 1 and _is_shot_word(words[count - 1]):
        count -= 1
    return count


def _split_words(base: str) -> list[str]:
    return [word for word in re.split(r"[\s_\-.,()\[\]#]+", base) if word]


def _strip_extension(file_name: str) -> str:
    name = unicodedata.normalize("NFC", file_name)
    base, dot, extension = name.rpartition(".")
    return base if dot and base and len(extension) <= 5 else name


def _is_shot_word(word: str) -> bool:
    bare = word.casefold()
    return (
        bare.isdigit() or bare in _SHOT_WORDS or bool(re.fullmatch(r"[a-z]|v?\d{1,3}[a-z]?", bare))
    )
