"""Encryption of what must not lie readable in the database: tokens and pending sign-ins."""

import hashlib
import hmac

from cryptography.fernet import Fernet, InvalidToken, MultiFernet


class UnreadableSecretError(ValueError):
    """Sealed with a key that is not among ours, or damaged."""


class Vault:
    """Seals with the first of its keys and opens with any of them.

    To change the key: put the new one in front of the old, with a comma. All that is written from
    then on uses the new one; a token is written again with every refresh, so that the old key can
    go after an hour or two.

    :param keys: Fernet keys (32 bytes in url-safe base64), several with commas.
    :raise ValueError: no key, or one that is none.

    Source: the Fernet specification; AES-128 in CBC mode with HMAC-SHA256.
    """

    def __init__(self, keys: str) -> None:
        self._fernet = MultiFernet([Fernet(key.strip()) for key in keys.split(",") if key.strip()])

    def __repr__(self) -> str:
        return "Vault()"

    def seal(self, text: str) -> bytes:
        """Encrypt."""
        return self._fernet.encrypt(text.encode())

    def open(self, sealed: bytes) -> str:
        """Decrypt.

        :raise UnreadableSecretError: sealed with a key that is not among ours, or damaged.
        """
        try:
            return self._fernet.decrypt(sealed).decode()
        except InvalidToken:
            raise UnreadableSecretError("sealed with another key, or damaged") from None


def derive_key(secret_key: str, purpose: str) -> bytes:
    """A key of its own for each purpose, so that no signature of one passes for another's."""
    return hmac.new(secret_key.encode(), f"imagehub {purpose}".encode(), hashlib.sha256).digest()
