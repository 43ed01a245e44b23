"""Use the sign-in of every connected account daily, so that it does not expire unused.

Microsoft drops a refresh token that was not used for 90 days, and each use extends it. A hub whose
gallery only shows renditions may not need OneDrive for that long. A daily use also tells within a
day that an owner or administrator has revoked the access.
"""

import logging
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from imagehub.clients import Clients
from imagehub.database import end_read, now_utc
from imagehub.domain.leases import acquire_lease, make_owner
from imagehub.domain.onedrive.accounts import CONNECTED, get_access_token
from imagehub.errors import ImageHubError
from imagehub.models import DriveAccount

log = logging.getLogger(__name__)

# Microsoft drops a sign-in that was not used for this long.
# Source: Microsoft identity platform, "Refresh token lifetime".
UNUSED_LIFETIME = timedelta(days=90)
USE_AFTER = timedelta(days=1)
# After a failure the next try of any worker is this much later.
RETRY_SECONDS = 3600.0

_last_use = func.coalesce(DriveAccount.refreshed_at, DriveAccount.connected_at)


def use_idle_grants(session: Session, clients: Clients) -> int:
    """Renew the tokens of accounts that were idle for a day; return how many were renewed.

    Of several workers one tries, once an hour. Failures are recorded in the account's row, as of
    any other use, and Home shows them.

    :param session: holds no uncommitted change.
    """
    count = 0
    for account_id, used_at in _list_idle(session):
        # The lease is not released: it keeps the next try away for an hour.
        if not acquire_lease(session, f"keep-alive:{account_id}", make_owner(), RETRY_SECONDS):
            continue
        try:
            token = get_access_token(session, clients, account_id)
            if _find_last_use(session, account_id) == used_at:
                # That one was still valid, so Microsoft was not asked.
                get_access_token(session, clients, account_id, token.token)
        except ImageHubError as error:
            log.warning("The sign-in of OneDrive account %d was not renewed: %s", account_id, error)
            continue
        count += 1
    return count


def _list_idle(session: Session) -> list[tuple[int, datetime]]:
    """List (id, last use) of connected accounts, the longest unused first."""
    rows = session.execute(
        select(DriveAccount.id, _last_use)
        .where(DriveAccount.state == CONNECTED, _last_use <= now_utc() - USE_AFTER)
        .order_by(_last_use, DriveAccount.id)
    ).all()
    end_read(session)
    return [(row[0], row[1]) for row in rows]


def _find_last_use(session: Session, account_id: int) -> datetime | None:
    found = session.scalar(select(_last_use).where(DriveAccount.id == account_id))
    end_read(session)
    return found
