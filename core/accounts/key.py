"""The key that signs the fallback cookie: from the settings, or made once for this data folder."""

from __future__ import annotations

import contextlib
import math
import os
import re
import secrets
import time
from collections import Counter
from pathlib import Path

from core.errors import InputError, StorageError
from core.locales import N_
from core.settings import Settings

SHORTEST = 32
_LEAST_BITS = 90.0
_PLACEHOLDERS = re.compile(
    r"some.?key|some.?signature|change.?me|secret.?key|your.?(cookie|secret|key)|example|placeholder"
    r"|0123456789|password",
    re.IGNORECASE,
)


def cookie_key(settings: Settings) -> bytes:
    """Return the installation's cookie key, at least 32 bytes; never a default.

    A key in the settings wins (needed when several replicas share sessions). Without one, a random key is
    written to ``cookie.key`` in the data folder with mode 0600; two processes that start at once agree on one.

    Raises
    ------
    InputError
        If the key of the settings is short, a known placeholder or too regular.
    StorageError
        If the key file cannot be made or read.
    """
    if settings.cookie_key:
        return _checked(settings.cookie_key)
    path = settings.home / "cookie.key"
    try:
        settings.home.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not path.exists():
            _create(path, secrets.token_hex(SHORTEST).encode())
        return _read(path)
    except OSError as error:
        raise StorageError(N_("The cookie key cannot be kept in {file}: {reason}. Check the data folder's "
                              "owner and free space."),
                           file=str(path), reason=error.strerror or type(error).__name__) from error


def _checked(key: str) -> bytes:
    if len(key) < SHORTEST:
        raise InputError(N_("The cookie key is too short: it needs at least {n} random characters. Remove it "
                            "to have one made."), n=SHORTEST)
    repeats = key in (key + key)[1:-1]
    counts = Counter(key)
    bits = -sum(n * math.log2(n / len(key)) for n in counts.values())
    if _PLACEHOLDERS.search(key) or repeats or bits < _LEAST_BITS:
        raise InputError(N_("The cookie key is a placeholder or easy to guess. Set {n} random characters, or "
                            "remove it to have one made."), n=SHORTEST)
    return key.encode()


def _create(path: Path, key: bytes) -> None:
    temporary = path.with_name(f".cookie-{secrets.token_hex(8)}")
    descriptor = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(key)
            file.flush()
            os.fsync(file.fileno())
        # A hard link appears complete or not at all, and fails if another process was first.
        with contextlib.suppress(FileExistsError):
            os.link(temporary, path)
    finally:
        temporary.unlink()


def _read(path: Path) -> bytes:
    for _ in range(20):
        key = path.read_bytes().strip()
        if len(key) >= SHORTEST:
            if path.stat().st_mode & 0o077:
                path.chmod(0o600)
            return key
        time.sleep(0.05)
    raise StorageError(N_("The cookie key in {file} is damaged. Delete the file; everyone signs in again."),
                       file=str(path))
