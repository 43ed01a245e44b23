"""The list of imports, import plans before their board, and the page of an import."""

from typing import Any

from flask import jsonify, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_login import current_user
from pydantic import Field

from imagehub.admin import act, blueprint
from imagehub.admin.words import link_gallery, return_refused, say
from imagehub.database import db
from imagehub.domain.imports import dismissals, jobs, plans, reports
from imagehub.domain.imports.reading import read_plan
from imagehub.domain.library import bulk, private_data
from imagehub.domain.library.bulk import BulkEdit
from imagehub.domain.library.choices import find_group
from imagehub.domain.onedrive import accounts
from imagehub.errors import (
    ConflictError,
    ConnectionLostError,
    ImageHubError,
    InvalidInputError,
    ServiceError,
)
from imagehub.models import ImportPlanFile
from imagehub.web import commit_action
from imagehub.web.access import is_api_call
from imagehub.web.forms import (
    Checkbox,
    Form,
    FormText,
    FormTexts,
    OptionalId,
    read_form,
    read_query,
)
from imagehub.web.i18n import ngettext, translate
from imagehub.wiring import get_clients, get_settings

_IMPORT = "/admin/import/<db_id:number>"
# How long one request reads OneDrive. Without a script a person presses a button for each request.
_FIRST_READ_SECONDS = 6.0
_READ_SECONDS = 2.0
_READ_SECONDS_WITHOUT_SCRIPT = 15.0


class ImportsQuery(Form):
    before: OptionalId("page") = None  # type: ignore[valid-type]
    plan_before: OptionalId("page") = None  # type: ignore[valid-type]


class NewPlanFields(Form):
    """``item``: files and folders; without any, or with ``all``, the ``folder`` ids are read.
    ``group``: the group to add all images to, if it is known already."""

    item: FormTexts = Field(default_factory=list)
    folder: FormTexts = Field(default_factory=list)
    all: Checkbox = False
    group: FormText = ""


class FailedFields(Form):
    """``item``: only this failed file. ``origin``: the page to return to, if it is ``home``."""

    item: OptionalId("file") = None  # type: ignore[valid-type]
    origin: FormText = ""


@blueprint.get("/admin/import")
def show_imports() -> ResponseReturnValue:
    """Show open plans and all imports, newest first."""
    query = read_query(ImportsQuery)
    session = db.session()
    imports = reports.list_imports(session, query.before)
    open_plans = [] if query.before else plans.list_open_plans(session, query.plan_before)
    plan_ids = [plan.id for plan in open_plans]
    sources = reports.find_sources(session, ImportPlanFile.plan_id, plan_ids)
    has_more_plans = len(plan_ids) == plans.PLANS_PER_PAGE
    has_more_imports = len(imports) == reports.IMPORTS_PER_PAGE
    return render_template(
        "admin/imports.html",
        plans=[
            (plan, plans.describe_plan(session, plan), sources.get(plan.id)) for plan in open_plans
        ],
        next_plan_before=plan_ids[-1] if has_more_plans else None,
        plan_before=query.plan_before,
        imports=imports,
        next_before=imports[-1].job.id if has_more_imports else None,
        before=query.before,
    )


# --- Plans ----------------------------------------------------------------------------------------


def _show_drive_again(error: ImageHubError) -> ResponseReturnValue:
    folder = read_form(NewPlanFields).folder
    return return_refused(error, url_for(".show_drive", item_id=folder[0] if folder else None))


@act("/admin/import/plan", _show_drive_again, InvalidInputError)
def plan_import() -> ResponseReturnValue:
    """Create a plan of what was selected in OneDrive, and begin to read it."""
    fields = read_form(NewPlanFields)
    items = [] if fields.all else fields.item
    folders = [] if items else [one for one in fields.folder if one]
    session = db.session()
    account = accounts.get_active_account(session)
    target = find_group(session, fields.group)
    plan_id = plans.create_plan(session, account.id, current_user.id, folders, items, target).id
    session.commit()
    try:
        _read_on(plan_id, _FIRST_READ_SECONDS)
    except ImageHubError as error:
        say(_("%(fault)s The plan is kept.", fault=translate(error.sentence)), is_fault=True)
    url = url_for(".show_import_plan", number=plan_id)
    return jsonify({"plan": plan_id, "url": url}) if is_api_call() else redirect(url, 303)


def _show_plan_again(error: ImageHubError, number: int) -> ResponseReturnValue:
    return return_refused(error, url_for(".show_import_plan", number=number))


@act("/admin/import/plans/<db_id:number>/read", _show_plan_again, ConflictError, InvalidInputError)
def read_import_plan(number: int) -> ResponseReturnValue:
    """Read on in OneDrive for a moment; a failure that may pass is told in the answer."""
    fault = ""
    try:
        _read_on(number, _READ_SECONDS if is_api_call() else _READ_SECONDS_WITHOUT_SCRIPT)
    except (ConnectionLostError, ServiceError) as error:
        fault = translate(error.sentence)
    if is_api_call():
        session = db.session()
        plan = plans.get_plan(session, number)
        count = plans.describe_plan(session, plan).file_count
        words = ngettext("%(num)s file found so far", "%(num)s files found so far", count)
        return jsonify({"is_read": plan.state != "reading", "words": words, "fault": fault})
    if fault:
        say(fault, is_fault=True)
    return redirect(url_for(".show_import_plan", number=number), 303)


def _read_on(plan_id: int, seconds: float) -> None:
    read_plan(db.session(), get_clients(), plan_id, get_settings().max_original_bytes, seconds)


@blueprint.post("/admin/import/plans/<db_id:number>/delete")
def discard_import_plan(number: int) -> ResponseReturnValue:
    """Discard a plan that was not started."""
    session = db.session()
    plan = plans.get_plan(session, number)
    if plan.state != "started":
        plans.discard_plan(session, plan)
        session.commit()
        say(_("Plan discarded. Nothing was changed in OneDrive or in the library."))
    return redirect(url_for(".show_imports"), 303)


# --- The page of an import: progress, failed files, publishing ------------------------------------


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
            "next_try_seconds": values["next_try_seconds"],
            "html": render_template("admin/_import_progress.html", **values),
        }
    )


@blueprint.post(f"{_IMPORT}/retry")
def retry_import(number: int) -> ResponseReturnValue:
    """Retry all failed files, or one."""
    fields = read_form(FailedFields)
    count = jobs.retry_items(db.session(), number, item_id=fields.item)
    return _answer_retry(number, count, fields)


@blueprint.post(f"{_IMPORT}/import-anyway")
def import_anyway(number: int) -> ResponseReturnValue:
    """Import failed files that are not as OneDrive lists them, or one of them."""
    fields = read_form(FailedFields)
    count = jobs.retry_items(db.session(), number, item_id=fields.item, accepts_mismatch=True)
    if count:
        commit_action("import_anyway", number, count=count)
    if is_api_call():
        return jsonify({"count": count})
    return _return_to_page(number, fields)


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


@act(f"{_IMPORT}/publish", _show_import_again)
def publish_import(number: int) -> ResponseReturnValue:
    """Publish the groups that the import made as drafts and that hold images."""
    session = db.session()
    jobs.get_job(session, number)
    drafts = reports.list_own_drafts(session, number, bulk.MAX_GROUPS)
    count = bulk.edit_groups(session, drafts, BulkEdit({"state": "published"}))
    if count:
        commit_action("publish_import", number, count=count)
    if is_api_call():
        return jsonify({"count": count})
    words = ngettext("%(num)s group published.", "%(num)s groups published.", count)
    say(words if count else _("Nothing left to publish."), link=link_gallery(session, drafts))
    return redirect(url_for(".show_import", number=number), 303)


def _describe_import(number: int) -> dict[str, Any]:
    session = db.session()
    report = reports.describe_job(session, number)
    groups, group_count = reports.list_job_groups(session, number)
    # While the import runs a group would be published with half of its images.
    drafts = reports.list_own_drafts(session, number, bulk.MAX_GROUPS) if report.is_finished else []
    return {
        "report": report,
        "is_stalled": reports.is_stalled(session, number),
        "groups": groups,
        "group_count": group_count,
        "drafts": drafts,
        "private_counts": private_data.count_found(session, number),
        "next_try_seconds": (
            None if report.is_finished else reports.find_next_try(session, number)
        ),
        "seconds_left": (
            None if report.is_finished else reports.estimate_seconds_left(session, number)
        ),
    }
