"""Give an original to a visitor without what it says about places and people.

OneDrive sends most originals itself. Those with private data pass through the hub, which blanks it
on the way and stores nothing. What was found when the file was imported says which bytes to blank;
if the file has changed since, or nobody has looked, it is looked at before anything is sent.
"""

import hashlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from imagehub.clients import Clients, Content
from imagehub.domain.imports.looks import look_at_content
from imagehub.domain.library import images as library_images
from imagehub.domain.library import private_data
from imagehub.domain.sync.state import compare
from imagehub.errors import NotFoundError, ServiceBusyError
from imagehub.imaging.private_data.blanks import Blank, apply_blanks, write_blanks
from imagehub.messages import mark
from imagehub.models import Image, PrivateData

REPLACEMENT_PX = 1920
# Of the error for an original that no file in OneDrive is known for.
ABSENT_KIND = "original in OneDrive"
# For one look while a visitor waits.
_MAX_LOOK_BYTES = 32_000_000
_MAX_LOOK_SECONDS = 20.0
# However slowly a visitor reads.
_MAX_SEND_SECONDS = 4 * 3600.0


@dataclass(frozen=True)
class Original:
    """Where an image's original is, and what was found in it.

    ``account_id`` is None if it is not in OneDrive. ``row`` is detached from its session.
    ``replacement_key``: the object that is offered if the original cannot be cleaned.
    """

    account_id: int | None
    item_id: str
    is_fixed: bool
    row: PrivateData | None
    replacement_key: str


@dataclass(frozen=True)
class Replaced:
    """The original cannot be cleaned: a rendition stands for it."""

    object_key: str


@dataclass(frozen=True)
class Unchanged:
    """The original says nothing private; OneDrive can send it itself."""

    content: Content


@dataclass(frozen=True)
class Cleaned:
    """The original, with bytes to blank while it is sent."""

    content: Content
    size_bytes: int
    blanks: tuple[Blank, ...]

    def make_etag(self) -> str:
        """Return a tag of the cleaned bytes, for browsers that resume a download."""
        item = self.content.item
        parts = (item.quick_xor_hash, item.ctag, str(self.size_bytes), write_blanks(self.blanks))
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:40]

    def iter_bytes(self, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """Iterate over a part of the cleaned file; the request is sent at once.

        :raise ServiceBusyError: the file has changed, or OneDrive is busy.
        """
        end = self.size_bytes if end is None else end
        if self.content.fetch_size() != self.size_bytes:
            sentence = mark("The file changed while it was being read.")
            raise ServiceBusyError("OneDrive", "download a file", sentence)
        chunks = self.content.iter_bytes(start, end)
        return _limit_time(apply_blanks(chunks, self.blanks, start))


Delivery = Replaced | Unchanged | Cleaned


def find_originals(session: Session, images: Sequence[Image]) -> list[Original]:
    """Read what is needed to deliver originals, so that the session can be closed."""
    rows = private_data.find_rows(session, [image.id for image in images])
    return [_make_original(image, rows.get(image.id)) for image in images]


def _make_original(image: Image, row: PrivateData | None) -> Original:
    try:
        key = library_images.pick_rendition(image, REPLACEMENT_PX).object_key
    except NotFoundError:
        key = ""
    return Original(
        account_id=image.drive_account_id,
        item_id=image.drive_item_id,
        is_fixed=image.private_state == private_data.FIXED,
        row=row,
        replacement_key=key,
    )


def deliver(clients: Clients, original: Original) -> Delivery:
    """Decide how a visitor gets an original without its private data.

    :raise NotFoundError: it is not in OneDrive, or not any more.
    :raise ConnectionLostError: OneDrive must be connected again.
    :raise ServiceBusyError: OneDrive is throttled, down or not reached.
    :raise ServiceRefusedError: OneDrive does not send it.
    """
    if original.account_id is None:
        raise NotFoundError(ABSENT_KIND, original.item_id)
    if original.is_fixed:
        return _replace(original)
    content = clients.open_drive(original.account_id).open_content(original.item_id)
    row = original.row
    if row is not None and compare(_Listed(row), content.item) is True:
        found, size_bytes = private_data.read_found(row), row.size_bytes
    else:
        found, size_bytes = (
            look_at_content(content, _MAX_LOOK_BYTES, _MAX_LOOK_SECONDS),
            content.fetch_size(),
        )
    if not found.kinds:
        return Unchanged(content)
    if not found.is_removable:
        return _replace(original)
    return Cleaned(content, size_bytes, found.blanks)


class _Listed:
    """A row as ``compare`` takes it. An eTag is not kept, as it changes with anything."""

    etag = ""

    def __init__(self, row: PrivateData) -> None:
        self.drive_hash = row.drive_hash
        self.drive_size_bytes = row.drive_size_bytes
        self.ctag = row.ctag


def _replace(original: Original) -> Replaced:
    """:raise NotFoundError: there is no rendition."""
    if not original.replacement_key:
        raise NotFoundError("rendition", original.item_id)
    return Replaced(original.replacement_key)


def _limit_time(chunks: Iterator[bytes]) -> Iterator[bytes]:
    deadline = time.monotonic() + _MAX_SEND_SECONDS
    for chunk in chunks:
        if time.monotonic() > deadline:
            raise ServiceBusyError("ImageHub", "send a file", mark("This took too long."))
        yield chunk
