"""Decide who may call an endpoint, and check the CSRF token."""

from typing import Any, cast
from urllib.parse import unquote, urlsplit

from flask import Response, current_app, redirect, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_login import LoginManager, current_user, decode_cookie, encode_cookie, logout_user
from flask_wtf.csrf import CSRFProtect
from werkzeug.exceptions import MethodNotAllowed

from imagehub.errors import NotAllowedError
from imagehub.web.cookies import REMEMBER, read_cookie, set_cookie
from imagehub.web.public_path import get_here
from imagehub.wiring import get_signing_keys

# The endpoints that need no sign-in. All others need a signed-in admin (pages) or a bearer token
# (calls of the JSON API); a test walks the URL map.
PUBLIC_ENDPOINTS = frozenset(
    {
        "static",
        "openapi.show_document",
        "web.send_asset",
        "web.show_health",
        "web.show_alive",
        "web.show_ready",
        "web.show_metrics",
        "auth.sign_in",
        "auth.try_sign_in",
        "auth.ask_code",
        "auth.try_code",
        "auth.sign_out",
        "auth.api_sign_in",
        "gallery.api_page",
        "gallery.api_price",
        "gallery.api_total_page",
        "gallery.api_group",
        "gallery.api_image",
        "gallery.api_download",
        "gallery.show_front",
        "gallery.show_page",
        "gallery.api_pages",
        "gallery.api_series",
        "gallery.api_series_page",
        "gallery.api_filters",
        "gallery.api_works",
        "gallery.api_similar",
        "gallery.api_text_page",
        "gallery.show_group",
        "gallery.show_shot",
        "gallery.show_media",
        "gallery.show_tile",
        "gallery.show_tile_info",
        "gallery.show_tile_service",
        "gallery.show_work_manifest",
        "gallery.show_true_size",
        "gallery.show_series_collection",
        "gallery.show_series_stretch",
        "gallery.show_full_image",
        "gallery.play_video",
        "gallery.download_zip",
        "gallery.search",
        "gallery.suggest",
        "gallery.show_tags",
        "gallery.show_tag",
        "gallery.show_series",
        "gallery.show_one_series",
        "gallery.show_series_feed",
        "gallery.show_feed",
        "gallery.show_oembed",
        "gallery.show_group_embed",
        "gallery.show_series_embed",
        "gallery.show_robots",
        "gallery.show_sitemap",
        "gallery.show_sitemap_page",
        "gallery.show_share",
        "gallery.show_shared_part",
        "gallery.show_shared_work",
        "gallery.show_shared_media",
        "gallery.show_shared_tile",
        "gallery.unlock_share",
        "gallery.download_shared",
        "gallery.play_shared",
        "gallery.mark_shared_work",
        "gallery.show_shared_list",
        "gallery.save_shared_list",
        "gallery.send_shared_list",
        "gallery.show_list_sent",
        "gallery.show_contact",
        "gallery.send_contact",
        "gallery.show_enquire",
        "gallery.send_enquiry",
        "gallery.show_sent",
        "gallery.show_logo",
        "gallery.show_manifest",
        "gallery.show_offline",
        "gallery.show_service_worker",
        "gallery.set_preferences",
        "admin.receive_notifications",
    }
)

# Public endpoints whose responses depend only on the address, the public tables, the settings, and
# the visitor's language and theme: they may be kept for other visitors (see ``web.page_cache``).
KEPT_ENDPOINTS = frozenset(
    {
        "gallery.api_download",
        "gallery.api_group",
        "gallery.api_image",
        "gallery.api_page",
        "gallery.api_price",
        "gallery.api_total_page",
        "gallery.search",
        "gallery.show_feed",
        "gallery.show_front",
        "gallery.show_page",
        "gallery.api_pages",
        "gallery.api_series",
        "gallery.api_series_page",
        "gallery.api_filters",
        "gallery.api_works",
        "gallery.api_similar",
        "gallery.api_text_page",
        "gallery.show_group",
        "gallery.show_shot",
        "gallery.show_sitemap",
        "gallery.show_sitemap_page",
        "gallery.show_tag",
        "gallery.show_series",
        "gallery.show_one_series",
        "gallery.show_series_feed",
        "gallery.show_series_collection",
        "gallery.show_series_stretch",
        "gallery.show_tags",
        "gallery.show_group_embed",
        "gallery.show_series_embed",
        "gallery.show_work_manifest",
        "gallery.show_true_size",
    }
)

# Pages that other sites may frame: they are the same for everybody and set no cookie.
FRAMED_ENDPOINTS = frozenset({"gallery.show_group_embed", "gallery.show_series_embed"})

# Public endpoints that may read the replica if nobody is signed in (see ``web.replica``): they read
# public tables and the settings only, and write nothing.
REPLICA_ENDPOINTS = KEPT_ENDPOINTS | {
    "gallery.show_media",
    "gallery.show_oembed",
    "gallery.show_tile",
    "gallery.show_tile_info",
    "gallery.show_tile_service",
    "gallery.suggest",
}

# These work without the database.
WITHOUT_DATABASE = frozenset(
    {"static", "web.send_asset", "web.show_health", "web.show_alive", "web.show_ready"}
)


class _RememberedLogins(LoginManager):  # type: ignore[misc]
    """Flask-Login, whose remember-me cookies stay valid while the secret key is changed."""

    def _load_user_from_remember_cookie(self, cookie: str) -> Any:
        content = _read_remembered(cookie)
        # Flask-Login checks it with the current key.
        return super()._load_user_from_remember_cookie(encode_cookie(content) if content else "")

    def _update_remember_cookie(self, response: Response) -> Response:
        """Sign a cookie of a former key again, with pages only like the session's cookie."""
        cookie = read_cookie(REMEMBER) if request.endpoint not in FRAMED_ENDPOINTS else ""
        if cookie and response.mimetype == "text/html" and decode_cookie(cookie) is None:
            content = _read_remembered(cookie)
            if content and content == session.get("_user_id"):
                session.setdefault("_remember", "set")
        return cast("Response", super()._update_remember_cookie(response))


def _read_remembered(cookie: str) -> str:
    """Return the content of a remember-me cookie; "" if none of our keys has signed it."""
    found = (decode_cookie(cookie, key=key) for key in get_signing_keys().all)
    return next((content for content in found if content), "")


csrf = CSRFProtect()
login_manager = _RememberedLogins()


# --- Access ---------------------------------------------------------------------------------------


def find_view() -> Any:
    """Find the view of this address, even if it does not accept the request's method.

    The attributes ``is_api`` and ``checks_token`` tell its kind.
    """
    endpoint = request.endpoint
    refused = request.routing_exception
    if endpoint is None and isinstance(refused, MethodNotAllowed) and refused.valid_methods:
        adapter = current_app.create_url_adapter(request)
        if adapter is not None:
            endpoint = adapter.match(method=next(iter(refused.valid_methods)))[0]
    return current_app.view_functions.get(endpoint or "")


def is_api_call() -> bool:
    """Tell whether the answer should be JSON, by the view or the Accept header."""
    if getattr(find_view(), "is_api", False):
        return True
    best = request.accept_mimetypes.best_match(["text/html", "application/json"])
    return best == "application/json" and "text/html" not in request.headers.get("Accept", "")


def check_access() -> ResponseReturnValue | None:
    endpoint = request.endpoint
    if endpoint is None or endpoint in PUBLIC_ENDPOINTS or request.method == "OPTIONS":
        return None
    view = current_app.view_functions[endpoint]
    # The wrapper around a call of the JSON API checks the bearer token.
    if getattr(view, "checks_token", False) or current_user.is_authenticated:
        return None
    if request.method in ("GET", "HEAD"):
        return redirect(url_for("auth.sign_in", next=get_here()))
    raise NotAllowedError("Please sign in first.")


def check_csrf() -> None:
    """Check the CSRF token that forms and scripts of our own pages send.

    Calls of the JSON API need none: no cookie authorises them, so other sites cannot forge them.
    """
    if request.endpoint is not None and not getattr(find_view(), "is_api", False):
        csrf.protect()


def get_local_target(target: str, home: str = "") -> str:
    """Return ``target`` if it is an address below the hub's path, else ``home``.

    Refuses what browsers could read as another host: a scheme, ``//host``, ``/\\host``, and control
    characters, which browsers drop before they parse an address. Refuses ``..`` too, which would
    lead out of the path.

    :param home: by default the first admin page.
    """
    home = home or url_for("admin.show_home")
    if not target.startswith(f"{request.script_root}/") or len(target) > 2000:
        return home
    if target.startswith(("//", "/\\")) or any(ord(char) < 0x20 or char == "\\" for char in target):
        return home
    parts = urlsplit(target)
    # Browsers decode dots before they resolve them.
    has_dots = ".." in unquote(parts.path).split("/")
    return home if parts.scheme or parts.netloc or has_dots else target


def is_signed_in() -> bool:
    """Tell whether the session names a person, without using the database."""
    return "_user_id" in session


def sign_out_browser(response: Response) -> None:
    """Clear the cookie of this browser's session, and delete the remember-me cookie."""
    logout_user()
    # Flask-Login would delete its cookie without "Secure", which browsers ignore for its name.
    session.clear()
    if read_cookie(REMEMBER):
        set_cookie(response, REMEMBER, "", 0)
