"""Sentences for people that are translated where they are shown.

The domain and the clients know no request and no language. They write sentences in English; the
pages show them in the reader's language through ``web.i18n.translate``.
"""

from collections.abc import Mapping
from typing import Any, Self


class Message(str):
    """An English sentence that remembers its template and values, so that it can be translated.

    ``Message("“%(name)s” is taken.", name="Boats")`` is the string ``“Boats” is taken.``
    """

    template: str
    values: Mapping[str, Any]

    def __new__(cls, template: str, **values: Any) -> Self:
        made = super().__new__(cls, template % values)
        made.template, made.values = template, values
        return made

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), (self.template,), dict(self.values))


class PluralMessage(Message):
    """A sentence that depends on a count.

    ``PluralMessage("%(num)s file", "%(num)s files", num=3)`` is the string ``3 files``.
    """

    plural: str

    def __new__(cls, one: str, many: str, *, num: int, **values: Any) -> Self:
        made = str.__new__(cls, (one if num == 1 else many) % {"num": f"{num:,}", **values})
        made.template, made.plural = one, many
        made.values = {"num": num, **values}
        return made

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), (self.template, self.plural), dict(self.values))


class Stored(str):
    """A sentence that was stored, as a value of a message: it is translated too."""


def _rebuild(kind: type[Message], templates: tuple[str, ...], values: dict[str, Any]) -> Message:
    return kind(*templates, **values)


def mark(text: str) -> str:
    """Mark a constant sentence for translation; it is translated where it is shown."""
    return text


def mark_plural(one: str, many: str) -> tuple[str, str]:
    """Mark the two forms of a sentence with a count for translation, as :func:`mark`."""
    return one, many
