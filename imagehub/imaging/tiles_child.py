"""Make the tiles of one picture for :class:`imagehub.imaging.tiles.TileMaker`, in its own process.

libvips reads JPEG, PNG, WebP and TIFF from top to bottom, so that only a few rows are in memory;
what it cannot read by the rules of the renditions is decoded as for these, if memory suffices. It
writes the tiles as a ZIP stream, from which they are taken one by one.
"""

import os
import re
import struct
import sys
import tempfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyvips
from PIL import JpegImagePlugin

from imagehub.errors import PictureTooLargeError, UnreadablePictureError
from imagehub.imaging.child import describe_failure, limit_memory, open_pipes, read_status
from imagehub.imaging.colour import find_profile_to_apply, make_srgb_profile
from imagehub.imaging.decode import plain_errors
from imagehub.imaging.metadata import read_orientation
from imagehub.imaging.pool import Frame, read_frame, write_frame
from imagehub.imaging.render import OpenedPicture, RenderOptions, RenditionSpec
from imagehub.imaging.tiles import EFFORT, QUALITY, TILE_PX
from imagehub.messages import mark

# What a decoder may hold of a picture that is read from top to bottom.
_MAX_STREAM_BYTES = 320_000_000
# What a picture that is decoded as a whole may take.
_MAX_WHOLE_BYTES = 1_000_000_000
_NEEDS_TOO_MUCH = mark("Making tiles of this file takes more memory than is allowed.")
_STREAMED_MODES = {
    "JPEG": ("L", "RGB", "CMYK"),
    "PNG": ("1", "L", "LA", "P", "RGB", "RGBA", "I;16", "I;16B"),
    "WEBP": ("RGB", "RGBA"),
    "TIFF": ("L", "RGB", "CMYK", "I;16", "I;16B"),
}
# Source: Exif 2.32, tag 0x0112. The values are names of operations of libvips.
_TURNS = {
    2: ("fliphor",),
    3: ("rot180",),
    4: ("flipver",),
    5: ("rot90", "fliphor"),
    6: ("rot90",),
    7: ("rot270", "fliphor"),
    8: ("rot270",),
}


def run_child(parent: int) -> None:
    """Receive one picture, answer with its tiles, and end.

    :param parent: process id of the parent.
    """
    source, target = open_pipes(parent)
    task = read_frame(source.read)[0]
    limit_memory(task["memory_limit_bytes"])
    try:
        _make_tiles(task, lambda message, blobs: write_frame(target, message, blobs))
        answer: Frame = {"kind": "end"}
    except Exception as error:
        answer = describe_failure(error, _NEEDS_TOO_MUCH)
    write_frame(target, {**answer, "peak_bytes": read_status("VmHWM")}, [])
    sys.exit(0)


def _make_tiles(task: Frame, send: Callable[[Frame, list[bytes]], None]) -> None:
    # Of one size that is never smaller than the picture, so that nothing is planned to be shrunk.
    options = RenderOptions(
        specs=(RenditionSpec(1 << 30, QUALITY),),
        max_pixels=task["max_pixels"],
        max_file_bytes=task["max_file_bytes"],
        max_memory_bytes=1 << 62,
    )
    with open(task["path"], "rb") as file:
        opened = OpenedPicture(file, options)
        if _is_streamed(opened):
            image = _open_stream(task["path"], opened, Path(task["folder"]))
        else:
            image = _decode_whole(opened)
    send(
        {
            "kind": "picture",
            "width": image.width,
            "height": image.height,
            "count": count_tiles(image.width, image.height),
        },
        [],
    )
    reader = ZipReader(lambda name, data: send({"kind": "tile", "name": name}, [data]))
    target = pyvips.TargetCustom()
    target.on_write(reader.write)
    try:
        image.dzsave_target(
            target,
            layout="iiif3",
            container="zip",
            imagename="t",
            tile_size=TILE_PX,
            suffix=f".webp[Q={QUALITY},effort={EFFORT}]",
            keep="none",
        )
    except pyvips.Error as error:
        if reader.error is not None:
            raise reader.error from None
        with plain_errors(opened.format):
            raise OSError(str(error)) from error
    if reader.error is not None:
        raise reader.error
    if reader.count != count_tiles(image.width, image.height):
        raise UnreadablePictureError("This image cannot be read.")


def count_tiles(width_px: int, height_px: int) -> int:
    """Count the tiles of all scales, down to the one that is a single tile."""
    count, scale = 0, TILE_PX
    while True:
        count += -(-width_px // scale) * -(-height_px // scale)
        if max(width_px, height_px) <= scale:
            return count
        scale *= 2


# --- Opening --------------------------------------------------------------------------------------


def _is_streamed(opened: OpenedPicture) -> bool:
    """Tell whether libvips reads this kind of file by the rules of the renditions.

    :raise PictureTooLargeError: it does, but not from top to bottom.
    """
    header, source = opened.header, opened.color_source
    if header.mode not in _STREAMED_MODES.get(opened.format, ()):
        return False
    if source.hdr_transfer or source.is_narrow:
        return False
    if header.mode == "CMYK" and opened.format == "JPEG" and "adobe" not in header.info:
        return False
    pixels = header.width * header.height
    held = 0
    if isinstance(header, JpegImagePlugin.JpegImageFile) and header.info.get("progressive"):
        # All coefficients are held until the last scan: two bytes each.
        most = max(h for _, h, _, _ in header.layer) * max(v for _, _, v, _ in header.layer)
        held = 2 * pixels * sum(h * v for _, h, v, _ in header.layer) // max(1, most)
    elif opened.format == "WEBP" or header.info.get("interlace"):
        held = 4 * pixels
    if held > _MAX_STREAM_BYTES:
        raise PictureTooLargeError(_NEEDS_TOO_MUCH)
    return True


def _open_stream(path: str, opened: OpenedPicture, folder: Path) -> Any:
    # Before it is decoded, the orientation of a TIFF is that of its tag.
    orientation = read_orientation(opened.header)
    # A picture that is turned by 90° is read in another order: libvips decodes it to a file then.
    access = "random" if orientation in _TURNS and orientation != 2 else "sequential"
    try:
        image = pyvips.Image.new_from_file(path, access=access, fail_on="truncated")
        image = _convert(image, opened, folder)
    except pyvips.Error as error:
        with plain_errors(opened.format):
            raise OSError(str(error)) from error
    for name in _TURNS.get(orientation, ()):
        image = getattr(image, name)()
    return image


def _convert(image: Any, opened: OpenedPicture, folder: Path) -> Any:
    """Convert to 8 bits and sRGB, as the renditions are."""
    mode = {"RGBA": "RGB", "P": "RGB", "LA": "L"}.get(opened.header.mode, opened.header.mode)
    mode = mode if mode in ("RGB", "CMYK") else "L"
    profile = find_profile_to_apply(mode, opened.color_source)
    if image.format == "ushort":
        image = (image >> 8).cast("uchar")
    bands = image.bands
    if mode == "L" and profile[16:20] == b"RGB ":
        image = image[0].bandjoin([image[0], image[0], *([image[1]] if bands == 2 else [])])
    kind = {1: "b-w", 2: "b-w", 3: "srgb", 4: "cmyk" if mode == "CMYK" else "srgb"}
    image = image.copy(interpretation=kind[image.bands])
    if profile:
        image = image.icc_transform(
            _write_profile(folder, make_srgb_profile()),
            input_profile=_write_profile(folder, profile),
            embedded=False,
            intent="relative",
            black_point_compensation=True,
            depth=8,
        )
    image = image.copy()
    for name in {"icc-profile-data", "orientation"} & set(image.get_fields()):
        image.remove(name)
    return image


def _write_profile(folder: Path, profile: bytes) -> str:
    """Write a profile to a file for libvips; the folder belongs to the worker, which deletes it."""
    descriptor, path = tempfile.mkstemp(dir=folder, suffix=".icc")
    with os.fdopen(descriptor, "wb") as file:
        file.write(profile)
    return path


def _decode_whole(opened: OpenedPicture) -> Any:
    pixels = opened.header.width * opened.header.height
    if opened.memory_bytes + 4 * pixels > _MAX_WHOLE_BYTES:
        raise PictureTooLargeError(_NEEDS_TOO_MUCH)
    picture = opened.decode_whole()
    bands = len(picture.getbands())
    size, data = picture.size, picture.tobytes()
    picture.close()
    image = pyvips.Image.new_from_memory(data, *size, bands, "uchar")
    return image.copy(interpretation="srgb")


# --- The stream -----------------------------------------------------------------------------------

_TILE_NAME = re.compile(r"t/(full|[0-9]+,[0-9]+,[0-9]+,[0-9]+)/([0-9]+,[0-9]+)/0/default\.webp")
_LOCAL, _DESCRIPTOR = b"PK\x03\x04", b"PK\x07\x08"


class ZipReader:
    """Takes the tiles out of a ZIP stream as libvips writes it: stored, sizes behind the data.

    The length of a tile is that of its RIFF container. What follows the tiles is ignored.
    Sources: APPNOTE.TXT 6.3, sections 4.3.7 and 4.3.9; WebP container specification.
    """

    def __init__(self, take: Callable[[str, bytes], None]) -> None:
        self.count = 0
        self.error: Exception | None = None
        self._take = take
        self._buffer = bytearray()
        self._is_over = False

    def write(self, data: bytes) -> int:
        """Take a piece of the stream; returns -1 if it cannot be read, as libvips expects."""
        if self.error is not None:
            return -1
        if self._is_over:
            return len(data)
        self._buffer += data
        try:
            while self._read_entry():
                pass
        except Exception as error:
            self.error = error
            return -1
        return len(data)

    def _read_entry(self) -> bool:
        buffer = self._buffer
        if len(buffer) < 30:
            return False
        flags, method = struct.unpack_from("<HH", buffer, 6)
        name_length, extra_length = struct.unpack_from("<HH", buffer, 26)
        start = 30 + name_length + extra_length
        if len(buffer) < start + 12:
            return False
        name = bytes(buffer[30 : 30 + name_length]).decode("ascii", "replace")
        found = _TILE_NAME.fullmatch(name)
        if not buffer.startswith(_LOCAL) or found is None:
            self._is_over = True
            buffer.clear()
            return False
        if method or not flags & 8 or buffer[start : start + 4] != b"RIFF":
            raise ValueError("libvips wrote a ZIP file of another kind")
        size = struct.unpack_from("<I", buffer, start + 4)[0]
        end = start + 8 + size + (size & 1)
        if len(buffer) < end + 16:
            return False
        data = bytes(buffer[start:end])
        crc, packed, unpacked = struct.unpack_from("<III", buffer, end + 4)
        if buffer[end : end + 4] != _DESCRIPTOR or not packed == unpacked == len(data):
            raise ValueError("libvips wrote a ZIP file of another kind")
        if zlib.crc32(data) != crc:
            raise ValueError("a tile is damaged")
        del buffer[: end + 16]
        self.count += 1
        self._take(f"{found[1]}_{found[2]}", data)
        return True
