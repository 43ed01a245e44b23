"""The pages with numbers: of the whole gallery, and of one work, series or share link."""

from dataclasses import dataclass
from typing import Annotated

from babel.dates import format_skeleton
from flask import render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import ngettext
from pydantic import BeforeValidator
from sqlalchemy.orm import Session

from imagehub.admin import blueprint
from imagehub.database import db
from imagehub.domain.library.groups import name_group
from imagehub.domain.library.series import name_series
from imagehub.domain.sharing import links
from imagehub.domain.site import numbers
from imagehub.domain.site.numbers import HUB, PERIODS, Counts, Period, Step, Thing
from imagehub.errors import NotFoundError
from imagehub.models import Group, Series, ShareLink
from imagehub.web.forms import Form, read_query
from imagehub.web.i18n import format_number, get_format_locale, translate
from imagehub.wiring import get_settings

_USUAL = PERIODS[1]
# The drawing; a style sheet stretches it.
WIDTH, HEIGHT = 600, 120
_GAP_SHARE = 0.22
# What has numbers of its own, and its name in ``NotFoundError``.
_KINDS = {"group": "group", "series": "series", "share": "share link"}


class NumbersQuery(Form):
    """``days``: the period; the usual one if it is none of ``PERIODS``."""

    days: Annotated[
        int, BeforeValidator(lambda text: int(text) if text in map(str, PERIODS) else _USUAL)
    ] = _USUAL


@dataclass(frozen=True)
class Bar:
    """The bar of a day or month in a chart, and the words of its tooltip."""

    x: float
    width: float
    views_height: float
    visitors_height: float
    words: str


@dataclass(frozen=True)
class Chart:
    """A period as bars of views, with visitors in front; ``top``: the views of the highest bar."""

    period: Period
    bars: list[Bar]
    top: int
    ends: tuple[str, str]


@dataclass(frozen=True)
class Row:
    """A work, series or share link in the list of what was seen most."""

    name: str
    url: str
    counts: Counts


def make_chart(period: Period) -> Chart:
    """Draw the bars of a period, from the oldest to the newest."""
    top = max((step.counts.views for step in period.steps), default=0)
    room = WIDTH / len(period.steps)
    bars = []
    for place, step in enumerate(period.steps):
        scale = HEIGHT / top if top else 0.0
        views = step.counts.views * scale
        bars.append(
            Bar(
                round(place * room + room * _GAP_SHARE / 2, 2),
                round(room * (1 - _GAP_SHARE), 2),
                # A single view stays visible among thousands.
                round(max(views, 1.5) if views else 0.0, 2),
                round(min(step.counts.visitors * scale, views), 2),
                describe_step(step),
            )
        )
    first, last = period.steps[0], period.steps[-1]
    return Chart(period, bars, top, (name_step(first), name_step(last)))


def name_step(step: Step) -> str:
    """Name a day or a month: ``4 Nov``, ``Nov 2026``."""
    skeleton = "yMMM" if step.is_month else "MMMd"
    return format_skeleton(skeleton, step.day, locale=get_format_locale())


def describe_step(step: Step) -> str:
    views, visitors = step.counts.views, step.counts.visitors
    parts = (
        ngettext("%(count)s view", "%(count)s views", views, count=format_number(views)),
        ngettext(
            "%(count)s visitor", "%(count)s visitors", visitors, count=format_number(visitors)
        ),
    )
    return f"{name_step(step)}: {', '.join(parts)}"


def find_month(kind: str, object_id: int) -> Chart | None:
    """Draw the last 30 days of a thing for its own page; None while counting is off."""
    if not get_settings().numbers:
        return None
    return make_chart(numbers.get_period(db.session(), Thing(kind, object_id), _USUAL))


blueprint.add_app_template_global(find_month, "numbers_of")
blueprint.add_app_template_filter(name_step, "step_name")


@blueprint.get("/admin/numbers")
def show_numbers() -> ResponseReturnValue:
    """Show the numbers of the whole gallery, and what was seen most."""
    days, session = read_query(NumbersQuery).days, db.session()
    lists = [
        (label, _list_rows(session, kind, days))
        for kind, label in (
            ("group", _("Works")),
            ("series", _("Series")),
            ("share", _("Share links")),
        )
    ]
    return _render(HUB, days, _("Numbers"), lists=[one for one in lists if one[1]])


@blueprint.get("/admin/numbers/<kind>/<db_id:number>")
def show_numbers_of(kind: str, number: int) -> ResponseReturnValue:
    """Show the numbers of one work, series or share link."""
    if kind not in _KINDS:
        raise NotFoundError("page", kind)
    days = read_query(NumbersQuery).days
    found = _name_things(db.session(), kind, [number])
    if number not in found:
        raise NotFoundError(_KINDS[kind], number)
    name, url = found[number]
    return _render(Thing(kind, number), days, name, thing_url=url)


def _render(thing: Thing, days: int, title: str, **values: object) -> str:
    period = numbers.get_period(db.session(), thing, days)
    return render_template(
        "admin/numbers.html",
        is_on=get_settings().numbers,
        is_hub=thing == HUB,
        title=title,
        days=days,
        periods={7: _("7 days"), 30: _("30 days"), 365: _("12 months")},
        period_urls={one: _make_url(thing, one) for one in PERIODS},
        chart=make_chart(period),
        **values,
    )


def _make_url(thing: Thing, days: int) -> str:
    if thing == HUB:
        return url_for(".show_numbers", days=days)
    kind, number = thing
    return url_for(".show_numbers_of", kind=kind, number=number, days=days)


def _list_rows(session: Session, kind: str, days: int) -> list[Row]:
    listed = numbers.list_most_seen(session, kind, days)
    names = _name_things(session, kind, [number for number, _counts in listed])
    return [
        Row(names[number][0], url_for(".show_numbers_of", kind=kind, number=number, days=days), one)
        for number, one in listed
        if number in names
    ]


def _name_things(session: Session, kind: str, ids: list[int]) -> dict[int, tuple[str, str]]:
    """Return the name of each thing that still exists, and the address of its admin page."""
    if kind == "group":
        groups = session.query(Group.id, Group.title).where(Group.id.in_(ids))
        return {
            number: (
                translate(name_group(number, title)),
                url_for(".show_library_group", number=number),
            )
            for number, title in groups
        }
    if kind == "series":
        listed = session.query(Series).where(Series.id.in_(ids))
        return {
            one.id: (translate(name_series(one)), url_for(".show_series_page", number=one.id))
            for one in listed
        }
    shares = session.query(ShareLink).where(ShareLink.id.in_(ids)).all()
    return {
        number: (translate(name), url_for(".show_shares"))
        for number, name in links.name_shares(session, shares).items()
    }
