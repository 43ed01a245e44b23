"""Edit the fields of groups and shots, without overwriting the changes of other people.

An edit holds what its author saw: the group's ``version``, and the old value of each changed
field. If someone else saved in between, changes of different fields are merged; a change of the
same field raises :class:`EditConflictError`, which holds both values.
"""

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import update
from sqlalchemy.orm import Session

from imagehub.database import count_rows, make_batches, write_changes
from imagehub.domain.library import credits, prices
from imagehub.domain.library.facet_index import refresh_facets
from imagehub.domain.library.groups import GROUPS_AT_ONCE, get_locked_group, refresh_groups
from imagehub.domain.library.images import get_image
from imagehub.domain.library.search_index import refresh_search
from imagehub.domain.library.tags import list_names_of_groups, write_tags
from imagehub.domain.library.years import tidy_year
from imagehub.errors import ConflictError, ImageHubError, InvalidInputError, NotFoundError
from imagehub.messages import PluralMessage, mark
from imagehub.models import Group, Image

# The labels of fields.
FIELD_NAMES = {
    "title": mark("Title"),
    "text": mark("Description"),
    "tags": mark("Tags"),
    "medium": mark("Medium"),
    "dimensions": mark("Dimensions"),
    "year": mark("Year"),
    "edition": mark("Edition"),
    "availability": mark("Availability"),
    "price": mark("Price"),
    "currency": mark("Currency"),
    "price_shown": mark("Who sees the price"),
    "state": mark("State"),
    "creator": mark("Artist"),
    "copyright_notice": mark("Copyright notice"),
    "license_url": mark("Address of the licence"),
    "alt": mark("Alt text"),
    "role": mark("Role"),
    "playback": mark("Playback"),
}
# The values of fields that are selected from a list, with their labels.
ROLES = {
    "": mark("No role"),
    "front": mark("Front"),
    "back": mark("Back"),
    "detail": mark("Detail"),
    "signature": mark("Signature"),
    "place": mark("In place"),
}
LOOP = "loop"
PLAYBACKS = {
    "": mark("Play when visitors start it"),
    LOOP: mark("Play in a loop, without sound"),
}
AVAILABILITIES = {
    "": mark("Not specified"),
    "available": mark("Available"),
    "reserved": mark("Reserved"),
    "sold": mark("Sold"),
    "not_for_sale": mark("Not for sale"),
}
STATES = {"published": mark("Published"), "draft": mark("Draft")}
_CHOICES = {
    "availability": AVAILABILITIES,
    "currency": prices.CURRENCY_NAMES,
    "price_shown": prices.SHOWN,
    "state": STATES,
    "role": ROLES,
    "playback": PLAYBACKS,
}
_MAX_CHARS = {"text": 20_000, "year": 40, "alt": 1000}
_MOST_CHARS = 300
# Columns of the group, and its tags.
_TEXTS = (
    "title", "text", "medium", "dimensions", "year", "edition", "availability",
    *prices.FIELDS, "state", *credits.FIELDS,
)  # fmt: skip
GROUP_FIELDS = (*_TEXTS, "tags")
# The last one only of videos.
IMAGE_FIELDS = ("alt", "role", "playback")


class EditConflictError(ConflictError):
    """Someone else has changed the same fields.

    :param version: the group's version now.
    :param current: field → its value now.
    :param yours: field → the value that was not saved.
    """

    def __init__(self, version: int, current: Mapping[str, str], yours: Mapping[str, str]) -> None:
        super().__init__("Someone else changed this while you were editing.")
        self.version = version
        self.current = dict(current)
        self.yours = dict(yours)


@dataclass(frozen=True)
class Edit:
    """A change of some fields.

    :param version: the group's version that its author saw.
    :param changes: field → new value.
    :param base: field → the value that its author saw. A changed field that is missing here
        conflicts with any other edit since ``version``.
    """

    version: int
    changes: Mapping[str, str]
    base: Mapping[str, str]


@dataclass(frozen=True)
class ShotField:
    """A changed field of one shot: its new value, and the value that its author saw."""

    number: int
    name: str
    value: str
    base: str


class ShotFieldsError(ConflictError):
    """Fields of shots that cannot be saved, each with its error."""

    def __init__(self, errors: Sequence[tuple[ShotField, ImageHubError]]) -> None:
        super().__init__("Not saved. Your changes are still in the form.")
        self.errors = errors


def read_fields(session: Session, group: Group) -> dict[str, str]:
    """Read the editable fields of a group as texts; tags are separated by commas."""
    return read_many_fields(session, [group])[group]


def read_many_fields(session: Session, groups: Sequence[Group]) -> dict[Group, dict[str, str]]:
    """Read the editable fields of some hundred groups with one statement."""
    tags = list_names_of_groups(session, [group.id for group in groups])
    return {
        group: {
            **{name: str(getattr(group, name)) for name in _TEXTS},
            "tags": ", ".join(tags[group.id]),
        }
        for group in groups
    }


def split_tags(text: str) -> list[str]:
    """Split a text at commas, semicolons and line breaks into the names of tags."""
    parts = text.replace(";", ",").replace("\n", ",").split(",")
    return [part.strip() for part in parts if part.strip()]


def save_group(session: Session, number: int, edit: Edit) -> Group:
    """Change fields of a group.

    :return: the group, with a new version if anything changed.
    :raise NotFoundError: there is no such group.
    :raise InvalidInputError: a field does not exist, or its value is not accepted.
    :raise EditConflictError: someone else changed one of the fields.
    """
    group = get_locked_group(session, number)
    save_groups(session, {group: edit})
    return group


def save_groups(session: Session, edits: Mapping[Group, Edit]) -> None:
    """Change fields of groups that are locked, as :func:`save_group`: few statements for many."""
    for groups in make_batches(edits, GROUPS_AT_ONCE):
        current = read_many_fields(session, groups)
        merged = {group: _merge(edits[group], group.version, current[group]) for group in groups}
        _write_fields(session, {group: fresh for group, fresh in merged.items() if fresh})


def _write_fields(session: Session, changes: Mapping[Group, Mapping[str, str]]) -> None:
    """Write fields of groups: group → field → value, as it is stored."""
    for group, fresh in changes.items():
        for name, value in fresh.items():
            if name != "tags":
                setattr(group, name, value)
        group.version += 1
    write_changes(session, changes, "version")
    of_credits = set(credits.FIELDS)
    credited = [group.id for group, fresh in changes.items() if fresh.keys() & of_credits]
    if credited:
        # They may be written in its renditions.
        these = update(Image).where(Image.group_id.in_(credited))
        count_rows(session, these.values(is_unfinished=True))
    tags = {
        group.id: split_tags(fresh["tags"]) for group, fresh in changes.items() if "tags" in fresh
    }
    if tags:
        write_tags(session, tags)
    moved = [group.id for group, fresh in changes.items() if "state" in fresh]
    if moved:
        refresh_groups(session, moved)
    others = [group.id for group, fresh in changes.items() if "state" not in fresh]
    if others:
        refresh_search(session, others)
        refresh_facets(session, others)


def save_image(session: Session, group_number: int, number: int, edit: Edit) -> tuple[Group, Image]:
    """Change the alt text, the role or the playback of a shot. Raises as :func:`save_group`."""
    group = get_locked_group(session, group_number)
    image = get_image(session, group.id, number)
    fresh = _merge(edit, group.version, read_shot(image))
    for name, value in fresh.items():
        if name == "playback":
            image.is_loop = value == LOOP
        else:
            setattr(image, name, value)
    if fresh:
        group.version += 1
        refresh_search(session, [group.id])
    return group, image


def read_shot(image: Image) -> dict[str, str]:
    """Return the values of the fields of a shot."""
    fields = {"alt": image.alt, "role": image.role}
    if image.is_video:
        fields["playback"] = LOOP if image.is_loop else ""
    return fields


def save_shots(session: Session, group_number: int, fields: Sequence[ShotField]) -> Group:
    """Change alt texts and roles of several shots of a group.

    :raise NotFoundError: there is no such group.
    :raise ShotFieldsError: some fields cannot be saved; the caller rolls back all of them.
    """
    group = get_locked_group(session, group_number)
    errors: list[tuple[ShotField, ImageHubError]] = []
    for field in fields:
        edit = Edit(0, {field.name: field.value}, {field.name: field.base})
        try:
            save_image(session, group_number, field.number, edit)
        except (EditConflictError, InvalidInputError, NotFoundError) as error:
            errors.append((field, error))
    if errors:
        raise ShotFieldsError(errors)
    return group


def _merge(edit: Edit, version: int, current: Mapping[str, str]) -> dict[str, str]:
    """Return the fields that an edit changes, as they are stored. Raises as :func:`save_group`.

    :param current: the values of all fields that can be edited.
    """
    unknown = edit.changes.keys() - current.keys()
    if unknown:
        raise InvalidInputError("There is no such field.", dict.fromkeys(unknown, "unknown"))
    changes = {name: tidy_field(name, value) for name, value in edit.changes.items()}
    fresh = {name: value for name, value in changes.items() if current[name] != value}
    # The value is compared where it is known: other fields change the version, too.
    lost = [
        name
        for name in fresh
        if (edit.base[name] != current[name] if name in edit.base else edit.version != version)
    ]
    if lost:
        raise EditConflictError(
            version, {name: current[name] for name in lost}, {name: fresh[name] for name in lost}
        )
    return fresh


def _drop_controls(value: str) -> str:
    """Remove control characters and lone surrogates."""
    return "".join(c for c in value if c in "\n\t" or unicodedata.category(c) not in ("Cc", "Cs"))


def tidy_field(name: str, value: str) -> str:
    """Return a field's value as it is stored.

    :raise InvalidInputError: the value is too long, or not in the list.
    """
    if name in _CHOICES:
        if value not in _CHOICES[name]:
            fault = mark("This value cannot be selected.")
            if name == "role":
                fault = mark("There is no such role.")
            raise InvalidInputError(fault, {name: "unknown"})
        return value
    if name == "price":
        return prices.tidy_amount(value)
    if name == "tags":
        # Line breaks separate tags, so the text is split first.
        return ", ".join(_drop_controls(" ".join(tag.split())) for tag in split_tags(value))
    # Line breaks and tabs become spaces before other control characters are removed.
    value = value.replace("\r\n", "\n") if name == "text" else " ".join(value.split())
    value = _drop_controls(value).strip()
    limit = _MAX_CHARS.get(name, _MOST_CHARS)
    if len(value) > limit:
        sentence = PluralMessage(
            "This is longer than %(num)s character.",
            "This is longer than %(num)s characters.",
            num=limit,
        )
        raise InvalidInputError(sentence, {name: "too long"})
    if name == "license_url":
        return credits.tidy_license_url(value)
    return tidy_year(value) if name == "year" else value
