"""OneDrive's recycle bin: its page, and marks that allow items to be restored from it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from itsdangerous import BadData, URLSafeTimedSerializer

from imagehub.clients import Drive, DriveItem
from imagehub.errors import ConnectionLostError, NotFoundError, ServiceError

_RESTORE_SECONDS = 86_400
_SITE = re.compile(r"https://[\w.-]+/(?:personal|sites|teams)/[^/?#]+")


@dataclass(frozen=True)
class RecycleBin:
    """``url``: its page, "" if unknown. ``days``: how long it keeps items, 0 if unknown."""

    url: str
    days: int
    can_restore: bool


def find_recycle_bin(drive: Drive, items: Sequence[DriveItem]) -> RecycleBin:
    """Find the recycle bin that these items were moved to.

    The items are deleted already, so a lost connection only means that nothing is known of it.
    """
    try:
        return describe_recycle_bin(drive.get_drive().kind, items)
    except (ConnectionLostError, ServiceError):
        return RecycleBin("", 0, can_restore=False)


def describe_recycle_bin(kind: str, items: Sequence[DriveItem]) -> RecycleBin:
    """Describe the recycle bin of a drive of this kind that these items lay in.

    Source: Microsoft's support pages "Restore deleted files or folders in OneDrive": personal
    accounts keep items for 30 days, work accounts for 93 unless an administrator changes that; the
    address of a site's bin is SharePoint's own page.
    """
    if kind == "personal":
        return RecycleBin("https://onedrive.live.com/?v=recyclebin", 30, can_restore=True)
    web_url = str(items[0].raw.get("webUrl", "")) if items else ""
    site = _SITE.match(web_url)
    return RecycleBin(f"{site[0]}/_layouts/15/RecycleBin.aspx" if site else "", 93, False)


def sign_deletion(secret_key: str, account_id: int, items: Sequence[DriveItem]) -> str:
    """Make a mark that allows these items, and no others, to be restored to their folders."""
    places = [[item.id, item.parent_id] for item in items]
    return str(_make_signer(secret_key).dumps([account_id, places]))


def read_deletion(secret_key: str, account_id: int, mark: str) -> dict[str, str]:
    """Read a mark: item id → id of the folder that the item lay in.

    :raise NotFoundError: not our mark, or of another account, or older than a day.
    """
    try:
        owner_id, places = _make_signer(secret_key).loads(mark, max_age=_RESTORE_SECONDS)
    except BadData as error:
        raise NotFoundError("deletion", mark[:40]) from error
    if owner_id != account_id:
        raise NotFoundError("deletion", mark[:40])
    return {str(item_id): str(parent_id) for item_id, parent_id in places}


def _make_signer(secret_key: str) -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(secret_key, salt="deleted-drive-items")
