"""Facts as people say them, for the admin pages: sizes, moments, counts; and what was just done."""

import re
from datetime import datetime, timedelta

from flask import current_app, flash, url_for
from markupsafe import Markup

from imagehub.admin import blueprint
from imagehub.database import now_utc

# Embeddings and overrides, isolates, and the marks that count as letters of a direction.
_TURNS = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_UNITS = ("bytes", "kB", "MB", "GB", "TB", "PB")
# (below so many seconds, seconds in the unit, the unit)
_STEPS: tuple[tuple[float, float, str], ...] = (
    (3600, 60, "minute"),
    (86_400, 3600, "hour"),
    (14 * 86_400, 86_400, "day"),
    (60 * 86_400, 7 * 86_400, "week"),
    (730 * 86_400, 30.44 * 86_400, "month"),
    (float("inf"), 365.25 * 86_400, "year"),
)


@blueprint.app_template_filter("filesize")
def describe_size(size_bytes: float | None) -> str:
    """Bytes in the unit that suits, of 1,000 each as OneDrive and shops count: ``3.2 MB``."""
    if size_bytes is None:
        return "unknown"
    size, unit = float(size_bytes), 0
    while size >= 999.5 and unit < len(_UNITS) - 1:
        size, unit = size / 1000, unit + 1
    number = f"{size:.0f}" if unit == 0 or size >= 99.5 else f"{size:.1f}".removesuffix(".0")
    return f"{number}\N{NO-BREAK SPACE}{_UNITS[unit]}"


@blueprint.app_template_filter("shown")
def show_name(name: str) -> str:
    """A file's name as it may be shown: each invisible mark that turns the direction of reading,
    and would make ``gpj.exe`` look like ``exe.jpg``, is a replacement character instead.

    Source: Unicode Standard Annex 9, 2 (explicit directional formatting characters).
    """
    return _TURNS.sub("\N{REPLACEMENT CHARACTER}", name)


@blueprint.app_template_filter("ago")
def describe_moment(moment: datetime | None, never: str = "never") -> Markup | str:
    """A ``<time>``: how long ago or ahead, with the exact moment in its title."""
    if moment is None:
        return never
    words = describe_distance((now_utc() - moment).total_seconds())
    return Markup('<time datetime="{}" title="{}">{}</time>').format(
        moment.isoformat(timespec="seconds"), f"{moment:%-d %B %Y, %H:%M} UTC", words
    )


@blueprint.app_template_filter("logged")
def describe_logged(moment: datetime) -> Markup | str:
    """As ``ago`` within a day, then the day and the minute: a log is read to find out when."""
    if now_utc() - moment < timedelta(days=1):
        return describe_moment(moment)
    return Markup('<time datetime="{}">{}</time>').format(
        moment.isoformat(timespec="seconds"), f"{moment:%-d %b %Y, %H:%M} UTC"
    )


@blueprint.app_template_filter("day")
def describe_day(moment: datetime | None, never: str = "") -> Markup | str:
    """A ``<time>`` that shows the day: ``4 May 2026``."""
    if moment is None:
        return never
    return Markup('<time datetime="{}">{}</time>').format(
        moment.isoformat(timespec="seconds"), f"{moment:%-d %B %Y}"
    )


@blueprint.app_template_filter("counted")
def describe_count(count: int, one: str, many: str = "") -> str:
    """A number with its noun: ``1 image``, ``12,000 images``."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def describe_distance(seconds: float) -> str:
    """``just now``, ``5 minutes ago``, ``in 2 days``. Positive seconds lie behind us."""
    size = abs(seconds)
    if size < 45:
        # A moment barely ahead was noted by a machine whose clock is.
        return "just now" if seconds > -3 else "in a moment"
    unit_seconds, unit = next(step[1:] for step in _STEPS if size < step[0])
    count = max(1, round(size / unit_seconds))
    words = f"{count} {unit}" if count == 1 else f"{count} {unit}s"
    return f"{words} ago" if seconds > 0 else f"in {words}"


def say(
    message: str,
    *,
    undo: str = "",
    link: tuple[str, str] | None = None,
    is_fault: bool = False,
    **fields: str,
) -> None:
    """Show a sentence on the next page, as a toast.

    :param undo: endpoint that takes the step back by POST; the toast then offers Undo.
    :param link: address and words of a page outside that the toast leads to.
    :param fields: what that POST brings along.
    """
    undo_url = url_for(undo) if undo else ""
    toast = {"text": message, "undo_url": undo_url, "link": link, "fields": fields}
    flash(toast, "fault" if is_fault else "done")  # type: ignore[arg-type]


@blueprint.app_template_test("is_view")
def is_view(endpoint: str) -> bool:
    """Whether this hub has the endpoint: navigation shows what there is."""
    return endpoint in current_app.view_functions
