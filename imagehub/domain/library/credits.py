"""Who made a work, and under what terms its images may be used.

The hub's settings name an artist, a copyright notice and a licence; a work can have its own.

Source:
https://developers.google.com/search/docs/appearance/structured-data/image-license-metadata.
"""

from dataclasses import dataclass

from imagehub.config import Settings
from imagehub.config_values import read_page_url
from imagehub.errors import InvalidInputError
from imagehub.messages import mark
from imagehub.models import Group

# Fields of a group; empty ones are as the hub.
FIELDS = ("creator", "copyright_notice", "license_url")
_MAX_URL_CHARS = 300
URL_FAULT = mark("Enter an address that begins with https:// or http://.")


@dataclass(frozen=True)
class Credits:
    """What is said of an image; "" for what is not known.

    ``credit_line``: how to name its source. ``license_url``: the terms of use.
    ``license_page_url``: where one acquires a licence.
    """

    creator: str = ""
    credit_line: str = ""
    copyright_notice: str = ""
    license_url: str = ""
    license_page_url: str = ""

    def __bool__(self) -> bool:
        return any(self.__dict__.values())


def get_credits(settings: Settings, group: Group | None = None) -> Credits:
    """Return what is said of the images of a work; without one, of the hub's.

    A work by another artist has neither the hub's copyright notice nor its licence: those are the
    artist's of the hub.
    """
    hub = Credits(
        settings.creator,
        settings.credit_line or settings.creator,
        settings.copyright_notice,
        settings.license_url,
        settings.license_page_url,
    )
    if group is None:
        return hub
    is_other = bool(group.creator) and group.creator != hub.creator
    base = Credits(group.creator, group.creator) if is_other else hub
    return Credits(
        base.creator,
        base.credit_line,
        group.copyright_notice or base.copyright_notice,
        group.license_url or base.license_url,
        base.license_page_url,
    )


def describe_credits(one: Credits) -> dict[str, object]:
    """Return the properties of an ImageObject for search engines; only those that are known."""
    facts: dict[str, object] = {
        "creator": {"@type": "Person", "name": one.creator} if one.creator else "",
        "creditText": one.credit_line,
        "copyrightNotice": one.copyright_notice,
        "license": one.license_url,
        "acquireLicensePage": one.license_page_url,
    }
    return {name: value for name, value in facts.items() if value}


def tidy_license_url(text: str) -> str:
    """Return an address as it is stored; "" for none.

    :raise InvalidInputError: it is not one, or too long.
    """
    try:
        url = read_page_url(text)
    except ValueError:
        raise InvalidInputError(URL_FAULT, {"license_url": "unreadable"}) from None
    if len(url) > _MAX_URL_CHARS:
        raise InvalidInputError(URL_FAULT, {"license_url": "too long"})
    return url
