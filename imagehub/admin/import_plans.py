"""The list of imports, and import plans: create, read on, discard."""

from flask import jsonify, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_login import current_user
from pydantic import Field

from imagehub.admin import blueprint
from imagehub.admin.words import return_refused, say
from imagehub.database import db
from imagehub.domain.imports import history, plans
from imagehub.domain.imports.reading import read_plan
from imagehub.domain.library import listing
from imagehub.domain.onedrive import accounts
from imagehub.errors import (
    ConflictError,
    ConnectionLostError,
    ImageHubError,
    InvalidInputError,
    ServiceError,
)
from imagehub.models import ImportPlanFile
from imagehub.web.access import is_api_call
from imagehub.web.errors import on_refusal
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


@blueprint.get("/admin/import")
def show_imports() -> ResponseReturnValue:
    """Show open plans and all imports, newest first."""
    query = read_query(ImportsQuery)
    session = db.session()
    imports = history.list_imports(session, query.before)
    open_plans = [] if query.before else plans.list_open_plans(session, query.plan_before)
    sources = history.find_sources(
        session, ImportPlanFile.plan_id, [plan.id for plan in open_plans]
    )
    has_more_plans = len(open_plans) == plans.PLANS_PER_PAGE
    has_more_imports = len(imports) == history.IMPORTS_PER_PAGE
    return render_template(
        "admin/imports.html",
        plans=[
            (plan, plans.describe_plan(session, plan), sources.get(plan.id)) for plan in open_plans
        ],
        next_plan_before=open_plans[-1].id if has_more_plans else None,
        plan_before=query.plan_before,
        imports=imports,
        next_before=imports[-1].job.id if has_more_imports else None,
        before=query.before,
    )


def _show_drive_again(error: ImageHubError) -> ResponseReturnValue:
    folder = read_form(NewPlanFields).folder
    return return_refused(error, url_for(".show_drive", item_id=folder[0] if folder else None))


@blueprint.post("/admin/import/plan")
@on_refusal(_show_drive_again, InvalidInputError)
def plan_import() -> ResponseReturnValue:
    """Create a plan of what was selected in OneDrive, and begin to read it."""
    fields = read_form(NewPlanFields)
    items = [] if fields.all else fields.item
    folders = [] if items else [one for one in fields.folder if one]
    session = db.session()
    account = accounts.get_active_account(session)
    target = listing.find_group(session, fields.group)
    plan_id = plans.create_plan(session, account.id, current_user.id, folders, items, target).id
    session.commit()
    try:
        _read_on(plan_id, _FIRST_READ_SECONDS)
    except ImageHubError as error:
        fault = translate(error.sentence)
        say(_("%(fault)s The plan is kept.", fault=fault), is_fault=True)
    url = url_for(".show_import_plan", number=plan_id)
    return jsonify({"plan": plan_id, "url": url}) if is_api_call() else redirect(url, 303)


def _show_plan_again(error: ImageHubError, number: int) -> ResponseReturnValue:
    return return_refused(error, url_for(".show_import_plan", number=number))


@blueprint.post("/admin/import/plans/<db_id:number>/read")
@on_refusal(_show_plan_again, ConflictError, InvalidInputError)
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
    limit = get_settings().max_original_bytes
    read_plan(db.session(), get_clients(), plan_id, limit, seconds)


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
