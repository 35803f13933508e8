"""Try again what a server may grant the second time."""

from __future__ import annotations

import errno
import random
from collections.abc import Callable
from typing import TypeVar

from core.errors import StorageError
from core.locales import N_

T = TypeVar("T")
TRIES = 4
_FINAL = (FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError)
# Botocore's and aiohttp's errors, by name: neither library is there when artifacts lie on the disk.
_REMOTE = ("botocore", "aiobotocore", "aiohttp", "urllib3", "asyncio", "fsspec", "s3fs")


def attempt(action: Callable[[], T], remote: bool, pause: Callable[[float], None]) -> T:
    """Return what ``action`` returns, after up to four tries for a remote store.

    Waits 0.2, 0.4 and 0.8 seconds, each times 0.5 to 1.5, between the tries.

    Raises
    ------
    FileNotFoundError
        At once, if there is no such object.
    StorageError
        If the store refuses, or still fails at the last try. The message holds neither address nor
        credentials, and the original error, which may, is not chained to it.
    """
    for turn in range(TRIES):
        try:
            return action()
        except FileNotFoundError:
            raise
        except Exception as error:
            if not isinstance(error, OSError | TimeoutError) and not _is_remote(error):
                raise
            if remote and turn + 1 < TRIES and not isinstance(error, _FINAL):
                pause(0.2 * 2**turn * random.uniform(0.5, 1.5))  # noqa: S311 - spreads clients, no secret
                continue
            reason = _kind(error)
        raise refusal(remote, reason)
    raise AssertionError("unreachable")


def refusal(remote: bool, reason: str) -> StorageError:
    """Return the error for a store that refuses, with the kind of failure and nothing of its text."""
    if remote:
        return StorageError(
            N_("The object store does not answer as it should ({reason}). Try again, "
               "or check its address and credentials."),
            reason=reason,
        )
    return StorageError(
        N_("The disk refused to store or read a file ({reason}). Free some space, "
           "or check the data folder's permissions."),
        reason=reason,
    )


def _kind(error: Exception) -> str:
    number = error.errno if isinstance(error, OSError) else None
    return errno.errorcode.get(number or 0, type(error).__name__)


def _is_remote(error: Exception) -> bool:
    return type(error).__module__.split(".")[0] in _REMOTE
