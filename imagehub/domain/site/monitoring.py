"""Measure the state of the hub for monitoring: queue, workers, connections."""

from collections import Counter
from collections.abc import Iterator

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from imagehub.clients import Clients
from imagehub.database import get_database_time, now_utc
from imagehub.domain.imports.claims import count_workers
from imagehub.domain.onedrive import accounts, status
from imagehub.errors import NEEDS_ADMINISTRATOR, WRONG_CLIENT_SECRET, WRONG_REGISTRATION
from imagehub.metrics import Reading
from imagehub.models import ImportItem, ImportJob

CONNECTION_STATES = (
    accounts.CONNECTED, accounts.NEEDS_RECONNECT, WRONG_CLIENT_SECRET, WRONG_REGISTRATION,
    NEEDS_ADMINISTRATOR,
)  # fmt: skip


def measure_hub(session: Session, clients: Clients) -> list[Reading]:
    """Return the state from a few short queries; asks neither OneDrive nor the storage."""
    return [*_measure_queue(session), *_measure_connections(session, clients)]


def _measure_queue(session: Session) -> Iterator[Reading]:
    now = get_database_time(session)
    due = (ImportItem.state == "queued", ImportItem.available_at <= now)
    running_job = ImportItem.job_id.in_(select(ImportJob.id).where(ImportJob.state == "running"))
    for name, conditions in {
        "due": (*due, running_job),
        "later": (ImportItem.state == "queued", ImportItem.available_at > now),
        "running": (ImportItem.state == "running",),
        "failed": (ImportItem.state == "failed",),
    }.items():
        count = session.scalar(select(func.count()).select_from(ImportItem).where(*conditions))
        yield Reading("imagehub_queue_items", count or 0, (name,))
    oldest = session.scalar(
        select(ImportItem.available_at)
        .where(*due, running_job)
        .order_by(ImportItem.available_at)
        .limit(1)
    )
    age = (now - oldest).total_seconds() if oldest else 0.0
    yield Reading("imagehub_queue_oldest_due_seconds", age)
    yield Reading("imagehub_workers", count_workers(session))


def _measure_connections(session: Session, clients: Clients) -> Iterator[Reading]:
    active = status.describe_connection(session, clients)
    unused = (accounts.NOT_CONNECTED, accounts.DISCONNECTED)
    known = [active] if active.state not in unused else []
    known += status.describe_earlier(session, clients)
    states = Counter(one.state for one in known)
    for state in CONNECTION_STATES:
        yield Reading("imagehub_onedrive_connections", states[state], (state,))
    troubled = sum(not one.is_usable or one.is_waiting for one in known)
    yield Reading("imagehub_onedrive_connections_needing_attention", troubled)
    for one in known:
        used_at = one.refreshed_at or one.connected_at
        if one.is_usable and used_at is not None:
            age = max(0.0, (now_utc() - used_at).total_seconds())
            yield Reading("imagehub_onedrive_token_age_seconds", age, (str(one.account_id),))
