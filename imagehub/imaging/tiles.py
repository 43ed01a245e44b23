"""Cut an original into tiles of several scales, in a process of its own with limits.

:class:`TileMaker` starts ``imaging.tiles_child``, which needs pyvips (``imagehub[tiles]``), and
hands over each tile as soon as it is made. Nothing is stored on a disk on the way, and a child
whose tiles nobody takes waits. Source: IIIF Image API 3.0, section 5 and "level 0".
"""

import logging
import os
import time
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from imagehub.errors import PictureTooLargeError, ServiceBusyError, UnreadablePictureError
from imagehub.imaging.kinds import MAX_PIXELS
from imagehub.imaging.pool import ERRORS, Child, explain_end
from imagehub.messages import Message, mark

log = logging.getLogger(__name__)

TILE_PX = 512
# As of the largest rendition, a little better: tiles are looked at closely.
QUALITY, EFFORT = 80, 2
# Of pictures that libvips reads strip by strip, and of those that have to be decoded as a whole.
MEMORY_LIMIT_BYTES = 1_200_000_000
TIMEOUT_SECONDS = 1200.0


@dataclass(frozen=True)
class Tile:
    """One tile. ``name``: region and size as in its address, ``x,y,width,height_width,height``.

    The region of the tile that shows the whole picture is ``full``.
    """

    name: str
    data: bytes


@dataclass(frozen=True)
class TiledPicture:
    """What is known before the first tile: the upright size in pixels, the number of tiles."""

    width_px: int
    height_px: int
    tile_count: int


def has_libvips() -> bool:
    """Tell whether this installation can make tiles; nothing is loaded."""
    return find_spec("pyvips") is not None


class TileMaker:
    """Makes the tiles of one picture at a time.

    :param folder: for temporary files of pictures that have to be turned.
    """

    def __init__(
        self,
        folder: Path,
        max_pixels: int = MAX_PIXELS,
        max_file_bytes: int = 500_000_000,
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> None:
        self._folder = folder
        self._max_pixels = max_pixels
        self._max_file_bytes = max_file_bytes
        self._timeout_seconds = timeout_seconds
        # Of the last picture, for measurements.
        self.peak_bytes = 0

    def iter_tiles(self, path: str | Path) -> Generator[TiledPicture | Tile, None, None]:
        """Yield what is known of the picture, then its tiles. Close the iterator to end early.

        :raise PictureError: it cannot be tiled; the sentence says why.
        :raise ServiceBusyError: no process can be started, or it was stopped.
        """
        deadline = time.monotonic() + self._timeout_seconds
        try:
            child = Child(
                "imagehub.imaging.tiles_child",
                {
                    # One core, as for a picture that is rendered.
                    "VIPS_CONCURRENCY": "1",
                    "VIPS_BLOCK_UNTRUSTED": "1",
                    "TMPDIR": str(self._folder),
                },
            )
        except OSError as error:
            raise _busy("The tile maker cannot be started.") from error
        with closing(_Ending(child)):
            try:
                child.send(
                    {
                        "path": os.path.abspath(path),
                        "folder": str(self._folder),
                        "max_pixels": self._max_pixels,
                        "max_file_bytes": self._max_file_bytes,
                        "memory_limit_bytes": MEMORY_LIMIT_BYTES,
                    }
                )
                while True:
                    answer, blobs = child.receive(max(0.0, deadline - time.monotonic()))
                    if answer["kind"] == "picture":
                        yield TiledPicture(answer["width"], answer["height"], answer["count"])
                    elif answer["kind"] == "tile":
                        yield Tile(str(answer["name"]), blobs[0])
                    else:
                        break
                self.peak_bytes = int(answer["peak_bytes"])
            except TimeoutError:
                minutes = f"{self._timeout_seconds / 60:g}"
                sentence = mark("Making the tiles took longer than %(minutes)s minutes.")
                raise PictureTooLargeError(Message(sentence, minutes=minutes)) from None
            except (OSError, EOFError, ValueError, KeyError, TypeError, IndexError):
                status = child.kill()
                log.warning("The tile maker ended with status %s during a picture", status)
                raise explain_end(status) from None
        if answer["kind"] == "end":
            return
        if answer["kind"] == "unexpected":
            log.error("Making tiles failed unexpectedly:\n%s", answer["trace"])
        kind = ERRORS.get(answer.get("error", ""), UnreadablePictureError)
        raise kind(str(answer["message"]))


class _Ending:
    """Ends a child when the block around it ends."""

    def __init__(self, child: Child) -> None:
        self._child = child

    def close(self) -> None:
        self._child.stop()
        self._child.kill()


def _busy(message: str) -> ServiceBusyError:
    return ServiceBusyError("renderer", "make tiles", message)
