"""Slowing down guesses, in the database so that a restart forgives nothing.

Three counts decide, each over a sliding window, each answering with a growing wait and never a lock:

* this login from this address: five free tries, then 2, 4, 8 ... seconds, at most 15 minutes;
* this login from anywhere: twenty free tries, then as above (one account from many addresses);
* this address with any login: twenty free tries, then as above (many accounts from one address).

The last two do not hold back an owner at an address from which they have signed in before. So somebody who
guesses at an account, or from a shared network, cannot keep its owner out. A refused try is not counted and
does not prolong the wait.
"""

from __future__ import annotations

import math
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from sqlalchemy import ColumnElement, delete, func, select
from sqlalchemy.orm import Session

from core.accounts.tables import Attempt
from core.database import serialise
from core.errors import BusyError
from core.locales import N_

Kind = Literal["sign_in", "sign_up", "confirm"]
_KEPT = timedelta(days=2)


@dataclass(frozen=True)
class Rule:
    """How many tries are free within ``window``, and the wait after them (seconds, doubling up to ``cap``)."""

    free: int
    base: float
    cap: float
    window: timedelta

    def wait(self, failures: int) -> float:
        """Return the seconds between the last failure and the next allowed try."""
        if failures < self.free:
            return 0.0
        return min(self.cap, self.base * 2.0 ** min(failures - self.free, 60))


LONGEST_WAIT = 900.0
_DAY, _HOUR = timedelta(days=1), timedelta(hours=1)
PAIR = Rule(5, 2, LONGEST_WAIT, _DAY)
ACCOUNT = Rule(20, 2, LONGEST_WAIT, _DAY)
ADDRESS = Rule(20, 2, LONGEST_WAIT, _HOUR)
UNKNOWN_ADDRESS = Rule(100, 1, 30, _HOUR)  # everyone behind a proxy that hides addresses shares this one
SIGN_UP = Rule(30, 30, LONGEST_WAIT, _HOUR)  # a class of pupils may share one address


def reserve(
    session: Session, kind: Kind, account: str, address: str, at: datetime, *, known: bool = False
) -> str:
    """Count a try before it is made, and return its id; :func:`forgive` it if it succeeds.

    Counting first means that a hundred tries at once are a hundred, not one.

    Parameters
    ----------
    session
        A writing transaction.
    account, address
        Digest of the login, and the normal form of the address ("" if not known).
    known
        The owner of the account has signed in from this address before.

    Raises
    ------
    BusyError
        If it is too early for another try; it says how many seconds to wait.
    """
    for lock in sorted((f"{kind}-account-{account}", f"{kind}-address-{address}")):
        serialise(session, lock)
    session.execute(delete(Attempt).where(Attempt.at < at - _KEPT))
    wait = max(_waits(session, kind, account, address, at, known))
    if wait > 0:
        raise BusyError(N_("Too many attempts. Wait {seconds} seconds, then try again."),
                        seconds=math.ceil(wait))
    attempt = Attempt(id=str(uuid.uuid4()), kind=kind, account=account, address=address, at=at)
    session.add(attempt)
    return attempt.id


def forgive(session: Session, kind: Kind, account: str, address: str) -> None:
    """Forget the failures of this login from this address, because the right password came from there."""
    session.execute(delete(Attempt).where(
        Attempt.kind == kind, Attempt.account == account, Attempt.address == address))


def _waits(
    session: Session, kind: Kind, account: str, address: str, at: datetime, known: bool
) -> list[float]:
    by_account, by_address = Attempt.account == account, Attempt.address == address
    general = ADDRESS if address else UNKNOWN_ADDRESS
    if kind == "sign_up":
        rules: list[tuple[Rule, list[ColumnElement[bool]]]] = [
            (SIGN_UP if address else UNKNOWN_ADDRESS, [by_address])]
    elif kind == "confirm" or known:
        rules = [(PAIR, [by_account, by_address])]
    else:
        rules = [(PAIR, [by_account, by_address]), (ACCOUNT, [by_account]), (general, [by_address])]
    return [_remaining(session, rule, [Attempt.kind == kind, *conditions], at) for rule, conditions in rules]


def _remaining(session: Session, rule: Rule, conditions: list[ColumnElement[bool]], at: datetime) -> float:
    # Tries dated in the future (the clock was set back) would block for as long as it was ahead.
    count, last = session.execute(
        select(func.count(), func.max(Attempt.at))
        .where(*conditions, Attempt.at > at - rule.window, Attempt.at <= at + timedelta(minutes=1))
    ).one()
    if not count:
        return 0.0
    return rule.wait(int(count)) - max(0.0, (at - last).total_seconds())
