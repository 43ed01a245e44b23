"""What every response shares: who may see it, headers, CORS, CSRF, errors, a request id."""

import gzip
import hashlib
import logging
import secrets
from datetime import timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from flask import (
    Flask,
    Response,
    current_app,
    g,
    jsonify,
    redirect,
    request,
    send_from_directory,
    session,
    url_for,
)
from flask.sessions import SecureCookieSessionInterface, SessionMixin
from flask.typing import ResponseReturnValue
from flask_login import LoginManager, current_user
from flask_wtf.csrf import CSRFError, CSRFProtect
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from werkzeug.exceptions import HTTPException, MethodNotAllowed
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.routing import IntegerConverter, Map

from imagehub.config import Settings
from imagehub.database import db
from imagehub.domain import audit
from imagehub.errors import (
    ConflictError,
    ConnectionLostError,
    ImageHubError,
    InvalidInputError,
    NotAllowedError,
    NotFoundError,
    PictureError,
    ServiceBusyError,
    ServiceRefusedError,
    TooManyTriesError,
)
from imagehub.i18n import get_language, list_languages
from imagehub.logs import init_logs
from imagehub.models import User
from imagehub.palette import make_css
from imagehub.wiring import get_settings, refresh_settings

log = logging.getLogger("imagehub.web")

MIGRATIONS = str(Path(__file__).resolve().parent.parent / "migrations")

# Every endpoint that a stranger may call. All others ask for a signed-in admin (pages) or for a
# bearer token (views marked by `openapi.call(access="token")`); a test walks the URL map.
PUBLIC_ENDPOINTS = frozenset(
    {
        "static",
        "auth.sign_in",
        "auth.try_sign_in",
        "auth.ask_code",
        "auth.try_code",
        "auth.sign_out",
        "auth.api_sign_in",
        "gallery.api_page",
        "gallery.api_total_page",
        "gallery.api_group",
        "gallery.api_image",
        "gallery.api_download",
        "gallery.show_front",
        "gallery.show_group",
        "gallery.show_shot",
        "gallery.show_manifest",
        "gallery.show_offline",
        "gallery.show_service_worker",
        "gallery.set_preferences",
        "gallery.show_media",
        "gallery.show_full_image",
        "gallery.download_zip",
        "gallery.search",
        "gallery.suggest",
        "gallery.show_tags",
        "gallery.show_tag",
        "gallery.show_feed",
        "gallery.show_oembed",
        "gallery.show_robots",
        "gallery.show_sitemap",
        "gallery.show_sitemap_page",
        "gallery.show_share",
        "gallery.unlock_share",
        "gallery.download_shared",
        "openapi.show_document",
        "web.send_asset",
        "web.show_health",
    }
)

# These answer whatever the database does.
_WITHOUT_DATABASE = frozenset({"static", "web.send_asset", "web.show_health"})

STATUS_OF_ERROR: tuple[tuple[type[ImageHubError], int], ...] = (
    (InvalidInputError, 422),
    (NotAllowedError, 403),
    (TooManyTriesError, 429),
    (NotFoundError, 404),
    (ConflictError, 409),
    (PictureError, 422),
    (ConnectionLostError, 409),
    (ServiceBusyError, 503),
    (ServiceRefusedError, 502),
)

# Smaller answers grow by the headers that compression needs.
SMALLEST_TO_COMPRESS_BYTES = 500
COMPRESSIBLE = frozenset(
    {
        "application/atom+xml",
        "application/json",
        "application/manifest+json",
        "application/xml",
        "image/svg+xml",
        "text/css",
        "text/html",
        "text/javascript",
        "text/plain",
    }
)


class BiggestIntConverter(IntegerConverter):
    """A whole number in a path, up to what an id column holds; anything above is nothing."""

    def __init__(self, url_map: Map) -> None:
        super().__init__(url_map, max=(1 << 63) - 1)


class PageSessionInterface(SecureCookieSessionInterface):
    """The session's cookie, which pages alone send anew.

    A remembered session's cookie moves its end on with each answer, and Flask-Login looks into the
    session whatever is asked for. With a file, that would make caches keep a copy for each visitor,
    and a slow answer could bring back a cookie that has changed meanwhile. So an answer that is no
    page leaves the cookie alone, unless the session was changed on the way to it.
    """

    def save_session(self, app: Flask, session: SessionMixin, response: Response) -> None:
        if session.modified or response.mimetype == "text/html":
            super().save_session(app, session, response)


csrf = CSRFProtect()

_MAX_REQUEST_BYTES = 4 * 1024 * 1024
login_manager = LoginManager()


def make_flask_config(settings: Settings) -> dict[str, Any]:
    """Flask's own configuration, derived from the settings."""
    is_https = settings.public_url.startswith("https://")
    return {
        "SECRET_KEY": settings.secret_key,
        "SESSION_COOKIE_NAME": "__Host-hub" if is_https else "hub",
        "SESSION_COOKIE_SECURE": is_https,
        "SESSION_COOKIE_HTTPONLY": True,
        "SESSION_COOKIE_SAMESITE": "Lax",
        "REMEMBER_COOKIE_SECURE": is_https,
        "REMEMBER_COOKIE_HTTPONLY": True,
        "REMEMBER_COOKIE_SAMESITE": "Lax",
        "REMEMBER_COOKIE_DURATION": timedelta(days=30),
        "PERMANENT_SESSION_LIFETIME": timedelta(days=30),
        # Asked for in _check_csrf, which knows the calls that bring a bearer token instead.
        "WTF_CSRF_CHECK_DEFAULT": False,
        "WTF_CSRF_TIME_LIMIT": None,
        "WTF_CSRF_SSL_STRICT": is_https,
        "MAX_CONTENT_LENGTH": _MAX_REQUEST_BYTES,
        # Flask's own limit of a form's fields is an eighth of that.
        "MAX_FORM_MEMORY_SIZE": _MAX_REQUEST_BYTES,
        "JSON_SORT_KEYS": False,
    }


def init_app(app: Flask) -> None:
    init_logs()
    settings = get_settings(app)
    if settings.proxy_count:
        n = settings.proxy_count
        app.wsgi_app = ProxyFix(  # type: ignore[method-assign]
            app.wsgi_app, x_for=n, x_proto=n, x_host=n, x_prefix=n
        )
    app.url_map.converters["biggest"] = BiggestIntConverter
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.session_interface = PageSessionInterface()
    csrf.init_app(app)
    login_manager.init_app(app)
    app.before_request(_begin_request)
    app.before_request(_refresh_settings)
    app.before_request(_check_access)
    app.before_request(_check_csrf)
    app.after_request(_finish_response)
    app.register_error_handler(ImageHubError, _answer_own_error)
    app.register_error_handler(CSRFError, answer_csrf_error)
    app.register_error_handler(HTTPException, _answer_http_error)
    for kind in (OperationalError, InterfaceError, PoolTimeoutError):
        app.register_error_handler(kind, _answer_database_error)
    app.register_error_handler(Exception, _answer_unexpected_error)
    app.add_url_rule("/health", endpoint="web.show_health", view_func=show_health)
    version = make_static_version(Path(app.static_folder or ""))
    app.extensions["imagehub.static_version"] = version
    app.add_url_rule(
        "/assets/<version>/<path:name>", endpoint="web.send_asset", view_func=send_asset
    )
    app.context_processor(make_page_values)


def show_health() -> ResponseReturnValue:
    """For load balancers: answers 200 when the web server runs; asks nothing of other services."""
    return jsonify({"status": "ok"})


# --- Pages ----------------------------------------------------------------------------------------


def make_page_values() -> dict[str, Any]:
    """What every template may use. Asks no database, so that error pages come in any weather."""
    settings = get_settings()
    return {
        "settings": settings,
        "site": settings,
        "csp_nonce": get_nonce,
        "asset_url": asset_url,
        "has_view": lambda endpoint: endpoint in current_app.view_functions,
        "is_signed_in": _is_signed_in(),
        "make_absolute": make_absolute,
        "palette_css": make_css(settings.accent, settings.ground),
        "theme": get_theme(),
    }


def get_theme() -> str:
    """``light`` or ``dark`` where the visitor has chosen, else ``auto``."""
    chosen = request.cookies.get("theme", "")
    return chosen if chosen in ("light", "dark") else "auto"


def render_calmly(template: str, **values: Any) -> str:
    """A page that needs nothing but the settings: it comes when all else has failed.

    ``render_template`` would load the signed-in person, from a database that may be the trouble.
    """
    i18n = {"language": get_language(), "languages": list_languages()}
    page = current_app.jinja_env.get_template(template)
    return page.render(**make_page_values(), **i18n, **values)


def make_static_version(folder: Path) -> str:
    """A short word that changes with any file of the folder."""
    mark = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        mark.update(path.relative_to(folder).as_posix().encode() + b"\0" + path.read_bytes())
    return mark.hexdigest()[:10]


def asset_url(name: str) -> str:
    """The address of a static file, with the version in its path.

    Modules that import each other by relative addresses stay in one version by that.
    """
    version = current_app.extensions["imagehub.static_version"]
    return url_for("web.send_asset", version=version, name=name)


def send_asset(version: str, name: str) -> ResponseReturnValue:
    """A static file, to be kept by browsers for good if it is of the version asked for."""
    response = send_from_directory(current_app.static_folder or "", name)
    if version == current_app.extensions["imagehub.static_version"]:
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
    return response


# --- Access ---------------------------------------------------------------------------------------


def find_view() -> Any:
    """The view of this address, also where it does not take this method; None where there is none.

    Its attributes say what it is: ``is_api``, ``checks_token``.
    """
    endpoint = request.endpoint
    refused = request.routing_exception
    if endpoint is None and isinstance(refused, MethodNotAllowed) and refused.valid_methods:
        adapter = current_app.create_url_adapter(request)
        if adapter is not None:
            endpoint = adapter.match(method=next(iter(refused.valid_methods)))[0]
    return current_app.view_functions.get(endpoint or "")


def is_api_call() -> bool:
    """Whether this request speaks JSON: a call of the single-page app, or it asks for JSON."""
    if getattr(find_view(), "is_api", False):
        return True
    best = request.accept_mimetypes.best_match(["text/html", "application/json"])
    return best == "application/json" and "text/html" not in request.headers.get("Accept", "")


def _begin_request() -> None:
    g.request_id = secrets.token_hex(8)
    g.csp_nonce = ""


def _refresh_settings() -> None:
    if request.endpoint not in _WITHOUT_DATABASE:
        refresh_settings()


def get_nonce() -> str:
    """This response's nonce for a style element; asking for it puts it into the policy."""
    if not g.get("csp_nonce"):
        g.csp_nonce = secrets.token_urlsafe(16)
    return str(g.csp_nonce)


def _check_access() -> ResponseReturnValue | None:
    endpoint = request.endpoint
    if endpoint is None or endpoint in PUBLIC_ENDPOINTS or request.method == "OPTIONS":
        return None
    view = current_app.view_functions[endpoint]
    if getattr(view, "checks_token", False):
        return None  # The wrapper around the view checks the bearer token before anything else.
    if current_user.is_authenticated:
        return None
    if request.method in ("GET", "HEAD"):
        return redirect(url_for("auth.sign_in", next=request.full_path.rstrip("?")))
    raise NotAllowedError("Please sign in first.")


def _check_csrf() -> None:
    """Forms and scripts of our own pages send a token; calls with a bearer token need none.

    A cookie never authorises those calls, so that no foreign page can forge them.
    """
    if request.endpoint is not None and not getattr(find_view(), "is_api", False):
        csrf.protect()


def note_action(
    verb: str,
    kind: str,
    key: object,
    words: str,
    actor: User | None = None,
    *,
    is_repeated: bool = False,
) -> None:
    """Write into the log what whoever sent this request does; see ``domain.audit.record``.

    It is committed with the change, so call it before that.

    :param actor: who it is, where neither a session nor a token says so yet.
    :param is_repeated: it is done many times in a row, and one line an hour tells enough.
    """
    person = actor or g.get("token_user")
    if person is None and current_user.is_authenticated:
        person = current_user._get_current_object()
    record = audit.record_once if is_repeated else audit.record
    record(db.session(), person, verb, kind, key, words, request.remote_addr or "")


def get_local_target(target: str, home: str = "/admin/") -> str:
    """A path of this hub to go on to; ``home`` where ``target`` is none.

    Refuses what a browser would take for another host: a scheme, ``//host``, ``/\\host``, and
    control characters, which browsers drop before they read an address.
    """
    if not target.startswith("/") or len(target) > 2000:
        return home
    if target.startswith(("//", "/\\")) or any(ord(char) < 0x20 or char == "\\" for char in target):
        return home
    parts = urlsplit(target)
    return home if parts.scheme or parts.netloc else target


# --- Headers --------------------------------------------------------------------------------------


def make_absolute(path: str) -> str:
    """A path of this hub as an absolute address, the way visitors type it."""
    public_url = get_settings().public_url
    if public_url:  # It holds a proxy's prefix, if there is one.
        return public_url + path.removeprefix(request.script_root)
    return request.host_url.rstrip("/") + path


def get_origin(url: str) -> str:
    """``scheme://host[:port]`` of an address, or ""."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}" if parts.netloc else ""


# Hosts of Graph → where its drives give bytes and take them. Upload addresses of personal accounts
# have been seen at api.onedrive.com, 1drv.com and microsoftpersonalcontent.com. Sources: Microsoft
# Graph, "National cloud deployments"; "Office 365 URLs and IP address ranges" of each cloud.
_DRIVE_HOSTS = {
    "graph.microsoft.com": (
        "sharepoint.com",
        "1drv.com",
        "onedrive.com",
        "microsoftpersonalcontent.com",
    ),
    "graph.microsoft.us": ("sharepoint.us",),
    "dod-graph.microsoft.us": ("sharepoint-mil.us", "dps.mil"),
    "microsoftgraph.chinacloudapi.cn": ("sharepoint.cn",),
}


def _make_policy(settings: Settings) -> str:
    """The Content-Security-Policy: everything from this host, pictures from the two stores too."""
    store = get_origin(settings.s3_public_url) or "https://*.amazonaws.com"
    graph_url = settings.graph_base_url
    hosts = _DRIVE_HOSTS.get(urlsplit(graph_url).hostname or "")
    # Another server, as the emulator, gives addresses of its own.
    drive = " ".join(f"https://*.{host}" for host in hosts) if hosts else get_origin(graph_url)
    nonce = f" 'nonce-{g.csp_nonce}'" if g.get("csp_nonce") else ""
    return "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            f"style-src 'self'{nonce}",
            f"img-src 'self' data: blob: {store} {drive}",
            f"connect-src 'self' {store} {drive}",
            "font-src 'self'",
            "manifest-src 'self'",
            "worker-src 'self'",
            "form-action 'self'",
            "frame-ancestors 'none'",
            "base-uri 'none'",
        )
    )


def _finish_response(response: Response) -> Response:
    settings = get_settings()
    headers = response.headers
    headers.setdefault("X-Content-Type-Options", "nosniff")
    headers.setdefault("Referrer-Policy", "same-origin")
    headers.setdefault("X-Request-Id", g.get("request_id", ""))
    headers.setdefault("Cross-Origin-Opener-Policy", "same-origin")
    headers.setdefault("Permissions-Policy", "camera=(), microphone=(), geolocation=()")
    if response.mimetype == "text/html":
        headers.setdefault("Content-Security-Policy", _make_policy(settings))
        headers.setdefault("X-Frame-Options", "DENY")
    if settings.public_url.startswith("https://"):
        headers.setdefault("Strict-Transport-Security", "max-age=31536000")
    view = find_view()
    if getattr(view, "checks_token", False):
        headers["Cache-Control"] = "no-store"
    elif response.mimetype == "text/html" and ("csrf_token" in g or _is_signed_in()):
        headers["Cache-Control"] = "private, no-store"
    elif request.endpoint is not None and request.endpoint not in PUBLIC_ENDPOINTS:
        headers.setdefault("Cache-Control", "private, no-store")
    elif getattr(view, "is_api", False):
        _add_etag(response)
    if getattr(view, "is_api", False):
        _add_cors(response, settings, view)
    _compress(response, view)
    return response


def _is_signed_in() -> bool:
    """Whether the session names somebody. Asks no database: it may be what has just failed."""
    return "_user_id" in session


def _add_etag(response: Response) -> None:
    """Public JSON is kept by browsers but asked about each time: changes show at once."""
    is_read = request.method in ("GET", "HEAD") and response.status_code == 200
    if is_read and "Cache-Control" not in response.headers:
        response.headers["Cache-Control"] = "no-cache"
        response.set_etag(hashlib.sha256(response.get_data()).hexdigest()[:32], weak=True)
        response.make_conditional(request)


def _add_cors(response: Response, settings: Settings, view: Any) -> None:
    """Cross-origin answers for the single-page app's calls: exact origins, or ``*``."""
    origin = request.headers.get("Origin", "")
    if not settings.cors_origins:
        return
    if "*" in settings.cors_origins:
        response.headers["Access-Control-Allow-Origin"] = "*"
    else:
        response.vary.add("Origin")
        if origin not in settings.cors_origins:
            return
        response.headers["Access-Control-Allow-Origin"] = origin
    response.headers["Access-Control-Expose-Headers"] = "Retry-After, X-Request-Id"
    if request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers:
        response.headers["Access-Control-Allow-Methods"] = "GET, POST, OPTIONS"
        response.headers["Access-Control-Allow-Headers"] = "Authorization, Content-Type"
        response.headers["Access-Control-Max-Age"] = "600"


def _compress(response: Response, view: Any) -> None:
    """gzip for answers that hold no secret: public JSON, static files, pages for strangers.

    An answer with a secret in it stays as it is: its compressed size would tell somebody who can
    put text into the request which guesses of the secret were right (BREACH). A page with a form
    holds its CSRF token, an answer to a signed-in admin whatever the admin may see.
    """
    if (
        response.mimetype not in COMPRESSIBLE
        or response.status_code != 200
        or "Content-Encoding" in response.headers
    ):
        return
    is_file = request.endpoint in ("static", "web.send_asset")
    if is_file:
        response.direct_passthrough = False
    elif getattr(view, "is_api", False):
        if response.cache_control.no_store:
            return
    elif "csrf_token" in g or _is_signed_in():
        return
    if response.is_streamed and not is_file:
        return
    response.vary.add("Accept-Encoding")
    if request.method == "HEAD" or not request.accept_encodings["gzip"]:
        return
    data = response.get_data()
    if len(data) < SMALLEST_TO_COMPRESS_BYTES:
        return
    # A file is packed once as small as can be; an answer made for this request quickly.
    packed = _pack_file(data) if is_file else gzip.compress(data, 5, mtime=0)
    response.set_data(packed)
    response.headers["Content-Encoding"] = "gzip"
    response.headers.pop("Accept-Ranges", None)
    tag, _ = response.get_etag()
    if tag is not None:  # The bytes differ from the plain ones; what they say does not.
        response.set_etag(tag, weak=True)


@lru_cache(maxsize=64)
def _pack_file(data: bytes) -> bytes:
    return gzip.compress(data, 9, mtime=0)


# --- Errors ---------------------------------------------------------------------------------------


def make_error_answer(
    status: int,
    message: str,
    detail: Any = None,
    headers: dict[str, str] | None = None,
    is_lost: bool = False,
) -> Response:
    """One error, as a page or as ``{"detail": …}``, whichever the caller speaks.

    :param is_lost: OneDrive must be connected again; the admin's page leads there, and a header
        tells it to scripts from other conflicts, which may pass.
    """
    if is_api_call():
        response = jsonify({"detail": message if detail is None else detail})
    else:
        response = Response(
            render_calmly(
                "error.html",
                status=status,
                message=message,
                reference=g.get("request_id", ""),
                is_lost=is_lost,
            ),
            mimetype="text/html",
        )
    response.status_code = status
    response.headers.update(headers or {})
    if is_lost:
        response.headers["X-OneDrive"] = "lost"
    if status >= 400:
        response.headers.setdefault("Cache-Control", "no-store")
    return response


def get_error_status(error: ImageHubError) -> int:
    """The HTTP status of an error raised on purpose."""
    return next((code for kind, code in STATUS_OF_ERROR if isinstance(error, kind)), 500)


def _answer_own_error(error: ImageHubError) -> ResponseReturnValue:
    db.session.rollback()
    status = get_error_status(error)
    headers = {}
    detail = None
    if isinstance(error, ServiceBusyError | TooManyTriesError):
        headers["Retry-After"] = str(max(1, round(error.retry_after_seconds)))
    if isinstance(error, InvalidInputError) and error.fields:
        detail = [
            {"loc": [name], "msg": text, "type": "value_error"}
            for name, text in error.fields.items()
        ]
    is_lost = isinstance(error, ConnectionLostError)
    return make_error_answer(status, str(error), detail, headers, is_lost)


def answer_csrf_error(error: CSRFError) -> ResponseReturnValue:
    """A form came without its token, or with one of another session."""
    return make_error_answer(
        400, "This form has been open for too long. Please go back, reload the page and try again."
    )


def _answer_http_error(error: HTTPException) -> ResponseReturnValue:
    if error.response is not None or error.code is None or error.code < 400:
        return error
    sentences = {
        404: "There is nothing at this address.",
        405: "This address does not take that kind of request.",
        413: "That is more than this address takes.",
    }
    message = sentences.get(error.code, error.description or error.name)
    headers = {k: v for k, v in error.get_headers() if k in ("Allow", "Retry-After")}
    return make_error_answer(error.code, message, headers=headers)


def _answer_database_error(error: Exception) -> ResponseReturnValue:
    cause = error.orig if isinstance(error, DBAPIError) else error
    log.error("[%s] the database did not answer: %s", g.get("request_id"), cause)
    if is_api_call():
        response = jsonify({"detail": "The database cannot be reached just now."})
    else:
        response = Response(
            render_calmly("error.html", status=503, message=""), mimetype="text/html"
        )
    response.status_code = 503
    response.headers["Retry-After"] = "30"
    return response


def _answer_unexpected_error(error: Exception) -> ResponseReturnValue:
    db.session.rollback()
    reference = g.get("request_id", "")
    log.exception("[%s] unexpected error", reference)
    return make_error_answer(
        500, f"Something went wrong on our side. If it stays, tell us this number: {reference}"
    )
