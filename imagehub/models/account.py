"""People who may sign in, and what guards their sign-in."""

from datetime import datetime

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from imagehub.database import Base, UTCDateTime, now_utc


class User(Base):
    """An admin. Names compare without case: ``name_key`` is the case-folded name.

    The properties at the end are what Flask-Login asks of a user.
    """

    __tablename__ = "user"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(150))
    name_key: Mapped[str] = mapped_column(String(150), unique=True)
    password_hash: Mapped[str] = mapped_column(String(255))
    # Rises with every change of password; tokens and sessions carry the number they were made with.
    credentials_version: Mapped[int] = mapped_column(default=1)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, default=now_utc)
    last_sign_in_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    # Of the admin pages: "en", "de"; "" for that of any visitor.
    language: Mapped[str] = mapped_column(String(8), default="")

    is_authenticated = True
    is_active = True
    is_anonymous = False

    # The random word of the session that this object was loaded or signed in by.
    session_word = ""

    def get_id(self) -> str:
        """What the browser's cookie says; see ``domain.people.sessions``."""
        return f"{self.id}.{self.credentials_version}.{self.session_word}"


class RevokedToken(Base):
    """A bearer token ended before its time, or a sealed word that was good once and was used.

    The row may go once ``expires_at`` is past: by then the token is worth nothing by itself.
    """

    __tablename__ = "revoked_token"

    jti: Mapped[str] = mapped_column(String(64), primary_key=True)
    expires_at: Mapped[datetime] = mapped_column(UTCDateTime, index=True)


class SignInFailure(Base):
    """Failures in a row for one address or one name (``key`` is a keyed hash of either)."""

    __tablename__ = "sign_in_failure"

    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    failed_count: Mapped[int] = mapped_column(default=0)
    last_failed_at: Mapped[datetime] = mapped_column(UTCDateTime, default=now_utc, index=True)
    blocked_until: Mapped[datetime | None] = mapped_column(UTCDateTime)
