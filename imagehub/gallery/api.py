"""The public calls of the single-page app, which return what the gallery's pages show."""

from collections.abc import Sequence
from typing import Literal, NotRequired

from pydantic import BaseModel
from typing_extensions import TypedDict

from imagehub.database import db
from imagehub.domain.library import gallery
from imagehub.domain.library import images as library_images
from imagehub.domain.library.prices import find_price, is_on_request
from imagehub.errors import NotFoundError
from imagehub.gallery import blueprint
from imagehub.gallery.originals import has_only_rendition
from imagehub.gallery.pages import make_lasting_url
from imagehub.gallery.pictures import make_full_image_url, make_rendition_url
from imagehub.gallery.videos import may_play
from imagehub.models import Image
from imagehub.web.openapi import Api, Number, answers_failure
from imagehub.wiring import get_settings

api = Api(blueprint, "Gallery")
_HIGH_RESOLUTION_PX = 1920


# --- Parameters and answers -----------------------------------------------------------------------


class PageQuery(BaseModel):
    page: Number


class GroupQuery(BaseModel):
    group: Number


class ImageQuery(GroupQuery):
    image_id: Number


class DownloadQuery(BaseModel):
    group_id: Number
    image_id: Number


class _Shown(TypedDict):
    image: str
    width: int
    height: int
    alt: str


class PageRow(_Shown):
    """A group's cover; ``image`` is a presigned URL, ``width`` and ``height`` its pixels."""

    group: int
    image_name: str


class PageAnswer(TypedDict):
    code: Literal[1]
    data: list[PageRow]
    hint: Literal["got_images"]


class BadPageAnswer(TypedDict):
    code: Literal[-1]
    hint: Literal["positive invalid page.. dont try this again"]


class EmptyPageAnswer(TypedDict):
    code: Literal[0]
    hint: Literal["database_empty"]


class TotalPageAnswer(TypedDict):
    totalPage: int


class GroupRow(_Shown):
    group: int
    imageID: int
    imageName: str


class GroupAnswer(TypedDict):
    status: Literal[1]
    data: list[GroupRow]


class NoGroupAnswer(TypedDict):
    status: Literal[0]
    data: Literal["invalid group.. dont try this again"]


class FoundImage(_Shown):
    imageName: str


class ImageAnswer(TypedDict):
    code: Literal[1]
    data: FoundImage
    hint: Literal["image_found"]


class FoundPrice(TypedDict):
    """``amount`` is exact, such as "1250" or "1250.50"; ``currency`` is a code of ISO 4217."""

    amount: str
    currency: str


class PriceAnswer(TypedDict):
    code: Literal[1]
    price: FoundPrice
    hint: Literal["price_found"]


class NoPriceAnswer(TypedDict):
    code: Literal[0]
    hint: Literal["no_price", "price_on_request"]


class FullImage(_Shown):
    image_name: str


class DownloadAnswer(TypedDict):
    code: Literal[1]
    image: FullImage
    hint: Literal["image_found"]
    video: NotRequired[str]


class NoImageAnswer(TypedDict):
    code: Literal[0]
    hint: Literal["image_not_found"]


# --- Calls ----------------------------------------------------------------------------------------

_no_image = answers_failure(NotFoundError, code=0, hint="image_not_found")


@api.call("GET /image/page", takes=PageQuery, answer=PageAnswer | BadPageAnswer | EmptyPageAnswer)
def api_page(fields: PageQuery) -> PageAnswer | BadPageAnswer | EmptyPageAnswer:
    """List one page of the gallery: twelve groups, each with its cover.

    Pages are counted from 1. Renditions are of 480 pixels.
    """
    if fields.page < 1:
        return {"code": -1, "hint": "positive invalid page.. dont try this again"}
    page = gallery.get_page(db.session(), fields.page)
    if not page.tiles:
        return {"code": 0, "hint": "database_empty"}
    return {"code": 1, "data": make_page_rows(page.tiles), "hint": "got_images"}


def make_page_rows(tiles: Sequence[gallery.Tile]) -> list[PageRow]:
    """Describe the covers of groups, with renditions of 480 pixels."""
    return [
        {"group": tile.group.id, "image_name": tile.cover.name, **_describe(tile.cover)}
        for tile in tiles
    ]


@api.call("GET /image/total-page", answer=TotalPageAnswer)
def api_total_page() -> TotalPageAnswer:
    """Count the pages of the gallery."""
    return {"totalPage": gallery.count_pages(db.session())}


@api.call("GET /image/group", takes=GroupQuery, answer=GroupAnswer | NoGroupAnswer)
@answers_failure(NotFoundError, status=0, data="invalid group.. dont try this again")
def api_group(fields: GroupQuery) -> GroupAnswer:
    """List a group's images in their order, with renditions of 480 pixels."""
    group = gallery.get_shown_group(db.session(), fields.group)
    images = library_images.list_images(db.session(), group.id)
    rows: list[GroupRow] = [
        {"group": group.id, "imageID": one.number, "imageName": one.name, **_describe(one)}
        for one in images
    ]
    if not rows:
        raise NotFoundError("group", fields.group)
    return {"status": 1, "data": rows}


@api.call("GET /image/", takes=ImageQuery, answer=ImageAnswer | NoImageAnswer)
@_no_image
def api_image(fields: ImageQuery) -> ImageAnswer:
    """Find one image; its rendition is of 1920 pixels."""
    _, image = gallery.get_shown_image(db.session(), fields.group, fields.image_id)
    found: FoundImage = {"imageName": image.name, **_describe(image, _HIGH_RESOLUTION_PX)}
    return {"code": 1, "data": found, "hint": "image_found"}


@api.call("GET /image/price", takes=GroupQuery, answer=PriceAnswer | NoPriceAnswer)
@answers_failure(NotFoundError, code=0, hint="no_price")
def api_price(fields: GroupQuery) -> PriceAnswer | NoPriceAnswer:
    """Find the price of a group, if everyone may see it."""
    group = gallery.get_shown_group(db.session(), fields.group)
    if is_on_request(group):
        return {"code": 0, "hint": "price_on_request"}
    price = find_price(group, get_settings().currency)
    if price is None:
        return {"code": 0, "hint": "no_price"}
    found: FoundPrice = {"amount": price.plain, "currency": price.currency}
    return {"code": 1, "price": found, "hint": "price_found"}


@api.call("GET /image/download", takes=DownloadQuery, answer=DownloadAnswer | NoImageAnswer)
@_no_image
def api_download(fields: DownloadQuery) -> DownloadAnswer:
    """Find the address of a full image.

    When opened, it redirects to OneDrive or sends the file without location and personal data. Of
    a video, ``image`` is its still of 1920 pixels, and ``video`` the address of the file.
    """
    _, image = gallery.get_shown_image(db.session(), fields.group_id, fields.image_id)
    if not get_settings().has_downloads:
        raise NotFoundError("image", fields.image_id)
    if image.is_video:
        return _describe_video(image)
    width, height = image.width_px, image.height_px
    # What only OneDrive can decode has no size of its own; the preview has the same shape.
    if not width or not height or has_only_rendition(image):
        rendition = library_images.pick_rendition(image, _HIGH_RESOLUTION_PX)
        width, height = rendition.width_px, rendition.height_px
    full: FullImage = {
        "image_name": image.name,
        "image": make_full_image_url(image),
        "width": width,
        "height": height,
        "alt": image.alt,
    }
    return {"code": 1, "image": full, "hint": "image_found"}


def _describe_video(image: Image) -> DownloadAnswer:
    """Describe a video to programs that expect a picture and know no videos."""
    rendition = library_images.pick_rendition(image, _HIGH_RESOLUTION_PX)
    still: FullImage = {
        "image_name": f"{image.name.rpartition('.')[0] or image.name}.webp",
        "image": make_lasting_url(image.group_id, image.number, _HIGH_RESOLUTION_PX),
        "width": rendition.width_px,
        "height": rendition.height_px,
        "alt": image.alt,
    }
    answer: DownloadAnswer = {"code": 1, "image": still, "hint": "image_found"}
    if may_play(image):
        answer["video"] = make_full_image_url(image)
    return answer


def _describe(image: Image, size_px: int = library_images.LOW_RESOLUTION_PX) -> _Shown:
    rendition = library_images.pick_rendition(image, size_px)
    return {
        "image": make_rendition_url(rendition),
        "width": rendition.width_px,
        "height": rendition.height_px,
        "alt": image.alt,
    }
