"""Edit many groups at once: those of a list of numbers, or all of a list of the library."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy.orm import Session

from imagehub.domain.library import listing
from imagehub.domain.library.edit import Edit, read_fields, save_group, split_tags, tidy_field
from imagehub.domain.library.groups import get_locked_group
from imagehub.errors import InvalidInputError
from imagehub.messages import PluralMessage

MAX_GROUPS = 5000
FIELDS = ("medium", "dimensions", "year", "edition", "availability")
# The number of groups that one request looks at, so that none takes long.
_STEP = 200


@dataclass(frozen=True)
class BulkEdit:
    """A change of many groups: fields with their new values, and tags."""

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
    edit = BulkEdit(changes, split_tags(add_tags), split_tags(remove_tags))
    if not (changes or add_tags.strip() or remove_tags.strip()):
        raise InvalidInputError("Fill in at least one field.")
    return edit


def check_group_count(numbers: Sequence[int]) -> None:
    """Check that these are not too many groups for one request.

    :raise InvalidInputError: they are too many.
    """
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
    check_group_count(numbers)
    changes = {name: tidy_field(name, value) for name, value in edit.changes.items()}
    removed = {name.casefold() for name in edit.remove_tags}
    count = 0
    for number in sorted(set(numbers)):
        group = get_locked_group(session, number)
        current = read_fields(session, group)
        wanted = dict(changes)
        if edit.add_tags or removed:
            tags = [*split_tags(current["tags"]), *edit.add_tags]
            kept = {tag.casefold(): tag for tag in reversed(tags) if tag.casefold() not in removed}
            wanted["tags"] = ", ".join(reversed(kept.values()))
        wanted = {name: value for name, value in wanted.items() if current[name] != value}
        if wanted:
            save_group(session, number, Edit(group.version, wanted, {}))
            count += 1
    return count


def edit_next(
    session: Session, filter_name: str, words: str, edit: BulkEdit, progress: Progress
) -> tuple[list[int], Progress]:
    """Edit the next few hundred groups of a list of the library.

    :param filter_name: as in :func:`listing.list_groups`, as are ``words``.
    :return: the numbers of the groups that were looked at, and the progress after that.
    """
    numbers, after = listing.list_numbers(session, filter_name, words, progress.after, _STEP)
    changed = edit_groups(session, numbers, edit)
    return numbers, Progress(
        after, progress.total, progress.seen + len(numbers), progress.changed + changed
    )
