"""Show a secret once: the address of a share link, an API token, recovery codes.

The form that creates one answers with a redirect, so that a reload creates no second one. Until the
next page the secret travels in the session's cookie, sealed: the server keeps no copy, and it is in
no address, log or cache. The page takes it out of the cookie, and its number is remembered, so that
a copy of the cookie shows nothing.
"""

import json
import secrets
from datetime import UTC, datetime, timedelta

from flask import g, session

from imagehub.database import db, now_utc
from imagehub.domain.people import tokens
from imagehub.wiring import get_vault

# Redirects are followed at once. A copied cookie is worth nothing after that.
GOOD_FOR = timedelta(seconds=300)


def keep(kind: str, **facts: str) -> None:
    """Keep a secret for the next page that takes this kind, in place of an earlier one."""
    good_until = now_utc() + GOOD_FOR
    text = json.dumps([secrets.token_hex(16), g.session_id, good_until.timestamp(), facts])
    session[_name(kind)] = get_vault().seal(text).decode()


def take(kind: str) -> dict[str, str]:
    """Return what was kept, once; empty if nothing was, too long ago, or in another session.

    Call it before any change: that it was taken is saved in a transaction of its own.
    """
    sealed = session.get(_name(kind), "")
    if not sealed:
        return {}
    facts = _open_once(sealed)
    session.pop(_name(kind))
    return facts


def _open_once(sealed: str) -> dict[str, str]:
    try:
        number, session_id, timestamp, facts = json.loads(get_vault().open(sealed.encode()))
    except ValueError:
        # Unreadable, or kept by another version of ImageHub.
        return {}
    good_until = datetime.fromtimestamp(timestamp, UTC)
    if session_id != g.session_id or good_until < now_utc():
        return {}
    return dict(facts) if tokens.use_up(db.session(), number, good_until) else {}


def _name(kind: str) -> str:
    return f"once_{kind}"
