"""Imports and their plans, and leases on work that takes long."""

from datetime import datetime

from sqlalchemy import BigInteger, DateTime, ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from imagehub.database import Base, UTCDateTime, now_utc
from imagehub.models.columns import BigId, DriveId, LongText, UserRef


class ImportPlan(Base):
    """The selection of files in OneDrive for an import that has not started.

    ``state``: ``reading`` while folders are being listed, ``ready``, then ``started`` with the
    import's number in ``job_id``. ``waiting``: JSON, the folders that are still to be listed.
    ``way``: how files were grouped at first (see ``WAYS`` of ``domain.imports.grouping``).
    ``series_id``: the series that its groups will join; with a ``series_title`` a new one.
    ``version`` is increased with every change of the plan.
    """

    __tablename__ = "import_plan"
    __table_args__ = (Index("ix_import_plan_state", "state", "id"), {"sqlite_autoincrement": True})

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    user_id: Mapped[UserRef | None]
    drive_account_id: Mapped[int] = mapped_column(ForeignKey("drive_account.id"), index=True)
    state: Mapped[str] = mapped_column(String(16), default="reading")
    way: Mapped[str] = mapped_column(String(16), default="folder")
    is_published: Mapped[bool] = mapped_column(default=True)
    series_id: Mapped[int | None] = mapped_column(BigInteger)
    series_title: Mapped[str] = mapped_column(String(300), default="")
    waiting: Mapped[str] = mapped_column(LongText, default="[]")
    version: Mapped[int] = mapped_column(default=1)
    job_id: Mapped[int | None] = mapped_column(BigInteger)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, default=now_utc)


class ImportProposal(Base):
    """A proposed group. ``group_id``: the existing group to add to; None creates one of this
    title. ``words``: JSON, what a person accepted and discarded of what the files say (see
    ``domain.imports.board.words``)."""

    __tablename__ = "import_proposal"
    __table_args__ = (
        Index("ix_import_proposal_plan_position", "plan_id", "position", "id"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    plan_id: Mapped[int] = mapped_column(ForeignKey("import_plan.id", ondelete="CASCADE"))
    position: Mapped[int]
    title: Mapped[str] = mapped_column(String(300), default="")
    group_id: Mapped[int | None] = mapped_column(BigInteger)
    words: Mapped[str | None] = mapped_column(LongText)


class ImportPlanFile(Base):
    """A file of a plan.

    ``verdict`` says what prevents its import (see ``VERDICTS`` of ``domain.imports.verdicts``),
    ``reason`` is the same as a sentence. ``is_chosen``: it will be imported. ``taken_at`` is the
    time of the camera, without a time zone. ``has_place``: OneDrive lists where it was taken, which
    only personal drives do. ``words``: JSON, what the file says about its picture, as in
    ``FoundWords``; None if nobody has looked. ``duration_ms``: of a video, 0 if it is not known;
    None if the file is no video.
    """

    __tablename__ = "import_plan_file"
    __table_args__ = (
        UniqueConstraint("plan_id", "drive_item_id"),
        Index("ix_import_plan_file_place", "plan_id", "proposal_id", "position", "id"),
        Index("ix_import_plan_file_verdict", "plan_id", "verdict", "id"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    plan_id: Mapped[int] = mapped_column(ForeignKey("import_plan.id", ondelete="CASCADE"))
    proposal_id: Mapped[int | None] = mapped_column(
        ForeignKey("import_proposal.id", ondelete="SET NULL"), index=True
    )
    position: Mapped[int] = mapped_column(default=0)
    drive_item_id: Mapped[str] = mapped_column(DriveId)
    file_name: Mapped[str] = mapped_column(String(400), default="")
    folder_id: Mapped[str] = mapped_column(DriveId, default="")
    folder_name: Mapped[str] = mapped_column(String(400), default="")
    size_bytes: Mapped[int] = mapped_column(BigInteger, default=0)
    quick_xor_hash: Mapped[str] = mapped_column(String(40), default="")
    taken_at: Mapped[datetime | None] = mapped_column(DateTime)
    verdict: Mapped[str] = mapped_column(String(16), default="")
    reason: Mapped[str] = mapped_column(String(500), default="")
    is_chosen: Mapped[bool] = mapped_column(default=True)
    has_place: Mapped[bool] = mapped_column(default=False)
    words: Mapped[str | None] = mapped_column(LongText, deferred=True)
    duration_ms: Mapped[int | None] = mapped_column(BigInteger)


class ImportJob(Base):
    """An import.

    ``state``: ``running`` until every item is ``done``, ``skipped``, ``failed`` or ``left_out``,
    then ``finished``. ``last_activity_at`` is updated with every item; workers are woken again for
    a running job without activity. ``origin``: the request that created it, for logs and traces:
    its number and, after a space, its trace (W3C traceparent), if any.
    """

    __tablename__ = "import_job"
    __table_args__ = (
        Index("ix_import_job_state_activity", "state", "last_activity_at"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    user_id: Mapped[UserRef | None]
    drive_account_id: Mapped[int] = mapped_column(ForeignKey("drive_account.id"), index=True)
    state: Mapped[str] = mapped_column(String(16), default="running")
    item_count: Mapped[int] = mapped_column(default=0)
    origin: Mapped[str] = mapped_column(String(128), default="", server_default="")
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, default=now_utc)
    last_activity_at: Mapped[datetime] = mapped_column(UTCDateTime, default=now_utc)
    finished_at: Mapped[datetime | None] = mapped_column(UTCDateTime)


class ImportItem(Base):
    """One file of an import; its group, number and position are reserved from the start.

    ``state``: ``queued`` → ``running`` → ``done`` | ``skipped`` (already in the group) |
    ``failed`` (with ``reason``, a plain sentence) → ``left_out`` (dismissed by a person). A
    temporary fault returns it to ``queued`` with ``available_at`` in the future. ``asked_at``: the
    last time a person started or retried it; None in imports of earlier versions. ``lease_until``
    is renewed while a worker processes it; after that any worker may claim it. ``attempt_count``
    counts faults of services; ``suspicion`` is increased when a worker dies while it processes the
    item. ``accepts_mismatch``: a person wants the file although it is not as OneDrive lists it.
    ``waits_for_access``: it is queued until a person signs in at Microsoft, or gives access again.
    """

    __tablename__ = "import_item"
    __table_args__ = (
        Index("ix_import_item_job_state", "job_id", "state", "available_at"),
        Index("ix_import_item_state_lease", "state", "lease_until"),
        Index("ix_import_item_state_group", "state", "group_id"),
        Index("ix_import_item_state_job", "state", "job_id"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    job_id: Mapped[int] = mapped_column(ForeignKey("import_job.id", ondelete="CASCADE"))
    group_id: Mapped[int | None] = mapped_column(
        ForeignKey("image_group.id", ondelete="SET NULL"), index=True
    )
    drive_item_id: Mapped[str] = mapped_column(DriveId)
    file_name: Mapped[str] = mapped_column(String(400), default="")
    folder_id: Mapped[str] = mapped_column(DriveId, default="")
    folder_name: Mapped[str] = mapped_column(String(400), default="")
    number: Mapped[int] = mapped_column(default=0)
    position: Mapped[int] = mapped_column(default=0)
    state: Mapped[str] = mapped_column(String(16), default="queued")
    attempt_count: Mapped[int] = mapped_column(default=0)
    suspicion: Mapped[int] = mapped_column(default=0)
    reason: Mapped[str] = mapped_column(String(500), default="")
    available_at: Mapped[datetime] = mapped_column(UTCDateTime, default=now_utc)
    lease_owner: Mapped[str] = mapped_column(String(64), default="")
    lease_until: Mapped[datetime | None] = mapped_column(UTCDateTime)
    image_id: Mapped[int | None] = mapped_column(BigId)
    size_bytes: Mapped[int] = mapped_column(BigInteger, default=0)
    finished_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    asked_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    accepts_mismatch: Mapped[bool] = mapped_column(default=False)
    waits_for_access: Mapped[bool] = mapped_column(default=False)


class Lease(Base):
    """A lock across processes that expires: held by ``owner`` until ``held_until``."""

    __tablename__ = "lease"

    name: Mapped[str] = mapped_column(String(120), primary_key=True)
    owner: Mapped[str] = mapped_column(String(64), default="")
    held_until: Mapped[datetime] = mapped_column(UTCDateTime)
