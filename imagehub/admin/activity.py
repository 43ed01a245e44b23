"""The activity log: who did what, when and from where."""

from flask import render_template
from flask.typing import ResponseReturnValue

from imagehub.admin import blueprint
from imagehub.database import db
from imagehub.domain.people import actions, audit
from imagehub.models import AuditEntry
from imagehub.web.forms import Form, find_number, read_query
from imagehub.web.i18n import translate


class LogQuery(Form):
    """``who``: name of a person; ``what``: a kind of things; ``before``: id of an entry."""

    who: str = ""
    what: str = ""
    before: str = ""


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
