"""Passwords: which are accepted, and how they are hashed.

A password is hashed exactly as it was typed: nothing is stripped, cut, folded or normalised. Argon2id
(RFC 9106) has no length limit of its own, so every character up to the 128th counts.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from core.accounts.strength import is_common, strength
from core.errors import BusyError, InputError
from core.locales import N_

SHORTEST = 12
LONGEST = 128
_PATIENCE = 30.0
_two_at_a_time = threading.BoundedSemaphore(2)  # each hash takes 64 MiB and four lanes for 0.1 s


def check_password(password: str, *, username: str = "", email: str = "", name: str = "") -> None:
    """Refuse a password that is too short, too long, too weak or made of the person's own names.

    There are no rules of composition: NIST SP 800-63B advises against them.

    Raises
    ------
    InputError
        With the one thing to change first.
    """
    if len(password) < SHORTEST:
        raise InputError(N_("This password is too short. Use at least {n} characters; a few words that "
                            "have nothing to do with each other are easy to remember."), n=SHORTEST)
    if len(password) > LONGEST:
        raise InputError(N_("This password is too long. Use at most {n} characters."), n=LONGEST)
    try:
        password.encode()
    except UnicodeEncodeError as error:
        raise InputError(N_("This password contains a broken character. Type it again.")) from error
    folded = password.casefold()
    own = (username, email, email.partition("@")[0])
    if any(len(part) >= 4 and part.casefold() in folded for part in own):
        raise InputError(N_("This password contains your user name or e-mail address. Choose another."))
    verdict = strength(password, tuple(part for part in (*own, *name.split(), name) if part))
    if is_common(password) or verdict.score < 3:
        raise InputError(N_("This password is too easy to guess. Add a few more words that have nothing "
                            "to do with each other."))


class Hasher:
    """Argon2id with a limit of two computations at a time in the process."""

    def __init__(self, time_cost: int = 3, memory_kib: int = 65536, lanes: int = 4) -> None:
        self._argon = PasswordHasher(time_cost=time_cost, memory_cost=memory_kib, parallelism=lanes)
        self._dummy: str | None = None

    def hash(self, password: str) -> str:
        """Return the encoded Argon2id hash with a fresh salt; BusyError when too many wait."""
        with _turn():
            return self._argon.hash(password)

    def verify(self, password: str, stored: str | None) -> bool:
        """Say whether ``password`` is the one behind ``stored``.

        Without a stored hash (an unknown name) a dummy of the same cost is computed, so that the answer takes
        as long. Raises BusyError when too many wait.
        """
        try:
            password.encode()
        except UnicodeEncodeError:
            password, stored = "", None
        if len(password) > LONGEST:
            password, stored = "", None
        expected = stored or self._unknown()
        with _turn():
            try:
                return self._argon.verify(expected, password) and stored is not None
            except (VerificationError, InvalidHashError):
                return False

    def is_outdated(self, stored: str) -> bool:
        """Say whether ``stored`` was made with other parameters than today's."""
        return self._argon.check_needs_rehash(stored)

    def _unknown(self) -> str:
        if self._dummy is None:
            self._dummy = self.hash(secrets.token_urlsafe(32))
        return self._dummy


@contextmanager
def _turn() -> Iterator[None]:
    if not _two_at_a_time.acquire(timeout=_PATIENCE):
        raise BusyError(N_("Too many people are signing in at once. Try again in a minute."))
    try:
        yield
    finally:
        _two_at_a_time.release()
