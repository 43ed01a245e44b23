"""Choose the language of pages: English or German, by account, setting, address, switch or browser.

If the hub has texts in several languages, each page also has an address for each language, with
``?lang=de``: search engines find all of them, and links between pages keep the language. The
address without it follows the visitor.

After changing texts run ``python -m tools.translations``, which collects and compiles them.
"""

from collections.abc import Callable
from decimal import Decimal
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from babel import Locale
from babel.numbers import format_decimal
from flask import Flask, g, has_request_context, request
from flask_babel import Babel, get_locale, refresh
from jinja2 import pass_context
from jinja2.runtime import Context
from werkzeug.datastructures import LanguageAccept
from werkzeug.http import parse_accept_header

from imagehub.config import Settings
from imagehub.translator import LANGUAGES, get_translator
from imagehub.web.cookies import read_cookie
from imagehub.wiring import get_settings

COOKIE = "language"
# The query parameter that names the language of a page.
PARAMETER = "lang"
# The endpoints that have an address for each language.
_ENDPOINTS = frozenset(
    {
        *("gallery.show_front", "gallery.show_group", "gallery.show_shot", "gallery.show_page"),
        *("gallery.show_series", "gallery.show_one_series", "gallery.show_tags"),
        *("gallery.show_tag", "gallery.search", "gallery.suggest", "gallery.show_feed"),
        *("gallery.show_series_feed", "gallery.show_contact", "gallery.show_enquire"),
        *("gallery.show_group_embed", "gallery.show_series_embed", "gallery.show_true_size"),
        *("gallery.send_contact", "gallery.send_enquiry", "gallery.show_sent"),
    }
)


def init_app(app: Flask) -> None:
    Babel(app, default_locale="en", locale_selector=pick_language)
    app.url_defaults(_keep_language)
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

    On admin pages: the account's language, if one is chosen. Otherwise the setting, the language in
    the address, the visitor's own choice, the best match of what the browser accepts, or the main
    language of the texts.
    """
    own = g.get("account_language", "")
    if own in LANGUAGES and request.blueprint in ("admin", "auth"):
        return str(own)
    settings = get_settings()
    fixed = settings.language
    if fixed in LANGUAGES:
        return fixed
    asked = get_asked_language()
    if asked:
        return asked
    chosen = read_cookie(COOKIE)
    if chosen in LANGUAGES:
        return chosen
    accepted = find_accepted(request.headers.get("Accept-Language", ""))
    return accepted or settings.main_language or "en"


@lru_cache(maxsize=1000)
def find_accepted(header: str) -> str:
    """Return the first language of an Accept-Language header that the pages have, or "".

    In the browser's order of preference; regional variants count as the language itself.
    """
    accepted = parse_accept_header(header, LanguageAccept)
    wanted = (tag.partition("-")[0].lower() for tag in accepted.values())
    return next((language for language in wanted if language in LANGUAGES), "")


def get_asked_language() -> str:
    """Return the language in this request's address; "" if it names none of the hub's."""
    settings = get_settings()
    if not settings.is_multilingual or request.endpoint not in _ENDPOINTS:
        return ""
    asked = request.args.get(PARAMETER, "")
    return asked if asked in settings.text_languages else ""


def _keep_language(endpoint: str, values: dict[str, Any]) -> None:
    """Keep the language of this page's address in its links."""
    if has_request_context() and endpoint in _ENDPOINTS and PARAMETER not in values:
        asked = get_asked_language()
        if asked:
            values[PARAMETER] = asked


def get_text_language() -> str:
    """Return the language of this page's texts; "" for the main language."""
    language = get_language()
    return language if language in get_settings().text_languages[1:] else ""


def get_site() -> Settings:
    """Return the settings with title and tagline in the language of this page's texts."""
    return get_settings().in_language(get_text_language())


def list_alternates(url: str) -> dict[str, str]:
    """List the addresses of a page: language → address, and ``x-default`` for that without one.

    Empty if the hub has one language.

    Source: https://developers.google.com/search/docs/specialty/international/localized-versions.
    """
    settings = get_settings()
    if not settings.is_multilingual:
        return {}
    languages = {code: set_url_language(url, code) for code in settings.text_languages}
    return languages | {"x-default": set_url_language(url, "")}


def set_url_language(url: str, language: str) -> str:
    """Return an address with this language in its query; "" removes it."""
    parts = urlsplit(url)
    query = [pair for pair in parse_qsl(parts.query, True) if pair[0] != PARAMETER]
    if language:
        query.append((PARAMETER, language))
    return urlunsplit(parts._replace(query=urlencode(query)))


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


def format_price(amount: Decimal, currency: str) -> str:
    """Format a price in the page's language: ``€1,250`` or ``1.250 €``; cents only if there are."""
    return get_translator(get_language()).format_price(amount, currency)


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
