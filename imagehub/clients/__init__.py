"""The contracts of the external services that ImageHub uses.

:class:`ObjectStore` is implemented in ``s3``, :class:`Drive` in ``graph`` and :class:`Identity` in
``identity``; each implementation passes the contract tests. Vendor errors never leave an
implementation: they become the classes of :mod:`imagehub.errors`. A function that needs only a part
of a drive asks for that part: :class:`DriveReader`, :class:`DriveEditor` and so on.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, BinaryIO, Literal, Protocol

from imagehub.errors import ServiceError

ConflictBehavior = Literal["fail", "replace", "rename"]


# --- Object store ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class ObjectInfo:
    """An object in the bucket. ``size_bytes`` as stored; ``modified_at`` aware UTC."""

    key: str
    size_bytes: int
    modified_at: datetime
    content_type: str = ""


class ObjectStore(Protocol):
    """A bucket of renditions. Keys are relative and never start with a slash."""

    def create_bucket(self) -> None:
        """Create the bucket if it does not exist; safe to call at every start."""

    def put_object(self, key: str, data: bytes, content_type: str) -> None:
        """Store an object with a long Cache-Control; an existing one is overwritten."""

    def get_object(self, key: str) -> bytes:
        """:raise NotFoundError: no such key."""

    def find_object(self, key: str) -> ObjectInfo | None:
        """Return the facts of an object without its bytes, or None."""

    def delete_objects(self, keys: Iterable[str]) -> None:
        """Delete any number of keys in batches; missing keys are ignored."""

    def iter_objects(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """Iterate over all objects, page by page, in key order."""

    def make_presigned_url(self, key: str, now: datetime | None = None) -> str:
        """Return an absolute URL for a browser, signed at the start of the current window.

        Needs no network. The same key has the same URL in every process until the window ends, and
        the URL stays valid for one more window.
        """

    def check(self) -> None:
        """Write a small object, read it through both endpoints, and delete it.

        :raise ServiceError: the sentence says which endpoint fails and why.
        """


# --- Drive ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Quota:
    """The space of a drive in bytes; None if the service does not tell."""

    total_bytes: int | None = None
    used_bytes: int | None = None
    remaining_bytes: int | None = None
    state: str = "normal"

    def find_used(self) -> int | None:
        """Return the used bytes, calculated if the service tells only the others."""
        total, remaining = self.total_bytes, self.remaining_bytes
        if self.used_bytes is None and total is not None and remaining is not None:
            return max(0, total - remaining)
        return self.used_bytes


@dataclass(frozen=True)
class DriveInfo:
    """A drive. ``kind`` is ``personal``, ``business`` or ``documentLibrary``."""

    id: str
    kind: str
    owner_name: str = ""
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
    drive_id: str = ""
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
    """

    size_bytes: int
    quick_xor_hash: str
    sha256: str
    listed_hash: str = ""
    listed_size_bytes: int = 0


class DriveReader(Protocol):
    """Look at items. The root folder is the limit, as for all protocols of a drive.

    Every method that takes an id first checks that the item is inside the root folder, and raises
    NotFoundError("drive item", id) if it is not. All may raise ConnectionLostError,
    ServiceBusyError and ServiceRefusedError.

    :ivar root_folder: the setting, see :meth:`get_root`.
    """

    root_folder: str

    def get_drive(self) -> DriveInfo:
        """Return the drive with its quota."""

    def get_root(self) -> DriveItem:
        """Return the root folder (``IMAGEHUB_ROOT_FOLDER``: "root", an item id, or a path)."""

    def get_item(self, item_id: str) -> DriveItem: ...

    def find_item_by_path(self, path: str) -> DriveItem | None:
        """Find an item by its path below the root folder.

        :param path: separated by "/", not percent-encoded; "" is the root folder.
        """

    def find_child(self, folder_id: str, name: str) -> DriveItem | None:
        """Find an item by its name in a folder, case-insensitively."""

    def list_children(
        self, folder_id: str, next_page: str = "", page_size: int = 200
    ) -> ItemPage: ...

    def iter_children(self, folder_id: str) -> Iterator[DriveItem]:
        """Iterate over all children, page by page, in the service's order."""


class DriveChanges(Protocol):
    """Find out what changed since the last check."""

    def find_items(self, item_ids: Sequence[str]) -> list[ItemAnswer]:
        """Look up many items with few calls; the answers are in the order of the ids.

        When the service becomes too busy, the remaining answers hold that error.

        :raise NotFoundError: the root folder does not exist.
        """

    def fetch_changes(self, link: str = "") -> ChangePage:
        """Fetch one page of the changes since ``link``, or of all items, of the whole drive.

        Unlike all other methods it also returns items outside the root folder; do not show them.
        Deleted items may have only an id, and a deleted folder stands for everything in it.
        """


class DriveEditor(Protocol):
    """Create, rename, move and delete items. Checks and errors as in :class:`DriveReader`."""

    def create_folder(
        self, parent_id: str, name: str, on_conflict: ConflictBehavior = "rename"
    ) -> DriveItem: ...

    def rename_item(self, item_id: str, name: str) -> DriveItem: ...

    def move_item(self, item_id: str, new_parent_id: str, name: str = "") -> DriveItem: ...

    def delete_item(self, item_id: str) -> None:
        """Move an item to the recycle bin.

        :raise NotAllowedError: it is the root folder.
        """

    def restore_item(self, item_id: str, parent_id: str) -> DriveItem:
        """Restore an item from the recycle bin into a folder inside the root folder.

        The service does not tell where an item in the bin came from: the caller must know that it
        was inside the root folder.

        :raise NotFoundError: it is not in the bin, or the folder does not exist.
        :raise ServiceRefusedError: ``not_supported`` (drives of work accounts), ``name_taken`` …
        """


class DriveUploads(Protocol):
    """Start uploads. Checks and errors as in :class:`DriveReader`."""

    def create_upload_session(
        self, parent_id: str, name: str, on_conflict: ConflictBehavior = "fail"
    ) -> UploadSession: ...

    def create_empty_file(
        self, parent_id: str, name: str, on_conflict: ConflictBehavior = "fail"
    ) -> DriveItem:
        """Create a file without content, which an upload session cannot do."""


class DriveContent(Protocol):
    """Read the content of files. Checks and errors as in :class:`DriveReader`."""

    def download(self, item: DriveItem, target: BinaryIO, max_bytes: int) -> Download:
        """Download an original into ``target`` and check its size and hash.

        :raise PictureTooLargeError: more than ``max_bytes`` (listed or sent).
        :raise ServiceBusyError: cut short, or the content does not match; try again.
        """

    def fetch_download_url(self, item_id: str) -> str:
        """Return a new address of the content, valid for minutes. Never store or log it."""

    def iter_download(self, item_id: str, chunk_bytes: int = 262_144) -> Iterator[bytes]:
        """Iterate over the content of an original, unchecked, to forward it to a browser."""

    def fetch_thumbnail(self, item_id: str, size: str = "medium") -> tuple[bytes, str] | None:
        """Return (bytes, content type) of a ``small``, ``medium`` or ``large`` thumbnail."""


class Drive(DriveReader, DriveChanges, DriveEditor, DriveUploads, DriveContent, Protocol):
    """One connected drive, limited to its root folder."""


# --- Identity -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class SignInFlow:
    """A pending sign-in. ``flow`` can be stored as JSON, is secret, and can be used once."""

    url: str
    state: str
    flow: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True)
class SignedIn:
    """A finished sign-in. ``cache`` is the serialised token cache: secret, store it encrypted."""

    home_account_id: str
    username: str
    name: str
    tenant_id: str
    scopes: Sequence[str]
    cache: str = field(repr=False)


@dataclass(frozen=True)
class AccessToken:
    """An access token. ``cache`` is the new token cache if it changed; save it first."""

    token: str = field(repr=False)
    expires_at: datetime
    scopes: Sequence[str] = ()
    cache: str | None = field(default=None, repr=False)
    refreshed: bool = False


class Identity(Protocol):
    """Microsoft's sign-in with one app registration."""

    @property
    def registration(self) -> str:
        """Identify app registration, server and tenant: only the same can finish a sign-in."""

    def start_sign_in(
        self, redirect_uri: str, scopes: Sequence[str], login_hint: str = "", prompt: str = ""
    ) -> SignInFlow: ...

    def finish_sign_in(self, flow: Mapping[str, Any], answer: Mapping[str, str]) -> SignedIn:
        """Redeem the code.

        :param answer: the query of the redirect (code, state, or error …).
        :raise InvalidInputError: the state is not that of the flow, or the person declined.
        :raise ServiceRefusedError: ``bad_code`` (used or wrong), or ``wrong_client_secret`` (wrong
            or expired).
        :raise ServiceBusyError: Microsoft's sign-in cannot be reached.
        """

    def find_cached_token(self, cache: str, scopes: Sequence[str]) -> AccessToken | None:
        """Return a cached token that is valid for at least five minutes, or None."""

    def refresh_token(self, cache: str, scopes: Sequence[str], force: bool = False) -> AccessToken:
        """Return a token that is valid for at least five minutes, a new one if ``force``.

        :raise ConnectionLostError: access was revoked or has expired; a person must sign in again.
        :raise ServiceRefusedError: ``wrong_client_secret``.
        :raise ServiceBusyError: try again.
        """


# --- Others ----------------------------------------------------------------------------------


class Vault(Protocol):
    """Encrypts secrets for the database (see ``domain.vault``)."""

    def seal(self, text: str) -> bytes: ...

    def open(self, sealed: bytes) -> str:
        """:raise ValueError: encrypted with an unknown key, or damaged."""


class Renderer(Protocol):
    """Makes renditions in other processes (see ``imaging.pool``)."""

    def render(self, path: str) -> Any: ...

    def close(self) -> None: ...


@dataclass(frozen=True)
class Clients:
    """The external services, as passed to domain functions.

    ``open_drive(account_id)`` returns the drive of a connected account, limited to the root folder;
    ``open_whole_drive`` the whole drive, only for choosing the root folder. ``renderer`` is set in
    the worker only, ``vault`` wherever OneDrive is connected or called.
    """

    store: ObjectStore
    identity: Identity
    open_drive: Callable[[int], Drive]
    renderer: Renderer | None = None
    open_whole_drive: Callable[[int], Drive] | None = None
    vault: Vault | None = None
