"""Draw a watermark: a text or a picture, light on dark ground and dark on light.

It grows with the picture, and its cost with the pixels of a rendition, of which there are few.
"""

import math
from functools import lru_cache
from io import BytesIO
from pathlib import Path

from PIL import Image, ImageChops, ImageDraw, ImageFont, ImageStat

from imagehub.imaging.marks import PICTURE_PX, Mark

# Latin, Greek and Cyrillic letters; other scripts are shown as boxes.
_FONT = Path(__file__).with_name("fonts") / "DejaVuSans.ttf"
_LIGHT, _GREY, _DARK = 255, 128, 16
# Shares of the square root of the pixels: height of a text, width of a picture, distance from the
# edges, and distance of the copies of a tiled one.
_TEXT_SHARE, _PICTURE_SHARE, _EDGE_SHARE, _STEP_SHARE = 0.034, 0.2, 0.028, 0.24
_SMALLEST_TEXT_PX, _LARGEST_TEXT_PX = 10, 120
# No mark is wider or higher than this share of the picture.
_MOST_SHARE = 0.8
_TILT_DEGREES = 28
# A luminance above this is light ground.
_MIDDLE = 140
_NO_GROUND = -1.0
# Of a picture with transparency, so little colour counts as none.
_GREY_SPREAD = 24.0


def draw_mark(image: Image.Image, mark: Mark) -> Image.Image:
    """Return a copy of a rendition with a watermark; mode RGB or RGBA stays as it is."""
    stamp = _make_stamp(mark, image.size)
    if stamp is None:
        return image.copy()
    base = image.convert("RGBA")
    layer = Image.new("RGBA", image.size)
    for place in _list_places(mark, image.size, stamp.size):
        box = (*place, place[0] + stamp.width, place[1] + stamp.height)
        layer.paste(_tint(stamp, _find_ground(image, box)), place)
    strength = mark.strength_percent / 100
    layer.putalpha(layer.getchannel("A").point(lambda value: round(value * strength)))
    marked = Image.alpha_composite(base, layer)
    return marked if image.mode == "RGBA" else marked.convert("RGB")


def shrink_picture(image: Image.Image) -> bytes:
    """Return the picture of a watermark as it is stored: PNG, RGBA, without an empty margin."""
    image = image.convert("RGBA")
    box = image.getchannel("A").getbbox()
    if box is not None:
        image = image.crop(box)
    image.thumbnail((PICTURE_PX, PICTURE_PX), Image.Resampling.LANCZOS)
    target = BytesIO()
    image.info = {}
    image.save(target, "PNG", optimize=True)
    return target.getvalue()


def _measure(size: tuple[int, int]) -> float:
    return math.sqrt(size[0] * size[1])


def _make_stamp(mark: Mark, size: tuple[int, int]) -> Image.Image | None:
    """Return the mark: mode L to be tinted, or RGBA as it is; None if there is no room for it."""
    stamp = _make_picture(mark, size) if mark.picture else _make_text(mark.text, size)
    if stamp is not None and mark.place == "tiled":
        stamp = stamp.rotate(_TILT_DEGREES, Image.Resampling.BICUBIC, expand=True)
    return (
        stamp if stamp is not None and stamp.width <= size[0] and stamp.height <= size[1] else None
    )


@lru_cache(maxsize=16)
def _load_font(size_px: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(str(_FONT), size_px)


def _make_text(text: str, size: tuple[int, int]) -> Image.Image | None:
    size_px = round(_measure(size) * _TEXT_SHARE)
    size_px = max(_SMALLEST_TEXT_PX, min(_LARGEST_TEXT_PX, size_px))
    left, top, right, bottom = _load_font(size_px).getbbox(text)
    widest = _MOST_SHARE * size[0]
    if right - left > widest:
        size_px = max(6, int(size_px * widest / (right - left)))
        left, top, right, bottom = _load_font(size_px).getbbox(text)
    width, height = math.ceil(right - left), math.ceil(bottom - top)
    if width < 1 or height < 1:
        return None
    stamp = Image.new("L", (width + 2, height + 2))
    ImageDraw.Draw(stamp).text((1 - left, 1 - top), text, font=_load_font(size_px), fill=255)
    return stamp


def _make_picture(mark: Mark, size: tuple[int, int]) -> Image.Image | None:
    with Image.open(BytesIO(mark.picture), formats=["PNG"]) as opened:
        picture = opened.convert("RGBA")
    wide = _measure(size) * _PICTURE_SHARE
    # A picture of equal area, whatever its shape, within the rendition.
    factor = wide / math.sqrt(picture.width * picture.height)
    factor = min(
        factor, _MOST_SHARE * size[0] / picture.width, _MOST_SHARE * size[1] / picture.height
    )
    small = (max(1, round(picture.width * factor)), max(1, round(picture.height * factor)))
    picture = picture.resize(small, Image.Resampling.LANCZOS)
    return picture.getchannel("A") if _is_shape(picture) else picture


def _is_shape(picture: Image.Image) -> bool:
    """Tell whether only the outline of a picture matters: it is transparent and of one tone."""
    alpha = picture.getchannel("A")
    if alpha.point(lambda value: 255 * (value < 200)).getbbox() is None:
        return False
    solid = alpha.point(lambda value: 255 * (value > 128))
    if solid.getbbox() is None:
        return True
    spread = ImageStat.Stat(picture.convert("RGB"), solid).stddev
    red, green, blue = picture.convert("RGB").split()
    difference = ImageChops.lighter(
        ImageChops.difference(red, green), ImageChops.difference(green, blue)
    )
    colour = ImageStat.Stat(difference, solid).mean[0]
    return max(spread) < _GREY_SPREAD and colour < _GREY_SPREAD


def _list_places(
    mark: Mark, size: tuple[int, int], stamp: tuple[int, int]
) -> list[tuple[int, int]]:
    """Return where the mark stands: the upper left corners."""
    edge = max(4, round(_measure(size) * _EDGE_SHARE))
    room = (size[0] - stamp[0], size[1] - stamp[1])
    if mark.place == "tiled":
        step = round(_measure(size) * _STEP_SHARE)
        across, down = stamp[0] + step // 2, max(stamp[1], step)
        places = []
        for row, y in enumerate(range(edge // 2, max(1, room[1]), down)):
            first = (across // 2) * (row % 2)
            places += [(x, y) for x in range(first, max(1, room[0]), across)]
        return places or [(room[0] // 2, room[1] // 2)]
    if mark.place == "center":
        return [(room[0] // 2, room[1] // 2)]
    vertical, horizontal = mark.place.split("-")
    x = min(edge, room[0]) if horizontal == "left" else max(0, room[0] - edge)
    y = min(edge, room[1]) if vertical == "top" else max(0, room[1] - edge)
    return [(x, y)]


def _find_ground(image: Image.Image, box: tuple[int, int, int, int]) -> float:
    """Return the mean luminance below a mark; -1 if the picture is transparent there."""
    part = image.crop(box)
    if part.mode == "RGBA" and ImageStat.Stat(part.getchannel("A")).mean[0] < _MIDDLE:
        return _NO_GROUND
    return float(ImageStat.Stat(part.convert("L")).mean[0])


def _tint(stamp: Image.Image, ground: float) -> Image.Image:
    """Return a stamp in the tone that can be seen on a ground."""
    if stamp.mode == "RGBA":
        return stamp
    # What is below a transparent picture is light or dark, as visitors choose.
    tone = _GREY if ground == _NO_GROUND else _DARK if ground > _MIDDLE else _LIGHT
    tinted = Image.new("RGBA", stamp.size, (tone, tone, tone, 0))
    tinted.putalpha(stamp)
    return tinted
