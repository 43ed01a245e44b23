"""Choose the language of pages: English or German, by account, setting, switch or browser.

After changing texts run ``python -m tools.translations``, which collects and compiles them.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from babel import Locale
from babel.numbers import format_decimal
from flask import Flask, g, has_request_context, request
from flask_babel import Babel, get_locale, refresh
from jinja2 import pass_context
from jinja2.runtime import Context
from werkzeug.datastructures import LanguageAccept
from werkzeug.http import parse_accept_header

from imagehub.translator import LANGUAGES, get_translator
from imagehub.web.cookies import read_cookie
from imagehub.wiring import get_settings

COOKIE = "language"


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
    return get_translator(get_language() if has_request_context() else "en").locale


def format_number(number: float) -> str:
    """Format a number in the page's language: ``12,000`` or ``12.000``."""
    return format_decimal(number, locale=get_format_locale())


def ngettext(one: str, many: str, num: int, **values: object) -> str:
    """Translate a sentence with a count; ``%(num)s`` is the formatted number."""
    return get_translator(get_language()).translate_count(one, many, num, **values)


def list_languages() -> dict[str, str]:
    """List languages to choose from, code → name; none if a setting fixes one."""
    return {} if get_settings().language in LANGUAGES else LANGUAGES


def translate(text: str) -> str:
    """Translate a :class:`Message` or a constant sentence to the page's language."""
    return get_translator(get_language()).translate(text)


def make_translator() -> Callable[[str], str]:
    """Return :func:`translate` for this page's language, to be used after the request."""
    return get_translator(get_language()).translate
