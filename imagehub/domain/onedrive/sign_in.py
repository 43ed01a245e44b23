"""Connect a OneDrive account through Microsoft's sign-in."""

import hmac
import json
import logging
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, cast

from sqlalchemy import delete, exists, or_, select
from sqlalchemy.orm import Session

from imagehub.clients import Clients, Vault
from imagehub.clients.sign_in import SignedIn
from imagehub.database import count_rows, get_database_time, own_transaction
from imagehub.domain.leases import release_lease
from imagehub.domain.onedrive.accounts import (
    CONNECTED,
    DISCONNECTED,
    QUIET_OWNER,
    make_quiet_name,
)
from imagehub.errors import InvalidInputError
from imagehub.messages import Message, mark
from imagehub.models import DriveAccount, Image, ImportJob, ImportPlan, PendingSignIn

log = logging.getLogger(__name__)

# The least that allows to show and import pictures; and what changes and uploads need.
READ_ONLY_SCOPES = ("Files.Read", "User.Read")
DEFAULT_SCOPES = ("Files.ReadWrite", "User.Read")
# What notifications of changes need with a work or school account.
WIDE_SCOPES = ("Files.ReadWrite.All", "User.Read")

SIGN_IN_LIFETIME = timedelta(minutes=15)
# A sign-in address is given out again for this long.
_SIGN_IN_REUSE = timedelta(minutes=5)
# Every sign-in grants these; they are not scopes of OneDrive.
_SIGN_IN_SCOPES = frozenset({"openid", "profile", "offline_access", "email"})


def keep_wide(account: DriveAccount | None, scopes: Sequence[str]) -> Sequence[str]:
    """Return what to ask an account for that signs in again.

    A sign-in that asks for less than the owner has allowed would end notifications.

    :param account: that is to sign in; None for a new one.
    :param scopes: the least that is needed.
    """
    had = account.scopes.lower().split() if account is not None else []
    is_wide = any(scope.endswith(WIDE_SCOPES[0].lower()) for scope in had)
    return WIDE_SCOPES if is_wide else scopes


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

    If Microsoft has refused the account with a claims challenge, the sign-in satisfies it.

    One sign-in is pending for each user and redirect address. While it is fresh, the same request
    gets the same address, so a page that asks twice does not break the sign-in.

    :param redirect_uri: where Microsoft sends the browser back, exactly as registered there.
    :param scopes: :data:`DEFAULT_SCOPES`, :data:`READ_ONLY_SCOPES` or :data:`WIDE_SCOPES`.
    :param prompt: as Microsoft defines it: ``select_account``, ``consent`` … or "".
    :param renews: ``home_account_id`` of a previous account. Only this one may sign in then, and
        the active account stays active.
    :return: the address to send the browser to.
    :raise ServiceBusyError: Microsoft's sign-in cannot be reached.
    :raise ServiceRefusedError: no app registration is configured.
    """
    vault = clients.vault
    # Another machine may finish it.
    now = get_database_time(session)
    claims = _find_claims(session, renews) if prompt != "select_account" else ""
    wish = {
        "scopes": sorted(scopes),
        "login_hint": login_hint,
        "prompt": prompt,
        "registration": clients.identity.registration,
        "renews": renews,
        "claims": claims,
    }
    pending = session.scalars(
        select(PendingSignIn).where(
            PendingSignIn.user_id == user_id, PendingSignIn.redirect_uri == redirect_uri
        )
    ).all()
    for row in pending:
        kept = _open_flow(vault, row)
        if kept is not None and kept["wish"] == wish and now - row.created_at < _SIGN_IN_REUSE:
            return str(kept["url"])
    begun = clients.identity.start_sign_in(redirect_uri, scopes, login_hint, prompt, claims)
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
    """Turn Microsoft's answer into the active connection.

    The pending sign-in must belong to this user. It can be used once, even if the attempt fails.
    The account becomes the active one. Other accounts are deleted, unless images or imports refer
    to them: those keep their tokens, so that their originals can still be opened.

    :param answer: the query of the redirect. A program that has only the code may omit ``state``;
        the user's newest sign-in is used then.
    :return: the account, not committed yet.
    :raise InvalidInputError: no such sign-in, too old, used already, of somebody else, or declined.
    :raise ServiceRefusedError: ``bad_code`` or ``wrong_client_secret``.
    :raise ServiceBusyError: Microsoft's sign-in cannot be reached.
    """
    vault = clients.vault
    kept = _take_sign_in(session, vault, user_id, answer.get("state", ""))
    signed = clients.identity.finish_sign_in(kept["flow"], answer)
    renews = str(kept["wish"].get("renews", ""))
    if renews and signed.home_account_id != renews:
        if not signed.username:
            raise InvalidInputError("You signed in with a different account. Please start again.")
        raise InvalidInputError(
            Message(
                "You signed in as %(name)s, which is a different account. Please start again.",
                name=signed.username,
            )
        )
    wanted = kept["wish"]["scopes"]
    return save_account(session, vault, signed, user_id, wanted, is_renewal=bool(renews))


def save_account(
    session: Session,
    vault: Vault,
    signed: SignedIn,
    user_id: int | None,
    scopes: Sequence[str],
    is_renewal: bool = False,
) -> DriveAccount:
    """Save the tokens of an account that has just signed in.

    :param scopes: what was asked for, where Microsoft does not say what was granted.
    :param is_renewal: of a previous account, which does not become the active one.
    :return: the account, not committed yet.
    """
    granted = [scope for scope in signed.scopes if scope.lower() not in _SIGN_IN_SCOPES]

    found = session.scalars(
        select(DriveAccount).where(DriveAccount.home_account_id == signed.home_account_id)
    ).one_or_none()
    if found is not None:
        release_lease(session, make_quiet_name(found.id), QUIET_OWNER)
        found.token_version = DriveAccount.token_version + 1
    account = found or DriveAccount(home_account_id=signed.home_account_id)
    account.username = signed.username[:320]
    account.name = signed.name[:255]
    account.tenant_id = signed.tenant_id[:64]
    account.scopes = " ".join(granted or scopes)[:500]
    account.token_cache = vault.seal(signed.cache)
    account.state, account.state_reason, account.state_code = CONNECTED, "", ""
    account.refused_at = account.doubted_at = account.claims_challenge = None
    account.is_active = account.is_active if found and is_renewal else True
    account.connected_at = account.refreshed_at = get_database_time(session)
    account.connected_by_id = user_id
    session.add(account)
    session.flush()
    session.refresh(account)
    if account.is_active:
        _retire_others(session, account)
    log.info("OneDrive account %d was connected by user %s", account.id, user_id or "-")
    return account


def disconnect(session: Session, account: DriveAccount) -> None:
    """Delete the account's tokens. The account stays, for the images imported from it."""
    account.state = DISCONNECTED
    account.state_reason = mark("OneDrive was disconnected by an admin.")
    account.state_code = ""
    account.refused_at = account.doubted_at = account.claims_challenge = None
    account.token_cache = b""
    account.token_version = DriveAccount.token_version + 1
    session.flush()
    session.refresh(account)


def _find_claims(session: Session, renews: str) -> str:
    """Return the claims challenge of the account that is to sign in again, or ""."""
    account = DriveAccount.home_account_id == renews if renews else DriveAccount.is_active
    return session.scalars(select(DriveAccount.claims_challenge).where(account)).first() or ""


def _take_sign_in(session: Session, vault: Vault, user_id: int, state: str) -> dict[str, Any]:
    """Use up the pending sign-in of this user.

    :raise InvalidInputError: there is none, it is too old, or it cannot be decrypted.
    """
    row = use_up_sign_in(session, user_id, state)
    if row is not None and get_database_time(session) - row.created_at > SIGN_IN_LIFETIME:
        raise InvalidInputError("This sign-in took longer than 15 minutes. Please start again.")
    kept = _open_flow(vault, row) if row is not None else None
    if kept is None:
        raise InvalidInputError(
            "This sign-in was not started here, or is already complete. Please start again."
        )
    return kept


@own_transaction
def use_up_sign_in(session: Session, user_id: int, state: str) -> PendingSignIn | None:
    """Delete the pending sign-in with this state, or the newest for "", and return it."""
    rows = session.scalars(
        select(PendingSignIn)
        .where(PendingSignIn.user_id == user_id)
        .order_by(PendingSignIn.created_at.desc())
    ).all()
    if state:
        # The comparison takes as long for a near miss as for any other.
        wanted = state.encode("utf-8", "surrogatepass")
        rows = [row for row in rows if hmac.compare_digest(row.state.encode(), wanted)]
    # Of two requests at the same time, only one finds the row to delete.
    if not rows or not count_rows(
        session, delete(PendingSignIn).where(PendingSignIn.state == rows[0].state)
    ):
        return None
    return rows[0]


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
            # Plans that were never started are deleted with it.
            session.execute(delete(ImportPlan).where(ImportPlan.drive_account_id == other.id))
            session.delete(other)
    session.flush()
