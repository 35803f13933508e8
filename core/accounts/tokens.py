"""Random secrets, and the digests by which they are stored and looked up."""

from __future__ import annotations

import hashlib
import secrets


def new_token() -> str:
    """Return 256 random bits as 43 characters that are safe in a URL and a cookie."""
    return secrets.token_urlsafe(32)


def digest(text: str) -> str:
    """Return the SHA-256 of ``text`` as 64 hexadecimal characters.

    A plain hash is enough for a token of 256 random bits: there is nothing to guess. Passwords go through
    :mod:`core.accounts.passwords` instead.
    """
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
