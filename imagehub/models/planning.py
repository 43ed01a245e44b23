"""Import plans: the selected files and the groups that they will be imported into."""

from datetime import datetime

from sqlalchemy import BigInteger, DateTime, ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.dialects import mysql
from sqlalchemy.orm import Mapped, mapped_column

from imagehub.database import Base, UTCDateTime, now_utc
from imagehub.models.drive import DriveId
from imagehub.models.library import BigId


class ImportPlan(Base):
    """The selection of files in OneDrive for an import that has not started.

    ``state``: ``reading`` while folders are being listed, ``ready``, then ``started`` with the
    import's number in ``job_id``. ``waiting``: JSON, the folders that are still to be listed.
    ``way``: how files were grouped at first (see ``WAYS`` of ``domain.imports.grouping``).
    ``version`` is increased with every change of the plan.
    """

    __tablename__ = "import_plan"
    __table_args__ = (Index("ix_import_plan_state", "state", "id"), {"sqlite_autoincrement": True})

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
    """A proposed group. ``group_id``: the existing group to add to; None creates one of this
    title."""

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
    """A file of a plan.

    ``verdict`` says what prevents its import (see ``VERDICTS`` of ``domain.imports.verdicts``),
    ``reason`` is the same as a sentence. ``is_chosen``: it will be imported. ``taken_at`` is the
    time of the camera or else of the file, without a time zone.
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
