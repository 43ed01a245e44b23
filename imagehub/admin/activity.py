"""The log: who did what, when and from where."""

from flask import render_template, request
from flask.typing import ResponseReturnValue

from imagehub.admin import blueprint
from imagehub.database import db
from imagehub.domain.people import actions, audit
from imagehub.models import AuditEntry
from imagehub.web.i18n import translate


@blueprint.app_template_filter("sentence")
def describe_entry(entry: AuditEntry) -> str:
    """Make the sentence of a log entry in the page's language."""
    return audit.describe(entry, translate)


@blueprint.get("/admin/activity")
def show_activity() -> ResponseReturnValue:
    """A page of the log, filtered by who and by what."""
    session = db.session()
    actor = request.args.get("who", "")
    kind = request.args.get("what", "")
    if kind not in actions.KINDS:
        kind = ""
    before = request.args.get("before", type=int)
    page = audit.list_entries(session, actor=actor, kind=kind, before=before)
    return render_template(
        "admin/activity.html",
        page=page,
        actors=audit.list_actors(session),
        kinds=actions.KINDS,
        actor=actor,
        kind=kind,
        before=before,
    )
