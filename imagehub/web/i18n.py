"""Choose the language of pages: English or German, by account, setting, switch or browser.

After changing texts run ``python -m tools.translations``, which collects and compiles them.
"""

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from babel import Locale
from babel.numbers import format_decimal
from flask import Flask, current_app, g, has_request_context, request
from flask_babel import Babel, force_locale, get_domain, get_locale, refresh
from jinja2 import pass_context
from jinja2.runtime import Context
from werkzeug.datastructures import LanguageAccept
from werkzeug.http import parse_accept_header

from imagehub.messages import Message, PluralMessage
from imagehub.web.cookies import read_cookie
from imagehub.wiring import get_settings

# Each in its own language, for the switch.
LANGUAGES = {"en": "English", "de": "Deutsch"}
COOKIE = "language"
_PLACEHOLDER = re.compile(r"%\((\w+)\)s")
_LEAST_LITERAL_CHARS = 15


def init_app(app: Flask) -> None:
    Babel(app, default_locale="en", locale_selector=pick_language)
    app.jinja_env.filters |= {"translate": translate, "number": format_number}
    jinja_ngettext: Any = app.jinja_env.globals["ngettext"]

    @pass_context
    def ngettext_with_number(
        context: Context, one: str, many: str, num: int, **values: object
    ) -> object:
        return jinja_ngettext(context, one, many, num, **{"num": format_number(num), **values})

    app.jinja_env.globals["ngettext"] = ngettext_with_number


def pick_language() -> str:
    """Pick the language of this request's page.

    On admin pages: the account's language, if one is chosen. Otherwise the setting, the visitor's
    own choice, or the best match of what the browser accepts.
    """
    own = g.get("account_language", "")
    if own in LANGUAGES and request.blueprint in ("admin", "auth"):
        return str(own)
    fixed = get_settings().language
    if fixed in LANGUAGES:
        return fixed
    chosen = read_cookie(COOKIE)
    if chosen in LANGUAGES:
        return chosen
    return find_accepted(request.headers.get("Accept-Language", ""))


@lru_cache(maxsize=1000)
def find_accepted(header: str) -> str:
    """Return the first language of an Accept-Language header that the pages have.

    In the browser's order of preference; regional variants count as the language itself.
    """
    accepted = parse_accept_header(header, LanguageAccept)
    wanted = (tag.partition("-")[0].lower() for tag in accepted.values())
    return next((language for language in wanted if language in LANGUAGES), "en")


def use_account_language(language: str) -> None:
    """Use the account's language in this request; "" for none of its own."""
    g.account_language = language
    refresh()


def get_language() -> str:
    """Return the code of this page's language, as in ``lang``."""
    return str(get_locale() or "en").partition("_")[0]


def get_format_locale() -> Locale:
    """Return the locale for dates and numbers of this page; English is British."""
    language = get_language() if has_request_context() else "en"
    return Locale.parse({"en": "en_GB"}.get(language, language))


def format_number(number: float) -> str:
    """Format a number in the page's language: ``12,000`` or ``12.000``."""
    return format_decimal(number, locale=get_format_locale())


def ngettext(one: str, many: str, num: int, **values: object) -> str:
    """Translate a sentence with a count; ``%(num)s`` is the formatted number."""
    sentence: str = get_domain().get_translations().ungettext(one, many, num)
    return sentence % {"num": format_number(num), **values}


def list_languages() -> dict[str, str]:
    """List languages to choose from, code → name; none if a setting fixes one."""
    return {} if get_settings().language in LANGUAGES else LANGUAGES


def translate(text: str) -> str:
    """Translate a :class:`Message` or a constant sentence to the page's language.

    A stored message is recognised by its text. Sentences without a translation stay in English.
    """
    if isinstance(text, PluralMessage):
        values = _translate_values(text.values)
        del values["num"]
        return ngettext(text.template, text.plural, text.values["num"], **values)
    if isinstance(text, Message):
        return str(_translate(text.template)) % _translate_values(text.values)
    if not text:
        return ""
    found = _translate(text)
    return _translate_filled(get_language(), text) if found == text else found


def make_translator() -> Callable[[str], str]:
    """Return :func:`translate` for this page's language, to be used after the request."""
    app, language = current_app._get_current_object(), get_language()  # type: ignore[attr-defined]

    def translate_later(text: str) -> str:
        with app.app_context(), force_locale(language):
            return translate(text)

    return translate_later


def _translate_values(values: Mapping[str, Any]) -> dict[str, Any]:
    """Translate the values that are messages too, such as a placeholder title."""
    return {
        name: translate(value) if isinstance(value, Message) else value
        for name, value in values.items()
    }


def _translate(text: str) -> str:
    return str(get_domain().get_translations().ugettext(text))


@lru_cache(maxsize=1000)
def _translate_filled(language: str, text: str) -> str:
    """Translate a message stored with its values filled in, such as a failed item's."""
    for pattern, translated in _list_templates(language):
        match = pattern.fullmatch(text)
        if match:
            return translated % match.groupdict()
    return text


@lru_cache(maxsize=len(LANGUAGES))
def _list_templates(language: str) -> list[tuple[re.Pattern[str], str]]:
    """List translations with values, and patterns of their English; longest first."""
    found = []
    catalog = getattr(get_domain().get_translations(), "_catalog", {})
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
