"""Count the images that another root folder would leave outside, before it is chosen.

The tree of folders (``domain.sync.folder_tree``) knows where the images' folders are. OneDrive is
asked about folders that it does not know, because no check has read the drive yet, a limited number
of times. No transaction is open while OneDrive is asked.
"""

import logging
from collections import Counter
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from imagehub.clients import Drive
from imagehub.clients.drive_ids import fold_id
from imagehub.database import end_read, make_batches
from imagehub.domain.sync.state import AWAY
from imagehub.errors import NotFoundError, ServiceError
from imagehub.models import DriveFolder, Image

log = logging.getLogger(__name__)

# A person is waiting, and OneDrive takes about a third of a second for each request.
_MAX_REQUESTS = 20
_MAX_DEPTH = 200

# Where a folder is.
_INSIDE, _OUTSIDE, _GONE, _UNKNOWN = "inside", "outside", "gone", "unknown"


@dataclass(frozen=True)
class LeftOutside:
    """Images whose originals could not be opened any more, and images of unknown folders.

    Images in the trash count, since they may be restored. Images whose originals are missing or
    outside already do not.
    """

    outside: int = 0
    unknown: int = 0


def count_left_outside(
    session: Session, account_id: int, whole: Drive, root_id: str
) -> LeftOutside:
    """Count the images of an account whose originals are outside a folder.

    :param session: holds no uncommitted change.
    :param whole: the account's drive without a boundary.
    :param root_id: the folder that would become the root folder.
    :raise ConnectionLostError: OneDrive must be connected again.
    """
    ways = _Ways(session, account_id, whole, fold_id(root_id))
    images = ways.count_images()
    ways.read_tree(list(images))
    outside = unknown = 0
    # Folders with the most images first: there may be more folders than requests.
    for folder_id, count in images.most_common():
        place = ways.find_place(folder_id)
        outside += count if place == _OUTSIDE else 0
        unknown += count if place == _UNKNOWN else 0
    return LeftOutside(outside, unknown)


class _Ways:
    """The folders above folders, as far as they are known."""

    def __init__(self, session: Session, account_id: int, whole: Drive, root_id: str) -> None:
        self._session = session
        self._account_id = account_id
        self._whole = whole
        self._root_id = root_id
        # Folder → its parent; "" for the drive's topmost folder, None for a deleted folder.
        self._above: dict[str, str | None] = {}
        self._places: dict[str, str] = {"": _UNKNOWN, root_id: _INSIDE}
        # Ids are folded for comparison; requests need them as OneDrive gave them.
        self._spelt: dict[str, str] = {}
        self._requests_left = _MAX_REQUESTS

    def count_images(self) -> Counter[str]:
        """Count images by their folders; "" holds those without a known folder."""
        rows = self._session.execute(
            select(Image.folder_id, func.count().label("images"))
            .where(Image.drive_account_id == self._account_id, Image.drive_state.not_in(AWAY))
            .group_by(Image.folder_id)
        ).all()
        end_read(self._session)
        counts = Counter[str]()
        for row in rows:
            counts[self._fold(row.folder_id)] += row.images
        return counts

    def _fold(self, item_id: str) -> str:
        if not item_id:
            return ""
        folded = fold_id(item_id)
        self._spelt[folded] = item_id
        return folded

    def read_tree(self, folder_ids: list[str]) -> None:
        """Read these folders and all above them from the tree, level by level."""
        of_account = select(
            DriveFolder.item_id, DriveFolder.parent_id, DriveFolder.is_deleted
        ).where(DriveFolder.drive_account_id == self._account_id)
        frontier = [one for one in folder_ids if one and one != self._root_id]
        for _ in range(_MAX_DEPTH):
            if not frontier:
                return
            for ids in make_batches(frontier):
                for row in self._session.execute(of_account.where(DriveFolder.item_id.in_(ids))):
                    self._above[row.item_id] = None if row.is_deleted else row.parent_id
            end_read(self._session)
            above = {self._above.get(one) for one in frontier}
            frontier = sorted(
                one for one in above if one and one != self._root_id and one not in self._above
            )

    def find_place(self, folder_id: str) -> str:
        """Find where a folder is; a deleted one is gone whatever the root folder is."""
        walked: list[str] = []
        here = folder_id
        while here not in self._places and len(walked) < _MAX_DEPTH:
            if here not in self._above:
                is_told = self._ask(here) if here in self._spelt else self._climb(walked)
                if not is_told:
                    self._places[here] = _UNKNOWN
                    break
                # OneDrive may know other parents than the tree.
                walked, here = [], folder_id
                continue
            walked.append(here)
            above = self._above[here]
            if not above:
                self._places[here] = _GONE if above is None else _OUTSIDE
                break
            here = above
        place = self._places.get(here, _UNKNOWN)
        self._places.update(dict.fromkeys(walked, place))
        return place

    def _climb(self, folder_ids: list[str]) -> bool:
        """Ask OneDrive for the parents from one of these folders up; False on failure.

        The tree ends above them, and requests cannot be made with folded ids.
        """
        return all(self._above.get(one) in self._spelt or self._ask(one) for one in folder_ids)

    def _ask(self, folder_id: str) -> bool:
        """Ask OneDrive for the parent of a folder; False if it stays unknown."""
        if self._requests_left <= 0:
            return False
        self._requests_left -= 1
        try:
            item = self._whole.get_item(self._spelt[folder_id])
        except NotFoundError:
            self._above[folder_id] = None
            return True
        except ServiceError as error:
            log.warning("The parent of a folder cannot be read: %s", error)
            self._requests_left = 0
            return False
        above = self._fold(item.parent_id)
        self._above[folder_id] = above
        if above and above != self._root_id and above not in self._above:
            self.read_tree([above])
        return True
