"""Recognise videos by their bytes, and find out whether browsers can play them.

``look_at_video`` reads only the headers of a file, wherever they are in it, through a
:class:`~imagehub.imaging.sources.Source`. Nothing is decoded.
"""

from imagehub.imaging.video.facts import (
    HINTS,
    MIME_TYPES,
    VideoFacts,
    format_length,
)
from imagehub.imaging.video.look import is_video, look_at_video

__all__ = ["HINTS", "MIME_TYPES", "VideoFacts", "format_length", "is_video", "look_at_video"]
