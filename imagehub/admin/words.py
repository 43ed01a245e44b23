"""Format sizes, times, counts and toasts for the admin pages, in the page's language."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Literal

from babel import Locale
from babel.dates import format_date, format_skeleton, format_time, format_timedelta
from babel.numbers import format_decimal, get_currency_name
from flask import flash, redirect, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from markupsafe import Markup
from sqlalchemy.orm import Session

from imagehub.admin import blueprint
from imagehub.config_values import CURRENCIES
from imagehub.database import now_utc
from imagehub.domain.library.groups import count_shown_groups, list_shown
from imagehub.domain.people.audit import get_span
from imagehub.errors import ImageHubError
from imagehub.models import AuditEntry
from imagehub.web.access import is_api_call
from imagehub.web.i18n import get_format_locale, translate
from imagehub.wiring import get_settings

_UNITS = ("bytes", "kB", "MB", "GB", "TB", "PB")
_Unit = Literal["minute", "hour", "day", "week", "month", "year"]
# The unit of a distance below so many seconds.
_STEPS: tuple[tuple[float, _Unit], ...] = (
    (3600, "minute"),
    (86_400, "hour"),
    (14 * 86_400, "day"),
    (60 * 86_400, "week"),
    (730 * 86_400, "month"),
    (float("inf"), "year"),
)


@blueprint.app_template_filter("filesize")
def describe_size(size_bytes: float | None) -> str:
    """Format a size: ``3.2 MB``, ``3,2 MB``. A unit is 1,000 of the one before, as in OneDrive."""
    if size_bytes is None:
        return str(_("unknown"))
    size, unit = float(size_bytes), 0
    while size >= 999.5 and unit < len(_UNITS) - 1:
        size, unit = size / 1000, unit + 1
    digits = "0" if unit == 0 or size >= 99.5 else "0.#"
    number = format_decimal(size, format=digits, locale=get_format_locale())
    name = _UNITS[unit] if unit else _("bytes")
    return f"{number}\N{NO-BREAK SPACE}{name}"


@blueprint.app_template_filter("language_name")
def name_language(code: str) -> str:
    """Name a language in that of the page: ``German``, ``Deutsch``."""
    return str(Locale.parse(code).get_language_name(get_format_locale()))


@blueprint.app_template_filter("ago")
def describe_moment(moment: datetime | None, never: str = "") -> Markup | str:
    """Format a moment as a ``<time>``: how long ago or ahead, with the exact time as its title."""
    if moment is None:
        return never or _("never")
    words = describe_distance((now_utc() - moment).total_seconds())
    title = f"{describe_date(moment)}, {_format_time(moment)}"
    return Markup('<time datetime="{}" title="{}">{}</time>').format(_iso(moment), title, words)


@blueprint.app_template_filter("logged")
def describe_logged(moment: datetime) -> Markup | str:
    """Format the time of a log entry: as ``ago`` for a day, then its date and time."""
    if now_utc() - moment < timedelta(days=1):
        return describe_moment(moment)
    day = format_skeleton("yMMMd", moment, locale=get_format_locale())
    words = f"{day}, {_format_time(moment)}"
    return Markup('<time datetime="{}">{}</time>').format(_iso(moment), words)


@blueprint.app_template_filter("span")
def describe_span(entry: AuditEntry) -> Markup | str:
    """Format from when to when an entry's actions took place: ``14:02 – 14:20``.

    "" if that is less than a minute.
    """
    first, last = get_span(entry)
    if last - first < timedelta(minutes=1):
        return ""
    start = format_time(first, "HH:mm", locale=get_format_locale())
    words = Markup('<time datetime="{}">{}</time> – <time datetime="{}">{}</time>')
    return words.format(_iso(first), start, _iso(last), _format_time(last))


@blueprint.app_template_filter("date")
def describe_date(day: date) -> str:
    """Format a date in full: ``4 May 2026``, ``4. Mai 2026``."""
    return format_date(day, "long", locale=get_format_locale())


@blueprint.app_template_filter("listed_day")
def describe_listed_day(moment: str) -> str:
    """Format the day of a time as OneDrive lists it: ``4 May 2026``."""
    return format_skeleton("yMMMd", date.fromisoformat(moment[:10]), locale=get_format_locale())


def describe_distance(seconds: float) -> str:
    """Format a distance in time: ``just now``, ``5 minutes ago``, ``in 2 days``.

    :param seconds: positive for the past.
    """
    size = abs(seconds)
    if size < 45:
        # A moment barely ahead was noted by a machine whose clock is fast.
        return str(_("just now") if seconds > -3 else _("in a moment"))
    unit = next(name for below, name in _STEPS if size < below)
    return format_timedelta(
        timedelta(seconds=-seconds),
        granularity=unit,
        # No larger unit than that one, however large the number.
        threshold=float("inf"),
        add_direction=True,
        locale=get_format_locale(),
    )


@blueprint.app_template_filter("duration")
def describe_duration(seconds: float) -> str:
    """Describe an estimate: ``a few seconds``, ``about 40 seconds``, ``about 3 hours``."""
    if seconds < 8:
        return str(_("a few seconds"))
    rounded = round(seconds, -1) if seconds < 100 else seconds
    # 90 seconds are not yet 2 minutes.
    text = format_timedelta(timedelta(seconds=rounded), threshold=1.6, locale=get_format_locale())
    return str(_("about %(duration)s", duration=text))


def list_currencies() -> dict[str, str]:
    """List the choices of a work's currency: code → name; "" for the hub's."""
    names = {
        code: f"{code} · {get_currency_name(code, locale=get_format_locale())}"
        for code in CURRENCIES
    }
    return {"": f"{get_settings().currency} · {_('The hub’s currency')}"} | names


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds")


def _format_time(moment: datetime) -> str:
    return f"{format_time(moment, 'HH:mm', locale=get_format_locale())} UTC"


def say(
    message: str,
    *,
    undo: str = "",
    link: tuple[str, str] | None = None,
    is_fault: bool = False,
    **fields: str,
) -> None:
    """Show a sentence as a toast on the next page.

    :param undo: the endpoint that undoes the act by POST; the toast then offers Undo.
    :param link: address and text of a link, which opens in a new tab.
    :param fields: form fields of that POST.
    """
    undo_url = url_for(undo) if undo else ""
    toast = {"text": translate(message), "undo_url": undo_url, "link": link, "fields": fields}
    flash(toast, "fault" if is_fault else "done")  # type: ignore[arg-type]


def link_gallery(
    session: Session, numbers: Sequence[int], *, is_all: bool = False
) -> tuple[str, str] | None:
    """Make the link of a toast to groups in the gallery; None if visitors see none of them.

    :param is_all: all groups of a list are meant, whose numbers are not known.
    """
    if is_all:
        return _link_front() if count_shown_groups(session) else None
    shown = list_shown(session, numbers, 2)
    if len(shown) != 1:
        return _link_front() if shown else None
    return url_for("gallery.show_group", number=shown[0]), _("View in gallery")


def _link_front() -> tuple[str, str]:
    return url_for("gallery.show_front"), _("View in gallery")


def return_refused(error: ImageHubError, url: str) -> ResponseReturnValue:
    """Redirect to a page that shows the error as a toast; a script gets the error itself."""
    if is_api_call():
        raise error
    say(error.sentence, is_fault=True)
    return redirect(url, 303)
