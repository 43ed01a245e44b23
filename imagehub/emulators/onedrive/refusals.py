"""Graph's error responses, and the faults that can affect any call."""

from datetime import UTC, datetime
from time import sleep
from typing import Any

from .faults import Faults
from .items import make_trace_id
from .server import ConnectionDropped, Refusal, Request, Response, answer_json

_CODES = {
    400: "invalidRequest",
    401: "InvalidAuthenticationToken",
    403: "accessDenied",
    404: "itemNotFound",
    405: "notSupported",
    409: "nameAlreadyExists",
    410: "resyncRequired",
    412: "resourceModified",
    416: "invalidRange",
    423: "accessDenied",
    429: "activityLimitReached",
    500: "generalException",
    501: "notSupported",
    502: "badGateway",
    503: "serviceNotAvailable",
    504: "gatewayTimeout",
    507: "quotaLimitReached",
    509: "bandwidthLimitExceeded",
}


def denied() -> Refusal:
    return Refusal(403, "accessDenied", "Access denied. The caller lacks the permission.")


def bad_token(message: str) -> Refusal:
    return Refusal(
        401,
        "InvalidAuthenticationToken",
        message,
        headers={
            "WWW-Authenticate": 'Bearer realm="", authorization_uri='
            '"https://login.microsoftonline.com/common/oauth2/authorize", '
            'client_id="00000003-0000-0000-c000-000000000000"'
        },
    )


def write_refusal(refusal: Refusal, request: Request) -> Response:
    """Return Graph's error JSON, with the request's trace."""
    trace = make_trace_id()
    inner: dict[str, Any] = {"code": refusal.inner} if refusal.inner else {}
    inner |= {
        "date": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S}",
        "request-id": trace,
        "client-request-id": request.headers.get("client-request-id") or trace,
    }
    document = {"error": {"code": refusal.code, "message": refusal.message, "innerError": inner}}
    return answer_json(document, refusal.status, {"request-id": trace, **refusal.headers})


def answer_common_faults(faults: Faults, request: Request) -> Response | None:
    """Apply the faults that can affect any call; return None if the call goes on.

    :raise ConnectionDropped: a fault closes the connection without an answer.
    """
    if faults.fire("gone"):
        raise ConnectionDropped
    if fault := faults.fire("delay"):
        sleep(float(fault.get("seconds", 1)))
    if faults.fire("drop"):
        request.drain()
        raise ConnectionDropped
    if fault := faults.fire("garbage"):
        body = str(fault.get("body", "<html><body>Something went wrong</body></html>"))
        headers = {"Content-Type": str(fault.get("content_type", "application/json"))}
        return Response(200, headers, body.encode())
    if fault := faults.fire("status"):
        status = int(fault.get("status", 503))
        headers = {str(name): str(value) for name, value in (fault.get("headers") or {}).items()}
        if fault.get("retry_after") is not None:
            headers["Retry-After"] = str(fault["retry_after"])
        if "/oauth2/" in request.path:
            return answer_json(
                {
                    "error": str(fault.get("code", "temporarily_unavailable")),
                    "error_description": str(fault.get("message", "AADSTS90033: Try again.")),
                },
                status,
                headers,
            )
        refusal = Refusal(
            status,
            str(fault.get("code", _CODES.get(status, "generalException"))),
            str(fault.get("message", "The service cannot answer just now.")),
            "throttledRequest" if status == 429 else "",
            headers,
        )
        return write_refusal(refusal, request)
    return None
