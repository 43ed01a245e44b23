"""Decode the pictures of the first version: base64 in a ``data:`` text.

The text says ``image/png`` whatever the picture is, so its type is not read.
"""

import binascii
import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import BinaryIO

from imagehub.clients import DriveItem
from imagehub.clients.graph_bytes import QuickXorHash
from imagehub.errors import ImageHubError

_HEAD = re.compile(rb"\s*data:([^,]*),", re.IGNORECASE)
_MAX_HEAD_CHARS = 200
_PART_BYTES = 327_680
_BLANKS = b" \t\r\n\0"


class RowError(ImageHubError):
    """This row cannot be brought over; the sentence, for the terminal, says why."""


@dataclass(frozen=True)
class Content:
    """Size and hashes of a picture's bytes, as OneDrive may list them."""

    size_bytes: int
    sha256: str
    sha1: str
    quick_xor_hash: str

    def is_of(self, item: DriveItem) -> bool | None:
        """Tell whether a file has these bytes; None if OneDrive lists too little to tell."""
        return self.compare(*list_hashes(item), item.size_bytes)

    def compare(self, quick_xor_hash: str, sha256: str, sha1: str, size_bytes: int) -> bool | None:
        """Compare with listed hashes, "" for those that are not listed."""
        for mine, listed in (
            (self.quick_xor_hash, quick_xor_hash),
            (self.sha256, sha256),
            (self.sha1, sha1),
        ):
            if mine and listed:
                return mine == listed
        return False if size_bytes and size_bytes != self.size_bytes else None


def list_hashes(item: DriveItem) -> tuple[str, str, str]:
    """Return quickXorHash, SHA-256 and SHA-1 as OneDrive lists them, in lower case hexadecimal."""
    file = item.raw.get("file")
    hashes = file.get("hashes") if isinstance(file, dict) else None
    found = hashes if isinstance(hashes, dict) else {}
    sha256, sha1 = (str(found.get(name) or "").lower() for name in ("sha256Hash", "sha1Hash"))
    return item.quick_xor_hash, sha256, sha1


def write_picture(pieces: Iterable[bytes], file: BinaryIO, max_bytes: int) -> Content:
    """Decode a picture into an empty file, piece by piece.

    :raise RowError: there is none, it is not base64, or it is larger than ``max_bytes``.
    """
    quick_xor, sha256, sha1 = QuickXorHash(), hashlib.sha256(), hashlib.sha1(usedforsecurity=False)
    rest, is_first, is_over = b"", True, False
    for piece in pieces:
        if is_first:
            piece = _cut_head(piece)
            is_first = False
        piece = rest + piece.translate(None, _BLANKS)
        size = len(piece) // 4 * 4
        piece, rest = piece[:size], piece[size:]
        if piece and is_over:
            raise RowError("The picture’s text goes on after its end.")
        is_over = piece.endswith(b"=")
        data = _decode(piece)
        del piece
        if quick_xor.size_bytes + len(data) > max_bytes:
            raise RowError("The picture is larger than IMAGEHUB_MAX_ORIGINAL_BYTES.")
        # Small parts, because the first hash needs as much memory as the largest.
        for at in range(0, len(data), _PART_BYTES):
            for digest in (quick_xor, sha256, sha1):
                digest.update(data[at : at + _PART_BYTES])
        file.write(data)
    if rest:
        # Some programs leave out the padding.
        data = _decode(rest + b"=" * (-len(rest) % 4))
        for digest in (quick_xor, sha256, sha1):
            digest.update(data)
        file.write(data)
    file.flush()
    if not quick_xor.size_bytes:
        raise RowError("The row has no full picture.")
    return Content(quick_xor.size_bytes, sha256.hexdigest(), sha1.hexdigest(), quick_xor.base64())


def _cut_head(piece: bytes) -> bytes:
    """Remove ``data:image/png;base64,``; a text without it is base64 from its start."""
    found = _HEAD.match(piece[:_MAX_HEAD_CHARS])
    if found is None:
        if piece[:20].lstrip().lower().startswith(b"data:"):
            raise RowError("The picture’s text begins in an unknown way.")
        return piece
    if not found[1].lower().rstrip().endswith(b";base64"):
        raise RowError("The picture’s text is not base64.")
    return piece[found.end() :]


def _decode(text: bytes) -> bytes:
    try:
        return binascii.a2b_base64(text, strict_mode=True)
    except binascii.Error:
        raise RowError("The picture’s text is not valid base64.") from None
