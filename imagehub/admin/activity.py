"""The log: who did what, when and from where."""

from flask import render_template, request
from flask.typing import ResponseReturnValue

from imagehub.admin import blueprint
from imagehub.database import db
from imagehub.domain.people import audit


@blueprint.get("/admin/activity")
def show_activity() -> ResponseReturnValue:
    """A page of the log, filtered by who and by what."""
    session = db.session()
    actor = request.args.get("who", "")
    kind = request.args.get("what", "")
    if kind not in audit.KINDS:
        kind = ""
    before = request.args.get("before", type=int)
    page = audit.list_entries(session, actor=actor, kind=kind, before=before)
    return render_template(
        "admin/activity.html",
        page=page,
        actors=audit.list_actors(session),
        kinds=audit.KINDS,
        actor=actor,
        kind=kind,
        before=before,
    )
