"""Upload sessions stored for browsers."""

from datetime import timedelta

import pytest
from cryptography.fernet import Fernet
from sqlalchemy.orm import Session

from imagehub.database import now_utc
from imagehub.domain.onedrive.uploads import (
    KEPT,
    OpenUpload,
    find_session,
    forget_session,
    remember_session,
)
from imagehub.domain.vault import Vault
from imagehub.models import DriveAccount

ADDRESS = "https://upload.example.org/1?tempauth=secret"


@pytest.fixture
def account_id(either_session: Session) -> int:
    account = DriveAccount(home_account_id="home", token_cache=b"")
    either_session.add(account)
    either_session.commit()
    return account.id


@pytest.fixture
def vault() -> Vault:
    return Vault(Fernet.generate_key().decode())


def test_the_last_address_is_found_until_it_is_deleted(
    either_session: Session, account_id: int, vault: Vault
) -> None:
    session = either_session
    first = OpenUpload(ADDRESS, now_utc() - timedelta(minutes=5))
    second = OpenUpload(ADDRESS + "2", now_utc())
    remember_session(session, vault, account_id, "a", first)
    assert find_session(session, vault, "a") == first
    remember_session(session, vault, account_id, "a", second)
    session.rollback()
    assert find_session(session, vault, "a") == second
    assert find_session(session, vault, "b") is None
    session.rollback()
    forget_session(session, "a")
    assert find_session(session, vault, "a") is None


def test_an_old_session_is_not_reused(
    either_session: Session, account_id: int, vault: Vault
) -> None:
    old = OpenUpload(ADDRESS, now_utc() - KEPT - timedelta(seconds=1))
    remember_session(either_session, vault, account_id, "a", old)
    assert find_session(either_session, vault, "a") is None
