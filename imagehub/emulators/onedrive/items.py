"""The JSON of items: facets, versions and times, by kind of drive."""

import json
import mimetypes
import secrets
from base64 import b64decode, b64encode
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from time import time
from typing import Any
from urllib.parse import quote

from .drawing import has_picture_facets
from .faults import Faults
from .hashes import hash_file
from .index import Item
from .pictures import is_picture_name, read_facets
from .state import State
from .tree import Tree
from .videos import is_video_name, read_video_facet

_SPECIAL_FOLDERS = {"documents": "documents", "pictures": "photos", "music": "music"}
_MIME_TYPES = {
    ".heic": "image/heic",
    ".heif": "image/heif",
    ".webp": "image/webp",
    ".avif": "image/avif",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".png": "image/png",
}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
VAULT_NAME = "Personal Vault"


@dataclass(frozen=True)
class Account:
    """The owner of the drive."""

    kind: str
    user_id: str
    username: str
    name: str
    tenant_id: str


@lru_cache(maxsize=65_536)
def format_time(moment_us: int, kind: str) -> str:
    """Return ISO 8601 in UTC; only the personal service adds fractions of a second.

    Times outside the format's range are clamped.
    """
    moment = _EPOCH + timedelta(microseconds=min(max(moment_us, 0), 250_000_000_000_000_000))
    if kind == "personal" and moment.microsecond >= 1000:
        fraction = f"{moment.microsecond // 1000:03d}".rstrip("0")
        return f"{moment:%Y-%m-%dT%H:%M:%S}.{fraction}Z"
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def parse_time(text: object) -> int | None:
    """Parse an ISO 8601 time to microseconds since 1970; None if it is invalid."""
    if not isinstance(text, str):
        return None
    try:
        moment = datetime.fromisoformat(text.strip().upper().replace("Z", "+00:00"))
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return int((moment - _EPOCH) / timedelta(microseconds=1))


def get_mime_type(name: str) -> str:
    ending = "." + name.rpartition(".")[2].lower()
    return _MIME_TYPES.get(ending) or mimetypes.guess_type(name)[0] or "application/octet-stream"


def _is_listed_as_picture(name: str) -> bool:
    return is_picture_name(name) or has_picture_facets(name)


def make_etag(item: Item) -> str:
    return f'"{{{item.guid}}},{item.version}"'


def make_ctag(item: Item) -> str:
    return f'"c:{{{item.guid}}},{item.content_version}"'


class ItemWriter:
    """Make the JSON of items and drives.

    :param make_download_url: (base URL, item) → the address of an item's bytes.
    """

    def __init__(
        self,
        tree: Tree,
        state: State,
        account: Account,
        faults: Faults,
        quota_bytes: int,
        make_download_url: Any,
    ) -> None:
        self.tree = tree
        self.state = state
        self.account = account
        self.faults = faults
        self.quota_bytes = quota_bytes
        self.make_download_url = make_download_url
        self.kind = account.kind
        self._flips = 0

    # --- Drive -------------------------------------------------------------------------------

    def write_drive_id(self) -> str:
        """Return the drive's id; one fault changes its case on every other call."""
        drive_id = self.tree.drive_id
        if self.kind == "personal" and self.faults.fire("drive_id_casing"):
            self._flips += 1
            return drive_id.lower() if self._flips % 2 else drive_id.upper()
        return drive_id

    def write_person(self) -> dict[str, Any]:
        person = {"displayName": self.account.name, "id": self.account.user_id}
        if self.kind == "business":
            person["email"] = self.account.username
        return person

    def write_drive(self) -> dict[str, Any]:
        document: dict[str, Any] = {
            "id": self.write_drive_id(),
            "driveType": self.kind,
            "name": "OneDrive",
            "createdDateTime": "2020-01-01T00:00:00Z",
            "webUrl": self._get_web_root(),
            "owner": {"user": self.write_person()},
            "quota": self.write_quota(),
        }
        return document

    def get_free_bytes(self) -> int:
        if self.faults.fire("quota_full"):
            return 0
        return max(self.quota_bytes - self.tree.get_used_bytes(), 0)

    def write_quota(self) -> dict[str, Any]:
        total = self.quota_bytes
        free = self.get_free_bytes()
        if free == 0:
            state = "exceeded"
        elif free < total / 100:
            state = "critical"
        else:
            state = "nearing" if free < total / 10 else "normal"
        quota: dict[str, Any] = {
            "deleted": self.tree.get_recycled_bytes(),
            "remaining": free,
            "state": state,
            "total": total,
            "used": total - free,
        }
        if self.kind == "personal":
            quota["storagePlanInformation"] = {"upgradeAvailable": True}
        return quota

    # --- Items -------------------------------------------------------------------------------

    def write_item(
        self,
        item: Item,
        base_url: str,
        names_above: list[str] | None = None,
        in_delta: bool = False,
    ) -> dict[str, Any]:
        """Return one driveItem with all default properties.

        :param names_above: the names of the folders above, if the caller knows them.
        """
        if names_above is None:
            names_above = self.tree.list_names_above(item)
        is_root = item.id == self.tree.root_id
        document: dict[str, Any] = {}
        if not item.is_folder and not (in_delta and self.kind == "business"):
            document["@microsoft.graph.downloadUrl"] = self.make_download_url(base_url, item)
        who = {
            "application": {"displayName": "ImageHub", "id": "4c1e8f00"},
            "user": self.write_person(),
        }
        document |= {
            "createdBy": who,
            "createdDateTime": format_time(item.created_us, self.kind),
            "eTag": make_etag(item),
            "id": item.id,
            "lastModifiedBy": who,
            "lastModifiedDateTime": format_time(item.modified_us, self.kind),
            "name": item.name,
            "parentReference": self._write_parent(item, names_above, in_delta),
            "size": item.size,
            "webUrl": self._make_web_url(item, names_above),
            "fileSystemInfo": {
                "createdDateTime": format_time(item.fs_created_us, self.kind),
                "lastModifiedDateTime": format_time(item.fs_modified_us, self.kind),
            },
        }
        if self.kind == "personal" or (not item.is_folder and not in_delta):
            document["cTag"] = make_ctag(item)
        if item.description and self.kind == "personal":
            document["description"] = item.description
        if item.is_package:
            document["package"] = {"type": "oneNote"}
        elif item.is_folder:
            document["folder"] = self._write_folder(item)
        else:
            self._add_file_facets(document, item, names_above)
        if is_root:
            document["root"] = {}
        elif item.parent_id == self.tree.root_id and item.is_folder:
            special = _SPECIAL_FOLDERS.get(item.name.casefold())
            if special and (self.kind == "personal" or special != "music"):
                document["specialFolder"] = {"name": special}
        return document

    def write_deleted(self, item: Item) -> dict[str, Any]:
        """Return a deleted item for the feed: business omits the name, personal the size."""
        parent = {"driveId": self.write_drive_id(), "driveType": self.kind, "id": item.parent_id}
        document: dict[str, Any] = {
            "id": item.id,
            "deleted": {"state": "deleted"},
            "parentReference": parent,
        }
        if self.kind == "business":
            document["size"] = item.size
        elif not self.faults.fire("delta_deleted_without_name"):
            document["name"] = item.name
        document["folder" if item.is_folder else "file"] = {}
        return document

    def write_vault(self, base_url: str) -> dict[str, Any]:
        """Return the Personal Vault: it looks like a folder but cannot be opened."""
        root = self.tree.find(self.tree.root_id)
        assert root is not None
        document = self.write_item(root, base_url)
        del document["root"]
        document |= {"id": self.vault_id, "name": VAULT_NAME, "size": 0}
        document["parentReference"] = {
            "driveId": self.write_drive_id(),
            "driveType": self.kind,
            "id": root.id,
            "path": "/drive/root:",
        }
        document["folder"]["childCount"] = 0
        return document

    @property
    def vault_id(self) -> str:
        return f"{self.tree.drive_id}!s0000000000000000000000000000va17"

    def _write_folder(self, item: Item) -> dict[str, Any]:
        folder: dict[str, Any] = {"childCount": self.tree.count_children(item.id)}
        if self.kind == "personal":
            folder["view"] = {
                "sortBy": "name",
                "sortOrder": "ascending",
                "viewType": "thumbnails",
            }
        return folder

    def _write_parent(self, item: Item, names_above: list[str], in_delta: bool) -> dict[str, Any]:
        parent: dict[str, Any] = {"driveId": self.write_drive_id(), "driveType": self.kind}
        if item.id == self.tree.root_id:
            return parent
        parent["id"] = item.parent_id
        parent["name"] = names_above[-1] if names_above else "root"
        if not in_delta:
            start = (
                "/drive/root:"
                if self.kind == "personal"
                else (f"/drives/{self.tree.drive_id}/root:")
            )
            parent["path"] = start + "".join(f"/{quote(name)}" for name in names_above)
        if self.kind == "business":
            parent["siteId"] = self.account.tenant_id
        return parent

    def _add_file_facets(
        self, document: dict[str, Any], item: Item, names_above: list[str]
    ) -> None:
        place = "/" + "/".join([*names_above, item.name])
        quick_xor, sha1, facets = self.read_content(item, f"{self.tree.root}{place}")
        hashes = {"quickXorHash": quick_xor}
        if self.kind == "personal":
            hashes["sha1Hash"] = sha1
        if self.faults.fire("hashes_missing", item=place):
            hashes = {}
        rewritten = self.faults.fire("rewritten_size", item=place)
        if rewritten:
            # The service lists size and hash of the whole container but serves only the picture.
            document["size"] = item.size + int(rewritten.get("extra_bytes", 1_500_000))
            if not rewritten.get("keeps_hash"):
                hashes["quickXorHash"] = b64encode(b64decode(quick_xor)[::-1]).decode()
                if "sha1Hash" in hashes:
                    hashes["sha1Hash"] = sha1[::-1]
        document["file"] = {"mimeType": get_mime_type(item.name), "hashes": hashes}
        delayed = self.faults.fire("delayed_facets", item=place)
        if not (delayed and time() - item.content_us / 1e6 < float(delayed.get("seconds", 5))):
            document |= self._write_picture_facets(item, facets)
        if self.faults.fire("malware", item=place):
            document["malware"] = {"description": "Trojan:Win32/Emulated"}

    def _write_picture_facets(self, item: Item, facets: dict[str, Any]) -> dict[str, Any]:
        if self.kind == "personal":
            return facets
        if not _is_listed_as_picture(item.name):
            return {}
        taken = facets.get("photo", {}).get("takenDateTime")
        photo = {"takenDateTime": taken} if taken else {}
        return {"image": facets.get("image", {}), "photo": photo}

    def read_content(self, item: Item, where: str | Path) -> tuple[str, str, dict[str, Any]]:
        """Return quickXorHash, SHA-1 and facets, computed once per version.

        They are empty if the file has just disappeared; that result is not cached.
        """
        with self.state.lock:
            row = self.state.db.execute(
                "SELECT quick_xor, sha1, facets FROM content "
                "WHERE dev = ? AND ino = ? AND size = ? AND mtime_ns = ?",
                (item.dev, item.ino, item.size, item.mtime_ns),
            ).fetchone()
        if row is not None:
            return row[0], row[1], json.loads(row[2])
        path = Path(where)
        try:
            quick_xor, sha1 = hash_file(path)
            facets = read_facets(path) if _is_listed_as_picture(item.name) else {}
            if is_video_name(item.name):
                facets = read_video_facet(path)
            status = path.stat()
        except OSError:
            return "", "", {}
        if (status.st_mtime_ns, status.st_size) == (item.mtime_ns, item.size):
            with self.state.transaction() as db:
                db.execute(
                    "REPLACE INTO content VALUES (?, ?, ?, ?, ?, ?, ?)",
                    (
                        item.dev,
                        item.ino,
                        item.size,
                        item.mtime_ns,
                        quick_xor,
                        sha1,
                        json.dumps(facets),
                    ),
                )
        return quick_xor, sha1, facets

    def _get_web_root(self) -> str:
        if self.kind == "personal":
            return f"https://onedrive.live.com/?cid={self.tree.drive_id.lower()}"
        person = self.account.username.replace("@", "_").replace(".", "_")
        return f"https://contoso-my.sharepoint.com/personal/{person}/Documents"

    def _make_web_url(self, item: Item, names_above: list[str]) -> str:
        if self.kind == "personal":
            return f"{self._get_web_root()}&id={quote(item.id)}"
        names = [] if item.id == self.tree.root_id else [*names_above, item.name]
        return self._get_web_root() + "".join(f"/{quote(name)}" for name in names)


def select_fields(document: dict[str, Any], wanted: Iterable[str] | None) -> dict[str, Any]:
    """Return the fields of an item that ``$select`` names.

    Like the service, include the download address only together with ``id``.
    """
    if wanted is None:
        return document
    names = {name.strip().lower() for name in wanted if name.strip()}
    if "id" not in names:
        names -= {"@microsoft.graph.downloadurl", "content.downloadurl"}
    if "content.downloadurl" in names:
        names.add("@microsoft.graph.downloadurl")
    return {name: value for name, value in document.items() if name.lower() in names}


def make_trace_id() -> str:
    """Return a GUID like those in the service's answers."""
    text = secrets.token_hex(16)
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
