"""The identity platform's errors, by AADSTS number.

Source: "Microsoft Entra authentication and authorization error codes".
"""

from time import gmtime, strftime
from typing import Any

from .items import make_trace_id
from .server import Request, Response, answer_json

_HOST = "https://login.microsoftonline.com"

# number → (error, HTTP status, sentence)
_AADSTS: dict[int, tuple[str, int, str]] = {
    40010: ("temporarily_unavailable", 400, "The identity provider cannot answer just now."),
    50000: ("invalid_grant", 400, "There was an error issuing a token."),
    50005: ("interaction_required", 400, "The policy does not support this platform."),
    50011: ("invalid_grant", 400, "The redirect URI does not match the one of the request."),
    50020: ("invalid_grant", 400, "The account does not exist in this tenant."),
    50033: ("invalid_grant", 400, "A transient error has occurred. Please try again."),
    50053: ("invalid_grant", 400, "The account is locked for a while."),
    50055: ("invalid_grant", 400, "The password is expired."),
    50057: ("invalid_grant", 400, "The user account is disabled."),
    50072: ("interaction_required", 400, "The user must enrol in multi-factor authentication."),
    50076: ("invalid_grant", 400, "Multi-factor authentication is required."),
    50078: ("invalid_grant", 400, "The multi-factor authentication has expired."),
    50079: ("invalid_grant", 400, "Enrolment in multi-factor authentication is required."),
    50089: ("invalid_grant", 400, "The flow token has expired."),
    50097: ("interaction_required", 400, "Device authentication is required."),
    50105: ("invalid_grant", 400, "The user is not assigned to a role for the application."),
    50158: ("interaction_required", 400, "An external security challenge was not satisfied."),
    50173: ("invalid_grant", 400, "The grant was revoked; a fresh sign-in is needed."),
    50194: ("invalid_request", 400, "The application is not configured as multi-tenant."),
    50196: ("invalid_grant", 400, "The client sends too many identical requests."),
    53000: ("interaction_required", 400, "The device is not compliant with the policy."),
    53001: ("interaction_required", 400, "The device is not joined to the domain."),
    53003: ("invalid_grant", 400, "Access has been blocked by Conditional Access policies."),
    54005: ("invalid_grant", 400, "The authorization code was already redeemed."),
    65001: ("invalid_grant", 400, "The user has not consented to the application."),
    65004: ("access_denied", 400, "User declined to consent to access the app."),
    65005: ("invalid_resource", 400, "The application does not list the permission."),
    70000: ("invalid_grant", 400, "The provided grant is invalid or malformed."),
    70002: ("invalid_client", 401, "The client secret is wrong."),
    70003: ("unsupported_grant_type", 400, "The grant type is not supported."),
    70008: ("invalid_grant", 400, "The code or refresh token has expired due to inactivity."),
    70011: ("invalid_scope", 400, "A requested scope is not valid."),
    70012: ("invalid_grant", 400, "A server error occurred. Try again."),
    70043: ("invalid_grant", 400, "The sign-in frequency of Conditional Access has passed."),
    90002: ("invalid_request", 400, "The tenant was not found."),
    90033: ("temporarily_unavailable", 503, "A transient error has occurred. Please try again."),
    90055: ("invalid_grant", 400, "There are too many incoming requests."),
    90094: ("invalid_grant", 400, "The administrator's consent is required."),
    500112: ("invalid_client", 401, "The reply address does not match."),
    501481: ("invalid_grant", 400, "The code verifier does not match the code challenge."),
    650057: ("invalid_resource", 400, "The resource is not among the requested permissions."),
    700016: ("unauthorized_client", 400, "The application was not found in the directory."),
    700082: ("invalid_grant", 400, "The refresh token has expired due to inactivity."),
    700084: ("invalid_grant", 400, "The refresh token was issued to a single page app, 24 h ago."),
    900144: ("invalid_request", 400, "A required parameter is missing."),
    7000215: ("invalid_client", 401, "The client secret is wrong."),
    7000218: ("invalid_client", 401, "The request must contain client_secret."),
    7000222: ("invalid_client", 401, "The provided client secret keys are expired."),
}
_SUBERRORS = {
    50076: "basic_action",
    50078: "basic_action",
    50079: "basic_action",
    50072: "basic_action",
    50158: "basic_action",
    53000: "additional_action",
    53001: "additional_action",
    53003: "message_only",
    65001: "consent_required",
    50173: "bad_token",
    70008: "bad_token",
    70043: "bad_token",
    700082: "bad_token",
}


class SignInError(Exception):
    """An error of the token endpoint, by AADSTS number.

    :param error: the error, if not the usual one of this number; ``status`` likewise.
    :param claims: what a sign-in must satisfy, as JSON text.
    """

    def __init__(
        self,
        number: int,
        detail: str = "",
        suberror: str = "",
        claims: str = "",
        error: str = "",
        status: int = 0,
    ) -> None:
        super().__init__(number)
        self.number = number
        self.detail = detail
        self.suberror = suberror
        self.claims = claims
        self.error = error
        self.status = status


def refuse_sign_in(error: SignInError, request: Request) -> Response:
    """Return the error's JSON, with numbers and traces like the platform's."""
    word, status, sentence = _AADSTS.get(
        error.number, ("invalid_grant", 400, "The request cannot be answered.")
    )
    trace, now = make_trace_id(), strftime("%Y-%m-%d %H:%M:%SZ", gmtime())
    correlation = request.headers.get("client-request-id") or make_trace_id()
    document: dict[str, Any] = {
        "error": error.error or word,
        "error_description": f"AADSTS{error.number}: {error.detail or sentence} "
        f"Trace ID: {trace} Correlation ID: {correlation} Timestamp: {now}",
        "error_codes": [error.number],
        "timestamp": now,
        "trace_id": trace,
        "correlation_id": correlation,
        "error_uri": f"{_HOST}/error?code={error.number}",
    }
    suberror = error.suberror or _SUBERRORS.get(error.number, "")
    if suberror:
        document["suberror"] = suberror
    if error.claims:
        document["claims"] = error.claims
    headers = {"Cache-Control": "no-store, no-cache", "x-ms-request-id": trace}
    return answer_json(document, error.status or status, headers)
