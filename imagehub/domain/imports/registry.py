"""Keep a register of running workers."""

import secrets
from typing import TYPE_CHECKING

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from imagehub.database import get_database_time, now_utc
from imagehub.domain.leases import acquire_lease, release_lease
from imagehub.models import Lease

if TYPE_CHECKING:
    # Only the worker's processes need to load the picture library.
    pass


# --- Workers --------------------------------------------------------------------------------------

_WORKER_LEASE = "worker:"


def make_owner() -> str:
    """A name for one worker that nobody else has."""
    return f"{now_utc():%Y%m%dT%H%M%S}-{secrets.token_hex(12)}"


def note_worker(session: Session, owner: str, seconds: float) -> None:
    """Say that a worker is alive, for the next ``seconds``. Commits on its own."""
    acquire_lease(session, _WORKER_LEASE + owner, owner, seconds)


def forget_worker(session: Session, owner: str) -> None:
    """Say that a worker ends. Commits on its own."""
    release_lease(session, _WORKER_LEASE + owner, owner)


def count_workers(session: Session) -> int:
    """Workers that are alive."""
    now = get_database_time(session)
    count = session.scalar(
        select(func.count())
        .select_from(Lease)
        .where(Lease.name.startswith(_WORKER_LEASE, autoescape=True), Lease.held_until > now)
    )
    return count or 0
