"""The connection to OneDrive: signing in at Microsoft, and access tokens ever after.

The token cache of an account is one encrypted column. Whoever finds no usable token in it takes a
lease, looks again, and only then asks Microsoft; what Microsoft rotates is saved before anybody
uses it. Leases and token writes are transactions of their own: **call these functions with no
uncommitted change in the session**, and commit what :func:`start_connection`,
:func:`finish_connection` and :func:`disconnect` leave in it.
"""

import hmac
import json
import logging
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import CursorResult, delete, exists, or_, select, update
from sqlalchemy.orm import Session

from imagehub.clients import AccessToken, Clients, Drive, DriveInfo, Quota, Vault
from imagehub.database import now_utc, own_transaction
from imagehub.domain.leases import (
    acquire_lease,
    get_lease_seconds,
    make_owner,
    release_lease,
)
from imagehub.errors import (
    ConnectionLostError,
    InvalidInputError,
    NotFoundError,
    ServiceBusyError,
    ServiceRefusedError,
)
from imagehub.models import DriveAccount, Image, ImportJob, ImportPlan, PendingSignIn, User

log = logging.getLogger("imagehub.connection")

# The least that shows and imports pictures, and what managing folders and uploads asks on top.
READ_ONLY_SCOPES = ("Files.Read", "User.Read")
DEFAULT_SCOPES = ("Files.ReadWrite", "User.Read")

CONNECTED = "connected"
NEEDS_RECONNECT = "needs_reconnect"
DISCONNECTED = "disconnected"
# Not a state of the row, but what ``describe_connection`` calls the lack of one.
NOT_CONNECTED = "not_connected"
WRONG_CLIENT_SECRET = "wrong_client_secret"  # noqa: S105 - a word for an error
UNREADABLE_TOKENS = "unreadable_tokens"

SIGN_IN_LIFETIME = timedelta(minutes=15)
# A sign-in address handed out again is still good for this long.
_SIGN_IN_REUSE = timedelta(minutes=5)

# Longer than discovery and token call may take together with their time limits.
_REFRESH_LEASE_SECONDS = 90.0
# After a failure nobody asks Microsoft again for this long: it blocks programs that insist.
# Source: AADSTS50196 (client request loop).
_QUIET_SECONDS = 15.0
_QUIET_OWNER = "quiet"

_SIGN_IN = "Microsoft sign-in"
# Signing in grants these on the side; they are no scopes of OneDrive.
_SIGN_IN_SCOPES = frozenset({"openid", "profile", "offline_access", "email"})


# --- Connecting -----------------------------------------------------------------------------------


def start_connection(
    session: Session,
    clients: Clients,
    user_id: int,
    redirect_uri: str,
    scopes: Sequence[str] = DEFAULT_SCOPES,
    login_hint: str = "",
    prompt: str = "",
    renews: str = "",
) -> str:
    """Begin a sign-in at Microsoft for this user.

    One sign-in per user and redirect address is pending. While it is fresh the same question gives
    the same address, so that a page that asks twice does not spoil the sign-in under way.

    :param redirect_uri: where Microsoft sends the browser back, exactly as registered there.
    :param scopes: :data:`DEFAULT_SCOPES`, or :data:`READ_ONLY_SCOPES`.
    :param prompt: Microsoft's word: ``select_account``, ``consent`` … or "".
    :param renews: the ``home_account_id`` of an earlier account: nobody else may sign in then, and
        the active one stays active.
    :return: the address to send the browser to.
    :raise ServiceBusyError: Microsoft's sign-in cannot be reached just now.
    :raise ServiceRefusedError: no app registration is configured.
    """
    vault = _get_vault(clients)
    now = now_utc()
    wish = {
        "scopes": sorted(scopes),
        "login_hint": login_hint,
        "prompt": prompt,
        "registration": clients.identity.registration,
        "renews": renews,
    }
    pending = list(
        session.scalars(
            select(PendingSignIn).where(
                PendingSignIn.user_id == user_id, PendingSignIn.redirect_uri == redirect_uri
            )
        )
    )
    for row in pending:
        kept = _open_flow(vault, row)
        if kept is not None and kept["wish"] == wish and now - row.created_at < _SIGN_IN_REUSE:
            return str(kept["url"])
    begun = clients.identity.start_sign_in(redirect_uri, scopes, login_hint, prompt)
    session.execute(
        delete(PendingSignIn).where(
            or_(
                PendingSignIn.state.in_([row.state for row in pending]),
                PendingSignIn.created_at < now - SIGN_IN_LIFETIME,
            )
        )
    )
    kept = {"url": begun.url, "flow": dict(begun.flow), "wish": wish}
    session.add(
        PendingSignIn(
            state=begun.state,
            user_id=user_id,
            redirect_uri=redirect_uri,
            flow=vault.seal(json.dumps(kept)),
            created_at=now,
        )
    )
    return begun.url


def finish_connection(
    session: Session, clients: Clients, user_id: int, answer: Mapping[str, str]
) -> DriveAccount:
    """Turn what Microsoft sent back into the active connection.

    The pending sign-in must be this user's; it is used up by the attempt, whatever comes of it.
    The account signed in with becomes the active one. Others are forgotten, unless images or
    imports refer to them: those keep their tokens, so that their originals can still be fetched.

    :param answer: the redirect's query. ``state`` may be left out by a program that hands on the
        code alone: then the user's newest sign-in is meant.
    :return: the account, not yet committed.
    :raise InvalidInputError: no such sign-in, too old, used already, foreign, or declined.
    :raise ServiceRefusedError: ``bad_code`` or ``wrong_client_secret``.
    :raise ServiceBusyError: Microsoft's sign-in cannot be reached just now.
    """
    vault = _get_vault(clients)
    kept = _take_sign_in(session, vault, user_id, answer.get("state", ""))
    signed = clients.identity.finish_sign_in(kept["flow"], answer)
    renews = str(kept["wish"].get("renews", ""))
    if renews and signed.home_account_id != renews:
        raise InvalidInputError(
            f"You signed in as {signed.username or 'somebody else'}, but it is another account "
            "that was to be connected again. Please start again."
        )
    granted = [scope for scope in signed.scopes if scope.lower() not in _SIGN_IN_SCOPES]

    found = session.scalars(
        select(DriveAccount).where(DriveAccount.home_account_id == signed.home_account_id)
    ).one_or_none()
    if found is not None:
        release_lease(session, _quiet_name(found.id), _QUIET_OWNER)
    account = found or DriveAccount(home_account_id=signed.home_account_id, token_version=0)
    account.username = signed.username[:320]
    account.name = signed.name[:255]
    account.tenant_id = signed.tenant_id[:64]
    account.scopes = " ".join(granted or kept["wish"]["scopes"])[:500]
    account.token_cache = vault.seal(signed.cache)
    account.token_version = (
        account.token_version + 1 if found is None else DriveAccount.token_version + 1
    )
    account.state, account.state_reason, account.state_code = CONNECTED, "", ""
    account.is_active = account.is_active if found and renews else True
    account.connected_at = account.refreshed_at = now_utc()
    account.connected_by_id = user_id
    session.add(account)
    session.flush()
    session.refresh(account)
    if account.is_active:
        _retire_others(session, account)
    log.info("OneDrive account %d was connected by user %d", account.id, user_id)
    return account


def disconnect(session: Session, account: DriveAccount) -> None:
    """Forget the account's tokens. The account stays, for the images that came from it."""
    account.state = DISCONNECTED
    account.state_reason = "OneDrive was disconnected by an admin."
    account.state_code = ""
    account.token_cache = b""
    account.token_version = DriveAccount.token_version + 1
    session.flush()
    session.refresh(account)


def _take_sign_in(session: Session, vault: Vault, user_id: int, state: str) -> dict[str, Any]:
    """The pending sign-in of this user, taken out of the database for good."""
    not_here = InvalidInputError(
        "This sign-in was not started here, or was finished already. Please start again."
    )
    with own_transaction(session) as own:
        rows = list(
            own.scalars(
                select(PendingSignIn)
                .where(PendingSignIn.user_id == user_id)
                .order_by(PendingSignIn.created_at.desc())
            )
        )
        if state:
            # The comparison takes as long for a near miss as for a far one.
            wanted = state.encode("utf-8", "surrogatepass")
            rows = [row for row in rows if hmac.compare_digest(row.state.encode(), wanted)]
        if not rows:
            raise not_here
        row = rows[0]
        # Of two that try at once, one finds the row to delete.
        if not _found_row(own, delete(PendingSignIn).where(PendingSignIn.state == row.state)):
            raise not_here
    if now_utc() - row.created_at > SIGN_IN_LIFETIME:
        raise InvalidInputError("This sign-in took longer than 15 minutes. Please start again.")
    kept = _open_flow(vault, row)
    if kept is None:
        raise not_here
    return kept


def _open_flow(vault: Vault, row: PendingSignIn) -> dict[str, Any] | None:
    try:
        return cast("dict[str, Any]", json.loads(vault.open(row.flow)))
    except ValueError:
        return None


def _retire_others(session: Session, account: DriveAccount) -> None:
    for other in session.scalars(select(DriveAccount).where(DriveAccount.id != account.id)):
        other.is_active = False
        is_used = session.scalar(
            select(
                or_(
                    exists().where(Image.drive_account_id == other.id),
                    exists().where(ImportJob.drive_account_id == other.id),
                )
            )
        )
        if not is_used:
            # What was chosen there for an import, and never begun, goes with it.
            session.execute(delete(ImportPlan).where(ImportPlan.drive_account_id == other.id))
            session.delete(other)
    session.flush()


# --- The account ----------------------------------------------------------------------------------


def find_active_account(session: Session) -> DriveAccount | None:
    """The account the hub works with, in whatever state; None before the first connection."""
    return session.scalars(
        select(DriveAccount)
        .where(DriveAccount.is_active)
        .order_by(DriveAccount.connected_at.desc())
        .limit(1)
        .execution_options(populate_existing=True)
    ).one_or_none()


def get_active_account(session: Session) -> DriveAccount:
    """As :func:`find_active_account`.

    :raise ConnectionLostError: OneDrive was never connected.
    """
    account = find_active_account(session)
    if account is None:
        raise ConnectionLostError("OneDrive is not connected yet.", code=NOT_CONNECTED)
    return account


def open_active_drive(session: Session, clients: Clients) -> Drive:
    """The drive of the active account, without asking whether it can be reached.

    :raise ConnectionLostError: OneDrive was never connected.
    """
    return clients.open_drive(get_active_account(session).id)


def is_connected(session: Session, clients: Clients) -> bool:
    """Whether a usable token is at hand, refreshed if need be.

    :raise ServiceBusyError: nobody can tell, because Microsoft's sign-in cannot be reached.
    """
    account = find_active_account(session)
    if account is None:
        return False
    try:
        get_access_token(session, clients, account.id)
    except (ConnectionLostError, ServiceRefusedError):
        return False
    return True


# --- Tokens ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Grant:
    """What one account holds at one moment; ``cache`` is opened."""

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
    """A token for Graph, good for at least five minutes where Microsoft gives such.

    Across all processes one caller at a time asks Microsoft; the others wait and use what it got.

    :param refused_token: a token that Graph did not accept: any other one will do.
    :param wait_seconds: how long to wait for another caller's refresh.
    :raise ConnectionLostError: a person must sign in again. Once that is known, Microsoft is not
        asked any more.
    :raise ServiceRefusedError: ``wrong_client_secret`` above all: passes once that is mended.
    :raise ServiceBusyError: try again; the connection may well be alive.
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
                # Whoever held the lease until just now has most likely refreshed.
                grant = _read_grant(session, clients, account_id)
                token = _find_token(clients, grant, refused_token) or _refresh(
                    session, clients, grant, bool(refused_token)
                )
            finally:
                release_lease(session, lease, owner)
            if token is not None:
                return token
            # The account was connected anew meanwhile: look at what is there now.
        if time.monotonic() > deadline:
            raise ServiceBusyError(_SIGN_IN, "refresh a token", retry_after_seconds=10.0)
        time.sleep(random.uniform(0.05, 0.2))  # noqa: S311 - spreads the waiting callers


def _read_grant(session: Session, clients: Clients, account_id: int) -> _Grant:
    """Fresh from the database, past whatever the caller's session remembers.

    :raise ConnectionLostError: there is nothing to ask Microsoft with.
    """
    with own_transaction(session) as own:
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
            row.state_reason or "OneDrive must be connected again.",
            row.username,
            row.state_code or row.state,
        )
    try:
        cache = _get_vault(clients).open(row.token_cache)
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
    """Ask Microsoft, and write down whatever comes of it.

    :return: None where the account was changed while Microsoft was asked.
    """
    try:
        token = clients.identity.refresh_token(grant.cache, grant.scopes, force)
    except ConnectionLostError as error:
        log.warning("OneDrive account %d is lost: %s", grant.account_id, error.code)
        if not _write_grant(
            session,
            grant,
            state=NEEDS_RECONNECT,
            state_reason=str(error)[:500],
            state_code=error.code[:100],
        ):
            return None
        raise ConnectionLostError(str(error), grant.username, error.code) from error
    except ServiceRefusedError as error:
        log.error("OneDrive account %d cannot be refreshed: %s", grant.account_id, error.reason)
        _write_grant(session, grant, state_reason=str(error)[:500], state_code=error.reason[:100])
        acquire_lease(session, _quiet_name(grant.account_id), _QUIET_OWNER, _QUIET_SECONDS)
        raise
    except ServiceBusyError as error:
        acquire_lease(
            session,
            _quiet_name(grant.account_id),
            _QUIET_OWNER,
            min(max(error.retry_after_seconds, 1.0), _QUIET_SECONDS),
        )
        raise
    changes: dict[str, Any] = {"state_reason": "", "state_code": "", "refreshed_at": now_utc()}
    if token.cache is not None:
        changes["token_cache"] = _get_vault(clients).seal(token.cache)
        changes["token_version"] = grant.version + 1
    return token if _write_grant(session, grant, **changes) else None


def _write_grant(session: Session, grant: _Grant, **changes: Any) -> bool:
    """Change the account, unless somebody has written tokens since ``grant`` was read."""
    with own_transaction(session) as own:
        return _found_row(
            own,
            update(DriveAccount)
            .where(DriveAccount.id == grant.account_id, DriveAccount.token_version == grant.version)
            .values(**changes),
        )


def _keep_quiet(session: Session, grant: _Grant) -> None:
    """Raise what the last attempt raised, if it was a moment ago."""
    seconds = get_lease_seconds(session, _quiet_name(grant.account_id))
    if not seconds:
        return
    if grant.code:
        raise ServiceRefusedError(_SIGN_IN, "refresh a token", grant.code, grant.reason)
    raise ServiceBusyError(_SIGN_IN, "refresh a token", retry_after_seconds=seconds)


def _quiet_name(account_id: int) -> str:
    return f"refresh-quiet:{account_id}"


def reseal_tokens(session: Session, clients: Clients) -> int:
    """Encrypt all tokens anew with the first of the keys, so that an old key can be taken away.

    :return: how many accounts were written.
    """
    vault = _get_vault(clients)
    count = 0
    for account in session.scalars(select(DriveAccount).where(DriveAccount.state == CONNECTED)):
        try:
            cache = vault.open(account.token_cache)
        except ValueError:
            continue
        with own_transaction(session) as own:
            # A refresh that came in between has used the first key already.
            count += _found_row(
                own,
                update(DriveAccount)
                .where(
                    DriveAccount.id == account.id,
                    DriveAccount.token_version == account.token_version,
                )
                .values(token_cache=vault.seal(cache), token_version=account.token_version + 1),
            )
    return count


# --- Pauses ---------------------------------------------------------------------------------------


def set_pause(session: Session, account_id: int, seconds: float) -> None:
    """Keep every process from calling Graph for this account for ``seconds`` from now.

    A longer pause that is running stays.
    """
    now = now_utc()
    until = now + timedelta(seconds=seconds)
    with own_transaction(session) as own:
        account = update(DriveAccount).where(DriveAccount.id == account_id)
        own.execute(account.values(last_throttled_at=now))
        own.execute(
            account.where(
                or_(DriveAccount.paused_until.is_(None), DriveAccount.paused_until < until)
            ).values(paused_until=until)
        )


def note_success(session: Session, account_id: int) -> None:
    """Graph has answered as it should, just now."""
    with own_transaction(session) as own:
        own.execute(
            update(DriveAccount)
            .where(DriveAccount.id == account_id)
            .values(last_success_at=now_utc())
        )


# --- Facts for people -----------------------------------------------------------------------------


@dataclass(frozen=True)
class ConnectionInfo:
    """The connection as the admin page and the health check show it. Holds no secret.

    ``state``: ``connected``, ``needs_reconnect``, ``disconnected``, ``not_connected`` or
    ``wrong_client_secret``. ``reason`` is a sentence where it is not ``connected``, ``code``
    Microsoft's word for it. ``token_age_seconds``: since Microsoft last gave a token.
    ``paused_until`` only while it lies ahead.
    """

    state: str
    reason: str = ""
    code: str = ""
    account_id: int | None = None
    username: str = ""
    name: str = ""
    scopes: Sequence[str] = ()
    may_write: bool = False
    connected_at: datetime | None = None
    connected_by: str = ""
    refreshed_at: datetime | None = None
    token_age_seconds: float | None = None
    last_success_at: datetime | None = None
    last_throttled_at: datetime | None = None
    paused_until: datetime | None = None
    drive_id: str = ""
    drive_kind: str = ""
    quota: Quota = field(default_factory=Quota)

    @property
    def is_usable(self) -> bool:
        """As far as is known: nobody was asked."""
        return self.state == CONNECTED


def may_write(account: DriveAccount) -> bool:
    """Whether the owner has allowed uploads and changes, not only reading."""
    return any("readwrite" in scope.lower() for scope in account.scopes.split())


def describe_connection(session: Session, clients: Clients) -> ConnectionInfo:
    """What is known of the connection, without asking Microsoft."""
    account = find_active_account(session)
    if account is None:
        return ConnectionInfo(NOT_CONNECTED, "OneDrive is not connected yet.")
    return _describe_account(session, clients, account)


def describe_earlier(session: Session, clients: Clients) -> list[ConnectionInfo]:
    """Accounts that were active before; their tokens are kept for images that came from them."""
    accounts = session.scalars(
        select(DriveAccount)
        .where(DriveAccount.is_active.is_(False), DriveAccount.state != DISCONNECTED)
        .order_by(DriveAccount.connected_at.desc(), DriveAccount.id)
        .execution_options(populate_existing=True)
    )
    return [_describe_account(session, clients, account) for account in accounts]


def get_account(session: Session, account_id: int) -> DriveAccount:
    """:raise NotFoundError: there is no such account."""
    account = session.get(DriveAccount, account_id)
    if account is None:
        raise NotFoundError("account", account_id)
    return account


def _describe_account(session: Session, clients: Clients, account: DriveAccount) -> ConnectionInfo:
    now = now_utc()
    state, reason, code = account.state, account.state_reason, account.state_code
    if state == CONNECTED and code == WRONG_CLIENT_SECRET:
        state = WRONG_CLIENT_SECRET
    elif state == CONNECTED:
        try:
            _get_vault(clients).open(account.token_cache)
        except ValueError:
            state, code = NEEDS_RECONNECT, UNREADABLE_TOKENS
            reason = (
                "The saved sign-in cannot be read with the key in IMAGEHUB_TOKEN_KEY. OneDrive "
                "must be connected again."
            )
    scopes = account.scopes.split()
    admin = session.get(User, account.connected_by_id) if account.connected_by_id else None
    return ConnectionInfo(
        state=state,
        reason=reason,
        code=code,
        account_id=account.id,
        username=account.username,
        name=account.name,
        scopes=scopes,
        may_write=may_write(account),
        connected_at=account.connected_at,
        connected_by=admin.name if admin else "",
        refreshed_at=account.refreshed_at,
        token_age_seconds=(
            (now - account.refreshed_at).total_seconds() if account.refreshed_at else None
        ),
        last_success_at=account.last_success_at,
        last_throttled_at=account.last_throttled_at,
        paused_until=(
            account.paused_until if account.paused_until and account.paused_until > now else None
        ),
        drive_id=account.drive_id,
        drive_kind=account.drive_kind,
        quota=Quota(account.quota_total_bytes, account.quota_used_bytes),
    )


def refresh_drive_facts(session: Session, clients: Clients, account_id: int) -> DriveInfo:
    """Ask Graph which drive this is and how full, and remember it (a transaction of its own).

    :raise ConnectionLostError, ServiceBusyError, ServiceRefusedError: as any call of the drive.
    :raise NotFoundError: this person has no OneDrive.
    """
    info = clients.open_drive(account_id).get_drive()
    with own_transaction(session) as own:
        account = own.get(DriveAccount, account_id)
        if account is None:
            raise NotFoundError("OneDrive account", account_id)
        account.drive_id = info.id
        account.drive_kind = info.kind[:32]
        account.quota_total_bytes = info.quota.total_bytes
        account.quota_used_bytes = info.quota.used_bytes
        account.last_success_at = now_utc()
    return info


def _get_vault(clients: Clients) -> Vault:
    if clients.vault is None:
        raise RuntimeError("these clients were built without a vault")
    return clients.vault


def _found_row(session: Session, statement: Any) -> bool:
    return bool(cast("CursorResult[Any]", session.execute(statement)).rowcount)
