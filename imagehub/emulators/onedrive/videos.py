"""What the service lists about videos, found by searching the file for its headers.

Source: Microsoft Graph v1.0, resource type "video"; ISO/IEC 14496-12, mvhd and tkhd; RFC 9559,
Duration.
"""

import mmap
import struct
from pathlib import Path
from typing import Any

_ENDINGS = frozenset((".m4v", ".mov", ".mp4", ".webm"))
_CODECS = (b"avc1", b"hvc1", b"hev1", b"vp09", b"av01", b"apch", b"mp4v")
_SOUNDS = ((b"mp4a", "aac"), (b"A_OPUS", "opus"))


def is_video_name(name: str) -> bool:
    return "." + name.rpartition(".")[2].lower() in _ENDINGS


def read_video_facet(path: Path) -> dict[str, Any]:
    """Return the facet ``video`` of a file; {} if nothing is found out."""
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            facet = _read_webm(data) if data[:4] == b"\x1aE\xdf\xa3" else _read_mp4(data)
            return {"video": {**facet, "bitrate": 0, "frameRate": 0.0}} if facet else {}
    except (OSError, ValueError, struct.error):
        return {}


def _read_mp4(data: mmap.mmap) -> dict[str, Any]:
    at = data.find(b"mvhd")
    if at < 0:
        return {}
    is_long = data[at + 4] == 1
    scale, duration = struct.unpack_from(
        ">IQ" if is_long else ">II", data, at + (24 if is_long else 16)
    )
    facet: dict[str, Any] = {"duration": duration * 1000 // scale if scale else 0}
    facet["fourCC"] = next((one.decode() for one in _CODECS if data.find(one) >= 0), "")
    track = data.find(b"tkhd")
    while track >= 0:
        sides = track + (92 if data[track + 4] == 1 else 80)
        width, height = struct.unpack_from(">II", data, sides)
        if width and height:
            facet |= {"width": width >> 16, "height": height >> 16}
            break
        track = data.find(b"tkhd", track + 4)
    return _add_sound(facet, data)


def _read_webm(data: mmap.mmap) -> dict[str, Any]:
    facet: dict[str, Any] = {"duration": 0, "fourCC": "VP90"}
    at = data.find(b"\x44\x89", 0, 4096)
    if at >= 0:
        size = data[at + 2] & 0x7F
        start = at + 3 if size in (4, 8) else at + 10
        is_double = size == 8 or data[at + 9] == 8
        (length,) = struct.unpack_from(">d" if is_double else ">f", data, start)
        facet["duration"] = int(length)
    return _add_sound(facet, data)


def _add_sound(facet: dict[str, Any], data: mmap.mmap) -> dict[str, Any]:
    for mark, name in _SOUNDS:
        if data.find(mark) >= 0:
            return {**facet, "audioFormat": name, "audioChannels": 2}
    return facet
