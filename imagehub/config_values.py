"""Read values of settings from text, and write them as text."""

import ipaddress
import json
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError


def read_url(text: str) -> str:
    """Return an address with its scheme and host in lower case, without a slash at its end."""
    parts = urlsplit(text.strip())
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise ValueError("must be an address that begins with http:// or https://")
    user, at, host = parts.netloc.rpartition("@")
    _, _, rest = text.strip().partition("//")
    return f"{parts.scheme}://{user}{at}{host.lower()}{rest[len(parts.netloc) :]}".rstrip("/")


def read_optional_url(text: str) -> str:
    return read_url(text) if text.strip() else ""


def read_page_url(text: str) -> str:
    """Return the address of a page as it was typed; "" for none."""
    url = text.strip()
    if not url:
        return ""
    if any(c.isspace() or not c.isprintable() or c in '<>"\\' for c in url):
        raise ValueError("must not contain spaces, quotes, < or >")
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("must be an address that begins with http:// or https://")
    return url


# Characters that are the same in a path, a cookie's path, a policy's source and a pattern.
_URL_PATH = re.compile("(/[A-Za-z0-9._~-]+)*")


def read_url_path(text: str) -> str:
    """Return a path without a slash at its end, "" for that of the root.

    :raise ValueError: it is not a plain path such as ``/art`` or ``/~ada/art``.
    """
    path = text.removesuffix("/")
    if not _URL_PATH.fullmatch(path) or {".", ".."} & {*path.split("/")}:
        raise ValueError("the path must consist of letters, digits and - . _ ~ between slashes")
    return path


def read_public_url(text: str) -> str:
    url = read_optional_url(text)
    parts = urlsplit(url)
    if "@" in parts.netloc or "?" in url or "#" in url:
        raise ValueError("must not contain a user, a password, ? or #")
    return url.removesuffix(parts.path) + read_url_path(parts.path)


def read_origins(text: str) -> tuple[str, ...]:
    origins = tuple(part.strip().rstrip("/").lower() for part in text.split(",") if part.strip())
    for origin in origins:
        parts = urlsplit(origin)
        if origin != "*" and (
            parts.scheme not in ("http", "https") or parts.path or not parts.netloc
        ):
            raise ValueError(
                f"{origin!r} is not an origin; use the form https://app.example.org, "
                "several separated by commas, or *"
            )
    return origins


# A host, perhaps with a wildcard before it, as a source of a policy. Source: CSP 3, section 2.3.1.
_LABEL = "[a-z0-9](?:[a-z0-9-]*[a-z0-9])?"
_EMBED_SITE = re.compile(rf"https?://(\*\.)?{_LABEL}(\.{_LABEL})*(:[0-9]{{1,5}})?")


def read_embed_sites(text: str) -> tuple[str, ...]:
    """Read the sites that may frame a page, as sources of a policy; a bare host is meant by https.

    :raise ValueError: one is neither ``*`` nor the address of a site without a path.
    """
    sites = []
    for part in filter(None, re.split(r"[,\s]+", text.strip())):
        scheme, found, rest = part.rstrip("/").rpartition("://")
        host = rest.lower()
        with suppress(UnicodeError):
            host = host if host.isascii() else host.encode("idna").decode("ascii")
        site = "*" if part == "*" else f"{scheme.lower() if found else 'https'}://{host}"
        if site != "*" and not _EMBED_SITE.fullmatch(site):
            raise ValueError(
                f"{part!r} is not a website; use the form https://example.org, "
                "several separated by commas, or *"
            )
        sites.append(site)
    return ("*",) if "*" in sites else tuple(dict.fromkeys(sites))


def read_networks(text: str) -> tuple[str, ...]:
    networks = []
    for part in filter(None, map(str.strip, text.split(","))):
        try:
            networks.append(str(ipaddress.ip_network(part)))
        except ValueError:
            raise ValueError(
                f"{part!r} is not a network such as 10.0.0.0/8 or an address"
            ) from None
    return tuple(networks)


def read_flag(text: str) -> bool:
    word = text.strip().lower()
    if word in ("1", "true", "yes", "on"):
        return True
    if word in ("0", "false", "no", "off", ""):
        return False
    raise ValueError("must be on or off")


def read_downloads(text: str) -> str:
    """Also read the words of a flag, which this setting was before."""
    words = ("without-place", "as-is", "none")
    word = text.strip().lower()
    if word in words:
        return word
    try:
        return "as-is" if read_flag(word) else "none"
    except ValueError:
        raise ValueError("must be one of " + ", ".join(words)) from None


def read_day(text: str) -> date | None:
    if not text.strip():
        return None
    try:
        return date.fromisoformat(text.strip())
    except ValueError:
        raise ValueError("must be a date like 2027-05-31") from None


def read_path(text: str) -> Path:
    return Path(text.strip()).expanduser().resolve()


def read_number(low: float, high: float) -> Callable[[str], int]:
    def read(text: str) -> int:
        try:
            number = int(text.strip())
        except ValueError:
            raise ValueError("must be a whole number") from None
        if not low <= number <= high:
            raise ValueError(f"must be between {low:g} and {high:g}")
        return number

    return read


def read_word(*words: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        word = text.strip().lower()
        if word not in words:
            raise ValueError("must be one of " + ", ".join(words))
        return word

    return read


def has_package(name: str) -> bool:
    """Tell whether a package, which may be one inside of others, is installed."""
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:
        return False


def read_words(*words: str) -> Callable[[str], tuple[str, ...]]:
    """Read several words separated by commas; ``none`` for none of them."""

    def read(text: str) -> tuple[str, ...]:
        found = [part.strip().lower() for part in text.split(",") if part.strip()]
        if not found or set(found) - {*words, "none"} or ("none" in found and len(found) > 1):
            raise ValueError("must be none, or some of " + ", ".join(words))
        return tuple(found if found == ["none"] else (word for word in words if word in found))

    return read


def read_languages(*languages: str) -> Callable[[str], tuple[str, ...]]:
    """Read languages separated by commas, in the order given; none if the text is empty."""

    def read(text: str) -> tuple[str, ...]:
        found = dict.fromkeys(part.strip().lower() for part in text.split(",") if part.strip())
        if found.keys() - {*languages}:
            raise ValueError("must be empty, or some of " + ", ".join(languages))
        return tuple(found)

    return read


# The texts of the site that can be given in other languages, with the most characters of each.
SITE_TEXTS = {"title": 120, "tagline": 300}


@dataclass(frozen=True)
class SiteTexts:
    """Texts of the site in other languages, as rows of language, name and text."""

    rows: tuple[tuple[str, str, str], ...] = ()

    def get(self, language: str) -> dict[str, str]:
        """Return the texts in one language: name → text."""
        return {name: text for code, name, text in self.rows if code == language}

    def __str__(self) -> str:
        texts: dict[str, dict[str, str]] = {}
        for code, name, text in sorted(self.rows):
            texts.setdefault(code, {})[name] = text
        return json.dumps(texts, ensure_ascii=False) if texts else ""


def read_site_texts(*languages: str) -> Callable[[str], SiteTexts]:
    """Read title and tagline in other languages from JSON."""

    def read(text: str) -> SiteTexts:
        found = json.loads(text) if text.strip() else {}
        if not isinstance(found, dict) or found.keys() - {*languages}:
            raise ValueError("must be an object with some of " + ", ".join(languages))
        rows = [(code, *row) for code, texts in found.items() for row in _iter_site_texts(texts)]
        return SiteTexts(tuple(sorted(rows)))

    return read


def _iter_site_texts(texts: object) -> Iterator[tuple[str, str]]:
    if not isinstance(texts, dict) or texts.keys() - SITE_TEXTS.keys():
        raise ValueError("each language must be an object with some of " + ", ".join(SITE_TEXTS))
    for name, text in texts.items():
        if not isinstance(text, str) or len(text) > SITE_TEXTS[name]:
            raise ValueError(f"{name} must be a text of at most {SITE_TEXTS[name]} characters")
        if line := " ".join(text.split()):
            yield name, line


# An address that may stand in an envelope and in a header as it is (RFC 5321, without quoting).
_EMAIL = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*")


def read_emails(text: str) -> tuple[str, ...]:
    found = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    for one in found:
        if not _EMAIL.fullmatch(one) or len(one) > 254:
            raise ValueError(f"{one!r} is not a plain e-mail address, such as ada@example.org")
    return found


def read_email(text: str) -> str:
    found = read_emails(text)
    if len(found) > 1:
        raise ValueError("must be one address")
    return found[0] if found else ""


def read_webhook_url(text: str) -> str:
    """Read an address that secrets may be sent to: https, or this machine."""
    if not text.strip():
        return ""
    parts = urlsplit(text.strip())
    is_here = parts.scheme == "http" and is_loopback(parts.hostname or "")
    if not parts.hostname or not (parts.scheme == "https" or is_here):
        raise ValueError("must begin with https://, or http:// for this machine itself")
    if parts.username or parts.password or parts.fragment:
        raise ValueError("must not contain a user, a password or #")
    return text.strip()


def is_loopback(host: str) -> bool:
    """Tell whether a host's name or address is that of this machine."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


# The currencies in use. Source: ISO 4217, list one, without funds, metals and codes for tests.
_CODES = """
AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD CAD
CDF CHF CLP CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD
GNF GTQ GYD HKD HNL HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD
KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO
NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE
SOS SRD SSP STN SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX USD UYU UZS VES VND VUV WST
XAF XCD XCG XOF XPF YER ZAR ZMW ZWG
"""
CURRENCIES = tuple(_CODES.split())


def read_currency(text: str) -> str:
    code = text.strip().upper()
    if code not in CURRENCIES:
        raise ValueError("must be a currency’s code of ISO 4217, such as EUR")
    return code


def read_color(text: str) -> str:
    color = text.strip().lower()
    digits = color.removeprefix("#")
    if color and (
        not color.startswith("#") or len(digits) != 6 or set(digits) - set("0123456789abcdef")
    ):
        raise ValueError("must be a colour like #a1b2c3")
    return color


def write_value(value: object, separator: str = ",") -> str:
    """Write a value as it stands in the environment."""
    if isinstance(value, bool):
        return "on" if value else "off"
    if value is None:
        return ""
    return separator.join(value) if isinstance(value, tuple) else str(value)


def complete_database_url(url: str, password: str) -> str:
    """Return an address with its driver, and with the password unless that is empty.

    :param url: "" if none is set.
    :raise ValueError: it is not the address of such a database.
    """
    if url and not url.startswith(("sqlite:", "mysql+pymysql:")):
        if not url.startswith(("mysql:", "mariadb:", "mariadb+pymysql:")):
            raise ValueError("must begin with sqlite:/// or mysql+pymysql://")
        url = "mysql+pymysql:" + url.split(":", 1)[1]
    if not password:
        return url
    try:
        return make_url(url).set(password=password).render_as_string(hide_password=False)
    except (ArgumentError, ValueError):
        raise ValueError("is not the address of a database") from None
