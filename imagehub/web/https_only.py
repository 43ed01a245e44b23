"""Refuse plain http in production: redirect readers to https, refuse what may contain a secret."""

from flask import Flask, redirect, request
from flask.typing import ResponseReturnValue

from imagehub.messages import Message, mark
from imagehub.web.errors import make_error_answer
from imagehub.web.headers import make_absolute
from imagehub.web.public_path import get_here
from imagehub.wiring import get_settings

# Load balancers, containers and ``serve`` ask for these inside of the machine.
_EXEMPT_ENDPOINTS = frozenset({"web.show_health", "web.show_alive", "web.show_ready"})
_METRICS = "web.show_metrics"
# A GET with a password in its address.
_SECRET_ENDPOINTS = frozenset({"auth.api_sign_in"})


def is_refused_http(app: Flask | None = None) -> bool:
    """Tell whether this request came over plain http although the hub is for https only.

    A proxy's X-Forwarded-Proto counts only as far as ``proxy_count`` says.
    """
    if request.is_secure or request.endpoint in _EXEMPT_ENDPOINTS:
        return False
    if request.endpoint == _METRICS and "Authorization" not in request.headers:
        # Prometheus, inside of an allowed network: nothing secret has been sent.
        return False
    return get_settings(app).is_production


def refuse_plain_http() -> ResponseReturnValue | None:
    """Answer a request over plain http before anything of it is used; None for all others."""
    if not is_refused_http():
        return None
    said, trusted = request.headers.get("X-Forwarded-Proto", ""), get_settings().proxy_count
    if "https" in said and not 0 < trusted <= len(said.split(",")):
        # The visitor used https, so a redirect would lead here again, without end.
        sentence = mark(
            "A proxy says that this request came over https, but ImageHub does not trust it. "
            "IMAGEHUB_PROXY_COUNT must be the number of proxies."
        )
        return make_error_answer(403, sentence)
    is_reading = request.method in ("GET", "HEAD") and request.endpoint not in _SECRET_ENDPOINTS
    if not is_reading or "Authorization" in request.headers:
        # A redirect would hide from a program that it sends its secrets unencrypted.
        sentence = Message(
            "Only https is accepted here: %(url)s. Nothing was done. If a password or a token was "
            "sent, replace it: it was not encrypted on its way.",
            url=get_settings().public_url,
        )
        return make_error_answer(403, sentence)
    response = redirect(make_absolute(get_here()), 308)
    # A cache between the proxy and the hub may not tell http from https.
    response.headers["Cache-Control"] = "no-store"
    return response
