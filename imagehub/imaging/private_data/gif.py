"""Look at GIF files.

Source: GIF89a Specification; XMP Specification part 3, 1.1.2.
"""

from collections.abc import Iterator

from imagehub.imaging.private_data.chunks import PRIVATE_WORDS, blank_rest
from imagehub.imaging.private_data.source import Window
from imagehub.imaging.private_data.texts import classify_text, decode_text
from imagehub.imaging.private_data.xmp import look_at_xmp
from imagehub.imaging.sources import CannotCleanError

_MAX_BLOCKS = 5_000_000
_PLAIN_TEXT, _COMMENT, _APPLICATION = b"\x01", b"\xfe", b"\xff"
_XMP = b"XMP DataXMP"
# The packet of XMP is not divided into blocks: a decoder takes its letters for lengths. From
# wherever it lands in these bytes, they lead it to the end.
_TRAILER = b"\1" + bytes(range(255, -1, -1)) + b"\0"
# Of the program that an extension belongs to; these hold nothing but numbers.
_HARMLESS = (b"NETSCAPE2.0", b"ANIMEXTS1.0", b"ICCRGBG1012")


def look_at_gif(window: Window) -> None:
    """Look at the XMP, the application data and the comments of a GIF file."""
    at = 13 + _count_palette(window.read(10, 1))
    for _ in range(_MAX_BLOCKS):
        kind = window.read(at, 2)
        if kind[:1] == b"\x3b":
            blank_rest(window, at + 1)
            return
        if kind[:1] == b"\x2c":
            at += 11 + _count_palette(window.read(at + 9, 1))
            at = _skip_blocks(window, at)
        elif kind[:1] == b"\x21":
            at = _look_at_extension(window, at + 2, kind[1:])
        else:
            raise CannotCleanError("broken GIF blocks")
    raise CannotCleanError("too many GIF blocks")


def _look_at_extension(window: Window, at: int, kind: bytes) -> int:
    """Look at an extension whose first block is at ``at``; return where it ends.

    Only bytes inside of blocks are replaced, none of their lengths.
    """
    end = _skip_blocks(window, at)
    if kind in (_COMMENT, _PLAIN_TEXT):
        # The first block of plain text says where it stands in the picture.
        content = _join_blocks(window, at if kind == _COMMENT else at + 13)
        if kinds := classify_text(decode_text(content.read_all())):
            window.findings.kinds |= kinds
            content.blank(0, content.size_bytes, 0x20)
    elif kind == _APPLICATION:
        name, start = window.read(at + 1, 11), at + 12
        packet_end = end - len(_TRAILER)
        if name == _XMP and window.read(packet_end, len(_TRAILER)) == _TRAILER:
            look_at_xmp(window.cut(start, packet_end - start))
        elif name == _XMP:
            # Some programs divide the packet.
            look_at_xmp(_join_blocks(window, start))
        elif name not in _HARMLESS:
            content = _join_blocks(window, start)
            if PRIVATE_WORDS.search(content.read_all()):
                window.findings.note("other")
                content.blank(0, content.size_bytes)
    return end


def _count_palette(flags: bytes) -> int:
    return 3 << ((flags[0] & 7) + 1) if flags and flags[0] & 0x80 else 0


def _skip_blocks(window: Window, at: int) -> int:
    for start, size in _iter_blocks(window, at):
        at = start + size
    return at + 1


def _join_blocks(window: Window, at: int) -> Window:
    """Return a window on the contents of blocks, without their lengths."""
    parts = [part for block in _iter_blocks(window, at) for part in window.cut(*block).parts]
    return Window(window.source, window.findings, parts)


def _iter_blocks(window: Window, at: int) -> Iterator[tuple[int, int]]:
    """Yield where the content of each block is, and its size."""
    for _ in range(_MAX_BLOCKS):
        size = window.read(at, 1)
        if not size:
            raise CannotCleanError("a GIF that is cut short")
        if not size[0]:
            return
        yield at + 1, size[0]
        at += 1 + size[0]
    raise CannotCleanError("too many GIF blocks")
