"""Upload pictures of the first version that are not in OneDrive.

The address of an upload is remembered before its first byte, so that the next run goes on where a
run was killed. OneDrive refuses another upload of the name while it waits for the rest of this one.
"""

import hashlib
import mimetypes
from typing import BinaryIO

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from imagehub.clients import Drive, DriveItem, Vault
from imagehub.clients.drive_ids import repair_name
from imagehub.database import now_utc
from imagehub.domain.onedrive import uploads
from imagehub.domain.onedrive.uploads import OpenUpload, ensure_folder
from imagehub.runtime.legacy.content import Content
from imagehub.runtime.legacy.matching import Match
from imagehub.runtime.legacy.saving import Place
from imagehub.runtime.legacy.source import OldPicture

# Below the root folder; the folders of the pictures are in it.
FOLDER = "ImageHub version 1"


class Uploader:
    """Upload into folders that are created when they are first needed."""

    def __init__(self, engine: Engine, vault: Vault, account_id: int, drive: Drive) -> None:
        self._engine = engine
        self._vault = vault
        self._account_id = account_id
        self._drive = drive
        self._folders: dict[str, tuple[str, str]] = {}

    def upload(
        self, old: OldPicture, place: Place, file: BinaryIO, content: Content, mime_type: str
    ) -> Match:
        """Upload a picture as a new file; if its name is taken, OneDrive adds a number.

        :raise ImageHubError: as of :meth:`~imagehub.clients.Drive.upload_file`.
        """
        folder_id, folder_name = self._get_folder(old.folder)
        name = make_file_name(old.name or f"{place.group}-{place.number or old.key}", mime_type)
        # Neither the name nor the number: they may be others in the next run.
        parts = f"migrate-legacy\n{self._account_id}\n{folder_id}\n{old.key}\n{content.sha256}"
        key = hashlib.sha256(parts.encode()).hexdigest()
        with Session(self._engine) as session:
            known = uploads.find_session(session, self._vault, key)

        def remember(address: str) -> None:
            with Session(self._engine) as session:
                opened = OpenUpload(address, now_utc())
                uploads.remember_session(session, self._vault, self._account_id, key, opened)

        item = self._drive.upload_file(
            folder_id, name, file, content.size_bytes, known.address if known else "", remember
        )
        with Session(self._engine) as session:
            uploads.forget_session(session, key)
        return Match(item, folder_name, is_same=content.is_of(item) is not False)

    def _get_folder(self, name: str) -> tuple[str, str]:
        """Return id and name of the folder for pictures of an old folder."""
        if name not in self._folders:
            names = [FOLDER, repair_name(name)] if name else [FOLDER]
            folder, _created = ensure_folder(self._drive, "", names)
            self._folders[name] = folder.id, folder.name
        return self._folders[name]


def pretend_upload(old: OldPicture, content: Content, mime_type: str) -> Match:
    """Return the file that an upload would create, for a dry run."""
    item = DriveItem(
        f"upload of {old.key}",
        make_file_name(old.name or old.key, mime_type),
        False,
        content.size_bytes,
        "",
        "",
        quick_xor_hash=content.quick_xor_hash,
    )
    return Match(item, old.folder)


def make_file_name(name: str, mime_type: str) -> str:
    """Return a name that OneDrive accepts, with an ending if it has none."""
    name = repair_name(name)
    return name if "." in name else name + (mimetypes.guess_extension(mime_type) or "")
