"""Name, set and read the hub's cookies.

Over https all names begin with a prefix that browsers enforce. ``__Host-`` allows only cookies that
this host itself set over https for all of its paths, so neither plain http nor another host of the
domain can plant one. A hub below a path needs ``__Secure-``, which only keeps out plain http.
Source: draft-ietf-httpbis-rfc6265bis, section 4.1.3.
"""

from flask import request
from werkzeug.wrappers import Response

from imagehub.config import Settings
from imagehub.wiring import get_settings

SESSION = "hub"
REMEMBER = "remember_token"


def make_cookie_name(settings: Settings, name: str) -> str:
    return settings.cookie_prefix + name


def read_cookie(name: str) -> str:
    """Return a cookie of this request by its name without prefix; "" if there is none."""
    return request.cookies.get(make_cookie_name(get_settings(), name), "")


def set_cookie(
    response: Response, name: str, value: str, seconds: int, *, is_for_scripts: bool = False
) -> None:
    """Set a cookie for the whole hub.

    :param name: without prefix.
    :param seconds: how long browsers keep it; 0 deletes it.
    :param is_for_scripts: scripts of our pages read it or set it too.
    """
    settings = get_settings()
    # A deletion needs the attributes too: browsers ignore prefixed names without them.
    response.set_cookie(
        make_cookie_name(settings, name),
        value,
        max_age=seconds,
        path=settings.cookie_path,
        secure=settings.is_https,
        httponly=not is_for_scripts,
        samesite="Lax",
    )
