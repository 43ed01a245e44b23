"""Find private fields in IPTC records and in Photoshop's image resources.

Source: IPTC-NAA Information Interchange Model 4.2, chapters 3 and 6; Adobe Photoshop File Formats
Specification, Image Resources.
"""

import hashlib
import re
import struct
from collections.abc import Callable, Iterator

from imagehub.imaging.private_data.blanks import apply_blanks, merge_blanks
from imagehub.imaging.private_data.source import Window
from imagehub.imaging.private_data.texts import classify_text, decode_text
from imagehub.imaging.private_data.xmp import look_at_xmp
from imagehub.imaging.sources import CannotCleanError

_MAX_FIELDS = 20_000
# Fields of record 2.
_PRIVATE = {
    26: "place",  # Content Location Code
    27: "place",  # Content Location Name
    90: "place",  # City
    92: "place",  # Sublocation
    95: "place",  # Province/State
    100: "place",  # Country Code
    101: "place",  # Country Name
    118: "person",  # Contact
}
# Title, Keywords, Special Instructions, Headline and Caption.
_TEXTS = frozenset({5, 25, 40, 105, 120})
_IPTC, _EXIF, _XMP, _IPTC_DIGEST = 1028, 1058, 1060, 1061
# Smart objects, and files in them.
_EMBEDDED = re.compile(rb"8B(?:IM|64)lnk|Exif\0\0(?:II|MM)|<x:xmpmeta")
_SIGNATURES = frozenset({b"8BIM", b"MeSa", b"AgHg", b"PHUT", b"DCSR"})


def look_at_iptc(window: Window) -> None:
    """Blank private fields of IPTC records with spaces."""
    data = window.read_all()
    window.findings.keep("iptc", data)
    at = 0
    for _ in range(_MAX_FIELDS):
        if at + 5 > len(data) or data[at] != 0x1C:
            rest = data[at:].strip(b"\0 ")
            if rest and at == 0:
                # Some programs swap the bytes of these records, so that they cannot be read.
                window.blank(0, len(data))
                window.findings.note("place")
            return
        record, field, size = data[at + 1], data[at + 2], int.from_bytes(data[at + 3 : at + 5])
        at += 5
        if size & 0x8000:
            length_bytes = size & 0x7FFF
            if length_bytes > 4:
                raise CannotCleanError("an IPTC field is too long")
            size = int.from_bytes(data[at : at + length_bytes])
            at += length_bytes
        if record == 2 and field in _PRIVATE and data[at : at + size].strip(b"\0 "):
            window.findings.note(_PRIVATE[field])
            window.blank(at, size, 0x20)
        elif (
            record == 2
            and field in _TEXTS
            and (kinds := classify_text(decode_text(data[at : at + size])))
        ):
            window.findings.kinds |= kinds
            window.blank(at, size, 0x20)
        at += size
    raise CannotCleanError("too many IPTC fields")


def look_at_photoshop(window: Window, look_at_exif: Callable[[Window], None]) -> None:
    """Look at the IPTC, Exif and XMP that Photoshop keeps in its resources.

    :param look_at_exif: ``exif.look_at_tiff``, which calls this function for TIFF files.
    """
    # A file may have several with the same id, and programs differ in which they read.
    resources = list(_iter_resources(window))
    digest = dict(resources).get(_IPTC_DIGEST)
    if digest is not None:
        window.findings.keep("iptc-digest", window.cut(*digest).read(0, 16))
    for number, place in resources:
        content = window.cut(*place)
        if number == _IPTC:
            before = len(window.findings.blanks)
            look_at_iptc(content)
            if len(window.findings.blanks) > before and digest is not None:
                _update_digest(content, before, window.cut(*digest))
                digest = None
        elif number == _EXIF:
            look_at_exif(content)
        elif number == _XMP:
            look_at_xmp(content)


def look_at_psd(window: Window, look_at_exif: Callable[[Window], None]) -> None:
    """Look at a Photoshop document; one with whole files in its layers cannot be cleaned."""
    at = 26
    at += 4 + int.from_bytes(window.read(at, 4))
    size = int.from_bytes(window.read(at, 4))
    if at + 4 + size > window.size_bytes:
        raise CannotCleanError("a Photoshop document that is cut short")
    look_at_photoshop(window.cut(at + 4, size), look_at_exif)
    at += 4 + size
    while at < window.size_bytes:
        # Pieces overlap, so that no word is missed where they meet.
        if _EMBEDDED.search(window.read(at, 1_048_576)):
            window.findings.note("other")
            window.findings.is_fixed = True
            return
        at += 1_048_560


def _iter_resources(window: Window) -> Iterator[tuple[int, tuple[int, int]]]:
    """Yield the id of each resource with offset and length of its data."""
    at = 0
    for _ in range(_MAX_FIELDS):
        head = window.read(at, 7)
        if len(head) < 7 or head[:4] not in _SIGNATURES:
            return
        name_bytes = 1 + head[6]
        at += 6 + name_bytes + name_bytes % 2
        length = window.read(at, 4)
        if len(length) < 4:
            return
        (size,) = struct.unpack(">I", length)
        yield int.from_bytes(head[4:6]), (at + 4, size)
        at += 4 + size + size % 2
    raise CannotCleanError("too many image resources")


def _update_digest(iptc: Window, before: int, digest: Window) -> None:
    """Keep the MD5 by which programs notice that others have changed the IPTC records."""
    if digest.size_bytes != 16:
        return
    blanks = merge_blanks(iptc.findings.blanks[before:])
    data = b"".join(
        part
        for at, size in iptc.parts
        for part in apply_blanks([iptc.source.read(at, size)], blanks, at)
    )
    digest.put(0, hashlib.md5(data, usedforsecurity=False).digest())
