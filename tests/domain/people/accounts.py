"""What the tests of accounts share: a key, a password and a person."""

from sqlalchemy.orm import Session

from imagehub.domain.people import users
from imagehub.domain.vault import SigningKeys
from imagehub.models import User

KEY = SigningKeys("a key that has more than thirty-two characters")
PASSWORD = "correct horse battery"


def add_user(session: Session, name: str = "Ada") -> User:
    user = users.create_admin(session, name, PASSWORD)
    session.commit()
    return user
