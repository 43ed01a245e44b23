"""Serve the hub below the path of its public address.

The path is that of PUBLIC_URL, whatever a request says. A proxy may pass on the whole path or
remove it: either way views see the path in ``SCRIPT_NAME`` and the rest in ``PATH_INFO``, so
``url_for`` makes addresses below it, and the page cache keeps each page once.

So it is with a look that an admin tries out, such as ``/preview/layout=rows,logo=1/groups/12``: it
becomes a part of ``SCRIPT_NAME``, so all links of a page keep it (see ``web.preview``).
"""

import re
import string
from collections.abc import Iterable
from typing import TYPE_CHECKING
from urllib.parse import quote

from flask import Flask, request

from imagehub.config import PREFIX, Settings, SettingsError
from imagehub.config_values import read_url_path
from imagehub.wiring import get_settings

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

# What needs no quoting in a path. Source: RFC 3986, section 3.3.
_PATH_CHARS = "/!$&'()*+,;=:@"
# Key of the WSGI environment: the part of the address with a look to try out.
_PREVIEW = "imagehub.preview"
_PREVIEW_PATH = re.compile(r"/preview/[a-z0-9_=,-]+(?=/)")


class PublicPath:
    """WSGI middleware that separates the public path from the rest of the address."""

    def __init__(self, wsgi_app: "WSGIApplication", settings: Settings) -> None:
        self._wsgi_app = wsgi_app
        self._path = settings.public_path
        self._believes_header = settings.proxy_prefix

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        # Servers fill SCRIPT_NAME from the request or their own settings.
        address = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
        path = _read_prefix(environ) if self._believes_header else self._path
        if path and address == path:  # Outside of the service worker's scope.
            query = environ.get("QUERY_STRING", "")
            location = f"{path}/?{query}" if query else f"{path}/"
            start_response("308 Permanent Redirect", [("Location", location)])
            return ()
        if path and address.startswith(f"{path}/"):
            address = address[len(path) :]
        if found := _PREVIEW_PATH.match(address):
            environ[_PREVIEW] = found[0]
            path, address = path + found[0], address[found.end() :]
        environ["SCRIPT_NAME"], environ["PATH_INFO"] = path, address
        return self._wsgi_app(environ, start_response)


def _read_prefix(environ: "WSGIEnvironment") -> str:
    """Return the path of X-Forwarded-Prefix, "" if that is anything but a plain path.

    Of several values the last one counts, which the nearest proxy has added.
    """
    try:
        return read_url_path(environ.get("HTTP_X_FORWARDED_PREFIX", "").rpartition(",")[2].strip())
    except ValueError:
        return ""


def check_public_path(app: Flask) -> None:
    """Refuse a path that looks like an address of the hub itself.

    ``/admin/drive`` could then be the hub's own address, or the drive page without a path that the
    proxy did not remove.

    :raise SettingsError: PUBLIC_URL has such a path.
    """
    path = get_settings(app).public_path
    own = {rule.rule.split("/")[1] for rule in app.url_map.iter_rules()} - {""}
    if path and (first := path.split("/")[1]) in own:
        raise SettingsError(
            f"These settings cannot be used:\n  {PREFIX}PUBLIC_URL: the hub has addresses of its "
            f"own below /{first}; use another path"
        )


def make_preview_url(look: str) -> str:
    """Return the address of the front page with a look to try out, as in an address."""
    return f"{leave_preview(request.script_root)}/preview/{look}/"


def find_preview() -> str | None:
    """Return the look that this request's address tries out, as written; None for none."""
    found = request.environ.get(_PREVIEW)
    return None if found is None else str(found).rpartition("/")[2]


def leave_preview(path: str) -> str:
    """Return an address of this hub without the look that is tried out."""
    part = request.environ.get(_PREVIEW)
    if part is None or not path.startswith(request.script_root):
        return path
    return request.script_root.removesuffix(part) + path.removeprefix(request.script_root)


def keep_preview(html: str) -> str:
    """Have written links to pages of this hub keep the look, and others open tabs of their own."""
    part = request.environ.get(_PREVIEW)
    if part is None:
        return html
    root = request.script_root.removesuffix(part)
    html = re.sub(rf'href="{re.escape(root)}/(?!preview/)', f'href="{root}{part}/', html)
    return re.sub(r'<a (?=href="https?:)', '<a target="_blank" ', html)


def get_here() -> str:
    """Return path and query of this request's address, with the public path."""
    query = quote(request.query_string, safe=string.punctuation)
    path = quote(request.script_root + request.path, safe=_PATH_CHARS)
    return f"{path}?{query}" if query else path
