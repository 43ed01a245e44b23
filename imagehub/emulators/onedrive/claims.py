"""Claims challenges: what a token must satisfy beyond its scopes.

Source: "Claims challenges, claims requests and client capabilities".
"""

import json
from base64 import b64encode
from typing import Any

from .server import Refusal
from .state import State

# An authentication context of Conditional Access, as in Microsoft's example.
DEFAULT_CLAIMS = {"access_token": {"acrs": {"essential": True, "value": "c1"}}}
_CAPABILITIES = "xms_cc"


def write_claims(option: Any) -> str:
    """Return the claims of a fault's option as JSON text; the option may be text or an object."""
    if isinstance(option, str):
        return option
    return json.dumps(option or DEFAULT_CLAIMS, separators=(",", ":"))


def read_claims(text: str) -> dict[str, Any]:
    """Return what a claims parameter requests of the access token.

    :raise ValueError: it is not a JSON object.
    """
    document = json.loads(text) if text else {}
    wanted = document.get("access_token") or {} if isinstance(document, dict) else None
    if not isinstance(wanted, dict):
        raise ValueError("not a claims request")
    return wanted


def has_capability(met: dict[str, Any], name: str = "cp1") -> bool:
    """Tell whether the client has said that it understands claims challenges."""
    values = (met.get(_CAPABILITIES) or {}).get("values")
    return isinstance(values, list) and name in values


def are_met(wanted: str, met: dict[str, Any]) -> bool:
    """Tell whether claims that were satisfied include all that are wanted."""
    return all(met.get(name) == value for name, value in read_claims(wanted).items())


class MetClaims:
    """The claims that sign-ins and tokens have satisfied, by grant and by token."""

    def __init__(self, state: State) -> None:
        self._state = state

    def save(self, key: str, claims: dict[str, Any]) -> None:
        with self._state.transaction() as db:
            db.execute("REPLACE INTO met_claims VALUES (?, ?)", (key, json.dumps(claims)))

    def find(self, key: str) -> dict[str, Any]:
        with self._state.lock:
            row = self._state.db.execute(
                "SELECT claims FROM met_claims WHERE key = ?", (key,)
            ).fetchone()
        return {} if row is None else dict(json.loads(row[0]))


def make_challenge(claims: str) -> Refusal:
    """Return Graph's answer to a token that does not satisfy the claims."""
    return Refusal(
        401,
        "InvalidAuthenticationToken",
        "Continuous access evaluation resulted in challenge with result: InteractionRequired.",
        headers={
            "WWW-Authenticate": 'Bearer realm="", authorization_uri='
            '"https://login.microsoftonline.com/common/oauth2/authorize", '
            'client_id="00000003-0000-0000-c000-000000000000", error="insufficient_claims", '
            f'claims="{b64encode(claims.encode()).decode()}"'
        },
    )
