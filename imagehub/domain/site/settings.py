"""Settings made in the admin pages: the look of the site, the root folder, the secret's expiry.

A setting of the environment always wins; the defaults are in ``config``.
"""

import json
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from imagehub.config import Settings, list_fields
from imagehub.config_values import SITE_TEXTS, read_day, write_value
from imagehub.database import now_utc
from imagehub.domain.library.credits import URL_FAULT
from imagehub.errors import ConflictError, InvalidInputError, NotAllowedError
from imagehub.messages import Message, mark
from imagehub.models import HubSetting

# The settings page; the root folder is selected on the connection page.
SITE_FIELDS = tuple(
    item.name for item in list_fields() if item.metadata["in_pages"] and item.name != "root_folder"
)
# Numbers of logos, which mean nothing to another hub.
LOGO_FIELDS = ("logo", "logo_dark")
_MAX_CHARS = {
    "title": 120,
    "tagline": 300,
    "notify_about": 300,
    "embed_sites": 1000,
    "site_texts": 4000,
} | dict.fromkeys(
    ("creator", "credit_line", "copyright_notice", "license_url", "license_page_url"), 300
)
_FAULTS = {
    "accent": mark("Enter a colour like #a1b2c3."),
    "ground": mark("Enter a colour like #a1b2c3."),
    "layout": mark("Select one of the options."),
    "typefaces": mark("Select one of the options."),
    "featured_work": mark("Select a work from the list."),
    "language": mark("Select a language from the list."),
    "text_languages": mark("Select languages from the list."),
    "site_texts": Message(
        "Use at most %(title)s characters for a title and %(tagline)s for a tagline.", **SITE_TEXTS
    ),
    "currency": mark("Select a currency from the list."),
    "enquiry_months": mark("Enter a number of months from 1 to 120."),
    "downloads": mark("Select one of the options."),
    "watermark_strength": mark("Enter a strength from 5 to 100 percent."),
    "license_url": URL_FAULT,
    "license_page_url": URL_FAULT,
    "embed_sites": mark("Enter addresses such as https://example.org, separated by commas, or *."),
}
_ROOT = "root_folder"
# Shown as the root folder if there is no boundary.
WHOLE_DRIVE = mark("All of OneDrive")
# Set by a migration in hubs that have images: their downloads stay as they were until then.
_TO_CHOOSE = "downloads_to_choose"
# Set once somebody has chosen, so that Home does not ask again.
_ENQUIRIES_CHOSEN = "enquiries_chosen"
_SECRET_END = "client_secret_end"  # noqa: S105 - a day, not a secret
# Control characters, lone surrogates, line and paragraph separators. Other invisible characters are
# part of text: joiners, no-break spaces, marks of direction.
_REFUSED = frozenset({"Cc", "Cs", "Zl", "Zp"})


class SettingConflictError(ConflictError):
    """Another person changed the same settings; ``current`` holds their values."""

    def __init__(self, current: Mapping[str, str]) -> None:
        super().__init__(mark("Someone else changed the same settings while you were editing."))
        self.current = dict(current)


# --- The site -------------------------------------------------------------------------------------


def get_site(session: Session, settings: Settings) -> Settings:
    """Return the settings in force: those of the environment, then those of the admin pages."""
    names = [name for name in SITE_FIELDS if name not in settings.given]
    rows = session.scalars(select(HubSetting).where(HubSetting.name.in_(names)))
    readers = {item.name: item.metadata["read"] for item in list_fields()}
    changes: dict[str, Any] = {}
    for row in rows:
        try:
            changes[row.name] = readers[row.name](str(json.loads(row.value)))
        except ValueError:
            continue  # Written by another version of ImageHub: use the default.
    return replace(settings, **changes) if changes else settings


def describe_site(settings: Settings) -> dict[str, str]:
    """Return the site's settings as texts, as they would stand in the environment."""
    return {name: write_value(getattr(settings, name)) for name in SITE_FIELDS}


def save_site(
    session: Session,
    settings: Settings,
    texts: Mapping[str, str],
    base: Mapping[str, str] | None = None,
) -> list[str]:
    """Save the settings of the settings page. Flushed, not committed.

    :param texts: setting → text as in the environment. Settings of the environment are ignored.
    :param base: setting → the text that the form showed. One that was not edited is left alone,
        whatever others have saved since.
    :return: names of those that changed.
    :raise InvalidInputError: ``fields`` says which, and why; nothing was changed.
    :raise SettingConflictError: another person changed an edited setting; nothing was changed.
    """
    before = get_site(session, settings)
    current = describe_site(before)
    base = base or {}
    faults: dict[str, str] = {}
    conflicts: dict[str, str] = {}
    values: dict[str, tuple[str, Any, Any]] = {}
    for item in list_fields():
        if item.name not in SITE_FIELDS or item.name in settings.given or item.name not in texts:
            continue
        text = texts[item.name].strip()
        was = base.get(item.name, current[item.name]).strip()
        if item.name in base and text == was:
            continue
        limit = _MAX_CHARS.get(item.name, 100)
        if len(text) > limit:
            faults[item.name] = Message("Use at most %(num)s characters.", num=limit)
        elif any(unicodedata.category(character) in _REFUSED for character in text):
            faults[item.name] = mark("It contains a character that cannot be shown.")
        elif text and not any(one.isprintable() and not one.isspace() for one in text):
            faults[item.name] = mark("It contains no visible character.")
        else:
            read, default = item.metadata["read"], item.metadata["default"]
            try:
                value = read(text or default)
            except ValueError:
                faults[item.name] = _FAULTS.get(item.name, mark("This value cannot be used."))
                continue
            values[item.name] = text or default, value, read(default)
            if was != current[item.name] and value != getattr(before, item.name):
                conflicts[item.name] = current[item.name]
    if faults:
        raise InvalidInputError(mark("Some settings cannot be used."), faults)
    if conflicts:
        raise SettingConflictError(conflicts)
    changed = [name for name, (_, value, _) in values.items() if value != getattr(before, name)]
    for name in changed:
        text, value, default_value = values[name]
        keep_value(session, name, None if value == default_value else text)
    if "downloads" in changed:
        keep_value(session, _TO_CHOOSE, None)
    if "enquiries" in changed:
        keep_value(session, _ENQUIRIES_CHOSEN, True)
    return changed


def must_choose_downloads(session: Session) -> bool:
    """Tell whether an admin still has to choose how visitors get full-size images."""
    return bool(read_value(session, _TO_CHOOSE))


def choose_downloads(session: Session, settings: Settings, choice: str) -> None:
    """Save how visitors get full-size images, as chosen on the first page.

    :raise InvalidInputError: there is no such choice.
    """
    save_site(session, settings, {"downloads": choice})
    keep_value(session, _TO_CHOOSE, None)


def may_propose_enquiries(session: Session, settings: Settings) -> bool:
    """Tell whether nobody has chosen yet whether visitors may write.

    :param settings: those in force.
    """
    is_open = not settings.enquiries and "enquiries" not in settings.given
    return is_open and not read_value(session, _ENQUIRIES_CHOSEN)


def choose_enquiries(session: Session, settings: Settings, *, is_on: bool) -> None:
    """Save whether visitors may write, as chosen on the first page, which then asks no more."""
    save_site(session, settings, {"enquiries": "on" if is_on else "off"})
    keep_value(session, _ENQUIRIES_CHOSEN, True)


# --- The root folder ------------------------------------------------------------------------------


@dataclass(frozen=True)
class RootFolder:
    """The only folder that ImageHub may see.

    ``address`` is ``root``, an item id or a path; ``words`` its path for people; ``is_given``: it
    is set in the environment and cannot be changed in the admin pages.
    """

    address: str
    words: str
    is_given: bool = False


def get_root_folder(session: Session, settings: Settings, account_id: int) -> RootFolder:
    """Return the root folder of one account; a selected folder belongs to its drive."""
    is_given = _ROOT in settings.given
    kept = None if is_given else read_value(session, _ROOT)
    if isinstance(kept, dict) and kept.get("account") == account_id:
        return RootFolder(str(kept["id"]), str(kept["words"]))
    words = WHOLE_DRIVE if settings.root_folder == "root" else settings.root_folder
    return RootFolder(settings.root_folder, words, is_given)


def set_root_folder(
    session: Session, settings: Settings, account_id: int, item_id: str, words: str
) -> None:
    """Set the root folder; every process follows within a second or two.

    :param item_id: "" for the whole drive.
    :param words: the folder's path, for people.
    :raise NotAllowedError: it is set in the environment.
    """
    if _ROOT in settings.given:
        raise NotAllowedError(
            "The root folder is set by IMAGEHUB_ROOT_FOLDER on the server. Change it there."
        )
    kept = {"account": account_id, "id": item_id, "words": words[:1000]} if item_id else None
    keep_value(session, _ROOT, kept)


# --- The client secret ----------------------------------------------------------------------------


def find_secret_end(session: Session, settings: Settings) -> date | None:
    """Return the day on which the client secret expires, if it is known.

    From the environment, or as an admin has entered it.
    """
    if settings.ms_client_secret_expires is not None:
        return settings.ms_client_secret_expires
    kept = read_value(session, _SECRET_END)
    try:
        return date.fromisoformat(str(kept)) if kept else None
    except ValueError:
        return None


def set_secret_end(session: Session, settings: Settings, day: str) -> date | None:
    """Save the day on which the client secret expires; "" for none.

    :raise InvalidInputError: not a day like ``2027-05-31``.
    :raise NotAllowedError: it is set in the environment.
    """
    if settings.ms_client_secret_expires is not None:
        raise NotAllowedError(
            "The date is set by IMAGEHUB_MS_CLIENT_SECRET_EXPIRES on the server. Change it there."
        )
    try:
        end = read_day(day)
    except ValueError:
        fault = mark("Enter a date like 2027-05-31.")
        raise InvalidInputError(fault, {"secret_end": fault}) from None
    keep_value(session, _SECRET_END, end.isoformat() if end else None)
    return end


# --- Rows -----------------------------------------------------------------------------------------


def read_value(session: Session, name: str) -> Any:
    """Return the stored value; None if there is none."""
    text = session.scalar(select(HubSetting.value).where(HubSetting.name == name))
    return None if text is None else json.loads(text)


def keep_value(session: Session, name: str, value: Any) -> None:
    """Store a value; None deletes it."""
    if value is None:
        session.execute(delete(HubSetting).where(HubSetting.name == name))
    else:
        text = json.dumps(value, ensure_ascii=False)
        session.merge(HubSetting(name=name, value=text, updated_at=now_utc()))
    session.flush()
