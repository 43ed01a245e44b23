"""The state of a running check: its lease and its row in ``drive_watch``."""

import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy import Select, select, update
from sqlalchemy.orm import Session

from imagehub.clients import Vault
from imagehub.database import count_rows, get_database_time, own_transaction
from imagehub.domain.sync.schedule import ensure_watch, get_lease_name
from imagehub.errors import ConnectionLostError, ImageHubError, ServiceBusyError
from imagehub.models import DriveWatch, Lease

# Longer than the slowest request may take with all its waiting; renewed with every write.
LEASE_SECONDS = 180.0
# After a failure the next check waits 1, 2, 4 … minutes, up to this.
LONGEST_DELAY = timedelta(minutes=30)

Row = TypeVar("Row")
Result = TypeVar("Result")
Parameters = ParamSpec("Parameters")


class LeaseLostError(Exception):
    """Another worker has taken over the check."""


@own_transaction
def write_with_lease(
    session: Session, account_id: int, owner: str, work: Callable[[Session], Result]
) -> Result:
    """Write a part of a check and renew the lease, in the same transaction.

    :raise LeaseLostError: the lease is not ``owner``'s any more; nothing is written.
    """
    until = get_database_time(session) + timedelta(seconds=LEASE_SECONDS)
    is_ours = (Lease.name == get_lease_name(account_id)) & (Lease.owner == owner)
    if not count_rows(session, update(Lease).where(is_ours).values(held_until=until)):
        raise LeaseLostError
    return work(session)


class CheckProgress:
    """One worker's access to the state of one account's check.

    Each write is committed at once, and no transaction stays open in between.
    """

    def __init__(self, session: Session, vault: Vault, account_id: int, owner: str) -> None:
        self._session = session
        self._vault = vault
        self._account_id = account_id
        self._owner = owner
        self._this = update(DriveWatch).where(DriveWatch.drive_account_id == account_id)
        self._renewed_at = time.monotonic()

    def read(self, query: Select[Row]) -> list[Row]:
        """Read in a session of its own; objects are detached afterwards."""
        with Session(self._session.get_bind()) as own:
            return list(own.scalars(query))

    def write(
        self,
        work: Callable[Concatenate[Session, Parameters], Result],
        *args: Parameters.args,
        **kwargs: Parameters.kwargs,
    ) -> Result:
        """Call ``work`` in a transaction of its own, see :func:`write_with_lease`."""
        self._renewed_at = time.monotonic()
        return write_with_lease(
            self._session, self._account_id, self._owner, lambda own: work(own, *args, **kwargs)
        )

    def renew(self) -> None:
        """Renew the lease if the last write was long ago."""
        if time.monotonic() - self._renewed_at > LEASE_SECONDS / 6:
            self.write(lambda _: None)

    def get_watch(self) -> DriveWatch:
        """Read the row as it is now."""
        [watch] = self.read(
            select(DriveWatch).where(DriveWatch.drive_account_id == self._account_id)
        )
        return watch

    def update(self, own: Session, /, **values: Any) -> None:
        """Change the row as part of a write."""
        count_rows(own, self._this.values(**values))

    def save(self, **values: Any) -> None:
        """Change the row."""
        self.write(self.update, **values)

    # --- The link ---------------------------------------------------------------------------------

    def open_link(self, watch: DriveWatch) -> str:
        """Give the link to read on from; "" to read everything."""
        try:
            return self._vault.open(watch.link) if watch.link else ""
        except ValueError:
            # The key that it was sealed with is gone.
            return ""

    def seal_link(self, link: str) -> bytes:
        """Seal a link for the row; "" stays empty."""
        return self._vault.seal(link) if link else b""

    # --- Beginning and end ------------------------------------------------------------------------

    def begin(self) -> datetime:
        """Note that a check begins or is resumed; return the time."""

        def note(own: Session) -> datetime:
            ensure_watch(own, self._account_id)
            now = get_database_time(own)
            self.update(own, tried_at=now)
            return now

        return self.write(note)

    def start_over(self, link: str) -> None:
        """Begin to read the whole drive.

        :param link: where its list begins, "" for OneDrive's default.
        """
        number = DriveWatch.run_number + 1
        self.save(link=self.seal_link(link), is_full=True, run_number=number, step="mark")

    def finish(self, begun_at: datetime) -> None:
        """Note that the check is complete.

        A check that was requested after ``begun_at`` stays requested: it may be about something
        that had been read before.
        """

        def note(own: Session) -> None:
            self.update(
                own,
                step="",
                is_full=False,
                checked_at=get_database_time(own),
                next_at=None,
                failure_count=0,
                problem="",
            )
            count_rows(own, self._this.where(DriveWatch.asked_at <= begun_at).values(asked_at=None))

        self.write(note)

    def note_failure(self, problem: str, error: ImageHubError | None = None) -> None:
        """Note why the check failed and when to try again.

        :raise LeaseLostError: another worker has taken over; nothing is noted.
        """

        def note(own: Session) -> None:
            watch = own.get_one(DriveWatch, self._account_id)
            delay = min(LONGEST_DELAY, timedelta(minutes=2 ** min(watch.failure_count, 10)))
            if isinstance(error, ServiceBusyError):
                delay = max(delay, timedelta(seconds=error.retry_after_seconds))
            elif isinstance(error, ConnectionLostError):
                # No check runs while it is lost; once it is back, the next one should be soon.
                delay = timedelta(minutes=1)
            watch.failure_count += 1
            watch.problem = problem[:500]
            watch.next_at = get_database_time(own) + delay

        self.write(note)
