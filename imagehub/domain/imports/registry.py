"""Keep a register of running workers."""

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from imagehub.database import get_database_time
from imagehub.domain.leases import acquire_lease, release_lease
from imagehub.models import Lease

_WORKER_LEASE = "worker:"


def note_worker(session: Session, owner: str, seconds: float) -> None:
    """Register a worker as running for the next ``seconds``. Commits on its own."""
    acquire_lease(session, _WORKER_LEASE + owner, owner, seconds)


def forget_worker(session: Session, owner: str) -> None:
    """Remove a worker from the register. Commits on its own."""
    release_lease(session, _WORKER_LEASE + owner, owner)


def count_workers(session: Session) -> int:
    """Count the running workers."""
    now = get_database_time(session)
    count = session.scalar(
        select(func.count())
        .select_from(Lease)
        .where(Lease.name.startswith(_WORKER_LEASE, autoescape=True), Lease.held_until > now)
    )
    return count or 0
