"""Store renditions, and write what is known of a rendered picture to its image."""

import base64
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sqlalchemy import insert
from sqlalchemy.orm import Session

from imagehub.clients import ObjectStore
from imagehub.errors import ServiceRefusedError
from imagehub.imaging.video import VideoFacts
from imagehub.models import Image, Rendition

if TYPE_CHECKING:
    # Only rendering processes load Pillow.
    from imagehub.imaging.render import EncodedPicture, RenderedPicture


@dataclass(frozen=True)
class StoredFile:
    """The bytes of a rendition, with or without its watermark, to be stored."""

    data: bytes = field(repr=False)
    mime: str


def list_files(renditions: Iterable["EncodedPicture"]) -> dict[str, StoredFile]:
    """List what is to be stored for renditions: key → file."""
    files = {}
    for one in renditions:
        files[one.object_key] = StoredFile(one.data, one.mime)
        if one.marked:
            files[one.marked_key] = StoredFile(one.marked, one.mime)
    return files


def put_file(store: ObjectStore, key: str, file: StoredFile) -> None:
    """Store a file under its key, in a new bucket if there is none."""
    try:
        store.put_object(key, file.data, file.mime)
    except ServiceRefusedError as error:
        if error.reason != "no_bucket":
            raise
        # A new hub, or the bucket was deleted.
        store.create_bucket()
        store.put_object(key, file.data, file.mime)


def set_picture_facts(image: Image, picture: "RenderedPicture") -> None:
    """Set what the picture itself says: its type, size, colours and camera."""
    metadata = picture.metadata
    image.mime_type = picture.mime[:100]
    image.width_px = picture.width_px
    image.height_px = picture.height_px
    image.thumbhash = base64.b64encode(picture.thumbhash).decode()
    image.dominant_color = picture.dominant_color
    image.assumed_profile = picture.assumed_profile[:40]
    # The camera's clock, whether its time zone is known or not.
    image.taken_at = metadata.taken_at.replace(tzinfo=None) if metadata.taken_at else None
    image.camera = metadata.camera[:200]
    image.lens = metadata.lens[:200]
    image.exposure_seconds = metadata.exposure_seconds
    image.f_number = metadata.f_number
    image.iso = metadata.iso
    image.focal_length_mm = metadata.focal_length_mm
    image.latitude, image.longitude = metadata.gps or (None, None)


def set_video_facts(image: Image, video: VideoFacts | None) -> None:
    """Set what the headers of a video say; None if the original is a picture."""
    image.video_codec = video.codec if video else ""
    image.duration_ms = video.duration_ms if video else 0
    image.has_sound = video is not None and video.has_sound
    image.is_loop = video is not None and bool(image.is_loop)


def insert_renditions(
    session: Session, image_id: int, renditions: Iterable["EncodedPicture"]
) -> None:
    """Insert the rows of an image's renditions, whose bytes are stored."""
    session.execute(
        insert(Rendition),
        [
            {
                "image_id": image_id,
                "size_px": r.label_px,
                "mime_type": r.mime,
                "width_px": r.width_px,
                "height_px": r.height_px,
                "size_bytes": len(r.data),
                "object_key": r.object_key,
                "marked_key": r.marked_key,
                "marked_bytes": len(r.marked),
            }
            for r in renditions
        ],
    )
