"""Find connected OneDrive accounts, record their state, and hand out their access tokens."""

import logging
import random
import time
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from sqlalchemy import Update, or_, select, update
from sqlalchemy.orm import Session

from imagehub.clients import Clients, Drive
from imagehub.clients.sign_in import AccessToken
from imagehub.database import count_rows, get_database_time, now_utc, own_transaction
from imagehub.domain.leases import acquire_lease, get_lease_seconds, make_owner, release_lease
from imagehub.errors import (
    SIGN_IN,
    STEP_REQUIRED,
    ConnectionLostError,
    NotFoundError,
    ServiceBusyError,
    ServiceRefusedError,
)
from imagehub.models import DriveAccount

log = logging.getLogger(__name__)

CONNECTED = "connected"
NEEDS_RECONNECT = "needs_reconnect"
DISCONNECTED = "disconnected"
# Not a state of a row: ``describe_connection`` uses it if there is no account.
NOT_CONNECTED = "not_connected"
UNREADABLE_TOKENS = "unreadable_tokens"
QUIET_OWNER = "quiet"

# Longer than the discovery and token requests may take together.
_REFRESH_LEASE_SECONDS = 90.0
# After a failure Microsoft is not asked again for this long: it blocks programs that insist.
# Source: AADSTS50196 (client request loop).
_QUIET_SECONDS = 15.0
# The longest wait that is accepted from Microsoft.
_MAX_QUIET_SECONDS = 600.0
# A refusal for an unknown reason is believed if it is repeated after this time.
_BELIEVE_AFTER = timedelta(minutes=5)
_DOUBT_QUIET_SECONDS = 60.0


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
    now = get_database_time(session)
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


# --- Tokens ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Grant:
    """The tokens of one account at one moment; ``cache`` is decrypted."""

    account: DriveAccount
    cache: str = field(repr=False)


def get_access_token(
    session: Session,
    clients: Clients,
    account_id: int,
    refused_token: str = "",
    wait_seconds: float = 20.0,
    claims: str = "",
) -> AccessToken:
    """Get a token for Graph, valid for at least five minutes if Microsoft issues such.

    Only one caller at a time, in all processes, asks Microsoft; the others wait for its token.

    :param refused_token: a token that Graph did not accept; another one is needed.
    :param wait_seconds: how long to wait for another caller's refresh.
    :param claims: the claims challenge with which Graph refused the token.
    :raise ConnectionLostError: a person must sign in again. Once that is known, Microsoft is not
        asked any more.
    :raise ServiceRefusedError: ``wrong_client_secret``, ``wrong_registration`` or
        ``needs_administrator``, until that is corrected.
    :raise ServiceBusyError: try again; the connection may still work.
    """
    lease = f"refresh-token:{account_id}"
    owner = make_owner()
    deadline = time.monotonic() + wait_seconds
    while True:
        grant = _read_grant(session, clients, account_id)
        token = _find_token(clients, grant, refused_token)
        if token is not None:
            return token
        _keep_quiet(session, grant.account)
        if acquire_lease(session, lease, owner, _REFRESH_LEASE_SECONDS):
            try:
                # The previous holder of the lease has probably refreshed it.
                grant = _read_grant(session, clients, account_id)
                token = _find_token(clients, grant, refused_token) or _refresh(
                    session, clients, grant, bool(refused_token), claims
                )
            finally:
                release_lease(session, lease, owner)
            if token is not None:
                return token
            # The account was connected again in the meantime: read it again.
        if time.monotonic() > deadline:
            raise ServiceBusyError(SIGN_IN, "refresh a token", retry_after_seconds=10.0)
        time.sleep(random.uniform(0.05, 0.2))  # noqa: S311 - spreads the waiting callers


def _read_grant(session: Session, clients: Clients, account_id: int) -> _Grant:
    """Read the tokens as they are now, past the state of the caller's session.

    :raise ConnectionLostError: there are no usable tokens.
    """
    with Session(session.get_bind()) as own:
        account = own.get(DriveAccount, account_id)
    if account is None:
        raise ConnectionLostError("OneDrive is not connected.", code=NOT_CONNECTED)
    if account.state != CONNECTED:
        reason = account.state_reason or "OneDrive must be reconnected."
        raise ConnectionLostError(reason, account.username, account.state_code or account.state)
    try:
        return _Grant(account, clients.vault.open(account.token_cache))
    except ValueError:
        raise ConnectionLostError(account=account.username, code=UNREADABLE_TOKENS) from None


def _find_token(clients: Clients, grant: _Grant, refused_token: str) -> AccessToken | None:
    scopes = grant.account.scopes.split()
    token = clients.identity.find_cached_token(grant.cache, scopes)
    return None if token is None or token.token == refused_token else token


def _refresh(
    session: Session, clients: Clients, grant: _Grant, force: bool, claims: str = ""
) -> AccessToken | None:
    """Ask Microsoft for a token and save the result, also a failure.

    :return: None if the account was changed in the meantime.
    """
    account = grant.account
    try:
        token = clients.identity.refresh_token(grant.cache, account.scopes.split(), force, claims)
    except ConnectionLostError as error:
        if not error.is_certain and _doubt(session, account):
            raise ServiceBusyError(
                SIGN_IN, "refresh a token", retry_after_seconds=_DOUBT_QUIET_SECONDS
            ) from error
        log.warning("OneDrive account %d is lost: %s", account.id, error.code)
        if not _lose(session, account, error.sentence, error.code, error.claims or claims):
            return None
        raise ConnectionLostError(
            error.sentence, account.username, error.code, error.claims or claims
        ) from error
    except ServiceRefusedError as error:
        log.error("OneDrive account %d cannot be refreshed: %s", account.id, error.reason)
        reason, code = str(error)[:500], error.reason[:100]
        write_grant(
            session,
            account,
            state_reason=reason,
            state_code=code,
            claims_challenge=error.claims or account.claims_challenge,
        )
        acquire_lease(session, make_quiet_name(account.id), QUIET_OWNER, _QUIET_SECONDS)
        raise
    except ServiceBusyError as error:
        seconds = min(max(error.retry_after_seconds, 1.0), _MAX_QUIET_SECONDS)
        _note_refusal(session, account)
        acquire_lease(session, make_quiet_name(account.id), QUIET_OWNER, seconds)
        raise
    changes: dict[str, Any] = {
        "state_reason": "",
        "state_code": "",
        "refreshed_at": now_utc(),
        "refused_at": None,
        "doubted_at": None,
        "claims_challenge": None,
    }
    if token.cache is not None:
        changes["token_cache"] = clients.vault.seal(token.cache)
        changes["token_version"] = account.token_version + 1
    return token if write_grant(session, account, **changes) else None


def _note_refusal(session: Session, account: DriveAccount) -> None:
    """Note since when there are no tokens, for the connection page."""
    if account.refused_at is None:
        write_grant(session, account, refused_at=now_utc())


def _doubt(session: Session, account: DriveAccount) -> bool:
    """Tell whether a refusal for an unknown reason may still be a passing fault; note the first."""
    now = now_utc()
    if account.doubted_at is not None and now - account.doubted_at >= _BELIEVE_AFTER:
        return False
    if account.doubted_at is None:
        log.warning("OneDrive account %d is refused for an unknown reason", account.id)
        write_grant(session, account, doubted_at=now, refused_at=account.refused_at or now)
    acquire_lease(session, make_quiet_name(account.id), QUIET_OWNER, _DOUBT_QUIET_SECONDS)
    return True


def _lose(session: Session, account: DriveAccount, reason: str, code: str, claims: str) -> bool:
    """Record that a person must sign in; False if the account was changed in the meantime."""
    return write_grant(
        session,
        account,
        state=NEEDS_RECONNECT,
        state_reason=reason[:500],
        state_code=code[:100],
        claims_challenge=claims or None,
        refused_at=None,
        doubted_at=None,
    )


def require_sign_in(
    session: Session, account_id: int, clients: Clients, refused_token: str, claims: str
) -> None:
    """Record that Graph wants claims that only a sign-in can satisfy.

    Does nothing if the account has another token by now.
    """
    try:
        grant = _read_grant(session, clients, account_id)
    except ConnectionLostError:
        return
    found = clients.identity.find_cached_token(grant.cache, grant.account.scopes.split())
    if found is None or found.token == refused_token:
        log.warning("OneDrive account %d is lost: Graph sent a claims challenge", account_id)
        _lose(session, grant.account, STEP_REQUIRED, "insufficient_claims", claims)


@own_transaction
def write_grant(session: Session, /, account: DriveAccount, **changes: Any) -> bool:
    """Change the account, unless its tokens are not of this version any more."""
    return count_rows(session, _change_version(account, **changes)) > 0


def _change_version(account: DriveAccount, **changes: Any) -> Update:
    is_same = DriveAccount.token_version == account.token_version
    return update(DriveAccount).where(DriveAccount.id == account.id, is_same).values(**changes)


def _keep_quiet(session: Session, account: DriveAccount) -> None:
    """Raise the error of the last attempt again, if that was a moment ago."""
    seconds = get_lease_seconds(session, make_quiet_name(account.id))
    if seconds and account.state_code:
        raise ServiceRefusedError(
            SIGN_IN, "refresh a token", account.state_code, account.state_reason
        )
    if seconds:
        raise ServiceBusyError(SIGN_IN, "refresh a token", retry_after_seconds=seconds)
