"""One call to Graph: its request, session and query options."""

import json
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from .identity import Session
from .server import Refusal, Request

METADATA = "https://graph.microsoft.com/v1.0/$metadata#"
_DEFAULT_PAGE = 200
_MOST_PAGE = 1000
_READ_SCOPES = frozenset(
    {
        "files.read",
        "files.read.all",
        "files.readwrite",
        "files.readwrite.all",
        "sites.read.all",
        "sites.readwrite.all",
    }
)
_WRITE_SCOPES = frozenset({"files.readwrite", "files.readwrite.all", "sites.readwrite.all"})
_APP_FOLDER_SCOPE = "files.readwrite.appfolder"


@dataclass
class Call:
    """A request with the session of its access token."""

    request: Request
    session: Session
    base_url: str

    def may_write(self) -> bool:
        return bool(self.session.scopes & _WRITE_SCOPES)

    def may_read(self) -> bool:
        return bool(self.session.scopes & _READ_SCOPES)

    def has_only_app_folder(self) -> bool:
        return _APP_FOLDER_SCOPE in self.session.scopes and not self.may_write()

    def get_option(self, name: str) -> str | None:
        """Return a query option, with or without the dollar sign, in any case."""
        wanted = name.lower()
        for key, value in self.request.query.items():
            if key.lower().removeprefix("$") == wanted:
                return value
        return None

    def read_top(self) -> int:
        """Return how many items a page may hold (``$top``)."""
        text = self.get_option("top")
        if text is None:
            return _DEFAULT_PAGE
        if not re.fullmatch(r"\d{1,9}", text) or int(text) == 0:
            raise Refusal(400, "invalidRequest", "$top must be a positive number.")
        return min(int(text), _MOST_PAGE)

    def read_expand(self) -> list[str]:
        text = self.get_option("expand")
        if not text:
            return []
        wanted = [re.sub(r"\(.*", "", part).strip().lower() for part in text.split(",")]
        if set(wanted) - {"thumbnails", "children", "permissions", "listitem"}:
            raise Refusal(400, "invalidRequest", "An expanded property does not exist.")
        return wanted

    def make_next(self, name: str, value: str, path: str = "") -> str:
        """Return the address of this call with another token."""
        kept = {
            key: text
            for key, text in self.request.query.items()
            if key.lower().removeprefix("$") not in ("skiptoken", "token")
        }
        query = urlencode({**kept, name: value}, safe="$")
        return f"{self.base_url}{path or self.request.path}?{query}"


def make_token(value: list[Any]) -> str:
    return urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def read_token(text: str | None) -> list[Any] | None:
    """Return the list in an opaque token, or None if there is no token.

    :raise Refusal: 400, the emulator did not issue this token.
    """
    if not text:
        return None
    try:
        value = json.loads(urlsafe_b64decode(text + "=="))
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, list):
        raise Refusal(400, "invalidRequest", "The token is not valid.")
    return value
