"""Encryption of tokens, and the keys it is done with."""

from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from imagehub.config import SettingsError, load_settings
from imagehub.domain.vault import Vault


def make_key() -> str:
    return Fernet.generate_key().decode()


def test_what_is_sealed_opens_again_and_cannot_be_read() -> None:
    vault = Vault(make_key())
    sealed = vault.seal("a refresh token, größer als ASCII")
    assert b"refresh" not in sealed
    assert vault.open(sealed) == "a refresh token, größer als ASCII"


@pytest.mark.parametrize("damage", [b"", b"x", b"\xff" * 100])
def test_what_is_damaged_cannot_be_opened(damage: bytes) -> None:
    vault = Vault(make_key())
    with pytest.raises(ValueError, match="sealed"):
        vault.open(damage)
    with pytest.raises(ValueError, match="sealed"):
        vault.open(vault.seal("text")[:-4] + b"AAAA")


def test_the_first_key_seals_and_every_key_opens() -> None:
    old, new = make_key(), make_key()
    both = Vault(f"{new}, {old}")
    assert both.open(Vault(old).seal("old")) == "old"
    assert Vault(new).open(both.seal("new")) == "new"
    with pytest.raises(ValueError, match="sealed"):
        Vault(old).open(both.seal("new"))


def test_a_vault_shows_no_key() -> None:
    key = make_key()
    assert key not in repr(Vault(key)) + str(Vault(key))


def test_several_keys_are_a_good_setting(tmp_path: Path) -> None:
    keys = f"{make_key()}, {make_key()}"
    settings = load_settings(
        {"IMAGEHUB_DATA_DIR": str(tmp_path), "IMAGEHUB_TOKEN_KEY": keys}, env_file=None
    )
    Vault(settings.token_key)


@pytest.mark.parametrize("keys", ["nonsense", "{key},nonsense", "{key},,{key}"])
def test_a_key_that_is_none_is_found_at_the_start(tmp_path: Path, keys: str) -> None:
    environment = {
        "IMAGEHUB_DATA_DIR": str(tmp_path),
        "IMAGEHUB_TOKEN_KEY": keys.format(key=make_key()),
    }
    with pytest.raises(SettingsError, match="IMAGEHUB_TOKEN_KEY"):
        load_settings(environment, env_file=None)
