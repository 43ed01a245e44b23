"""Describe the OneDrive connection for the admin pages."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from imagehub.clients import Clients, DriveInfo, Quota
from imagehub.database import get_database_time, now_utc, own_transaction
from imagehub.domain.onedrive.accounts import (
    CONNECTED,
    DISCONNECTED,
    NEEDS_RECONNECT,
    NOT_CONNECTED,
    UNREADABLE_TOKENS,
    find_active_account,
    get_access_token,
    may_write,
)
from imagehub.errors import (
    NEEDS_ADMINISTRATOR,
    WRONG_CLIENT_SECRET,
    WRONG_REGISTRATION,
    ConnectionLostError,
    NotFoundError,
    ServiceRefusedError,
)
from imagehub.messages import mark
from imagehub.models import DriveAccount, User

# A person is told of a refusal that mostly passes by itself after this time.
_LONG_REFUSAL = timedelta(minutes=10)


def is_connected(session: Session, clients: Clients) -> bool:
    """Tell whether there is a usable token; refresh it if necessary.

    :raise ServiceBusyError: unknown, because Microsoft's sign-in cannot be reached.
    """
    account = find_active_account(session)
    if account is None:
        return False
    try:
        token = get_access_token(session, clients, account.id)
        account = find_active_account(session)
        if account is not None and account.state_code:
            # Graph or Microsoft's sign-in refused it; that it has not expired proves nothing.
            get_access_token(session, clients, account.id, token.token)
    except (ConnectionLostError, ServiceRefusedError):
        return False
    return True


@dataclass(frozen=True)
class ConnectionInfo:
    """The connection as the admin pages and the health check show it. Holds no secret.

    ``state``: ``connected``, ``needs_reconnect``, ``disconnected``, ``not_connected``, or one that
    ends by itself once somebody has corrected the cause: ``wrong_client_secret``,
    ``wrong_registration``, ``needs_administrator``. ``reason``: a sentence unless it is
    ``connected``; ``code``: Microsoft's error code. ``refreshed_at``: when Microsoft last issued a
    token. ``refused_at``: since when it has not, though it was asked to; None if it did.
    ``paused_until``: None if it is in the past.
    """

    state: str
    reason: str = ""
    code: str = ""
    account_id: int | None = None
    username: str = ""
    name: str = ""
    may_write: bool = False
    connected_at: datetime | None = None
    connected_by: str = ""
    refreshed_at: datetime | None = None
    refused_at: datetime | None = None
    last_success_at: datetime | None = None
    last_throttled_at: datetime | None = None
    paused_until: datetime | None = None
    drive_kind: str = ""
    quota: Quota = field(default_factory=Quota)

    @property
    def is_usable(self) -> bool:
        """Whether it is connected, as far as is known without a request."""
        return self.state == CONNECTED

    @property
    def is_refused(self) -> bool:
        """Whether it works again by itself, once somebody has corrected the cause elsewhere."""
        return self.state in (WRONG_CLIENT_SECRET, WRONG_REGISTRATION, NEEDS_ADMINISTRATOR)

    @property
    def is_waiting(self) -> bool:
        """Whether Microsoft has issued no token for longer than a fault mostly lasts."""
        return self.refused_at is not None and now_utc() - self.refused_at > _LONG_REFUSAL


def describe_connection(session: Session, clients: Clients) -> ConnectionInfo:
    """Describe the connection as far as is known without a request."""
    account = find_active_account(session)
    if account is None:
        return ConnectionInfo(NOT_CONNECTED, mark("OneDrive is not connected yet."))
    return _describe_account(session, clients, account)


def describe_earlier(session: Session, clients: Clients) -> list[ConnectionInfo]:
    """Describe accounts that were active before and keep their tokens for the images from them."""
    accounts = session.scalars(
        select(DriveAccount)
        .where(DriveAccount.is_active.is_(False), DriveAccount.state != DISCONNECTED)
        .order_by(DriveAccount.connected_at.desc(), DriveAccount.id)
        .execution_options(populate_existing=True)
    )
    return [_describe_account(session, clients, account) for account in accounts]


def _describe_account(session: Session, clients: Clients, account: DriveAccount) -> ConnectionInfo:
    paused_until = account.paused_until
    if paused_until is not None and paused_until <= get_database_time(session):
        paused_until = None
    state, reason, code = account.state, account.state_reason, account.state_code
    if state == CONNECTED and code:
        lasting = (WRONG_CLIENT_SECRET, NEEDS_ADMINISTRATOR)
        state = code if code in lasting else WRONG_REGISTRATION
    elif state == CONNECTED:
        try:
            clients.vault.open(account.token_cache)
        except ValueError:
            state, code = NEEDS_RECONNECT, UNREADABLE_TOKENS
            reason = mark(
                "The saved sign-in cannot be decrypted with the key in IMAGEHUB_TOKEN_KEY. "
                "OneDrive must be reconnected."
            )
    admin = session.get(User, account.connected_by_id) if account.connected_by_id else None
    return ConnectionInfo(
        state=state,
        reason=reason,
        code=code,
        account_id=account.id,
        username=account.username,
        name=account.name,
        may_write=may_write(account),
        connected_at=account.connected_at,
        connected_by=admin.name if admin else "",
        refreshed_at=account.refreshed_at,
        refused_at=account.refused_at,
        last_success_at=account.last_success_at,
        last_throttled_at=account.last_throttled_at,
        paused_until=paused_until,
        drive_kind=account.drive_kind,
        quota=Quota(account.quota_total_bytes, account.quota_used_bytes),
    )


def refresh_drive_facts(session: Session, clients: Clients, account_id: int) -> DriveInfo:
    """Ask Graph for the drive's id, kind and storage space, and save them.

    :raise ConnectionLostError, ServiceBusyError, ServiceRefusedError: as any request to the drive.
    :raise NotFoundError: this person has no OneDrive.
    """
    info = clients.open_drive(account_id).get_drive()
    save_drive_facts(session, account_id, info)
    return info


@own_transaction
def save_drive_facts(session: Session, account_id: int, info: DriveInfo) -> None:
    """Save what Graph has told of the account's drive.

    :raise NotFoundError: there is no such account any more.
    """
    account = session.get(DriveAccount, account_id)
    if account is None:
        raise NotFoundError("OneDrive account", account_id)
    account.drive_id = info.id
    account.drive_kind = info.kind[:32]
    account.quota_total_bytes = info.quota.total_bytes
    account.quota_used_bytes = info.quota.used_bytes
    account.last_success_at = now_utc()
