"""Make other files of OneDrive the originals of images.

The images keep their ids, numbers, positions and texts. An image whose original is missing is
linked to a file of an import with the same content; otherwise that file would be left out, as its
image is in the hub already, or become another shot. Any other file is used only if a person selects
it, and the renditions are made again.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from sqlalchemy import or_, select, update
from sqlalchemy.orm import Session

from imagehub.clients import Download, Drive, DriveItem
from imagehub.clients.drive_ids import is_same_id, list_spellings
from imagehub.database import end_read, make_batches, own_transaction
from imagehub.domain.file_names import check_is_picture, get_folder_title
from imagehub.domain.imports.claims import Claim
from imagehub.domain.imports.jobs import NewOriginal, add_remakes
from imagehub.domain.imports.verdicts import FRESH
from imagehub.domain.library.groups import name_group
from imagehub.domain.sync.replacements import has_content, link_original, note_links
from imagehub.domain.sync.state import AWAY, MISSING
from imagehub.errors import ConflictError
from imagehub.messages import Message, mark
from imagehub.models import Group, Image, ImportItem, ImportPlan, ImportPlanFile

LINKED_REASON = mark("The original of an image in the group was missing. It is this file now.")


# --- Files with the same content ------------------------------------------------------------------


def link_files_of_plan(session: Session, plan: ImportPlan) -> int:
    """Link images to files of a plan, and mark these files. The caller commits.

    :return: how many images were linked.
    """
    files = session.scalars(
        select(ImportPlanFile)
        .where(
            ImportPlanFile.plan_id == plan.id,
            ImportPlanFile.verdict.in_(FRESH),
            ImportPlanFile.quick_xor_hash != "",
        )
        .order_by(ImportPlanFile.position, ImportPlanFile.id)
    ).all()
    lost = _find_lost(session, plan.drive_account_id, {file.quick_xor_hash for file in files})
    linked: dict[int, Image] = {}
    rows = []
    for file in files:
        title = ""
        # An image is linked once, though several files may have its content.
        for image in [one for one in lost.get(file.quick_xor_hash, ()) if one.id not in linked]:
            item = _make_item(file)
            if link_original(session, image, item, file.folder_name, plan.drive_account_id):
                linked[image.id] = image
                group = session.get_one(Group, image.group_id)
                title = title or name_group(group.id, group.title)
        if title:
            reason = Message(
                "The original of an image in “%(title)s” was missing. It is this file now.",
                title=title,
            )
            facts = {"verdict": "linked", "reason": reason[:500], "is_chosen": False}
            rows.append({"id": file.id, **facts})
    if rows:
        session.execute(update(ImportPlanFile), rows)
    note_links(session, list(linked.values()))
    return len(linked)


@own_transaction
def link_item(session: Session, claim: Claim, item: DriveItem, download: Download) -> int | None:
    """Link an image of the group that a file would be added to.

    :return: the id of the image; None if no image there has lost an original with this content.
    """
    group_id = session.scalar(select(ImportItem.group_id).where(ImportItem.id == claim.item.id))
    hashes = {download.listed_hash, download.quick_xor_hash} - {""}
    for images in _find_lost(session, claim.account_id, hashes).values():
        for image in images:
            if image.group_id != group_id or not has_content(image, item):
                continue
            if link_original(session, image, item, claim.item.folder_name, claim.account_id):
                note_links(session, [image])
                return image.id
    return None


def _make_item(file: ImportPlanFile) -> DriveItem:
    return DriveItem(
        file.drive_item_id,
        file.file_name,
        False,
        file.size_bytes,
        "",
        "",
        parent_id=file.folder_id,
        quick_xor_hash=file.quick_xor_hash,
    )


def _find_lost(session: Session, account_id: int, hashes: set[str]) -> dict[str, Sequence[Image]]:
    """Map hashes to the images without an original that had this content; without the trash."""
    found: dict[str, list[Image]] = defaultdict(list)
    for some in make_batches(sorted(hashes)):
        images = session.scalars(
            select(Image)
            .join(Group, Group.id == Image.group_id)
            .where(
                or_(Image.drive_account_id == account_id, Image.drive_account_id.is_(None)),
                Image.drive_state.in_(AWAY),
                or_(Image.drive_hash.in_(some), Image.quick_xor_hash.in_(some)),
                Group.state != "trash",
            )
            .order_by(Image.id)
        )
        for image in images:
            for one in {image.drive_hash, image.quick_xor_hash} & set(some):
                found[one].append(image)
    return dict(found)


# --- Files that a person selects ------------------------------------------------------------------


def list_offers(
    session: Session,
    group_ids: Sequence[int] | None = None,
    numbers: Sequence[int] | None = None,
    item_id: str = "",
) -> list[int]:
    """List the images with a missing original and a file in its place; without the trash.

    :param group_ids: only images of these groups.
    :param numbers: only shots with these numbers.
    :param item_id: only images that this file is offered for.
    """
    query = (
        select(Image.id)
        .join(Group, Group.id == Image.group_id)
        .where(Image.drive_state == MISSING, Image.offered_item_id != "", Group.state != "trash")
        .order_by(Image.id)
    )
    if numbers is not None:
        query = query.where(Image.number.in_(numbers))
    if item_id:
        query = query.where(Image.offered_item_id.in_(list_spellings(item_id)))
    if group_ids is None:
        return list(session.scalars(query))
    found: list[int] = []
    for ids in make_batches(group_ids):
        found += session.scalars(query.where(Image.group_id.in_(ids)))
    return found


def use_offered(session: Session, image_ids: Sequence[int], user_id: int | None) -> int:
    """Use the files in the places of missing originals. Workers are woken after the commit.

    :return: the number of images, without those that are being imported already.
    """
    jobs: dict[int, int] = {}
    count = 0
    for ids in make_batches(image_ids):
        images = session.scalars(select(Image).where(Image.id.in_(ids))).all()
        files = {
            image.id: NewOriginal(
                image.drive_account_id,
                image.offered_item_id,
                image.name,
                image.folder_id,
                image.folder_name,
            )
            for image in images
            if image.offered_item_id and image.drive_account_id is not None
        }
        count += add_remakes(session, sorted(files), jobs, user_id, files)
    return count


def fetch_original(drive: Drive, account_id: int, item_id: str) -> NewOriginal:
    """Ask OneDrive for a file that is to become the original of an image.

    :raise NotFoundError: it is not inside the root folder.
    :raise PictureError: it cannot be a picture.
    """
    item = drive.get_item(item_id)
    check_is_picture(item)
    folder_name = get_folder_title(drive.get_item(item.parent_id)) if item.parent_id else ""
    return NewOriginal(account_id, item.id, item.name, item.parent_id, folder_name)


def use_file(session: Session, image: Image, file: NewOriginal, user_id: int | None) -> bool:
    """Make a file the original of an image. Workers are woken after the commit.

    :return: False if the image is being imported already.
    :raise ConflictError: the group has an image of this file.
    """
    twin = select(Image.id).where(
        Image.group_id == image.group_id,
        Image.id != image.id,
        Image.drive_account_id == file.account_id,
        Image.drive_item_id.in_(list_spellings(file.item_id)),
    )
    if session.scalar(twin.limit(1)) is not None:
        raise ConflictError("Another shot of this group has this file already.")
    files: Mapping[int, NewOriginal] = {image.id: file}
    return bool(add_remakes(session, [image.id], {}, user_id, files))


# --- In a worker ----------------------------------------------------------------------------------


def change_original(image: Image, claim: Claim, item: DriveItem) -> None:
    """Set the file of a claimed item as the original of its image, unless it is that already."""
    if not is_same_id(image.drive_item_id, claim.item.drive_item_id):
        image.drive_account_id = claim.account_id
        image.drive_item_id = claim.item.drive_item_id
        image.folder_id = item.parent_id or claim.item.folder_id
        image.folder_name = claim.item.folder_name


def accepts_mismatch(session: Session, claim: Claim, item: DriveItem) -> bool:
    """Tell whether a person has accepted a file that is not as OneDrive lists it.

    For this item, or when its image was imported from the same file. Ends the transaction.
    """
    known = session.get(Image, claim.item.image_id) if claim.item.image_id else None
    is_known = (
        known is not None
        and bool(item.quick_xor_hash)
        and (known.drive_hash == item.quick_xor_hash != known.quick_xor_hash)
    )
    end_read(session)
    return claim.item.accepts_mismatch or is_known
