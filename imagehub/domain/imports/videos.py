"""Look at a video in OneDrive, of which only the headers are read, and make its still."""

import io
import time
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, BinaryIO

from imagehub.clients import Download, Drive, DriveItem, Renderer
from imagehub.domain.file_names import may_be_video
from imagehub.domain.imports.previews import (
    OpenFile,
    is_new,
    make_late_error,
    render_original,
    render_preview,
)
from imagehub.errors import (
    ContentMismatchError,
    PictureTooLargeError,
    UnreadablePictureError,
)
from imagehub.imaging.kinds import VIDEO_FACT, VIDEO_REFUSAL, recognize
from imagehub.imaging.private_data import Packet, PrivateData, look
from imagehub.imaging.private_data.look import UNKNOWN
from imagehub.imaging.sources import FetchedSource, FileSource, Source, TooMuchToReadError
from imagehub.imaging.video import VideoFacts, format_length, is_video, look_at_video
from imagehub.messages import Message, mark

if TYPE_CHECKING:
    # Only rendering processes load Pillow.
    from imagehub.imaging.marks import Mark
    from imagehub.imaging.render import RenderedPicture

# Of one video: its headers, and what it says about its place.
_MAX_BYTES = 32_000_000
_MAX_SECONDS = 90.0
_HEAD_BYTES = 1024


# --- As OneDrive lists it -------------------------------------------------------------------------


def find_video_length(item: DriveItem) -> int:
    """Return the length of a video in milliseconds as OneDrive lists it; 0 if it does not know.

    Source: Microsoft Graph v1.0, resource type "video".
    """
    facet = item.raw.get("video")
    value: Any = facet.get("duration") if isinstance(facet, dict) else None
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return int(value) if is_number and 0 < value < 1e11 else 0


def describe_video(duration_ms: int) -> str:
    length = format_length(duration_ms)
    return Message("A video, %(length)s.", length=length) if length else mark("A video.")


# --- As it is -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Original:
    """An original to be imported: a downloaded picture, or a video that is read in parts.

    ``source``: its bytes. ``video``: None if it is a picture. ``refusal``: why a video is shown as
    its still; "" otherwise.
    """

    item: DriveItem
    download: Download
    source: Source
    video: VideoFacts | None
    refusal: str = ""

    def look(self, packets: list[Packet]) -> PrivateData:
        """Find what is private in it; ``packets`` gets the metadata that were found on the way."""
        is_local = not isinstance(self.source, FetchedSource)
        try:
            return look(self.source, is_local, packets)
        except TooMuchToReadError:
            return UNKNOWN


def fetch_original(
    drive: Drive,
    item: DriveItem,
    file: BinaryIO,
    max_bytes: int,
    accepts_mismatch: bool,
    keeps_still: bool = False,
) -> Original:
    """Download a picture, or open a video. The bytes decide which of the two a file is.

    The name decides only how they are read.

    :param file: to download to.
    :param keeps_still: its image is the still of a video, as which it was imported before videos
        could be played. It stays one if browsers cannot play the video.
    :raise PictureTooLargeError: it is over the limit for originals.
    :raise UnreadablePictureError: a video that browsers cannot play, or another kind of file under
        the name of a video.
    :raise ContentMismatchError: it is not as OneDrive lists it.
    :raise ConnectionLostError, ServiceError, NotFoundError: see :class:`Drive`.
    """
    if may_be_video(item):
        opened = _open_video(drive, item, max_bytes, accepts_mismatch, keeps_still)
        if opened is not None:
            return opened
    download = drive.download(item, file, max_bytes, accepts_mismatch)
    file.flush()
    source = FileSource(file)
    video = _look(source, item) if is_video(source.read(0, _HEAD_BYTES)) else None
    return Original(item, download, source, video)


def _open_video(
    drive: Drive, item: DriveItem, max_bytes: int, accepts_mismatch: bool, keeps_still: bool
) -> Original | None:
    """Open a file that is listed as a video; None if it is a picture."""
    content = drive.open_content(item.id)
    size_bytes = content.fetch_size()
    if max(size_bytes, content.item.size_bytes) > max_bytes:
        limit = f"{max_bytes / 1_000_000:g}"
        raise PictureTooLargeError(
            Message("This file is larger than the limit of %(limit)s MB.", limit=limit)
        )
    deadline = time.monotonic() + _MAX_SECONDS

    def fetch(offset: int, length: int) -> bytes:
        if time.monotonic() > deadline:
            raise TooMuchToReadError
        return content.read(offset, length)

    source = FetchedSource(size_bytes, fetch, _MAX_BYTES)
    head = source.read(0, min(_HEAD_BYTES, size_bytes))
    video, refusal = None, ""
    try:
        if is_video(head):
            video = _look(source, content.item)
        else:
            recognize(io.BytesIO(head))
            return None
    except UnreadablePictureError as error:
        if not keeps_still:
            raise
        refusal = str(error)
    download = _describe(content.item, size_bytes, accepts_mismatch)
    return Original(content.item, download, source, video, refusal)


def _describe(item: DriveItem, size_bytes: int, accepts_mismatch: bool) -> Download:
    """Describe a file as if it had been downloaded: its hash is the one that is listed."""
    is_as_listed = size_bytes == item.size_bytes
    if not (is_as_listed or accepts_mismatch):
        sentence = mark("OneDrive sent a different file from the one it lists.")
        raise ContentMismatchError("OneDrive", "read a video", sentence)
    return Download(
        size_bytes=size_bytes,
        quick_xor_hash=item.quick_xor_hash if is_as_listed else "",
        sha256="",
        listed_hash=item.quick_xor_hash,
        listed_size_bytes=item.size_bytes,
        is_as_listed=is_as_listed,
    )


def _look(source: Source, item: DriveItem) -> VideoFacts:
    facts = look_at_video(source)
    # The headers of a live recording do not say how long it is.
    return replace(facts, duration_ms=facts.duration_ms or find_video_length(item))


def render(
    renderer: Renderer,
    drive: Drive,
    original: Original,
    path: str,
    open_file: OpenFile,
    now: datetime,
    mark: "Mark | None" = None,
) -> "tuple[RenderedPicture, str]":
    """Render a picture, or the still of a video: see ``previews.render_original``."""
    if original.refusal:
        picture = _render_preview(renderer, drive, original.item, open_file, now, mark)
        return picture, original.refusal
    if original.video is None:
        return render_original(renderer, drive, original.item, path, open_file, now, mark)
    return _render_still(renderer, drive, original.item, original.video, open_file, now, mark)


def _render_still(
    renderer: Renderer,
    drive: Drive,
    item: DriveItem,
    video: VideoFacts,
    open_file: OpenFile,
    now: datetime,
    mark: "Mark | None" = None,
) -> "tuple[RenderedPicture, str]":
    """Render the preview that OneDrive draws of a video.

    :raise PictureError: the preview cannot be decoded.
    :raise PreviewLateError: there is no preview yet.
    """
    picture = _render_preview(renderer, drive, item, open_file, now, mark)
    width, height = video.width_px, video.height_px
    return replace(picture, mime=video.mime_type, width_px=width, height_px=height), VIDEO_FACT


def _render_preview(
    renderer: Renderer,
    drive: Drive,
    item: DriveItem,
    open_file: OpenFile,
    now: datetime,
    mark: "Mark | None",
) -> "RenderedPicture":
    picture = render_preview(renderer, drive, item, VIDEO_REFUSAL, open_file, mark)
    if picture is None:
        raise make_late_error(VIDEO_REFUSAL, may_take_minutes=is_new(item, now))
    return picture
