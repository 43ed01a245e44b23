"""Look into the originals of images that were imported before the hub did so at imports.

What they say about places and people is looked for first, then what they say about the picture.
The images themselves say how far this is (``private_state``, ``words_state``), so it can end at any
time, and any worker can go on. Only the parts of a file that hold metadata are read.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from imagehub.clients import Clients, Content
from imagehub.database import end_read, own_transaction
from imagehub.domain.leases import acquire_lease, release_lease
from imagehub.domain.library.found_words import pick_language, read_hub, save_words
from imagehub.domain.library.private_data import Listing, save_found
from imagehub.domain.onedrive import accounts
from imagehub.domain.sync.state import AWAY
from imagehub.errors import (
    ConnectionLostError,
    NotFoundError,
    ServiceBusyError,
    ServiceRefusedError,
)
from imagehub.imaging.private_data import Packet, PrivateData, TooMuchToReadError, look
from imagehub.imaging.private_data.look import UNKNOWN
from imagehub.imaging.sources import FetchedSource
from imagehub.imaging.words import read_words
from imagehub.models import DriveAccount, Image

log = logging.getLogger(__name__)

_LEASE = "looks-at-originals"
_LEASE_SECONDS = 400.0
_LOOK_SECONDS = 300.0
_BATCH = 20
_COUNTED = 400
# Such files can never be looked into.
_LASTING = frozenset({"malware", "not_supported"})
# What is looked for, the more urgent first.
_STATES = (Image.private_state, Image.words_state)


@dataclass(frozen=True)
class Progress:
    """How many of the originals that can be looked into were looked into."""

    done_count: int
    total_count: int


def find_progress(session: Session) -> Progress | None:
    """Return how far the looks for private data are, None if nothing is left to look at.

    A large library is not counted: originals are looked at in the order of the images' ids, so
    these show how far it is.
    """
    waiting = _is_waiting()
    first = session.scalar(select(Image.id).where(*waiting).order_by(Image.id).limit(1))
    if first is None:
        return None
    total = session.scalar(select(func.max(Image.id))) or 0
    is_large = total > _COUNTED
    some = select(Image.id).where(*waiting)
    some = some.limit(_COUNTED + 1) if is_large else some
    left = session.scalar(select(func.count()).select_from(some.subquery())) or 0
    if is_large:
        return Progress(first - 1 if left > _COUNTED else total - left, total)
    usable = select(func.count()).select_from(Image).where(Image.drive_state.not_in(AWAY))
    total = session.scalar(usable) or 0
    return Progress(total - left, total)


def _is_waiting(
    state: InstrumentedAttribute[str] = Image.private_state,
) -> tuple[ColumnElement[bool], ...]:
    usable = select(DriveAccount.id).where(DriveAccount.state == accounts.CONNECTED)
    return (
        state == "",
        Image.drive_state.not_in(AWAY),
        Image.drive_account_id.in_(usable),
    )


def look_at_originals(
    session: Session, clients: Clients, owner: str, keep_on: Callable[[], bool], max_bytes: int
) -> int:
    """Look into all originals that nobody has looked into; safe to run twice.

    Ends early if OneDrive is busy. Originals that are gone are left for a later time.

    :param session: holds no uncommitted change.
    :param owner: of the lease by which only one worker does this.
    :param keep_on: asked before each file.
    :param max_bytes: to read of one file.
    :return: how many were looked into.
    """
    if not any(_list_waiting(session, state, 0) for state in _STATES):
        return 0
    if not acquire_lease(session, _LEASE, owner, _LEASE_SECONDS):
        return 0
    count = 0
    try:
        for state in _STATES:
            last_id = 0
            while keep_on() and (waiting := _list_waiting(session, state, last_id)):
                for image_id, account_id, item_id in waiting:
                    last_id = image_id
                    if not keep_on() or not acquire_lease(session, _LEASE, owner, _LEASE_SECONDS):
                        return count
                    found = _look_at_original(clients, account_id, item_id, max_bytes)
                    if found is not None:
                        _save(session, image_id, item_id, *found)
                        count += 1
    except (ServiceBusyError, ConnectionLostError) as error:
        log.info("Looking into originals is postponed: %s", error)
    finally:
        release_lease(session, _LEASE, owner)
    return count


def _list_waiting(
    session: Session, state: InstrumentedAttribute[str], after_id: int
) -> list[tuple[int, int, str]]:
    rows = session.execute(
        select(Image.id, Image.drive_account_id, Image.drive_item_id)
        .where(*_is_waiting(state), Image.id > after_id)
        .order_by(Image.id)
        .limit(_BATCH)
    ).all()
    end_read(session)
    return [(row[0], row[1], row[2]) for row in rows if row[1] is not None]


def _look_at_original(
    clients: Clients, account_id: int, item_id: str, max_bytes: int
) -> tuple[Listing, PrivateData, list[Packet]] | None:
    """Look into one original; None if OneDrive does not show it now."""
    packets: list[Packet] = []
    try:
        content = clients.open_drive(account_id).open_content(item_id)
        found = look_at_content(content, max_bytes, _LOOK_SECONDS, packets)
        size_bytes = content.fetch_size()
    except NotFoundError:
        return None
    except ServiceRefusedError as error:
        return (Listing("", 0, "", 0), UNKNOWN, []) if error.reason in _LASTING else None
    item = content.item
    return Listing(item.quick_xor_hash, item.size_bytes, item.ctag, size_bytes), found, packets


def look_at_content(
    content: Content, max_bytes: int, max_seconds: float, packets: list[Packet] | None = None
) -> PrivateData:
    """Look into an original in OneDrive, reading as little of it as possible.

    A file that takes too much reading counts as one that cannot be cleaned.

    :param packets: gets the metadata that were found on the way.
    """
    deadline = time.monotonic() + max_seconds

    def fetch(offset: int, length: int) -> bytes:
        if time.monotonic() > deadline:
            raise TooMuchToReadError
        return content.read(offset, length)

    try:
        source = FetchedSource(content.fetch_size(), fetch, max_bytes)
        return look(source, is_local=False, packets=packets)
    except TooMuchToReadError:
        return UNKNOWN


@own_transaction
def _save(
    own: Session,
    image_id: int,
    item_id: str,
    listing: Listing,
    found: PrivateData,
    packets: list[Packet],
) -> None:
    image = own.get(Image, image_id, with_for_update=True)
    # An import may have looked into another version of the file in the meantime.
    if image is None or image.drive_item_id != item_id:
        return
    if image.private_state == "":
        save_found(own, image, listing, found)
    if image.words_state == "":
        hub = read_hub(own)
        save_words(own, hub, image, read_words(packets, pick_language(hub)))
