"""The connection to OneDrive."""

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, Index, String, Text
from sqlalchemy.dialects import mysql
from sqlalchemy.orm import Mapped, mapped_column

from imagehub.database import Base, UTCDateTime, now_utc
from imagehub.models.columns import (
    AccountKey,
    DriveId,
    Sealed,
    SealedBinary,
    UserRef,
    make_exact_type,
)


class DriveAccount(Base):
    """A connected Microsoft account. One is active at a time, whichever admin connected it.

    ``state``: ``connected``, ``needs_reconnect`` (a person must sign in again), ``disconnected``.
    ``token_cache``: MSAL's cache, encrypted with ``IMAGEHUB_TOKEN_KEY``; ``token_version`` is
    increased with every write. ``refused_at``: since when Microsoft has issued no token for a
    passing or unknown reason. ``doubted_at``: when it first refused for an unknown reason since
    then. ``claims_challenge``: what the next sign-in must satisfy, as Microsoft sent it.
    """

    __tablename__ = "drive_account"

    id: Mapped[int] = mapped_column(primary_key=True)
    home_account_id: Mapped[str] = mapped_column(DriveId, unique=True)
    username: Mapped[str] = mapped_column(String(320), default="")
    name: Mapped[str] = mapped_column(String(255), default="")
    tenant_id: Mapped[str] = mapped_column(String(64), default="")
    is_active: Mapped[bool] = mapped_column(default=True)
    state: Mapped[str] = mapped_column(String(20), default="connected")
    state_reason: Mapped[str] = mapped_column(String(500), default="")
    state_code: Mapped[str] = mapped_column(String(100), default="")
    token_cache: Mapped[bytes] = mapped_column(
        SealedBinary(length=4_000_000).with_variant(mysql.MEDIUMBLOB(), "mysql", "mariadb")
    )
    token_version: Mapped[int] = mapped_column(default=1)
    scopes: Mapped[str] = mapped_column(String(500), default="")
    connected_at: Mapped[datetime] = mapped_column(UTCDateTime, default=now_utc)
    connected_by_id: Mapped[UserRef | None]
    refreshed_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    refused_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    doubted_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    claims_challenge: Mapped[str | None] = mapped_column(Text)
    last_success_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    # No call is made for this account before this time, because Graph throttles it.
    paused_until: Mapped[datetime | None] = mapped_column(UTCDateTime)
    last_throttled_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    drive_id: Mapped[str] = mapped_column(DriveId, default="")
    drive_kind: Mapped[str] = mapped_column(String(32), default="")
    quota_total_bytes: Mapped[int | None] = mapped_column(BigInteger)
    quota_used_bytes: Mapped[int | None] = mapped_column(BigInteger)


class PendingSignIn(Base):
    """A started sign-in at Microsoft; can be finished once, within 15 minutes.

    ``flow``: state, nonce and PKCE verifier, encrypted.
    """

    __tablename__ = "pending_sign_in"

    state: Mapped[str] = mapped_column(DriveId, primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"), index=True)
    redirect_uri: Mapped[str] = mapped_column(Text)
    flow: Mapped[bytes] = mapped_column(Sealed)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, default=now_utc, index=True)


class UploadSession(Base):
    """An upload of a browser to OneDrive, kept for a day.

    ``key``: SHA-256 of a secret of this upload (see ``domain.onedrive.uploads``). ``address``:
    encrypted, because whoever has it can write the file; "" for an empty file.
    """

    __tablename__ = "upload_session"

    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    drive_account_id: Mapped[int] = mapped_column(
        ForeignKey("drive_account.id", ondelete="CASCADE"), index=True
    )
    address: Mapped[bytes] = mapped_column(Sealed)
    begun_at: Mapped[datetime] = mapped_column(UTCDateTime, index=True)


class DriveWatch(Base):
    """The progress of reading the changes of one account's drive.

    ``link``: the next page of changes, encrypted, as it contains a token; empty: start again.
    ``step``: ``read``, ``places`` or ``ask`` during a check, else "". ``is_full``: all items are
    read, not only changes; each such run has a ``run_number``. ``asked_at``: a person requested a
    check. ``tried_at``: a check was last started or resumed. ``advanced_at``: ``link`` was last
    updated. ``checked_at``: a check was last completed. ``next_at``: the earliest time of the next
    try after a failure. ``problem``: why the last check failed, as a sentence.
    """

    __tablename__ = "drive_watch"

    drive_account_id: Mapped[AccountKey]
    drive_id: Mapped[str] = mapped_column(DriveId, default="")
    root_id: Mapped[str] = mapped_column(DriveId, default="")
    link: Mapped[bytes] = mapped_column(Sealed, default=b"")
    is_full: Mapped[bool] = mapped_column(default=True)
    step: Mapped[str] = mapped_column(String(16), default="")
    run_number: Mapped[int] = mapped_column(default=0)
    asked_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    tried_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    advanced_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    checked_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    next_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    failure_count: Mapped[int] = mapped_column(default=0)
    problem: Mapped[str] = mapped_column(String(500), default="")


class DriveSubscription(Base):
    """The subscription to the notifications of one account's drive, also while it is created.

    ``key``: the random end of its address, which ``base_url`` begins. ``secret_hash``: SHA-256 of
    the secret that each notification carries. ``subscription_id``: "" while there is none.
    ``tried_at``: when it was last created or renewed, or that was tried. ``next_at``: when to do so
    again. ``notified_at``: the last notification. ``problem``: why the last try failed, as a
    sentence.
    """

    __tablename__ = "drive_subscription"

    drive_account_id: Mapped[AccountKey]
    key: Mapped[str] = mapped_column(make_exact_type(64), unique=True)
    base_url: Mapped[str] = mapped_column(String(1000))
    secret_hash: Mapped[str] = mapped_column(String(64))
    subscription_id: Mapped[str] = mapped_column(DriveId, default="")
    expires_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    tried_at: Mapped[datetime] = mapped_column(UTCDateTime)
    next_at: Mapped[datetime] = mapped_column(UTCDateTime)
    notified_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    failure_count: Mapped[int] = mapped_column(default=0)
    problem: Mapped[str] = mapped_column(String(500), default="")


class DriveFolder(Base):
    """A folder of a watched drive, inside the root folder or not. Ids are normalised.

    A change of a moved folder does not list its content, so the tree tells what was moved with it.
    A deleted folder stays in the tree, because it can be restored in the same way.
    """

    __tablename__ = "drive_folder"
    __table_args__ = (Index("ix_drive_folder_parent", "drive_account_id", "parent_id"),)

    drive_account_id: Mapped[AccountKey]
    item_id: Mapped[str] = mapped_column(DriveId, primary_key=True)
    parent_id: Mapped[str] = mapped_column(DriveId)
    name: Mapped[str] = mapped_column(String(400), default="")
    is_deleted: Mapped[bool] = mapped_column(default=False)
    run_number: Mapped[int] = mapped_column(default=0)


class DriveCopy(Base):
    """A file in the drive that has the content of an original and may replace it.

    Inside the root folder or not; whether it still exists is asked when it is needed.
    """

    __tablename__ = "drive_copy"
    __table_args__ = (Index("ix_drive_copy_hash", "drive_account_id", "quick_xor_hash"),)

    drive_account_id: Mapped[AccountKey]
    item_id: Mapped[str] = mapped_column(DriveId, primary_key=True)
    quick_xor_hash: Mapped[str] = mapped_column(String(40))
