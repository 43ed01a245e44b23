"""What is known of a video, and the sentences about those that cannot be played."""

from collections.abc import Mapping
from dataclasses import dataclass

from imagehub.errors import UnreadablePictureError
from imagehub.messages import Message, mark

MAX_SIDE_PX = 32_768
# A longer one says so by mistake.
_MAX_DURATION_MS = 30 * 24 * 3_600_000

# What browsers can play.
H264, H264_HIGH, HEVC, VP8, VP9, AV1 = "H.264", "H.264 High", "HEVC", "VP8", "VP9", "AV1"
PLAYABLE = frozenset({H264, H264_HIGH, HEVC, VP8, VP9, AV1})
# Codec → what an admin should know about it.
HINTS: Mapping[str, str] = {
    HEVC: mark(
        "Not every browser can play HEVC. Export the video as MP4 with H.264 so that all can."
    ),
    H264_HIGH: mark(
        "Not every browser can play H.264 with 10 bits or 4:2:2. Export the video as MP4 with "
        "H.264, 8 bits and 4:2:0 so that all can."
    ),
}
# Names under which videos are offered to browsers. QuickTime is the container that MP4 was made
# from: browsers that play both know only the name of the latter.
MIME_TYPES: Mapping[str, str] = {
    "video/mp4": "video/mp4",
    "video/quicktime": "video/mp4",
    "video/webm": "video/webm",
}

BROKEN = mark("This video is damaged or incomplete. Export it again as MP4 with H.264.")
NO_PICTURE = mark("This video contains no moving picture. Export it as MP4 with H.264.")
SOUND_ONLY = mark("This file contains only sound. Only images and videos can be imported.")
ENCRYPTED = mark(
    "This video is encrypted, so browsers cannot play it. Export it without copy protection as "
    "MP4 with H.264."
)
TOO_LONG_TO_READ = mark(
    "This video is stored in such a way that it takes too long to read. Export it as MP4 with "
    "H.264."
)
_OTHER_CODEC = mark(
    "This video is encoded as %(codec)s, which browsers cannot play. Export it as MP4 with H.264."
)
_OTHER_CONTAINER = mark(
    "This is a video of the type %(kind)s, which browsers cannot play. Export it as MP4 with H.264."
)


@dataclass(frozen=True)
class VideoFacts:
    """What the headers of a video say.

    ``mime_type``: a key of ``MIME_TYPES``. ``codec``: one of ``PLAYABLE``. ``width_px`` and
    ``height_px``: as it is shown, upright. ``duration_ms``: 0 if the file does not say it.
    """

    mime_type: str
    codec: str
    width_px: int
    height_px: int
    duration_ms: int
    has_sound: bool


def refuse(sentence: str) -> UnreadablePictureError:
    return UnreadablePictureError(sentence)


def refuse_codec(name: str) -> UnreadablePictureError:
    return UnreadablePictureError(Message(_OTHER_CODEC, codec=name))


def refuse_container(kind: str) -> UnreadablePictureError:
    return UnreadablePictureError(Message(_OTHER_CONTAINER, kind=kind))


def make_facts(
    mime_type: str, codec: str, sides: tuple[int, int], duration_ms: float, has_sound: bool
) -> VideoFacts:
    """:raise UnreadablePictureError: the sides are impossible."""
    width, height = sides
    if not (0 < width <= MAX_SIDE_PX and 0 < height <= MAX_SIDE_PX):
        raise refuse(BROKEN)
    # Also False for what is not a number.
    is_possible = 0 < duration_ms <= _MAX_DURATION_MS
    duration = max(1, round(duration_ms)) if is_possible else 0
    return VideoFacts(mime_type, codec, width, height, duration, has_sound)


def format_length(duration_ms: int) -> str:
    """Format a length as players do: 0:42, 1:05:00; "" if it is not known."""
    if duration_ms <= 0:
        return ""
    seconds = max(1, round(duration_ms / 1000))
    hours, minutes, seconds = seconds // 3600, seconds // 60 % 60, seconds % 60
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
