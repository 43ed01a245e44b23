"""Originals on their way from OneDrive to a visitor."""

import logging
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from imagehub.clients import Clients
from imagehub.domain.sharing.zips import Archive
from imagehub.errors import ImageHubError, NotFoundError, ServiceRefusedError
from imagehub.models import Image

log = logging.getLogger(__name__)

NOTE_NAME = "Missing pictures.txt"
_MAX_NAME_CHARS = 150
# What file systems do not take in a name. Source: Microsoft, Naming Files, Paths, and Namespaces.
# And what turns the direction of reading, so that "gpj.exe" looks like "exe.jpg".
_BAD_CHARS = frozenset(
    '<>:"/\\|?*\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069'
)


@dataclass(frozen=True)
class Member:
    """One original of an archive, under a name that no other has."""

    name: str
    account_id: int
    item_id: str


def list_members(session: Session, group_id: int) -> Sequence[Member]:
    """The originals of a group in its order.

    :raise NotFoundError: the group has no images.
    """
    images = session.execute(
        select(Image.name, Image.drive_account_id, Image.drive_item_id)
        .where(Image.group_id == group_id)
        .order_by(Image.position, Image.number)
    ).all()
    if not images:
        raise NotFoundError("group", group_id)
    names = make_unique([tidy_file_name(image.name) for image in images], taken=[NOTE_NAME])
    return [
        Member(name, image.drive_account_id, image.drive_item_id)
        for name, image in zip(names, images, strict=True)
    ]


def open_archive(clients: Clients, members: Iterable[Member]) -> Iterator[bytes]:
    """A ZIP of originals, fetched from OneDrive one after the other while it is read.

    The first original is opened before this returns, so that an answer need not begin in vain. A
    later one that does not begin is left out and named in a text file at the end; one that breaks
    off spoils the archive, and its error comes through: whoever sends it must break off, too.
    Nothing here asks the database, but for what opening a drive asks.

    :raise NotFoundError: none of the originals is in OneDrive any more.
    :raise ConnectionLostError: OneDrive must be connected again.
    :raise ServiceBusyError: OneDrive is throttled, down or not reached.
    :raise ServiceRefusedError: OneDrive gives none of them out.
    """
    waiting = iter(members)
    missing: list[tuple[Member, ImageHubError]] = []
    for member in waiting:
        try:
            first = _open_member(clients, member)
        except (NotFoundError, ServiceRefusedError) as error:
            missing.append((member, error))
            continue
        return _iter_archive(clients, member, first, waiting, missing)
    if not missing:
        raise NotFoundError("picture", "")
    raise missing[0][1]


def _iter_archive(
    clients: Clients,
    member: Member,
    chunks: Iterator[bytes],
    waiting: Iterator[Member],
    missing: list[tuple[Member, ImageHubError]],
) -> Iterator[bytes]:
    archive = Archive()
    yield from _iter_member(archive, member, chunks)
    for later in waiting:
        try:
            chunks = _open_member(clients, later)
        except ImageHubError as error:
            log.warning("An original is left out of a ZIP: %s", error)
            missing.append((later, error))
            continue
        yield from _iter_member(archive, later, chunks)
    if missing:
        yield from archive.iter_member(NOTE_NAME, [_make_note(missing)])
    yield from archive.iter_end()


def _iter_member(archive: Archive, member: Member, chunks: Iterator[bytes]) -> Iterator[bytes]:
    # Whoever stops reading ends the download from OneDrive with it.
    with closing(chunks):  # type: ignore[type-var]
        yield from archive.iter_member(member.name, chunks)


def _open_member(clients: Clients, member: Member) -> Iterator[bytes]:
    return clients.open_drive(member.account_id).iter_download(member.item_id)


def _make_note(missing: Sequence[tuple[Member, ImageHubError]]) -> bytes:
    lines = ["These pictures could not be fetched and are not in this ZIP file:", ""]
    lines += [f"{member.name}: {_explain(error)}" for member, error in missing]
    return ("\r\n".join(lines) + "\r\n").encode()


def _explain(error: ImageHubError) -> str:
    return "It is not in OneDrive any more." if isinstance(error, NotFoundError) else str(error)


# --- Names ----------------------------------------------------------------------------------------


def tidy_file_name(name: str, default: str = "picture") -> str:
    """A name that any system can save a file by; what none takes becomes ``_``."""
    composed = unicodedata.normalize("NFC", name)
    safe = "".join(
        "_" if char in _BAD_CHARS or unicodedata.category(char) in ("Cc", "Cs") else char
        for char in composed
    ).strip(". ")
    if len(safe) > _MAX_NAME_CHARS:
        stem, suffix = _split_suffix(safe)
        safe = stem[: _MAX_NAME_CHARS - len(suffix)].rstrip(". ") + suffix
    return safe or default


def make_unique(names: Iterable[str], taken: Iterable[str] = ()) -> list[str]:
    """The same names, with a number where one came before, regardless of case: ``a (2).jpg``."""
    used = {name.casefold() for name in taken}
    unique = []
    for name in names:
        stem, suffix = _split_suffix(name)
        candidate, number = name, 1
        while candidate.casefold() in used:
            number += 1
            candidate = f"{stem} ({number}){suffix}"
        used.add(candidate.casefold())
        unique.append(candidate)
    return unique


def _split_suffix(name: str) -> tuple[str, str]:
    stem, dot, suffix = name.rpartition(".")
    return (stem, dot + suffix) if stem and len(suffix) <= 10 else (name, "")
