"""Prepare groups and images for the gallery's templates: addresses, sources, captions."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from babel.dates import format_date
from flask import url_for
from flask_babel import format_decimal, gettext
from flask_login import current_user

from imagehub.domain.library.edit import AVAILABILITIES
from imagehub.domain.library.finish import get_shown_key
from imagehub.domain.library.prices import find_price, is_on_request
from imagehub.domain.sync.state import AWAY
from imagehub.domain.translations import get_main_text
from imagehub.gallery.originals import has_only_rendition
from imagehub.gallery.placeholder import make_placeholder_url
from imagehub.gallery.videos import Video, make_video
from imagehub.imaging.kinds import name_kind
from imagehub.imaging.video import format_length
from imagehub.messages import mark
from imagehub.models import Group, Image, Rendition
from imagehub.web.headers import make_absolute
from imagehub.web.i18n import format_price, get_format_locale
from imagehub.wiring import get_clients, get_settings

# Types that browsers can display; other originals can only be saved.
_BROWSER_TYPES = frozenset({"image/jpeg", "image/png", "image/webp", "image/gif", "image/avif"})
_MAX_SLUG_CHARS = 60
_PANORAMA_RATIO = 2.2
# Roles of shots that are shown to visitors; the front needs no caption.
ROLES = {
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

    ``id`` is the id of its element and ``sizes`` the attribute of that name; ``position`` counts
    the shots of the group from 1; ``role`` is its translated role, "" for the front and without
    one. ``width`` and ``height`` are the largest rendition's pixels. ``full_url`` leads to the
    original, "" if visitors may not download it; ``full_label`` is the text of a link to it;
    ``zoom_url`` is the same address if browsers can display the original and it is larger.
    ``tiles_url`` is what the addresses of its tiles begin with, "" if it has none.
    ``sources`` is empty if the image has no renditions. ``loading`` is "lazy", "eager", "first"
    for the one picture that is loaded before all others, or "later" for one that phones load after
    it. ``video``: None unless the shot is a video, of which this is the still.
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
    full_label: str
    zoom_url: str
    placeholder: str
    color: str
    sizes: str = ""
    role: str = ""
    tiles_url: str = ""
    loading: str = "lazy"
    video: Video | None = None

    @property
    def still_alt(self) -> str:
        """The alt text of its picture in a link, which says if it is a video."""
        return self.video.describe(self.alt) if self.video else self.alt

    @property
    def ratio(self) -> float:
        return self.width / self.height

    @property
    def is_panorama(self) -> bool:
        """Beside a label, so wide a picture would be low; if it is alone, the label is below."""
        return self.ratio > _PANORAMA_RATIO

    @property
    def url(self) -> str:
        """The largest rendition of the type that every browser supports."""
        return self.sources[-1].largest_url if self.sources else ""


def make_slug(title: str) -> str:
    """Return a title for use in an address: lower-case letters of any script, digits, hyphens.

    Never only digits, which would be the address of a shot.
    """
    words = re.sub(r"[\W_]+", "-", unicodedata.normalize("NFC", title).casefold()).strip("-")
    slug = words[:_MAX_SLUG_CHARS].rstrip("-")
    return f"work-{slug}" if slug.isdecimal() else slug


def make_group_url(group: Group, series_id: int | None = None) -> str:
    """Return the path of a group's page, which ends with its title in the main language.

    :param series_id: the series that the visitor comes from.
    """
    slug = make_slug(get_main_text(group, "title")) or None
    return url_for("gallery.show_group", number=group.id, slug=slug, series=series_id or None)


def get_title(group: Group) -> str:
    return group.title.strip() or gettext("Untitled")


def make_rendition_url(rendition: Rendition, *, is_marked: bool = True) -> str:
    """Return the presigned address of a rendition as visitors see it.

    :param is_marked: with the watermark, if the hub has one.
    """
    key = get_shown_key(rendition, get_settings(), is_marked=is_marked)
    return get_clients().store.make_presigned_url(key)


def make_picture(
    group: Group,
    image: Image,
    element_id: str,
    position: int = 1,
    full_url: str | None = None,
    tiles_url: str = "",
    *,
    is_marked: bool = True,
    video_url: str | None = None,
) -> Picture:
    """Prepare an image, with presigned addresses of its renditions.

    :param position: of the shot in its group, counted from 1, for the alt text.
    :param full_url: leads to the original, "" if it may not be downloaded; by default the address
        for visitors of the gallery, if they may.
    :param tiles_url: what the addresses of its tiles begin with, "" if it has none.
    :param is_marked: with the watermark, if the hub has one.
    :param video_url: leads to the bytes of a video; by default the address for visitors of the
        gallery.
    """
    width, height = image.width_px or 3, image.height_px or 2
    sources = []
    for mime_type in ("image/avif", "image/webp"):
        found = {r.width_px: r for r in image.renditions if r.mime_type == mime_type}
        if found:
            urls = {
                pixels: make_rendition_url(found[pixels], is_marked=is_marked)
                for pixels in sorted(found)
            }
            srcset = ", ".join(f"{url} {pixels}w" for pixels, url in urls.items())
            sources.append(Source(mime_type, srcset, list(urls.values())[-1]))
            width, height = max(found), found[max(found)].height_px
    full_url = _make_full_url(image) if full_url is None else full_url
    is_shown_by_browsers = image.mime_type in _BROWSER_TYPES and not image.preview_reason
    is_larger = image.width_px > width and not has_only_rendition(image)
    can_zoom = bool(full_url) and is_shown_by_browsers and is_larger
    role = gettext(ROLES[image.role]) if image.role in ROLES else ""
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
        full_width=image.width_px if can_zoom or tiles_url else width,
        full_height=image.height_px if can_zoom or tiles_url else height,
        sources=sources,
        full_url=full_url,
        full_label=_name_original(image),
        zoom_url=full_url if can_zoom else "",
        tiles_url=tiles_url,
        placeholder=make_placeholder_url(image.thumbhash),
        color=image.dominant_color if re.fullmatch("#[0-9a-f]{6}", image.dominant_color) else "",
        role=role,
        video=make_video(image, video_url),
    )


def shrink_picture(image: Image, picture: Picture) -> Picture:
    """Give a picture that is shown small, or not in each window, the pixels of its smallest file.

    A browser takes the size of one that it does not show from these attributes. Each rendition has
    rounded sides, so the shape of the largest one is slightly another than that of the file loaded.
    """
    usable = [one for one in image.renditions if one.mime_type == "image/webp"]
    if not usable:
        return picture
    least = min(usable, key=lambda one: one.width_px)
    return replace(picture, width=least.width_px, height=least.height_px)


def _name_original(image: Image) -> str:
    """Name the original in a link; behind a preview, other than an image may be downloaded."""
    if has_only_rendition(image):
        return str(gettext("Image at 1920 pixels"))
    if not image.preview_reason:
        return str(gettext("Full-size image"))
    kind = name_kind(image.name, image.mime_type)
    weight = format_bytes(image.size_bytes) if image.size_bytes else ""
    facts = ", ".join(part for part in (kind, weight) if part)
    return str(gettext("Original file (%(facts)s)", facts=facts))


def make_full_image_url(image: Image) -> str:
    """Return the absolute address of ``gallery.show_full_image`` for an image."""
    name = image.name.replace("/", "_").replace("\\", "_").strip(". ") or "image"
    return make_absolute(
        url_for("gallery.show_full_image", group=image.group_id, number=image.number, name=name)
    )


def _make_full_url(image: Image) -> str:
    may_have = get_settings().has_downloads or current_user.is_authenticated
    if not may_have or image.drive_state in AWAY:
        return ""
    return urlsplit(make_full_image_url(image)).path


# --- Captions -------------------------------------------------------------------------------------


def list_record(group: Group, *, is_shared: bool = False) -> list[str]:
    """Return the lines below the title of a work, as on a label in a museum.

    :param is_shared: for the visitors of a share link.
    """
    availability = gettext(AVAILABILITIES[group.availability]) if group.availability else ""
    price = _describe_price(group, is_shared)
    lines = (group.year, group.medium, group.dimensions, group.edition, availability, price)
    return [line for line in lines if line.strip()]


def _describe_price(group: Group, is_shared: bool) -> str:
    if is_on_request(group):
        return str(gettext("Price on request"))
    price = find_price(group, get_settings().currency, is_shared=is_shared)
    return format_price(price.amount, price.currency) if price else ""


def list_facts(image: Image) -> dict[str, str]:
    """Return the known data of a photograph: name → value."""
    facts = {}
    if image.taken_at:
        # Without conversion, as the camera's clock has no time zone.
        day = format_date(image.taken_at.date(), "long", get_format_locale())
        facts[gettext("Photographed")] = str(day)
    if image.camera:
        facts[gettext("Camera")] = _join(image.camera, image.lens)
    exposure = _format_exposure(image)
    if exposure:
        facts[gettext("Exposure")] = exposure
    size = ""
    if image.width_px and image.height_px:
        size = f"{image.width_px}{_THIN_SPACE}×{_THIN_SPACE}{image.height_px}{_NO_BREAK}px"
    if size or image.preview_reason:
        kind = name_kind(image.name, image.mime_type)
        weight = format_bytes(image.size_bytes) if image.size_bytes else ""
        length = format_length(image.duration_ms) if image.is_video else ""
        facts[gettext("Original")] = _join(length, size, kind, weight)
    if image.assumed_profile:
        text = gettext("CMYK without a profile; %(name)s assumed", name=image.assumed_profile)
        facts[gettext("Colours")] = text
    return facts


def _join(*parts: str) -> str:
    return " · ".join(part for part in parts if part)


def _format_exposure(image: Image) -> str:
    parts = []
    seconds = image.exposure_seconds
    if seconds and seconds > 0:
        part = f"1/{round(1 / seconds)}" if seconds < 0.3 else _format_number(seconds, "0.#")
        parts.append(f"{part}{_NO_BREAK}s")
    if image.f_number:
        parts.append(f"f/{_format_number(image.f_number, '0.#')}")
    if image.iso:
        parts.append(f"ISO{_NO_BREAK}{image.iso}")
    if image.focal_length_mm:
        parts.append(f"{_format_number(image.focal_length_mm, '0.#')}{_NO_BREAK}mm")
    return _join(*parts)


def format_bytes(count: int) -> str:
    """Format a size in decimal units: 331 kB, 4.2 MB."""
    for unit, size in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= size:
            places = "0.#" if count < 10 * size and unit != "kB" else "0"
            return f"{_format_number(count / size, places)}{_NO_BREAK}{unit}"
    return f"{count}{_NO_BREAK}{gettext('bytes')}"


def _format_number(value: float, places: str) -> str:
    return str(format_decimal(value, places))
