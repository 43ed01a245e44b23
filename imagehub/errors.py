"""Every error that ImageHub raises on purpose.

::

    ImageHubError
    ├── InvalidInputError          what was sent cannot be used; ``fields`` says which and why
    ├── NotAllowedError            signed in, but not permitted
    │   └── WriteAccessError         the hub itself may only read in OneDrive so far
    ├── TooManyTriesError          wait for ``retry_after_seconds``, whoever you are
    ├── NotFoundError              not there, or not to be seen by this person
    │   └── RootFolderGoneError      the folder that the hub is closed at is not in OneDrive
    ├── ConflictError              the thing changed, or the name is taken
    ├── PictureError               this file will never become a picture here
    │   ├── UnreadablePictureError   broken, cut short or no picture at all
    │   └── PictureTooLargeError     over the limit of pixels, bytes or seconds
    ├── ConnectionLostError        OneDrive must be connected again by a person
    └── ServiceError               another program did not do its part
        ├── ServiceBusyError         passing: try again after ``retry_after_seconds``
        └── ServiceRefusedError      lasting: trying again will not help

Facts are attributes; ``str(error)`` is one plain sentence that may be shown to a person and never
holds a token, an address with a signature, or a stack trace. A sentence is a constant, or a
:class:`imagehub.messages.Message` where it holds values, so that it can be translated. Only
``web.errors`` knows which HTTP status an error becomes.
"""

from collections.abc import Mapping

from imagehub.messages import mark


class ImageHubError(Exception):
    """The root of every error raised on purpose."""

    @property
    def sentence(self) -> str:
        """The sentence for people, still translatable where it is a ``Message``."""
        return self.args[0] if self.args and isinstance(self.args[0], str) else str(self)


class InvalidInputError(ImageHubError):
    """What was sent cannot be used.

    :param message: one sentence for a person.
    :param fields: field name → what is wrong with it.
    """

    def __init__(self, message: str, fields: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.fields = dict(fields or {})


class NotAllowedError(ImageHubError):
    """The person is known but may not do this."""


class WriteAccessError(NotAllowedError):
    """The owner has allowed ImageHub to read in OneDrive, and nothing more yet."""

    def __init__(self) -> None:
        super().__init__(
            "ImageHub may only read in OneDrive so far. Allow uploads and changes on the "
            "connection page first."
        )


class TooManyTriesError(ImageHubError):
    """Too many failed tries; nothing was checked.

    :param retry_after_seconds: whole seconds until the next try is looked at.
    """

    def __init__(self, retry_after_seconds: int) -> None:
        super().__init__(mark("Too many failed attempts. Wait a while and try again."))
        self.retry_after_seconds = retry_after_seconds


# What was looked for → the sentence.
_NOT_FOUND = {
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
    "object": mark("There is no such object."),
    "OneDrive account": mark("There is no such OneDrive account."),
    "original in OneDrive any more": mark("The original is no longer in OneDrive."),
    "page": mark("There is no such page."),
    "picture": mark("There is no such image."),
    "proposed group": mark("There is no such proposed group."),
    "rendition": mark("There is no such rendition."),
    "root folder": mark("There is no such root folder."),
    "session": mark("There is no such session."),
    "share link": mark("There is no such share link."),
    "shot": mark("There is no such shot."),
    "size": mark("There is no such size."),
    "tag": mark("There is no such tag."),
    "thing in the trash": mark("This entry is not in the trash."),
    "thumbnail": mark("There is no such thumbnail."),
    "token": mark("There is no such token."),
    "version": mark("There is no such version."),
    "work": mark("There is no such work."),
}


class NotFoundError(ImageHubError):
    """Nothing there, or nothing this person may see: both read the same.

    :param kind: what was looked for, in the words of the site: "group", "drive item".
    :param key: the number or id that was asked for.
    """

    def __init__(self, kind: str, key: object) -> None:
        super().__init__(_NOT_FOUND.get(kind, f"There is no such {kind}."))
        self.kind = kind
        self.key = key


class RootFolderGoneError(NotFoundError):
    """The root folder is not in OneDrive (any more); a person must bring it back or choose again.

    :param key: the root folder as it is set, or its id.
    """

    def __init__(self, key: object) -> None:
        super().__init__("root folder", key)
        self.args = ("The root folder set for this hub does not exist in OneDrive.",)


class ConflictError(ImageHubError):
    """The thing was changed in the meantime, or the name is taken."""


class PictureError(ImageHubError):
    """This file cannot become a picture here, however often it is tried."""


class UnreadablePictureError(PictureError):
    """The bytes are broken, cut short, or not a picture."""


class PictureTooLargeError(PictureError):
    """Over the limit of pixels, bytes or seconds."""


class ConnectionLostError(ImageHubError):
    """A person has to sign in at Microsoft again.

    :param account: the user name of the connected account, as far as known.
    :param reason: one plain sentence.
    :param code: Microsoft's error word (``invalid_grant`` …), for the log and the health page.
    """

    def __init__(
        self, reason: str = "OneDrive must be reconnected.", account: str = "", code: str = ""
    ) -> None:
        super().__init__(reason)
        self.account = account
        self.code = code


class ServiceError(ImageHubError):
    """Another program (OneDrive, object storage, database …) did not do its part.

    :param service: "OneDrive", "object storage", "Microsoft sign-in" …
    :param operation: what was being done, as a verb phrase: "list a folder".
    """

    def __init__(self, service: str, operation: str, message: str) -> None:
        super().__init__(message)
        self.service = service
        self.operation = operation


# Service → the sentence where there is none that says more.
_BUSY = {
    "OneDrive": mark("OneDrive is busy at the moment. Please try again later."),
    "object storage": mark("The object storage is busy at the moment. Please try again later."),
    "Microsoft sign-in": mark("Microsoft’s sign-in is busy at the moment. Please try again later."),
}
_REFUSED = {
    "OneDrive": mark("OneDrive refused the request."),
    "object storage": mark("The object storage refused the request."),
    "Microsoft sign-in": mark("Microsoft’s sign-in refused the request."),
}


class ServiceBusyError(ServiceError):
    """It may pass: throttled, down, or not reached.

    :param retry_after_seconds: when to try again; an estimate where the service named none.
    """

    def __init__(
        self,
        service: str,
        operation: str,
        message: str = "",
        retry_after_seconds: float = 30.0,
    ) -> None:
        super().__init__(service, operation, message or _BUSY[service])
        self.retry_after_seconds = retry_after_seconds


class ServiceRefusedError(ServiceError):
    """It will not pass by waiting.

    :param reason: a short word that code can compare: ``name_taken``, ``quota_full``,
        ``forbidden_name``, ``locked``, ``malware``, ``not_supported``, ``bad_answer``,
        ``wrong_client_secret``, ``wrong_credentials`` …
    """

    def __init__(self, service: str, operation: str, reason: str, message: str = "") -> None:
        super().__init__(service, operation, message or _REFUSED[service])
        self.reason = reason
