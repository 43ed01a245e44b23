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

from sqlalchemy.orm import Session

from imagehub.domain.library.groups import get_locked_group, refresh_group
from imagehub.domain.library.images import get_image
from imagehub.domain.library.search_index import refresh_search
from imagehub.domain.library.tags import list_group_tags, set_tags
from imagehub.errors import ConflictError, InvalidInputError
from imagehub.models import Group, Image

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


def save_group(session: Session, number: int, edit: Edit) -> Group:
    """Change fields of a group.

    :return: the group, with its new version where something changed.
    :raise NotFoundError: no such group.
    :raise InvalidInputError: no such field, or a value that does not fit.
    :raise EditConflictError: somebody else changed one of the fields.
    """
    group = get_locked_group(session, number)
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
    group = get_locked_group(session, group_number)
    image = get_image(session, group.id, number)
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
        group = get_locked_group(session, number)
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
