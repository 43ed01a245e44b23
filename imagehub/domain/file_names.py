"""Read from names and listed types of files: pictures or not, their order, titles and roles."""

import re
import unicodedata
from collections.abc import Sequence

from imagehub.clients import DriveItem
from imagehub.errors import PictureError
from imagehub.imaging.kinds import DrawnKind, find_drawn_kind, get_extension
from imagehub.messages import mark

# --- Types ----------------------------------------------------------------------------------------

_ARCHIVE = mark("This is an archive, not an image.")
_DOCUMENT = mark("This is a document, not an image.")
# Media types in OneDrive's lists that cannot become a picture, by their beginning.
_OTHER_TYPES = {
    "audio/": mark("This is an audio file, not an image."),
    "text/": mark("This is a text file, not an image."),
    "font/": mark("This is a font, not an image."),
    "image/svg": mark("SVG drawings cannot be imported. Save the file as PNG first."),
    "application/zip": _ARCHIVE,
    "application/json": mark("This is a data file, not an image."),
    "application/msword": _DOCUMENT,
    "application/vnd.": _DOCUMENT,
}
_OTHER_EXTENSIONS = {
    extension: sentence
    for sentence, extensions in {
        mark("This file contains image settings, not an image."): (
            "aae cop cos dop lrcat lrtemplate pp3 xmp"
        ),
        _ARCHIVE: "7z bz2 gz rar tar tgz xz zip",
        mark("Drawings of this type cannot be imported. Save the file as PNG or TIFF first."): (
            "cdr dwg dxf svg svgz"
        ),
        _DOCUMENT: "doc docx idml indb indd odt pub qxp rtf",
        mark("Images of this type cannot be imported. Save the file as TIFF or PNG first."): (
            "afdesign afphoto clip exr ico kra procreate xcf"
        ),
        mark("This is a program file, not an image."): "db dll ds_store exe ini lnk log url",
    }.items()
    for extension in extensions.split()
}
# The usual extensions of the kinds of ``imaging.kinds``.
_PICTURE_EXTENSIONS = frozenset(
    (
        "avif", "bmp", "dib", "gif", "heic", "heif", "hif", "jfif", "jpe", "jpeg", "jpg", "png",
        "tif", "tiff", "webp",
    )
)  # fmt: skip
_PICTURE_MIMES = tuple(
    f"image/{kind}" for kind in ("avif", "bmp", "gif", "hei", "jpeg", "jpg", "png", "tiff", "webp")
)


def check_is_picture(item: DriveItem) -> None:
    """:raise PictureError: a folder, a notebook, or a file that is no picture and is not drawn."""
    if item.is_folder:
        raise PictureError("This is a folder, not an image.")
    if item.is_package:
        raise PictureError("This is a notebook, not an image.")
    if not item.size_bytes:
        raise PictureError("This file is empty.")
    if find_drawn(item):
        return
    for beginning, sentence in _OTHER_TYPES.items():
        if item.mime_type.lower().startswith(beginning):
            raise PictureError(sentence)
    if reason := _OTHER_EXTENSIONS.get(get_extension(item.name)):
        raise PictureError(reason)


def find_drawn(item: DriveItem) -> DrawnKind | None:
    """Find the kind of a file of which OneDrive's preview is shown."""
    if get_extension(item.name) in _OTHER_EXTENSIONS:
        return None
    return find_drawn_kind(item.name, item.mime_type)


def may_be_video(item: DriveItem) -> bool:
    """Tell whether OneDrive lists a file as a video, by its name, type or facet."""
    if get_extension(item.name) in _OTHER_EXTENSIONS or is_called_picture(item):
        return False
    drawn = find_drawn(item)
    return drawn.is_video if drawn else isinstance(item.raw.get("video"), dict)


def is_called_picture(item: DriveItem) -> bool:
    """Tell whether its name or type is that of a picture that can be imported."""
    is_known = item.mime_type.lower().startswith(_PICTURE_MIMES)
    return is_known or get_extension(item.name) in _PICTURE_EXTENSIONS


def may_be_picture(item: DriveItem) -> bool:
    """Tell whether a file is worth importing; only its bytes can tell for sure."""
    try:
        check_is_picture(item)
    except PictureError:
        return False
    return True


def is_wanted_picture(item: DriveItem) -> bool:
    """Tell whether a file counts as a picture of its folder: documents and videos do not."""
    drawn = find_drawn(item)
    return may_be_picture(item) and (drawn is None or drawn.is_picture)


def make_companion_key(name: str) -> str:
    """Make the key that a picture shares with files beside it: ``a.jpg`` and ``A.nef``."""
    return name.rpartition(".")[0].casefold() or name.casefold()


# --- Order ----------------------------------------------------------------------------------------

# Letters that Unicode does not decompose.
_BARE_LETTERS = str.maketrans({"ł": "l", "ø": "o", "đ": "d", "ı": "i", "æ": "ae", "œ": "oe"})
_UNLIKE_LETTERS = re.compile(r"(\d+)|[\W_]")
_ENDING = re.compile(r"(?<=.)\.[^.\s]{1,5}\Z", re.DOTALL)


def make_name_key(name: str) -> str:
    """Make a text by which names sort, compared in the order of UTF-16.

    Signs come before numbers and numbers before letters. Numbers compare by value (``shot 2``
    before ``shot 10``), letters without case and accents, the extension last (``shot.jpg`` before
    ``shot 2.jpg``). The name itself decides between equal keys, so no two names have the same key.
    """
    folded = unicodedata.normalize("NFKD", name.casefold().translate(_BARE_LETTERS))
    bare = "".join(char for char in folded if not unicodedata.combining(char))
    ending = _ENDING.search(bare)
    cut = ending.start() if ending else len(bare)
    parts = (_UNLIKE_LETTERS.sub(_rank, part) for part in (bare[:cut], bare[cut:]))
    return " ".join((*parts, name))


def make_sort_key(name: str) -> bytes:
    """Make bytes that sort as :func:`make_name_key` in the order of UTF-16."""
    return make_name_key(name).encode("utf-16-be", "surrogatepass")


def _rank(found: re.Match[str]) -> str:
    """Put a number's length in front of it, since a longer number is larger."""
    if not found[1]:
        return f"!{found[0]}"
    digits = str(int(found[1]))
    return f"0{chr(32 + len(digits))}{digits}"


# --- Titles and roles -----------------------------------------------------------------------------

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


# --- Names as people see them ---------------------------------------------------------------------

# Embeddings and overrides, isolates, and the marks that count as letters of a direction.
_TURNS = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def replace_turns(name: str) -> str:
    """Replace the invisible characters of a file name that change the direction of reading.

    They would make ``gpj.exe`` look like ``exe.jpg``. Source: Unicode Standard Annex 9, 2
    (explicit directional formatting characters).
    """
    return _TURNS.sub("\N{REPLACEMENT CHARACTER}", name)
