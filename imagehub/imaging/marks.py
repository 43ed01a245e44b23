"""What is drawn or written into renditions: a watermark, and who made the work.

Nothing here loads Pillow; ``imaging.watermark`` draws.
"""

import hashlib
import json
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from html import escape

PLACES = ("bottom-right", "bottom-left", "top-right", "top-left", "center", "tiled")
# Longest side of the picture of a watermark, as it is stored.
PICTURE_PX = 800
MAX_PICTURE_BYTES = 600_000


@dataclass(frozen=True)
class Mark:
    """A watermark.

    :param text: what is written; "" if it is a picture.
    :param picture: PNG, at most ``PICTURE_PX`` wide and high.
    :param place: one of ``PLACES``.
    :param strength_percent: 5 (hardly visible) to 100 (opaque).
    :param from_px: smallest size of renditions that has it.
    """

    text: str
    picture: bytes = field(default=b"", repr=False)
    place: str = "bottom-right"
    strength_percent: int = 40
    from_px: int = 480

    def describe(self) -> dict[str, str | int]:
        """Return it for a frame, without the picture."""
        return {
            "text": self.text,
            "place": self.place,
            "strength_percent": self.strength_percent,
            "from_px": self.from_px,
        }

    @property
    def digest(self) -> str:
        """Return what is different for each watermark, in 16 digits."""
        data = json.dumps(self.describe(), sort_keys=True).encode() + self.picture
        return hashlib.sha256(data).hexdigest()[:16]


def make_rendition_key(data: bytes, mime: str) -> str:
    """Return the key of a rendition in object storage; equal bytes have equal keys."""
    digest = hashlib.sha256(data).hexdigest()
    extension = mime.removeprefix("image/")
    return f"renditions/{digest[:2]}/{digest[2:4]}/{digest}.{extension}"


# --- XMP ------------------------------------------------------------------------------------------


def make_xmp(credits: Mapping[str, str]) -> bytes:
    """Return a packet that says who made a work, as small as can be; b"" for nothing.

    Source: IPTC Photo Metadata Standard 2023.1 and the PLUS License Data Format; these are the
    fields that Google reads.

    :param credits: ``creator``, ``copyright_notice``, ``credit_line``, ``license_url`` and
        ``license_page_url``; "" for what is not known.
    """
    parts = []
    names = {
        "dc": "http://purl.org/dc/elements/1.1/",
        "photoshop": "http://ns.adobe.com/photoshop/1.0/",
        "xmpRights": "http://ns.adobe.com/xap/1.0/rights/",
        "plus": "http://ns.useplus.org/ldf/xmp/1.0/",
    }
    used = set()

    def add(prefix: str, xml: str) -> None:
        used.add(prefix)
        parts.append(xml)

    if creator := credits.get("creator"):
        text = escape(creator)
        add("dc", f"<dc:creator><rdf:Seq><rdf:li>{text}</rdf:li></rdf:Seq></dc:creator>")
    if notice := credits.get("copyright_notice"):
        entry = f'<rdf:li xml:lang="x-default">{escape(notice)}</rdf:li>'
        add("dc", f"<dc:rights><rdf:Alt>{entry}</rdf:Alt></dc:rights>")
    line = credits.get("credit_line", "")
    if line and line != creator:
        add("photoshop", f"<photoshop:Credit>{escape(line)}</photoshop:Credit>")
    if terms := credits.get("license_url"):
        add("xmpRights", f"<xmpRights:WebStatement>{escape(terms)}</xmpRights:WebStatement>")
    if page := credits.get("license_page_url"):
        # Without white space, as programs read it.
        entry = f'<rdf:li rdf:parseType="Resource"><plus:LicensorURL>{escape(page)}'
        entry += "</plus:LicensorURL></rdf:li>"
        add("plus", f"<plus:Licensor><rdf:Seq>{entry}</rdf:Seq></plus:Licensor>")
    if not parts:
        return b""
    spaces = "".join(f' xmlns:{one}="{names[one]}"' for one in names if one in used)
    return (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/">'
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        f'<rdf:Description rdf:about=""{spaces}>{"".join(parts)}</rdf:Description>'
        "</rdf:RDF></x:xmpmeta>"
    ).encode()


# --- WebP -----------------------------------------------------------------------------------------

_XMP_FLAG, _ALPHA_FLAG = 0x04, 0x10


def set_xmp(data: bytes, width_px: int, height_px: int, xmp: bytes) -> bytes:
    """Return a WebP file of ours with another packet; b"" removes it. Pixels stay as they are.

    Source: WebP Container Specification, "Extended File Format".

    :raise ValueError: not a WebP file.
    """
    chunks = [chunk for chunk in _iter_chunks(data) if chunk[0] != b"XMP "]
    head = next((content for kind, content in chunks if kind == b"VP8X"), None)
    kinds = {kind for kind, _ in chunks}
    if head is None:
        if not xmp:
            return data
        flags = _ALPHA_FLAG if _has_alpha(chunks) else 0
        size = (width_px - 1).to_bytes(3, "little") + (height_px - 1).to_bytes(3, "little")
        head = bytes((flags, 0, 0, 0)) + size
    chunks = [chunk for chunk in chunks if chunk[0] != b"VP8X"]
    flags = (head[0] | _XMP_FLAG) if xmp else (head[0] & ~_XMP_FLAG)
    # Only the pixels: the simple format is enough, and smaller.
    if xmp or kinds - {b"VP8X", b"VP8 ", b"VP8L"}:
        chunks.insert(0, (b"VP8X", bytes((flags,)) + head[1:]))
    if xmp:
        chunks.append((b"XMP ", xmp))
    body = b"WEBP" + b"".join(
        kind + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)
        for kind, content in chunks
    )
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _has_alpha(chunks: list[tuple[bytes, bytes]]) -> bool:
    for kind, content in chunks:
        if kind == b"VP8L" and len(content) >= 5:
            # 14 bits for each side, then one for alpha, after a byte of signature.
            return bool(int.from_bytes(content[1:5], "little") >> 28 & 1)
    return False


def _iter_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    if data[:4] != b"RIFF" or data[8:12] != b"WEBP":
        raise ValueError("not a WebP file")
    at = 12
    while at + 8 <= len(data):
        size = int.from_bytes(data[at + 4 : at + 8], "little")
        yield data[at : at + 4], data[at + 8 : at + 8 + size]
        at += 8 + size + size % 2
