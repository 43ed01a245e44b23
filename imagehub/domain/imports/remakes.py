"""Make renditions again from what OneDrive holds now."""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session

from imagehub.database import get_database_time, make_batches
from imagehub.domain.imports.jobs import OPEN_STATES
from imagehub.models import Image, ImportItem, ImportJob


def add_remakes(
    own: Session, image_ids: Sequence[int], jobs: dict[int, int], user_id: int | None = None
) -> int:
    """Items that make the renditions of images again from what lies in OneDrive now.

    The images keep their ids, numbers, places and words. One that is in work already is left out.

    :param jobs: drive account id → job id, one an account; completed here.
    :return: how many were added.
    """
    now = get_database_time(own)
    in_work = own.scalars(
        select(ImportItem.image_id).where(
            ImportItem.image_id.in_(image_ids), ImportItem.state.in_(OPEN_STATES)
        )
    )
    wanted = sorted(set(image_ids) - set(in_work))
    images = own.scalars(select(Image).where(Image.id.in_(wanted)).order_by(Image.id)).all()
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
            own.add(job)
            own.flush()
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
        own.execute(insert(ImportItem), rows)
    for job_id in sorted({row["job_id"] for row in rows}):
        # A worker may have finished the job already, with the items it had until now.
        added = sum(1 for row in rows if row["job_id"] == job_id)
        own.execute(
            update(ImportJob)
            .where(ImportJob.id == job_id)
            .values(item_count=ImportJob.item_count + added, state="running", finished_at=None)
            .execution_options(synchronize_session=False)
        )
    return len(rows)


def take_new_versions(
    session: Session, image_ids: Iterable[int], user_id: int | None = None
) -> tuple[int, list[int]]:
    """Have the renditions of changed images made again from what lies in OneDrive now.

    Ids, numbers, places and words stay; what the old renditions took is freed when the new ones are
    there. The caller commits, and then calls ``queue.enqueue_job`` for each job.

    :return: how many images that are, without those in work already; and the jobs.
    """
    jobs: dict[int, int] = {}
    count = sum(add_remakes(session, ids, jobs, user_id) for ids in make_batches(image_ids))
    return count, sorted(jobs.values())
