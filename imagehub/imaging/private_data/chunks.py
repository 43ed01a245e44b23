"""Look at PNG and WebP files, which consist of chunks.

Source: PNG Specification, third edition, sections 5 and 11; WebP Container Specification.
"""

import io
import re
import struct
import zlib
from collections.abc import Iterator

from imagehub.imaging.private_data.blanks import apply_blanks, merge_blanks
from imagehub.imaging.private_data.exif import look_at_tiff
from imagehub.imaging.private_data.iptc import look_at_iptc, look_at_photoshop
from imagehub.imaging.private_data.source import MAX_BLOCK_BYTES, Findings, Window
from imagehub.imaging.private_data.texts import classify_keyword, classify_text, decode_text
from imagehub.imaging.private_data.xmp import look_at_xmp
from imagehub.imaging.sources import CannotCleanError, FileSource

_MAX_CHUNKS = 5_000_000
_XMP_KEYWORD = b"XML:com.adobe.xmp"
_RAW_PROFILE = b"Raw profile type "
# Source: PNG Specification, third edition, section 11.3.3.1.
_KEPT = {
    b"Title": "png-title",
    b"Description": "png-caption",
    b"Author": "png-creator",
    b"Copyright": "png-copyright_notice",
}
_CREDITS = frozenset({b"Artist", b"Author", b"Copyright", b"Creator"})
# A chunk that every decoder ignores: ancillary, private, safe to copy.
_IGNORED = b"blNk"
PRIVATE_WORDS = re.compile(rb"gps|latitude|longitude|location|serial|ownername", re.IGNORECASE)
# Standard chunks without free text. Others are looked into.
_PICTURE_CHUNKS = frozenset(
    b"IHDR PLTE IDAT IEND cHRM cICP gAMA iCCP mDCV cLLI sBIT sRGB bKGD hIST tRNS pHYs sPLT tIME "
    b"acTL fcTL fdAT blNk oFFs sCAL sTER".split()
)

_WEBP_PICTURE_CHUNKS = frozenset({b"VP8 ", b"VP8L", b"VP8X", b"ALPH", b"ANIM", b"ANMF", b"ICCP"})


# --- PNG ------------------------------------------------------------------------------------------


def look_at_png(window: Window) -> None:
    """Look at a PNG file; the checksums of changed chunks are changed too."""
    at = 8
    for _ in range(_MAX_CHUNKS):
        head = window.read(at, 8)
        if len(head) < 8:
            raise CannotCleanError("a PNG without an end")
        size, kind = int.from_bytes(head[:4]), head[4:8]
        if at + 12 + size > window.size_bytes:
            raise CannotCleanError("a PNG that is cut short")
        if kind not in _PICTURE_CHUNKS:
            _look_at_chunk(window, at, size, kind)
        at += 12 + size
        if kind == b"IEND":
            blank_rest(window, at)
            return
    raise CannotCleanError("too many PNG chunks")


def _look_at_chunk(window: Window, at: int, size: int, kind: bytes) -> None:
    findings, content = window.findings, window.cut(at + 8, size)
    before = len(findings.blanks)
    if kind == b"eXIf":
        look_at_tiff(content)
    elif kind == b"iTXt" and (place := _find_plain_xmp(content)) is not None:
        look_at_xmp(content.cut(place, size - place))
    elif kind in (b"tEXt", b"zTXt", b"iTXt"):
        if kinds := _find_in_text(content, kind):
            findings.kinds |= kinds
            # Compressed text cannot be blanked within, so the chunk is replaced.
            window.put(at + 4, _IGNORED)
            content.blank(0, size)
            window.put(at + 8 + size, _make_zero_checksum(size))
        return
    elif PRIVATE_WORDS.search(content.read_all()):
        # Such as a C2PA manifest.
        findings.note("other")
        window.put(at + 4, _IGNORED)
        content.blank(0, size)
        window.put(at + 8 + size, _make_zero_checksum(size))
        return
    if len(findings.blanks) > before:
        blanks = merge_blanks(findings.blanks[before:])
        (offset, _), *_ = content.parts
        checksum = zlib.crc32(kind)
        for part in apply_blanks([content.read_all()], blanks, offset):
            checksum = zlib.crc32(part, checksum)
        window.put(at + 8 + size, struct.pack(">I", checksum))


def _make_zero_checksum(size: int) -> bytes:
    checksum, zeros = zlib.crc32(_IGNORED), bytes(65_536)
    while size > 0:
        checksum = zlib.crc32(zeros[:size], checksum)
        size -= len(zeros)
    return struct.pack(">I", checksum)


def _find_plain_xmp(content: Window) -> int | None:
    """Return where the packet begins in an ``iTXt`` chunk, unless it is compressed."""
    head = content.read(0, 200)
    if not head.startswith(_XMP_KEYWORD + b"\0\0\0"):
        return None
    # Keyword, two zeros for "not compressed", then language and translated keyword.
    language_end = head.find(b"\0", len(_XMP_KEYWORD) + 3)
    keyword_end = head.find(b"\0", language_end + 1)
    return keyword_end + 1 if 0 < language_end < keyword_end else None


def _find_in_text(content: Window, kind: bytes) -> set[str]:
    """Return the kinds of private data in a text chunk."""
    findings, data = content.findings, content.read_all()
    keyword, _, rest = data.partition(b"\0")
    if keyword in _KEPT and kind == b"tEXt":
        findings.keep(_KEPT[keyword], rest.decode("latin-1").encode())
    if kinds := classify_keyword(decode_text(keyword)):
        return kinds
    if kind == b"zTXt":
        text = _unpack(rest[1:], findings)
    elif kind == b"iTXt":
        parts = rest[2:].split(b"\0", 2)
        text = parts[2] if len(parts) == 3 else b""
        text = _unpack(text, findings) if rest[:1] == b"\1" else text
    else:
        text = rest
    if keyword == _XMP_KEYWORD:
        return _look_apart(text, "xmp", findings)
    if keyword.startswith(_RAW_PROFILE):
        # A line break, the name, the length, and the profile in hexadecimal digits.
        lines = text.strip().split(b"\n", 2)
        try:
            profile = bytes.fromhex(b"".join(lines[2].split()).decode("ascii"))
        except (ValueError, IndexError):
            return {"other"}
        name = keyword.removeprefix(_RAW_PROFILE).decode("latin-1")
        return _look_apart(profile, name, findings)
    return set() if keyword in _CREDITS else classify_text(decode_text(text))


def _unpack(data: bytes, findings: Findings) -> bytes:
    try:
        unpacker = zlib.decompressobj()
        text = unpacker.decompress(data, MAX_BLOCK_BYTES)
    except zlib.error:
        return b""
    if unpacker.unconsumed_tail:
        raise CannotCleanError("a text is too long")
    findings.count_read(len(text))
    return text


def _look_apart(data: bytes, kind: str, outer: Findings) -> set[str]:
    """Look at unpacked data, of which nothing can be blanked; return the kinds of private data."""
    findings = Findings(outer.left_bytes, packets=outer.packets)
    if kind in ("exif", "APP1") and data.startswith(b"Exif\0\0"):
        data = data[6:]
    elif kind == "APP1":
        data, kind = data[data.find(b"\0") + 1 :], "xmp"
    window = Window(FileSource(io.BytesIO(data)), findings, [(0, len(data))])
    if kind in ("exif", "APP1"):
        look_at_tiff(window)
    elif kind == "xmp":
        look_at_xmp(window)
    elif kind in ("iptc", "8bim"):
        is_photoshop = data.startswith(b"8BIM")
        look_at_photoshop(window, look_at_tiff) if is_photoshop else look_at_iptc(window)
    outer.left_bytes = findings.left_bytes
    return findings.kinds


# --- WebP -----------------------------------------------------------------------------------------


def look_at_webp(window: Window) -> None:
    """Look at a WebP file."""
    end = min(8 + int.from_bytes(window.read(4, 4), "little"), window.size_bytes)
    for kind, at, size in _iter_riff(window, end):
        content = window.cut(at, size)
        if kind == b"EXIF":
            # Some programs write the header that only JPEG needs.
            skip = 6 if content.read(0, 6) == b"Exif\0\0" else 0
            look_at_tiff(content.cut(skip, size - skip))
        elif kind == b"XMP ":
            look_at_xmp(content)
        elif kind not in _WEBP_PICTURE_CHUNKS and PRIVATE_WORDS.search(content.read_all()):
            window.findings.note("other")
            content.blank(0, size)
    blank_rest(window, end + end % 2)


def _iter_riff(window: Window, end: int) -> Iterator[tuple[bytes, int, int]]:
    at = 12
    for _ in range(_MAX_CHUNKS):
        head = window.read(at, 8)
        if at + 8 > end or len(head) < 8:
            return
        size = int.from_bytes(head[4:], "little")
        yield head[:4], at + 8, min(size, end - at - 8)
        at += 8 + size + size % 2
    raise CannotCleanError("too many WebP chunks")


def blank_rest(window: Window, at: int) -> None:
    """Blank what follows the end of a file's picture."""
    while at < window.size_bytes:
        data = window.read(at, 65_536)
        if data.strip(b"\0"):
            window.findings.note("other")
            window.blank(at, window.size_bytes - at)
            return
        at += len(data)
