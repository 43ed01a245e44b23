"""Make pictures for print: sRGB with its profile, at the pixels that the paper needs.

:class:`PictureMaker` starts ``printing.pictures_child``, which has the limits of the child
processes that make renditions, and gives it one picture after the other.
"""

import logging
import os
from dataclasses import dataclass
from pathlib import Path

from imagehub.errors import PictureTooLargeError, ServiceBusyError, UnreadablePictureError
from imagehub.imaging.kinds import MAX_PIXELS
from imagehub.imaging.pool import ERRORS, Child, explain_end
from imagehub.messages import Message, mark

log = logging.getLogger(__name__)

DPI = 300
QUALITY = 92
MEMORY_LIMIT_BYTES = 2_000_000_000
TIMEOUT_SECONDS = 120.0
_MM_PER_INCH = 25.4


@dataclass(frozen=True)
class PrintPicture:
    """A JPEG for print; its bytes are kept elsewhere."""

    width_px: int
    height_px: int


def count_pixels(millimetres: float) -> int:
    """Return how many pixels a length needs at ``DPI``."""
    return max(1, round(millimetres / _MM_PER_INCH * DPI))


def measure_dpi(pixels: int, millimetres: float) -> int:
    """Return the resolution of pixels printed at a length."""
    return round(pixels * _MM_PER_INCH / millimetres) if millimetres else 0


class PictureMaker:
    """Makes one picture at a time; ``close`` ends its child process."""

    def __init__(
        self,
        max_pixels: int = MAX_PIXELS,
        max_file_bytes: int = 500_000_000,
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> None:
        self._limits = {
            "max_pixels": max_pixels,
            "max_file_bytes": max_file_bytes,
            "memory_limit_bytes": MEMORY_LIMIT_BYTES,
        }
        self._timeout_seconds = timeout_seconds
        self._child: Child | None = None
        # Of all pictures so far, for measurements.
        self.peak_bytes = 0

    def make(self, path: str | Path, longest_px: int) -> tuple[PrintPicture, bytes]:
        """Make a JPEG whose longest side has so many pixels, or as many as the original has.

        :raise PictureError: it cannot be used; the sentence says why.
        :raise ServiceBusyError: no process can be started, or it was stopped.
        """
        try:
            child = self._child or self._start()
            child.send({"path": os.path.abspath(path), "longest_px": longest_px})
            answer, blobs = child.receive(self._timeout_seconds)
            self.peak_bytes = max(self.peak_bytes, int(answer["peak_bytes"]))
            if answer["kind"] == "picture":
                return PrintPicture(int(answer["width"]), int(answer["height"])), blobs[0]
        except TimeoutError:
            self.close()
            sentence = mark("Rendering this image took longer than %(seconds)s seconds.")
            seconds = f"{self._timeout_seconds:g}"
            raise PictureTooLargeError(Message(sentence, seconds=seconds)) from None
        except (OSError, EOFError, ValueError, KeyError, TypeError, IndexError):
            status = self.close()
            log.warning("The maker of pictures for print ended with status %s", status)
            raise explain_end(status) from None
        if answer["kind"] == "unexpected":
            log.error("A picture for print failed unexpectedly:\n%s", answer["trace"])
        kind = ERRORS.get(answer.get("error", ""), UnreadablePictureError)
        raise kind(str(answer["message"]))

    def _start(self) -> Child:
        try:
            child = Child("imagehub.printing.pictures_child")
        except OSError as error:
            fault = "The image renderer cannot be started."
            raise ServiceBusyError("renderer", "make a picture for print", fault) from error
        self._child = child
        child.send(self._limits)
        return child

    def close(self) -> int:
        """End the process; returns its status."""
        child, self._child = self._child, None
        if child is None:
            return 0
        return child.kill()
