"""The address that OneDrive notifies of changes, see ``domain.sync.notifications``."""

from typing import Annotated

from flask import Response, request
from flask.typing import ResponseReturnValue
from pydantic import BaseModel, Field
from werkzeug.exceptions import BadRequest

from imagehub.admin import blueprint
from imagehub.database import db
from imagehub.domain.sync import notifications
from imagehub.domain.sync.notifications import Note
from imagehub.errors import NotFoundError
from imagehub.web.forms import read_json

# The service's tokens have about a hundred characters.
_MAX_TOKEN_CHARS = 1000
_MAX_NOTES = 500


class _Notification(BaseModel):
    """Names and limits are those of Microsoft Graph's "changeNotification"."""

    client_state: Annotated[str, Field(alias="clientState", max_length=128)] = ""
    event: Annotated[str, Field(alias="lifecycleEvent", max_length=64)] = ""


class _Notifications(BaseModel):
    value: Annotated[list[_Notification], Field(max_length=_MAX_NOTES)]


@blueprint.post("/onedrive/notifications/<key>")
def receive_notifications(key: str) -> ResponseReturnValue:
    """Return the token of a handshake that is expected, or take notifications.

    Anyone may call it: the random address and the secret in each notification tell OneDrive's from
    others.
    """
    session = db.session()
    token = request.args.get("validationToken")
    if token is None:
        found = read_json(_Notifications).value
        notes = [Note(one.client_state, one.event) for one in found]
        notifications.receive(session, key, notes)
        session.commit()
        return Response(status=202)
    if not notifications.expects_handshake(session, key):
        raise NotFoundError("subscription", "")
    if len(token) > _MAX_TOKEN_CHARS:
        raise BadRequest
    return Response(token, mimetype="text/plain", headers={"Cache-Control": "no-store"})


# A service calls it, not a form.
receive_notifications.is_api = True  # type: ignore[attr-defined]
