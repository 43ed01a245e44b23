"""Ask the hub's public address how it answers, through whatever proxies are in front of it."""

import http.client
import ssl
from dataclasses import dataclass
from urllib.parse import urlsplit

_SECONDS = 5.0


@dataclass(frozen=True)
class PublicAnswer:
    """``location``: where a redirect leads, "" without one."""

    status: int
    location: str


def ask_address(url: str) -> PublicAnswer:
    """Send a GET and follow no redirect.

    :raise OSError: no answer, or no valid certificate; ``str()`` says why.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    peer: http.client.HTTPConnection
    if parts.scheme == "https":
        context = ssl.create_default_context()
        peer = http.client.HTTPSConnection(host, parts.port, timeout=_SECONDS, context=context)
    else:
        peer = http.client.HTTPConnection(host, parts.port, timeout=_SECONDS)
    try:
        peer.request("GET", parts.path or "/")
        answer = peer.getresponse()
        return PublicAnswer(answer.status, answer.getheader("Location") or "")
    except http.client.HTTPException as error:
        raise OSError(f"the answer is not HTTP: {type(error).__name__}") from error
    finally:
        peer.close()
