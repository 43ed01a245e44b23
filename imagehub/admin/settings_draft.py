"""What is changed in the settings and not saved, as a part of an address.

The page that chooses a file carries it along, so the form is as it was when the person comes back.
"""

import base64
import binascii
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from flask_babel import gettext as _

from imagehub.domain.site.look import LOOK_FIELDS
from imagehub.domain.site.settings import SITE_FIELDS
from imagehub.errors import InvalidInputError

# With the rest of an address this fits into a line of a request for every usual server and proxy.
_MAX_CHARS = 3000
_MAX_BYTES = 100_000
_FIELDS = frozenset(SITE_FIELDS) - set(LOOK_FIELDS)


@dataclass(frozen=True)
class Draft:
    """``touched``: setting → text as typed; ``base``: the same settings as the form showed them."""

    touched: Mapping[str, str] = field(default_factory=dict)
    base: Mapping[str, str] = field(default_factory=dict)


def write_draft(touched: Mapping[str, str], base: Mapping[str, str]) -> str:
    """Write a draft as a part of an address; "" if nothing was changed.

    :raise InvalidInputError: it is too long for an address.
    """
    if not touched:
        return ""
    rows = {name: [text, base.get(name)] for name, text in touched.items()}
    packed = zlib.compress(json.dumps(rows, ensure_ascii=False).encode(), 9)
    text = base64.urlsafe_b64encode(packed).decode().rstrip("=")
    if len(text) > _MAX_CHARS:
        raise InvalidInputError(
            _("There are too many changes to keep while you choose a file. Save them first.")
        )
    return text


def read_draft(text: str) -> Draft:
    """Read a draft of an address; what is not one is empty."""
    try:
        packed = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        reader = zlib.decompressobj()
        rows = json.loads(reader.decompress(packed, _MAX_BYTES))
        kept = {
            name: (str(typed), None if shown is None else str(shown))
            for name, (typed, shown) in rows.items()
            if name in _FIELDS
        }
    except (binascii.Error, zlib.error, ValueError, TypeError, AttributeError):
        return Draft()
    base = {name: shown for name, (_typed, shown) in kept.items() if shown is not None}
    return Draft({name: typed for name, (typed, _shown) in kept.items()}, base)
