"""Users, and the tables that protect their sign-in."""

from datetime import datetime

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from imagehub.database import Base, UTCDateTime, now_utc


class User(Base):
    """An admin. Names are case-insensitive: ``name_key`` is the case-folded name.

    The attributes at the end are those that Flask-Login requires.
    """

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

    is_authenticated = True
    is_active = True
    is_anonymous = False

    # The random value of the session that this object was loaded from.
    session_word = ""

    def get_id(self) -> str:
        """Return the content of the session cookie; see ``domain.people.sessions``."""
        return f"{self.id}.{self.credentials_version}.{self.session_word}"


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
