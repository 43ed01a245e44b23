"""Set up what all requests share: access, CSRF, errors, headers, static files, request ids."""

from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import flask
from flask import Flask, Response, current_app, g, request
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface, SessionMixin
from flask_login import current_user
from flask_wtf.csrf import CSRFError
from itsdangerous import BadSignature
from sqlalchemy.exc import DataError
from werkzeug.exceptions import HTTPException
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.routing import IntegerConverter

from imagehub.config import Settings
from imagehub.database import MAX_ID, OUTAGES, db
from imagehub.domain.people import audit
from imagehub.domain.vault import SigningKeys
from imagehub.errors import ImageHubError
from imagehub.logs import init_logs
from imagehub.models import User
from imagehub.web import errors, health, monitoring
from imagehub.web.access import (
    FRAMED_ENDPOINTS,
    WITHOUT_DATABASE,
    check_access,
    check_csrf,
    csrf,
    login_manager,
)
from imagehub.web.assets import make_static_version, send_asset
from imagehub.web.cookies import REMEMBER, SESSION, make_cookie_name
from imagehub.web.headers import finish_response
from imagehub.web.https_only import is_refused_http, refuse_plain_http
from imagehub.web.limits import MAX_REQUEST_BYTES, Request, set_limits
from imagehub.web.numbers import Numbers
from imagehub.web.observed import ENDPOINT, REQUEST_ID, Observed
from imagehub.web.page_cache import PageCache
from imagehub.web.preview import begin_preview, finish_preview
from imagehub.web.public_path import PublicPath
from imagehub.web.templating import make_page_values
from imagehub.wiring import get_settings, get_signing_keys


class PageSessionInterface(SecureCookieSessionInterface):
    """Renew the session's cookie with pages only.

    By default each response renews the cookie of a permanent session and varies by it, because
    Flask-Login reads the session in every request. Caches would then keep a copy of each file for
    each visitor, and a slow response could restore an outdated cookie. Responses other than pages
    therefore set the cookie only if the request changed the session.

    A request that is refused because of plain http has no session, and gets no cookie; nor does a
    page in a frame of another site.
    """

    def open_session(self, app: Flask, request: flask.Request) -> SecureCookieSession | None:
        if is_refused_http(app):
            return self.session_class()
        keys = get_signing_keys(app)
        use_signing_keys(app, keys)
        session = super().open_session(app, request)
        if session and keys.others:
            g.has_former_signature = not self._is_signed_now(app, request)
        return session

    def _is_signed_now(self, app: Flask, request: flask.Request) -> bool:
        signer = self.get_signing_serializer(app)
        assert signer is not None
        signer.secret_keys = signer.secret_keys[-1:]
        try:
            signer.loads(request.cookies.get(self.get_cookie_name(app), ""))
        except BadSignature:
            return False
        return True

    def save_session(self, app: Flask, session: SessionMixin, response: Response) -> None:
        if is_refused_http(app) or flask.request.endpoint in FRAMED_ENDPOINTS:
            return
        if session.modified or response.mimetype == "text/html":
            # The cookie is signed again, before its key is deleted.
            session.modified = session.modified or g.get("has_former_signature", False)
            super().save_session(app, session, response)


def make_flask_config(settings: Settings) -> dict[str, Any]:
    """Derive Flask's own configuration from the settings."""
    is_https = settings.is_https
    return {
        "SESSION_COOKIE_NAME": make_cookie_name(settings, SESSION),
        "SESSION_COOKIE_PATH": settings.cookie_path,
        "SESSION_COOKIE_SECURE": is_https,
        "SESSION_COOKIE_HTTPONLY": True,
        "SESSION_COOKIE_SAMESITE": "Lax",
        "REMEMBER_COOKIE_NAME": make_cookie_name(settings, REMEMBER),
        "REMEMBER_COOKIE_PATH": settings.cookie_path,
        "REMEMBER_COOKIE_SECURE": is_https,
        "REMEMBER_COOKIE_HTTPONLY": True,
        "REMEMBER_COOKIE_SAMESITE": "Lax",
        "REMEMBER_COOKIE_DURATION": timedelta(days=30),
        "PERMANENT_SESSION_LIFETIME": timedelta(days=30),
        # check_csrf does it, and exempts the calls that take a bearer token.
        "WTF_CSRF_CHECK_DEFAULT": False,
        "WTF_CSRF_TIME_LIMIT": None,
        "WTF_CSRF_SSL_STRICT": is_https,
        # set_limits sets a smaller one for most requests.
        "MAX_CONTENT_LENGTH": MAX_REQUEST_BYTES,
    }


def use_signing_keys(app: Flask, keys: SigningKeys) -> None:
    """Sign cookies and forms with the current key, and accept the others' signatures too."""
    if app.config["SECRET_KEY"] == keys.current and app.config["SECRET_KEY_FALLBACKS"] == keys.all:
        return
    # In this order, so that other threads know every key at each moment. Both sign with the last.
    app.config["SECRET_KEY_FALLBACKS"] = keys.all
    app.config["WTF_CSRF_SECRET_KEY"] = [*keys.others, keys.current]
    app.config["SECRET_KEY"] = keys.current


# Numbers too large for an id column do not match.
_DB_ID = partial(IntegerConverter, max=MAX_ID)


def init_app(app: Flask) -> None:
    init_logs()
    settings = get_settings(app)
    pages = PageCache(app, app.wsgi_app, settings.page_cache_mb * 10**6)
    app.extensions["imagehub.pages"] = pages
    app.wsgi_app = PublicPath(pages, settings)  # type: ignore[method-assign]
    if n := settings.proxy_count:
        app.wsgi_app = ProxyFix(  # type: ignore[method-assign]
            app.wsgi_app, x_for=n, x_proto=n, x_host=n
        )
    numbers = app.extensions["imagehub.numbers"] = Numbers(app)
    app.wsgi_app = Observed(app.wsgi_app, settings, numbers)  # type: ignore[method-assign]
    app.url_map.converters["db_id"] = _DB_ID  # type: ignore[assignment]
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.session_interface = PageSessionInterface()
    use_signing_keys(app, get_signing_keys(app))
    csrf.init_app(app)
    login_manager.init_app(app)
    app.request_class = Request
    app.before_request(_note_request)
    app.before_request(refuse_plain_http)
    app.before_request(set_limits)
    app.before_request(_begin_request)
    app.before_request(begin_preview)
    app.before_request(check_access)
    app.before_request(check_csrf)
    # Called in reverse order.
    app.after_request(pages.keep_response)
    app.after_request(finish_preview)
    app.after_request(finish_response)
    app.register_error_handler(ImageHubError, errors.answer_own_error)
    app.register_error_handler(CSRFError, errors.answer_csrf_error)
    app.register_error_handler(HTTPException, errors.answer_http_error)
    for kind in OUTAGES:
        app.register_error_handler(kind, pages.replica.answer_failure)
    app.register_error_handler(DataError, errors.answer_data_error)
    app.register_error_handler(Exception, errors.answer_unexpected_error)
    health.init_app(app)
    monitoring.init_app(app)
    app.extensions["imagehub.static_version"] = make_static_version(Path(app.static_folder or ""))
    app.add_url_rule(
        "/assets/<version>/<path:name>", endpoint="web.send_asset", view_func=send_asset
    )
    app.context_processor(make_page_values)


def _note_request() -> None:
    request.environ[ENDPOINT] = request.endpoint
    g.request_id = request.environ.get(REQUEST_ID, "")


def _begin_request() -> None:
    if request.endpoint not in WITHOUT_DATABASE:
        pages: PageCache = current_app.extensions["imagehub.pages"]
        pages.begin_request()


def commit_action(
    action: str, key: object = "", *, actor: User | None = None, **facts: Any
) -> None:
    """Commit this request's changes, together with their entry in the activity log.

    :param action: a key of ``domain.people.actions.ACTIONS``.
    :param actor: the person, if neither a session nor a token identifies them yet.
    :param facts: as in ``audit.record``.
    """
    address = request.remote_addr or ""
    audit.record(db.session(), actor or find_actor(), action, key, address=address, **facts)
    db.session.commit()


def count_action(action: str, key: str, name: str) -> None:
    """Count this request's action in an hourly entry of the activity log; commits.

    :param action: a key of ``domain.people.actions.ACTIONS``.
    :param name: name of the object; the entry lists each name once.
    """
    actor_id = actor.id if (actor := find_actor()) else None
    address = request.remote_addr or ""
    audit.count_action(
        db.session(), actor_id, action, key, name=name, is_listed=True, address=address
    )


def find_actor() -> User | None:
    """Return the signed-in person, by bearer token or session, or None."""
    person: User | None = g.get("token_user")
    if person is None and current_user.is_authenticated:
        person = current_user._get_current_object()
    return person
