"""Imports that are being thought about: what was chosen, and how it is to be put into groups."""

from datetime import datetime

from sqlalchemy import BigInteger, DateTime, ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.dialects import mysql
from sqlalchemy.orm import Mapped, mapped_column

from imagehub.database import Base, UTCDateTime, now_utc
from imagehub.models.drive import DriveId
from imagehub.models.library import BigId


class ImportPlan(Base):
    """What a person chose in OneDrive, before anything is imported.

    ``state``: ``reading`` while folders are still looked into, ``ready``, then ``started`` with the
    import's number in ``job_id``. ``waiting``: JSON, what is still to be read. ``way``: how files
    were put into groups at first (see ``domain.imports.grouping.WAYS``). ``version`` rises with
    every change of the board.
    """

    __tablename__ = "import_plan"
    __table_args__ = (
        Index("ix_import_plan_state", "state", "id"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    user_id: Mapped[int | None] = mapped_column(
        ForeignKey("user.id", ondelete="SET NULL"), index=True
    )
    drive_account_id: Mapped[int] = mapped_column(ForeignKey("drive_account.id"), index=True)
    state: Mapped[str] = mapped_column(String(16), default="reading")
    way: Mapped[str] = mapped_column(String(16), default="folder")
    is_published: Mapped[bool] = mapped_column(default=True)
    waiting: Mapped[str] = mapped_column(
        Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb"), default="[]"
    )
    version: Mapped[int] = mapped_column(default=1)
    job_id: Mapped[int | None] = mapped_column(BigInteger)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, default=now_utc)


class ImportProposal(Base):
    """A group as it is proposed. ``group_id``: the group there is that it adds to; None makes a
    new one of this title."""

    __tablename__ = "import_proposal"
    __table_args__ = (
        Index("ix_import_proposal_plan_position", "plan_id", "position", "id"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    plan_id: Mapped[int] = mapped_column(BigId, ForeignKey("import_plan.id", ondelete="CASCADE"))
    position: Mapped[int]
    title: Mapped[str] = mapped_column(String(300), default="")
    group_id: Mapped[int | None] = mapped_column(BigInteger)


class ImportPlanFile(Base):
    """One file of a plan. ``verdict`` says what stands against it (see
    ``domain.imports.plans.VERDICTS``), ``reason`` the same as a sentence; ``is_chosen``: it will be
    imported. ``taken_at`` is the camera's clock or the file's, whichever is known, without a zone.
    """

    __tablename__ = "import_plan_file"
    __table_args__ = (
        UniqueConstraint("plan_id", "drive_item_id"),
        Index("ix_import_plan_file_place", "plan_id", "proposal_id", "position", "id"),
        Index("ix_import_plan_file_verdict", "plan_id", "verdict", "id"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    plan_id: Mapped[int] = mapped_column(BigId, ForeignKey("import_plan.id", ondelete="CASCADE"))
    proposal_id: Mapped[int | None] = mapped_column(
        BigId, ForeignKey("import_proposal.id", ondelete="SET NULL"), index=True
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
