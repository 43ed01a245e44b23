"""Edit many groups at once, or join them into one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from imagehub.database import count_rows, make_batches
from imagehub.domain.library import credits, listing, prices
from imagehub.domain.library.edit import (
    Edit,
    read_many_fields,
    save_groups,
    split_tags,
    tidy_field,
)
from imagehub.domain.library.groups import get_group, get_locked_groups, refresh_group
from imagehub.domain.library.images import list_images
from imagehub.domain.library.series_members import add_in_place
from imagehub.domain.library.shots import find_twins, put_into
from imagehub.domain.library.tags import MAX_TAGS_PER_GROUP, list_group_tags, set_tags
from imagehub.domain.library.trash import Joined, trash_groups
from imagehub.domain.translations import copy_translations
from imagehub.errors import InvalidInputError, NotFoundError
from imagehub.messages import PluralMessage
from imagehub.models import Group, Image, ImportItem, ImportProposal, ShareItem, TrashEntry

MAX_GROUPS = 5000
_RECORD = ("medium", "dimensions", "year", "edition", "availability")
FIELDS = (*_RECORD, *prices.FIELDS, *credits.FIELDS)
# Who sees a price: fewest first.
_OPENNESS = ("nowhere", "request", "share", "public")
# The number of groups that one request looks at, so that none takes long.
_STEP = 200


@dataclass(frozen=True)
class BulkEdit:
    """A change of many groups: fields of :data:`FIELDS` or ``state`` with new values, and tags."""

    changes: Mapping[str, str] = field(default_factory=dict)
    add_tags: Sequence[str] = ()
    remove_tags: Sequence[str] = ()


@dataclass(frozen=True)
class Progress:
    """The progress of an edit of a whole list.

    :param after: key of the last group that was looked at; "" before the first and after the last.
    :param total: groups in the list when the edit was asked for.
    :param seen: groups looked at.
    :param changed: groups changed.
    """

    after: str
    total: int
    seen: int = 0
    changed: int = 0

    @property
    def is_done(self) -> bool:
        return not self.after


def make_edit(fields: Mapping[str, str], add_tags: str, remove_tags: str) -> BulkEdit:
    """Make an edit of those fields that are filled in.

    :param fields: the values of :data:`FIELDS` as they were typed.
    :raise InvalidInputError: nothing is filled in.
    """
    changes = {name: fields[name] for name in FIELDS if fields[name].strip()}
    if not (changes or add_tags.strip() or remove_tags.strip()):
        raise InvalidInputError("Fill in at least one field.")
    return BulkEdit(changes, split_tags(add_tags), split_tags(remove_tags))


def _check_group_count(numbers: Sequence[int]) -> None:
    if len(numbers) > MAX_GROUPS:
        sentence = PluralMessage(
            "At most %(num)s group can be changed at once.",
            "At most %(num)s groups can be changed at once.",
            num=MAX_GROUPS,
        )
        raise InvalidInputError(sentence)


def edit_groups(session: Session, numbers: Sequence[int], edit: BulkEdit) -> int:
    """Set the same fields in many groups, and add and remove tags.

    :return: how many groups changed.
    :raise NotFoundError: one of the groups does not exist.
    :raise InvalidInputError: too many groups, or a value that is not accepted.
    """
    unknown = edit.changes.keys() - {*FIELDS, "state"}
    if unknown:
        raise InvalidInputError(
            "This field cannot be set for many groups at once.", dict.fromkeys(unknown, "unknown")
        )
    _check_group_count(numbers)
    changes = {name: tidy_field(name, value) for name, value in edit.changes.items()}
    removed = {name.casefold() for name in edit.remove_tags}
    edits = {}
    for groups in make_batches(get_locked_groups(session, numbers)):
        for group, current in read_many_fields(session, groups).items():
            wanted = dict(changes)
            if edit.add_tags or removed:
                tags = [*split_tags(current["tags"]), *edit.add_tags]
                left = [tag for tag in tags if tag.casefold() not in removed]
                kept = {tag.casefold(): tag for tag in reversed(left)}
                wanted["tags"] = ", ".join(reversed(kept.values()))
            wanted = {name: value for name, value in wanted.items() if current[name] != value}
            if wanted:
                edits[group] = Edit(group.version, wanted, {})
    save_groups(session, edits)
    return len(edits)


def edit_next(
    session: Session, filter_name: str, words: str, edit: BulkEdit, progress: Progress
) -> tuple[list[int], Progress]:
    """Edit the next few hundred groups of a list of the library.

    :param filter_name: as in :func:`listing.list_groups`, as are ``words``.
    :return: the numbers of the groups that were looked at, and the progress after that.
    """
    numbers, after = listing.list_numbers(session, filter_name, words, progress.after, _STEP)
    changed = edit_groups(session, numbers, edit)
    seen, changed = progress.seen + len(numbers), progress.changed + changed
    return numbers, replace(progress, after=after, seen=seen, changed=changed)


# --- Joining --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class JoinPreview:
    """What joining groups would do.

    :param stays: the group that the others are joined into.
    :param shot_count: how many shots are moved there.
    :param exposed_count: how many of them become public.
    :param hidden_count: how many of them are no longer public.
    """

    stays: listing.Row
    others: Sequence[listing.Row]
    shot_count: int
    exposed_count: int
    hidden_count: int


def preview_join(session: Session, numbers: Sequence[int]) -> JoinPreview:
    """Tell what joining groups would do. Raises as :func:`join_groups`."""
    wanted = _check_numbers(numbers)
    rows = listing.load_rows(session, wanted)
    if len(rows) < len(wanted):
        raise NotFoundError("group", numbers)
    stays, *others = rows
    moved = sum(row.image_count for row in others)
    unlike = sum(row.image_count for row in others if row.state != stays.state)
    exposed = unlike if stays.state == "published" else 0
    return JoinPreview(stays, others, moved, exposed, unlike - exposed)


def _check_numbers(numbers: Sequence[int]) -> list[int]:
    wanted = list(dict.fromkeys(numbers))
    if len(wanted) < 2:
        raise InvalidInputError("Select at least two groups to join.", {"group": "too few"})
    _check_group_count(wanted)
    return wanted


def join_groups(
    session: Session, numbers: Sequence[int], user_id: int | None
) -> tuple[Group, list[int]]:
    """Move the shots of several groups into the first of them, in the order given.

    Empty fields of the first group are filled from the others. The others are then moved to the
    trash with their fields, from where they can be restored with their shots. An image whose file
    the first group already has stays in its group. Imports into the others, share links to them and
    the series that they are in continue with the first group.

    :return: the first group, and the numbers of the others.
    :raise InvalidInputError: fewer than two groups, or too many.
    :raise NotFoundError: one of the groups does not exist.
    """
    wanted = _check_numbers(numbers)
    others = wanted[1:]
    for batch in make_batches(others):
        # Import items are locked before groups, as workers do, to avoid deadlocks.
        count_rows(
            session,
            update(ImportItem)
            .where(ImportItem.group_id.in_(batch))
            .values(group_id=ImportItem.group_id),
        )
    get_locked_groups(session, wanted)
    target = get_group(session, wanted[0])
    tags = [tag.name for tag in list_group_tags(session, target.id)]
    for number in others:
        other = get_group(session, number)
        images = list_images(session, other.id)
        twins = find_twins(session, images, target)
        moved = [image for image in images if image not in twins]
        shots = [(image.id, image.number, image.position) for image in moved]
        put_into(session, moved, target)
        filled = [name for name in ("title", "text", *_RECORD) if not getattr(target, name)]
        for name in filled:
            setattr(target, name, getattr(other, name))
        copy_translations(session, other, target, filled)
        if not target.price and other.price:
            # An amount says nothing without its currency. It stays hidden from all who could
            # not see it before.
            target.price, target.currency = other.price, other.currency
            target.price_shown = min(target.price_shown, other.price_shown, key=_OPENNESS.index)
        tags += [tag.name for tag in list_group_tags(session, other.id)]
        shares = _redirect_references(session, other.id, target)
        series = add_in_place(session, other.id, target)
        trash_groups(session, [other.id], user_id)
        joined = Joined(target.id, shots, shares, series)
        session.get_one(TrashEntry, other.id).joined = joined.write()
    target.version += 1
    set_tags(session, target, list(dict.fromkeys(tags))[:MAX_TAGS_PER_GROUP])
    refresh_group(session, target.id)
    return target, others


def _redirect_references(session: Session, number: int, target: Group) -> list[int]:
    """Point imports, import plans and share links of a group to another one.

    :return: the ids of the share links that did not show the other group before.
    """
    last = session.scalar(select(func.max(Image.position)).where(Image.group_id == target.id)) or 0
    for item in session.scalars(select(ImportItem).where(ImportItem.group_id == number)):
        item.group_id = target.id
        if item.state not in ("done", "skipped"):
            last += 1
            item.number, item.position = target.next_image_number, last
            target.next_image_number += 1
    proposals = update(ImportProposal).where(ImportProposal.group_id == number)
    count_rows(session, proposals.values(group_id=target.id))
    there = select(ShareItem.share_id).where(ShareItem.group_id == target.id)
    shares = session.scalars(
        select(ShareItem).where(ShareItem.group_id == number, ShareItem.share_id.not_in(there))
    ).all()
    session.add_all(
        ShareItem(share_id=one.share_id, group_id=target.id, position=one.position)
        for one in shares
    )
    session.flush()
    return [one.share_id for one in shares]
