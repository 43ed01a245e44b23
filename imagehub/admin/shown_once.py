"""What is shown once and never again: a share link's address, a token for programs, recovery
codes.

The form that makes one answers with a redirect, so that a reload makes no second one. On the way
to the page behind it the secret travels in the session's cookie, sealed: the hub keeps no copy, and
no address, log or cache gets to see it. The page takes it out as it shows it, and the hub remembers
its number, so that a copy of the cookie shows nothing either.
"""

import json
import secrets
from datetime import UTC, datetime, timedelta

from flask import g, session

from imagehub.clients import Vault
from imagehub.database import db, now_utc
from imagehub.domain.people import tokens
from imagehub.domain.vault import UnreadableSecretError
from imagehub.wiring import get_clients

# A redirect is followed at once. A cookie that somebody kept says nothing after that.
GOOD_FOR = timedelta(seconds=300)


def keep(kind: str, **facts: str) -> None:
    """Keep it for the next page that asks for this kind; an earlier one of the kind is dropped."""
    good_until = now_utc() + GOOD_FOR
    text = json.dumps([secrets.token_hex(16), g.session_id, good_until.timestamp(), facts])
    session[_name(kind)] = _get_vault().seal(text).decode()


def take(kind: str) -> dict[str, str]:
    """What was kept, once; empty if nothing was, or too long ago, or for another sign-in.

    Call it before anything is changed: that it was taken is written down in a transaction of its
    own.
    """
    sealed = session.get(_name(kind), "")
    if not sealed:
        return {}
    facts = _open_once(sealed)
    session.pop(_name(kind))
    return facts


def _open_once(sealed: str) -> dict[str, str]:
    try:
        number, session_id, timestamp, facts = json.loads(_get_vault().open(sealed.encode()))
    except (UnreadableSecretError, ValueError):
        # Unreadable, or of another shape: kept by the program as it was before an upgrade.
        return {}
    good_until = datetime.fromtimestamp(timestamp, UTC)
    if session_id != g.session_id or good_until < now_utc():
        return {}
    return dict(facts) if tokens.use_up(db.session(), number, good_until) else {}


def _name(kind: str) -> str:
    return f"once_{kind}"


def _get_vault() -> Vault:
    vault = get_clients().vault
    assert vault is not None
    return vault
