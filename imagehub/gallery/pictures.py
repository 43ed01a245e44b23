"""What the gallery's templates show of groups and images: addresses, shapes, words."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from urllib.parse import urlsplit

from flask import url_for
from flask_babel import format_date, format_decimal, gettext
from flask_login import current_user

from imagehub.domain.sync.state import AWAY
from imagehub.gallery.media import make_full_image_url
from imagehub.gallery.placeholder import make_placeholder_url
from imagehub.gallery.rows import WIDTHS, break_rows, make_sizes, make_wall_css
from imagehub.messages import mark
from imagehub.models import Group, Image
from imagehub.wiring import get_clients, get_settings

# What a browser can paint itself; the rest is offered for saving only.
_BROWSER_TYPES = frozenset({"image/jpeg", "image/png", "image/webp", "image/gif", "image/avif"})
_MAX_SLUG_CHARS = 60
# The parts that shots play which visitors are told of; that a front is one they see.
_ROLES = {
    "back": mark("Back of the work"),
    "detail": mark("Detail"),
    "signature": mark("Signature"),
    "place": mark("In place"),
}
_THIN_SPACE, _NO_BREAK = "\u202f", "\u00a0"


@dataclass(frozen=True)
class Source:
    """The renditions of one type, smallest first: ``srcset`` names each with its width."""

    mime_type: str
    srcset: str
    largest_url: str


@dataclass(frozen=True)
class Picture:
    """One image, ready for a template.

    ``id`` is its element's in the page, ``sizes`` how wide it stands there; ``position`` counts the
    shots of the group from 1; ``role`` is the part it plays among them, in the visitor's words, ""
    for the front and where none was said. ``width`` and ``height`` are the largest rendition's
    pixels. ``full_url`` leads to the original, "" where visitors may not have it; ``zoom_url`` is
    the same where a browser can paint the original and it is larger. ``sources`` is empty where an
    image has no renditions.
    """

    id: str
    group: int
    number: int
    position: int
    alt: str
    width: int
    height: int
    full_width: int
    full_height: int
    sources: Sequence[Source]
    full_url: str
    zoom_url: str
    placeholder: str
    color: str
    sizes: str = ""
    role: str = ""

    @property
    def ratio(self) -> float:
        return self.width / self.height

    @property
    def url(self) -> str:
        """The largest rendition that every browser shows."""
        return self.sources[-1].largest_url if self.sources else ""


def make_slug(title: str) -> str:
    """A title as it stands in an address: small letters of any script, digits, hyphens.

    Never digits alone, which would be the address of a shot.
    """
    words = re.sub(r"[\W_]+", "-", unicodedata.normalize("NFC", title).casefold()).strip("-")
    slug = words[:_MAX_SLUG_CHARS].rstrip("-")
    return f"work-{slug}" if slug.isdecimal() else slug


def make_group_url(group: Group) -> str:
    """The address of a group's page, below the root of this host."""
    slug = make_slug(group.title)
    if slug:
        return url_for("gallery.show_group", number=group.id, slug=slug)
    return url_for("gallery.show_group", number=group.id)


def get_title(group: Group) -> str:
    return group.title.strip() or gettext("Untitled")


def make_picture(group: Group, image: Image, element_id: str, position: int = 1) -> Picture:
    """One image with the presigned addresses of its renditions.

    :param position: which shot of the group it is, counted from 1, for its words.
    """
    sign = get_clients().store.make_presigned_url
    width, height = image.width_px or 3, image.height_px or 2
    sources = []
    for mime_type in ("image/avif", "image/webp"):
        found = {r.width_px: r for r in image.renditions if r.mime_type == mime_type}
        if found:
            urls = {pixels: sign(found[pixels].object_key) for pixels in sorted(found)}
            srcset = ", ".join(f"{url} {pixels}w" for pixels, url in urls.items())
            sources.append(Source(mime_type, srcset, list(urls.values())[-1]))
            width, height = max(found), found[max(found)].height_px
    full_url = _make_full_url(image)
    can_zoom = bool(full_url) and image.mime_type in _BROWSER_TYPES and image.width_px > width
    role = gettext(_ROLES[image.role]) if image.role in _ROLES else ""
    words = (
        f"{get_title(group)}, {role}"
        if role
        else gettext("%(title)s, shot %(number)s", title=get_title(group), number=position)
    )
    return Picture(
        id=element_id,
        group=group.id,
        number=image.number,
        position=position,
        alt=image.alt.strip() or words,
        width=width,
        height=height,
        full_width=image.width_px if can_zoom else width,
        full_height=image.height_px if can_zoom else height,
        sources=sources,
        full_url=full_url,
        zoom_url=full_url if can_zoom else "",
        placeholder=make_placeholder_url(image.thumbhash),
        color=image.dominant_color if re.fullmatch("#[0-9a-f]{6}", image.dominant_color) else "",
        role=role,
    )


def _make_full_url(image: Image) -> str:
    may_have = get_settings().downloads or current_user.is_authenticated
    if not may_have or image.drive_state in AWAY:
        return ""
    return urlsplit(make_full_image_url(image)).path


# --- Walls ----------------------------------------------------------------------------------------


def make_wall(
    pictures: Sequence[Picture],
    is_last: bool,
    wall_share: float = 0.92,
    may_grow: bool = True,
) -> tuple[list[Picture], str]:
    """Pictures with their ``sizes``, and the style sheet that arranges them in rows.

    :param is_last: no further wall follows below.
    :param wall_share: the part of the window's width that the wall takes.
    :param may_grow: one or two pictures alone may be shown twice as large.
    """
    ratios = [min(20.0, max(0.05, picture.ratio)) for picture in pictures]
    sizes = make_sizes(ratios, is_last, wall_share, may_grow)
    css = make_wall_css([picture.id for picture in pictures], ratios, is_last, may_grow)
    placed = [replace(picture, sizes=width) for picture, width in zip(pictures, sizes, strict=True)]
    return placed, css + make_placeholder_css(pictures)


def count_first_row(pictures: Sequence[Picture]) -> int:
    """How many pictures stand in the first row of a desktop's wall: those load at once."""
    ratios = [picture.ratio for picture in pictures]
    return break_rows(ratios, WIDTHS[2])[0].count if ratios else 0


def make_placeholder_css(pictures: Sequence[Picture]) -> str:
    """Each picture's frame: its shape, and what is painted in it until the picture has come.

    The frame has the shape, not the picture, which has none when it cannot be had.
    """
    rules = []
    for picture in pictures:
        image = f'url("{picture.placeholder}") 0/100% 100%' if picture.placeholder else ""
        background = f"{picture.color} {image}".strip()
        rules.append(
            f"#{picture.id} .frame{{aspect-ratio:{picture.width}/{picture.height};"
            + (f"background:{background}" if background else "")
            + "}"
        )
    return "".join(rules)


# --- Words ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Fact:
    """One line of a wall label."""

    name: str
    value: str


def list_record(group: Group) -> list[str]:
    """The lines below the title of a wall label, as museums have them; only what is filled in."""
    lines = (group.year, group.medium, group.dimensions, group.edition)
    return [line for line in (*lines, say_availability(group)) if line.strip()]


def say_availability(group: Group) -> str:
    """Whether a work can be had, in the page's language; "" where that is not said."""
    words = {
        "available": gettext("Available"),
        "reserved": gettext("Reserved"),
        "sold": gettext("Sold"),
        "not_for_sale": gettext("Not for sale"),
    }
    return str(words.get(group.availability, ""))


def list_facts(image: Image) -> list[Fact]:
    """What is known of a photograph, as people say it; unknown things are left out."""
    facts = []
    if image.taken_at:
        facts.append(Fact(gettext("Photographed"), _say_date(image.taken_at)))
    if image.camera:
        camera = " · ".join(part for part in (image.camera, image.lens) if part)
        facts.append(Fact(gettext("Camera"), camera))
    exposure = _say_exposure(image)
    if exposure:
        facts.append(Fact(gettext("Exposure"), exposure))
    if image.width_px and image.height_px:
        kind = image.mime_type.partition("/")[2].removeprefix("x-").upper()
        size = f"{image.width_px}{_THIN_SPACE}×{_THIN_SPACE}{image.height_px}{_NO_BREAK}px"
        parts = [size, kind, say_bytes(image.size_bytes) if image.size_bytes else ""]
        facts.append(Fact(gettext("Original"), " · ".join(part for part in parts if part)))
    return facts


def _say_date(moment: datetime) -> str:
    """A day; the camera's clock has no zone, so it is not turned into another."""
    return str(format_date(moment.date(), "long"))


def _say_exposure(image: Image) -> str:
    parts = []
    seconds = image.exposure_seconds
    if seconds and seconds > 0:
        part = f"1/{round(1 / seconds)}" if seconds < 0.3 else _say_number(seconds, "0.#")
        parts.append(f"{part}{_NO_BREAK}s")
    if image.f_number:
        parts.append(f"f/{_say_number(image.f_number, '0.#')}")
    if image.iso:
        parts.append(f"ISO{_NO_BREAK}{image.iso}")
    if image.focal_length_mm:
        parts.append(f"{_say_number(image.focal_length_mm, '0.#')}{_NO_BREAK}mm")
    return " · ".join(parts)


def say_bytes(count: int) -> str:
    """A size as file managers write it: 331 kB, 4.2 MB; thousands, not 1,024s."""
    for unit, size in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= size:
            places = "0.#" if count < 10 * size and unit != "kB" else "0"
            return f"{_say_number(count / size, places)}{_NO_BREAK}{unit}"
    return f"{count}{_NO_BREAK}{gettext('bytes')}"


def _say_number(value: float, places: str) -> str:
    return str(format_decimal(value, places))
