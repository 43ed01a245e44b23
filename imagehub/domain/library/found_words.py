"""What originals say about their pictures, as proposals that a person accepts or discards.

Nothing that a person wrote is overwritten: a proposal is made for an empty field, for a title that
was made of a file's name, and for tags that the work lacks.
"""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from imagehub.database import count_rows, make_batches
from imagehub.domain.file_names import make_file_title, make_group_title, make_work_title
from imagehub.domain.library.edit import FIELD_NAMES, Edit, read_fields, save_group, save_image
from imagehub.domain.library.groups import get_locked_group
from imagehub.domain.library.tags import MAX_NAME_CHARS, MAX_TAGS_PER_GROUP, list_group_tags
from imagehub.errors import InvalidInputError
from imagehub.imaging.words import FoundWords as Words
from imagehub.imaging.words import parse_words, write_words
from imagehub.markdown import escape
from imagehub.models import FoundWords, Group, HubSetting, Image
from imagehub.translator import LANGUAGES

NOT_LOOKED, NOTHING, OPEN, SEEN = "", "none", "open", "seen"
# Field of a group → what files call it.
SOURCES: Mapping[str, str] = {
    "title": "title",
    "text": "caption",
    "tags": "keywords",
    "creator": "creator",
    "copyright_notice": "copyright_notice",
    "license_url": "license_url",
}
ALT = "alt"
# What applies where a field of a group is empty, such as the artist.
Hub = Mapping[str, str]
_HUB_NAMES = ("language", "creator", "copyright_notice", "license_url")


@dataclass(frozen=True)
class Proposal:
    """A value that files propose for a field.

    :ivar name: the field of the group, or ``alt-3`` for the alt text of shot 3.
    :ivar field: the field without the number of a shot.
    :ivar value: as it would be saved; tags are separated by commas.
    :ivar shot: number of the shot; 0 if it is about the work.
    :ivar others: how many other values the files of the work propose.
    """

    name: str
    value: str
    shot: int = 0
    others: int = 0

    @property
    def field(self) -> str:
        return ALT if self.shot else self.name

    @property
    def label(self) -> str:
        return FIELD_NAMES[self.field]


@dataclass(frozen=True)
class Present:
    """What is there already: values of the fields of a work, and what is decided.

    :ivar made_titles: titles that were made of the names of files and folders.
    :ivar hub: values that apply where a field is empty.
    """

    fields: Mapping[str, str]
    tags: Collection[str]
    made_titles: Collection[str]
    hub: Hub
    decided: Collection[str] = ()


def propose(present: Present, found: Sequence[Words]) -> list[Proposal]:
    """Propose values for the fields of a work.

    :param found: of its files, in their order: the first one that says something counts; their
        keywords are joined.
    """
    proposals = []
    for name, source in SOURCES.items():
        if name in present.decided:
            continue
        if name == "tags":
            value, others = _propose_tags(present, found), 0
        else:
            values = dict.fromkeys(_tidy(name, getattr(words, source)) for words in found)
            values.pop("", None)
            value, others = next(iter(values), ""), len(values) - 1
            if not _may_set(present, name, value):
                value = ""
        if value:
            proposals.append(Proposal(name, value, others=others))
    return proposals


def _tidy(name: str, value: str) -> str:
    return escape(value) if name == "text" else value


def _may_set(present: Present, name: str, value: str) -> bool:
    now = present.fields.get(name, "").strip()
    if name == "title":
        # A program may have written the file's name as the title.
        return (
            value != now
            and value not in present.made_titles
            and (not now or now in present.made_titles)
        )
    return not now and value != present.hub.get(name, "")


def _propose_tags(present: Present, found: Sequence[Words]) -> str:
    known = {tag.casefold() for tag in present.tags}
    words = dict.fromkeys(
        word.replace(",", " ").replace(";", " ")[:MAX_NAME_CHARS].strip()
        for one in found
        for word in one.keywords
    )
    fresh: dict[str, str] = {}
    for word in words:
        if word and word.casefold() not in known:
            fresh.setdefault(word.casefold(), word)
    room = max(0, MAX_TAGS_PER_GROUP - len(present.tags))
    return ", ".join(list(fresh.values())[:room])


def make_titles(file_name: str, folder_name: str) -> set[str]:
    """Return the titles that an import may have made of these names; "" is not one of them."""
    titles = {
        make_work_title(file_name),
        make_file_title(file_name),
        make_group_title(folder_name, file_name),
        folder_name,
        file_name,
        file_name.rpartition(".")[0],
    }
    return titles - {""}


# --- Works ----------------------------------------------------------------------------------------


def read_hub(session: Session) -> Hub:
    """Read the settings of the admin pages that proposals depend on, for workers."""
    rows = session.execute(
        select(HubSetting.name, HubSetting.value).where(HubSetting.name.in_(_HUB_NAMES))
    )
    return {name: str(json.loads(value)) for name, value in rows}


def pick_language(hub: Hub) -> str:
    """Return the language of the hub, if one is fixed; texts of files may have several."""
    return language if (language := hub.get("language", "")) in LANGUAGES else ""


def save_words(session: Session, hub: Hub, image: Image, words: Words) -> None:
    """Save what an image's original says. Flushed, not committed.

    What is known already and decided about stays so.
    """
    row = session.get(FoundWords, image.id)
    known = parse_words(row.words) if row is not None else Words()
    if image.words_state in (OPEN, SEEN) and replace(known, alt="") == replace(words, alt=""):
        return
    image.words_state = OPEN if words else NOTHING
    if words:
        session.merge(FoundWords(image_id=image.id, words=write_words(words)))
    elif row is not None:
        session.delete(row)
    session.flush()
    group = session.get(Group, image.group_id)
    if words and group is not None and not list_proposals(session, hub, group):
        image.words_state = SEEN
        session.flush()


def list_proposals(session: Session, hub: Hub, group: Group) -> list[Proposal]:
    """List what the files of a work propose, in the order of the fields and shots.

    :param hub: see :class:`Present`.
    """
    rows = session.execute(
        select(Image.number, Image.name, Image.folder_name, Image.alt, FoundWords.words)
        .join(FoundWords, FoundWords.image_id == Image.id)
        .where(Image.group_id == group.id, Image.words_state == OPEN)
        .order_by(Image.position, Image.number)
    ).all()
    if not rows:
        return []
    found = [parse_words(row.words) for row in rows]
    titles: set[str] = {group.folder_name} - {""}
    for row in rows:
        titles |= make_titles(row.name, row.folder_name)
    present = Present(
        fields={name: str(getattr(group, name)) for name in SOURCES if name != "tags"},
        tags=[tag.name for tag in list_group_tags(session, group.id)],
        made_titles=titles,
        hub=hub,
        decided=group.words_decided.split(),
    )
    alts = [
        Proposal(f"{ALT}-{row.number}", words.alt, shot=row.number)
        for row, words in zip(rows, found, strict=True)
        if words.alt and not row.alt.strip()
    ]
    return [*propose(present, found), *alts]


def accept(
    session: Session, hub: Hub, number: int, names: Collection[str] | None = None
) -> list[str]:
    """Save what the files of a work propose. Flushed, not committed.

    :param names: of proposals; None for all.
    :return: names of the fields that were changed.
    :raise NotFoundError: there is no such group.
    :raise InvalidInputError: a value is not accepted.
    """
    group = get_locked_group(session, number)
    wanted = _select(list_proposals(session, hub, group), names)
    current = read_fields(session, group)
    changes = {one.name: one.value for one in wanted if not one.shot}
    if "tags" in changes and current["tags"]:
        changes["tags"] = f"{current['tags']}, {changes['tags']}"
    if changes:
        save_group(session, number, Edit(group.version, changes, current))
    for one in wanted:
        if one.shot:
            save_image(session, number, one.shot, Edit(group.version, {ALT: one.value}, {ALT: ""}))
    _note_decided(session, hub, group, wanted)
    return list(dict.fromkeys(one.field for one in wanted))


def discard(
    session: Session, hub: Hub, number: int, names: Collection[str] | None = None
) -> list[str]:
    """Propose these values no more. Flushed, not committed. As :func:`accept`."""
    group = get_locked_group(session, number)
    wanted = _select(list_proposals(session, hub, group), names)
    shots = [one.shot for one in wanted if one.shot]
    if shots:
        rows = session.scalars(
            select(FoundWords)
            .join(Image, Image.id == FoundWords.image_id)
            .where(Image.group_id == group.id, Image.number.in_(shots))
        )
        for row in rows:
            row.words = write_words(replace(parse_words(row.words), alt=""))
    _note_decided(session, hub, group, wanted)
    return list(dict.fromkeys(one.field for one in wanted))


def _select(proposals: Iterable[Proposal], names: Collection[str] | None) -> list[Proposal]:
    wanted = [one for one in proposals if names is None or one.name in names]
    if names and not wanted:
        raise InvalidInputError("This is no longer proposed.", dict.fromkeys(names, "unknown"))
    return wanted


def _note_decided(session: Session, hub: Hub, group: Group, decided: Sequence[Proposal]) -> None:
    """Note what was decided; if nothing is left, the shots leave the list of the library."""
    note_decided(group, [one.name for one in decided if not one.shot])
    session.flush()
    if not list_proposals(session, hub, group):
        opened = update(Image).where(Image.group_id == group.id, Image.words_state == OPEN)
        count_rows(session, opened.values(words_state=SEEN))


def note_decided(group: Group, names: Iterable[str]) -> None:
    """Note the fields of a group for which nothing is to be proposed any more."""
    group.words_decided = " ".join(dict.fromkeys([*group.words_decided.split(), *names]))


def decide_many(session: Session, hub: Hub, numbers: Sequence[int], *, is_accepted: bool) -> int:
    """Accept or discard all that the files of works propose; return how many works had some.

    :raise NotFoundError: one of the groups does not exist.
    """
    count = 0
    for batch in make_batches(sorted(set(numbers))):
        having = select(Image.group_id).where(Image.group_id.in_(batch), Image.words_state == OPEN)
        for number in sorted(set(session.scalars(having))):
            act = accept if is_accepted else discard
            count += bool(act(session, hub, number))
    return count
