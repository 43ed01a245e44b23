"""The admin's first page (what needs attention, totals, running imports), and the activity log."""

import time

from flask import current_app, jsonify, render_template
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from imagehub.admin import blueprint
from imagehub.admin.connection_pages import is_root_given
from imagehub.admin.drive import open_drive
from imagehub.admin.words import describe_size
from imagehub.database import db, end_read
from imagehub.domain.imports import looks, reports
from imagehub.domain.library import likeness_index
from imagehub.domain.onedrive import status
from imagehub.domain.people import actions, audit
from imagehub.domain.site import overview, settings
from imagehub.errors import ImageHubError
from imagehub.models import AuditEntry
from imagehub.web.errors import on_refusal
from imagehub.web.forms import Form, find_number, read_query
from imagehub.web.i18n import format_number, ngettext, translate
from imagehub.wiring import get_clients, get_given_settings, get_settings

_TOTALS = "imagehub.totals"
_CACHE_SECONDS = 60.0


class LogQuery(Form):
    """``who``: name of a person; ``what``: a kind of things; ``before``: id of an entry."""

    who: str = ""
    what: str = ""
    before: str = ""


@blueprint.get("/admin/")
def show_home() -> ResponseReturnValue:
    """Show the state of the hub."""
    session = db.session()
    hub = overview.describe_hub(session, get_clients(), get_settings())
    return render_template(
        "admin/home.html",
        hub=hub,
        totals=_get_totals(),
        entries=audit.list_entries(session, limit=8).entries,
        is_root_given=is_root_given(),
        proposes_enquiries=settings.may_propose_enquiries(session, get_settings()),
        is_downloads_given="downloads" in get_given_settings().given,
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


def _answer_storage(_error: ImageHubError | None = None) -> ResponseReturnValue:
    quota = status.describe_connection(db.session(), get_clients()).quota
    return jsonify(
        {
            "total": quota.total_bytes or 0,
            "used": quota.used_bytes or 0,
            "words": describe_size(quota.used_bytes) if quota.used_bytes is not None else "—",
        }
    )


@blueprint.get("/admin/home/storage")
@on_refusal(_answer_storage)
def show_storage() -> ResponseReturnValue:
    """Ask OneDrive for its storage space, for the script of the page; else give what is known."""
    account_id, opened = open_drive()
    session = db.session()
    end_read(session)
    status.save_drive_facts(session, account_id, opened.get_drive())
    return _answer_storage()


@blueprint.get("/admin/home/jobs")
def list_running_jobs() -> ResponseReturnValue:
    """Answer the progress of the running imports, for the script of the page."""
    jobs = [
        {
            "id": job.id,
            "finished": job.finished_count,
            "total": job.item_count,
            "failed": job.failed_count,
            "words": describe_progress(job),
        }
        for job in reports.list_running_jobs(db.session())
    ]
    if progress := looks.find_progress(db.session()):
        words = describe_looks(progress)
        done, total = progress.done_count, progress.total_count
        # Imports are counted from 1.
        jobs.append({"id": 0, "finished": done, "total": total, "failed": 0, "words": words})
    if compared := likeness_index.find_progress(db.session()):
        words = describe_covers(compared)
        done, total = compared.done_count, compared.total_count
        jobs.append({"id": -1, "finished": done, "total": total, "failed": 0, "words": words})
    return jsonify({"jobs": jobs})


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


@blueprint.app_template_filter("looks_words")
def describe_looks(progress: looks.Progress) -> str:
    """Describe how far the hub has looked into originals: ``12 of 40 originals``."""
    return ngettext(
        "%(done)s of %(num)s original",
        "%(done)s of %(num)s originals",
        progress.total_count,
        done=format_number(progress.done_count),
    )


@blueprint.app_template_filter("covers_words")
def describe_covers(progress: likeness_index.Progress) -> str:
    """Describe how many works have been compared: ``12 of 40 works``."""
    return ngettext(
        "%(done)s of %(num)s work",
        "%(done)s of %(num)s works",
        progress.total_count,
        done=format_number(progress.done_count),
    )


# --- The activity log -----------------------------------------------------------------------------


@blueprint.app_template_filter("sentence")
def describe_entry(entry: AuditEntry) -> str:
    """Make the sentence of a log entry in the page's language."""
    return audit.describe(entry, translate)


@blueprint.get("/admin/activity")
def show_activity() -> ResponseReturnValue:
    """Show a page of the log, filtered by person and by area."""
    session, query = db.session(), read_query(LogQuery)
    kind = query.what if query.what in actions.KINDS else ""
    before = find_number(query.before)
    page = audit.list_entries(session, actor=query.who, kind=kind, before=before)
    return render_template(
        "admin/activity.html",
        page=page,
        actors=audit.list_actors(session),
        kinds=actions.KINDS,
        actor=query.who,
        kind=kind,
        before=before,
    )
