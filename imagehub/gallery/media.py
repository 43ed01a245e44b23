"""ImageHub's own lasting addresses of pictures; each redirects to where the bytes lie just now."""

from flask import Response, redirect, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from imagehub.database import db
from imagehub.domain import gallery
from imagehub.errors import NotAllowedError, NotFoundError
from imagehub.gallery import blueprint
from imagehub.models import Image
from imagehub.web import make_absolute
from imagehub.wiring import get_clients, get_settings

# How long a redirect to a rendition may be kept: much less than the address behind it lives, and
# not so long that a picture taken back stays reachable for a day.
_REDIRECT_SECONDS = 300
_SIZES = (480, 960, 1920)


@blueprint.get("/media/<biggest:group>/<biggest:number>/<int:size>")
@blueprint.get("/media/<biggest:group>/<biggest:number>/<int:size>.webp")
def show_media(group: int, number: int, size: int) -> ResponseReturnValue:
    """A rendition, for feeds, previews and embeds, where an address must never expire."""
    if size not in _SIZES:
        raise NotFoundError("size", size)
    image, is_shown = _get_image(group, number)
    rendition = gallery.pick_rendition(image, size)
    response = redirect(get_clients().store.make_presigned_url(rendition.object_key))
    response.headers["Cache-Control"] = (
        f"public, max-age={_REDIRECT_SECONDS}" if is_shown else "private, no-store"
    )
    return response


@blueprint.get("/media/full/<biggest:group>/<biggest:number>")
@blueprint.get("/media/full/<biggest:group>/<biggest:number>/<name>")
def show_full_image(group: int, number: int, name: str = "") -> ResponseReturnValue:
    """The original: a redirect to a fresh download URL of OneDrive's, good for minutes.

    ``name`` is there for whoever reads the address or saves the file.
    """
    if not get_settings().downloads and not current_user.is_authenticated:
        raise NotAllowedError("Full images cannot be downloaded here.")
    image, _ = _get_image(group, number)
    account_id, item_id = image.drive_account_id, image.drive_item_id
    db.session.rollback()  # OneDrive may take its time; nobody should wait for our reading.
    try:
        url = get_clients().open_drive(account_id).fetch_download_url(item_id)
    except NotFoundError as error:
        raise NotFoundError("original in OneDrive any more", f"{group}/{number}") from error
    response: Response = redirect(url)  # type: ignore[assignment]
    response.headers["Cache-Control"] = "no-store"
    response.headers["Referrer-Policy"] = "no-referrer"
    # The page that comes with a redirect repeats the address, which opens the original to anybody.
    response.set_data(b"")
    return response


def make_full_image_url(image: Image) -> str:
    """The absolute address of :func:`show_full_image` for one image."""
    name = image.name.replace("/", "_").replace("\\", "_").strip(". ") or "image"
    return make_absolute(
        url_for("gallery.show_full_image", group=image.group_id, number=image.number, name=name)
    )


def _get_image(group_number: int, number: int) -> tuple[Image, bool]:
    """The image, and whether a stranger may see it; an admin may see drafts too."""
    try:
        return gallery.get_shown_image(db.session(), group_number, number)[1], True
    except NotFoundError:
        if not current_user.is_authenticated:
            raise
        return gallery.get_image(db.session(), group_number, number), False
