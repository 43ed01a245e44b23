"""Deep zoom: the tiles of large originals, at the fixed addresses of IIIF level 0.

The addresses redirect to signed ones of the object storage; only tiles that exist have one. Other
viewers, such as Mirador and OpenSeadragon elsewhere, begin with ``info.json``.

Source: IIIF Image API 3.0.
"""

from typing import Any

from flask import Response, current_app, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from imagehub.database import MAX_ID, db
from imagehub.domain.library.finish import get_shown_key
from imagehub.domain.library.tiles import TILE_PX, TileService, get_tile_service
from imagehub.errors import NotFoundError
from imagehub.gallery import blueprint
from imagehub.models import Group, Image
from imagehub.web.headers import make_absolute
from imagehub.wiring import get_clients, get_settings

CONTEXT = "http://iiif.io/api/image/3/context.json"
# As of other redirects to signed addresses: so short that what is unpublished is soon gone.
_KEPT_SECONDS = 300


def make_service_url(image_id: int) -> str:
    """Return the absolute address of an image's tiles, for manifests: the ``id`` of the service."""
    return make_absolute(url_for("gallery.show_tile_service", number=image_id))


def make_tiles_base(endpoint: str, **names: Any) -> str:
    """Return the path before the region of a tile's address, for the viewer of our pages."""
    url = url_for(endpoint, **names, region="full", size="max", ending="webp")
    return url.removesuffix("/full/max/0/default.webp")


@blueprint.get("/iiif/<db_id:number>")
def show_tile_service(number: int) -> ResponseReturnValue:
    """Redirect to the description, as the standard wants. Source: section 2.2."""
    return _finish(redirect(url_for(".show_tile_info", number=number), 303), _find(number)[2])


@blueprint.get("/iiif/<db_id:number>/info.json")
def show_tile_info(number: int) -> ResponseReturnValue:
    """Describe the tiles of an image, and its renditions as sizes."""
    image, service, is_shown = _find(number)
    text = current_app.json.dumps(_describe(image, service))
    kind = "application/json"
    if "application/ld+json" in request.headers.get("Accept", ""):
        kind = f'application/ld+json;profile="{CONTEXT}"'
    response = Response(text, content_type=kind)
    response.vary.add("Accept")
    return _finish(response, is_shown)


@blueprint.get("/iiif/<db_id:number>/<region>/<size>/0/default.<any(webp, jpg):ending>")
def show_tile(number: int, region: str, size: str, ending: str) -> ResponseReturnValue:
    """Redirect to a tile, or to a rendition by its size.

    A viewer that asks for JPEG, which the standard expects of every service, gets WebP too.
    """
    image, service, is_shown = _find(number)
    return _finish(redirect(_sign(image, service, region, size)), is_shown)


def find_tile_url(image: Image, region: str, size: str) -> str:
    """Return the signed address of a tile, whoever may see the image.

    :raise NotFoundError: there is no such tile.
    """
    service = get_tile_service(db.session(), get_settings(), image)
    if service is None:
        raise NotFoundError("tile", f"{region}/{size}")
    return _sign(image, service, region, size)


def _find(number: int) -> tuple[Image, TileService, bool]:
    """Return an image, its tiles, and whether it is published; only an admin can see others."""
    image = db.session.get(Image, number) if 0 < number <= MAX_ID else None
    group = db.session.get(Group, image.group_id) if image is not None else None
    if image is None or group is None:
        raise NotFoundError("image", number)
    may_see = group.is_shown or (current_user.is_authenticated and group.state != "trash")
    service = get_tile_service(db.session(), get_settings(), image) if may_see else None
    if service is None:
        raise NotFoundError("image", number)
    return image, service, group.is_shown


def _describe(image: Image, service: TileService) -> dict[str, Any]:
    sizes = sorted({(one.width_px, one.height_px) for one in _list_renditions(image)})
    return {
        "@context": CONTEXT,
        "id": make_service_url(image.id),
        "type": "ImageService3",
        "protocol": "http://iiif.io/api/image",
        "profile": "level0",
        "width": service.width_px,
        "height": service.height_px,
        "sizes": [{"width": width, "height": height} for width, height in sizes],
        "tiles": [{"width": TILE_PX, "scaleFactors": service.scale_factors}],
        "preferredFormats": ["webp"],
        "extraFormats": ["webp"],
    }


def _list_renditions(image: Image) -> list[Any]:
    return [one for one in image.renditions if one.mime_type == "image/webp"]


def _sign(image: Image, service: TileService, region: str, size: str) -> str:
    key = service.find_key(region, size)
    if key is None and region == "full":
        for one in _list_renditions(image):
            if size in (f"{one.width_px},{one.height_px}", f"{one.width_px},"):
                key = get_shown_key(one, get_settings())
    if key is None:
        raise NotFoundError("tile", f"{region}/{size}"[:100])
    return get_clients().store.make_presigned_url(key)


def _finish(answer: Any, is_shown: bool) -> Response:
    """Let pages of any site read what is published, and others nothing."""
    response: Response = answer
    if is_shown:
        response.headers["Access-Control-Allow-Origin"] = "*"
        response.headers["Cache-Control"] = f"public, max-age={_KEPT_SECONDS}"
    else:
        response.headers["Cache-Control"] = "private, no-store"
    if 300 <= response.status_code < 400:
        # The body of a redirect repeats the address.
        response.set_data(b"")
    return response
