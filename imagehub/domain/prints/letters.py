"""Find the characters of print files that no font has, which are printed as empty boxes."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from sqlalchemy.orm import Session

from imagehub.config import Settings
from imagehub.database import now_utc
from imagehub.domain.prints.content import PrintContent, load_content
from imagehub.domain.prints.files import MAX_WORKS, PrintOptions, make_row
from imagehub.printing.typeset import TIMEOUT_SECONDS, find_missing

# A person waits for the form.
_WAIT_SECONDS = 8.0
# Some are enough to know the script.
_MAX_SHOWN = 12


class Unprintable(NamedTuple):
    """Characters of a work that no font has; ``group_id`` is 0 for the file's own texts."""

    group_id: int
    title: str
    characters: str


def list_unprintable(
    content: PrintContent, timeout_seconds: float = TIMEOUT_SECONDS
) -> list[Unprintable]:
    """List the works with characters that no font has, and these characters.

    :raise ServiceBusyError: it could not be determined right now.
    """
    texts = [(0, str(content.data["title"]), "".join(_iter_texts(content.data)))]
    texts += [(one.group_id, one.title, "".join(_iter_texts(one.data))) for one in content.works]
    missing = find_missing(set("".join(text for _, _, text in texts)), timeout_seconds)
    found = []
    for number, title, text in texts:
        if characters := sorted(set(text) & missing):
            shown = " ".join(characters[:_MAX_SHOWN]) + " …" * (len(characters) > _MAX_SHOWN)
            found.append(Unprintable(number, title, shown))
    return found


def check_before(
    session: Session,
    settings: Settings,
    title: str,
    numbers: Sequence[int],
    language: str,
    series_id: int | None = None,
) -> list[Unprintable]:
    """List what :func:`list_unprintable` would of a catalogue with descriptions.

    :raise ServiceBusyError: it could not be determined right now.
    """
    options = PrintOptions(language=language, texts=True)
    row = make_row("catalogue", title, numbers[:MAX_WORKS], options, series_id, now_utc())
    return list_unprintable(load_content(session, settings, row), _WAIT_SECONDS)


def _iter_texts(data: Any) -> Iterator[str]:
    if isinstance(data, str):
        yield data
    elif isinstance(data, dict):
        for one in data.values():
            yield from _iter_texts(one)
    elif isinstance(data, list):
        for one in data:
            yield from _iter_texts(one)
