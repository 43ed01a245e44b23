"""Write small videos from their bytes: right in structure, without a film that could be decoded.

Source: ISO/IEC 14496-12, 14496-14 and 14496-15; RFC 8794 and RFC 9559.
"""

import struct
from collections.abc import Sequence

# --- MP4 and QuickTime ----------------------------------------------------------------------------

UPRIGHT = (1, 0, 0, 1)
QUARTER_TURN = (0, 1, -1, 0)


def box(kind: bytes, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return struct.pack(">I4s", 8 + len(body), kind) + body


def long_box(kind: bytes, *parts: bytes) -> bytes:
    """Write a box with its size in 8 bytes, as cameras do for their content."""
    body = b"".join(parts)
    return struct.pack(">I4sQ", 1, kind, 16 + len(body)) + body


def full_box(kind: bytes, *parts: bytes, version: int = 0) -> bytes:
    return box(kind, bytes([version, 0, 0, 0]), *parts)


def make_entry(codec: bytes, sides: tuple[int, int], *parts: bytes) -> bytes:
    """Write the description of a codec for pictures."""
    width, height = sides
    return box(
        codec, bytes(6), b"\0\1", bytes(16), struct.pack(">HH", width, height), bytes(50), *parts
    )


def make_avc(profile: int = 100) -> bytes:
    return box(b"avcC", bytes([1, profile, 0, 40]), bytes(3))


def make_esds(object_type: int) -> bytes:
    config = bytes([4, 0x80, 0x80, 0x80, 13, object_type]) + bytes(12)
    return full_box(b"esds", bytes([3, 0x80, 0x80, 0x80, len(config) + 3, 0, 1, 0]) + config)


def make_table(samples: Sequence[tuple[int, int]]) -> bytes:
    """Write where samples are: (offset, size) of each, one in each chunk."""
    offsets = struct.pack(f">I{len(samples)}I", len(samples), *(at for at, _ in samples))
    sizes = struct.pack(f">II{len(samples)}I", 0, len(samples), *(size for _, size in samples))
    runs = struct.pack(">IIII", 1, 1, 1, 1)
    return full_box(b"stsc", runs) + full_box(b"stsz", sizes) + full_box(b"stco", offsets)


def make_track(
    handler: bytes = b"vide",
    codec: bytes = b"avc1",
    sides: tuple[int, int] = (640, 360),
    matrix: tuple[int, int, int, int] = UPRIGHT,
    entry: bytes = b"",
    samples: Sequence[tuple[int, int]] = (),
    more: bytes = b"",
    version: int = 0,
) -> bytes:
    """Write a track. ``entry``: stands for the description of the codec."""
    a, b, c, d = (side << 16 for side in matrix)
    wide, high = (side << 16 for side in sides)
    header = bytes(32 if version else 20) + bytes(16)
    header += struct.pack(">9iII", a, b, 0, c, d, 0, 0, 0, 1 << 30, wide, high)
    entry = entry or make_entry(codec, sides, make_avc() if codec == b"avc1" else b"")
    stbl = box(b"stbl", full_box(b"stsd", struct.pack(">I", 1), entry), make_table(samples))
    media = box(
        b"mdia",
        full_box(b"mdhd", struct.pack(">IIIII", 0, 0, 1000, 5000, 0)),
        full_box(b"hdlr", bytes(4), handler, bytes(13)),
        box(b"minf", stbl),
    )
    return box(b"trak", full_box(b"tkhd", header, version=version), media, more)


SOUND = make_track(b"soun", entry=box(b"mp4a", bytes(28)))


def make_header(duration: int = 42_000, scale: int = 1000, *, is_long: bool = False) -> bytes:
    if is_long:
        times = struct.pack(">QQIQ", 0, 0, scale, duration)
    else:
        times = struct.pack(">IIII", 0, 0, scale, duration)
    return full_box(b"mvhd", times, bytes(80), version=int(is_long))


def make_brand(major: bytes = b"isom", *others: bytes) -> bytes:
    return box(b"ftyp", major, bytes(4), *others)


def make_mp4(
    tracks: Sequence[bytes] = (make_track(), SOUND),
    *,
    brand: bytes = b"isom",
    header: bytes = b"",
    content: bytes = b"film",
    more: bytes = b"",
    is_last: bool = False,
) -> bytes:
    """Write a film.

    :param more: further boxes of ``moov``.
    :param is_last: ``moov`` stands behind the content, as cameras write it.
    """
    movie = box(b"moov", header or make_header(), *tracks, more)
    parts = (box(b"mdat", content), movie)
    return make_brand(brand, b"mp42") + b"".join(parts if is_last else reversed(parts))


def make_place(text: bytes = b"+48.8584+002.2945/") -> bytes:
    """Write the place of a film as phones do."""
    return box(b"udta", box(b"\xa9xyz", struct.pack(">HH", len(text), 0x15C7), text))


def make_apple_values(values: dict[str, str]) -> bytes:
    """Write named values as iPhones do."""
    keys = b"".join(struct.pack(">I4s", 8 + len(name), b"mdta") + name.encode() for name in values)
    items = b"".join(
        box(struct.pack(">I", number), box(b"data", struct.pack(">II", 1, 0), value.encode()))
        for number, value in enumerate(values.values(), start=1)
    )
    return box(
        b"meta",
        full_box(b"hdlr", bytes(4), b"mdta", bytes(13)),
        full_box(b"keys", struct.pack(">I", len(values)), keys),
        box(b"ilst", items),
    )


# --- WebM -----------------------------------------------------------------------------------------

OPEN = b"\x01\xff\xff\xff\xff\xff\xff\xff"


def element(kind: int, *parts: bytes, size: bytes = b"") -> bytes:
    body = b"".join(parts)
    size = size or (1 << 56 | len(body)).to_bytes(8)
    return kind.to_bytes((kind.bit_length() + 7) // 8) + size + body


def number(kind: int, value: int) -> bytes:
    return element(kind, value.to_bytes(max(1, (value.bit_length() + 7) // 8)))


def make_webm_track(
    codec: str = "V_VP9", sides: tuple[int, int] = (640, 360), kind: int = 1, more: bytes = b""
) -> bytes:
    parts = number(0x83, kind) + element(0x86, codec.encode()) + more
    if kind == 1:
        parts += element(0xE0, number(0xB0, sides[0]), number(0xBA, sides[1]))
    return element(0xAE, parts)


WEBM_SOUND = make_webm_track("A_OPUS", kind=2)


def make_tags(**values: str) -> bytes:
    inside = b"".join(
        element(0x67C8, element(0x45A3, name.encode()), element(0x4487, value.encode()))
        for name, value in values.items()
    )
    return element(0x1254C367, element(0x7373, inside))


def make_webm(
    tracks: Sequence[bytes] = (make_webm_track(), WEBM_SOUND),
    *,
    doc_type: str = "webm",
    duration: float | None = 42_000.0,
    content: bytes = b"film",
    tags: bytes = b"",
    has_list: bool = True,
    is_live: bool = False,
) -> bytes:
    """Write a film.

    :param tags: behind the content.
    :param has_list: the file says at its beginning where its parts are.
    :param is_live: made while it was sent: no part has an end.
    """
    head = element(0x1A45DFA3, element(0x4282, doc_type.encode()))
    length = b"" if duration is None else element(0x4489, struct.pack(">d", duration))
    info = element(0x1549A966, number(0x2AD7B1, 1_000_000), length)
    described = info + element(0x1654AE6B, *tracks)
    cluster = element(0x1F43B675, element(0xA3, content), size=OPEN if is_live else b"")
    listed = b""
    if has_list and not is_live:

        def write_list(place: int) -> bytes:
            seek = element(0x53AB, b"\x12\x54\xc3\x67"), element(0x53AC, place.to_bytes(4))
            return element(0x114D9B74, element(0x4DBB, *seek))

        listed = write_list(len(write_list(0)) + len(described) + len(cluster)) if tags else b""
    body = listed + described + cluster + tags
    return head + element(0x18538067, body, size=OPEN if is_live else b"")
