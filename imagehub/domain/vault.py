"""Encrypt secrets, and sign texts. Both know former keys, so that a key can be changed."""

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass, field

from cryptography.fernet import Fernet, InvalidToken


class Vault:
    """Encrypts with the first of its keys and decrypts with any of them.

    :param keys: Fernet keys (32 bytes in url-safe base64), separated by commas, or a function that
        returns them; it is called each time, as another process may change the keys.
    :raise ValueError: there is no key, or an invalid one.

    Source: the Fernet specification; AES-128 in CBC mode with HMAC-SHA256.
    """

    def __init__(self, keys: str | Callable[[], str]) -> None:
        self._read: Callable[[], str] = keys if callable(keys) else lambda: keys
        self._made: tuple[str, tuple[Fernet, ...]] = ("", ())
        self._get_fernets()

    def __repr__(self) -> str:
        return "Vault()"

    def seal(self, text: str) -> bytes:
        """Encrypt a text."""
        return self._get_fernets()[0].encrypt(text.encode())

    def open(self, sealed: bytes) -> str:
        """Decrypt a text.

        :raise ValueError: it is damaged or was encrypted with an unknown key.
        """
        return self._find_key(sealed)[1]

    def reseal(self, sealed: bytes) -> bytes | None:
        """Encrypt again with the first key; None if that was used already.

        :raise ValueError: it is damaged or was encrypted with an unknown key.
        """
        place, text = self._find_key(sealed)
        return self.seal(text) if place else None

    def _find_key(self, sealed: bytes) -> tuple[int, str]:
        for place, fernet in enumerate(self._get_fernets()):
            try:
                return place, fernet.decrypt(sealed).decode()
            except InvalidToken:
                continue
        raise ValueError("sealed with another key, or damaged")

    def _get_fernets(self) -> tuple[Fernet, ...]:
        keys, fernets = self._made
        if (read := self._read()) != keys or not fernets:
            fernets = tuple(Fernet(key.strip()) for key in read.split(",") if key.strip())
            if not fernets:
                raise ValueError("there is no key")
            self._made = read, fernets
        return fernets


@dataclass(frozen=True)
class SigningKeys:
    """Signs with its current key; signatures of the others are valid too."""

    current: str = field(repr=False)
    others: tuple[str, ...] = field(default=(), repr=False)

    @property
    def all(self) -> tuple[str, ...]:
        """Return all keys, the current one first."""
        return (self.current, *self.others)

    def sign(self, purpose: str, text: str) -> str:
        """Return the HMAC-SHA256 of a text in hexadecimal digits."""
        return _sign(self.current, purpose, text)

    def is_signature(self, signature: str, purpose: str, text: str) -> bool:
        """Tell whether :meth:`sign` made it, with this key or an earlier one."""
        given = signature.encode("utf-8", "replace")
        made = [_sign(key, purpose, text).encode() for key in self.all]
        return any([hmac.compare_digest(given, one) for one in made])

    def derive(self, purpose: str) -> list[bytes]:
        """Derive keys for one purpose, the current one first."""
        return [derive_key(key, purpose) for key in self.all]


def derive_key(secret_key: str, purpose: str) -> bytes:
    """Derive a key for one purpose, so that its signatures are not valid for another."""
    return hmac.new(secret_key.encode(), f"imagehub {purpose}".encode(), hashlib.sha256).digest()


def _sign(secret_key: str, purpose: str, text: str) -> str:
    data = text.encode("utf-8", "replace")
    return hmac.new(derive_key(secret_key, purpose), data, hashlib.sha256).hexdigest()
