"""Play videos: from OneDrive, or through the hub without their private data."""

from dataclasses import dataclass

from flask import Response, url_for
from flask_babel import gettext

from imagehub.domain.sync.state import AWAY
from imagehub.errors import NotFoundError
from imagehub.gallery.originals import has_only_rendition, send_original
from imagehub.imaging.video import MIME_TYPES, format_length
from imagehub.models import Image
from imagehub.web.headers import make_absolute


@dataclass(frozen=True)
class Video:
    """A video that can be played, ready for a template.

    ``url`` leads to its bytes, for a while. ``mime_type``: as browsers know it. ``length``: 0:42,
    or "" if it is not known. ``is_loop``: it is played in a loop, without sound.
    """

    url: str
    mime_type: str
    length: str
    duration_ms: int
    is_loop: bool
    has_sound: bool

    def describe(self, alt: str) -> str:
        """Return an alt text for the still that says it is a video."""
        if self.length:
            return str(gettext("%(alt)s (video, %(length)s)", alt=alt, length=self.length))
        return str(gettext("%(alt)s (video)", alt=alt))


def make_video(image: Image, url: str | None = None) -> Video | None:
    """Describe the video of a shot; None if it is not one, or this person cannot play it.

    :param url: leads to its bytes; by default the address for visitors of the gallery.
    """
    if not may_play(image):
        return None
    if url is None:
        url = url_for("gallery.play_video", number=image.group_id, shot=image.number)
    return Video(
        url=url,
        mime_type=MIME_TYPES.get(image.mime_type, image.mime_type),
        length=format_length(image.duration_ms),
        duration_ms=image.duration_ms,
        is_loop=image.is_loop,
        has_sound=image.has_sound,
    )


def make_lasting_video_url(image: Image) -> str:
    """Return the absolute address of a video, which redirects to one that expires."""
    path = url_for("gallery.play_video", number=image.group_id, shot=image.number)
    return make_absolute(path)


def may_play(image: Image) -> bool:
    """Tell whether a shot is a video that this person can play.

    Downloads may be off: playing is how a video is looked at. Those who get only cleaned originals
    see the still of a video that cannot be cleaned.
    """
    return image.is_video and image.drive_state not in AWAY and not has_only_rendition(image)


def send_video(image: Image) -> Response:
    """Answer with the bytes of a video; errors as of ``originals.send_original``.

    :raise NotFoundError: also if the shot is not a video that this person can play.
    """
    if not may_play(image):
        raise NotFoundError("video", f"{image.group_id}/{image.number}")
    mime_type = MIME_TYPES.get(image.mime_type, image.mime_type)
    response = send_original(image, plays_as=mime_type)
    response.headers["Cache-Control"] = "no-store"
    response.headers["Referrer-Policy"] = "no-referrer"
    return response
