"""Upload pictures of the first version that are not in OneDrive."""

import mimetypes
from typing import BinaryIO

from imagehub.clients import Drive, DriveItem
from imagehub.clients.drive_ids import repair_name
from imagehub.domain.onedrive.uploads import ensure_folder
from imagehub.runtime.legacy.content import Content
from imagehub.runtime.legacy.matching import Match
from imagehub.runtime.legacy.saving import Place
from imagehub.runtime.legacy.source import OldPicture

# Below the root folder; the folders of the pictures are in it.
FOLDER = "ImageHub version 1"


class Uploader:
    """Upload into folders that are created when they are first needed."""

    def __init__(self, drive: Drive) -> None:
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
        item = self._drive.upload_file(folder_id, name, file, content.size_bytes)
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
