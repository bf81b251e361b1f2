"""Encrypts the secrets of channels at rest (Fernet), with a key from the environment."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from monitor.errors import SettingsError

if TYPE_CHECKING:
    from cryptography.fernet import Fernet

NEW_KEY: Final = 'python -c "from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())"'
"""Prints a new key."""


def seal(key: str | None, secrets: Mapping[str, str]) -> bytes:
    """Encrypt secrets.

    Raises:
        SettingsError: the key is missing or malformed.
    """
    return _fernet(key).encrypt(json.dumps(dict(secrets)).encode())


def unseal(key: str | None, sealed: bytes) -> dict[str, str]:
    """The secrets that `seal` encrypted.

    Raises:
        SettingsError: the key is missing or not the one they were encrypted with.
    """
    from cryptography.fernet import InvalidToken

    try:
        data = json.loads(_fernet(key).decrypt(sealed))
    except InvalidToken:
        problem = "is not the key that the channel was saved with"
        raise SettingsError("secret_key", problem, "set that one, or add the channel again") from None
    return {str(name): str(value) for name, value in data.items()}


def _fernet(key: str | None) -> Fernet:
    from cryptography.fernet import Fernet

    if key is None:
        raise SettingsError("secret_key", "is not set, and the channel's URL is a secret", f"make a key: {NEW_KEY}")
    try:
        return Fernet(key.strip().encode())
    except ValueError:
        raise SettingsError("secret_key", "is not 32 bytes in URL-safe base64", f"make a key: {NEW_KEY}") from None
