"""Recognise the format of a picture by its first bytes, never by its name.

:data:`DRAWN_KINDS` are the files that ImageHub cannot decode but OneDrive can draw; these are
known by name and listed type, as OneDrive knows them.
"""

import struct
from dataclasses import dataclass
from typing import BinaryIO

from imagehub.errors import UnreadablePictureError
from imagehub.messages import mark

# A larger picture is not decoded.
MAX_PIXELS = 250_000_000


@dataclass(frozen=True)
class DrawnKind:
    """Files that are shown by the preview that OneDrive draws of them.

    ``extensions``: separated by spaces. ``mime_types``: how they begin in OneDrive's lists.
    ``is_picture``: usually one work or shot; others are imported only if a person selects them.
    ``is_video``: its bytes tell whether it can be played (see ``imaging.video``).
    ``fact``: why the preview is used. ``refusal``: what is said if OneDrive has no preview.
    """

    extensions: str
    mime_types: tuple[str, ...]
    is_picture: bool
    fact: str
    refusal: str
    is_video: bool = False


_RAW_FACT = mark("ImageHub does not decode raw photos.")
_RAW_REFUSAL = mark("Raw photos cannot be imported. Save the file as TIFF or JPEG first.")
_OTHER_REFUSAL = mark("Images of this type cannot be imported. Save the file as TIFF or PNG first.")

VIDEO_FACT = mark("The still of a video is the preview that OneDrive draws of it.")
# What versions that played no videos stored for them.
EARLIER_VIDEO_FACT = mark("ImageHub does not decode videos.")
VIDEO_REFUSAL = mark(
    "OneDrive draws no preview of this video, which ImageHub needs as its still. Open the video in "
    "OneDrive; if it plays there, try again. Otherwise export it as MP4 with H.264."
)

# Source for what OneDrive draws: OneDrive API, "Convert to other formats", target jpg. JPEG XL,
# JPEG 2000, TGA and some raw photos are not named there; whether it draws them is found out.
DRAWN_KINDS = (
    DrawnKind(
        "3fr arw cr2 cr3 crw dcr dng erf fff iiq kdc mef mrw nef nrw orf pef raf raw rw1 rw2 rwl "
        "sr2 srf srw x3f",
        ("image/x-adobe-dng", "image/x-canon-", "image/x-nikon-", "image/x-sony-", "image/dng"),
        True,
        _RAW_FACT,
        _RAW_REFUSAL,
    ),
    DrawnKind(
        "psb psd",
        ("image/vnd.adobe.photoshop", "image/x-photoshop", "application/x-photoshop"),
        True,
        mark("ImageHub does not decode Photoshop documents."),
        mark("Photoshop documents cannot be imported. Save the file as TIFF first."),
    ),
    DrawnKind(
        "ai eps ps",
        ("application/postscript", "application/illustrator", "application/eps"),
        True,
        mark("ImageHub does not decode drawings of this type."),
        mark("Drawings of this type cannot be imported. Save the file as PNG or TIFF first."),
    ),
    DrawnKind(
        "j2c j2k jp2 jpc jpf jpx",
        ("image/jp2", "image/jpx", "image/j2c"),
        True,
        mark("ImageHub does not decode JPEG 2000 images."),
        _OTHER_REFUSAL,
    ),
    DrawnKind(
        "jxl",
        ("image/jxl",),
        True,
        mark("ImageHub does not decode JPEG XL images."),
        _OTHER_REFUSAL,
    ),
    DrawnKind(
        "tga",
        ("image/x-tga", "image/x-targa", "image/targa"),
        True,
        mark("ImageHub does not decode TGA images."),
        _OTHER_REFUSAL,
    ),
    DrawnKind(
        "pdf",
        ("application/pdf",),
        False,
        mark("ImageHub does not decode PDF documents."),
        mark("This is a PDF document, not an image."),
    ),
    DrawnKind(
        "m4v mov mp4 qt webm",
        ("video/mp4", "video/quicktime", "video/webm", "video/x-m4v"),
        True,
        VIDEO_FACT,
        VIDEO_REFUSAL,
        is_video=True,
    ),
    DrawnKind(
        "3g2 3gp 3gp2 3gpp asf avi flv m2ts mkv mp4v mpeg mpg mts ogv wmv",
        ("video/",),
        False,
        VIDEO_FACT,
        VIDEO_REFUSAL,
        is_video=True,
    ),
)
_DRAWN_EXTENSIONS = {
    extension: kind for kind in DRAWN_KINDS for extension in kind.extensions.split()
}


def get_extension(name: str) -> str:
    """Return the extension of a file name, lower case and without its dot."""
    _, dot, extension = name.rpartition(".")
    return extension.lower() if dot else ""


def find_drawn_kind(name: str, mime_type: str) -> DrawnKind | None:
    """Find the kind of a file that only OneDrive can draw, by its name or else its listed type."""
    if kind := _DRAWN_EXTENSIONS.get(get_extension(name)):
        return kind
    listed = mime_type.lower()
    return next((kind for kind in DRAWN_KINDS if listed.startswith(kind.mime_types)), None)


def name_kind(name: str, mime_type: str) -> str:
    """Name the kind of an original in a few letters, for visitors: JPEG, NEF, PSD."""
    extension = get_extension(name)
    if extension in _DRAWN_EXTENSIONS:
        return extension.upper()
    return mime_type.partition("/")[2].removeprefix("x-").upper()


_HEIC_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"}
_BITMAP_HEADERS = (12, *range(16, 68, 4), 108, 124)
# First bytes of other files → the sentence about them.
_OTHER_FILES: tuple[tuple[bytes | tuple[bytes, ...], str], ...] = (
    (b"%PDF", mark("This is a PDF document, not an image.")),
    (b"%!PS", mark("This is a PostScript drawing, not an image.")),
    (b"8BPS", mark("This is a Photoshop document, not an image.")),
    (b"PK\x03\x04", mark("This is a ZIP archive or an office document, not an image.")),
    (b"\xd0\xcf\x11\xe0", mark("This is an old office document, not an image.")),
    (b"Rar!", mark("This is a RAR archive, not an image.")),
    (b"7z\xbc\xaf\x27\x1c", mark("This is a 7-Zip archive, not an image.")),
    (b"\x1f\x8b", mark("This is a compressed archive, not an image.")),
    (b"\x1aE\xdf\xa3", mark("This is a video (Matroska or WebM), not an image.")),
    (b"FLV\x01", mark("This is a video (Flash), not an image.")),
    (b"OggS", mark("This is an audio or video file (Ogg), not an image.")),
    (b"ID3", mark("This is an audio file (MP3), not an image.")),
    ((b"\0\0\x01\xba", b"\0\0\x01\xb3"), mark("This is a video (MPEG), not an image.")),
    (
        (b"\0\0\0\x0cjP  ", b"\xffO\xffQ"),
        mark("This is a JPEG 2000 image, which cannot be imported."),
    ),
    ((b"\0\0\0\x0cJXL ", b"\xff\x0a"), mark("This is a JPEG XL image, which cannot be imported.")),
    (b"\x00\x00\x01\x00", mark("This is an icon file, not an image.")),
    (b"FUJIFILMCCD-RAW", mark("This is a raw photo (Fujifilm), which cannot be imported.")),
    (
        (b"IIRO", b"IIRS", b"MMOR"),
        mark("This is a raw photo (Olympus), which cannot be imported."),
    ),
    (b"IIU\x00", mark("This is a raw photo (Panasonic), which cannot be imported.")),
    (b"FOVb", mark("This is a raw photo (Sigma), which cannot be imported.")),
    (b"v/1\x01", mark("This is an OpenEXR image, which cannot be imported.")),
    (b"gimp xcf", mark("This is a GIMP document, not an image.")),
    ((b"\x7fELF", b"MZ"), mark("This is a program, not an image.")),
)
_UNKNOWN = mark("This is not an image of a supported format.")
_VIDEO = mark("This is a video or audio file, not an image.")
_RAW = mark("This is a raw photo, which cannot be imported.")
_RAW_CANON = mark("This is a raw photo (Canon), which cannot be imported.")


def recognize(file: BinaryIO) -> tuple[str, str]:
    """Recognise the format of a file by its content.

    :param file: at position 0; its position afterwards is undefined.
    :return: (format, MIME type), such as ("JPEG", "image/jpeg").
    :raise UnreadablePictureError: not a supported format; the sentence says what it seems to be.
    """
    head = file.read(1024)
    if not head:
        raise UnreadablePictureError("This file is empty.")
    found = ""
    if head.startswith(b"\xff\xd8\xff"):
        found = "JPEG"
    elif head.startswith(b"\x89PNG\r\n\x1a\n"):
        found = "PNG"
    elif head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        found = "WEBP"
    elif head.startswith((b"GIF87a", b"GIF89a")):
        found = "GIF"
    elif _is_bitmap(head):
        found = "BMP"
    elif head.startswith((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")):
        raw = _find_raw_photo(file, head)
        if raw:
            raise UnreadablePictureError(raw)
        found = "TIFF"
    elif head[4:8] == b"ftyp":
        found = _recognize_box_file(head)
    if not found:
        raise UnreadablePictureError(_describe_other(head) or _UNKNOWN)
    return found, f"image/{found.lower()}"


def _is_bitmap(head: bytes) -> bool:
    """Recognise a bitmap of Windows or OS/2 by its headers.

    OS/2 uses the bytes 6 to 9, which Windows leaves 0, for a hot spot, and may put several bitmaps
    into one file. Source: Microsoft, "Bitmap Storage"; IBM, OS/2 2.0 Presentation Manager, "Bit-map
    formats"; the length of the second header tells the version.
    """
    if head.startswith(b"BA"):
        head = head[14:]
    return head.startswith(b"BM") and int.from_bytes(head[14:18], "little") in _BITMAP_HEADERS


def _recognize_box_file(head: bytes) -> str:
    """Tell HEIF, AVIF and videos, which share a container, apart by their brands."""
    length = min(int.from_bytes(head[:4], "big"), len(head))
    brands = {head[8:12]} | {head[at : at + 4] for at in range(16, length - 3, 4)}
    major = head[8:12]
    if major in (b"avif", b"avis") or (b"avif" in brands and not brands & _HEIC_BRANDS):
        return "AVIF"
    if major in _HEIC_BRANDS:
        return "HEIC"
    if major in (b"mif1", b"msf1"):
        return "HEIF"
    if major == b"crx ":
        raise UnreadablePictureError(_RAW_CANON)
    raise UnreadablePictureError(_VIDEO)


def _describe_other(head: bytes) -> str:
    """Return the sentence about a file that is no picture, "" if it is unknown."""
    for start, sentence in _OTHER_FILES:
        if head.startswith(start):
            return sentence
    if head.startswith(b"RIFF"):
        return _VIDEO
    if head[257:262] == b"ustar":
        return mark("This is a TAR archive, not an image.")
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith((b"<svg", b"<?xml", b"<!--", b"<!doctype svg")) and b"<svg" in text:
        return mark("This is an SVG drawing, which cannot be imported.")
    if text.startswith((b"<!doctype html", b"<html")):
        return mark("This is a web page, not an image.")
    try:
        # The last character may be cut in the middle.
        head.decode("utf-8", errors="strict" if len(head) < 1024 else "ignore")
    except UnicodeDecodeError:
        return ""
    if not any(byte < 32 and byte not in b"\t\n\r\f\x1b" for byte in head):
        return mark("This is a text file, not an image.")
    return ""


def _find_raw_photo(file: BinaryIO, head: bytes) -> str:
    """Recognise a raw photo: a TIFF file whose first picture is only a thumbnail.

    Source: TIFF 6.0, section 2 (directory entries are tag, type, count and value, 12 bytes); Adobe
    DNG 1.6, tag 50706; TIFF/EP, tags 254 (NewSubfileType) and 330 (SubIFDs); Canon's CR2 has "CR"
    at byte 8.
    """
    if head[8:10] == b"CR":
        return _RAW_CANON
    if head[2:4] not in (b"*\0", b"\0*"):
        return ""  # BigTIFF: no camera writes it.
    order = "<" if head.startswith(b"II") else ">"
    tags: dict[int, int] = {}
    try:
        file.seek(struct.unpack(order + "I", head[4:8])[0])
        (count,) = struct.unpack(order + "H", file.read(2))
        for _ in range(count):
            entry = file.read(12)
            tag, kind = struct.unpack(order + "HH", entry[:4])
            is_short = kind == 3
            (tags[tag],) = struct.unpack(order + ("H2x" if is_short else "I"), entry[8:])
    except struct.error:
        return ""  # Cut short; the decoder will say so.
    if 50706 in tags:
        return mark("This is a raw photo (DNG), which cannot be imported.")
    if 330 in tags and tags.get(254, 0) & 1:
        return _RAW
    # Sony's and Nikon's own compressions, where the first picture is the raw one.
    if tags.get(259) in (32767, 34713):
        return _RAW
    return ""
