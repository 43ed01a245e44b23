"""The filters above a wall: what is chosen, and links to what can be chosen next.

Search engines are asked not to read filtered pages, since there are far more of these than works.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated
from urllib.parse import parse_qsl, urlencode, urlsplit

from flask import request, url_for
from flask_babel import gettext, ngettext
from pydantic import AfterValidator, BeforeValidator

from imagehub.database import MAX_ID, db
from imagehub.domain.library import filters
from imagehub.domain.library.colours import PALETTE
from imagehub.domain.library.edit import AVAILABILITIES
from imagehub.domain.library.filters import FILTERS, Choice, Cursor, Option, Panel, Scope
from imagehub.errors import NotFoundError
from imagehub.messages import mark
from imagehub.web.forms import Form, FormText

# The names of filters in addresses; robots.txt lists them too.
NAMES = tuple(FILTERS)
TITLES = {
    "year": mark("Year"),
    "colour": mark("Colour"),
    "shape": mark("Orientation"),
    "medium": mark("Medium"),
    "tag": mark("Tags"),
    "availability": mark("Availability"),
}
SHAPES = {
    "landscape": mark("Landscape"),
    "portrait": mark("Portrait"),
    "square": mark("Square"),
}
# The values that have an order of their own: filter → slug → its place.
_ORDERS = {
    name: {slug: place for place, slug in enumerate(known)}
    for name, known in (
        ("colour", list(PALETTE)),
        ("shape", list(SHAPES)),
        ("availability", list(AVAILABILITIES)),
    )
}
# A timeline of more years than this shows decades, and the years of the chosen one below.
_MAX_YEARS = 40
_MAX_DECADES = 60
_LEVELS = 12
# Further values are in a list that opens.
_MAX_LINKS = 12
_MAX_SLUG_CHARS = 120


def _read_cursor(text: object) -> Cursor | None:
    if text is None or text == "":
        return None
    found = re.fullmatch(r"(-?[0-9]{1,19})\.([0-9]{1,19})", str(text))
    if found is None or abs(int(found[1])) > MAX_ID or int(found[2]) > MAX_ID:
        raise NotFoundError("page", str(text)[:40])
    return Cursor(int(found[1]), int(found[2]))


Slug = Annotated[FormText, AfterValidator(lambda text: text.strip().lower()[:_MAX_SLUG_CHARS])]
Place = Annotated[Cursor | None, BeforeValidator(_read_cursor)]


class FilterQuery(Form):
    """What is chosen, by the names of :data:`NAMES`, and where the page begins or ends.

    ``year`` may be a decade, such as ``1910s``.
    """

    year: Slug = ""
    colour: Slug = ""
    shape: Slug = ""
    medium: Slug = ""
    tag: Slug = ""
    availability: Slug = ""
    after: Place = None
    before: Place = None

    @property
    def wanted(self) -> dict[str, str]:
        chosen = {name: getattr(self, name) for name in NAMES}
        return {name: slug for name, slug in chosen.items() if slug}


@dataclass(frozen=True)
class Link:
    """A value as a link: its name in the visitor's language, and where it leads.

    :param url: chooses the value, or drops it if it is chosen; "" if it would show nothing.
    :param level: how high its bar is on the timeline, from 0 to 12.
    """

    id: str
    slug: str
    label: str
    words: str
    count: int | None
    url: str
    is_chosen: bool = False
    level: int = 0


@dataclass(frozen=True)
class Section:
    """A filter with its links; those of ``more`` are in a list that opens."""

    name: str
    title: str
    links: Sequence[Link]
    more: Sequence[Link] = ()


@dataclass(frozen=True)
class FilterView:
    """All that the template of the filters needs.

    :param chips: what is chosen, each with the address without it.
    :param clear_url: the page without filters.
    :param count: of works that are shown; None if they were not counted.
    :param path: the page without filters and without a query.
    :param hidden: the fields of a form at this path that keeps what is chosen.
    """

    sections: Sequence[Section]
    timeline: Sequence[Link]
    years: Sequence[Link]
    chips: Sequence[Link]
    clear_url: str
    count: int | None
    path: str
    hidden: Mapping[str, str]


def make_filter_view(scope: Scope, choice: Choice, query: str | None = None) -> FilterView | None:
    """Make the filters of this request's page; None if they would make no difference.

    :param query: what was searched for, which stays.
    """
    panel = filters.make_panel(db.session(), scope, choice)
    if not panel.is_useful:
        return None
    address = Address(query, choice)
    sections = []
    for name in NAMES[1:]:
        options = panel.options[name]
        if len(options) > 1 or name in choice.wanted:
            links = [address.link(option) for option in _sort(name, options)]
            sections.append(Section(name, gettext(TITLES[name]), *_divide(name, links)))
    timeline, years = _make_timeline(address, panel)
    return FilterView(
        sections,
        timeline,
        years,
        [address.make_chip(name, slug) for name, slug in choice.wanted.items()],
        address.make_url({}),
        panel.count,
        address.path,
        address.kept | dict(choice.wanted),
    )


def name_value(filter_name: str, slug: str, label: str = "") -> str:
    """Name a value in the visitor's language.

    :param label: as it was entered, if people enter such values.
    """
    if filter_name == "colour" and slug in PALETTE:
        return str(gettext(PALETTE[slug][0]))
    if filter_name == "shape" and slug in SHAPES:
        return str(gettext(SHAPES[slug]))
    if filter_name == "availability" and slug in AVAILABILITIES:
        return str(gettext(AVAILABILITIES[slug]))
    if filter_name == "year" and re.fullmatch("[0-9]{3}0s", slug):
        return str(gettext("%(decade)ss", decade=int(slug[:-1])))
    if filter_name == "year" and slug.isdecimal():
        return str(int(slug))
    return label or slug.replace("-", " ")


@lru_cache(maxsize=1)
def make_palette_css() -> str:
    """Return the style of the swatches."""
    return "".join(
        f".is-{name} .swatch{{background:{color}}}" for name, (_, color) in PALETTE.items()
    )


def list_options(panel: Panel) -> list[tuple[str, Option]]:
    """List all options with the names of their filters, in the order in which they are shown."""
    return [(name, one) for name in NAMES for one in _sort(name, panel.options[name])]


class Address:
    """The address of this request's page with other filters.

    :param query: what was searched for, which stays, as does the language of the address.
    """

    def __init__(self, query: str | None, choice: Choice | None = None) -> None:
        self._choice = choice or Choice()
        parts = urlsplit(url_for(str(request.endpoint), **request.view_args or {}))
        self.path = parts.path
        self.kept = dict(parse_qsl(parts.query)) | ({"q": query} if query else {})
        self._labels = {(value.filter, value.slug): value.label for value in self._choice.values}

    def make_url(self, wanted: Mapping[str, object]) -> str:
        # In one order, so that each combination has one address.
        ordered = {name: wanted[name] for name in (*NAMES, "before", "after") if wanted.get(name)}
        pairs = self.kept | ordered
        return f"{self.path}?{urlencode(pairs)}" if pairs else self.path

    def link(self, option: Option, level: int = 0) -> Link:
        value = option.value
        wanted = dict(self._choice.wanted)
        if option.is_chosen:
            del wanted[value.filter]
        else:
            wanted[value.filter] = value.slug
        label = name_value(value.filter, value.slug, value.label)
        return Link(
            f"f-{value.filter}-{value.id}",
            value.slug,
            label,
            _describe(label, option.count),
            option.count,
            "" if option.is_empty else self.make_url(wanted),
            option.is_chosen,
            level,
        )

    def make_chip(self, name: str, slug: str) -> Link:
        label = name_value(name, slug, self._labels.get((name, slug), ""))
        wanted = {key: value for key, value in self._choice.wanted.items() if key != name}
        return Link(f"f-chip-{name}", slug, label, label, None, self.make_url(wanted), True)


def _describe(label: str, count: int | None) -> str:
    """Describe a value with its number of works."""
    if count is None:
        return label
    words = ngettext("%(num)s work", "%(num)s works", count)
    return f"{label}, {words}"


def _sort(name: str, options: Sequence[Option]) -> list[Option]:
    if name == "year":
        return sorted(options, key=lambda one: (one.value.facet, one.value.slug))
    if name in _ORDERS:
        order = _ORDERS[name]
        return sorted(options, key=lambda one: order.get(one.value.slug, len(order)))
    return sorted(options, key=lambda one: (-one.value.count, one.value.label.casefold()))


def _divide(name: str, links: Sequence[Link]) -> tuple[Sequence[Link], Sequence[Link]]:
    """Divide the links into those that are shown and a list of the others, by name."""
    if name not in ("medium", "tag") or len(links) <= _MAX_LINKS:
        return links, ()
    first = [link for at, link in enumerate(links) if at < _MAX_LINKS or link.is_chosen]
    rest = [link for link in links if link not in first and link.url]
    return first, sorted(rest, key=lambda link: link.label.casefold())


# --- The timeline ---------------------------------------------------------------------------------


def _make_timeline(address: Address, panel: Panel) -> tuple[Sequence[Link], Sequence[Link]]:
    """Return the bars of the timeline, and those of the chosen decade.

    Years without works are bars without an address, so that time passes evenly.
    """
    options = panel.options["year"]
    years = {int(one.value.slug): one for one in options if one.value.facet == "year"}
    decades = {int(one.value.slug[:-1]): one for one in options if one.value.facet == "decade"}
    if len(years) < 2 and "year" not in panel.choice.wanted:
        return (), ()
    if not years or max(years) - min(years) < _MAX_YEARS:
        return _make_bars(address, years, 1, _MAX_YEARS), ()
    bars = _make_bars(address, decades, 10, _MAX_DECADES)
    chosen = re.fullmatch("([0-9]{3})[0-9]s?", panel.choice.wanted.get("year", ""))
    inside = {}
    if chosen:
        first = int(chosen[1]) * 10
        inside = {year: one for year, one in years.items() if first <= year < first + 10}
    return bars, _make_bars(address, inside, 1, 10)


def _make_bars(
    address: Address, options: Mapping[int, Option], step: int, most: int
) -> Sequence[Link]:
    if not options:
        return ()
    first, last = min(options), max(options)
    places = range(first, last + 1, step)
    if len(places) > most:
        places = sorted(options)  # type: ignore[assignment]
    counts = {
        place: one.value.count if one.count is None else one.count for place, one in options.items()
    }
    highest = max(counts.values()) or 1
    bars = []
    for place in places:
        if place not in options:
            label = str(place) if step == 1 else gettext("%(decade)ss", decade=place)
            bars.append(Link("", str(place), label, label, 0, ""))
            continue
        # Not quite in proportion, so that a year with a few works is seen beside one with hundreds.
        level = math.ceil(_LEVELS * (counts[place] / highest) ** 0.7)
        bars.append(address.link(options[place], min(level, _LEVELS)))
    return bars
