"""Translate sentences and format numbers and dates, for pages and for messages that are sent."""

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from babel import Locale
from babel.dates import format_date, format_skeleton, format_timedelta
from babel.numbers import format_currency, format_decimal
from babel.support import NullTranslations, Translations

from imagehub.messages import Message, PluralMessage, Stored, mark

# Each in its own language, for the switch.
LANGUAGES = {"en": "English", "de": "Deutsch"}
_FOLDER = Path(__file__).resolve().parent / "translations"
_PLACEHOLDER = re.compile(r"%\((\w+)\)s")
_LEAST_LITERAL_CHARS = 15
# Where a day is an ordinal number.
_DAYS = {"de": "d."}


@lru_cache(maxsize=len(LANGUAGES))
def get_translator(language: str) -> "Translator":
    """Return the translator to a language; one that the pages lack is English."""
    return Translator(language if language in LANGUAGES else "en")


class Translator:
    """Sentences, numbers and dates in one language; English is British."""

    def __init__(self, language: str) -> None:
        self.locale = Locale.parse({"en": "en_GB"}.get(language, language))
        self._catalog: NullTranslations = Translations.load(str(_FOLDER), [language])

    def translate(self, text: str) -> str:
        """Translate a :class:`Message` or a constant sentence.

        A stored message is recognised by its text. Sentences without a translation stay in English.
        """
        if isinstance(text, PluralMessage):
            values = self._translate_values(text.values)
            del values["num"]
            return self.translate_count(text.template, text.plural, text.values["num"], **values)
        if isinstance(text, Message):
            return self._get(text.template) % self._translate_values(text.values)
        if not text:
            return ""
        found = self._get(text)
        return self._translate_filled(str(text)) if found == text else found

    def translate_count(self, one: str, many: str, num: int, **values: object) -> str:
        """Translate a sentence with a count; ``%(num)s`` is the formatted number."""
        sentence: str = self._catalog.ngettext(one, many, num)
        return sentence % {"num": self.format_number(num), **values}

    def format_number(self, number: float) -> str:
        """Format a number: ``12,000`` or ``12.000``."""
        return format_decimal(number, locale=self.locale)

    def format_price(self, amount: Decimal, currency: str) -> str:
        """Format a price: ``€1,250`` or ``1.250 €``; cents only if there are."""
        pattern = self.locale.currency_formats["standard"].pattern
        if amount == int(amount):
            pattern = pattern.replace(".00", "")
        return format_currency(amount, currency, pattern, locale=self.locale, currency_digits=False)

    def format_days(self, first: date | None, last: date | None) -> str:
        """Format a time of days: ``12 March – 4 June 2026`` or ``From 12 March 2026``."""
        if first and last:
            return self._join_days(first, last)
        if first:
            return self.translate(Message(mark("From %(day)s"), day=first))
        return self.translate(Message(mark("Until %(day)s"), day=last)) if last else ""

    def _join_days(self, first: date, last: date) -> str:
        end = format_date(last, "long", locale=self.locale)
        if first == last:
            return end
        if first.year != last.year:
            return f"{format_date(first, 'long', locale=self.locale)} – {end}"
        if first.month != last.month:
            return f"{format_skeleton('MMMMd', first, locale=self.locale)} – {end}"
        day = format_date(first, _DAYS.get(self.locale.language, "d"), locale=self.locale)
        return f"{day}–{end}"

    def _get(self, text: str) -> str:
        return str(self._catalog.gettext(text))

    def _translate_values(self, values: Mapping[str, Any]) -> dict[str, Any]:
        return {name: self._translate_value(value) for name, value in values.items()}

    def _translate_value(self, value: Any) -> Any:
        """Translate a value that is a message too, and format a date or a time ago."""
        if isinstance(value, (Message, Stored)):
            return self.translate(value)
        if isinstance(value, datetime):
            distance = value - datetime.now(UTC)
            return format_timedelta(distance, add_direction=True, locale=self.locale)
        return format_date(value, "long", locale=self.locale) if isinstance(value, date) else value

    @lru_cache(maxsize=1000)  # noqa: B019 - there is one for each language, for ever
    def _translate_filled(self, text: str) -> str:
        """Translate a message stored with its values filled in, such as a failed item's."""
        for pattern, translated in self._templates:
            match = pattern.fullmatch(text)
            if match:
                return translated % match.groupdict()
        return text

    @cached_property
    def _templates(self) -> list[tuple[re.Pattern[str], str]]:
        """List translations with values, and patterns of their English; longest first."""
        found = []
        catalog = getattr(self._catalog, "_catalog", {})
        for template, translated in catalog.items():
            # A form of a plural has a tuple as its key.
            if not isinstance(template, str) or "%(" not in template:
                continue
            first, *rest = _PLACEHOLDER.split(template.replace("%%", "%"))
            names, literals = rest[::2], rest[1::2]
            literal_count = len(first + "".join(literals))
            # Templates with little text besides values would match too much.
            if literal_count >= _LEAST_LITERAL_CHARS and len(set(names)) == len(names):
                pattern = re.escape(first)
                for name, literal in zip(names, literals, strict=True):
                    pattern += f"(?P<{name}>.+)" + re.escape(literal)
                found.append((literal_count, re.compile(pattern), translated))
        found.sort(key=lambda one: -one[0])
        return [(pattern, translated) for _, pattern, translated in found]
