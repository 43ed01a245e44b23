"""The contract of what carries messages to people: ``mail`` and ``webhook`` implement it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

MAIL = "mail server"
WEBHOOK = "webhook"


@dataclass(frozen=True)
class Notice:
    """A message, the same in both forms.

    ``id`` stays the same when a message is sent again, so that the recipient can drop the second
    one. ``data``: the content as JSON, for programs. ``reply_to``: the plain address that an answer
    by mail goes to, "" for the sender's.
    """

    id: str
    subject: str
    text: str
    data: Mapping[str, Any] = field(default_factory=dict)
    reply_to: str = ""


class Channel(Protocol):
    """A way to one recipient."""

    @property
    def recipient(self) -> str:
        """Name the recipient in the database and for people; holds no secret."""

    def send(self, notice: Notice) -> None:
        """Send a message; it has been accepted when this returns.

        :raise ServiceBusyError: try again.
        :raise ServiceRefusedError: it will be refused again, until a setting is corrected.
        """

    def check(self) -> str:
        """Try the connection as far as possible without sending; say what was tried.

        :raise ServiceBusyError, ServiceRefusedError: as :meth:`send`.
        """
