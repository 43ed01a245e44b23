"""What visitors have written, and the lists of works that they have sent."""

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from imagehub.database import Base, UTCDateTime, now_utc
from imagehub.models.columns import BigId, UserRef, make_exact_type


class Enquiry(Base):
    """A visitor's message: about a work, with a list of works of a share link, or in general.

    ``state``: ``new``, ``answered`` or ``spam``; ``spam_reason``: a key of ``REASONS`` of
    ``domain.enquiries.spam`` if the hub took it for spam, else "". ``work`` is the title that the
    work had. ``language`` is that of the page it was written on. ``text_hash``: SHA-256 of the
    message without case and white space, to find repeated ones. ``note`` and ``user_id`` are those
    of whoever answered. The address that it came from is not stored. ``share_id`` is the link whose
    works are in ``works``, the list; ``work_count`` is how many there are.
    """

    __tablename__ = "enquiry"
    __table_args__ = (
        Index("ix_enquiry_state_id", "state", "id"),
        Index("ix_enquiry_text_hash", "text_hash", "created_at"),
        Index("ix_enquiry_share_id", "share_id", "id"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    state: Mapped[str] = mapped_column(String(12), default="new")
    spam_reason: Mapped[str] = mapped_column(String(12), default="")
    group_id: Mapped[int | None] = mapped_column(
        ForeignKey("image_group.id", ondelete="SET NULL"), index=True
    )
    work: Mapped[str] = mapped_column(String(300), default="")
    name: Mapped[str] = mapped_column(String(200))
    email: Mapped[str] = mapped_column(String(254))
    message: Mapped[str] = mapped_column(Text)
    text_hash: Mapped[str] = mapped_column(String(64))
    language: Mapped[str] = mapped_column(String(8), default="en")
    note: Mapped[str] = mapped_column(Text, default="")
    user_id: Mapped[UserRef | None]
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, default=now_utc, index=True)
    changed_at: Mapped[datetime] = mapped_column(UTCDateTime, default=now_utc)
    share_id: Mapped[int | None] = mapped_column(ForeignKey("share_link.id", ondelete="SET NULL"))
    work_count: Mapped[int] = mapped_column(default=0)

    works: Mapped[list["EnquiryWork"]] = relationship(
        order_by="EnquiryWork.position", passive_deletes=True
    )


class EnquiryWork(Base):
    """A work of a list that a visitor has sent, with the title that it had and a line about it."""

    __tablename__ = "enquiry_work"

    enquiry_id: Mapped[int] = mapped_column(
        ForeignKey("enquiry.id", ondelete="CASCADE"), primary_key=True
    )
    position: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    group_id: Mapped[int | None] = mapped_column(
        ForeignKey("image_group.id", ondelete="SET NULL"), index=True
    )
    title: Mapped[str] = mapped_column(String(300), default="")
    line: Mapped[str] = mapped_column(String(500), default="")


class EnquiryRecipient(Base):
    """Up to which enquiry a recipient of messages has got them.

    ``failure_count``, ``next_at``, ``problem``: failures to send since the last success.
    """

    __tablename__ = "enquiry_recipient"

    recipient: Mapped[str] = mapped_column(make_exact_type(330), primary_key=True)
    last_id: Mapped[int] = mapped_column(BigInteger, default=0)
    failure_count: Mapped[int] = mapped_column(default=0)
    next_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    problem: Mapped[str] = mapped_column(String(500), default="")


class SkippedEnquiry(Base):
    """An enquiry before ``last_id`` that a recipient has not got, as it was spam at its turn."""

    __tablename__ = "skipped_enquiry"

    recipient: Mapped[str] = mapped_column(
        ForeignKey("enquiry_recipient.recipient", ondelete="CASCADE"), primary_key=True
    )
    enquiry_id: Mapped[int] = mapped_column(
        ForeignKey("enquiry.id", ondelete="CASCADE"), primary_key=True, index=True
    )
