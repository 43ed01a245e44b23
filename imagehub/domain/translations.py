"""Read and write the texts of groups, images, series and pages in the languages of the hub.

Their columns hold the main language. Each text in another language is a row of one table; where
it is missing, the main language is shown.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import Select, delete, literal, select, union_all
from sqlalchemy.orm import Session
from sqlalchemy.orm.attributes import instance_state, set_committed_value

from imagehub.database import make_batches
from imagehub.models import Group, Image, Page, Series, Translation

Owner = Group | Image | Series | Page
# The name of a table, and an id in it.
Key = tuple[str, int]
AnyOwner = TypeVar("AnyOwner", bound=Owner)

# The columns that can be translated, in the order of forms.
FIELDS: Mapping[str, Sequence[str]] = {
    Group.__tablename__: ("title", "text", "medium", "dimensions", "edition"),
    Image.__tablename__: ("alt",),
    Series.__tablename__: ("title", "dates", "place", "text"),
    Page.__tablename__: ("title", "text"),
}
# What walls and menus show; texts are long.
SHORT_FIELDS = ("title", "alt", "dates", "place")
COLUMNS = {
    Group.__tablename__: Translation.group_id,
    Image.__tablename__: Translation.image_id,
    Series.__tablename__: Translation.series_id,
    Page.__tablename__: Translation.page_id,
}
_MAIN = "main_texts"


class Found(NamedTuple):
    """One text in another language."""

    kind: str
    owner_id: int
    language: str
    field: str
    text: str

    @property
    def key(self) -> Key:
        return self.kind, self.owner_id


# --- For visitors ---------------------------------------------------------------------------------


def use_language(
    session: Session, language: str, owners: Iterable[Owner | None], *, is_short: bool = False
) -> None:
    """Replace texts of loaded objects by their translations, where these exist.

    Takes one statement, whatever the objects are. The session does not write these texts to the
    database, and :func:`get_main_text` still returns the ones in the main language.

    :param language: "" for the main language: nothing is read.
    :param is_short: only titles, alt texts, dates and places, for walls.
    """
    if not language:
        return
    loaded = {_make_key(owner): owner for owner in owners if owner is not None}
    for found in _find(session, loaded, [language], SHORT_FIELDS if is_short else ()):
        owner = loaded[found.key]
        state = instance_state(owner)
        if found.field not in state.unloaded:
            mains: dict[str, str] = state.info.setdefault(_MAIN, {})
            mains.setdefault(found.field, getattr(owner, found.field))
            set_committed_value(owner, found.field, found.text)


def get_main_text(owner: Owner, field: str) -> str:
    """Return a text in the main language, even after :func:`use_language`."""
    mains: Mapping[str, str] = instance_state(owner).info.get(_MAIN, {})
    return mains[field] if field in mains else str(getattr(owner, field))


def is_translated(owner: Owner, field: str) -> bool:
    """Tell whether :func:`use_language` has replaced this text."""
    return field in instance_state(owner).info.get(_MAIN, {})


# --- In all languages -----------------------------------------------------------------------------


def list_texts(
    session: Session, languages: Sequence[str], owners: Sequence[AnyOwner]
) -> dict[AnyOwner, dict[str, dict[str, str]]]:
    """List the texts of objects in all languages: object → field → language → text.

    Empty texts are left out; a field without texts is an empty dictionary. Takes one statement for
    500 objects, and none if there is no other language.

    :param languages: of the hub, the main one first; without any, the key of the main one is "".
    """
    main, *others = languages or ("",)
    texts: dict[AnyOwner, dict[str, dict[str, str]]] = {}
    for owner in owners:
        texts[owner] = {}
        for field in FIELDS[owner.__tablename__]:
            text = get_main_text(owner, field)
            texts[owner][field] = {main: text} if text.strip() else {}
    by_key = {_make_key(owner): owner for owner in owners}
    order = {language: position for position, language in enumerate(others)}
    found = _find(session, by_key, others) if others else []
    for one in sorted(found, key=lambda one: order[one.language]):
        texts[by_key[one.key]][one.field][one.language] = one.text
    return texts


def list_words(session: Session, kind: str, ids: Sequence[int]) -> dict[int, list[Found]]:
    """List the texts of objects in all other languages, for search: number → texts.

    :param kind: the name of their table.
    """
    words: dict[int, list[Found]] = defaultdict(list)
    for found in _find(session, [(kind, owner_id) for owner_id in ids]):
        words[found.owner_id].append(found)
    return words


def list_group_words(session: Session, group_ids: Sequence[int]) -> dict[int, list[Found]]:
    """List the texts of groups and of their images in all other languages: group → texts.

    The order is always the same.
    """
    columns = Translation.language, Translation.field, Translation.text
    of_groups = select(literal(Group.__tablename__), Translation.group_id, *columns).where(
        Translation.group_id.in_(group_ids)
    )
    of_images = (
        select(literal(Image.__tablename__), Image.group_id, *columns)
        .join(Image, Image.id == Translation.image_id)
        .where(Image.group_id.in_(group_ids))
    )
    words: dict[int, list[Found]] = defaultdict(list)
    for found in sorted(map(Found._make, session.execute(union_all(of_groups, of_images)))):
        words[found.owner_id].append(found)
    return words


def _find(
    session: Session,
    keys: Iterable[Key],
    languages: Sequence[str] | None = None,
    fields: Sequence[str] = (),
) -> list[Found]:
    """Read the texts of objects, some hundred objects with one statement."""
    found = []
    for batch in make_batches(keys):
        ids: dict[str, list[int]] = defaultdict(list)
        for kind, owner_id in batch:
            ids[kind].append(owner_id)
        # A range of an index for each kind; OR between them could read the whole table.
        parts = [_select(kind, some, languages, fields) for kind, some in ids.items()]
        found += [Found._make(row) for row in session.execute(union_all(*parts))]
    return found


def _make_key(owner: Owner) -> Key:
    return owner.__tablename__, owner.id


def _select(
    kind: str, ids: Sequence[int], languages: Sequence[str] | None, fields: Sequence[str]
) -> Select[Any, Any, Any, Any, Any]:
    column = COLUMNS[kind]
    texts = select(
        literal(kind), column, Translation.language, Translation.field, Translation.text
    ).where(column.in_(ids))
    if languages is not None:
        texts = texts.where(Translation.language.in_(languages))
    return texts.where(Translation.field.in_(fields)) if fields else texts


def is_valid(values: Mapping[str, Any]) -> bool:
    """Tell whether a row names one object, and a field that it has."""
    fields = [FIELDS[kind] for kind, column in COLUMNS.items() if values[column.key] is not None]
    return len(fields) == 1 and values["field"] in fields[0] and bool(values["text"])


# --- Saving ---------------------------------------------------------------------------------------


def read_translations(
    session: Session, owners: Sequence[AnyOwner], language: str
) -> dict[AnyOwner, dict[str, str]]:
    """Read the texts of objects in another language: object → field → text, "" if missing."""
    texts = {owner: dict.fromkeys(FIELDS[owner.__tablename__], "") for owner in owners}
    by_key = {_make_key(owner): owner for owner in owners}
    for found in _find(session, by_key, [language]):
        texts[by_key[found.key]][found.field] = found.text
    return texts


def write_translation(
    session: Session, owner: Owner, language: str, texts: Mapping[str, str]
) -> None:
    """Write some texts of an object in another language; "" deletes one. The caller locks it."""
    column = COLUMNS[owner.__tablename__]
    if texts:
        session.execute(
            delete(Translation).where(
                column == owner.id,
                Translation.language == language,
                Translation.field.in_(list(texts)),
            )
        )
    session.add_all(
        Translation(**{column.key: owner.id}, language=language, field=field, text=text)
        for field, text in texts.items()
        if text
    )
    session.flush()


def copy_translations(
    session: Session, source: AnyOwner, target: AnyOwner, fields: Sequence[str]
) -> None:
    """Copy translations of some fields to another object; those that it has stay."""
    column = COLUMNS[source.__tablename__]
    own = {(one.language, one.field) for one in _find(session, [_make_key(target)])}
    session.add_all(
        Translation(
            **{column.key: target.id}, language=found.language, field=found.field, text=found.text
        )
        for found in _find(session, [_make_key(source)], fields=fields)
        if found.field in fields and (found.language, found.field) not in own
    )
    session.flush()
