"""Write pictures and accounts of the first version to the hub; the caller commits."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import exists, select, update
from sqlalchemy.orm import Session

from imagehub.clients import Download, Vault
from imagehub.clients.drive_ids import list_spellings
from imagehub.clients.sign_in import SignedIn
from imagehub.database import count_rows, get_database_time
from imagehub.domain.file_names import guess_role, make_group_title
from imagehub.domain.imports.saving import insert_renditions, set_picture_facts
from imagehub.domain.library import tiles
from imagehub.domain.library.groups import find_locked_group, lock_group, refresh_group
from imagehub.domain.library.order import FIRST_SORT_KEY, SORT_STEP
from imagehub.domain.library.private_data import make_listing, save_found
from imagehub.domain.objects.bookkeeping import use_keys
from imagehub.domain.onedrive import sign_in
from imagehub.domain.people import audit, users
from imagehub.domain.sync.schedule import note_import
from imagehub.domain.sync.state import ABSENT, CHANGED, OK
from imagehub.errors import ConflictError
from imagehub.imaging.private_data import PrivateData
from imagehub.imaging.render import RenderedPicture
from imagehub.models import Group, Image, LegacyRow, User
from imagehub.runtime.legacy.content import Content, RowError
from imagehub.runtime.legacy.matching import Match
from imagehub.runtime.legacy.source import OldPerson, OldPicture

IMAGE, USER, TOKEN = "image", "user", "token"
# The order of the gallery is a number that grows with the group's.
MAX_GROUP = 1 << 40
MAX_NUMBER = 10**9
# bcrypt of more rounds would take minutes for one sign-in.
_BCRYPT = re.compile(r"\$2[abxy]\$(0[4-9]|1[0-6])\$[./A-Za-z0-9]{53}")


@dataclass(frozen=True)
class Place:
    """Where an image goes. ``number`` is None if the row's is no number: the next one then."""

    group: int
    number: int | None


@dataclass(frozen=True)
class NewPicture:
    """A picture to be saved, whose renditions are stored.

    ``account_id``: of the account of ``match``, which was listed after ``listed_at``.
    """

    old: OldPicture
    place: Place
    content: Content
    picture: RenderedPicture
    private_data: PrivateData
    pinned_until: datetime
    account_id: int | None
    match: Match | None
    listed_at: datetime


# --- Pictures -------------------------------------------------------------------------------------


def read_place(old: OldPicture) -> Place:
    """Read the numbers of a row.

    :raise RowError: its group has no number that the hub can keep.
    """
    group = _read_number(old.group, MAX_GROUP)
    if group is None:
        raise RowError("The row has no usable group number.")
    number = _read_number(old.number, MAX_NUMBER)
    if number is None and old.number.lstrip("+-").isdigit():
        raise RowError("The row has no usable image number.")
    return Place(group, number)


def _read_number(words: str, most: int) -> int | None:
    is_number = words.isascii() and words.isdigit() and len(words) < 20
    return int(words) if is_number and 0 < int(words) <= most else None


def find_mark(session: Session, kind: str, key: str) -> LegacyRow | None:
    """Find the note that a row was brought over."""
    return session.get(LegacyRow, (kind, key), populate_existing=True)


def find_marks(
    session: Session, kind: str, keys: Sequence[str]
) -> dict[str, tuple[LegacyRow, bool]]:
    """Find the notes of many rows, and whether nothing is left to do: key → note, answer.

    There is if the image has no file in OneDrive yet.
    """
    is_absent = exists().where(Image.id == LegacyRow.target_id, Image.drive_state == ABSENT)
    query = select(LegacyRow, is_absent).where(LegacyRow.kind == kind, LegacyRow.row_key.in_(keys))
    return {mark.row_key: (mark, not absent) for mark, absent in session.execute(query)}


def is_same_row(mark: LegacyRow, old: OldPicture) -> bool:
    """Tell whether a row still is the picture that was brought over."""
    return mark.name == old.name[:400]


def find_image(session: Session, image_id: int | None) -> Image | None:
    return session.get(Image, image_id) if image_id is not None else None


def check_place(session: Session, place: Place) -> None:
    """Check that nothing else has the numbers.

    :raise RowError: something has.
    """
    same = exists().where(Image.group_id == place.group, Image.number == place.number)
    ours = exists().where(LegacyRow.group_number == place.group)
    state = select(Group.state).where(Group.id == place.group).scalar_subquery()
    is_ours, group_state, is_taken = session.execute(select(ours, state, same)).one()
    if group_state is None and is_ours:
        raise RowError(f"Group {place.group} was deleted in the hub.")
    if group_state == "trash":
        raise RowError(f"Group {place.group} is in the trash of the hub.")
    if group_state is not None and not is_ours:
        raise RowError(f"The hub has another work with the number {place.group}.")
    if place.number is not None and is_taken:
        raise RowError(f"Group {place.group} has another image {place.number} in the hub.")


def is_in_trash(session: Session, group: int) -> bool:
    return session.scalar(select(Group.state).where(Group.id == group)) == "trash"


def has_file(session: Session, group: int, account_id: int | None, match: Match) -> bool:
    """Tell whether a file is the original of an image of the group."""
    twin = exists().where(
        Image.group_id == group,
        Image.drive_account_id == account_id,
        Image.drive_item_id.in_(list_spellings(match.item.id)),
    )
    return bool(session.scalar(select(twin)))


def save_picture(session: Session, new: NewPicture) -> None:
    """Add the image with its renditions, and the group if it is the first one.

    :raise RowError: something else has got the numbers in the meantime.
    :raise KeyGoneError: a rendition was deleted in the meantime: store them again.
    """
    # The first statement writes, so that SQLite waits for other writers here.
    group = find_locked_group(session, new.place.group)
    check_place(session, new.place)
    now, old = get_database_time(session), new.old
    title = (old.title or make_group_title(old.folder, old.name))[:300]
    if group is None:
        group = Group(
            id=new.place.group,
            title=title,
            folder_name=old.folder[:400],
            # As if the groups had been made in the order of their numbers.
            sort_key=FIRST_SORT_KEY + (new.place.group - 1) * SORT_STEP,
            created_at=now,
        )
        session.add(group)
        session.flush()
    renditions = new.picture.renditions
    use_keys(session, {r.object_key: len(r.data) for r in renditions}, new.pinned_until)
    number = new.place.number or group.next_image_number
    image = Image(
        group_id=group.id,
        number=number,
        position=number,
        name=(new.match.item.name if new.match else old.name or f"{group.id}-{number}")[:400],
        alt=old.title[:1000] if old.title not in ("", group.title) else "",
        folder_name=(new.match.folder_name if new.match else old.folder)[:400],
        role=guess_role(old.name),
        size_bytes=new.content.size_bytes,
        sha256=new.content.sha256,
        quick_xor_hash=new.content.quick_xor_hash[:40],
        created_at=now,
        **make_drive_facts(new.content, new.account_id, new.match),
    )
    set_picture_facts(image, new.picture)
    group.next_image_number = max(group.next_image_number, number + 1)
    session.add(image)
    session.flush()
    if new.match is not None:
        note_import(session, image, new.listed_at)
        item = new.match.item
        # Only the hash proves that OneDrive sends the bytes that were looked at.
        if item.quick_xor_hash == new.content.quick_xor_hash:
            listed = Download(
                new.content.size_bytes,
                new.content.quick_xor_hash,
                new.content.sha256,
                item.quick_xor_hash,
                item.size_bytes,
            )
            save_found(session, image, make_listing(item, listed), new.private_data)
    insert_renditions(session, image.id, renditions)
    tiles.note_original(session, image)
    session.add(
        LegacyRow(
            kind=IMAGE,
            row_key=old.key,
            group_number=group.id,
            target_id=image.id,
            name=old.name[:400],
            created_at=now,
        )
    )
    refresh_group(session, group.id)


def make_drive_facts(
    content: Content, account_id: int | None, match: Match | None
) -> dict[str, Any]:
    """Make the columns of an image that say where its original is."""
    if match is None:
        return {"drive_account_id": None, "drive_item_id": "", "drive_state": ABSENT}
    item = match.item
    facts = {
        "drive_account_id": account_id,
        "drive_item_id": item.id,
        "drive_state": OK if match.is_same else CHANGED,
        "folder_id": item.parent_id,
        # What OneDrive would list for the bytes that the renditions were made from.
        "drive_hash": content.quick_xor_hash[:40] if item.quick_xor_hash else "",
        "drive_size_bytes": content.size_bytes,
    }
    if match.is_same:
        facts["drive_size_bytes"] = item.size_bytes
        facts |= {"etag": item.etag[:255], "ctag": item.ctag[:255]}
    return facts


def attach_file(
    session: Session, image: Image, account_id: int, match: Match, listed_at: datetime
) -> bool:
    """Give an image without an original its file; False if it has one by now or is gone.

    :param image: may be detached.
    """
    lock_group(session, image.group_id)
    if has_file(session, image.group_id, account_id, match):
        return False
    content = Content(image.size_bytes, image.sha256, "", image.quick_xor_hash)
    facts = make_drive_facts(content, account_id, match)
    facts |= {"name": match.item.name[:400], "folder_name": match.folder_name[:400]}
    this = update(Image).where(Image.id == image.id, Image.drive_state == ABSENT)
    if not count_rows(session, this.values(**facts)):
        return False
    found = session.get_one(Image, image.id, populate_existing=True)
    note_import(session, found, listed_at)
    refresh_group(session, found.group_id)
    return True


# --- Accounts -------------------------------------------------------------------------------------


def save_person(session: Session, old: OldPerson) -> bool:
    """Add an account whose password is that of the first version.

    :return: False if the hub has an account of this name, which stays as it is.
    :raise RowError: the hash of the password is of an unknown kind.
    :raise InvalidInputError: the name cannot be used.
    """
    # Some programs stored Python's notation of the bytes.
    found = re.fullmatch(r"b?['\"]?(\$2.{58})['\"]?", old.password_hash)
    if found is None or _BCRYPT.fullmatch(found[1]) is None:
        raise RowError(
            "The password’s hash is not bcrypt. Create the account with `imagehub create-admin`."
        )
    user = User(password_hash=found[1])
    try:
        users.change_name(session, user, old.name)
    except ConflictError:
        session.rollback()
        return False
    session.add(LegacyRow(kind=USER, row_key=old.key, target_id=user.id, name=old.name[:400]))
    audit.record(session, None, "create_account", user.id, name=user.name)
    session.flush()
    return True


def note_pictures(session: Session, count: int) -> None:
    """Write one line for all pictures of a run into the activity log."""
    audit.record(session, None, "migrate_legacy", count=count)


def note_token(session: Session, key: str, account_id: int | None = None) -> None:
    """Note that a refresh token was tried, so that it is not tried again."""
    session.add(LegacyRow(kind=TOKEN, row_key=key, target_id=account_id))


def save_token(session: Session, vault: Vault, key: str, signed: SignedIn) -> None:
    """Make the account of the first version the hub's connection to OneDrive."""
    account = sign_in.save_account(session, vault, signed, None, sign_in.DEFAULT_SCOPES)
    audit.record(session, None, "connect", account.id, name=account.username)
    note_token(session, key, account.id)
