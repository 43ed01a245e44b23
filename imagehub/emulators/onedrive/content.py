"""The hosts that serve file contents, by signed and expiring addresses without Authorization.

The real service uses other hosts (``my.microsoftpersonalcontent.com``, ``….sharepoint.com``); the
emulator uses paths on its own host that are named after them.
"""

import hmac
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import sha256
from time import time
from urllib.parse import quote

from .faults import Faults
from .index import Item
from .items import get_mime_type, make_etag
from .pictures import make_thumbnail, parse_thumbnail_key
from .server import FileBody, Refusal, Request, Response, answer_file
from .state import State
from .tree import Tree

HOST_PATHS = {
    "personal": "/my.microsoftpersonalcontent.com",
    "business": "/contoso-my.sharepoint.com",
}
_DOWNLOAD_SECONDS = 3600.0
_THUMBNAIL_SECONDS = 6 * 3600.0
_CORS_LASTS = "86400"


def allow_any_origin(response: Response) -> Response:
    """Let pages of any origin read the response and the headers needed to resume."""
    response.headers["Access-Control-Allow-Origin"] = "*"
    response.headers["Access-Control-Expose-Headers"] = (
        "Accept-Ranges, Content-Length, Content-Range, Content-Disposition, ETag, Location, "
        "Retry-After, request-id, client-request-id"
    )
    return response


def answer_preflight(request: Request, allowed: tuple[str, ...]) -> Response:
    """Name the allowed request headers; a browser sends no request with others."""
    headers = {
        "Access-Control-Allow-Origin": "*",
        "Access-Control-Allow-Methods": "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS",
        "Access-Control-Allow-Headers": ", ".join(allowed),
        "Access-Control-Max-Age": _CORS_LASTS,
    }
    return Response(200, headers)


class ContentHosts:
    """Make and serve the signed addresses of downloads and thumbnails."""

    def __init__(self, tree: Tree, state: State, faults: Faults) -> None:
        self.tree = tree
        self.state = state
        self.faults = faults
        self._key = state.get_secret("content_key")
        owner = tree.drive_id.lower() if tree.kind == "personal" else "artist_contoso_com"
        self._layouts = f"{HOST_PATHS[tree.kind]}/personal/{quote(owner)}/_layouts/15"

    # --- Signing -----------------------------------------------------------------------------

    def make_auth(self, *facts: str) -> str:
        """Return a ``tempauth`` that contains the facts and the current time."""
        payload = "\n".join((f"{time():.3f}", *facts)).encode()
        seal = hmac.digest(self._key, payload, sha256)[:18]
        return "v1." + urlsafe_b64encode(payload + seal).decode().rstrip("=")

    def read_auth(self, text: str) -> tuple[float, list[str]]:
        """Return when it was made, and its facts.

        :raise Refusal: 401, it is missing or was tampered with.
        """
        try:
            data = urlsafe_b64decode(text.removeprefix("v1.") + "==")
        except ValueError:
            data = b""
        payload, seal = data[:-18], data[-18:]
        if not payload or not hmac.compare_digest(
            hmac.digest(self._key, payload, sha256)[:18], seal
        ):
            raise Refusal(401, "unauthenticated", "The address is not valid.")
        made, *facts = payload.decode().split("\n")
        return float(made), facts

    # --- Downloads ---------------------------------------------------------------------------

    def make_download_url(self, base_url: str, item: Item, format: str = "") -> str:
        auth = self.make_auth("download", item.id, format)
        return (
            f"{base_url}{self._layouts}/download.aspx?UniqueId={item.guid.lower()}"
            f"&Translate=false&tempauth={auth}&ApiVersion=2.0"
        )

    def make_thumbnail_url(self, base_url: str, item: Item, key: str) -> str:
        # Different on every call, like the real ones.
        auth = self.make_auth("thumbnail", item.id, key, secrets.token_hex(4))
        return f"{base_url}{self._layouts}/transform.aspx?provider=spo&tempauth={auth}"

    def answer(self, request: Request) -> Response:
        """Serve a download or a thumbnail."""
        if request.method == "OPTIONS":
            return answer_preflight(request, ("Range", "If-None-Match", "If-Range"))
        try:
            return allow_any_origin(self._answer(request))
        except Refusal as refusal:
            refusal.headers |= {"Access-Control-Allow-Origin": "*"}
            raise

    def _answer(self, request: Request) -> Response:
        if request.method not in ("GET", "HEAD"):
            raise Refusal(405, "notSupported", "The method is not supported here.")
        if "authorization" in request.headers:
            raise Refusal(401, "unauthenticated", "This address takes no Authorization header.")
        made, facts = self.read_auth(request.query.get("tempauth", ""))
        purpose, item_id, what = facts[:3]
        lasts = _DOWNLOAD_SECONDS if purpose == "download" else _THUMBNAIL_SECONDS
        fault = self.faults.fire("download_url_expired")
        if fault:
            lasts = float(fault.get("seconds", 0))
        if time() - made >= lasts:
            raise Refusal(401, "unauthenticated", "The address has expired.", "expiredToken")
        item = self.tree.get(item_id)
        if purpose == "thumbnail" or what:
            return self._answer_picture(request, item, what or "100000x100000")
        return self._answer_bytes(request, item)

    def _answer_bytes(self, request: Request, item: Item) -> Response:
        names = self.tree.list_names_above(item)
        place = "/" + "/".join([*names, item.name])
        if self.faults.fire("malware", item=place):
            raise malware_found()
        path = self.tree.root.joinpath(*names, item.name)
        headers = {
            "Content-Type": get_mime_type(item.name),
            "ETag": make_etag(item),
            "Content-Disposition": f"attachment; filename*=UTF-8''{quote(item.name)}",
            "Cache-Control": "private, max-age=0",
        }
        if request.headers.get("if-none-match") == headers["ETag"]:
            return Response(304, {"ETag": headers["ETag"]})
        body = FileBody(path, 0, 0)
        if fault := self.faults.fire("truncated_download", item=place):
            body = FileBody(path, 0, 0, send_bytes=int(fault.get("bytes", item.size // 2)))
        elif fault := self.faults.fire("corrupted_download", item=place):
            body = FileBody(path, 0, 0, corrupt_at=int(fault.get("at", item.size // 2)))
        elif fault := self.faults.fire("slow_download", item=place):
            speed = max(1, int(fault.get("bytes_per_second", 65_536)))
            body = FileBody(path, 0, 0, bytes_per_second=speed)
        try:
            return answer_file(path, request, headers, body)
        except OSError:
            raise Refusal(404, "itemNotFound", "The resource could not be found.") from None

    def _answer_picture(self, request: Request, item: Item, key: str) -> Response:
        spec = parse_thumbnail_key(key)
        if spec is None:
            raise Refusal(404, "itemNotFound", "There is no such thumbnail.")
        target = self.state.thumbnails / f"{item.guid}-{item.content_version}-{spec.key}.jpg"
        try:
            make_thumbnail(self.tree.get_path(item), target, spec)
        except ValueError:
            raise Refusal(404, "itemNotFound", "There is no such thumbnail.") from None
        headers = {"Content-Type": "image/jpeg", "Cache-Control": "private, max-age=86400"}
        return answer_file(target, request, headers)


def malware_found() -> Refusal:
    return Refusal(
        403,
        "malwareDetected",
        "Malware was detected in this file.",
        headers={"X-Virus-Infected": "Trojan:Win32/Emulated"},
    )
