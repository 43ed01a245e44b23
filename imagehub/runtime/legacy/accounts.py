"""Bring the accounts and the sign-in at Microsoft over, and open OneDrive for the pictures."""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from imagehub.clients import Drive
from imagehub.database import get_database_time
from imagehub.domain.onedrive import accounts, sign_in
from imagehub.errors import ConnectionLostError, ImageHubError, ServiceError
from imagehub.runtime.legacy import saving
from imagehub.runtime.legacy.matching import Listing
from imagehub.runtime.legacy.uploading import Uploader
from imagehub.runtime.legacy.work import MigrationError, Work


@dataclass(frozen=True)
class OpenDrive:
    """The connected drive, listed. ``uploader``: None if nothing is to be uploaded."""

    account_id: int
    listing: Listing
    listed_at: datetime
    uploader: Uploader | None


def bring_people(work: Work) -> None:
    counts = work.report.people
    for person in list(work.old.iter_people()):
        counts["read"] += 1
        if work.read(saving.find_mark, saving.USER, person.key):
            counts["already here"] += 1
            continue
        try:
            write = work.read if work.options.dry_run else work.save
            is_new = write(saving.save_person, person)
        except ImageHubError as error:
            counts["failed"] += 1
            work.fail(f"account {person.key} ({person.name or 'no name'})", str(error))
            continue
        counts["made" if is_new else "already here"] += 1
        if not is_new:
            work.progress.tell(
                f"Account {person.name}: the hub has an account of this name, which keeps its "
                "own password."
            )


def take_over_sign_in(work: Work) -> None:
    """Try the old refresh token once, unless the hub has been connected before.

    A connection that was ended in the hub is renewed only by an admin.
    """
    active = work.read(accounts.find_active_account)
    if active is not None:
        is_connected = active.state == accounts.CONNECTED
        work.report.sign_in = (
            "not needed, OneDrive is connected"
            if is_connected
            else "not tried; reconnect OneDrive in the admin pages"
        )
        return
    tokens = work.old.list_tokens()
    if not tokens:
        work.report.sign_in = "the first version has none; connect OneDrive in the admin pages"
        return
    if work.options.dry_run:
        work.report.sign_in = "would be tried once"
        return
    for token in tokens:
        # The note holds no token, only which one was tried.
        key = hashlib.sha256(token.refresh_token.encode()).hexdigest()
        if work.read(saving.find_mark, saving.TOKEN, key):
            continue
        try:
            adopt = work.clients.identity.adopt_refresh_token
            signed = work.patiently(adopt, token.refresh_token, sign_in.DEFAULT_SCOPES)
        except ConnectionLostError as error:
            if error.is_certain:
                work.save(saving.note_token, key)
            continue
        except ServiceError as error:
            # The token may still be good.
            work.report.sign_in = "not taken over"
            work.fail("OneDrive sign-in", str(error))
            return
        work.save(saving.save_token, work.clients.vault, key, signed)
        work.report.sign_in = "taken over"
        return
    reason = "Microsoft does not accept the old sign-in. Connect OneDrive in the admin pages."
    work.report.sign_in = "refused"
    work.fail("OneDrive sign-in", reason)


def open_drive(work: Work) -> OpenDrive | None:
    """List the root folder; None if OneDrive cannot be used, which is reported."""
    account = work.read(accounts.find_active_account)
    if account is None or account.state != accounts.CONNECTED:
        words = "OneDrive is not connected, so no picture is matched to its file."
        if work.options.upload_missing:
            raise MigrationError(f"{words} Connect it first, or leave out --upload-missing.")
        work.progress.tell(f"{words} Connect it and run this again.")
        return None
    if work.options.upload_missing and not accounts.may_write(account):
        raise MigrationError(
            "ImageHub may only read in OneDrive. Allow uploads on the connection page first, "
            "or leave out --upload-missing."
        )
    path = Path(work.scratch.folder) / "listing.db"
    listing = Listing(path)
    listed_at = work.read(get_database_time)
    drive = work.clients.open_drive(account.id)
    try:
        count = work.patiently(_list_drive, work, drive, listing)
    except BaseException as error:
        listing.close()
        if isinstance(error, ImageHubError):
            raise MigrationError(f"OneDrive cannot be listed: {error}") from error
        raise
    work.progress.tell(f"{count:,} files in the root folder of OneDrive.")
    uploader = None
    if work.options.upload_missing:
        uploader = Uploader(work.engine, work.clients.vault, account.id, drive)
    return OpenDrive(account.id, listing, listed_at, uploader)


def _list_drive(work: Work, drive: Drive, listing: Listing) -> int:
    return listing.read(drive, lambda n: work.progress.show(f"{n:,} files in OneDrive so far"))
