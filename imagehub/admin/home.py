"""The admin's first page: what needs attention, totals, running imports, recent activity."""

import time
from typing import Any

from flask import current_app, jsonify, render_template
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from imagehub.admin import blueprint
from imagehub.admin.connection_pages import is_root_given
from imagehub.database import db
from imagehub.domain.imports import reports
from imagehub.domain.people import audit
from imagehub.domain.site import overview
from imagehub.web.i18n import format_number, ngettext, translate
from imagehub.wiring import get_clients, get_settings

_LATEST = 8
_TOTALS = "imagehub.totals"
_CACHE_SECONDS = 60.0


@blueprint.get("/admin/")
def show_home() -> ResponseReturnValue:
    """Show the state of the hub."""
    session = db.session()
    hub = overview.describe_hub(
        session, get_clients(), has_secret=bool(get_settings().ms_client_secret)
    )
    return render_template(
        "admin/home.html",
        hub=hub,
        totals=_get_totals(),
        has_client_id=bool(get_settings().ms_client_id),
        entries=audit.list_entries(session, limit=_LATEST).entries,
        max_counted=overview.MAX_COUNTED,
        is_root_given=is_root_given(),
    )


def _get_totals() -> overview.Totals:
    """Measure the totals; those of a large library are cached for a minute."""
    session = db.session()
    if not overview.is_large(session):
        return overview.measure_totals(session)
    cached: tuple[float, overview.Totals] | None = current_app.extensions.get(_TOTALS)
    if cached is None or time.monotonic() - cached[0] > _CACHE_SECONDS:
        cached = (time.monotonic(), overview.measure_totals(session))
        current_app.extensions[_TOTALS] = cached
    return cached[1]


@blueprint.get("/admin/home/jobs")
def list_running_jobs() -> ResponseReturnValue:
    """Answer the progress of the running imports, for the script of the page."""
    jobs = reports.list_running_jobs(db.session())
    return jsonify({"jobs": [_make_job(job) for job in jobs]})


def _make_job(job: reports.JobReport) -> dict[str, Any]:
    return {
        "id": job.id,
        "finished": job.finished_count,
        "total": job.item_count,
        "failed": job.failed_count,
        "words": describe_progress(job),
    }


@blueprint.app_template_filter("progress_words")
def describe_progress(job: reports.JobReport) -> str:
    """Describe the progress of an import: ``12 of 40 files, 1 failed. Waiting: …``."""
    words = ngettext(
        "%(done)s of %(num)s file",
        "%(done)s of %(num)s files",
        job.item_count,
        done=format_number(job.finished_count),
    )
    if job.failed_count:
        words += ", " + _("%(count)s failed", count=format_number(job.failed_count))
    if job.waiting_reason and not job.running_count:
        words += ". " + _("Waiting: %(reason)s", reason=translate(job.waiting_reason))
    return words
