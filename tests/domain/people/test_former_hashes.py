"""The bcrypt hashes of the first version."""

import bcrypt
import pytest
from sqlalchemy.orm import Session

from imagehub.domain.people import former_hashes, users
from imagehub.errors import NotAllowedError
from tests.domain.people.accounts import KEY, add_user


def make_hash(password: bytes, prefix: bytes = b"2b") -> str:
    return bcrypt.hashpw(password, bcrypt.gensalt(4, prefix)).decode()


@pytest.mark.parametrize("password", ["sea water", "Größe 大波", "x", "y" * 71])
@pytest.mark.parametrize("prefix", [b"2a", b"2b"])
def test_the_right_password_is_right_and_others_are_not(password: str, prefix: bytes) -> None:
    stored = make_hash(password.encode(), prefix)
    assert former_hashes.find_rounds(stored) == 4
    assert former_hashes.is_right(stored, password)
    assert not former_hashes.is_right(stored, "z" + password)
    assert not former_hashes.is_right(stored, "")


def test_the_hash_of_php_is_known() -> None:
    stored = make_hash(b"sea water").replace("$2b$", "$2y$")
    assert former_hashes.is_right(stored, "sea water")


def test_of_a_long_password_the_first_72_bytes_count() -> None:
    """As for the library of the first version, which cut it off."""
    stored = make_hash(b"a" * 72)
    assert former_hashes.is_right(stored, "a" * 100)
    assert not former_hashes.is_right(stored, "a" * 71)


@pytest.mark.parametrize(
    "stored", ["", "-", "scrypt:2:8:1$x$y", "$2b$04$short", "$2b$04$" + "!" * 53]
)
def test_other_hashes_are_not_bcrypt(stored: str) -> None:
    assert former_hashes.find_rounds(stored) is None
    assert not former_hashes.is_right(stored, "sea water")


def test_an_account_of_the_first_version_signs_in_and_gets_a_new_hash(
    light_session: Session,
) -> None:
    """However weak the old password is, nobody is locked out."""
    user = add_user(light_session, "Berta")
    user.password_hash = make_hash(b"weak")
    light_session.commit()
    with pytest.raises(NotAllowedError):
        users.sign_in(light_session, KEY, "Berta", "strong", "10.0.0.1")
    assert former_hashes.find_rounds(user.password_hash) == 4
    users.sign_in(light_session, KEY, "berta", "weak", "10.0.0.1")
    light_session.commit()
    light_session.refresh(user)
    assert user.password_hash.startswith("scrypt:")
    assert users.check_password(user, "weak")
    assert users.sign_in(light_session, KEY, "Berta", "weak", "10.0.0.1").id == user.id
