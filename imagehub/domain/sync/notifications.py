"""Have OneDrive notify the hub of changes, so that checks begin at once.

A *subscription* makes the service send a notification to an address of the hub soon after anything
in the drive has changed. It says only that, so it is never believed for more: it makes the next
check (``domain.sync.check``) due, which reads what changed. A check that runs from time to time
finds what no notification told.

Each account has one subscription, in ``drive_subscription``. It lives for three days and workers
renew it after half of that, so that one that is lost, or whose hub is gone, ends soon.

Source: Microsoft Graph v1.0, "Set up notifications for changes in resource data" and "Reduce
missing change notifications".
"""

import hashlib
import hmac
import logging
import secrets
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_address
from urllib.parse import urlsplit

from sqlalchemy import delete, or_, select, update
from sqlalchemy.orm import Session

from imagehub.clients import Clients, Subscription
from imagehub.config import Settings
from imagehub.database import count_rows, get_database_time, own_transaction
from imagehub.domain.leases import acquire_lease, make_owner, release_lease
from imagehub.errors import ImageHubError, NotAllowedError, NotFoundError, ServiceBusyError
from imagehub.models import DriveAccount, DriveSubscription

log = logging.getLogger(__name__)

# The addresses of notifications, each of which ends with a random key.
PATH = "/onedrive/notifications/"
LIFE = timedelta(days=3)
# The service asks a new address for its token while the subscription is created.
_HANDSHAKE_TIME = timedelta(minutes=5)
# After a failure the next try waits 2, 4, 8 … minutes, up to this.
_LONGEST_DELAY = timedelta(hours=6)
# Longer than the slowest request may take with all its waiting.
_LEASE_SECONDS = 300.0


@dataclass(frozen=True)
class Note:
    """What counts of a notification: the secret that it carries, and an event of its life.

    ``event``: ``reauthorizationRequired``, ``subscriptionRemoved``, ``missed``, or "" for a change.
    """

    secret: str
    event: str = ""


@dataclass(frozen=True)
class NotificationInfo:
    """Whether the hub is notified of an account's changes.

    ``state``: ``on``, ``starting`` (to be created soon), ``failed`` (``problem`` says why),
    ``no_address`` (the hub has no public https address) or ``off`` (by a setting). ``until``: when
    the subscription ends unless it is renewed. ``notified_at``: the last notification.
    """

    state: str
    until: datetime | None = None
    notified_at: datetime | None = None
    problem: str = ""


def find_base_url(settings: Settings) -> str:
    """Return the public address for notifications; "" if there can be none.

    The service requires https; only an emulator on the same machine accepts less.
    """
    parts = urlsplit(settings.public_url)
    is_here = parts.hostname == "localhost"
    with suppress(ValueError):
        is_here = is_here or ip_address(parts.hostname or "").is_loopback
    may_be_notified = settings.drive_notifications and (parts.scheme == "https" or is_here)
    return settings.public_url if may_be_notified else ""


def describe_notifications(
    session: Session, settings: Settings, account_id: int
) -> NotificationInfo:
    """Describe the notifications of one connected account."""
    if not settings.drive_notifications:
        return NotificationInfo("off")
    base_url = find_base_url(settings)
    if not base_url:
        return NotificationInfo("no_address")
    row = session.get(DriveSubscription, account_id, populate_existing=True)
    if row is None or row.base_url != base_url:
        return NotificationInfo("starting")
    is_on = bool(row.subscription_id) and _is_after(row.expires_at, get_database_time(session))
    state = "on" if is_on else "failed" if row.problem else "starting"
    return NotificationInfo(state, row.expires_at, row.notified_at, row.problem)


def _is_after(moment: datetime | None, other: datetime) -> bool:
    return moment is not None and moment > other


# --- Receiving ------------------------------------------------------------------------------------


def expects_handshake(session: Session, key: str) -> bool:
    """Tell whether the service may ask this address for its token now."""
    row = _find_by_key(session, key)
    return row is not None and row.tried_at > get_database_time(session) - _HANDSHAKE_TIME


def receive(session: Session, key: str, notes: Sequence[Note]) -> None:
    """Make a check due, if a notification is genuine. The caller commits.

    This changes one row that no check holds, so the service gets its answer at once. Any number of
    notifications lead to one check, see ``schedule.list_due_accounts``.

    :param key: the end of the address.
    :raise NotFoundError: there is no such subscription any more.
    :raise NotAllowedError: no notification carries the subscription's secret.
    """
    row = _find_by_key(session, key)
    if row is None:
        raise NotFoundError("subscription", "")
    genuine = [note for note in notes if _is_secret(row, note.secret)]
    if not genuine:
        log.warning("Notifications for account %d carry a wrong secret", row.drive_account_id)
        raise NotAllowedError("These notifications are not OneDrive’s.")
    now = get_database_time(session)
    values: dict[str, object] = {"notified_at": now}
    events = {note.event for note in genuine}
    if "reauthorizationRequired" in events or "subscriptionRemoved" in events:
        values["next_at"] = now
    if "subscriptionRemoved" in events:
        values["subscription_id"] = ""
    if events != {""}:
        log.info("Subscription of account %d: %s", row.drive_account_id, ", ".join(sorted(events)))
    this = update(DriveSubscription).where(DriveSubscription.key == row.key)
    count_rows(session, this.values(**values))


def _find_by_key(session: Session, key: str) -> DriveSubscription | None:
    return session.scalars(
        select(DriveSubscription).where(DriveSubscription.key == key)
    ).one_or_none()


def _is_secret(row: DriveSubscription, secret: str) -> bool:
    return hmac.compare_digest(_make_hash(secret), row.secret_hash)


def _make_hash(secret: str) -> str:
    """Hash a secret, which is random and long enough for one fast round."""
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()


# --- Keeping subscriptions ------------------------------------------------------------------------


def keep_subscriptions(
    session: Session, clients: Clients, base_url: str, keep_on: Callable[[], bool] = lambda: True
) -> None:
    """Create, renew and end the subscriptions that are due; cheap if there are none.

    :param session: holds no uncommitted change.
    :param base_url: see :func:`find_base_url`.
    :param keep_on: called between two accounts; False leaves the rest for later.
    """
    for account_id in _list_due(session, base_url):
        if not keep_on():
            return
        owner, lease = make_owner(), f"drive-subscription:{account_id}"
        if not acquire_lease(session, lease, owner, _LEASE_SECONDS):
            continue
        try:
            # Another worker may have done it since the list was read.
            if account_id in _list_due(session, base_url):
                _keep(session, clients, account_id, base_url)
        finally:
            release_lease(session, lease, owner)


def _list_due(session: Session, base_url: str) -> Sequence[int]:
    row, account = DriveSubscription, DriveAccount
    with Session(session.get_bind()) as own:
        if not base_url:
            return own.scalars(select(row.drive_account_id)).all()
        is_due = or_(
            row.drive_account_id.is_(None),
            row.next_at <= get_database_time(own),
            row.base_url != base_url,
            # The owner may just have allowed more.
            row.tried_at < account.connected_at,
        )
        joined = select(account.id).outerjoin(row, row.drive_account_id == account.id)
        return own.scalars(joined.where(account.state == "connected", is_due)).all()


def _keep(session: Session, clients: Clients, account_id: int, base_url: str) -> None:
    if not base_url:
        end_subscription(session, clients, account_id)
        return
    with Session(session.get_bind()) as own:
        row = own.get(DriveSubscription, account_id)
        now = get_database_time(own)
    subscriptions = clients.open_drive(account_id).subscriptions
    try:
        if row is not None and row.subscription_id:
            if row.base_url == base_url and _is_after(row.expires_at, now):
                begin_try(session, account_id)
                with suppress(NotFoundError):
                    found = subscriptions.renew(row.subscription_id, now + LIFE)
                    save_subscription(session, account_id, row.key, found)
                    return
            else:
                subscriptions.delete(row.subscription_id)
        key, secret = secrets.token_urlsafe(32), secrets.token_urlsafe(48)
        # Before it is created, because the service asks the new address for its token.
        save_address(session, account_id, key, base_url, _make_hash(secret))
        found = subscriptions.create(f"{base_url}{PATH}{key}", secret, now + LIFE)
        save_subscription(session, account_id, key, found, is_new=True)
        log.info("OneDrive notifies the hub of changes of account %d", account_id)
    except ImageHubError as error:
        log.warning("No notifications for account %d: %s", account_id, error)
        note_failure(session, account_id, error)


def end_subscription(session: Session, clients: Clients, account_id: int) -> None:
    """End an account's subscription; the service stops by itself if it can't be told.

    Commits on its own. Notifications that still come find no such address.
    """
    subscription_id = delete_subscription(session, account_id)
    if not subscription_id:
        return
    try:
        clients.open_drive(account_id).subscriptions.delete(subscription_id)
    except ImageHubError as error:
        log.warning("The subscription of account %d ends by itself: %s", account_id, error)


@own_transaction
def save_address(
    session: Session, account_id: int, key: str, base_url: str, secret_hash: str
) -> None:
    """Save the address and the secret of a subscription that is about to be created."""
    now = get_database_time(session)
    row = session.get(DriveSubscription, account_id) or DriveSubscription(
        drive_account_id=account_id
    )
    row.key, row.base_url, row.secret_hash = key, base_url, secret_hash
    row.subscription_id, row.expires_at = "", None
    # If this worker ends before it can note a failure, another one tries again.
    row.tried_at, row.next_at = now, now + _HANDSHAKE_TIME
    session.add(row)


@own_transaction
def begin_try(session: Session, account_id: int) -> None:
    """Note that a subscription is about to be renewed."""
    now = get_database_time(session)
    this = update(DriveSubscription).where(DriveSubscription.drive_account_id == account_id)
    count_rows(session, this.values(tried_at=now, next_at=now + _HANDSHAKE_TIME))


@own_transaction
def save_subscription(
    session: Session, account_id: int, key: str, found: Subscription, is_new: bool = False
) -> None:
    """Save what the service has created or renewed.

    :param is_new: the drive may have changed while there was none, so a check is due.
    """
    now = get_database_time(session)
    values: dict[str, object] = {"notified_at": now} if is_new else {}
    this = update(DriveSubscription).where(
        DriveSubscription.drive_account_id == account_id, DriveSubscription.key == key
    )
    count_rows(
        session,
        this.values(
            subscription_id=found.id[:255],
            expires_at=found.expires_at,
            next_at=now + (found.expires_at - now) / 2,
            failure_count=0,
            problem="",
            **values,
        ),
    )


@own_transaction
def note_failure(session: Session, account_id: int, error: ImageHubError) -> None:
    """Note why there is no subscription, and when to try again."""
    row = session.get(DriveSubscription, account_id)
    if row is None:
        return
    row.failure_count += 1
    row.problem = error.sentence[:500]
    delay = min(_LONGEST_DELAY, timedelta(minutes=2 ** min(row.failure_count, 10)))
    if isinstance(error, ServiceBusyError):
        delay = max(delay, timedelta(seconds=error.retry_after_seconds))
    row.next_at = get_database_time(session) + delay


@own_transaction
def delete_subscription(session: Session, account_id: int) -> str:
    """Forget an account's subscription; return its id, "" if there was none."""
    row = session.get(DriveSubscription, account_id)
    if row is None:
        return ""
    session.execute(
        delete(DriveSubscription).where(DriveSubscription.drive_account_id == account_id)
    )
    return row.subscription_id
