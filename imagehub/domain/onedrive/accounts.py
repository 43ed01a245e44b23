"""Find connected OneDrive accounts and record their state."""

from datetime import timedelta

from sqlalchemy import or_, select, update
from sqlalchemy.orm import Session

from imagehub.clients import Clients, Drive, Vault
from imagehub.database import now_utc, own_transaction
from imagehub.errors import ConnectionLostError, NotFoundError
from imagehub.models import DriveAccount

CONNECTED = "connected"
NEEDS_RECONNECT = "needs_reconnect"
DISCONNECTED = "disconnected"
# Not a state of a row: ``describe_connection`` uses it if there is no account.
NOT_CONNECTED = "not_connected"
WRONG_CLIENT_SECRET = "wrong_client_secret"  # noqa: S105 - the code of an error
UNREADABLE_TOKENS = "unreadable_tokens"
QUIET_OWNER = "quiet"

SIGN_IN = "Microsoft sign-in"


def find_active_account(session: Session) -> DriveAccount | None:
    """Find the account that ImageHub uses, in any state; None before the first connection."""
    return session.scalars(
        select(DriveAccount)
        .where(DriveAccount.is_active)
        .order_by(DriveAccount.connected_at.desc())
        .limit(1)
        .execution_options(populate_existing=True)
    ).one_or_none()


def get_active_account(session: Session) -> DriveAccount:
    """Get the account that ImageHub uses, in any state.

    :raise ConnectionLostError: OneDrive was never connected.
    """
    account = find_active_account(session)
    if account is None:
        raise ConnectionLostError("OneDrive is not connected yet.", code=NOT_CONNECTED)
    return account


def open_active_drive(session: Session, clients: Clients) -> Drive:
    """Open the drive of the active account, without a request to OneDrive.

    :raise ConnectionLostError: OneDrive was never connected.
    """
    return clients.open_drive(get_active_account(session).id)


def make_quiet_name(account_id: int) -> str:
    """Name the lease that keeps everybody from refreshing a token after a failure."""
    return f"refresh-quiet:{account_id}"


@own_transaction
def set_pause(session: Session, account_id: int, seconds: float) -> None:
    """Keep every process from calling Graph for this account, for ``seconds`` from now.

    A longer pause that is already running stays.
    """
    now = now_utc()
    until = now + timedelta(seconds=seconds)
    account = update(DriveAccount).where(DriveAccount.id == account_id)
    session.execute(account.values(last_throttled_at=now))
    session.execute(
        account.where(
            or_(DriveAccount.paused_until.is_(None), DriveAccount.paused_until < until)
        ).values(paused_until=until)
    )


@own_transaction
def note_success(session: Session, account_id: int) -> None:
    """Note that Graph has just answered a request for this account."""
    session.execute(
        update(DriveAccount).where(DriveAccount.id == account_id).values(last_success_at=now_utc())
    )


def may_write(account: DriveAccount) -> bool:
    """Tell whether the owner has allowed uploads and changes, not only reading."""
    return any("readwrite" in scope.lower() for scope in account.scopes.split())


def get_account(session: Session, account_id: int) -> DriveAccount:
    """Get an account by its id.

    :raise NotFoundError: there is no such account.
    """
    account = session.get(DriveAccount, account_id)
    if account is None:
        raise NotFoundError("account", account_id)
    return account


def get_vault(clients: Clients) -> Vault:
    """Give the vault of these clients."""
    if clients.vault is None:
        raise RuntimeError("these clients were built without a vault")
    return clients.vault
