"""How files may be put into groups before anybody has looked at them: by folder, name or time."""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from imagehub.clients.drive_ids import fold_id
from imagehub.domain.name_order import make_sort_key

# How files may be put into groups, with its name for people.
WAYS = {
    "folder": "One for each folder",
    "stem": "By file name",
    "time": "By capture time",
    "each": "One for each picture",
    "one": "All into one new group",
    "existing": "All into a group there is",
}
TIME_GAP = timedelta(minutes=10)

# Words that tell a shot of a work, not the work.
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
# Words for the shot that shows the work as such.
_FRONT_WORDS = frozenset(("front", "recto", "full", "vorn", "vorne", "vorderseite"))
# The part that a shot plays (see ``library_edit.ROLES``), and the words that tell it, of which the
# first to be found counts: the signature on the back is a signature.
_ROLE_WORDS = {
    "signature": {"signature", "signed", "signatur"},
    "detail": {"detail", "details", "close", "closeup", "ausschnitt"},
    "place": {"insitu", "situ", "installation", "room", "raum", "wall", "wand"},
    "back": {"back", "verso", "reverse", "hinten", "rückseite"},
    "front": {"front", "recto", "vorn", "vorne", "vorderseite"},
}
_ALL_ROLE_WORDS = frozenset[str]().union(*_ROLE_WORDS.values())
# Beginnings that cameras and scanners give to every file; the number is the name then.
_CAMERA_WORDS = frozenset(
    (
        "img", "image", "dsc", "dscn", "dscf", "dcim", "pict", "pic", "pxl", "p", "photo", "foto",
        "scan", "vlc", "mvi", "sam", "imag", "wp", "gopr", "dji", "screenshot", "untitled", "bild",
    )
)  # fmt: skip


@dataclass(frozen=True)
class FileFacts:
    """What is known of a file of a plan. ``folder_name``: "" for the drive's topmost folder.
    ``taken_at`` is the camera's clock, without a zone."""

    id: int
    file_name: str
    folder_id: str
    folder_name: str
    taken_at: datetime | None


Bundles = list[tuple[str, list[FileFacts]]]


def make_bundles(way: str, files: Sequence[FileFacts]) -> Bundles:
    """Put files into groups.

    :param way: one of :data:`WAYS`; ``existing`` makes one bundle.
    :param files: in the order in which they were read.
    :return: (title, files) in the order that the groups shall have; none is empty.
    """
    make_key = begin_order()
    return _WAYS[way](sorted(files, key=lambda file: make_key(file.folder_id, file.file_name)))


def begin_order() -> Callable[[str, str], tuple[int, bytes, bool, bytes]]:
    """For sorting files by (folder id, file's name): the folders in the order in which they are
    first asked for, and :func:`make_shot_key` inside."""
    places: dict[str, int] = {}

    def make_key(folder_id: str, file_name: str) -> tuple[int, bytes, bool, bytes]:
        return places.setdefault(fold_id(folder_id), len(places)), *make_shot_key(file_name)

    return make_key


def make_shot_key(file_name: str) -> tuple[bytes, bool, bytes]:
    """For sorting shots: those of one work together, its front first, for the first is its cover,
    and the others by name, ``page 2`` before ``page 10``."""
    words = {word.casefold() for word in _split_words(_strip_ending(file_name))}
    stem = split_stem(file_name)
    work = "" if stem.casefold() in _SHOT_WORDS else stem
    is_front = not words.isdisjoint(_FRONT_WORDS) or not any(map(_tells_a_shot, words))
    return make_sort_key(work.casefold()), not is_front, make_sort_key(file_name)


def _bundle_by_folder(files: Sequence[FileFacts]) -> Bundles:
    return _bundle(
        files,
        lambda file: fold_id(file.folder_id),
        lambda file: file.folder_name or begin_large(split_stem(file.file_name)),
    )


def _bundle_by_stem(files: Sequence[FileFacts]) -> Bundles:
    return _bundle(
        files,
        lambda file: (fold_id(file.folder_id), split_stem(file.file_name).casefold()),
        lambda file: begin_large(split_stem(file.file_name)),
    )


def _bundle_each(files: Sequence[FileFacts]) -> Bundles:
    return [(make_title(file.file_name), [file]) for file in files]


def _bundle_all(files: Sequence[FileFacts]) -> Bundles:
    names = {file.folder_name for file in files}
    title = names.pop() if len(names) == 1 else ""
    return [(title or "New group", list(files))] if files else []


def _bundle_by_time(files: Sequence[FileFacts]) -> Bundles:
    """Files in the order of their time; a pause of more than ``TIME_GAP`` begins a group."""
    bundles: Bundles = []
    last: datetime | None = None
    untimed = [file for file in files if file.taken_at is None]
    timed = [(file.taken_at, file) for file in files if file.taken_at is not None]
    for taken_at, file in sorted(timed, key=lambda one: one[0]):
        if last is None or taken_at - last > TIME_GAP:
            bundles.append((f"{taken_at:%-d %B %Y, %H:%M}", []))
        bundles[-1][1].append(file)
        last = taken_at
    return bundles + ([("Without a time", untimed)] if untimed else [])


def _bundle(
    files: Sequence[FileFacts],
    get_key: Callable[[FileFacts], Hashable],
    get_title: Callable[[FileFacts], str],
) -> Bundles:
    bundles: dict[Hashable, list[FileFacts]] = defaultdict(list)
    for file in files:
        bundles[get_key(file)].append(file)
    return [(get_title(some[0]), some) for some in bundles.values()]


_WAYS: Mapping[str, Callable[[Sequence[FileFacts]], Bundles]] = {
    "folder": _bundle_by_folder,
    "stem": _bundle_by_stem,
    "time": _bundle_by_time,
    "each": _bundle_each,
    "one": _bundle_all,
    "existing": _bundle_all,
}


def split_stem(file_name: str) -> str:
    """The part of a file's name that names the work: ``Harbour-2_front (1).jpg`` → ``Harbour``.

    Numbers and words for a shot go from the end, as long as something is left that says more than
    a camera's own prefix does: ``IMG_4711`` stays whole.
    """
    base = _strip_ending(file_name)
    words = _split_words(base)
    kept = words[: _count_work_words(words)]
    if len(kept) == 1 and (kept[0].isdigit() or kept[0].casefold() in _CAMERA_WORDS):
        kept = words
    return " ".join(kept) or base


def guess_role(file_name: str) -> str:
    """The part that a shot plays, as its file's name tells: ``Harbour back 2.jpg`` is a ``back``.

    Words count at the name's end, or where all words are such: ``Back to the harbour.jpg`` and
    ``A quiet room.jpg`` are works. "" where nothing is told.
    """
    words = [word.casefold() for word in _split_words(_strip_ending(file_name))]
    is_all = all(_tells_a_shot(word) or word in _ALL_ROLE_WORDS for word in words)
    told = set(words if is_all else words[_count_work_words(words) :])
    return next((role for role, known in _ROLE_WORDS.items() if told & known), "")


def _count_work_words(words: Sequence[str]) -> int:
    """How many words are left, at least one, when those that tell a shot go from the end."""
    count = len(words)
    while count > 1 and _tells_a_shot(words[count - 1]):
        count -= 1
    return count


def _split_words(base: str) -> list[str]:
    return [word for word in re.split(r"[\s_\-.,()\[\]#]+", base) if word]


def make_title(file_name: str) -> str:
    """A file's name as a title: without its ending, with spaces for its hyphens."""
    words = re.sub(r"[\s_\-]+", " ", _strip_ending(file_name)).strip()
    return begin_large(words or file_name)


def begin_large(words: str) -> str:
    return words[:1].upper() + words[1:]


def _strip_ending(file_name: str) -> str:
    name = unicodedata.normalize("NFC", file_name)
    base, dot, ending = name.rpartition(".")
    return base if dot and base and len(ending) <= 5 else name


def _tells_a_shot(word: str) -> bool:
    bare = word.casefold()
    return (
        bare.isdigit() or bare in _SHOT_WORDS or bool(re.fullmatch(r"[a-z]|v?\d{1,3}[a-z]?", bare))
    )
