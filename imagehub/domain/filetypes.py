"""Decide from a file's name and listed type whether it can be a picture."""

from imagehub.clients import DriveItem
from imagehub.errors import PictureError
from imagehub.messages import mark

# Media types in OneDrive's lists that cannot become a picture, by their beginning.
_NO_PICTURES = {
    "video/": mark("This is a video, not an image."),
    "audio/": mark("This is an audio file, not an image."),
    "text/": mark("This is a text file, not an image."),
    "font/": mark("This is a font, not an image."),
    "image/svg": mark("SVG drawings cannot be imported. Save the file as PNG first."),
    "application/pdf": mark("This is a PDF document, not an image."),
    "application/zip": mark("This is an archive, not an image."),
    "application/json": mark("This is a data file, not an image."),
    "application/msword": mark("This is a document, not an image."),
    "application/vnd.": mark("This is a document, not an image."),
    "image/vnd.adobe.photoshop": mark(
        "Photoshop documents cannot be imported. Save the file as TIFF first."
    ),
}
_SETTINGS = mark("This file contains image settings, not an image.")
_ARCHIVE = mark("This is an archive, not an image.")
_DRAWING = mark("Drawings of this type cannot be imported. Save the file as PNG or TIFF first.")
_PHOTOSHOP = mark("Photoshop documents cannot be imported. Save the file as TIFF first.")
_DOCUMENT = mark("This is a document, not an image.")
_OTHER_KIND = mark("Images of this type cannot be imported. Save the file as TIFF or PNG first.")
_PROGRAM = mark("This is a program file, not an image.")
# Raw photos of cameras. OneDrive lists most of them as pictures, or without a type.
_RAW = mark("Raw photos cannot be imported. Save the file as TIFF or JPEG first.")
_OTHER_EXTENSIONS = {
    extension: sentence
    for extensions, sentence in (
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
    """:raise PictureError: a folder, a notebook, or a file that cannot be a picture."""
    if item.is_folder:
        raise PictureError("This is a folder, not an image.")
    if item.is_package:
        raise PictureError("This is a notebook, not an image.")
    if not item.size_bytes:
        raise PictureError("This file is empty.")
    for beginning, sentence in _NO_PICTURES.items():
        if item.mime_type.lower().startswith(beginning):
            raise PictureError(sentence)
    if reason := _OTHER_EXTENSIONS.get(_get_extension(item)):
        raise PictureError(reason)


def is_called_picture(item: DriveItem) -> bool:
    """Tell whether its name or type is that of a picture that can be imported."""
    is_known = item.mime_type.lower().startswith(_PICTURE_MIMES)
    return is_known or _get_extension(item) in _PICTURE_EXTENSIONS


def _get_extension(item: DriveItem) -> str:
    _, dot, extension = item.name.rpartition(".")
    return extension.lower() if dot else ""


def may_be_picture(item: DriveItem) -> bool:
    """Tell whether a file is worth importing; only its bytes can tell for sure."""
    try:
        check_is_picture(item)
    except PictureError:
        return False
    return True
