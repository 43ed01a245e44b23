"""List what will expire: the client secret, sign-ins at Microsoft.

Another source of such dates is one more function in ``_SOURCES``.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date

from sqlalchemy.orm import Session

from imagehub.clients import Clients
from imagehub.config import Settings
from imagehub.database import now_utc
from imagehub.domain.onedrive import status
from imagehub.domain.onedrive.keep_alive import UNUSED_LIFETIME
from imagehub.domain.onedrive.status import ConnectionInfo
from imagehub.domain.site.settings import find_secret_end
from imagehub.errors import WRONG_CLIENT_SECRET
from imagehub.messages import Message, Stored, mark

CONNECTION_PATH = "/admin/connection"
# Days before the end at which people are warned, and warned again.
EARLY_DAYS, LATE_DAYS = 14, 3


@dataclass(frozen=True)
class Ending:
    """Something that expires on a day. ``what`` names it; ``path`` is the page that mends it.

    ``title`` and ``words``: the warning, which people read from ``EARLY_DAYS`` before it on.
    """

    kind: str
    day: date
    what: str
    title: str
    words: str
    path: str

    @property
    def days_left(self) -> int:
        """The days until it expires: 0 on the day, negative after it."""
        return (self.day - now_utc().date()).days

    @property
    def level(self) -> int:
        """How urgent it is: 0 not yet, 1 soon, 2 within ``LATE_DAYS``, 3 expired."""
        limits = (EARLY_DAYS, LATE_DAYS, -1)
        return sum(self.days_left <= limit for limit in limits)


def list_endings(session: Session, clients: Clients, settings: Settings) -> list[Ending]:
    """List what will expire or has expired, the first first."""
    found = [one for source in _SOURCES for one in source(session, clients, settings)]
    return sorted(found, key=lambda one: one.day)


def is_secret_end_unknown(session: Session, settings: Settings) -> bool:
    """Tell whether there is a client secret and nobody has said when it expires."""
    return bool(settings.ms_client_secret) and find_secret_end(session, settings) is None


def find_sign_in_end(info: ConnectionInfo) -> date | None:
    """Return the day on which a sign-in at Microsoft expires unless it is used before."""
    if info.refreshed_at is None or not info.is_usable:
        return None
    return (info.refreshed_at + UNUSED_LIFETIME).date()


def _find_secret(session: Session, clients: Clients, settings: Settings) -> Iterator[Ending]:
    day = find_secret_end(session, settings) if settings.ms_client_secret else None
    is_refused = status.describe_connection(session, clients).state == WRONG_CLIENT_SECRET
    if day is None or is_refused:  # Home tells of the refusal itself.
        return
    if day < now_utc().date():
        title = mark("The client secret has expired")
        words = Message(
            "It expired on %(day)s, and OneDrive cannot be reached. Create a new one at Microsoft "
            "and set IMAGEHUB_MS_CLIENT_SECRET on the server to it. Then save its expiry date.",
            day=day,
        )
    else:
        title = mark("The client secret expires soon")
        words = Message(
            "It expires on %(day)s. Before then, create a new one at Microsoft and set "
            "IMAGEHUB_MS_CLIENT_SECRET on the server to it. Otherwise OneDrive can no longer be "
            "reached.",
            day=day,
        )
    yield Ending("secret", day, mark("Client secret"), title, words, CONNECTION_PATH)


def _find_sign_ins(session: Session, clients: Clients, _settings: Settings) -> Iterator[Ending]:
    active = status.describe_connection(session, clients)
    for info in (active, *status.describe_earlier(session, clients)):
        day = find_sign_in_end(info)
        if day is None:
            continue
        words: str = Message(
            "It has not been used for a long time and expires on %(day)s unless it is used before "
            "then. Check that the program “imagehub worker” is running and can reach Microsoft.",
            day=day,
        )
        if info is not active:
            words = Message("%(name)s: %(words)s", name=info.username, words=words)
        yield Ending(
            "sign-in",
            day,
            Message("Sign-in of %(account)s", account=info.username or Stored(mark("Account"))),
            mark("The sign-in at Microsoft expires soon"),
            words,
            CONNECTION_PATH,
        )


_SOURCES: tuple[Callable[[Session, Clients, Settings], Iterator[Ending]], ...] = (
    _find_secret,
    _find_sign_ins,
)
