"""Make the renditions of images again from their originals in OneDrive."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session

from imagehub.database import get_database_time, make_batches
from imagehub.domain.imports.jobs import OPEN_STATES, wake_after_commit
from imagehub.models import Image, ImportItem, ImportJob


def take_new_versions(
    session: Session, image_ids: Iterable[int], user_id: int | None = None
) -> int:
    """Use the new versions of changed originals. Workers are woken after the commit.

    Images keep their ids, numbers, positions and texts. Old renditions are deleted when the new
    ones exist.

    :return: the number of images, without those that are being imported already.
    """
    jobs: dict[int, int] = {}
    return sum(add_remakes(session, ids, jobs, user_id) for ids in make_batches(image_ids))


def add_remakes(
    session: Session, image_ids: Sequence[int], jobs: dict[int, int], user_id: int | None = None
) -> int:
    """Add import items that make the renditions of images again.

    Images that are being imported already are left out. Workers are woken after the commit.

    :param jobs: drive account id → job id to add to; new jobs are added to it.
    :return: the number of items.
    """
    now = get_database_time(session)
    open_ids = session.scalars(
        select(ImportItem.image_id).where(
            ImportItem.image_id.in_(image_ids), ImportItem.state.in_(OPEN_STATES)
        )
    )
    wanted = sorted(set(image_ids) - set(open_ids))
    images = session.scalars(select(Image).where(Image.id.in_(wanted)).order_by(Image.id)).all()
    rows: list[dict[str, Any]] = []
    for image in images:
        job_id = jobs.get(image.drive_account_id)
        if job_id is None:
            job = ImportJob(
                user_id=user_id,
                drive_account_id=image.drive_account_id,
                created_at=now,
                last_activity_at=now,
            )
            session.add(job)
            session.flush()
            job_id = jobs[image.drive_account_id] = job.id
        rows.append(
            {
                "job_id": job_id,
                "group_id": image.group_id,
                "image_id": image.id,
                "drive_item_id": image.drive_item_id,
                "file_name": image.name,
                "folder_id": image.folder_id,
                "folder_name": image.folder_name,
                "number": image.number,
                "position": image.position,
                "available_at": now,
                "asked_at": now,
            }
        )
    if rows:
        session.execute(insert(ImportItem), rows)
    for job_id, count in sorted(Counter(row["job_id"] for row in rows).items()):
        # A worker may have finished the job already with its earlier items.
        session.execute(
            update(ImportJob)
            .where(ImportJob.id == job_id)
            .values(item_count=ImportJob.item_count + count, state="running", finished_at=None)
            .execution_options(synchronize_session=False)
        )
        wake_after_commit(session, job_id, count)
    return len(rows)
