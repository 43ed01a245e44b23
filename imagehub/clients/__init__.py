"""The contracts of the external services that ImageHub uses.

:class:`ObjectStore` is implemented in ``s3`` and :class:`Drive` in ``graph``. ``Identity`` is in
``sign_in``, and its implementation in ``identity``. The contracts describe the methods, and each
implementation passes the contract tests. Vendor errors never leave an implementation: they become
the classes of :mod:`imagehub.errors`.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, BinaryIO, Literal, Protocol

from imagehub.clients.sign_in import Identity
from imagehub.errors import ServiceError

ConflictBehavior = Literal["fail", "replace", "rename"]


@dataclass(frozen=True)
class ObjectInfo:
    """An object in the bucket; ``content_type`` is "" in listings."""

    key: str
    size_bytes: int
    content_type: str = ""


class ObjectStore(Protocol):
    """A bucket of renditions. Keys are relative and never start with a slash."""

    def create_bucket(self) -> None:
        """Create the bucket if it does not exist; safe to call at every start.

        :raise ServiceRefusedError: ``no_bucket``, it does not exist and this key may not create it;
            ``name_taken``, it belongs to someone else; or the key is refused.
        """

    def put_object(self, key: str, data: bytes, content_type: str) -> None:
        """Store an object, which browsers may cache for a year; an existing one is overwritten."""

    def get_object(self, key: str) -> bytes:
        """:raise NotFoundError: no such key."""

    def find_object(self, key: str) -> ObjectInfo | None:
        """Return the facts of an object without its bytes, or None."""

    def delete_objects(self, keys: Iterable[str]) -> None:
        """Delete any number of keys, 1,000 with each request; missing keys are ignored.

        :raise ServiceError: some keys of a batch could not be deleted; no later batch was tried.
        """

    def iter_objects(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """Iterate over all objects whose key starts with ``prefix``, in key order."""

    def make_presigned_url(self, key: str, now: datetime | None = None) -> str:
        """Return an absolute URL for a browser, signed at the start of the current window.

        Needs no network. The same key has the same URL in every process until the window ends. The
        URL is valid for one more window and makes the server send a Cache-Control of one window.

        :param now: aware; the current time by default.
        :raise ValueError: ``now`` is naive.
        """

    def check(self) -> bool:
        """Write a small object, read it through both endpoints, and delete it.

        Return whether scripts of web pages may read its bytes (CORS). If they may not and the
        bucket has no rules, this sets one first.

        :raise ServiceError: the sentence says which endpoint fails and why. With the reason
            ``public_endpoint``, only the address for browsers does not work.
        """


@dataclass(frozen=True)
class Quota:
    """The space of a drive in bytes; None if the service does not tell."""

    total_bytes: int | None = None
    used_bytes: int | None = None
    state: str = "normal"


@dataclass(frozen=True)
class DriveInfo:
    """A drive. ``kind`` is ``personal``, ``business`` or ``documentLibrary``."""

    id: str
    kind: str
    quota: Quota = field(default_factory=Quota)


@dataclass(frozen=True)
class DriveItem:
    """A folder or file of the drive.

    ``size_bytes`` is the listed size (the original's may differ for HEIC). ``created_time`` and
    ``modified_time`` are Graph's own ISO 8601 strings. ``raw`` is Graph's whole answer without the
    download URL.
    """

    id: str
    name: str
    is_folder: bool
    size_bytes: int
    created_time: str
    modified_time: str
    parent_id: str = ""
    mime_type: str = ""
    etag: str = ""
    ctag: str = ""
    quick_xor_hash: str = ""
    child_count: int = 0
    width_px: int = 0
    height_px: int = 0
    is_package: bool = False
    is_deleted: bool = False
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


@dataclass(frozen=True)
class ItemAnswer:
    """The answer about one of several items that were looked up together.

    ``item``: it is inside the root folder. ``is_outside``: it exists outside the root folder.
    ``error``: it cannot be looked up now (ServiceBusyError) or at all. If none of these is set, the
    item does not exist.
    """

    item: DriveItem | None = None
    is_outside: bool = False
    error: ServiceError | None = None


@dataclass(frozen=True)
class ItemPage:
    """One page of a listing. ``next_page`` is an opaque value for the next call, "" at the end."""

    items: Sequence[DriveItem]
    next_page: str = ""


@dataclass(frozen=True)
class ChangePage:
    """One page of the changes of a drive. ``link`` contains a token: store it encrypted.

    ``link`` leads to the next page or, if ``is_last``, to the next changes. ``starts_anew``: the
    requested link was too old; the pages from ``link`` on list all items instead of changes.
    """

    items: Sequence[DriveItem]
    link: str = field(repr=False)
    is_last: bool
    starts_anew: bool = False


@dataclass(frozen=True)
class UploadSession:
    """``upload_url`` is a secret: whoever has it can write this one file."""

    upload_url: str = field(repr=False)
    expires_at: datetime | None = None


@dataclass(frozen=True)
class Download:
    """A downloaded original, and the size and hash that the drive listed for it.

    Of Live Photos the drive lists size and hash of a container but sends only the picture.
    ``is_as_listed``: False if a mismatch was accepted.
    """

    size_bytes: int
    quick_xor_hash: str
    sha256: str
    listed_hash: str = ""
    listed_size_bytes: int = 0
    is_as_listed: bool = True


class Content(Protocol):
    """The content of one original, always the same version of it.

    All methods may raise ServiceBusyError, also because the file changed in the meantime.

    :ivar item: the original's current listing.
    """

    item: DriveItem

    @property
    def url(self) -> str:
        """An address of the content for a browser, valid for minutes. Never store or log it."""

    def fetch_size(self) -> int:
        """Return the number of bytes that are sent, which may differ from the listed size."""

    def read(self, offset: int, length: int) -> bytes: ...

    def iter_bytes(self, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """Iterate over a part of the content; the request is sent at once.

        Close the iterator to end the download early.
        """


@dataclass(frozen=True)
class Subscription:
    """A subscription to the changes of a drive, and when it ends."""

    id: str
    expires_at: datetime


class Subscriptions(Protocol):
    """The change notifications of one drive, sent to an address of the hub.

    All methods may raise ConnectionLostError, ServiceBusyError and ServiceRefusedError.
    """

    def create(self, address: str, secret: str, expires_at: datetime) -> Subscription:
        """Subscribe; the service asks the address for a token at once, before it answers.

        :param address: ``https``; all of this hub's are the same up to the last slash.
        :param secret: sent with each notification, at most 128 characters.
        :param expires_at: at most 42,300 minutes away; the service may choose another time.
        :raise ServiceRefusedError: ``no_answer``, the address did not return the token;
            ``forbidden``, the owner has not allowed enough.
        """

    def renew(self, subscription_id: str, expires_at: datetime) -> Subscription:
        """Let a subscription end later; this also reauthorizes it.

        :raise NotFoundError: there is no such subscription.
        """

    def delete(self, subscription_id: str) -> None:
        """End a subscription, if it exists."""


class Drive(Protocol):
    """One connected drive, limited to its root folder.

    Every method that takes an id first checks that the item is inside the root folder, and raises
    NotFoundError("drive item", id) if it is not. All may raise ConnectionLostError,
    ServiceBusyError and ServiceRefusedError.

    :ivar root_folder: the setting, see :meth:`get_root`.
    """

    root_folder: str

    @property
    def subscriptions(self) -> Subscriptions:
        """The notifications of changes, which cover the whole drive."""

    def get_drive(self) -> DriveInfo:
        """Fetch the drive with its quota.

        :raise NotFoundError: the account has no OneDrive.
        """

    def get_root(self) -> DriveItem:
        """Fetch the root folder (``IMAGEHUB_ROOT_FOLDER``: "root", an item id, or a path).

        :raise NotFoundError: it does not exist, or is in another drive.
        """

    def get_item(self, item_id: str) -> DriveItem: ...

    def find_items(self, item_ids: Sequence[str]) -> list[ItemAnswer]:
        """Look up many items with few calls; the answers are in the order of the ids.

        When the service becomes too busy, the remaining answers hold that error.

        :raise NotFoundError: the root folder does not exist.
        """

    def find_item_by_path(self, path: str) -> DriveItem | None:
        """Find an item by its path below the root folder.

        :param path: separated by "/", not percent-encoded; "" is the root folder.
        """

    def find_child(self, folder_id: str, name: str) -> DriveItem | None:
        """Find an item by its name in a folder, case-insensitively."""

    def list_children(self, folder_id: str, next_page: str = "", page_size: int = 200) -> ItemPage:
        """Fetch one page of a folder, in the service's order.

        :param next_page: from the previous page. A browser may have changed it, so the items that
            it leads to are checked against the root folder like any id.
        :param page_size: 1 to 1000.
        """

    def iter_children(self, folder_id: str) -> Iterator[DriveItem]:
        """Iterate over all children in the service's order, without duplicates."""

    def fetch_changes(self, link: str = "") -> ChangePage:
        """Fetch a page of the changes since ``link``, or of all items, of the whole drive.

        A page holds the latest state of each item. Unlike all other methods it also returns items
        outside the root folder; do not show them. Deleted items may have only an id, and a deleted
        folder stands for everything in it.
        """

    def create_folder(
        self, parent_id: str, name: str, on_conflict: ConflictBehavior = "rename"
    ) -> DriveItem:
        """Create a folder.

        :param on_conflict: if the name is taken: refuse, append a number ("rename"), or return the
            existing folder ("replace").
        :raise InvalidInputError: OneDrive does not accept the name.
        :raise ServiceRefusedError: ``name_taken`` (with "fail", or "replace" on a file).
        """

    def rename_item(self, item_id: str, name: str) -> DriveItem:
        """Rename an item.

        :raise NotAllowedError: it is the root folder.
        :raise InvalidInputError: OneDrive does not accept the name.
        :raise ServiceRefusedError: ``name_taken``.
        """

    def move_item(self, item_id: str, new_parent_id: str) -> DriveItem:
        """Move an item to a folder inside the root folder.

        :raise InvalidInputError: into itself or a folder below it.
        :raise NotAllowedError, ServiceRefusedError: as :meth:`rename_item`.
        """

    def delete_item(self, item_id: str) -> None:
        """Move an item to the recycle bin.

        :raise NotAllowedError: it is the root folder.
        """

    def restore_item(self, item_id: str, parent_id: str) -> DriveItem:
        """Restore an item from the recycle bin into a folder inside the root folder.

        The service does not tell where an item in the bin came from: the caller must know that it
        was inside the root folder.

        :raise NotFoundError: it is not in the bin, or the folder does not exist.
        :raise ServiceRefusedError: ``not_supported`` (drives of work accounts), ``forbidden``,
            ``name_taken`` …
        """

    def create_upload_session(
        self, parent_id: str, name: str, on_conflict: ConflictBehavior = "fail"
    ) -> UploadSession:
        """Create a session with an address to which a browser uploads one new file.

        :raise InvalidInputError: OneDrive does not accept the name.
        :raise ServiceRefusedError: ``name_taken``, ``quota_full`` …
        """

    def upload_file(
        self,
        parent_id: str,
        name: str,
        file: BinaryIO,
        size_bytes: int,
        address: str = "",
        remember: Callable[[str], None] | None = None,
    ) -> DriveItem:
        """Upload a new file in fragments; if the name is taken, OneDrive adds a number to it.

        :param file: seekable; its first ``size_bytes`` bytes (at least one) are sent.
        :param address: of an earlier attempt to upload the same bytes, which is continued if
            OneDrive still knows it; "" for none.
        :param remember: called with a new address before bytes are sent to it. With it, an upload
            that is interrupted or finds OneDrive busy can be continued; else it is cancelled.
        :raise InvalidInputError: OneDrive does not accept the name.
        :raise ServiceBusyError: the file may have arrived all the same: look before trying again.
        :raise ServiceRefusedError: ``quota_full`` …
        """

    def create_empty_file(
        self, parent_id: str, name: str, on_conflict: ConflictBehavior = "fail"
    ) -> DriveItem:
        """Create a file without content, which an upload session cannot do.

        Errors as of :meth:`create_upload_session`.
        """

    def download(
        self, item: DriveItem, target: BinaryIO, max_bytes: int, accepts_mismatch: bool = False
    ) -> Download:
        """Download an original into ``target`` and check it by its listed hash, else its size.

        :param target: seekable; written from its position on, then truncated.
        :param accepts_mismatch: do not check it.
        :raise PictureTooLargeError: more than ``max_bytes`` (listed or sent).
        :raise ContentMismatchError: the content does not match what is listed.
        :raise ServiceBusyError: cut short; try again.
        :raise ServiceRefusedError: ``not_supported`` for items without content, ``malware`` …
        """

    def fetch_download_url(self, item_id: str) -> str:
        """Fetch a new address of the content, valid for minutes. Never store or log it."""

    def open_content(self, item_id: str) -> Content:
        """Open the content of an original, to look into it and to forward it to a browser."""

    def iter_download(self, item_id: str, chunk_bytes: int = 262_144) -> Iterator[bytes]:
        """Iterate over the content of an original, unchecked, to forward it to a browser.

        The request is sent at once, so that an error is raised here and not after a response has
        begun. Close the iterator to end the download early.
        """

    def fetch_thumbnail(self, item_id: str, size: str = "medium") -> tuple[bytes, str] | None:
        """Return (bytes, content type) of a ``small``, ``medium`` or ``large`` thumbnail.

        :raise InvalidInputError: another size.
        """

    def fetch_preview(self, item_id: str) -> bytes | None:
        """Return the largest preview that the service draws, up to 1920 pixels wide and high.

        None: there is none, or not yet; the service makes previews some time after a change, and of
        some files never.
        """


class Vault(Protocol):
    """Encrypts secrets for the database (see ``domain.vault``)."""

    def seal(self, text: str) -> bytes: ...

    def open(self, sealed: bytes) -> str:
        """:raise ValueError: encrypted with an unknown key, or damaged."""

    def reseal(self, sealed: bytes) -> bytes | None:
        """Encrypt again with the first key; None if that was used already.

        :raise ValueError: as :meth:`open`.
        """


class Renderer(Protocol):
    """Makes renditions in other processes (see ``imaging.pool``)."""

    def render(self, path: str, mark: Any = None) -> Any: ...

    def mark(self, path: str, mark: Any, label_px: int) -> bytes: ...

    def make_mark_picture(self, path: str) -> bytes: ...

    def make_logo(self, path: str) -> tuple[bytes, int, int]: ...

    def close(self) -> None: ...


@dataclass(frozen=True)
class Clients:
    """The external services, as passed to domain functions.

    ``open_drive(account_id)`` returns the drive of a connected account, limited to the root folder;
    ``open_whole_drive`` the whole drive, only for choosing the root folder. ``renderer`` is set in
    the worker only.
    """

    store: ObjectStore
    identity: Identity
    open_drive: Callable[[int], Drive]
    open_whole_drive: Callable[[int], Drive]
    vault: Vault
    renderer: Renderer | None = None
