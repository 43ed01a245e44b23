"""Print files as rows: requested, listed, cancelled, sent, and deleted after a time."""

import json
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from imagehub.clients import Clients
from imagehub.database import MAX_ID, count_rows, end_read, get_database_time, own_transaction
from imagehub.domain.objects import bookkeeping
from imagehub.errors import ConflictError, InvalidInputError, NotFoundError
from imagehub.messages import Message, mark
from imagehub.models import Group, PrintFile, Series, SeriesGroup, ShareItem, ShareLink
from imagehub.translator import LANGUAGES

KINDS = {
    "catalogue": mark("Catalogue"),
    "prices": mark("Price list"),
    "labels": mark("Wall labels"),
}
WAITING, MAKING, READY, FAILED, CANCELLED = "waiting", "making", "ready", "failed", "cancelled"
STATES = {
    WAITING: mark("Waiting"),
    MAKING: mark("Running"),
    READY: mark("Done"),
    FAILED: mark("Failed"),
    CANCELLED: mark("Cancelled"),
}
OPEN_STATES = (WAITING, MAKING)
MAX_WORKS = 500
MAX_TITLE_CHARS = 300
# Of all admins together.
MAX_FILES = 100
KEPT = timedelta(days=30)


@dataclass(frozen=True)
class PrintOptions:
    """What a print file shows.

    :param per_page: works on a page of a catalogue, 1 or 2.
    :param prices: with prices, in catalogues and on labels; price lists always have them.
    :param share_prices: also those that only share links show.
    :param texts: with the descriptions of works, in catalogues.
    """

    language: str = "en"
    per_page: int = 1
    prices: bool = False
    share_prices: bool = False
    texts: bool = False


# --- Requesting -----------------------------------------------------------------------------------


def list_series_groups(session: Session, series_id: int) -> list[int]:
    """List the groups of a series and then those of its parts, at most one more than fit."""
    rows = session.scalars(
        select(SeriesGroup.group_id)
        .join(Series, Series.id == SeriesGroup.series_id)
        .join(Group, Group.id == SeriesGroup.group_id)
        .where(
            (Series.id == series_id) | (Series.parent_id == series_id),
            Series.state != "trash",
            Group.state != "trash",
        )
        .order_by(
            Series.parent_id.is_not(None),
            Series.position,
            Series.id,
            SeriesGroup.position,
            SeriesGroup.group_id,
        )
        .limit(2 * MAX_WORKS + 1)
    )
    return list(dict.fromkeys(rows))[: MAX_WORKS + 1]


def list_share_groups(session: Session, share: ShareLink) -> list[int]:
    """List the groups of a share link, or of its series."""
    if share.series_id is not None:
        return list_series_groups(session, share.series_id)
    return list(
        session.scalars(
            select(ShareItem.group_id)
            .join(Group, Group.id == ShareItem.group_id)
            .where(ShareItem.share_id == share.id, Group.state != "trash")
            .order_by(ShareItem.position, ShareItem.group_id)
            .limit(MAX_WORKS + 1)
        )
    )


def request_print(
    session: Session,
    user_id: int | None,
    kind: str,
    title: str,
    numbers: Sequence[int],
    options: PrintOptions,
    series_id: int | None = None,
) -> PrintFile:
    """Request a print file, which a worker makes. Flushed, not committed.

    :param numbers: the works in their order.
    :param series_id: whose dates, place and description a catalogue shows.
    :raise InvalidInputError: no or too many works, no title, or too many files.
    """
    if kind not in KINDS:
        raise InvalidInputError(mark("Select a type of print file."), {"kind": "unknown"})
    title = " ".join(title.split())
    if not title:
        fault = mark("Enter a title.")
        raise InvalidInputError(fault, {"title": fault})
    if len(title) > MAX_TITLE_CHARS:
        fault = Message("Use at most %(num)s characters.", num=MAX_TITLE_CHARS)
        raise InvalidInputError(fault, {"title": fault})
    wanted = list(dict.fromkeys(numbers))
    if len(wanted) > MAX_WORKS:
        raise InvalidInputError(
            Message("A print file can have at most %(num)s works.", num=MAX_WORKS)
        )
    living = select(Group.id).where(Group.id.in_(wanted), Group.state != "trash")
    alive = set(session.scalars(living)) if wanted else set()
    works = [number for number in wanted if number in alive]
    if not works:
        raise InvalidInputError(mark("First select the groups to print."))
    if len(session.scalars(select(PrintFile.id).limit(MAX_FILES)).all()) >= MAX_FILES:
        raise InvalidInputError(
            Message("There are %(num)s print files. Delete some first.", num=MAX_FILES)
        )
    if options.language not in LANGUAGES or options.per_page not in (1, 2):
        raise InvalidInputError("Please check what you entered.")
    now = get_database_time(session)
    row = make_row(kind, title, works, options, series_id, now)
    row.user_id = user_id
    session.add(row)
    session.flush()
    return row


def make_row(
    kind: str,
    title: str,
    works: Sequence[int],
    options: PrintOptions,
    series_id: int | None,
    now: datetime,
) -> PrintFile:
    """Make the row of a new print file, which is in no session."""
    return PrintFile(
        kind=kind,
        title=title,
        series_id=series_id,
        options=json.dumps(asdict(options)),
        groups=json.dumps(list(works)),
        work_count=len(works),
        due_at=now,
        created_at=now,
        expires_at=now + KEPT,
    )


# --- Reading --------------------------------------------------------------------------------------


def list_prints(session: Session) -> Sequence[PrintFile]:
    """List all print files from new to old; there are at most ``MAX_FILES``."""
    return session.scalars(select(PrintFile).order_by(PrintFile.id.desc()).limit(MAX_FILES)).all()


def get_print(session: Session, number: int) -> PrintFile:
    """:raise NotFoundError: there is no such print file."""
    row = session.get(PrintFile, number) if 0 < number <= MAX_ID else None
    if row is None:
        raise NotFoundError("print file", number)
    return row


def read_options(row: PrintFile) -> PrintOptions:
    """Return the options of a print file."""
    return PrintOptions(**json.loads(row.options))


def list_problems(row: PrintFile) -> list[tuple[int, str, str]]:
    """Return the works that are not printed as they should be: number, title, sentence.

    The number 0 stands for the texts of the file itself.
    """
    return [(int(one[0]), str(one[1]), str(one[2])) for one in json.loads(row.problems)]


def name_part(key: str, number: int) -> str:
    """Return the key of a part of a print file, counted from 0."""
    return f"{key}{number:06d}.part"


def iter_content(clients: Clients, row: PrintFile) -> Iterator[bytes]:
    """Iterate over the bytes of a print file, part by part.

    :raise ConflictError: it is not ready.
    :raise NotFoundError: it is lost.
    """
    if row.state != READY or not row.object_key:
        raise ConflictError(mark("This file is not ready."))
    key, count = row.object_key, row.part_count
    # The first part is read at once, so that a lost file is not sent as an empty one.
    first = clients.store.get_object(name_part(key, 0))

    def read_on() -> Iterator[bytes]:
        yield first
        for number in range(1, count):
            yield clients.store.get_object(name_part(key, number))

    return read_on()


def make_prefix(number: int) -> str:
    """Make a prefix for the parts of a print file, which nothing else ever had."""
    return f"prints/{number:012d}/{secrets.token_hex(16)}/"


# --- Ending ---------------------------------------------------------------------------------------


def cancel_print(session: Session, number: int) -> PrintFile:
    """Cancel the making of a print file. Flushed, not committed.

    :raise ConflictError: it has ended.
    """
    row = get_print(session, number)
    these = update(PrintFile).where(PrintFile.id == number, PrintFile.state.in_(OPEN_STATES))
    if not count_rows(session, these.values(state=CANCELLED, owner="")):
        raise ConflictError(mark("This file is no longer being created."))
    session.refresh(row)
    return row


def retry_print(session: Session, number: int) -> PrintFile:
    """Make a file again that failed or was cancelled. Flushed, not committed.

    :raise ConflictError: it did not fail.
    """
    row = get_print(session, number)
    if row.state not in (FAILED, CANCELLED):
        raise ConflictError(mark("This file is being created or is ready."))
    row.state, row.reason, row.problems, row.done_count = WAITING, "", "[]", 0
    row.attempt_count, row.due_at = 0, get_database_time(session)
    row.expires_at = row.due_at + KEPT
    session.flush()
    return row


def delete_print(session: Session, number: int) -> str:
    """Delete a print file, and leave its object to the worker. Flushed, not committed.

    :return: its title.
    """
    row = get_print(session, number)
    title, key = row.title, row.object_key
    session.delete(row)
    session.flush()
    if key:
        bookkeeping.leave_unused(session, [key])
    return title


def delete_expired(session: Session, clients: Clients) -> int:
    """Delete the print files that have expired; return how many. Commits on its own."""
    keys = _drop_expired(session)
    bookkeeping.delete_unused(session, clients, [key for key in keys if key])
    return len(keys)


@own_transaction
def _drop_expired(session: Session) -> list[str]:
    now = get_database_time(session)
    rows = session.scalars(
        select(PrintFile).where(PrintFile.expires_at <= now, PrintFile.state != MAKING).limit(100)
    ).all()
    for row in rows:
        session.delete(row)
    return [row.object_key for row in rows]


def has_expired(session: Session) -> bool:
    """Tell whether there is anything for ``delete_expired`` to do."""
    now = get_database_time(session)
    query = select(PrintFile.id).where(PrintFile.expires_at <= now, PrintFile.state != MAKING)
    found = session.scalar(query.limit(1)) is not None
    end_read(session)
    return found
