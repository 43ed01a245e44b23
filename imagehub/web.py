"""What every response shares: who may see it, headers, CORS, CSRF, errors, a request id."""

import logging
import secrets
from datetime import timedelta
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
    render_template,
    request,
    url_for,
)
from flask.typing import ResponseReturnValue
from flask_login import LoginManager, current_user
from flask_wtf.csrf import CSRFError, CSRFProtect
from sqlalchemy.exc import OperationalError
from werkzeug.exceptions import HTTPException
from werkzeug.middleware.proxy_fix import ProxyFix

from imagehub.config import DEFAULT_GRAPH_URL, Settings
from imagehub.database import db
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
)
from imagehub.wiring import get_settings

log = logging.getLogger("imagehub.web")

MIGRATIONS = str(Path(__file__).resolve().parent.parent / "migrations")

# Every endpoint that a stranger may call. All others ask for a signed-in admin (pages) or for a
# bearer token (views marked by `openapi.call(access="token")`); a test walks the URL map.
PUBLIC_ENDPOINTS = frozenset(
    {
        "static",
        "auth.sign_in",
        "auth.api_sign_in",
        "gallery.api_page",
        "gallery.api_total_page",
        "gallery.api_group",
        "gallery.api_image",
        "gallery.api_download",
        "gallery.show_front",
        "gallery.show_group",
        "gallery.show_media",
        "gallery.show_full_image",
        "openapi.show_document",
        "web.show_health",
    }
)

STATUS_OF_ERROR: tuple[tuple[type[ImageHubError], int], ...] = (
    (InvalidInputError, 422),
    (NotAllowedError, 403),
    (NotFoundError, 404),
    (ConflictError, 409),
    (PictureError, 422),
    (ConnectionLostError, 409),
    (ServiceBusyError, 503),
    (ServiceRefusedError, 502),
)

csrf = CSRFProtect()
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
        "WTF_CSRF_TIME_LIMIT": None,
        "WTF_CSRF_SSL_STRICT": is_https,
        "MAX_CONTENT_LENGTH": 4 * 1024 * 1024,
        "JSON_SORT_KEYS": False,
    }


def init_app(app: Flask) -> None:
    settings = get_settings(app)
    if settings.proxy_count:
        n = settings.proxy_count
        app.wsgi_app = ProxyFix(  # type: ignore[method-assign]
            app.wsgi_app, x_for=n, x_proto=n, x_host=n, x_prefix=n
        )
    app.json.sort_keys = False  # type: ignore[attr-defined]
    csrf.init_app(app)
    login_manager.init_app(app)
    app.before_request(_begin_request)
    app.before_request(_check_access)
    app.after_request(_finish_response)
    app.register_error_handler(ImageHubError, _answer_own_error)
    app.register_error_handler(CSRFError, _answer_csrf_error)
    app.register_error_handler(HTTPException, _answer_http_error)
    app.register_error_handler(OperationalError, _answer_database_error)
    app.register_error_handler(Exception, _answer_unexpected_error)
    app.add_url_rule("/health", endpoint="web.show_health", view_func=show_health)
    app.context_processor(lambda: {"settings": get_settings(), "csp_nonce": get_nonce})


def show_health() -> ResponseReturnValue:
    """For load balancers: answers 200 when the web server runs; asks nothing of other services."""
    return jsonify({"status": "ok"})


# --- Access ---------------------------------------------------------------------------------------


def is_api_call() -> bool:
    """Whether this request speaks JSON: an endpoint of the single-page app, or it asks for JSON."""
    view = current_app.view_functions.get(request.endpoint or "")
    if view is not None:
        return bool(getattr(view, "is_api", False))
    best = request.accept_mimetypes.best_match(["text/html", "application/json"])
    return best == "application/json" and "text/html" not in request.headers.get("Accept", "")


def _begin_request() -> None:
    g.request_id = secrets.token_hex(8)
    g.csp_nonce = ""


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


# --- Headers --------------------------------------------------------------------------------------


def get_origin(url: str) -> str:
    """``scheme://host[:port]`` of an address, or ""."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}" if parts.netloc else ""


def _make_policy(settings: Settings) -> str:
    """The Content-Security-Policy: everything from this host, pictures from the two stores too."""
    store = get_origin(settings.s3_public_url) or "https://*.amazonaws.com"
    if settings.graph_base_url == DEFAULT_GRAPH_URL:
        drive = (
            "https://*.sharepoint.com https://*.1drv.com https://my.microsoftpersonalcontent.com"
        )
    else:
        drive = get_origin(settings.graph_base_url)
    login = get_origin(settings.login_base_url)
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
            f"form-action 'self' {login}",
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
    view = current_app.view_functions.get(request.endpoint or "")
    if getattr(view, "checks_token", False):
        headers["Cache-Control"] = "no-store"
    elif current_user and current_user.is_authenticated and response.mimetype == "text/html":
        headers["Cache-Control"] = "private, no-store"
    _add_cors(response, settings)
    return response


def _add_cors(response: Response, settings: Settings) -> None:
    """Cross-origin answers for the single-page app's endpoints: exact origins, or ``*``."""
    origin = request.headers.get("Origin", "")
    view = current_app.view_functions.get(request.endpoint or "")
    if not settings.cors_origins or not getattr(view, "is_api", False):
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


# --- Errors ---------------------------------------------------------------------------------------


def make_error_answer(
    status: int, message: str, detail: Any = None, headers: dict[str, str] | None = None
) -> Response:
    """One error, as a page or as ``{"detail": …}``, whichever the caller speaks."""
    if is_api_call():
        response = jsonify({"detail": message if detail is None else detail})
    else:
        response = Response(
            render_template("error.html", status=status, message=message), mimetype="text/html"
        )
    response.status_code = status
    response.headers.update(headers or {})
    if status >= 400:
        response.headers.setdefault("Cache-Control", "no-store")
    return response


def _answer_own_error(error: ImageHubError) -> ResponseReturnValue:
    db.session.rollback()
    status = next((code for kind, code in STATUS_OF_ERROR if isinstance(error, kind)), 500)
    headers = {}
    detail = None
    if isinstance(error, ServiceBusyError):
        headers["Retry-After"] = str(max(1, round(error.retry_after_seconds)))
    if isinstance(error, InvalidInputError) and error.fields:
        detail = [
            {"loc": [name], "msg": text, "type": "value_error"}
            for name, text in error.fields.items()
        ]
    return make_error_answer(status, str(error), detail, headers)


def _answer_csrf_error(error: CSRFError) -> ResponseReturnValue:
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


def _answer_database_error(error: OperationalError) -> ResponseReturnValue:
    log.error(
        "[%s] the database did not answer: %s", g.get("request_id"), type(error.orig).__name__
    )
    if is_api_call():
        response = jsonify({"detail": "The database cannot be reached just now."})
    else:
        # No template here: templates ask for the signed-in person, who is in the database.
        response = Response(
            "<!doctype html><title>Back soon</title><h1>Back soon</h1>"
            "<p>The collection cannot be reached just now. Please try again in a minute.</p>",
            mimetype="text/html",
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
