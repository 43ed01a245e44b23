"""Open the drives of connected accounts, with tokens and pauses shared by all processes."""

import logging
import os
import threading
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Engine, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from imagehub.clients import AccessToken, Clients, Drive
from imagehub.clients.graph import GraphDrive
from imagehub.clients.graph_http import GraphCaller
from imagehub.clients.http import make_session
from imagehub.config import Settings
from imagehub.database import now_utc
from imagehub.domain.onedrive import accounts, tokens
from imagehub.domain.site import settings as site_settings
from imagehub.models import DriveAccount

log = logging.getLogger(__name__)

# Changes that other processes make to an account are seen after this long at most.
_LOOK_SECONDS = 1.0
# A token that is valid for less than this is replaced; MSAL does so too.
_LEAST_TOKEN_LIFE = timedelta(minutes=5)
_NOTE_SUCCESS_SECONDS = 60.0
# How long one request may wait while OneDrive is paused or failing: a person may be waiting, and a
# worker has other pictures to process.
_MAX_WAIT_SECONDS = 8.0


class DriveOpener:
    """The drives of this process, one for each account."""

    clients: Clients

    def __init__(self, engine: Engine, settings: Settings) -> None:
        self._engine = engine
        self._settings = settings
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
            access = self._accesses.get(account_id)
            if access is None:
                access = self._accesses[account_id] = AccountAccess(
                    self._engine, self, self._settings, account_id
                )
            look = access.look()
            identity = (look.drive_identity, look.root_folder)
            found = self._opened.get(account_id)
            if found is None or found[0] != identity:
                drive = self._make_drive(access, look.root_folder)
                found = self._opened[account_id] = (identity, drive)
            return found[1]

    def open_whole_drive(self, account_id: int) -> Drive:
        """Open the drive without a boundary, to choose the root folder."""
        self.open_drive(account_id)
        return self._make_drive(self._accesses[account_id], "root")

    def _make_drive(self, access: "AccountAccess", root_folder: str) -> GraphDrive:
        session = make_session()
        session.hooks["response"].append(access.note_response)
        caller = GraphCaller(
            self._settings.graph_base_url,
            access.get_token,
            get_pause=access.get_pause,
            set_pause=access.set_pause,
            max_wait_seconds=_MAX_WAIT_SECONDS,
            session=session,
            look_again=access.look_again,
        )
        return GraphDrive(caller, root_folder)


@dataclass(frozen=True)
class _Look:
    """The values of an account's row, and until when they are used."""

    until: float
    token_version: int = 0
    is_connected: bool = False
    paused_until: datetime | None = None
    drive_identity: object = None
    root_folder: str = "root"


class AccountAccess:
    """Tokens and pauses of one account for all threads of this process, from the database.

    The row is read at most once a second, and the token decrypted only when it has changed, so a
    listing of hundreds of pages costs a few short reads.
    """

    def __init__(
        self, engine: Engine, drives: DriveOpener, settings: Settings, account_id: int
    ) -> None:
        self._engine = engine
        self._drives = drives
        self._settings = settings
        self._account_id = account_id
        self._lock = threading.Lock()
        self._look = _Look(0.0)
        self._token: tuple[int, AccessToken] | None = None
        self._paused_here_until = 0.0
        self._noted_at = 0.0
        self._handed = threading.local()

    def look(self) -> _Look:
        """Give the account's row, at most a second old."""
        with self._lock:
            if time.monotonic() < self._look.until:
                return self._look
        with Session(self._engine) as session:
            row = session.execute(
                select(
                    DriveAccount.token_version,
                    DriveAccount.state,
                    DriveAccount.paused_until,
                    DriveAccount.drive_id,
                    DriveAccount.connected_at,
                ).where(DriveAccount.id == self._account_id)
            ).one_or_none()
            root = site_settings.get_root_folder(session, self._settings, self._account_id)
        until = time.monotonic() + _LOOK_SECONDS
        look = _Look(until, root_folder=root.address)
        if row is not None:
            look = _Look(
                until,
                row.token_version,
                row.state == accounts.CONNECTED,
                row.paused_until,
                (row.drive_id, row.connected_at),
                root.address,
            )
        with self._lock:
            self._look = look
        return look

    def look_again(self) -> None:
        """Drop the cached row."""
        with self._lock:
            self._look = _Look(0.0)

    def get_token(self, is_refused: bool) -> str:
        """Get a token for the next request.

        :param is_refused: Graph did not accept the last token of this thread.
        :raise ConnectionLostError, ServiceRefusedError, ServiceBusyError: see ``get_access_token``.
        """
        look = self.look()
        refused = getattr(self._handed, "token", "") if is_refused else ""
        with self._lock:
            kept = self._token
        if (
            kept is not None
            and look.is_connected
            and kept[0] == look.token_version
            and kept[1].token != refused
            and kept[1].expires_at - now_utc() >= _LEAST_TOKEN_LIFE
        ):
            token = kept[1]
        else:
            with self._lock:
                # The row changes, whether this succeeds or not.
                self._token, self._look = None, _Look(0.0)
            with Session(self._engine) as session:
                token = tokens.get_access_token(
                    session, self._drives.clients, self._account_id, refused
                )
            with self._lock:
                # If the token was refreshed, its version has changed, and the next request reads
                # the row again.
                self._token, self._look = (look.token_version, token), _Look(0.0)
        self._handed.token = token.token
        return token.token

    def get_pause(self) -> float:
        """Give the seconds for which no process may send a request."""
        with self._lock:
            here = self._paused_here_until - time.monotonic()
        paused_until = self.look().paused_until
        there = (paused_until - now_utc()).total_seconds() if paused_until else 0.0
        return max(0.0, here, there)

    def set_pause(self, seconds: float) -> None:
        """Keep every process from sending requests for so long."""
        with self._lock:
            self._paused_here_until = max(self._paused_here_until, time.monotonic() + seconds)
        log.warning("OneDrive account %d is paused for %.1f s", self._account_id, seconds)
        try:
            with Session(self._engine) as session:
                accounts.set_pause(session, self._account_id, seconds)
        except SQLAlchemyError:
            # This process pauses all the same, and the current request can continue.
            log.exception("The pause of account %d could not be saved", self._account_id)

    def note_response(self, response: Any, *_: Any, **__: Any) -> None:
        """Note now and then that Graph works; called with every answer."""
        if not response.ok:
            return
        with self._lock:
            if self._noted_at and time.monotonic() - self._noted_at < _NOTE_SUCCESS_SECONDS:
                return
            self._noted_at = time.monotonic()
        try:
            with Session(self._engine) as session:
                accounts.note_success(session, self._account_id)
        except SQLAlchemyError:
            log.exception("The success of account %d could not be noted", self._account_id)
