"""Send mail by SMTP (RFC 5321), with STARTTLS (RFC 3207) or TLS from the start (RFC 8314)."""

import smtplib
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.utils import formatdate
from typing import TypeVar

from imagehub.clients.channels import MAIL, Notice
from imagehub.clients.deadline import Deadline
from imagehub.errors import ImageHubError, ServiceBusyError, ServiceRefusedError
from imagehub.messages import Message, mark

Result = TypeVar("Result")

STARTTLS, TLS, NONE = "starttls", "tls", "none"
# Of submission, of submission with TLS, and of mail servers among themselves (RFC 6409, 8314).
_PORTS = {STARTTLS: 587, TLS: 465, NONE: 25}
# How long each wait for the server, and all of them together, may take.
TIMEOUT_SECONDS = 20.0
TOTAL_SECONDS = 60.0

_CERTIFICATE = mark(
    "The certificate of the mail server %(host)s was not accepted: it is for another name, has "
    "expired, or its issuer is not known. Mail was not sent."
)


@dataclass(frozen=True)
class MailServer:
    """A mail server. ``name``: what this hub calls itself; ``user``: "" for no sign-in there."""

    host: str
    port: int = 0
    security: str = STARTTLS
    user: str = ""
    password: str = field(default="", repr=False)
    name: str = ""
    timeout_seconds: float = TIMEOUT_SECONDS
    total_seconds: float = TOTAL_SECONDS

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port or _PORTS[self.security]}"


@dataclass(frozen=True)
class MailChannel:
    """Mail from one sender to one address; implements :class:`.channels.Channel`."""

    server: MailServer
    sender: str
    address: str

    @property
    def recipient(self) -> str:
        return f"mailto:{self.address}"

    def send(self, notice: Notice) -> None:
        message = self._write(notice)

        def deliver(smtp: smtplib.SMTP) -> None:
            smtp.send_message(message, self.sender, [self.address])

        self._talk("send a message", deliver)

    def check(self) -> str:
        def greet(smtp: smtplib.SMTP) -> None:
            code, _ = smtp.noop()
            if code != 250:
                raise smtplib.SMTPResponseException(code, b"")

        self._talk("check the connection", greet)
        return Message("The mail server %(address)s accepts ImageHub.", address=self.server.address)

    def _write(self, notice: Notice) -> EmailMessage:
        """Write the message; a line break in a header is refused by ``EmailMessage``."""
        message = EmailMessage()
        message["From"], message["To"] = self.sender, self.address
        message["Subject"] = notice.subject
        if notice.reply_to:
            message["Reply-To"] = notice.reply_to
        message["Date"] = formatdate()
        # The same message has the same id, by which mail servers recognise a second one.
        message["Message-ID"] = f"<{notice.id}@{self.sender.rpartition('@')[2]}>"
        # Keeps absence notes away (RFC 3834).
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(notice.text)
        return message

    def _talk(self, operation: str, work: Callable[[smtplib.SMTP], None]) -> None:
        with Deadline(self.server.total_seconds) as deadline, self._explain(operation, deadline):
            smtp = self._connect(deadline)
            try:
                if self.server.user:
                    smtp.login(self.server.user, self.server.password)
                work(smtp)
            finally:
                # What it says to a good-bye does not matter any more.
                with suppress(smtplib.SMTPException, OSError):
                    smtp.quit()
                smtp.close()

    def _connect(self, deadline: Deadline) -> smtplib.SMTP:
        server = self.server
        port, timeout = server.port or _PORTS[server.security], server.timeout_seconds
        name = server.name or "[127.0.0.1]"
        if server.security == TLS:
            context = ssl.create_default_context()
            return _Connection(deadline, server.host, port, name, timeout, context)
        smtp = _Connection(deadline, server.host, port, name, timeout)
        if server.security == STARTTLS:
            try:
                smtp.starttls(context=ssl.create_default_context())
            except BaseException:
                smtp.close()
                raise
        return smtp

    @contextmanager
    def _explain(self, operation: str, deadline: Deadline) -> Iterator[None]:
        """Turn errors of the library into ours; the server's own words are not repeated."""
        try:
            yield
        except (smtplib.SMTPException, OSError, ValueError) as error:
            raise self._make_error(operation, error, deadline) from None

    def _make_error(self, operation: str, error: Exception, deadline: Deadline) -> ImageHubError:
        if deadline.is_over:
            return self._make_slow(operation, deadline.seconds)
        server, host = self.server, self.server.host

        def refuse(reason: str, sentence: str) -> ServiceRefusedError:
            return ServiceRefusedError(MAIL, operation, reason, sentence)

        code = _find_code(error)
        if isinstance(error, ssl.SSLCertVerificationError):
            return refuse("certificate", Message(_CERTIFICATE, host=host))
        if isinstance(error, ssl.SSLError):
            sentence = Message(
                "The mail server %(address)s does not speak TLS as IMAGEHUB_SMTP_SECURITY says. "
                "Check this setting and the port.",
                address=server.address,
            )
            return refuse("no_tls", sentence)
        # It raises the base class if it knows none of the server's ways to sign in.
        has_no_way = type(error) is smtplib.SMTPException
        if has_no_way or isinstance(error, smtplib.SMTPNotSupportedError):
            sentence = Message(
                "The mail server %(address)s offers no STARTTLS, or no way to sign in. Check "
                "IMAGEHUB_SMTP_SECURITY and IMAGEHUB_SMTP_USER. Nothing was sent.",
                address=server.address,
            )
            return refuse("no_tls", sentence)
        if isinstance(error, smtplib.SMTPAuthenticationError) and code >= 500:
            sentence = Message(
                "The mail server %(host)s does not accept the user or the password (status "
                "%(code)s). Check IMAGEHUB_SMTP_USER and IMAGEHUB_SMTP_PASSWORD.",
                host=host,
                code=code,
            )
            return refuse("wrong_credentials", sentence)
        # The library turns a timeout of a reply into a lost connection.
        if isinstance(error, TimeoutError) or isinstance(error.__context__, TimeoutError):
            return self._make_slow(operation, server.timeout_seconds)
        if isinstance(error, socket.gaierror):
            sentence = Message("The mail server %(host)s was not found.", host=host)
            return ServiceBusyError(MAIL, operation, sentence)
        if code >= 500:
            sentence = Message(
                "The mail server %(host)s refused the message from %(sender)s to %(recipient)s "
                "(status %(code)s).",
                host=host,
                sender=self.sender,
                recipient=self.address,
                code=code,
            )
            return refuse("refused", sentence)
        if code:
            sentence = Message(
                "The mail server %(host)s asks to try again later (status %(code)s).",
                host=host,
                code=code,
            )
            return ServiceBusyError(MAIL, operation, sentence)
        sentence = Message(
            "The mail server %(address)s cannot be reached or ended the connection.",
            address=server.address,
        )
        return ServiceBusyError(MAIL, operation, sentence)

    def _make_slow(self, operation: str, seconds: float) -> ServiceBusyError:
        sentence = Message(
            "The mail server %(address)s did not answer within %(seconds)s seconds.",
            address=self.server.address,
            seconds=f"{seconds:g}",
        )
        return ServiceBusyError(MAIL, operation, sentence)


class _Connection(smtplib.SMTP):
    """A connection that a deadline ends, with TLS from the start if there is a context."""

    def __init__(
        self,
        deadline: Deadline,
        host: str,
        port: int,
        name: str,
        timeout: float,
        context: ssl.SSLContext | None = None,
    ) -> None:
        self._deadline = deadline
        self._context = context
        super().__init__(host, port, name, timeout=timeout)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        connection: socket.socket = super()._get_socket(host, port, timeout)  # type: ignore[misc]
        self._deadline.watch(connection)
        if self._context is None:
            return connection
        return self._context.wrap_socket(connection, server_hostname=host)


def _find_code(error: Exception) -> int:
    """Find the status that the server sent, 0 if it sent none."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return max((code for code, _ in error.recipients.values()), default=0)
    return int(getattr(error, "smtp_code", 0) or 0)
