"""Open the drives of connected accounts, with tokens and pauses shared by all processes."""

import logging
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Engine, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from imagehub.clients import Clients, Drive
from imagehub.clients.graph import GraphDrive
from imagehub.clients.graph_http import MAX_WAIT_SECONDS, GraphCaller
from imagehub.clients.sign_in import AccessToken
from imagehub.config import Settings
from imagehub.database import OUTAGES, describe_outage, get_database_time, now_utc
from imagehub.domain.onedrive import accounts
from imagehub.domain.site import settings as site_settings
from imagehub.models import DriveAccount

log = logging.getLogger(__name__)

# Changes that other processes make to an account are seen after this long at most.
_LOOK_SECONDS = 1.0
# A token that is valid for less than this is replaced; MSAL does so too.
_LEAST_TOKEN_LIFE = timedelta(minutes=5)
_NOTE_SUCCESS_SECONDS = 60.0


class DriveOpener:
    """The drives of this process, one for each account.

    :param head_start_seconds: how much longer than others this process waits when OneDrive
        throttles an account.
    """

    clients: Clients

    def __init__(self, engine: Engine, settings: Settings, head_start_seconds: float = 0.0) -> None:
        self.engine = engine
        self.settings = settings
        self.head_start_seconds = head_start_seconds
        self._lock = threading.Lock()
        self._process_id = 0
        self._opened: dict[int, tuple[object, GraphDrive]] = {}
        self._accesses: dict[int, AccountAccess] = {}

    def open_drive(self, account_id: int) -> Drive:
        """Open the drive of one account; sends no request, so it works when lost.

        A drive caches its root folder and which items are inside. The cache is dropped when the
        account was connected again or has another drive, and when the root folder is changed.
        """
        with self._lock:
            if self._process_id != os.getpid():
                # Connections must not be shared with the parent process.
                self._process_id = os.getpid()
                self._opened.clear()
                self._accesses.clear()
            if account_id not in self._accesses:
                self._accesses[account_id] = AccountAccess(self, account_id)
            look = self._accesses[account_id].look()
            identity = (look.drive_id, look.connected_at, look.root_folder)
            found = self._opened.get(account_id)
            if found is None or found[0] != identity:
                found = (identity, self._make_drive(account_id, look.root_folder))
                self._opened[account_id] = found
            return found[1]

    def open_whole_drive(self, account_id: int) -> Drive:
        """Open the drive without a boundary, to choose the root folder."""
        self.open_drive(account_id)
        return self._make_drive(account_id, "root")

    def _make_drive(self, account_id: int, root_folder: str) -> GraphDrive:
        access = self._accesses[account_id]
        # Its calls may wait for the pauses that those of others may wait for.
        seconds = MAX_WAIT_SECONDS + self.head_start_seconds
        caller = GraphCaller(self.settings.graph_base_url, access, seconds)
        return GraphDrive(caller, root_folder)


@dataclass(frozen=True)
class _Look:
    """The values of an account's row, and until when they are used."""

    until: float
    root_folder: str = "root"
    token_version: int = 0
    state: str = ""
    drive_id: str = ""
    connected_at: datetime | None = None
    # By this machine's monotonic clock; 0 if there never was a pause.
    pause_ends: float = 0.0


class AccountAccess:
    """Tokens and pauses of one account for all threads of this process, from the database.

    Implements :class:`imagehub.clients.graph_http.Access`. The row is read at most once a second,
    and the token decrypted only when it has changed, so a listing of hundreds of pages costs a few
    short reads.
    """

    def __init__(self, opener: DriveOpener, account_id: int) -> None:
        self._opener = opener
        self._account_id = account_id
        self._lock = threading.Lock()
        self._look = _Look(0.0)
        self._token: tuple[int, AccessToken] | None = None
        self._paused_here_until = 0.0
        self._next_note_at = 0.0

    def look(self) -> _Look:
        """Give the account's row, at most a second old."""
        look = self._look
        if time.monotonic() < look.until:
            return look
        with Session(self._opener.engine) as session:
            row = session.execute(
                select(
                    DriveAccount.token_version,
                    DriveAccount.state,
                    DriveAccount.drive_id,
                    DriveAccount.connected_at,
                    DriveAccount.paused_until,
                ).where(DriveAccount.id == self._account_id)
            ).one_or_none()
            root = site_settings.get_root_folder(session, self._opener.settings, self._account_id)
            values: dict[str, Any] = {} if row is None else dict(row._mapping)
            paused_until = values.pop("paused_until", None)
            left = (
                (paused_until - get_database_time(session)).total_seconds() if paused_until else 0.0
            )
        now = time.monotonic()
        pause_ends = now + left if paused_until else 0.0
        look = _Look(now + _LOOK_SECONDS, root.address, pause_ends=pause_ends, **values)
        self._look = look
        return look

    def look_again(self) -> None:
        self._look = _Look(0.0)

    def get_token(self, refused_token: str = "", claims: str = "") -> str:
        """Errors as of :func:`imagehub.domain.onedrive.accounts.get_access_token`."""
        look, kept = self.look(), self._token
        if (
            kept is not None
            and look.state == accounts.CONNECTED
            and kept[0] == look.token_version
            and kept[1].token != refused_token
            and kept[1].expires_at - now_utc() >= _LEAST_TOKEN_LIFE
        ):
            return kept[1].token
        # The row changes, whether this succeeds or not.
        self._token = None
        self.look_again()
        with Session(self._opener.engine) as session:
            token = accounts.get_access_token(
                session, self._opener.clients, self._account_id, refused_token, claims=claims
            )
        # If the token was refreshed, its version has changed, and the next request reads the row
        # again.
        self._token = (look.token_version, token)
        self.look_again()
        return token.token

    def require_sign_in(self, refused_token: str, claims: str) -> None:
        self._token = None
        self.look_again()
        self._save(
            "lost connection",
            accounts.require_sign_in,
            self._opener.clients,
            refused_token,
            claims,
        )

    def get_pause(self) -> float:
        ends = max(self._paused_here_until, self.look().pause_ends)
        head_start = self._opener.head_start_seconds if ends else 0.0
        return max(0.0, ends + head_start - time.monotonic())

    def set_pause(self, seconds: float) -> None:
        with self._lock:
            self._paused_here_until = max(self._paused_here_until, time.monotonic() + seconds)
        log.warning("OneDrive account %d is paused for %.1f s", self._account_id, seconds)
        # If it cannot be saved, this process pauses all the same.
        self._save("pause", accounts.set_pause, seconds)

    def note_success(self) -> None:
        with self._lock:
            if time.monotonic() < self._next_note_at:
                return
            self._next_note_at = time.monotonic() + _NOTE_SUCCESS_SECONDS
        self._save("success", accounts.note_success)

    def _save(self, what: str, write: Callable[..., None], *values: Any) -> None:
        """Change the account's row; the current request continues even if that fails."""
        try:
            with Session(self._opener.engine) as session:
                write(session, self._account_id, *values)
        except OUTAGES as error:
            words = "The %s of account %d was not saved: %s"
            log.warning(words, what, self._account_id, describe_outage(error))
        except SQLAlchemyError:
            log.exception("The %s of account %d could not be saved", what, self._account_id)
