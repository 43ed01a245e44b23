"""Fetch originals from OneDrive for a visitor, as one ZIP file that is made while it is sent."""

import logging
import unicodedata
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass

from sqlalchemy.orm import Session
from zipstream import ZIP_STORED, ZipStream

from imagehub.clients import Clients
from imagehub.domain.library.images import list_images
from imagehub.domain.sharing.originals import (
    ABSENT_KIND,
    REPLACEMENT_PX,
    Original,
    Replaced,
    Unchanged,
    deliver,
    find_originals,
)
from imagehub.errors import ImageHubError, NotFoundError, ServiceRefusedError
from imagehub.messages import mark

log = logging.getLogger(__name__)

NOTE_NAME = mark("Missing pictures.txt")
_NOTE_HEAD = mark("These pictures could not be fetched and are not in this ZIP file:")
_GONE = mark("The original is no longer in OneDrive.")
_MAX_NAME_CHARS = 150
# What file systems refuse in a name. Source: Microsoft, Naming Files, Paths, and Namespaces.
# And what turns the direction of reading, so that "gpj.exe" looks like "exe.jpg".
_BAD_CHARS = frozenset(
    '<>:"/\\|?*\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069'
)


@dataclass(frozen=True)
class Member:
    """One original of an archive, under a name that no other has.

    ``as_is``: with its private data.
    """

    name: str
    original: Original
    as_is: bool = False


def list_members(
    session: Session, group_id: int, as_is: bool = False, note_name: str = NOTE_NAME
) -> Sequence[Member]:
    """List the originals of a group in its order.

    :param as_is: with their private data.
    :param note_name: of a text file that may be added; no original has it.
    :raise NotFoundError: the group has no images.
    """
    images = list_images(session, group_id)
    if not images:
        raise NotFoundError("group", group_id)
    names = make_unique([tidy_file_name(image.name) for image in images], taken=[note_name])
    originals = find_originals(session, images)
    return [Member(name, original, as_is) for name, original in zip(names, originals, strict=True)]


def open_archive(
    clients: Clients, members: Iterable[Member], translate: Callable[[str], str] = str
) -> Generator[bytes, None, None]:
    """Return a ZIP of originals, fetched from OneDrive one after the other while it is read.

    The first original is opened before this returns, so that its errors can still be answered. A
    later one that cannot be opened is left out and named in a text file at the end; one that breaks
    off spoils the archive, and its error is raised while reading. Uses the database only to open
    drives.

    :param translate: gives a sentence in the visitor's language, also while the archive is read.
    :raise NotFoundError: none of the originals is in OneDrive any more.
    :raise ConnectionLostError: OneDrive must be connected again.
    :raise ServiceBusyError: OneDrive is throttled, down or not reached.
    :raise ServiceRefusedError: OneDrive sends none of them.
    """
    waiting = iter(members)
    missing: list[tuple[Member, ImageHubError]] = []
    for member in waiting:
        try:
            name, first = _open_member(clients, member)
        except (NotFoundError, ServiceRefusedError) as error:
            missing.append((member, error))
            continue
        return _iter_archive(clients, name, first, waiting, missing, translate)
    if not missing:
        raise NotFoundError("picture", "")
    raise missing[0][1]


def _iter_archive(
    clients: Clients,
    name: str,
    chunks: Iterator[bytes],
    waiting: Iterator[Member],
    missing: list[tuple[Member, ImageHubError]],
    translate: Callable[[str], str],
) -> Generator[bytes, None, None]:
    # Pictures are compressed already. Sizes need not be known: the 64-bit records are used.
    archive = ZipStream(compress_type=ZIP_STORED)
    yield from _iter_member(archive, name, chunks)
    for later in waiting:
        try:
            name, chunks = _open_member(clients, later)
        except ImageHubError as error:
            log.warning("An original is left out of a ZIP: %s", error)
            missing.append((later, error))
            continue
        yield from _iter_member(archive, name, chunks)
    if missing:
        archive.add([_make_note(missing, translate)], translate(NOTE_NAME))
        yield from archive.file()
    yield from archive.footer()


def _iter_member(archive: ZipStream, name: str, chunks: Iterator[bytes]) -> Iterator[bytes]:
    # Whoever stops reading ends the download from OneDrive with it.
    with closing(chunks):  # type: ignore[type-var]
        archive.add(chunks, name)
        yield from archive.file()


def _open_member(clients: Clients, member: Member) -> tuple[str, Iterator[bytes]]:
    """Return the name of a member in the archive, and its bytes."""
    original = member.original
    if original.account_id is not None and member.as_is:
        drive = clients.open_drive(original.account_id)
        return member.name, drive.iter_download(original.item_id)
    delivery = deliver(clients, original)
    if isinstance(delivery, Replaced):
        data = clients.store.get_object(delivery.object_key)
        return f"{member.name} ({REPLACEMENT_PX} px).webp", (part for part in (data,))
    if isinstance(delivery, Unchanged):
        return member.name, delivery.content.iter_bytes()
    return member.name, delivery.iter_bytes()


def _make_note(
    missing: Sequence[tuple[Member, ImageHubError]], translate: Callable[[str], str]
) -> bytes:
    lines = [translate(_NOTE_HEAD), ""]
    for member, error in missing:
        is_gone = isinstance(error, NotFoundError) and error.kind != ABSENT_KIND
        reason = _GONE if is_gone else error.sentence
        lines.append(f"{member.name}: {translate(reason)}")
    return ("\r\n".join(lines) + "\r\n").encode()


# --- Names ----------------------------------------------------------------------------------------


def tidy_file_name(name: str, default: str = "picture") -> str:
    """Return a name that any system can save a file by, with ``_`` for what some refuse."""
    safe = "".join(
        "_" if char in _BAD_CHARS or unicodedata.category(char) in ("Cc", "Cs") else char
        for char in unicodedata.normalize("NFC", name)
    ).strip(". ")
    if len(safe) > _MAX_NAME_CHARS:
        stem, suffix = _split_suffix(safe)
        safe = stem[: _MAX_NAME_CHARS - len(suffix)].rstrip(". ") + suffix
    return safe or default


def make_unique(names: Iterable[str], taken: Iterable[str] = ()) -> list[str]:
    """Add a number to names that came before, regardless of case: ``a (2).jpg``."""
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
