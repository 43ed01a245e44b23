"""Encrypt secrets, and sign texts."""

import hashlib
import hmac

from cryptography.fernet import Fernet, InvalidToken, MultiFernet


class Vault:
    """Encrypts with the first of its keys and decrypts with any of them.

    To change the key, put the new one in front of the old, with a comma. Each refresh encrypts a
    token again, so the old key can be removed after an hour or two.

    :param keys: Fernet keys (32 bytes in url-safe base64), separated by commas.
    :raise ValueError: there is no key, or an invalid one.

    Source: the Fernet specification; AES-128 in CBC mode with HMAC-SHA256.
    """

    def __init__(self, keys: str) -> None:
        self._fernet = MultiFernet([Fernet(key.strip()) for key in keys.split(",") if key.strip()])

    def __repr__(self) -> str:
        return "Vault()"

    def seal(self, text: str) -> bytes:
        """Encrypt a text."""
        return self._fernet.encrypt(text.encode())

    def open(self, sealed: bytes) -> str:
        """Decrypt a text.

        :raise ValueError: it is damaged or was encrypted with an unknown key.
        """
        try:
            return self._fernet.decrypt(sealed).decode()
        except InvalidToken:
            raise ValueError("sealed with another key, or damaged") from None


def derive_key(secret_key: str, purpose: str) -> bytes:
    """Derive a key for one purpose, so that its signatures are not valid for another."""
    return hmac.new(secret_key.encode(), f"imagehub {purpose}".encode(), hashlib.sha256).digest()


def sign(secret_key: str, purpose: str, text: str) -> str:
    """Return the HMAC-SHA256 of a text in hexadecimal digits."""
    data = text.encode("utf-8", "replace")
    return hmac.new(derive_key(secret_key, purpose), data, hashlib.sha256).hexdigest()
