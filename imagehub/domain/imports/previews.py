"""Render an original, or the preview that OneDrive draws of one that cannot be decoded."""

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, BinaryIO

from imagehub.clients import Drive, DriveItem, Renderer
from imagehub.domain.file_names import find_drawn
from imagehub.errors import IncompletePictureError, PictureError
from imagehub.imaging.cameras import is_possible_time, name_camera
from imagehub.messages import mark

if TYPE_CHECKING:
    # Only rendering processes load Pillow.
    from imagehub.imaging.marks import Mark
    from imagehub.imaging.render import RenderedPicture

log = logging.getLogger(__name__)

WAITING_REASON = mark("OneDrive has not drawn a preview of this file yet.")
# OneDrive draws some previews only when they are requested, and others minutes after an upload.
# With their delays, these attempts take some seconds, or some minutes.
_ATTEMPTS = 3
_ATTEMPTS_IF_NEW = 8
_NEW = timedelta(hours=1)

OpenFile = Callable[[], AbstractContextManager[tuple[BinaryIO, str]]]


class PreviewLateError(Exception):
    """OneDrive may draw a preview of this file later.

    ``reason``: why the file cannot be imported if it does not, after ``max_attempts``.
    """

    def __init__(self, reason: str, max_attempts: int) -> None:
        super().__init__(reason)
        self.reason = reason
        self.max_attempts = max_attempts


def render_original(
    renderer: Renderer,
    drive: Drive,
    item: DriveItem,
    path: str,
    open_file: OpenFile,
    now: datetime,
    mark: "Mark | None" = None,
) -> "tuple[RenderedPicture, str]":
    """Render the downloaded original or, if it cannot be decoded, OneDrive's preview of it.

    An incomplete file is refused, although OneDrive may show a part of it.

    :param path: of the original.
    :param open_file: opens a temporary file, deleted at the end of its block.
    :param mark: the watermark of the renditions.
    :return: the picture, and why it was made from the preview, "" if it was not. Of a preview,
        everything but the renditions is the original's, as far as OneDrive knows it.
    :raise PictureError: it cannot be decoded, and there is no preview.
    :raise PreviewLateError: there is no preview yet.
    :raise ConnectionLostError, ServiceError, NotFoundError: see :class:`Drive`.
    """
    try:
        return renderer.render(path, mark), ""
    except IncompletePictureError:
        raise
    except PictureError as error:
        refusal = error
    drawn = find_drawn(item)
    fact, reason = (drawn.fact, drawn.refusal) if drawn else (str(refusal), str(refusal))
    picture = render_preview(renderer, drive, item, reason, open_file, mark)
    if picture is not None:
        return picture, fact
    # OneDrive lists no size in pixels of what it cannot read either.
    if drawn is None and not item.width_px:
        raise refusal
    raise make_late_error(reason, may_take_minutes=drawn is not None and is_new(item, now))


def render_preview(
    renderer: Renderer,
    drive: Drive,
    item: DriveItem,
    reason: str,
    open_file: OpenFile,
    mark: "Mark | None" = None,
) -> "RenderedPicture | None":
    """Render the preview that OneDrive draws of a file; None if there is none yet.

    :param reason: why the file cannot be imported without a preview.
    :raise PictureError: the preview cannot be decoded.
    """
    data = drive.fetch_preview(item.id)
    if data is None:
        return None
    try:
        with open_file() as (file, preview_path):
            file.write(data)
            file.flush()
            return _describe_original(renderer.render(preview_path, mark), item)
    except PictureError as error:
        log.warning("The preview of an original cannot be decoded: %s", error)
        raise PictureError(reason) from error


def make_late_error(reason: str, *, may_take_minutes: bool) -> PreviewLateError:
    return PreviewLateError(reason, _ATTEMPTS_IF_NEW if may_take_minutes else _ATTEMPTS)


def is_new(item: DriveItem, now: datetime) -> bool:
    """Tell whether a file was made or changed in the last hour."""
    for text in (item.created_time, item.modified_time):
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            continue
        if moment.tzinfo and now - moment < _NEW:
            return True
    return False


# --- Facts of the original ------------------------------------------------------------------------


def _describe_original(picture: "RenderedPicture", item: DriveItem) -> "RenderedPicture":
    """Replace the facts of a preview by what OneDrive knows about the original.

    Source: Microsoft Graph v1.0, resource types "image", "video" and "photo".
    """
    photo = _get_facet(item, "photo")
    width, height = _find_size(picture, item)
    exposure = _divide(photo.get("exposureNumerator"), photo.get("exposureDenominator"))
    iso = _read_positive(photo.get("iso"))
    metadata = replace(
        picture.metadata,
        taken_at=find_capture_time(item),
        camera=_name_camera(photo.get("cameraMake"), photo.get("cameraModel")),
        lens="",
        exposure_seconds=exposure,
        f_number=_read_positive(photo.get("fNumber")),
        iso=int(iso) if iso else None,
        focal_length_mm=_read_positive(photo.get("focalLength")),
        gps=None,
    )
    mime_type = item.mime_type.lower() or "application/octet-stream"
    return replace(picture, mime=mime_type, width_px=width, height_px=height, metadata=metadata)


def _find_size(picture: "RenderedPicture", item: DriveItem) -> tuple[int, int]:
    """Return the original's upright width and height; 0 and 0 if OneDrive does not know them.

    OneDrive lists the sides of some rotated photos as they are stored; the preview is upright.
    """
    video = _get_facet(item, "video")
    width = item.width_px or int(_read_positive(video.get("width")) or 0)
    height = item.height_px or int(_read_positive(video.get("height")) or 0)
    if not width or not height:
        return 0, 0
    longer, shorter = max(width, height), min(width, height)
    is_wide = picture.width_px >= picture.height_px
    return (longer, shorter) if is_wide else (shorter, longer)


def _get_facet(item: DriveItem, name: str) -> dict[str, Any]:
    facet = item.raw.get(name)
    return facet if isinstance(facet, dict) else {}


def _read_positive(value: object) -> float | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and 0 < value < 1e6 else None  # type: ignore[operator,arg-type]


def _divide(numerator: object, denominator: object) -> float | None:
    above, below = _read_positive(numerator), _read_positive(denominator)
    return above / below if above and below else None


def find_capture_time(item: DriveItem) -> datetime | None:
    """Return when a picture was taken according to OneDrive; None if it does not know.

    The camera's clock, without a time zone. The file's own times say nothing about the picture:
    they are those of an upload or a copy.
    """
    text: Any = _get_facet(item, "photo").get("takenDateTime")
    try:
        moment = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return None
    if not is_possible_time(moment):
        return None
    return moment.astimezone(UTC).replace(tzinfo=None, microsecond=0) if moment.tzinfo else moment


def _name_camera(make: object, model: object) -> str:
    return name_camera(*(text.strip() if isinstance(text, str) else "" for text in (make, model)))
