"""Decide from a file's name and listed type whether it can be a picture."""

from imagehub.clients import DriveItem
from imagehub.errors import PictureError

# --- What may be imported -------------------------------------------------------------------------

# What Graph says a file is, where that cannot become a picture: known before the download.
_NO_PICTURES = {
    "video/": "This is a video, not a picture.",
    "audio/": "This is a sound file, not a picture.",
    "text/": "This is a text file, not a picture.",
    "font/": "This is a font, not a picture.",
    "image/svg": "SVG drawings cannot be imported; please save it as PNG first.",
    "application/pdf": "This is a PDF document, not a picture.",
    "application/zip": "This is an archive, not a picture.",
    "application/json": "This is a data file, not a picture.",
    "application/msword": "This is a document, not a picture.",
    "application/vnd.": "This is a document, not a picture.",
    "image/vnd.adobe.photoshop": "Photoshop documents cannot be imported; please save it as TIFF.",
}
_SETTINGS = "This holds settings of a picture, not a picture."
_ARCHIVE = "This is an archive, not a picture."
_DRAWING = "Drawings of this kind cannot be imported; please save it as PNG or TIFF first."
_PHOTOSHOP = "Photoshop documents cannot be imported; please save it as TIFF."
_DOCUMENT = "This is a document, not a picture."
_OTHER_KIND = "Pictures of this kind cannot be imported; please save it as TIFF or PNG first."
_PROGRAM = "This is a file of a program, not a picture."
# What cameras call their raw photos; OneDrive says of most that they are pictures, or nothing.
_RAW = "Raw photos cannot be imported; please save it as TIFF or JPEG."
_OTHER_ENDINGS = {
    ending: sentence
    for endings, sentence in (
        (
            "3fr arw cr2 cr3 crw dcr dng erf fff iiq kdc mef mrw nef nrw orf pef raf rw2 rwl sr2",
            _RAW,
        ),
        ("srf srw x3f", _RAW),
        ("aae cop cos dop lrcat lrtemplate pp3 xmp", _SETTINGS),
        ("7z bz2 gz rar tar tgz xz zip", _ARCHIVE),
        ("ai cdr dwg dxf eps ps svg svgz", _DRAWING),
        ("psb psd", _PHOTOSHOP),
        ("doc docx idml indb indd odt pdf pub qxp rtf", _DOCUMENT),
        ("afdesign afphoto clip exr ico j2k jp2 jxl kra procreate xcf", _OTHER_KIND),
        ("db dll ds_store exe ini lnk log url", _PROGRAM),
    )
    for ending in endings.split()
}
# What the kinds of ``picture_kinds`` are usually called.
_PICTURE_ENDINGS = frozenset(
    (
        "avif", "bmp", "dib", "gif", "heic", "heif", "hif", "jfif", "jpe", "jpeg", "jpg", "png",
        "tif", "tiff", "webp",
    )
)  # fmt: skip
_PICTURE_MIMES = tuple(
    f"image/{kind}" for kind in ("avif", "bmp", "gif", "hei", "jpeg", "jpg", "png", "tiff", "webp")
)


def check_is_picture(item: DriveItem) -> None:
    """:raise PictureError: a folder, a notebook, or a file that is certainly no picture."""
    if item.is_folder:
        raise PictureError("This is a folder, not a picture.")
    if item.is_package:
        raise PictureError("This is a notebook, not a picture.")
    if not item.size_bytes:
        raise PictureError("This file is empty.")
    for beginning, sentence in _NO_PICTURES.items():
        if item.mime_type.lower().startswith(beginning):
            raise PictureError(sentence)
    if why := _OTHER_ENDINGS.get(_get_ending(item)):
        raise PictureError(why)


def is_called_picture(item: DriveItem) -> bool:
    """Whether its name or OneDrive says that it is a picture of a kind that can be imported."""
    is_known = item.mime_type.lower().startswith(_PICTURE_MIMES)
    return is_known or _get_ending(item) in _PICTURE_ENDINGS


def _get_ending(item: DriveItem) -> str:
    _, dot, ending = item.name.rpartition(".")
    return ending.lower() if dot else ""


def may_be_picture(item: DriveItem) -> bool:
    """Whether it is worth trying: certainty comes with the bytes."""
    try:
        check_is_picture(item)
    except PictureError:
        return False
    return True
