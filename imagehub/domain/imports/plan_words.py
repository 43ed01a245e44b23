"""Read what the files of import plans say about their pictures, before they are imported.

Only the parts of a file that hold metadata are read, of the first files of a plan; an import reads
the others. The files themselves say how far this is, so any worker can go on.
"""

import logging
from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from imagehub.clients import Clients
from imagehub.database import count_rows, end_read, own_transaction
from imagehub.domain.imports.looks import look_at_content
from imagehub.domain.leases import acquire_lease, release_lease
from imagehub.domain.library.found_words import pick_language, read_hub
from imagehub.domain.onedrive.accounts import CONNECTED
from imagehub.errors import ConnectionLostError, NotFoundError, ServiceBusyError, ServiceError
from imagehub.imaging.private_data import Packet
from imagehub.imaging.words import FoundWords, read_words, write_words
from imagehub.models import DriveAccount, ImportPlan, ImportPlanFile

log = logging.getLogger(__name__)

MAX_FILES = 2000
_LEASE = "reads-words-of-plans"
_LEASE_SECONDS = 120.0
_BATCH = 20
# Of one file: captions and keywords are at its beginning, or a few steps away.
_MAX_BYTES = 4_000_000
_MAX_SECONDS = 20.0


def find_last_id(session: Session, plan: ImportPlan) -> int:
    """Return the id up to which the files of a plan are looked into; 0 if it has none."""
    first = session.scalar(
        select(func.min(ImportPlanFile.id)).where(ImportPlanFile.plan_id == plan.id)
    )
    return first + MAX_FILES - 1 if first else 0


def read_plans(session: Session, clients: Clients, owner: str, keep_on: Callable[[], bool]) -> int:
    """Look into the files of all plans that wait to be started; safe to run twice.

    Ends early if OneDrive is busy.

    :param session: holds no uncommitted change.
    :param owner: of the lease by which only one worker does this.
    :param keep_on: asked before each file.
    :return: how many files were looked into.
    """
    plans = session.scalars(
        select(ImportPlan)
        .join(DriveAccount, DriveAccount.id == ImportPlan.drive_account_id)
        .where(ImportPlan.state == "ready", DriveAccount.state == CONNECTED)
        .order_by(ImportPlan.id.desc())
        .limit(_BATCH)
    ).all()
    waiting = [(plan.drive_account_id, plan.id, find_last_id(session, plan)) for plan in plans]
    waiting = [one for one in waiting if _list_waiting(session, *one[1:])]
    end_read(session)
    if not waiting or not acquire_lease(session, _LEASE, owner, _LEASE_SECONDS):
        return 0
    count = 0
    try:
        language = pick_language(read_hub(session))
        for account_id, plan_id, last_id in waiting:
            while keep_on() and (files := _list_waiting(session, plan_id, last_id)):
                end_read(session)
                for file_id, item_id in files:
                    if not keep_on() or not acquire_lease(session, _LEASE, owner, _LEASE_SECONDS):
                        return count
                    words = _read_file(clients, account_id, item_id, language)
                    _save(session, file_id, write_words(words))
                    count += 1
    except (ServiceBusyError, ConnectionLostError) as error:
        log.info("Looking into the files of plans is postponed: %s", error)
    finally:
        end_read(session)
        release_lease(session, _LEASE, owner)
    return count


def _list_waiting(session: Session, plan_id: int, last_id: int) -> Sequence[Any]:
    file = ImportPlanFile
    return session.execute(
        select(file.id, file.drive_item_id)
        .where(
            file.plan_id == plan_id,
            file.id <= last_id,
            file.is_chosen.is_(True),
            file.words.is_(None),
        )
        .order_by(file.id)
        .limit(_BATCH)
    ).all()


def _read_file(clients: Clients, account_id: int, item_id: str, language: str) -> FoundWords:
    """:raise ServiceBusyError: or ConnectionLostError, OneDrive cannot be asked now."""
    packets: list[Packet] = []
    try:
        content = clients.open_drive(account_id).open_content(item_id)
        look_at_content(content, _MAX_BYTES, _MAX_SECONDS, packets)
    except (ServiceBusyError, ConnectionLostError):
        raise
    except (NotFoundError, ServiceError) as error:
        log.info("A file of a plan cannot be looked into: %s", error)
    return read_words(packets, language)


@own_transaction
def _save(own: Session, file_id: int, words: str) -> None:
    this = update(ImportPlanFile).where(ImportPlanFile.id == file_id)
    count_rows(own, this.values(words=words))
