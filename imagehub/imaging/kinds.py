"""Which kind of picture a file is, told by its first bytes and never by its name."""

import struct
from typing import BinaryIO

from imagehub.errors import UnreadablePictureError

# A larger picture is not decoded.
MAX_PIXELS = 250_000_000

_MIMES = {
    "JPEG": "image/jpeg",
    "PNG": "image/png",
    "WEBP": "image/webp",
    "GIF": "image/gif",
    "TIFF": "image/tiff",
    "BMP": "image/bmp",
    "AVIF": "image/avif",
    "HEIC": "image/heic",
    "HEIF": "image/heif",
}
_HEIC_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"}
_STRANGERS: tuple[tuple[bytes, str], ...] = (
    (b"%PDF", "a PDF document"),
    (b"%!PS", "a PostScript drawing"),
    (b"8BPS", "a Photoshop document"),
    (b"PK\x03\x04", "a ZIP archive or an office document"),
    (b"\xd0\xcf\x11\xe0", "an old office document"),
    (b"Rar!", "a RAR archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (b"\x1f\x8b", "a compressed archive"),
    (b"\x1aE\xdf\xa3", "a video (Matroska or WebM)"),
    (b"FLV\x01", "a video (Flash)"),
    (b"OggS", "a sound or video (Ogg)"),
    (b"ID3", "a sound (MP3)"),
    (b"\x00\x00\x01\xba", "a video (MPEG)"),
    (b"\x00\x00\x01\xb3", "a video (MPEG)"),
    (b"\x00\x00\x00\x0cjP  ", "a JPEG 2000 picture"),
    (b"\xffO\xffQ", "a JPEG 2000 picture"),
    (b"\x00\x00\x00\x0cJXL ", "a JPEG XL picture"),
    (b"\xff\x0a", "a JPEG XL picture"),
    (b"\x00\x00\x01\x00", "an icon file"),
    (b"FUJIFILMCCD-RAW", "a raw photo (Fujifilm)"),
    (b"IIRO", "a raw photo (Olympus)"),
    (b"IIRS", "a raw photo (Olympus)"),
    (b"MMOR", "a raw photo (Olympus)"),
    (b"IIU\x00", "a raw photo (Panasonic)"),
    (b"FOVb", "a raw photo (Sigma)"),
    (b"v/1\x01", "an OpenEXR picture"),
    (b"gimp xcf", "a GIMP document"),
    (b"\x7fELF", "a program"),
    (b"MZ", "a program"),
)


def recognize(file: BinaryIO) -> tuple[str, str]:
    """Tell by its content what a file is; its name is never looked at.

    :param file: at position 0; left anywhere.
    :return: (format, MIME type), such as ("JPEG", "image/jpeg").
    :raise UnreadablePictureError: none of the known formats; the sentence says what it seems to be.
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
    elif head.startswith(b"BM") and head[6:10] == b"\0\0\0\0":
        found = "BMP"
    elif head.startswith((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")):
        raw = _find_raw_kind(file, head)
        if raw:
            raise _refuse(raw)
        found = "TIFF"
    elif head[4:8] == b"ftyp":
        found = _recognize_box_file(head)
    if not found:
        raise _refuse(_guess_stranger(head))
    return found, _MIMES[found]


def _refuse(what: str) -> UnreadablePictureError:
    if not what:
        return UnreadablePictureError("This file is not a picture of a kind that is known here.")
    return UnreadablePictureError(f"This file is not a picture that can be shown: it is {what}.")


def _recognize_box_file(head: bytes) -> str:
    """HEIF, AVIF, and the videos that share their container: the brands tell them apart."""
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
        raise _refuse("a raw photo (Canon)")
    raise _refuse("a video or sound")


def _guess_stranger(head: bytes) -> str:
    for start, what in _STRANGERS:
        if head.startswith(start):
            return what
    if head.startswith(b"RIFF"):
        return "a video or sound"
    if head[257:262] == b"ustar":
        return "a TAR archive"
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith((b"<svg", b"<?xml", b"<!--", b"<!doctype svg")) and b"<svg" in text:
        return "an SVG drawing"
    if text.startswith((b"<!doctype html", b"<html")):
        return "a web page"
    try:
        # The last character may be cut in the middle.
        head.decode("utf-8", errors="strict" if len(head) < 1024 else "ignore")
    except UnicodeDecodeError:
        return ""
    if not any(byte < 32 and byte not in b"\t\n\r\f\x1b" for byte in head):
        return "a text"
    return ""


def _find_raw_kind(file: BinaryIO, head: bytes) -> str:
    """Raw photos are TIFF files whose first picture is only a thumbnail; name the maker's kind.

    Source: TIFF 6.0, section 2 (directory entries are tag, type, count and value, 12 bytes); Adobe
    DNG 1.6, tag 50706; TIFF/EP, tags 254 (NewSubfileType) and 330 (SubIFDs); Canon's CR2 has "CR"
    at byte 8.
    """
    if head[8:10] == b"CR":
        return "a raw photo (Canon)"
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
        return "a raw photo (DNG)"
    if 330 in tags and tags.get(254, 0) & 1:
        return "a raw photo"
    # Sony's and Nikon's own compressions, where the first picture is the raw one.
    if tags.get(259) in (32767, 34713):
        return "a raw photo"
    return ""
