"""Hand out access tokens: one refresh at a time per account."""

import logging
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from imagehub.clients import AccessToken, Clients
from imagehub.database import count_rows, now_utc, own_transaction
from imagehub.domain.leases import acquire_lease, get_lease_seconds, make_owner, release_lease
from imagehub.domain.onedrive.accounts import (
    CONNECTED,
    NEEDS_RECONNECT,
    NOT_CONNECTED,
    QUIET_OWNER,
    SIGN_IN,
    UNREADABLE_TOKENS,
    get_vault,
    make_quiet_name,
)
from imagehub.errors import ConnectionLostError, ServiceBusyError, ServiceRefusedError
from imagehub.models import DriveAccount

log = logging.getLogger(__name__)

# Longer than the discovery and token requests may take together.
_REFRESH_LEASE_SECONDS = 90.0
# After a failure Microsoft is not asked again for this long: it blocks programs that insist.
# Source: AADSTS50196 (client request loop).
_QUIET_SECONDS = 15.0


@dataclass(frozen=True)
class _Grant:
    """The tokens of one account at one moment; ``cache`` is decrypted."""

    account_id: int
    username: str
    reason: str
    code: str
    version: int
    scopes: Sequence[str]
    cache: str = field(repr=False)


def get_access_token(
    session: Session,
    clients: Clients,
    account_id: int,
    refused_token: str = "",
    wait_seconds: float = 20.0,
) -> AccessToken:
    """Get a token for Graph, valid for at least five minutes if Microsoft issues such.

    Only one caller at a time, in all processes, asks Microsoft; the others wait for its token.

    :param refused_token: a token that Graph did not accept; another one is needed.
    :param wait_seconds: how long to wait for another caller's refresh.
    :raise ConnectionLostError: a person must sign in again. Once that is known, Microsoft is not
        asked any more.
    :raise ServiceRefusedError: mostly ``wrong_client_secret``, until it is corrected.
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
        _keep_quiet(session, grant)
        if acquire_lease(session, lease, owner, _REFRESH_LEASE_SECONDS):
            try:
                # The previous holder of the lease has probably refreshed it.
                grant = _read_grant(session, clients, account_id)
                token = _find_token(clients, grant, refused_token) or _refresh(
                    session, clients, grant, bool(refused_token)
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
        row = own.execute(
            select(
                DriveAccount.username,
                DriveAccount.state,
                DriveAccount.state_reason,
                DriveAccount.state_code,
                DriveAccount.token_version,
                DriveAccount.scopes,
                DriveAccount.token_cache,
            ).where(DriveAccount.id == account_id)
        ).one_or_none()
    if row is None:
        raise ConnectionLostError("OneDrive is not connected.", code=NOT_CONNECTED)
    if row.state != CONNECTED:
        raise ConnectionLostError(
            row.state_reason or "OneDrive must be reconnected.",
            row.username,
            row.state_code or row.state,
        )
    try:
        cache = get_vault(clients).open(row.token_cache)
    except ValueError:
        raise ConnectionLostError(account=row.username, code=UNREADABLE_TOKENS) from None
    return _Grant(
        account_id=account_id,
        username=row.username,
        reason=row.state_reason,
        code=row.state_code,
        version=row.token_version,
        scopes=row.scopes.split(),
        cache=cache,
    )


def _find_token(clients: Clients, grant: _Grant, refused_token: str) -> AccessToken | None:
    token = clients.identity.find_cached_token(grant.cache, grant.scopes)
    return None if token is None or token.token == refused_token else token


def _refresh(session: Session, clients: Clients, grant: _Grant, force: bool) -> AccessToken | None:
    """Ask Microsoft for a token and save the result, also a failure.

    :return: None if the account was changed in the meantime.
    """
    try:
        token = clients.identity.refresh_token(grant.cache, grant.scopes, force)
    except ConnectionLostError as error:
        log.warning("OneDrive account %d is lost: %s", grant.account_id, error.code)
        if not write_grant(
            session,
            grant.account_id,
            grant.version,
            state=NEEDS_RECONNECT,
            state_reason=str(error)[:500],
            state_code=error.code[:100],
        ):
            return None
        raise ConnectionLostError(str(error), grant.username, error.code) from error
    except ServiceRefusedError as error:
        log.error("OneDrive account %d cannot be refreshed: %s", grant.account_id, error.reason)
        write_grant(
            session,
            grant.account_id,
            grant.version,
            state_reason=str(error)[:500],
            state_code=error.reason[:100],
        )
        acquire_lease(session, make_quiet_name(grant.account_id), QUIET_OWNER, _QUIET_SECONDS)
        raise
    except ServiceBusyError as error:
        acquire_lease(
            session,
            make_quiet_name(grant.account_id),
            QUIET_OWNER,
            min(max(error.retry_after_seconds, 1.0), _QUIET_SECONDS),
        )
        raise
    changes: dict[str, Any] = {"state_reason": "", "state_code": "", "refreshed_at": now_utc()}
    if token.cache is not None:
        changes["token_cache"] = get_vault(clients).seal(token.cache)
        changes["token_version"] = grant.version + 1
    is_saved = write_grant(session, grant.account_id, grant.version, **changes)
    return token if is_saved else None


@own_transaction
def write_grant(session: Session, /, account_id: int, version: int, **changes: Any) -> bool:
    """Change the account, unless its tokens are not of this version any more."""
    return (
        count_rows(
            session,
            update(DriveAccount)
            .where(DriveAccount.id == account_id, DriveAccount.token_version == version)
            .values(**changes),
        )
        > 0
    )


def _keep_quiet(session: Session, grant: _Grant) -> None:
    """Raise the error of the last attempt again, if that was a moment ago."""
    seconds = get_lease_seconds(session, make_quiet_name(grant.account_id))
    if not seconds:
        return
    if grant.code:
        raise ServiceRefusedError(SIGN_IN, "refresh a token", grant.code, grant.reason)
    raise ServiceBusyError(SIGN_IN, "refresh a token", retry_after_seconds=seconds)


def reseal_tokens(session: Session, clients: Clients) -> int:
    """Encrypt all tokens again with the first key, so that an old key can be removed.

    The caller commits.

    :return: how many accounts were changed.
    """
    vault = get_vault(clients)
    count = 0
    for account in session.scalars(select(DriveAccount).where(DriveAccount.state == CONNECTED)):
        try:
            cache = vault.open(account.token_cache)
        except ValueError:
            continue
        # A refresh in the meantime has used the first key already.
        count += count_rows(
            session,
            update(DriveAccount)
            .where(
                DriveAccount.id == account.id, DriveAccount.token_version == account.token_version
            )
            .values(token_cache=vault.seal(cache), token_version=account.token_version + 1),
        )
    return count
