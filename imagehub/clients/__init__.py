"""What ImageHub needs from the world outside, and nothing of how it is done.

Three contracts: :class:`ObjectStore` (implemented in ``s3``), :class:`Drive` (``graph``) and
:class:`Identity` (``identity``). Each implementation passes the contract tests of its kind. Vendor
errors never leave an implementation: they become the classes of :mod:`imagehub.errors`.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, BinaryIO, Literal, Protocol

from imagehub.errors import ServiceError

ConflictBehavior = Literal["fail", "replace", "rename"]


# --- Object store ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class StoredObject:
    """One object in the bucket. ``size_bytes`` as stored; ``modified_at`` aware UTC."""

    key: str
    size_bytes: int
    modified_at: datetime
    content_type: str = ""


class ObjectStore(Protocol):
    """A bucket of renditions. Keys are relative, never start with a slash."""

    def create_bucket(self) -> None:
        """Create the bucket if it is missing; safe to call at every start."""

    def put_object(self, key: str, data: bytes, content_type: str) -> None:
        """Store bytes under a key (long Cache-Control, the given Content-Type). Overwrites."""

    def get_object(self, key: str) -> bytes:
        """:raise NotFoundError: no such key."""

    def find_object(self, key: str) -> StoredObject | None:
        """Facts of one object without its bytes, or None."""

    def delete_objects(self, keys: Iterable[str]) -> None:
        """Delete any number of keys, in batches; a key that is gone already is no error."""

    def iter_objects(self, prefix: str = "") -> Iterator[StoredObject]:
        """All objects, page by page, in key order."""

    def make_presigned_url(self, key: str, now: datetime | None = None) -> str:
        """An absolute URL for a browser: signed at the start of the current window (no network).

        The same key gives the same URL in every process until the window ends, and a URL lives at
        least one more window.
        """

    def check(self) -> None:
        """Write, read through both endpoints and delete a small object.

        :raise ServiceError: which endpoint fails, and why, in words.
        """


# --- Drive ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Quota:
    """Bytes; None where the service does not tell."""

    total_bytes: int | None = None
    used_bytes: int | None = None
    remaining_bytes: int | None = None
    state: str = "normal"


@dataclass(frozen=True)
class DriveInfo:
    """A drive. ``kind`` is ``personal``, ``business`` or ``documentLibrary``."""

    id: str
    kind: str
    owner_name: str = ""
    quota: Quota = field(default_factory=Quota)


@dataclass(frozen=True)
class DriveItem:
    """A folder or file of the drive, as Graph tells it.

    ``size_bytes`` is the listed size (the original's may differ for HEIC). ``created_time`` and
    ``modified_time`` are kept as Graph's own ISO 8601 strings. ``raw`` is Graph's whole answer
    without its download URL.
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
    sha1_hash: str = ""
    child_count: int = 0
    width_px: int = 0
    height_px: int = 0
    is_package: bool = False
    is_deleted: bool = False
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


@dataclass(frozen=True)
class ItemAnswer:
    """What a drive tells of one of several items that were asked for at once.

    ``item``: it lies inside the root folder. ``is_outside``: it is there, but not inside; nothing
    more is told of it. ``error``: it cannot be told just now (ServiceBusyError), or not at all.
    Nothing of these: the drive has no such item.
    """

    item: DriveItem | None = None
    is_outside: bool = False
    error: ServiceError | None = None


@dataclass(frozen=True)
class ItemPage:
    """One page of a listing. ``next_page`` is opaque: hand it back for the next; "" at the end."""

    items: Sequence[DriveItem]
    next_page: str = ""


@dataclass(frozen=True)
class ChangePage:
    """One page of what changed in a drive. ``link`` is opaque and holds a token: keep it sealed.

    ``is_last``: all is told, and ``link`` is where to read on next time; otherwise it leads to the
    next page. ``starts_anew``: the link that was followed is too old, and what comes next is not
    what changed but all that is there.
    """

    items: Sequence[DriveItem]
    link: str = field(repr=False)
    is_last: bool
    starts_anew: bool = False


@dataclass(frozen=True)
class UploadSession:
    """``upload_url`` is a secret that lets its holder write this one file."""

    upload_url: str = field(repr=False)
    expires_at: datetime | None = None
    next_expected_ranges: Sequence[str] = ()


@dataclass(frozen=True)
class Download:
    """What came of streaming an original into a file, and what the drive listed of it then.

    Of Live Photos the drive lists a container's size and hash, and sends the picture alone.
    """

    size_bytes: int
    quick_xor_hash: str
    sha256: str
    listed_hash: str = ""
    listed_size_bytes: int = 0


class Drive(Protocol):
    """One connected drive, closed at its root folder.

    Every method that takes an id first makes sure that the item lies inside the root folder, and
    raises NotFoundError("drive item", id) where it does not. All may raise ConnectionLostError,
    ServiceBusyError and ServiceRefusedError. ``root_folder``: as it is set, see :meth:`get_root`.
    """

    root_folder: str

    def get_drive(self) -> DriveInfo: ...

    def get_root(self) -> DriveItem:
        """The configured root folder (``IMAGEHUB_ROOT_FOLDER``: "root", an item id, or a path)."""

    def get_item(self, item_id: str) -> DriveItem: ...

    def find_items(self, item_ids: Sequence[str]) -> list[ItemAnswer]:
        """What became of items, in the order of their ids, with few calls.

        Where the service gets too busy, what it has answered so far counts.

        :raise NotFoundError: the root folder is not there.
        """

    def find_item_by_path(self, path: str) -> DriveItem | None:
        """``path`` below the root folder, "/"-separated and not encoded; "" is the root folder."""

    def find_child(self, folder_id: str, name: str) -> DriveItem | None:
        """The item of this name in a folder, in any case; None where there is none."""

    def list_children(
        self, folder_id: str, next_page: str = "", page_size: int = 200
    ) -> ItemPage: ...

    def iter_children(self, folder_id: str) -> Iterator[DriveItem]:
        """All children, page by page, in the service's order."""

    def fetch_changes(self, link: str = "") -> ChangePage:
        """One page of what changed since ``link``, or of all there is; of the whole drive.

        This alone also tells of items outside the root folder, so that nobody need be shown them.
        Deleted items may lack all but their id, and a folder stands for what is in it.
        """

    def create_folder(
        self, parent_id: str, name: str, on_conflict: ConflictBehavior = "rename"
    ) -> DriveItem: ...

    def rename_item(self, item_id: str, name: str) -> DriveItem: ...

    def move_item(self, item_id: str, new_parent_id: str, name: str = "") -> DriveItem: ...

    def delete_item(self, item_id: str) -> None:
        """To the recycle bin; the root folder itself is refused (NotAllowedError)."""

    def restore_item(self, item_id: str, parent_id: str) -> DriveItem:
        """From the recycle bin into a folder inside the root folder.

        Where an item in the bin came from cannot be asked: the caller must know that it lay inside.

        :raise NotFoundError: it is not in the bin, or the folder is not there.
        :raise ServiceRefusedError: ``not_supported`` (drives of work accounts), ``name_taken`` …
        """

    def create_upload_session(
        self, parent_id: str, name: str, on_conflict: ConflictBehavior = "fail"
    ) -> UploadSession: ...

    def create_empty_file(
        self, parent_id: str, name: str, on_conflict: ConflictBehavior = "fail"
    ) -> DriveItem:
        """A file without bytes, which no upload session can make."""

    def download(self, item: DriveItem, target: BinaryIO, max_bytes: int) -> Download:
        """Stream an original into ``target`` and check size and hash.

        :raise PictureTooLargeError: more than ``max_bytes`` (listed or sent).
        :raise ServiceBusyError: cut short, or bytes that do not match (worth another try).
        """

    def fetch_download_url(self, item_id: str) -> str:
        """A fresh address of the bytes, good for minutes. Never store or log it."""

    def iter_download(self, item_id: str, chunk_bytes: int = 262_144) -> Iterator[bytes]:
        """The bytes of an original, chunk by chunk, unchecked: for passing on to a browser."""

    def fetch_thumbnail(self, item_id: str, size: str = "medium") -> tuple[bytes, str] | None:
        """(bytes, content type) of ``small``, ``medium`` or ``large``; None if there is none."""


# --- Identity -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class SignInFlow:
    """A pending sign-in. ``flow`` is JSON-able, secret, and used once."""

    url: str
    state: str
    flow: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True)
class SignedIn:
    """A finished sign-in. ``cache`` is the serialised token cache: secret, to be encrypted."""

    home_account_id: str
    username: str
    name: str
    tenant_id: str
    scopes: Sequence[str]
    cache: str = field(repr=False)


@dataclass(frozen=True)
class AccessToken:
    """``cache`` is the new token cache where it changed (save it before using the token)."""

    token: str = field(repr=False)
    expires_at: datetime
    scopes: Sequence[str] = ()
    cache: str | None = field(default=None, repr=False)
    refreshed: bool = False


class Identity(Protocol):
    """Microsoft's sign-in for one app registration."""

    @property
    def registration(self) -> str:
        """Which one, at which server and for whom: of two that differ, neither can finish what the
        other began."""

    def start_sign_in(
        self, redirect_uri: str, scopes: Sequence[str], login_hint: str = "", prompt: str = ""
    ) -> SignInFlow: ...

    def finish_sign_in(self, flow: Mapping[str, Any], answer: Mapping[str, str]) -> SignedIn:
        """Redeem the code. ``answer`` is the redirect's query (code, state, or error …).

        :raise InvalidInputError: the state is not this flow's, or the person declined.
        :raise ServiceRefusedError: the code is used up or wrong (``bad_code``), or the client
            secret is wrong or has expired (``wrong_client_secret``).
        :raise ServiceBusyError: Microsoft's sign-in cannot be reached just now.
        """

    def find_cached_token(self, cache: str, scopes: Sequence[str]) -> AccessToken | None:
        """A token good for at least five minutes, without network; else None."""

    def refresh_token(self, cache: str, scopes: Sequence[str], force: bool = False) -> AccessToken:
        """:raise ConnectionLostError: the grant is dead, a person must sign in again.
        :raise ServiceRefusedError: ``wrong_client_secret``.
        :raise ServiceBusyError: try again; the grant may well be alive.
        """


# --- All of them ----------------------------------------------------------------------------------


class Vault(Protocol):
    """Encrypts what must not lie readable in the database (see ``domain.vault``)."""

    def seal(self, text: str) -> bytes: ...

    def open(self, sealed: bytes) -> str:
        """:raise ValueError: sealed with a key that is not among ours, or damaged."""


class Renderer(Protocol):
    """Makes renditions away from this process's memory and time (see ``imaging.pool``)."""

    def render(self, path: str) -> Any: ...

    def close(self) -> None: ...


@dataclass(frozen=True)
class Clients:
    """Everything outside, handed to domain functions.

    ``open_drive(account_id)`` gives the Drive of one connected account, closed at the root folder;
    ``open_whole_drive`` the same without that, for choosing the root folder alone. ``renderer`` is
    there in the worker only. ``vault`` is there wherever OneDrive is connected or called.
    """

    store: ObjectStore
    identity: Identity
    open_drive: Callable[[int], Drive]
    renderer: Renderer | None = None
    open_whole_drive: Callable[[int], Drive] | None = None
    vault: Vault | None = None
