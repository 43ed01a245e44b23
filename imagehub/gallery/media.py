"""Permanent addresses of renditions, which redirect to object storage."""

from flask import redirect, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from imagehub.database import db
from imagehub.domain.library import gallery
from imagehub.domain.library import images as library_images
from imagehub.errors import NotFoundError
from imagehub.gallery import blueprint
from imagehub.models import Image
from imagehub.web.headers import make_absolute
from imagehub.wiring import get_clients

# How long a redirect may be cached: much less than its target is valid, and so short that an
# unpublished picture does not stay reachable.
_REDIRECT_SECONDS = 300
_SIZES = (480, 960, 1920)


@blueprint.get("/media/<db_id:group>/<db_id:number>/<int:size>")
@blueprint.get("/media/<db_id:group>/<db_id:number>/<int:size>.webp")
def show_media(group: int, number: int, size: int) -> ResponseReturnValue:
    """Redirect to a rendition; for feeds, previews and embeds, whose addresses must not expire."""
    if size not in _SIZES:
        raise NotFoundError("size", size)
    image, is_shown = get_visible_image(group, number)
    rendition = library_images.pick_rendition(image, size)
    response = redirect(get_clients().store.make_presigned_url(rendition.object_key))
    response.headers["Cache-Control"] = (
        f"public, max-age={_REDIRECT_SECONDS}" if is_shown else "private, no-store"
    )
    return response


def make_full_image_url(image: Image) -> str:
    """Return the absolute address of ``gallery.show_full_image`` for an image."""
    name = image.name.replace("/", "_").replace("\\", "_").strip(". ") or "image"
    return make_absolute(
        url_for("gallery.show_full_image", group=image.group_id, number=image.number, name=name)
    )


def get_visible_image(group_number: int, number: int) -> tuple[Image, bool]:
    """Return an image, and whether it is published; only an admin can see others."""
    try:
        return gallery.get_shown_image(db.session(), group_number, number)[1], True
    except NotFoundError:
        if not current_user.is_authenticated:
            raise
        return library_images.get_image(db.session(), group_number, number), False
