"""Pictures of the site, such as logos: fetched from OneDrive once, kept in object storage."""

import hashlib
import tempfile
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy.orm import Session

from imagehub.clients import Clients, Drive
from imagehub.database import end_read
from imagehub.domain.imports.saving import StoredFile, put_file
from imagehub.domain.objects.bookkeeping import pin_keys, use_keys
from imagehub.errors import InvalidInputError, PictureError
from imagehub.messages import mark

Made = TypeVar("Made")

_MAX_FILE_BYTES = 20_000_000
_ENDINGS = {"image/webp": "webp", "image/png": "png"}


def fetch_picture(
    session: Session, drive: Drive, item_id: str, make: Callable[[str], Made]
) -> tuple[str, Made]:
    """Fetch a picture from OneDrive and make something from it.

    :param session: holds no uncommitted change.
    :param make: gets the path of the file, which exists until it returns.
    :return: the name of the file, and what was made.
    :raise InvalidInputError: the file cannot be used.
    :raise NotFoundError: there is no such file below the root folder.
    :raise ServiceError: OneDrive does not answer.
    """
    end_read(session)
    item = drive.get_item(item_id)
    if item.is_folder:
        raise refuse(mark("Select a file first."))
    try:
        with tempfile.NamedTemporaryFile() as file:
            drive.download(item, file, _MAX_FILE_BYTES, True)  # type: ignore[arg-type]
            file.flush()
            return item.name[:400], make(file.name)
    except PictureError as error:
        raise refuse(error.sentence) from error


def store_picture(
    session: Session, clients: Clients, folder: str, data: bytes, mime_type: str
) -> str:
    """Store a picture under a key made of its content, and return the key. Not committed.

    :raise ServiceError: the object storage does not answer.
    """
    key = f"{folder}/{hashlib.sha256(data).hexdigest()}.{_ENDINGS[mime_type]}"
    pinned_until, stored = pin_keys(session, [key])
    if key not in stored:
        put_file(clients.store, key, StoredFile(data, mime_type))
    use_keys(session, {key: len(data)}, pinned_until)
    return key


def refuse(sentence: str) -> InvalidInputError:
    return InvalidInputError(sentence, {"item": sentence})
