"""What is shown once and never again: a share link's address, a token for programs, recovery
codes.

The form that makes one answers with a redirect, so that a reload makes no second one. On the way
to the page behind it the secret travels in the session's cookie, sealed: the hub keeps no copy, and
no address, log or cache gets to see it. The page takes it out as it shows it.
"""

import json
import time

from flask import g, session

from imagehub.clients import Vault
from imagehub.domain.vault import UnreadableSecretError
from imagehub.wiring import get_clients

# A redirect is followed at once. A cookie that somebody kept says nothing after that.
GOOD_FOR_SECONDS = 300


def keep(kind: str, **facts: str) -> None:
    """Keep it for the next page that asks for this kind; an earlier one of the kind is dropped."""
    text = json.dumps([g.session_id, time.time(), facts])
    session[_name(kind)] = _get_vault().seal(text).decode()


def take(kind: str) -> dict[str, str]:
    """What was kept, once; empty if nothing was, or too long ago, or for another sign-in."""
    sealed = session.pop(_name(kind), "")
    if not sealed:
        return {}
    try:
        session_id, kept_at, facts = json.loads(_get_vault().open(sealed.encode()))
    except UnreadableSecretError:
        return {}
    is_good = session_id == g.session_id and time.time() - kept_at < GOOD_FOR_SECONDS
    return facts if is_good else {}


def _name(kind: str) -> str:
    return f"once_{kind}"


def _get_vault() -> Vault:
    vault = get_clients().vault
    assert vault is not None
    return vault
