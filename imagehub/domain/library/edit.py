"""Editing the library: words, record, roles, cover, order; moving shots between groups.

Every edit carries what its author saw: the group's ``version``, and the old value of each field
that is changed. Where somebody else saved in between, fields that both left alone or only one of
them touched go together; the same field changed twice is an :class:`EditConflictError`, which holds
both. Groups are locked in the order of their numbers, and each change locks before it reads.
"""

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from imagehub.database import MAX_ID, get_database_time, make_batches
from imagehub.domain.library import order as gallery_order
from imagehub.domain.library import trash
from imagehub.domain.library.images import lock_group
from imagehub.domain.library.order import make_first_sort_key, refresh_group
from imagehub.domain.library.search_index import refresh_search
from imagehub.domain.library.tags import MAX_TAGS_PER_GROUP, list_group_tags, set_tags
from imagehub.errors import ConflictError, InvalidInputError, NotFoundError
from imagehub.models import Group, Image, ImportItem, ImportProposal, ShareItem, TrashEntry

# The part that a shot plays, with its name for people.
ROLES = {
    "": "No role",
    "front": "Front",
    "back": "Back",
    "detail": "Detail",
    "signature": "Signature",
    "place": "In place",
}
AVAILABILITIES = {
    "": "Not said",
    "available": "Available",
    "reserved": "Reserved",
    "sold": "Sold",
    "not_for_sale": "Not for sale",
}
STATES = {"published": "Published", "draft": "Draft"}
MAX_BULK = 5000
# Field → how many characters it holds.
_TEXTS = {
    "title": 300,
    "text": 20_000,
    "medium": 300,
    "dimensions": 300,
    "year": 40,
    "edition": 300,
}
_CHOICES: Mapping[str, Mapping[str, str]] = {"availability": AVAILABILITIES, "state": STATES}
GROUP_FIELDS = (*_TEXTS, *_CHOICES, "tags")
IMAGE_FIELDS = ("alt", "role")
MAX_ALT_CHARS = 1000


class EditConflictError(ConflictError):
    """Somebody else saved the same field in between.

    :param version: the thing's version now.
    :param current: the fields in question as they are now.
    :param yours: the same as they were to become.
    """

    def __init__(self, version: int, current: Mapping[str, str], yours: Mapping[str, str]) -> None:
        super().__init__("Somebody else changed this in the meantime.")
        self.version = version
        self.current = dict(current)
        self.yours = dict(yours)


@dataclass(frozen=True)
class Edit:
    """What somebody wants changed.

    :param version: the group's version that they saw.
    :param changes: field → new value.
    :param base: field → the value that they saw. A field that is not in it conflicts with any
        other edit since ``version``.
    """

    version: int
    changes: Mapping[str, str]
    base: Mapping[str, str]


# --- Reading --------------------------------------------------------------------------------------


def get_group(session: Session, number: int) -> Group:
    """A group in any state but the trash.

    :raise NotFoundError: there is none of that number.
    """
    group = session.get(Group, number) if 0 < number <= MAX_ID else None
    if group is None or group.state == "trash":
        raise NotFoundError("group", number)
    return group


def read_fields(session: Session, group: Group) -> dict[str, str]:
    """All that can be edited of a group, as text; tags with commas between."""
    fields = {name: str(getattr(group, name)) for name in (*_TEXTS, *_CHOICES)}
    fields["tags"] = join_tags(tag.name for tag in list_group_tags(session, group.id))
    return fields


def join_tags(names: Iterable[str]) -> str:
    return ", ".join(names)


def split_tags(text: str) -> list[str]:
    """Names that commas, semicolons or lines separate."""
    parts = text.replace(";", ",").replace("\n", ",").split(",")
    return [part.strip() for part in parts if part.strip()]


# --- Words and record -----------------------------------------------------------------------------


def save_group(session: Session, number: int, edit: Edit) -> Group:
    """Change fields of a group.

    :return: the group, with its new version where something changed.
    :raise NotFoundError: no such group.
    :raise InvalidInputError: no such field, or a value that does not fit.
    :raise EditConflictError: somebody else changed one of the fields.
    """
    group = lock(session, number)
    unknown = edit.changes.keys() - set(GROUP_FIELDS)
    if unknown:
        raise InvalidInputError("There is no such field.", dict.fromkeys(unknown, "unknown"))
    changes = {name: _tidy(name, value) for name, value in edit.changes.items()}
    current = read_fields(session, group)
    _check_conflict(edit, group.version, changes, current)
    fresh = {name: value for name, value in changes.items() if current[name] != value}
    if not fresh:
        return group
    for name, value in fresh.items():
        if name != "tags":
            setattr(group, name, value)
    group.version += 1
    session.flush()
    if "tags" in fresh:
        set_tags(session, group, split_tags(fresh["tags"]))
    _refresh(session, group, "state" in fresh)
    return group


def save_image(session: Session, group_number: int, number: int, edit: Edit) -> tuple[Group, Image]:
    """Change alt text or role of one shot. Raises as :func:`save_group` does."""
    group = lock(session, group_number)
    image = gallery_order.get_image(session, group.id, number)
    unknown = edit.changes.keys() - set(IMAGE_FIELDS)
    if unknown:
        raise InvalidInputError("There is no such field.", dict.fromkeys(unknown, "unknown"))
    changes = {name: _tidy_image(name, value) for name, value in edit.changes.items()}
    current = {name: str(getattr(image, name)) for name in IMAGE_FIELDS}
    _check_conflict(edit, group.version, changes, current)
    fresh = {name: value for name, value in changes.items() if current[name] != value}
    for name, value in fresh.items():
        setattr(image, name, value)
    if fresh:
        group.version += 1
        session.flush()
        refresh_search(session, group.id)
    return group, image


def _check_conflict(
    edit: Edit, version: int, changes: Mapping[str, str], current: Mapping[str, str]
) -> None:
    def is_lost(name: str, value: str) -> bool:
        if current[name] == value:
            return False
        # What its author saw counts before the version, which other fields move on too.
        seen = edit.base.get(name)
        return seen != current[name] if seen is not None else edit.version != version

    lost = [name for name, value in changes.items() if is_lost(name, value)]
    if lost:
        raise EditConflictError(
            version, {name: current[name] for name in lost}, {name: changes[name] for name in lost}
        )


def _drop_controls(value: str) -> str:
    """Without characters that mean nothing in a text: NUL and its like, halves of characters."""
    return "".join(c for c in value if c in "\n\t" or unicodedata.category(c) not in ("Cc", "Cs"))


def _tidy(name: str, value: str) -> str:
    if name in _CHOICES:
        if value not in _CHOICES[name]:
            raise InvalidInputError("This cannot be chosen.", {name: "unknown"})
        return value
    if name == "tags":
        # Lines separate tags, so they are looked at before anything else.
        return join_tags(_drop_controls(" ".join(tag.split())) for tag in split_tags(value))
    # Line ends of any kind and tabs are room between words, not to be dropped with the rest.
    is_long = name == "text"
    value = value.replace("\r\n", "\n") if is_long else " ".join(value.split())
    value = _drop_controls(value).strip()
    if len(value) > _TEXTS[name]:
        limit = _TEXTS[name]
        raise InvalidInputError(f"This is longer than {limit:,} characters.", {name: "too long"})
    return value


def _tidy_image(name: str, value: str) -> str:
    if name == "role":
        if value not in ROLES:
            raise InvalidInputError("There is no such role.", {name: "unknown"})
        return value
    value = _drop_controls(" ".join(value.split())).strip()
    if len(value) > MAX_ALT_CHARS:
        raise InvalidInputError(
            f"An alt text is at most {MAX_ALT_CHARS:,} characters long.", {name: "too long"}
        )
    return value


# --- Cover and order ------------------------------------------------------------------------------


def set_cover(session: Session, group_number: int, number: int | None) -> Group:
    """Choose the shot that stands for a group; None lets the first one do it.

    :raise NotFoundError: no such group or shot.
    """
    group = lock(session, group_number)
    image = gallery_order.get_image(session, group.id, number) if number is not None else None
    group.chosen_cover_id = image.id if image is not None else None
    group.version += 1
    _refresh(session, group, True)
    return group


def order_shots(
    session: Session, group_number: int, numbers: Sequence[int], before: int | None
) -> Group:
    """Put shots, in the order given, in front of another one of their group; None: at the end.

    :raise NotFoundError: no such group or shot.
    """
    group = lock(session, group_number)
    images = list(
        session.scalars(
            select(Image).where(Image.group_id == group.id).order_by(Image.position, Image.number)
        )
    )
    by_number = {image.number: image for image in images}
    moved = [by_number[one] for one in dict.fromkeys(numbers) if one in by_number]
    if len(moved) != len(set(numbers)) or (before is not None and before not in by_number):
        raise NotFoundError("image", group_number)
    others = [image for image in images if image not in moved]
    at = next((n for n, image in enumerate(others) if image.number == before), len(others))
    for position, image in enumerate(others[:at] + moved + others[at:], start=1):
        if image.position != position:
            image.position = position
    group.version += 1
    _refresh(session, group, True)
    return group


def step_shot(session: Session, group_number: int, number: int, step: int) -> Group:
    """Put a shot one place forward (-1) or back (1); at either end nothing changes."""
    group = lock(session, group_number)
    numbers = list(
        session.scalars(
            select(Image.number)
            .where(Image.group_id == group.id)
            .order_by(Image.position, Image.number)
        )
    )
    if number not in numbers:
        raise NotFoundError("image", f"{group_number}/{number}")
    at = numbers.index(number) + step
    if not 0 <= at < len(numbers):
        return group
    behind = at + 1 if step > 0 else at
    before = numbers[behind] if behind < len(numbers) else None
    return order_shots(session, group_number, [number], before)


def place_group(
    session: Session, number: int, before: int | None = None, after: int | None = None
) -> None:
    """Put a group right before or right after another in the gallery's order.

    With neither it goes to the end.

    :raise NotFoundError: one of them is not there.
    """
    for one in sorted({number, before or number, after or number}):
        lock(session, one)
    group = get_group(session, number)
    if after is not None:
        other = get_group(session, after)
        # Whatever comes next counts, a group in the trash too: it may come back.
        following = session.scalars(
            select(Group)
            .where(
                Group.id != group.id,
                (Group.sort_key < other.sort_key)
                | ((Group.sort_key == other.sort_key) & (Group.id < other.id)),
            )
            .order_by(Group.sort_key.desc(), Group.id.desc())
            .limit(1)
        ).first()
        gallery_order.move_group(session, group, following)
    else:
        gallery_order.move_group(session, group, get_group(session, before) if before else None)


def step_group(session: Session, number: int, step: int) -> None:
    """Put a group one place up (-1) or down (1) in the gallery's order; at an end it stays."""
    group = get_group(session, number)
    is_up = step < 0
    here = Group.sort_key > group.sort_key if is_up else Group.sort_key < group.sort_key
    order = (Group.sort_key, Group.id) if is_up else (Group.sort_key.desc(), Group.id.desc())
    # A state has its own range of an index: nobody walks past what lies in the trash.
    found = [
        session.execute(
            select(Group.sort_key, Group.id)
            .where(here, Group.state == state)
            .order_by(*order)
            .limit(1)
        ).first()
        for state in STATES
    ]
    nearest = sorted(tuple(one) for one in found if one is not None)
    if nearest:
        neighbour = nearest[0 if is_up else -1][1]
        if is_up:
            place_group(session, number, before=neighbour)
        else:
            place_group(session, number, after=neighbour)


# --- Between groups -------------------------------------------------------------------------------


def move_shots(
    session: Session, group_number: int, numbers: Sequence[int], target_number: int | None
) -> Group:
    """Move shots to the end of another group; None splits them off into a new one.

    They get new numbers there, and their old ones are not used again. A group that loses its last
    shot so stays, empty, with its words.

    :return: the group that they are in now.
    :raise NotFoundError: a group or a shot is not there.
    :raise ConflictError: the other group has one of the files already.
    """
    for one in sorted({group_number, target_number or group_number}):
        lock(session, one)
    group = get_group(session, group_number)
    images = _get_images(session, group, numbers)
    if target_number == group_number:
        return group
    if target_number is None:
        target = Group(
            state=group.state,
            title=group.title,
            folder_name=group.folder_name,
            medium=group.medium,
            year=group.year,
            sort_key=make_first_sort_key(session),
            created_at=get_database_time(session),
        )
        session.add(target)
        session.flush()
    else:
        target = get_group(session, target_number)
        twins = _find_twins(session, images, target)
        if twins:
            raise ConflictError(f"The other group has {twins[0].name} already.")
    put_into(session, images, target)
    for changed in sorted((group, target), key=lambda one: one.id):
        changed.version += 1
        _refresh(session, changed, True)
    if target_number is None:
        place_group(session, target.id, after=group.id)
    return target


def join_groups(
    session: Session, numbers: Sequence[int], user_id: int | None
) -> tuple[Group, list[int]]:
    """Put the shots of all these groups into the first, in the order given.

    What the first has no words for is taken from the others. They lie in the trash then, with all
    of theirs, and can be taken back from there with their shots; a file that the first has already
    stays in them. What is being imported into them, and links that show them, go on with the first.

    :return: the first, and the numbers of the others.
    :raise InvalidInputError: fewer than two.
    :raise NotFoundError: one is not there.
    """
    wanted = list(dict.fromkeys(numbers))
    if len(wanted) < 2:
        raise InvalidInputError("Choose at least two groups to join.", {"group": "too few"})
    if len(wanted) > MAX_BULK:
        raise InvalidInputError(f"More than {MAX_BULK:,} groups at once are too many.")
    others = wanted[1:]
    for batch in make_batches(others):
        # A worker holds its item before the group, too.
        session.execute(
            update(ImportItem)
            .where(ImportItem.group_id.in_(batch))
            .values(group_id=ImportItem.group_id)
            .execution_options(synchronize_session=False)
        )
    for number in sorted(wanted):
        lock(session, number)
    target = get_group(session, wanted[0])
    tags = [tag.name for tag in list_group_tags(session, target.id)]
    for number in others:
        other = get_group(session, number)
        images = list(gallery_order.list_images(session, other.id))
        twins = _find_twins(session, images, target)
        moved = [image for image in images if image not in twins]
        shots = [(image.id, image.number, image.position) for image in moved]
        put_into(session, moved, target)
        for name in ("title", "text", "medium", "dimensions", "year", "edition", "availability"):
            if not getattr(target, name):
                setattr(target, name, getattr(other, name))
        tags += [tag.name for tag in list_group_tags(session, other.id)]
        shares = _follow(session, other.id, target)
        trash.trash_groups(session, [other.id], user_id)
        entry = session.get_one(TrashEntry, other.id)
        entry.joined = trash.Joined(target.id, shots, shares).write()
    target.version += 1
    set_tags(session, target, list(dict.fromkeys(tags))[:MAX_TAGS_PER_GROUP])
    _refresh(session, target, True)
    return target, others


def _follow(session: Session, number: int, target: Group) -> list[int]:
    """Let all that names a group go on with another one that takes its shots.

    :return: the links that show the other one now, and did not before.
    """
    last = session.scalar(select(func.max(Image.position)).where(Image.group_id == target.id)) or 0
    for item in session.scalars(select(ImportItem).where(ImportItem.group_id == number)):
        item.group_id = target.id
        if item.state not in ("done", "skipped"):
            last += 1
            item.number, item.position = target.next_image_number, last
            target.next_image_number += 1
    session.execute(
        update(ImportProposal)
        .where(ImportProposal.group_id == number)
        .values(group_id=target.id)
        .execution_options(synchronize_session=False)
    )
    there = select(ShareItem.share_id).where(ShareItem.group_id == target.id)
    links = session.execute(
        select(ShareItem.share_id, ShareItem.position).where(
            ShareItem.group_id == number, ShareItem.share_id.not_in(there)
        )
    ).all()
    session.add_all(
        ShareItem(share_id=share_id, group_id=target.id, position=position)
        for share_id, position in links
    )
    session.flush()
    return [share_id for share_id, _ in links]


def put_into(session: Session, images: Sequence[Image], target: Group) -> None:
    """Move images to the end of a group, with new numbers. Both groups are locked and refreshed by
    the caller."""
    last = session.scalar(select(func.max(Image.position)).where(Image.group_id == target.id)) or 0
    for image in images:
        last += 1
        image.number, image.position = target.next_image_number, last
        image.group_id = target.id
        target.next_image_number += 1
    session.flush()
    for image in images:
        session.expire(image, ["group"])


def _find_twins(session: Session, images: Sequence[Image], target: Group) -> list[Image]:
    """Those of the images whose file is in the group already."""
    there = {
        (row[0], row[1])
        for row in session.execute(
            select(Image.drive_account_id, Image.drive_item_id).where(Image.group_id == target.id)
        )
    }
    return [image for image in images if (image.drive_account_id, image.drive_item_id) in there]


def _get_images(session: Session, group: Group, numbers: Sequence[int]) -> list[Image]:
    wanted = set(numbers)
    if not wanted:
        raise InvalidInputError("Choose shots first.", {"image": "is empty"})
    images = [one for one in gallery_order.list_images(session, group.id) if one.number in wanted]
    if len(images) != len(wanted):
        raise NotFoundError("image", group.id)
    return images


# --- Many at once ---------------------------------------------------------------------------------


def bulk_edit(
    session: Session,
    numbers: Sequence[int],
    changes: Mapping[str, str],
    add_tags: Sequence[str] = (),
    remove_tags: Sequence[str] = (),
) -> int:
    """Set the same fields in many groups, add tags and take them away.

    :param changes: as in :func:`save_group`, but no ``title``, ``text`` or ``tags``.
    :return: how many groups changed.
    :raise NotFoundError: one of the groups is not there; nothing is changed then.
    """
    allowed = {"medium", "dimensions", "year", "edition", "availability", "state"}
    unknown = changes.keys() - allowed
    if unknown:
        raise InvalidInputError(
            "This cannot be set for many groups at once.", dict.fromkeys(unknown, "unknown")
        )
    if len(numbers) > MAX_BULK:
        raise InvalidInputError(f"More than {MAX_BULK:,} groups at once are too many.")
    fresh = {name: _tidy(name, value) for name, value in changes.items()}
    gone = {name.casefold() for name in remove_tags}
    count = 0
    for number in sorted(set(numbers)):
        group = lock(session, number)
        current = read_fields(session, group)
        wanted = dict(fresh)
        if add_tags or gone:
            tags = [*split_tags(current["tags"]), *add_tags]
            kept = {tag.casefold(): tag for tag in reversed(tags) if tag.casefold() not in gone}
            wanted["tags"] = join_tags(reversed(kept.values()))
        wanted = {name: value for name, value in wanted.items() if current[name] != value}
        if wanted:
            save_group(session, number, Edit(group.version, wanted, {}))
            count += 1
    return count


# --- Inside ---------------------------------------------------------------------------------------


def lock(session: Session, number: int) -> Group:
    """Hold a group until the transaction ends, and read it anew.

    :raise NotFoundError: no such group, or it lies in the trash.
    """
    if not 0 < number <= MAX_ID or not lock_group(session, number):
        raise NotFoundError("group", number)
    group = session.get(Group, number)
    assert group is not None
    session.refresh(group)
    if group.state == "trash":
        raise NotFoundError("group", number)
    return group


def _refresh(session: Session, group: Group, is_shape_changed: bool) -> None:
    """Bring derived facts up to date; the words alone where nothing else can have changed."""
    if is_shape_changed:
        refresh_group(session, group.id)
    else:
        session.flush()
        refresh_search(session, group.id)


def describe_group(session: Session, group: Group) -> dict[str, Any]:
    """What a script needs to go on editing: version and fields."""
    return {"version": group.version, "fields": read_fields(session, group)}
