"""The page of an import: progress, failed files, and publishing its groups."""

from typing import Any

from flask import jsonify, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_login import current_user

from imagehub.admin import blueprint
from imagehub.admin.words import return_refused, say
from imagehub.database import db
from imagehub.domain.imports import dismissals, history, jobs, reports
from imagehub.domain.library import bulk
from imagehub.domain.library.bulk import BulkEdit
from imagehub.errors import ImageHubError
from imagehub.web import commit_action
from imagehub.web.access import is_api_call
from imagehub.web.errors import on_refusal
from imagehub.web.forms import Form, FormText, OptionalId, read_form
from imagehub.web.i18n import ngettext

_IMPORT = "/admin/import/<db_id:number>"


class FailedFields(Form):
    """``item``: only this failed file. ``origin``: the page to return to, if it is ``home``."""

    item: OptionalId("file") = None  # type: ignore[valid-type]
    origin: FormText = ""


@blueprint.get(_IMPORT)
def show_import(number: int) -> ResponseReturnValue:
    """Show the progress of an import."""
    return render_template("admin/import.html", **_describe_import(number))


@blueprint.get(f"{_IMPORT}/progress")
def show_import_progress(number: int) -> ResponseReturnValue:
    """Answer the progress as JSON: numbers, and the part of the page that shows them."""
    values = _describe_import(number)
    report = values["report"]
    return jsonify(
        {
            "state": report.state,
            "item_count": report.item_count,
            "done_count": report.done_count,
            "skipped_count": report.skipped_count,
            "failed_count": report.failed_count,
            "seconds_left": values["seconds_left"],
            "html": render_template("admin/_import_progress.html", **values),
        }
    )


@blueprint.post(f"{_IMPORT}/retry")
def retry_import(number: int) -> ResponseReturnValue:
    """Retry all failed files, or one."""
    fields = read_form(FailedFields)
    count = jobs.retry_items(db.session(), number, item_id=fields.item)
    return _answer_retry(number, count, fields)


@blueprint.post(f"{_IMPORT}/retry-dismissed")
def retry_dismissed(number: int) -> ResponseReturnValue:
    """Retry all dismissed files, or one."""
    fields = read_form(FailedFields)
    count = dismissals.retry_dismissed(db.session(), number, fields.item)
    return _answer_retry(number, count, fields)


def _answer_retry(number: int, count: int, fields: FailedFields) -> ResponseReturnValue:
    if count:
        commit_action("retry_import", number, count=count)
    if is_api_call():
        return jsonify({"count": count})
    if fields.origin == "home":
        say(_("Retrying the failed files.") if count else _("Nothing left to retry."))
    return _return_to_page(number, fields)


@blueprint.post(f"{_IMPORT}/dismiss")
def dismiss_failed(number: int) -> ResponseReturnValue:
    """Dismiss all failed files, or one."""
    fields = read_form(FailedFields)
    dismissed = dismissals.dismiss_failed(db.session(), number, current_user.id, fields.item)
    count = dismissed.item_count
    if count:
        commit_action("dismiss_files", number, count=count)
    if is_api_call():
        return jsonify({"count": count})
    words = ngettext("%(num)s file dismissed.", "%(num)s files dismissed.", count)
    say(words if count else _("Nothing left to dismiss."))
    if dismissed.group_count:
        words = ngettext(
            "%(num)s empty group moved to the trash.",
            "%(num)s empty groups moved to the trash.",
            dismissed.group_count,
        )
        say(words)
    return _return_to_page(number, fields)


def _return_to_page(number: int, fields: FailedFields) -> ResponseReturnValue:
    if fields.origin == "home":
        return redirect(url_for(".show_home"), 303)
    return redirect(url_for(".show_import", number=number), 303)


def _show_import_again(error: ImageHubError, number: int) -> ResponseReturnValue:
    jobs.get_job(db.session(), number)
    return return_refused(error, url_for(".show_import", number=number))


@blueprint.post(f"{_IMPORT}/publish")
@on_refusal(_show_import_again)
def publish_import(number: int) -> ResponseReturnValue:
    """Publish the groups that the import made as drafts and that hold images."""
    session = db.session()
    jobs.get_job(session, number)
    drafts = history.list_own_drafts(session, number, bulk.MAX_GROUPS)
    count = bulk.edit_groups(session, drafts, BulkEdit({"state": "published"}))
    if count:
        commit_action("publish_import", number, count=count)
    if is_api_call():
        return jsonify({"count": count})
    words = ngettext("%(num)s group published.", "%(num)s groups published.", count)
    say(words if count else _("Nothing left to publish."))
    return redirect(url_for(".show_import", number=number), 303)


def _describe_import(number: int) -> dict[str, Any]:
    session = db.session()
    report = reports.describe_job(session, number)
    groups, group_count = history.list_job_groups(session, number)
    # While the import runs a group would be published with half of its images.
    drafts = history.list_own_drafts(session, number, bulk.MAX_GROUPS) if report.is_finished else []
    return {
        "report": report,
        "is_stalled": reports.is_stalled(session, number),
        "groups": groups,
        "group_count": group_count,
        "drafts": drafts,
        "seconds_left": (
            None if report.is_finished else history.estimate_seconds_left(session, number)
        ),
    }
