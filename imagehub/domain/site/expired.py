"""Delete rows that have expired: sign-ins, tokens, failures, leases, sessions, log entries."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, func, or_, select
from sqlalchemy.orm import Session

from imagehub.database import count_rows, end_read, get_database_time, own_transaction
from imagehub.domain.leases import acquire_lease, make_owner
from imagehub.domain.onedrive import uploads
from imagehub.domain.people import audit, sessions
from imagehub.models import (
    AuditEntry,
    Lease,
    PendingSignIn,
    RevokedToken,
    SignInFailure,
    SignInSession,
    UploadSession,
)

PENDING_SIGN_IN_AGE = timedelta(minutes=15)
SIGN_IN_FAILURE_AGE = timedelta(days=2)
FREE_LEASE_AGE = timedelta(days=1)
_DAILY = "drop-expired"
_DAY_SECONDS = 86_400.0


def drop_expired_daily(session: Session) -> bool:
    """Delete expired rows unless a worker did so within a day; tell whether it did.

    The lease is never released: it marks the day.
    """
    if not acquire_lease(session, _DAILY, make_owner(), _DAY_SECONDS):
        return False
    drop_expired(session)
    return True


def drop_expired(session: Session, fix: bool = True) -> dict[str, int]:
    """Delete expired rows, each kind in a transaction of its own.

    :param session: holds no uncommitted change.
    :param fix: False only counts them.
    :return: number of rows by the name of the count in ``ReconcileReport``.
    """
    counts = {}
    for name, (model, condition) in _list_expired(get_database_time(session)).items():
        if fix:
            counts[name] = _delete(session, model, condition)
        else:
            query = select(func.count()).select_from(model).where(condition)
            counts[name] = session.scalar(query) or 0
        end_read(session)
    return counts


@own_transaction
def _delete(session: Session, model: Any, condition: Any) -> int:
    return count_rows(session, delete(model).where(condition))


def _list_expired(now: datetime) -> Mapping[str, tuple[Any, Any]]:
    blocked = SignInFailure.blocked_until
    return {
        "sign_in_count": (PendingSignIn, PendingSignIn.created_at < now - PENDING_SIGN_IN_AGE),
        "token_count": (RevokedToken, RevokedToken.expires_at < now),
        "failure_count": (
            SignInFailure,
            (SignInFailure.last_failed_at < now - SIGN_IN_FAILURE_AGE)
            & or_(blocked.is_(None), blocked < now),
        ),
        "lease_count": (Lease, Lease.held_until < now - FREE_LEASE_AGE),
        "session_count": (SignInSession, sessions.is_expired(now)),
        "upload_count": (UploadSession, UploadSession.begun_at < now - uploads.KEPT),
        "audit_count": (AuditEntry, AuditEntry.at < now - audit.KEPT),
    }
