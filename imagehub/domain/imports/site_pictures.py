"""Pictures of the site, such as logos: fetched from OneDrive once, kept in object storage.

Of what file in OneDrive each was made is a row among the settings, so that manifests can say it and
a rebuild can fetch it again.
"""

import hashlib
import json
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TypeVar

from sqlalchemy import Connection, delete, select, union
from sqlalchemy.orm import Session

from imagehub.clients import Clients, Drive
from imagehub.database import end_read
from imagehub.domain.imports.saving import StoredFile, put_file
from imagehub.domain.objects.bookkeeping import pin_keys, use_keys
from imagehub.errors import InvalidInputError, PictureError
from imagehub.messages import mark
from imagehub.models import HubSetting, LogoPicture, WatermarkPicture

Made = TypeVar("Made")

_MAX_FILE_BYTES = 20_000_000
_ENDINGS = {"image/webp": "webp", "image/png": "png"}
_SOURCE, _DIGEST_CHARS = "made_from:", 40


@dataclass(frozen=True)
class Source:
    """The file in OneDrive that a picture was made from."""

    account: int
    item: str


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
    session: Session, clients: Clients, folder: str, data: bytes, mime_type: str, again: bool
) -> str:
    """Store a picture under a key made of its content, and return the key. Not committed.

    :param again: also if the rows say that it is stored already.
    :raise ServiceError: the object storage does not answer.
    """
    key = f"{folder}/{hashlib.sha256(data).hexdigest()}.{_ENDINGS[mime_type]}"
    pinned_until, stored = pin_keys(session, [key])
    if again or key not in stored:
        put_file(clients.store, key, StoredFile(data, mime_type))
    use_keys(session, {key: len(data)}, pinned_until)
    return key


def keep_source(session: Session, key: str, source: Source) -> None:
    """Note which file the picture with this key was made from; forget those of earlier ones.

    Flushed, not committed. The row with the key is there already.
    """
    used = session.scalars(
        union(select(LogoPicture.object_key), select(WatermarkPicture.object_key))
    ).all()
    session.execute(
        delete(HubSetting).where(
            HubSetting.name.startswith(_SOURCE, autoescape=True),
            HubSetting.name.not_in([_make_name(one) for one in (*used, key)]),
        )
    )
    session.merge(HubSetting(name=_make_name(key), value=json.dumps(asdict(source))))
    session.flush()


def find_source(session: Session | Connection, key: str) -> Source | None:
    """Return the file that a picture was made from; None if it is unknown."""
    query = select(HubSetting.value).where(HubSetting.name == _make_name(key))
    text = session.scalar(query)
    return None if text is None else Source(**json.loads(text))


def _make_name(key: str) -> str:
    return _SOURCE + key.rpartition("/")[2][:_DIGEST_CHARS]


def refuse(sentence: str) -> InvalidInputError:
    return InvalidInputError(sentence, {"item": sentence})
