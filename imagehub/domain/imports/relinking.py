"""Link images whose originals are missing to files of an import with the same content.

Otherwise such a file would be left out, as its image is in the hub already, or become another shot.
"""

from collections import defaultdict
from collections.abc import Sequence

from sqlalchemy import or_, select, update
from sqlalchemy.orm import Session

from imagehub.clients import Download, DriveItem
from imagehub.database import make_batches, own_transaction
from imagehub.domain.imports.claims import Claim
from imagehub.domain.imports.verdicts import FRESH
from imagehub.domain.library.groups import name_group
from imagehub.domain.sync.replacements import has_content, link_original, note_links
from imagehub.domain.sync.state import AWAY
from imagehub.messages import Message, mark
from imagehub.models import Group, Image, ImportItem, ImportPlan, ImportPlanFile

LINKED_REASON = mark("The original of an image in the group was missing. It is this file now.")


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
    linked: list[Image] = []
    rows = []
    for file in files:
        title = ""
        # An image is linked once, though several files may have its content.
        for image in [one for one in lost.get(file.quick_xor_hash, ()) if one not in linked]:
            if link_original(session, image, _make_item(file), file.folder_name):
                linked.append(image)
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
    note_links(session, linked)
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
            if link_original(session, image, item, claim.item.folder_name):
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
                Image.drive_account_id == account_id,
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
