"""Remember upload sessions whose address may never have reached the browser.

OneDrive refuses a second session for a name while the first is open. If a page is closed before it
could store the address, the same upload gets it again, from any web machine.
"""

from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import delete, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from imagehub.clients import Vault
from imagehub.database import now_utc, own_transaction
from imagehub.models import UploadSession

KEPT = timedelta(days=1)


@dataclass(frozen=True)
class OpenUpload:
    """An upload that was begun. ``address`` is "" for an empty file, which has no session."""

    address: str = field(repr=False)
    begun_at: datetime


def find_session(session: Session, vault: Vault, key: str) -> OpenUpload | None:
    """Find what is remembered under a key; None if nothing is, or if it can't be decrypted."""
    row = session.get(UploadSession, key, populate_existing=True)
    if row is None or row.begun_at < now_utc() - KEPT:
        return None
    try:
        return OpenUpload(vault.open(row.address), row.begun_at)
    except ValueError:
        return None


@own_transaction
def remember_session(
    session: Session, vault: Vault, account_id: int, key: str, opened: OpenUpload
) -> None:
    """Remember an address, in place of an earlier one with this key."""
    row = UploadSession(
        key=key,
        drive_account_id=account_id,
        address=vault.seal(opened.address),
        begun_at=opened.begun_at,
    )
    # SQLite refuses a transaction that writes after it has read what another one changed meanwhile.
    session.execute(delete(UploadSession).where(UploadSession.key == key))
    # Of two requests for one upload at the same moment either address will do.
    with suppress(IntegrityError), session.begin_nested():
        session.add(row)


@own_transaction
def forget_session(session: Session, key: str) -> None:
    """Forget what is remembered under a key, if anything is."""
    session.execute(delete(UploadSession).where(UploadSession.key == key))


def reseal_sessions(session: Session, vault: Vault) -> None:
    """Encrypt all addresses again with the first key. The caller commits.

    Those that can't be decrypted stay as they are until the daily clean-up.
    """
    for row in session.scalars(select(UploadSession)):
        with suppress(ValueError):
            row.address = vault.seal(vault.open(row.address))
