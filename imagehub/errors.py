"""The errors that ImageHub raises on purpose.

::

    ImageHubError
    ├── InvalidInputError          invalid input; ``fields`` names the fields and faults
    ├── NotAllowedError            not permitted for this person
    │   └── WriteAccessError         the hub has only read access to OneDrive
    ├── TooManyTriesError          throttled; try again after ``retry_after_seconds``
    │   ├── BusyError                too many passwords are being checked at this moment
    │   └── TooManyEnquiriesError    visitors have sent too many enquiries
    ├── NotFoundError              does not exist, or is not visible to this person
    │   ├── RootFolderGoneError      the root folder is not in OneDrive
    │   └── ShareEndedError          the share link was revoked or has expired
    ├── ConflictError              changed in the meantime, or the name is taken
    ├── PictureError               this file can never be imported
    │   ├── UnreadablePictureError   broken, truncated or not a picture
    │   │   └── IncompletePictureError   it ends too early
    │   └── PictureTooLargeError     over the limit of pixels, bytes or seconds
    ├── ConnectionLostError        a person must connect OneDrive again
    └── ServiceError               another service failed
        ├── ServiceBusyError         temporary: try again after ``retry_after_seconds``
        └── ServiceRefusedError      permanent: trying again does not help

Facts are attributes; ``str(error)`` is one plain sentence that may be shown to a person and never
contains a token, a signed address or a stack trace. A sentence is a constant, or a
:class:`imagehub.messages.Message` if it contains values, so that it can be translated. Only
``web.errors`` maps errors to HTTP statuses.
"""

from collections.abc import Mapping

from imagehub.messages import mark


class ImageHubError(Exception):
    """The base of all errors of ImageHub."""

    @property
    def sentence(self) -> str:
        """Return the sentence for people, as a ``Message`` if it was raised with one."""
        return self.args[0] if self.args and isinstance(self.args[0], str) else str(self)


class InvalidInputError(ImageHubError):
    """The input is invalid. ``fields``: field name → its fault."""

    def __init__(self, message: str, fields: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.fields = dict(fields or {})


class NotAllowedError(ImageHubError):
    """The person is known but may not do this."""


class WriteAccessError(NotAllowedError):
    """ImageHub has only read access to OneDrive."""

    def __init__(self) -> None:
        super().__init__(
            "ImageHub may only read in OneDrive so far. Allow uploads and changes on the "
            "connection page first."
        )


class TooManyTriesError(ImageHubError):
    """Too many failed attempts: none is checked before ``retry_after_seconds`` have passed."""

    def __init__(self, retry_after_seconds: int) -> None:
        super().__init__(mark("Too many failed attempts. Wait a while and try again."))
        self.retry_after_seconds = retry_after_seconds


class TooManyEnquiriesError(TooManyTriesError):
    """So many enquiries came, from one address or from all, that no more are taken for a while."""

    def __init__(self, retry_after_seconds: int) -> None:
        super().__init__(retry_after_seconds)
        self.args = (mark("Too many messages were sent just now. Please try again later."),)


class BusyError(TooManyTriesError):
    """Too many passwords are being checked at this moment; this one was not."""

    def __init__(self) -> None:
        super().__init__(5)
        self.args = (mark("Many passwords are being checked. Try again in a few seconds."),)


# Kind of the missing object → the sentence.
_NOT_FOUND = {
    "ended share link": mark("This link is no longer valid."),
    "enquiry": mark("There is no such enquiry."),
    "print file": mark("There is no such print file."),
    "drive item": mark("This file or folder is no longer in OneDrive."),
    "OneDrive": mark(
        "This Microsoft account has no OneDrive yet. Sign in to onedrive.com once to set it up, "
        "or connect another account."
    ),
    "account": mark("There is no such account."),
    "deletion": mark("There is no such deletion."),
    "file": mark("There is no such file."),
    "file in this plan": mark("There is no such file in this plan."),
    "folder": mark("There is no such folder."),
    "group": mark("There is no such group."),
    "image": mark("There is no such image."),
    "import": mark("There is no such import."),
    "import plan": mark("There is no such import plan."),
    "menu entry": mark("There is no such entry in a menu."),
    "object": mark("There is no such object."),
    "OneDrive account": mark("There is no such OneDrive account."),
    "original in OneDrive": mark("The original is not in OneDrive."),
    "original in OneDrive any more": mark("The original is no longer in OneDrive."),
    "page": mark("There is no such page."),
    "picture": mark("There is no such image."),
    "proposed group": mark("There is no such proposed group."),
    "rendition": mark("There is no such rendition."),
    "root folder": mark("There is no such root folder."),
    "series": mark("There is no such series."),
    "session": mark("There is no such session."),
    "share link": mark("There is no such share link."),
    "shot": mark("There is no such shot."),
    "size": mark("There is no such size."),
    "tag": mark("There is no such tag."),
    "thing in the trash": mark("This entry is not in the trash."),
    "thumbnail": mark("There is no such thumbnail."),
    "subscription": mark("There is no such subscription."),
    "token": mark("There is no such token."),
    "version": mark("There is no such version."),
    "watched folder": mark("There is no such watched folder."),
    "work": mark("There is no such work."),
}


class NotFoundError(ImageHubError):
    """The object does not exist or this person may not see it; the answer is the same.

    ``kind``: "group", "drive item" … ``key``: the requested number or id.
    """

    def __init__(self, kind: str, key: object) -> None:
        super().__init__(_NOT_FOUND.get(kind, f"There is no such {kind}."))
        self.kind, self.key = kind, key


class ShareEndedError(NotFoundError):
    """The share link was revoked or has expired; anyone who has its address may be told."""

    def __init__(self) -> None:
        super().__init__("ended share link", "")


class RootFolderGoneError(NotFoundError):
    """The root folder is not in OneDrive; a person must restore it or choose another."""

    def __init__(self, key: object) -> None:
        super().__init__("root folder", key)
        self.args = ("The root folder set for this hub does not exist in OneDrive.",)


class ConflictError(ImageHubError):
    """The object was changed in the meantime, or the name is taken."""


class PictureError(ImageHubError):
    """This file can never be imported."""


class UnreadablePictureError(PictureError):
    """The file is broken, truncated or not a picture."""


class IncompletePictureError(UnreadablePictureError):
    """The file ends too early."""


class PictureTooLargeError(PictureError):
    """The picture is over the limit of pixels, bytes or seconds."""


# Why an account must be reconnected after a claims challenge.
STEP_REQUIRED = mark(
    "The organisation requires an additional step to sign in. OneDrive must be reconnected."
)


class ConnectionLostError(ImageHubError):
    """A person must sign in at Microsoft again.

    ``account``: the user name of the connected account, if known. ``code``: Microsoft's error code
    (``invalid_grant`` …), for the log and the health page. ``claims``: what the next sign-in must
    satisfy, as Microsoft sent it. ``is_certain``: False if the refusal may be a passing fault,
    which is believed only when it is repeated.
    """

    def __init__(
        self,
        reason: str = mark("OneDrive must be reconnected."),
        account: str = "",
        code: str = "",
        claims: str = "",
        is_certain: bool = True,
    ) -> None:
        super().__init__(reason)
        self.account, self.code, self.claims, self.is_certain = account, code, claims, is_certain


# The service that issues tokens; of its refusals, pages lead to the connection.
SIGN_IN = "Microsoft sign-in"
# The reasons of its refusals that end by themselves, once somebody has corrected the cause.
WRONG_CLIENT_SECRET = "wrong_client_secret"  # noqa: S105 - the code of an error
WRONG_REGISTRATION = "wrong_registration"
NEEDS_ADMINISTRATOR = "needs_administrator"


class ServiceError(ImageHubError):
    """Another service failed: "OneDrive", "object storage" or "Microsoft sign-in".

    ``operation``: a verb phrase: "list a folder".
    """

    def __init__(self, service: str, operation: str, message: str) -> None:
        super().__init__(message)
        self.service, self.operation = service, operation


# Service → the default sentence.
_BUSY = {
    "OneDrive": mark("OneDrive is busy at the moment. Please try again later."),
    "object storage": mark("The object storage is busy at the moment. Please try again later."),
    SIGN_IN: mark("Microsoft’s sign-in is busy at the moment. Please try again later."),
}
_REFUSED = {
    "OneDrive": mark("OneDrive refused the request."),
    "object storage": mark("The object storage refused the request."),
    SIGN_IN: mark("Microsoft’s sign-in refused the request."),
}


class ServiceBusyError(ServiceError):
    """The service is throttling, down or unreachable; trying again may help.

    ``retry_after_seconds``: when to try again; an estimate if the service named none.
    """

    def __init__(
        self, service: str, operation: str, message: str = "", retry_after_seconds: float = 30.0
    ) -> None:
        super().__init__(service, operation, message or _BUSY[service])
        self.retry_after_seconds = retry_after_seconds


class ContentMismatchError(ServiceBusyError):
    """OneDrive sent content that matches neither the size nor the hash that it lists.

    Trying again helps if the listing is late; if it stays wrong, a person may accept the content.
    """


class ServiceRefusedError(ServiceError):
    """The service refused the request; trying again does not help.

    ``reason``: a short word for code to compare: ``name_taken``, ``quota_full``,
        ``forbidden_name``, ``locked``, ``malware``, ``not_supported``, ``bad_answer``,
        ``wrong_client_secret``, ``wrong_registration``, ``needs_administrator``,
        ``wrong_credentials`` …
    ``claims``: what Microsoft's next sign-in must satisfy, mostly "".
    """

    def __init__(
        self, service: str, operation: str, reason: str, message: str = "", claims: str = ""
    ) -> None:
        super().__init__(service, operation, message or _REFUSED[service])
        self.reason, self.claims = reason, claims
