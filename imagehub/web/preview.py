"""Show admins all public pages with a look that is only tried out.

The look is a part of the address and nothing is stored: tabs do not disturb each other, pages
without scripts keep it, and visitors cannot be sent to it, since it requires a sign-in.
"""

from collections.abc import Mapping

from flask import Response, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from imagehub.domain.site.look import choose_look
from imagehub.errors import NotAllowedError
from imagehub.web.access import PUBLIC_ENDPOINTS
from imagehub.web.headers import let_own_pages_frame
from imagehub.web.look import try_look
from imagehub.web.public_path import find_preview, get_here, leave_preview
from imagehub.wiring import get_settings

# The look as it is saved.
_SAVED = "saved"


def write_look(texts: Mapping[str, str]) -> str:
    """Write what is chosen (setting → text) as a part of an address."""
    return ",".join(f"{name}={text}" for name, text in texts.items()) or _SAVED


def begin_preview() -> ResponseReturnValue | None:
    """Give this request's page the look of its address; only admins see it."""
    look = find_preview()
    if look is None:
        return None
    is_public = request.endpoint is None or request.endpoint in PUBLIC_ENDPOINTS
    if not is_public or request.blueprint == "auth" or not current_user.is_authenticated:
        if request.method not in ("GET", "HEAD"):
            raise NotAllowedError("Please sign in first.")
        if is_public and request.blueprint != "auth":
            return redirect(leave_preview(url_for("auth.sign_in", next=get_here())))
        # Admin pages have one look.
        return redirect(leave_preview(get_here()))
    pairs = (part.partition("=") for part in look.split(","))
    try_look(choose_look(get_settings(), {name: text for name, _, text in pairs}))
    let_own_pages_frame()
    return None


def finish_preview(response: Response) -> Response:
    """Have nobody keep or index what shows a look that is tried out."""
    if find_preview() is not None:
        response.headers["Cache-Control"] = "private, no-store"
        response.headers["X-Robots-Tag"] = "noindex"
    return response
