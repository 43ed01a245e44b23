"""Users, what protects their sign-in, the activity log and settings."""

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from imagehub.database import Base, UTCDateTime, now_utc
from imagehub.models.columns import BigId, SealedBinary, UserRef


class User(Base):
    """An admin. Names are case-insensitive: ``name_key`` is the case-folded name."""

    __tablename__ = "user"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(150))
    name_key: Mapped[str] = mapped_column(String(150), unique=True)
    password_hash: Mapped[str] = mapped_column(String(255))
    # Increased with every change of password; older tokens and sessions are then invalid.
    credentials_version: Mapped[int] = mapped_column(default=1)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, default=now_utc)
    last_sign_in_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    # Of the admin pages: "en", "de", or "" to choose as for visitors.
    language: Mapped[str] = mapped_column(String(8), default="")
    # A disabled account cannot sign in, and has no sessions and tokens.
    disabled_at: Mapped[datetime | None] = mapped_column(UTCDateTime)

    # Flask-Login requires these, ``is_active`` and ``get_id``.
    is_authenticated = True
    is_anonymous = False

    # The random value of the session that this object was loaded from.
    session_word = ""

    @property
    def is_active(self) -> bool:
        return self.disabled_at is None

    def get_id(self) -> str:
        """Return the content of the session cookie; see ``domain.people.sessions``."""
        return f"{self.id}.{self.credentials_version}.{self.session_word}"


class SignInSession(Base):
    """A signed-in browser. Its cookie contains a random value, this row the SHA-256 of it."""

    __tablename__ = "sign_in_session"
    __table_args__ = ({"sqlite_autoincrement": True},)

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"), index=True)
    word_hash: Mapped[str] = mapped_column(String(64), unique=True)
    is_remembered: Mapped[bool] = mapped_column(default=False)
    address: Mapped[str] = mapped_column(String(64), default="")
    browser: Mapped[str] = mapped_column(String(400), default="")
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, default=now_utc)
    last_seen_at: Mapped[datetime] = mapped_column(UTCDateTime, default=now_utc, index=True)


class RevokedToken(Base):
    """A bearer token that was revoked, or a one-time token that was used.

    The row can be deleted after ``expires_at``, when the token itself is invalid.
    """

    __tablename__ = "revoked_token"

    jti: Mapped[str] = mapped_column(String(64), primary_key=True)
    expires_at: Mapped[datetime] = mapped_column(UTCDateTime, index=True)


class SignInFailure(Base):
    """Successive failures for one address or one name (``key`` is a keyed hash of it)."""

    __tablename__ = "sign_in_failure"

    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    failed_count: Mapped[int] = mapped_column(default=0)
    last_failed_at: Mapped[datetime] = mapped_column(UTCDateTime, default=now_utc, index=True)
    blocked_until: Mapped[datetime | None] = mapped_column(UTCDateTime)


class SecondFactor(Base):
    """The encrypted secret of a person's authenticator app, in effect once ``confirmed_at`` is set.

    ``last_step`` is the number of the 30-second step whose code was used last; that code and older
    ones are not accepted again.
    """

    __tablename__ = "second_factor"

    user_id: Mapped[int] = mapped_column(
        ForeignKey("user.id", ondelete="CASCADE"), primary_key=True
    )
    secret: Mapped[bytes] = mapped_column(SealedBinary(length=1000))
    confirmed_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    last_step: Mapped[int] = mapped_column(BigInteger, default=0)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, default=now_utc)


class RecoveryCode(Base):
    """The SHA-256 of a recovery code; deleted when the code is used."""

    __tablename__ = "recovery_code"

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"), index=True)
    code_hash: Mapped[str] = mapped_column(String(64))


class ApiToken(Base):
    """An API token. ``scope`` is ``read`` or ``write``; ``tail`` is the end of the token, shown so
    that people recognise it."""

    __tablename__ = "api_token"
    __table_args__ = ({"sqlite_autoincrement": True},)

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"), index=True)
    name: Mapped[str] = mapped_column(String(100))
    scope: Mapped[str] = mapped_column(String(8))
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    tail: Mapped[str] = mapped_column(String(8))
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, default=now_utc)
    expires_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    last_used_at: Mapped[datetime | None] = mapped_column(UTCDateTime)


class AuditEntry(Base):
    """One action: who did what, to what, when and from where.

    ``actor_name`` stays when the person is gone. ``action`` is a key of ``ACTIONS`` in
    ``domain.people.audit``, whose sentence is filled with ``subject`` (the name of the thing),
    ``count`` and ``details`` (other values as a JSON object). Entries from before version 0020 of
    the tables have no action; their English sentence is in ``words``.
    """

    __tablename__ = "audit_entry"
    __table_args__ = (
        Index("ix_audit_entry_actor", "actor_name", "id"),
        Index("ix_audit_entry_kind", "kind", "id"),
        Index("ix_audit_entry_at", "at"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    at: Mapped[datetime] = mapped_column(UTCDateTime, default=now_utc)
    actor_id: Mapped[UserRef | None]
    actor_name: Mapped[str] = mapped_column(String(150), default="")
    verb: Mapped[str] = mapped_column(String(40))
    kind: Mapped[str] = mapped_column(String(40))
    key: Mapped[str] = mapped_column(String(255), default="")
    action: Mapped[str] = mapped_column(String(40), default="")
    subject: Mapped[str] = mapped_column(String(300), default="")
    count: Mapped[int] = mapped_column(default=1)
    details: Mapped[str] = mapped_column(String(2000), default="")
    words: Mapped[str] = mapped_column(String(500), default="")
    address: Mapped[str] = mapped_column(String(64), default="")


class HubSetting(Base):
    """A setting of the admin pages; ``value`` is JSON."""

    __tablename__ = "hub_setting"

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    value: Mapped[str] = mapped_column(String(2000))
    updated_at: Mapped[datetime] = mapped_column(UTCDateTime, default=now_utc, onupdate=now_utc)
