"""Post messages as signed JSON to an address of the owner's choice."""

import hashlib
import hmac
import json
import time
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import requests

from imagehub.clients.channels import WEBHOOK, Notice
from imagehub.clients.deadline import Deadline, DeadlineAdapter
from imagehub.clients.http import NoAuth, make_session, parse_retry_after
from imagehub.errors import ServiceBusyError, ServiceRefusedError
from imagehub.messages import Message

# How long each wait for the server, and all of them together, may take.
TIMEOUT_SECONDS = 20.0
TOTAL_SECONDS = 60.0
# These statuses mean that the same request may succeed later (RFC 9110, 6585).
_PASSING = frozenset({408, 425, 429})


def sign(secret: str, timestamp: str, body: bytes) -> str:
    """Return the signature of a body: HMAC-SHA256 of ``timestamp.body`` in hexadecimal."""
    signed = timestamp.encode() + b"." + body
    return "sha256=" + hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()


@dataclass(frozen=True)
class WebhookChannel:
    """One address; implements :class:`.channels.Channel`.

    The address may contain a secret, as those of chat services do, so only its host is told.
    """

    url: str = field(repr=False)
    secret: str = field(repr=False)
    timeout_seconds: float = TIMEOUT_SECONDS
    total_seconds: float = TOTAL_SECONDS

    @property
    def recipient(self) -> str:
        return f"webhook:{self.host}"

    @property
    def host(self) -> str:
        parts = urlsplit(self.url)
        return (parts.hostname or "") + (f":{parts.port}" if parts.port else "")

    def send(self, notice: Notice) -> None:
        content = {"id": notice.id, **notice.data}
        body = json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()
        timestamp = str(int(time.time()))
        headers = {
            "Content-Type": "application/json",
            "X-ImageHub-Id": notice.id,
            "X-ImageHub-Timestamp": timestamp,
            "X-ImageHub-Signature": sign(self.secret, timestamp, body),
        }
        response = self._post("send a message", body, headers)
        self._judge(response)

    def check(self) -> str:
        """Connect, without a message: only the certificate and an answer of any status count."""
        with self._open("check the connection", "HEAD", b"", {}):
            return Message("The webhook’s server %(host)s answers.", host=self.host)

    def _post(self, operation: str, body: bytes, headers: dict[str, str]) -> requests.Response:
        with self._open(operation, "POST", body, headers) as response:
            return response

    def _open(
        self, operation: str, method: str, body: bytes, headers: dict[str, str]
    ) -> requests.Response:
        """Send a request; the body of its answer is not read."""
        deadline = Deadline(self.total_seconds)
        try:
            with deadline, make_session("ImageHub") as session:
                for scheme in ("http://", "https://"):
                    session.mount(scheme, DeadlineAdapter(deadline))
                return session.request(
                    method,
                    self.url,
                    data=body,
                    headers=headers,
                    auth=NoAuth(),
                    timeout=self.timeout_seconds,
                    allow_redirects=False,
                    stream=True,
                )
        # The texts of these errors contain the address.
        except (requests.RequestException, UnicodeError) as error:
            raise self._make_error(operation, error, deadline) from None

    def _make_error(
        self, operation: str, error: Exception, deadline: Deadline
    ) -> ServiceBusyError | ServiceRefusedError:
        if deadline.is_over or isinstance(error, requests.exceptions.Timeout):
            sentence = Message(
                "The webhook’s server %(host)s did not answer within %(seconds)s seconds.",
                host=self.host,
                seconds=f"{deadline.seconds if deadline.is_over else self.timeout_seconds:g}",
            )
            return ServiceBusyError(WEBHOOK, operation, sentence)
        if isinstance(error, requests.exceptions.SSLError):
            sentence = Message(
                "The certificate of the webhook’s server %(host)s was not accepted: it is for "
                "another name, has expired, or its issuer is not known. Nothing was sent.",
                host=self.host,
            )
            return ServiceRefusedError(WEBHOOK, operation, "certificate", sentence)
        sentence = Message(
            "The webhook’s server %(host)s cannot be reached or ended the connection.",
            host=self.host,
        )
        return ServiceBusyError(WEBHOOK, operation, sentence)

    def _judge(self, response: requests.Response) -> None:
        status, operation = response.status_code, "send a message"
        if 200 <= status < 300:
            return
        if 300 <= status < 400:
            sentence = Message(
                "The webhook’s server %(host)s redirects (status %(code)s), which ImageHub does "
                "not follow. Set IMAGEHUB_NOTIFY_WEBHOOK_URL to the final address.",
                host=self.host,
                code=status,
            )
            raise ServiceRefusedError(WEBHOOK, operation, "redirect", sentence)
        sentence = Message(
            "The webhook’s server %(host)s refused the message (status %(code)s).",
            host=self.host,
            code=status,
        )
        if status >= 500 or status in _PASSING:
            seconds = parse_retry_after(response.headers.get("Retry-After")) or 0.0
            raise ServiceBusyError(WEBHOOK, operation, sentence, seconds)
        raise ServiceRefusedError(WEBHOOK, operation, "refused", sentence)
