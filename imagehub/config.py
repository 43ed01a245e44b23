"""The settings: read once at start, immutable, all faults reported in one message.

Each setting is an environment variable with the prefix ``IMAGEHUB_``. A ``.env`` file in the
working folder is read too; the environment has priority. Secrets are not shown in ``repr`` or by
``imagehub settings``.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import Field, dataclass, field, fields, replace
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from dotenv import dotenv_values

from imagehub.config_secrets import (
    CHANGEABLE_KEYS,
    SECRET_MAKERS,
    find_bad_keys,
    keep_secret,
    read_kept_keys,
    read_secret_file,
)
from imagehub.config_values import (
    SiteTexts,
    complete_database_url,
    has_package,
    is_loopback,
    read_color,
    read_currency,
    read_day,
    read_downloads,
    read_email,
    read_emails,
    read_embed_sites,
    read_flag,
    read_languages,
    read_networks,
    read_number,
    read_optional_url,
    read_origins,
    read_page_url,
    read_path,
    read_public_url,
    read_site_texts,
    read_url,
    read_webhook_url,
    read_word,
    read_words,
    write_value,
)

PREFIX = "IMAGEHUB_"
# Of a variable that names a file with the value of a secret setting.
FILE_ENDING = "_FILE"
DEFAULT_LOGIN_URL = "https://login.microsoftonline.com"
DEFAULT_GRAPH_URL = "https://graph.microsoft.com/v1.0"


class SettingsError(Exception):
    """Invalid settings; ``str()`` lists every fault, one per line."""


def _setting(
    default: str,
    meaning: str,
    read: Callable[[str], Any] = str.strip,
    *,
    unit: str = "",
    secret: bool = False,
    in_pages: bool = False,
) -> Any:
    """Describe a setting.

    :param in_pages: it can be set in the admin pages unless the environment sets it.
    """
    facts = dict(default=default, meaning=meaning, read=read, unit=unit)
    return field(repr=not secret, metadata=facts | dict(secret=secret, in_pages=in_pages))


@dataclass(frozen=True, kw_only=True)
class Settings:
    """All settings. The names are those of the environment in lower case without the prefix."""

    # Storage of the hub
    env: str = _setting(
        "development",
        "`production` requires the secrets and an https address to be set, and refuses plain http; "
        "`development` generates secrets on first run and keeps them in the data folder",
        read_word("development", "production"),
    )
    data_dir: Path = _setting(
        "instance", "Folder for the embedded database, objects, queue and secrets", read_path
    )
    database_url: str = _setting(
        "", "SQLAlchemy URL of the database; empty: SQLite in the data folder", secret=True
    )
    database_password: str = _setting(
        "", "Password of the database user, if it is not part of DATABASE_URL", secret=True
    )
    read_database_url: str = _setting(
        "",
        "SQLAlchemy URL of a read-only replica of the database, for visitors' pages; empty: none",
        secret=True,
    )
    read_database_password: str = _setting(
        "", "Password of its user, if it is not part of READ_DATABASE_URL", secret=True
    )
    queue_url: str = _setting(
        "", "`redis://…` for the queue and locks; empty: SQLite in the data folder", secret=True
    )

    # Object storage
    s3_endpoint_url: str = _setting(
        "",
        "S3 server that ImageHub writes to; empty: the embedded server in the data folder; `aws`: "
        "Amazon S3",
        lambda text: text.strip() if text.strip() == "aws" else read_optional_url(text),
    )
    s3_public_endpoint_url: str = _setting(
        "", "Address of the same storage for browsers; empty: S3_ENDPOINT_URL", read_optional_url
    )
    s3_bucket: str = _setting("imagehub", "Bucket for the renditions; created if missing")
    s3_region: str = _setting("us-east-1", "Region that requests are signed for")
    s3_access_key_id: str = _setting(
        "", "Access key; generated for the embedded server", secret=True
    )
    s3_secret_access_key: str = _setting(
        "", "Secret key; generated for the embedded server", secret=True
    )
    s3_port: int = _setting("9710", "Port of the embedded S3 server", read_number(1, 65535))
    presign_window_seconds: int = _setting(
        "86400",
        "The presigned URL of a rendition stays the same for one window and works for two",
        read_number(60, 302_400),
        unit="seconds",
    )

    # Microsoft
    ms_client_id: str = _setting("", "Application (client) ID of the app registration")
    ms_client_secret: str = _setting(
        "", "Client secret of the app registration; empty for a public client", secret=True
    )
    ms_client_secret_expires: date | None = _setting(
        "",
        "Day on which the client secret expires, as `2027-05-31`, for warnings; Microsoft shows it "
        "beside the secret. It can be entered on the connection page instead",
        read_day,
    )
    ms_tenant: str = _setting(
        "common",
        "Which accounts may be connected: `common`, `consumers`, `organizations` or a tenant ID",
    )
    ms_spa_redirect_uri: str = _setting(
        "",
        "Redirect URI that is registered at Microsoft for the single-page app",
        read_optional_url,
    )
    root_folder: str = _setting(
        "root",
        "The only folder ImageHub may see: `root`, an item ID, or a path such as /Pictures/Art",
        in_pages=True,
    )
    graph_base_url: str = _setting(DEFAULT_GRAPH_URL, "Address of Microsoft Graph", read_url)
    login_base_url: str = _setting(DEFAULT_LOGIN_URL, "Address of Microsoft's sign-in", read_url)

    # The site
    public_url: str = _setting(
        "",
        "Public address of the hub, which may have a path: `https://example.org/art`; needed "
        "behind a proxy and for feeds",
        read_public_url,
    )
    proxy_count: int = _setting(
        "0", "Number of reverse proxies whose X-Forwarded headers are trusted", read_number(0, 5)
    )
    proxy_prefix: bool = _setting(
        "off",
        "Without PUBLIC_URL: take the hub's path from X-Forwarded-Prefix, which the proxy must set "
        "or remove in every request",
        read_flag,
    )
    cors_origins: tuple[str, ...] = _setting(
        "", "Origins of single-page apps, separated by commas, or `*`", read_origins
    )
    hsts: str = _setting(
        "host",
        "What browsers are told to open by https only, for a year, once they have seen the hub by "
        "https: its `host`, also its `subdomains`, or with `preload` these and the list that comes "
        "with browsers, once you have entered the host there",
        read_word("host", "subdomains", "preload"),
    )
    get_sign_in: bool = _setting(
        "on",
        "Programs may sign in by `GET /login/`, whose address contains the password; off: by POST "
        "only",
        read_flag,
    )
    title: str = _setting("ImageHub", "Title of the site", in_pages=True)
    tagline: str = _setting("", "Tagline under the title", in_pages=True)
    site_texts: SiteTexts = _setting(
        "",
        'Title and tagline in other languages, as JSON: `{"de": {"title": "…", "tagline": "…"}}`',
        read_site_texts("en", "de"),
        in_pages=True,
    )
    accent: str = _setting("#b3432b", "Accent colour", read_color, in_pages=True)
    ground: str = _setting(
        "",
        "Background colour of the light theme; empty: warm near-white",
        read_color,
        in_pages=True,
    )
    layout: str = _setting(
        "wall",
        "Layout of the front page: a `wall` of pictures, `rows` of works with their labels, or "
        "`one` work on each screen",
        read_word("wall", "rows", "one"),
        in_pages=True,
    )
    typefaces: str = _setting(
        "fraunces",
        "Typefaces: `fraunces` or `eb-garamond` for titles, with the sans of the device; "
        "`source-sans-3` or `hanken-grotesk` for everything",
        read_word("fraunces", "eb-garamond", "source-sans-3", "hanken-grotesk"),
        in_pages=True,
    )
    featured_work: int = _setting(
        "0",
        "Number of the work that stands large at the top of the front page; 0: none",
        read_number(0, 2**63 - 1),
        in_pages=True,
    )
    logo: int = _setting(
        "0",
        "Number of the logo in the place of the title, as chosen in the admin pages; 0: none",
        read_number(0, 2**31 - 1),
        in_pages=True,
    )
    logo_dark: int = _setting(
        "0",
        "Number of the logo for the dark theme; 0: the same as LOGO",
        read_number(0, 2**31 - 1),
        in_pages=True,
    )
    language: str = _setting(
        "auto",
        "Language of the pages: `auto` follows the browser, `en` or `de`",
        read_word("auto", "en", "de"),
        in_pages=True,
    )
    text_languages: tuple[str, ...] = _setting(
        "",
        "Languages of the texts, separated by commas, the main one first, such as `de,en`; empty: "
        "all visitors get the same texts",
        read_languages("en", "de"),
        in_pages=True,
    )
    downloads: str = _setting(
        "without-place",
        "How visitors get full-size images: `without-place` (no location or personal data), "
        "`as-is`, or `none`",
        read_downloads,
        in_pages=True,
    )
    zip_downloads: bool = _setting(
        "on", "Visitors may download a work as one ZIP file", read_flag, in_pages=True
    )
    feeds: bool = _setting("on", "Publish a feed of new works", read_flag, in_pages=True)
    embed_sites: tuple[str, ...] = _setting(
        "",
        "Websites that may show works and series in a frame, such as `https://example.org`, "
        "separated by commas; `*`: all; empty: none",
        read_embed_sites,
        in_pages=True,
    )
    numbers: bool = _setting(
        "off",
        "Count views and downloads by day, without cookies and without keeping addresses",
        read_flag,
        in_pages=True,
    )
    tiles: bool = _setting(
        "off",
        "Deep zoom: tiles of large originals, which show their whole detail; a group can differ. "
        "Needs the extra `imagehub[tiles]`",
        read_flag,
        in_pages=True,
    )
    tiles_above_px: int = _setting(
        "4000",
        "Originals with a longer side than this have tiles",
        read_number(2000, 100_000),
        unit="pixels",
    )

    enquiries: bool = _setting(
        "off", "Visitors may write to you, about a work or in general", read_flag, in_pages=True
    )
    enquiry_months: int = _setting(
        "12",
        "Enquiries are deleted after this time; spam after 30 days",
        read_number(1, 120),
        unit="months",
        in_pages=True,
    )
    currency: str = _setting(
        "EUR",
        "Currency of prices without one of their own, as its code of ISO 4217",
        read_currency,
        in_pages=True,
    )

    # Who made the works, and under what terms
    creator: str = _setting(
        "", "Name of the artist, for search engines and in images; a work can differ", in_pages=True
    )
    credit_line: str = _setting(
        "", "How to name the source of an image; empty: the artist", in_pages=True
    )
    copyright_notice: str = _setting(
        "", "Copyright notice, such as `© 2026 Ada Lovelace`", in_pages=True
    )
    license_url: str = _setting(
        "", "Address of the licence of the images", read_page_url, in_pages=True
    )
    license_page_url: str = _setting(
        "", "Address of the page where one acquires a licence", read_page_url, in_pages=True
    )

    image_credits: bool = _setting(
        "off",
        "Write artist, copyright notice and licence into the images that visitors see (XMP)",
        read_flag,
        in_pages=True,
    )
    watermark: str = _setting(
        "off",
        "Watermark of the images that visitors see: `off`, `text`, or a `picture` that is chosen "
        "in the admin pages",
        read_word("off", "text", "picture"),
        in_pages=True,
    )
    watermark_text: str = _setting(
        "", "Text of the watermark, in Latin, Greek or Cyrillic letters", in_pages=True
    )
    watermark_place: str = _setting(
        "bottom-right",
        "Place of the watermark: `bottom-right`, `bottom-left`, `top-right`, `top-left`, `center` "
        "or `tiled`",
        read_word("bottom-right", "bottom-left", "top-right", "top-left", "center", "tiled"),
        in_pages=True,
    )
    watermark_strength: int = _setting(
        "40", "Strength of the watermark", read_number(5, 100), unit="percent", in_pages=True
    )
    watermark_from_px: str = _setting(
        "480",
        "Smallest size of images with the watermark: `480`, `720`, `960` or `1920`",
        read_word("480", "720", "960", "1920"),
        unit="pixels",
        in_pages=True,
    )

    # Messages about what needs attention
    notify_emails: tuple[str, ...] = _setting(
        "", "Addresses that get mail about what needs attention, separated by commas", read_emails
    )
    smtp_host: str = _setting("", "Mail server (SMTP); needed with NOTIFY_EMAILS")
    smtp_port: int = _setting(
        "0", "Its port; 0: 587, 465 or 25, as of SMTP_SECURITY", read_number(0, 65535)
    )
    smtp_security: str = _setting(
        "starttls",
        "`starttls`, `tls` from the start, or `none`; its certificate must be valid",
        read_word("starttls", "tls", "none"),
    )
    smtp_user: str = _setting("", "User at the mail server; empty: no sign-in")
    smtp_password: str = _setting("", "Password at the mail server", secret=True)
    smtp_sender: str = _setting("", "Address that mail is from", read_email)
    notify_webhook_url: str = _setting(
        "",
        "Address that gets what needs attention as signed JSON; https, except on this machine",
        read_webhook_url,
        secret=True,
    )
    notify_webhook_secret: str = _setting(
        "", "Key of the signature, at least 16 characters", secret=True
    )
    notify_about: tuple[str, ...] = _setting(
        "connection,expiry,imports,originals",
        "What messages are about, separated by commas: `connection`, `expiry`, `imports`, "
        "`originals`, `changes`, `texts`; or `none`",
        read_words("connection", "expiry", "imports", "originals", "changes", "texts"),
        in_pages=True,
    )

    # Work
    import_wait_seconds: int = _setting(
        "20",
        "Maximum time that `POST /admin/add/image` waits for its import",
        read_number(0, 600),
        unit="seconds",
    )
    worker_processes: int = _setting(
        "0",
        "Number of pictures rendered at the same time; 0: one per core",
        read_number(0, 64),
    )
    web_workers: int = _setting("2", "Number of web server processes", read_number(1, 64))
    web_threads: int = _setting("8", "Threads of each web server process", read_number(1, 128))
    page_cache_mb: int = _setting(
        "32",
        "Memory of each web server process for rendered pages; 0: render each time",
        read_number(0, 4096),
        unit="MB",
    )
    connections_per_address: int = _setting(
        "64",
        "Open connections that each web server process keeps from one address (IPv6: /64 network); "
        "for another one, the connection that waits longest is closed; 0: no limit. Without effect "
        "behind a proxy, see PROXY_COUNT",
        read_number(0, 10_000),
    )
    drive_check_minutes: int = _setting(
        "30",
        "Interval between checks for originals that were changed, moved or deleted in OneDrive; "
        "0: only on request",
        read_number(0, 10_080),
        unit="minutes",
    )
    drive_notifications: bool = _setting(
        "on",
        "With a PUBLIC_URL of https: OneDrive notifies the hub of changes, which are then checked "
        "at once",
        read_flag,
    )
    avif: bool = _setting("off", "Make AVIF renditions in addition to WebP", read_flag)
    keep_gps: bool = _setting(
        "off", "Store where a picture was taken; only admins can see it", read_flag
    )
    max_pixels: int = _setting(
        "250", "Largest accepted picture", read_number(1, 1000), unit="megapixels"
    )
    max_original_bytes: int = _setting(
        "500000000", "Largest accepted original", read_number(1, 10_000_000_000), unit="bytes"
    )
    render_timeout_seconds: int = _setting(
        "30", "Time limit for rendering one picture", read_number(1, 600), unit="seconds"
    )

    # Monitoring
    metrics_token: str = _setting(
        "",
        "Bearer token with which Prometheus may read `/metrics`; empty: none may",
        secret=True,
    )
    metrics_networks: tuple[str, ...] = _setting(
        "",
        "Networks whose machines may read `/metrics` without a token, separated by commas, such as "
        "`10.0.0.0/8`",
        read_networks,
    )
    worker_metrics_port: int = _setting(
        "0",
        "Port at which a worker answers `/metrics` itself, if it shares no data folder with a web "
        "server; 0: none",
        read_number(0, 65535),
    )
    log_format: str = _setting(
        "text", "Lines of the log: `text` or `json`, one object per line", read_word("text", "json")
    )
    traces_url: str = _setting(
        "",
        "Address that takes traces by OTLP over HTTP, such as `http://collector:4318/v1/traces`; "
        "empty: no traces. Needs the packages of `imagehub[traces]`",
        read_optional_url,
    )
    traces_percent: int = _setting(
        "100", "Share of requests that is traced", read_number(0, 100), unit="percent"
    )
    slow_request_ms: int = _setting(
        "0",
        "Requests that take longer are logged; 0: none",
        read_number(0, 600_000),
        unit="milliseconds",
    )
    slow_query_ms: int = _setting(
        "0",
        "Statements of the database that take longer are logged, without their values; 0: none",
        read_number(0, 600_000),
        unit="milliseconds",
    )

    # Secrets
    secret_key: str = _setting(
        "", "Key that signs sessions and tokens; generated in development", secret=True
    )
    secret_key_previous: str = _setting(
        "",
        "Former or next SECRET_KEY: what it signed is valid, too, while the key is changed",
        secret=True,
    )
    token_key: str = _setting(
        "",
        "Fernet key that encrypts OneDrive tokens and two-factor secrets; generated in development",
        secret=True,
    )
    token_key_previous: str = _setting(
        "",
        "Former or next TOKEN_KEY, or several separated by commas: what it encrypted can be read, "
        "too, while the key is changed",
        secret=True,
    )

    # Not a setting: the names of the settings that the environment sets.
    given: frozenset[str] = field(default=frozenset(), repr=False)

    def read_keys(self, name: str) -> tuple[str, ...]:
        """Return the keys of a name: the one that signs or encrypts, then those accepted too.

        Keys that the hub generated are read from the data folder, where `imagehub rotate-keys`
        changes them while the hub runs.

        :param name: one of ``CHANGEABLE_KEYS``.
        """
        kept = () if name in self.given else read_kept_keys(self.data_dir, name)
        keys = (*(kept or [getattr(self, name)]), getattr(self, f"{name}_previous"))
        return tuple(key for key in dict.fromkeys(keys) if key)

    @property
    def main_language(self) -> str:
        """Return the main language of the texts; "" if it is not set."""
        return self.text_languages[0] if self.text_languages else ""

    def in_language(self, language: str) -> "Settings":
        """Return the settings with title and tagline in a language, where they are translated."""
        texts: Any = self.site_texts.get(language)
        return replace(self, **texts) if texts else self

    @property
    def is_multilingual(self) -> bool:
        """Tell whether visitors get the texts in their own language."""
        return self.language == "auto" and len(self.text_languages) > 1

    @property
    def is_https(self) -> bool:
        """Tell whether browsers use the hub over https."""
        return self.public_url.startswith("https://")

    @property
    def public_path(self) -> str:
        """Return the path of PUBLIC_URL without a slash at its end; "" at the root of a host."""
        return urlsplit(self.public_url).path

    @property
    def cookie_path(self) -> str:
        """Return the path of all cookies. The prefix ``__Host-`` of a name requires ``/``."""
        return self.public_path or "/"

    @property
    def cookie_prefix(self) -> str:
        """Return what the names of all cookies begin with; see ``web.cookies``."""
        if not self.is_https:  # Browsers accept no prefix then.
            return ""
        return "__Host-" if self.cookie_path == "/" else "__Secure-"

    @property
    def has_metrics(self) -> bool:
        """Tell whether anybody may read the metrics; nothing is counted otherwise."""
        return bool(self.metrics_token or self.metrics_networks)

    @property
    def has_downloads(self) -> bool:
        return self.downloads != "none"

    @property
    def sqlalchemy_url(self) -> str:
        return self.database_url or f"sqlite:///{self.data_dir / 'imagehub.db'}"

    @property
    def uses_embedded_s3(self) -> bool:
        return not self.s3_endpoint_url

    @property
    def s3_url(self) -> str:
        """Return the endpoint for ImageHub itself; "" for Amazon's own endpoints."""
        if self.s3_endpoint_url == "aws":
            return ""
        return self.s3_endpoint_url or f"http://127.0.0.1:{self.s3_port}"

    @property
    def s3_public_url(self) -> str:
        return self.s3_public_endpoint_url or self.s3_url

    @property
    def is_production(self) -> bool:
        return self.env == "production"

    def to_environment(self) -> dict[str, str]:
        """Return the settings as environment variables, for another program of this hub.

        Settings that the admin pages may set and the environment does not are empty: a value would
        override the admin pages, and a missing variable would be read from a ``.env`` file. So are
        the generated keys, which may be changed in the data folder.
        """
        words = {}
        for item in list_fields():
            can_change = item.metadata["in_pages"] or item.name in CHANGEABLE_KEYS
            is_left = can_change and item.name not in self.given
            value = "" if is_left else write_value(getattr(self, item.name))
            words[PREFIX + item.name.upper()] = value
            if item.metadata["secret"]:
                words[PREFIX + item.name.upper() + FILE_ENDING] = ""
        return words

    def describe(self) -> list[dict[str, str]]:
        """Return name, value (secrets masked), default, unit and meaning of each setting."""
        rows = []
        for item in list_fields():
            facts = item.metadata
            value = getattr(self, item.name)
            if facts["secret"]:
                value = "(set)" if value else "(not set)"
            row = {"name": PREFIX + item.name.upper(), "value": write_value(value, ", ")}
            rows.append(row | {key: facts[key] for key in ("default", "unit", "meaning")})
        return rows


def list_fields() -> "list[Field[Any]]":
    """Return the fields of :class:`Settings` that are settings, in their order."""
    return [item for item in fields(Settings) if item.metadata]


SETTING_NAMES = tuple(PREFIX + item.name.upper() for item in list_fields())
FILE_NAMES = tuple(
    PREFIX + item.name.upper() + FILE_ENDING for item in list_fields() if item.metadata["secret"]
)
# Variables with the prefix that are not settings.
_OTHER_NAMES = ("IMAGEHUB_DEMO_PASSWORD", "IMAGEHUB_LEGACY_URL", "IMAGEHUB_TEST_")


def find_unknown_names(
    environment: Mapping[str, str] | None = None, env_file: str | Path | None = ".env"
) -> list[str]:
    """Return unknown variables with the prefix, which are probably misspelt."""
    names = {name for name in _read_variables(environment, env_file) if name.startswith(PREFIX)}
    names -= {*SETTING_NAMES, *FILE_NAMES}
    return sorted(name for name in names if not name.startswith(_OTHER_NAMES))


def _read_variables(
    environment: Mapping[str, str] | None, env_file: str | Path | None
) -> dict[str, str]:
    values: dict[str, str] = {}
    if env_file is not None and Path(env_file).is_file():
        values.update({name: text or "" for name, text in dotenv_values(env_file).items()})
    return values | dict(os.environ if environment is None else environment)


def load_settings(
    environment: Mapping[str, str] | None = None,
    env_file: str | Path | None = ".env",
    makes_secrets: bool = True,
) -> Settings:
    """Read, check and complete the settings.

    :param environment: variable → text; the environment of the process if None.
    :param env_file: a file of variables with lower priority; None: no file.
    :param makes_secrets: generate missing secrets; else they are those of the data folder, or "".
    :raise SettingsError: lists all faults.
    """
    values = _read_variables(environment, env_file)
    # Variable without the prefix → its first fault.
    faults: dict[str, str] = {}
    read: dict[str, Any] = {}
    given = set()
    for item in list_fields():
        name, read_text = item.name, item.metadata["read"]
        read[name] = read_text(item.metadata["default"])
        text = values.get(PREFIX + name.upper(), "").strip()
        if item.metadata["secret"] and (path := values.get(PREFIX + name.upper() + FILE_ENDING)):
            try:
                file_text = read_secret_file(path)
                if text:
                    raise ValueError(f"set this or {name.upper()}, not both")
                text = file_text
            except ValueError as error:
                faults[name.upper() + FILE_ENDING] = str(error)
        if text:
            given.add(name)
            try:
                read[name] = read_text(text)
            except ValueError as error:
                faults[name.upper()] = str(error)
    for name, fault in _find_contradictions(read):
        faults.setdefault(name, fault)
    missing = [name for name in SECRET_MAKERS if not read[name]]
    if read["env"] == "production":
        required = [name.upper() for name in missing if not name.startswith("s3_")]
        faults |= dict.fromkeys(required, "required in production (`imagehub make-key` prints one)")
    if not faults:
        if read["s3_endpoint_url"]:
            missing = [name for name in missing if not name.startswith("s3_")]
        try:
            for name in missing:
                make = SECRET_MAKERS[name] if makes_secrets else None
                read[name] = keep_secret(read["data_dir"], name, make)
        except OSError as error:
            faults["DATA_DIR"] = f"{read['data_dir']} cannot be used ({error.strerror})"
    if faults:
        lines = [f"  {PREFIX}{name}: {fault}" for name, fault in faults.items()]
        raise SettingsError("\n".join(["These settings cannot be used:", *lines]))
    return Settings(**read, given=frozenset(given))


def _find_contradictions(read: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield (variable without the prefix, fault)."""
    for part in ("", "read_"):
        name, password = f"{part}database_url", read[f"{part}database_password"]
        is_server = not read[name].startswith("sqlite:") and bool(read[name])
        if password and not is_server:
            fault = f"needs the {PREFIX}{name.upper()} of a server"
            yield f"{part}database_password".upper(), fault
        try:
            read[name] = complete_database_url(read[name], password if is_server else "")
        except ValueError as error:
            yield name.upper(), str(error)
    if (copy := read["read_database_url"]) and any(
        one.startswith("sqlite:") or not one for one in (copy, read["database_url"])
    ):
        yield "READ_DATABASE_URL", f"must be that of a server, as {PREFIX}DATABASE_URL"
    if read["queue_url"] and not read["queue_url"].startswith(("redis://", "rediss://", "unix://")):
        yield "QUEUE_URL", "must begin with redis:// or rediss://"
    yield from find_bad_keys(read)
    if read["traces_url"] and not has_package("opentelemetry.exporter.otlp.proto.http"):
        yield "TRACES_URL", "needs more packages, see docs/monitoring.md; install imagehub[traces]"
    if read["metrics_token"] and len(read["metrics_token"]) < 16:
        yield "METRICS_TOKEN", "must have at least 16 characters"
    outside = read["s3_endpoint_url"] and read["s3_endpoint_url"] != "aws"
    if outside and not (read["s3_access_key_id"] and read["s3_secret_access_key"]):
        both = f"S3_ACCESS_KEY_ID and {PREFIX}S3_SECRET_ACCESS_KEY"
        yield both, f"required with {PREFIX}S3_ENDPOINT_URL"
    if read["env"] == "production" and not read["public_url"].startswith("https://"):
        yield "PUBLIC_URL", "required in production, and must begin with https://"
    if read["proxy_prefix"] and read["public_url"]:
        yield "PROXY_PREFIX", f"cannot be used with {PREFIX}PUBLIC_URL, which names the path"
    if read["proxy_prefix"] and not read["proxy_count"]:
        yield "PROXY_PREFIX", f"has no effect without {PREFIX}PROXY_COUNT"
    yield from _find_message_faults(read)


def _find_message_faults(read: dict[str, Any]) -> Iterator[tuple[str, str]]:
    if read["notify_emails"]:
        for name in ("smtp_host", "smtp_sender"):
            if not read[name]:
                yield name.upper(), f"required with {PREFIX}NOTIFY_EMAILS"
    if bool(read["smtp_user"]) != bool(read["smtp_password"]):
        yield "SMTP_PASSWORD", f"{PREFIX}SMTP_USER and this are needed together"
    is_open = read["smtp_security"] == "none" and not is_loopback(read["smtp_host"])
    if read["smtp_password"] and is_open:
        yield "SMTP_SECURITY", "`none` would send the password unencrypted"
    if read["notify_webhook_url"] and len(read["notify_webhook_secret"]) < 16:
        yield (
            "NOTIFY_WEBHOOK_SECRET",
            f"required with {PREFIX}NOTIFY_WEBHOOK_URL, with at least 16 characters",
        )
