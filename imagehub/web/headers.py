"""Set the headers of every response (policy, caching, CORS), and compress it."""

import base64
import gzip
import hashlib
from functools import lru_cache
from typing import Any
from urllib.parse import quote, urlsplit

from flask import Response, g, request
from markupsafe import Markup
from werkzeug.datastructures import Accept
from werkzeug.http import parse_accept_header

from imagehub.config import Settings
from imagehub.web.access import KEPT_ENDPOINTS, PUBLIC_ENDPOINTS, find_view, is_signed_in
from imagehub.web.numbers import IS_SIGNED_IN, SEEN
from imagehub.web.public_path import leave_preview
from imagehub.wiring import get_settings


def make_style(css: str) -> Markup:
    """Return a style element, and allow it in this response's policy by its hash.

    A nonce would differ in each response, although all visitors get the same page.
    """
    g.setdefault("style_hashes", {})[_hash_style(css)] = True
    return Markup(f"<style>{css}</style>")  # noqa: S704 - it is ours


@lru_cache(maxsize=256)
def _hash_style(css: str) -> str:
    digest = hashlib.sha256(css.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


# --- Headers --------------------------------------------------------------------------------------


# Values of the setting ``hsts``. Source: RFC 6797; ``preload``: https://hstspreload.org.
_HSTS = {
    "host": "max-age=31536000",
    "subdomains": "max-age=31536000; includeSubDomains",
    "preload": "max-age=31536000; includeSubDomains; preload",
}


def make_absolute(path: str) -> str:
    """Return the public absolute address of a path of this hub."""
    public_url = get_settings().public_url
    if public_url:  # It has the hub's path, if any.
        return public_url + path.removeprefix(request.script_root)
    return request.host_url.rstrip("/") + leave_preview(path)


def set_file_name(response: Response, file_name: str) -> None:
    """Have the browser save the answer under a name, and no proxy keep it."""
    plain = file_name.encode("ascii", "replace").decode().replace("?", "_")
    response.headers["Content-Disposition"] = (
        f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(file_name, safe='')}"
    )
    response.headers["Cache-Control"] = "no-store"
    # nginx would buffer gigabytes on its disk.
    response.headers["X-Accel-Buffering"] = "no"


def get_origin(url: str) -> str:
    """Return ``scheme://host[:port]`` of an address, or ""."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}" if parts.netloc else ""


# Host of Graph → hosts of its downloads and uploads. Upload addresses of personal accounts
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


def _make_source(url: str) -> str:
    """Return the source of a policy for everything below an address; "" stays ""."""
    path = quote(urlsplit(url).path, safe="/~")
    return f"{get_origin(url)}{path}/" if path else get_origin(url)


def allow_videos() -> None:
    """Let the policy of this response allow videos from the drive."""
    g.plays_videos = True


def _make_policy(settings: Settings) -> str:
    """Make the policy: this hub, and pictures also from the two stores.

    Below a path, other programs of the same host are not this hub.
    """
    own = f"{settings.public_url}/" if settings.public_path else "'self'"
    store = _make_source(settings.s3_public_url) or "https://*.amazonaws.com"
    graph_url = settings.graph_base_url
    hosts = _DRIVE_HOSTS.get(urlsplit(graph_url).hostname or "")
    # Other servers, such as the emulator, give addresses at their own host.
    drive = " ".join(f"https://*.{host}" for host in hosts) if hosts else get_origin(graph_url)
    styles = " ".join((own, *g.get("style_hashes", ())))
    frames = (f"frame-src {own}",) if "has_own_frames" in g else ()
    ancestors = own if "is_framed_by_own" in g else "'none'"
    media = (f"media-src {own} {drive}",) if "plays_videos" in g else ()
    return "; ".join(
        (
            "default-src 'none'",
            *frames,
            f"script-src {own}",
            f"style-src {styles}",
            f"img-src {own} data: blob: {store} {drive}",
            *media,
            f"connect-src {own} {store} {drive}",
            f"font-src {own}",
            f"manifest-src {own}",
            f"worker-src {own}",
            f"form-action {own}",
            f"frame-ancestors {ancestors}",
            "base-uri 'none'",
        )
    )


def allow_own_frames() -> None:
    """Let this response show pages of this hub in a frame, see :func:`let_own_pages_frame`."""
    g.has_own_frames = True


def let_own_pages_frame() -> None:
    """Let pages of this hub show this response in a frame."""
    g.is_framed_by_own = True


def make_frame_policy(settings: Settings) -> str:
    """Make the policy of a page without scripts that the sites in the setting may frame.

    A page with its own policy gets no X-Frame-Options, which cannot list sites.
    """
    own = f"{settings.public_url}/" if settings.public_path else "'self'"
    store = _make_source(settings.s3_public_url) or "https://*.amazonaws.com"
    styles = " ".join((own, *g.get("style_hashes", ())))
    ancestors = " ".join(("'self'", *settings.embed_sites))
    return "; ".join(
        (
            "default-src 'none'",
            f"style-src {styles}",
            f"img-src {own} data: {store}",
            f"font-src {own}",
            "form-action 'none'",
            f"frame-ancestors {ancestors}",
            "base-uri 'none'",
        )
    )


def finish_response(response: Response) -> Response:
    settings = get_settings()
    headers = response.headers
    headers.setdefault("X-Content-Type-Options", "nosniff")
    headers.setdefault("Referrer-Policy", "same-origin")
    headers.setdefault("X-Request-Id", g.get("request_id", ""))
    headers.setdefault("Cross-Origin-Opener-Policy", "same-origin")
    headers.setdefault("Permissions-Policy", "camera=(), microphone=(), geolocation=()")
    if response.mimetype == "text/html" and "Content-Security-Policy" not in headers:
        headers["Content-Security-Policy"] = _make_policy(settings)
        headers["X-Frame-Options"] = "SAMEORIGIN" if "is_framed_by_own" in g else "DENY"
    if settings.is_https and request.is_secure:
        headers.setdefault("Strict-Transport-Security", _HSTS[settings.hsts])
    if SEEN in request.environ:
        request.environ[IS_SIGNED_IN] = is_signed_in()
    view = find_view()
    if getattr(view, "checks_token", False):
        headers["Cache-Control"] = "no-store"
    elif response.mimetype == "text/html" and ("csrf_token" in g or is_signed_in()):
        headers["Cache-Control"] = "private, no-store"
    elif request.endpoint is not None and request.endpoint not in PUBLIC_ENDPOINTS:
        headers.setdefault("Cache-Control", "private, no-store")
    elif request.endpoint in KEPT_ENDPOINTS or getattr(view, "is_api", False):
        _let_revalidate(response)
    if getattr(view, "is_api", False):
        _add_cors(response, settings, view)
    _compress(response, view)
    return response


def _let_revalidate(response: Response) -> None:
    """Have browsers and proxies revalidate public pages and calls, so changes show at once."""
    if request.method not in ("GET", "HEAD") or response.status_code != 200:
        return
    is_kept = request.endpoint in KEPT_ENDPOINTS
    if is_kept or "Cache-Control" not in response.headers:
        response.headers.setdefault("Cache-Control", "no-cache")
        # Weak, since the same content is also sent compressed.
        response.set_etag(hashlib.sha256(response.get_data()).hexdigest()[:32], weak=True)
        if not is_kept:  # The page cache does it, after it has kept the whole response.
            response.make_conditional(request)


def _add_cors(response: Response, settings: Settings, view: Any) -> None:
    """Allow calls of the JSON API from the origins of the settings."""
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


# --- Compression ----------------------------------------------------------------------------------

# The headers of compression make smaller answers larger.
_SMALLEST_BYTES = 500


def _compress(response: Response, view: Any) -> None:
    """Compress public JSON, static files, and pages that are not private.

    Answers that contain a secret stay uncompressed: an attacker who can put text into a request
    could guess the secret by the compressed size (BREACH). Pages with a form contain a CSRF token,
    and answers to a signed-in admin contain private data.
    """
    kind = response.mimetype or ""
    if not (kind.startswith("text/") or kind.endswith(("json", "xml"))):
        return
    if response.status_code != 200 or "Content-Encoding" in response.headers:
        return
    is_file = request.endpoint in ("static", "web.send_asset")
    if is_file:
        response.direct_passthrough = False
    elif getattr(view, "is_api", False):
        if response.cache_control.no_store:
            return
    elif "csrf_token" in g or is_signed_in():
        return
    if response.is_streamed and not is_file:
        return
    response.vary.add("Accept-Encoding")
    if request.method == "HEAD" or not accepts_gzip(request.headers.get("Accept-Encoding", "")):
        return
    data = response.get_data()
    if len(data) < _SMALLEST_BYTES:
        return
    # Files are compressed once, so as small as possible; other answers quickly.
    packed = _pack_file(data) if is_file else gzip.compress(data, 5, mtime=0)
    response.set_data(packed)
    response.headers["Content-Encoding"] = "gzip"
    response.headers.pop("Accept-Ranges", None)
    tag, _ = response.get_etag()
    if tag is not None:  # The same content in other bytes.
        response.set_etag(tag, weak=True)


@lru_cache(maxsize=256)
def accepts_gzip(header: str) -> bool:
    """Tell whether an Accept-Encoding header accepts gzip."""
    return parse_accept_header(header, Accept)["gzip"] > 0


@lru_cache(maxsize=64)
def _pack_file(data: bytes) -> bytes:
    return gzip.compress(data, 9, mtime=0)
